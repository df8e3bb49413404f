//! The panels' numbers and scales in registers.

use super::kind::QUAD;
use super::lanes::Unit;
use super::panels::{PLANE, WIDTH};

/// How a stretch of a panel holds numbers without sign and their scales.
///
/// Its functions need the instructions of `U`; the pointers are to the numbers of 32 inputs, those of the first lane
/// wanted, and to the scales of a stretch.
#[allow(unsafe_code)]
pub(super) trait Form {
    /// Whether numbers have eight bits.
    const WIDE: bool = false;
    /// Groups with scales of their own in 32 inputs: 1 or 2.
    const GROUPS: usize;
    /// Whether there are minima.
    const MINIMUM: bool;
    /// How many times 32 inputs are in a stretch.
    const SPAN: usize;
    /// Bytes of the numbers of 32 inputs.
    const NUMBERS: usize;
    /// Bytes of a stretch.
    const STEP: usize;

    /// The numbers of 32 inputs, four inputs to a register.
    unsafe fn numbers<U: Unit>(at: *const u8) -> [U::Bytes; 8];

    /// What the scales of a stretch, and its minima, have in common.
    unsafe fn shared<U: Unit>(scales: *const u8, lane: usize) -> [U::Floats; 2];

    /// The scales of a group of a stretch's inputs, and the minima.
    unsafe fn scales<U: Unit>(
        shared: [U::Floats; 2],
        scales: *const u8,
        group: usize,
        lane: usize,
    ) -> [U::Floats; 2];
}

/// Numbers of `BITS` with f16 scales for 32 inputs; or, where `SHARES`, for 256, times bytes for each group.
pub(super) struct Packed<const BITS: usize, const SHARES: bool, const GROUPS: usize, const MINIMUM: bool>;

#[allow(unsafe_code)]
impl<const BITS: usize, const SHARES: bool, const GROUPS: usize, const MINIMUM: bool> Form
    for Packed<BITS, SHARES, GROUPS, MINIMUM>
{
    const WIDE: bool = BITS == 8;
    const GROUPS: usize = GROUPS;
    const MINIMUM: bool = MINIMUM;
    const SPAN: usize = if SHARES {
        8
    } else if MINIMUM {
        1
    } else {
        2
    };
    const NUMBERS: usize = BITS * PLANE;
    const STEP: usize = {
        let kinds = if MINIMUM { 2 } else { 1 };
        let scales = if SHARES { (2 + 8 * GROUPS) * kinds } else { 4 };
        (Self::SPAN * Self::NUMBERS + scales * WIDTH).next_multiple_of(PLANE)
    };

    // constants count the registers, and no `map`, which is not inlined everywhere
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn numbers<U: Unit>(at: *const u8) -> [U::Bytes; 8] {
        // SAFETY: the caller has `BITS` planes.
        unsafe {
            let plane = |n: usize| U::load(at.wrapping_add(n * PLANE));
            let mut out = [plane(0); 8];
            let low = if BITS < 4 { 2 } else { BITS & !3 };
            match low {
                2 => {
                    let planes = [plane(0), plane(1)];
                    for n in 0..8 {
                        out[n] = U::and(U::shift(planes[n / 4], -2 * (n as i32 % 4)), 3);
                    }
                }
                4 => {
                    for n in 0..4 {
                        let both = plane(n);
                        out[n] = U::and(both, 15);
                        out[n + 4] = U::and(U::shift(both, -4), 15);
                    }
                }
                _ => {
                    for n in 0..8 {
                        out[n] = plane(n);
                    }
                }
            }
            let high = BITS - low;
            if high == 1 {
                let bits = plane(low);
                for n in 0..8 {
                    out[n] = U::merge(out[n], U::shift(bits, low as i32 - n as i32), 1 << low);
                }
            }
            if high == 2 {
                let bits = [plane(low), plane(low + 1)];
                for n in 0..8 {
                    let left = low as i32 - 2 * (n as i32 % 4);
                    out[n] = U::merge(out[n], U::shift(bits[n / 4], left), 3 << low);
                }
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn shared<U: Unit>(scales: *const u8, lane: usize) -> [U::Floats; 2] {
        // SAFETY: the caller has the scales of a stretch.
        unsafe {
            let scale = U::halves(scales.wrapping_add(2 * lane));
            [scale, if MINIMUM { U::halves(scales.wrapping_add(2 * (WIDTH + lane))) } else { scale }]
        }
    }

    #[inline(always)]
    unsafe fn scales<U: Unit>(
        shared: [U::Floats; 2],
        scales: *const u8,
        group: usize,
        lane: usize,
    ) -> [U::Floats; 2] {
        // SAFETY: the caller has the scales of a stretch.
        unsafe {
            if !SHARES {
                return if MINIMUM {
                    shared
                } else {
                    [U::halves(scales.wrapping_add(2 * (group * WIDTH + lane))); 2]
                };
            }
            let kinds = if MINIMUM { 2 } else { 1 };
            let small = scales.wrapping_add(2 * WIDTH * kinds + group * WIDTH + lane);
            let scale = U::mul(U::small(small), shared[0]);
            if !MINIMUM {
                return [scale; 2];
            }
            [scale, U::mul(U::small(small.wrapping_add(8 * GROUPS * WIDTH)), shared[1])]
        }
    }
}

/// Bytes with scales in f32, into which other forms are opened for many rows.
pub(super) struct Open<const GROUPS: usize, const MINIMUM: bool>;

#[allow(unsafe_code)]
impl<const GROUPS: usize, const MINIMUM: bool> Form for Open<GROUPS, MINIMUM> {
    const GROUPS: usize = GROUPS;
    const MINIMUM: bool = MINIMUM;
    const SPAN: usize = 1;
    const NUMBERS: usize = 8 * PLANE;
    const STEP: usize = Self::NUMBERS + GROUPS * WIDTH * 4 * if MINIMUM { 2 } else { 1 };

    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    unsafe fn numbers<U: Unit>(at: *const u8) -> [U::Bytes; 8] {
        // SAFETY: the caller has eight planes.
        unsafe {
            let mut out = [U::load(at); 8];
            for n in 1..8 {
                out[n] = U::load(at.wrapping_add(n * PLANE));
            }
            out
        }
    }

    #[inline(always)]
    unsafe fn shared<U: Unit>(_: *const u8, _: usize) -> [U::Floats; 2] {
        // SAFETY: the level.
        unsafe { [U::splat(0.); 2] }
    }

    #[inline(always)]
    unsafe fn scales<U: Unit>(
        _: [U::Floats; 2],
        scales: *const u8,
        group: usize,
        lane: usize,
    ) -> [U::Floats; 2] {
        let at = scales.cast::<f32>().wrapping_add(group * WIDTH + lane);
        // SAFETY: the caller has the scales of 32 inputs.
        unsafe {
            let scale = U::singles(at);
            [scale, if MINIMUM { U::singles(at.wrapping_add(GROUPS * WIDTH)) } else { scale }]
        }
    }
}

/// Opens stretches: numbers to bytes, and scales to f32.
///
/// # Safety
/// The instructions of `U`; there are so many stretches of the form, and room for as many times 32 inputs in the form
/// [`Open`].
#[allow(unsafe_code)]
#[inline(always)]
pub(super) unsafe fn open<U: Unit, F: Form>(stretches: *const u8, count: usize, out: *mut u8) {
    let kinds = if F::MINIMUM { 2 } else { 1 };
    for part in 0..WIDTH / U::LANES {
        let lane = part * U::LANES;
        let (mut at, mut out) = (stretches, out);
        // SAFETY: the caller's contract.
        unsafe {
            for _ in 0..count {
                let scales = at.wrapping_add(F::SPAN * F::NUMBERS);
                let shared = F::shared::<U>(scales, lane);
                for i in 0..F::SPAN {
                    let numbers = F::numbers::<U>(at.wrapping_add(i * F::NUMBERS + lane * QUAD));
                    for (n, bytes) in numbers.into_iter().enumerate() {
                        U::put(bytes, out.wrapping_add(n * PLANE + lane * QUAD));
                    }
                    out = out.wrapping_add(8 * PLANE);
                    for group in 0..F::GROUPS {
                        let found = F::scales::<U>(shared, scales, i * F::GROUPS + group, lane);
                        for (kind, values) in found.into_iter().take(kinds).enumerate() {
                            let place = (kind * F::GROUPS + group) * WIDTH + lane;
                            U::put_some(values, out.cast::<f32>().wrapping_add(place), U::LANES);
                        }
                    }
                    out = out.wrapping_add(F::GROUPS * WIDTH * 4 * kinds);
                }
                at = at.wrapping_add(F::STEP);
            }
        }
    }
}
