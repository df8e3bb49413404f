//! The panels' numbers and scales in registers.

use super::kind::QUAD;
use super::lanes::Unit;
use super::panels::{PLANE, WIDTH};

/// How a panel's bytes hold numbers without sign and their scales.
///
/// Its functions need the instructions of `U`, and as many bytes at the pointers as a block of the form has; those
/// advance by the bytes of [`Form::NUMBERS`] for each 32 inputs, and of [`Form::SCALES`] for each [`Form::SPAN`] of
/// them. Numbers begin at the first lane's.
#[allow(unsafe_code)]
pub(super) trait Form {
    /// Whether numbers have eight bits.
    const WIDE: bool = false;
    /// Groups with scales of their own in 32 inputs: 1 or 2.
    const GROUPS: usize;
    /// Whether there are minima.
    const MINIMUM: bool;
    /// How many times 32 inputs share what [`Form::shared`] reads.
    const SPAN: usize;
    /// Bytes of the numbers of 32 inputs.
    const NUMBERS: usize;
    /// Bytes of the scales of a span.
    const SCALES: usize;

    /// The numbers of 32 inputs, four inputs to a register.
    unsafe fn numbers<U: Unit>(at: *const u8) -> [U::Bytes; 8];

    /// What the scales of a span, and its minima, have in common.
    unsafe fn shared<U: Unit>(scales: *const u8, lane: usize) -> [U::Floats; 2];

    /// The scales of a group of a span's inputs, and the minima.
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
    const SPAN: usize = if SHARES { 8 } else { 1 };
    const NUMBERS: usize = BITS * PLANE;
    const SCALES: usize =
        (2 * WIDTH + if SHARES { 8 * GROUPS * WIDTH } else { 0 }) * if MINIMUM { 2 } else { 1 };

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
        // SAFETY: the caller has the scales of a span.
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
        if !SHARES {
            return shared;
        }
        let kinds = if MINIMUM { 2 } else { 1 };
        let small = scales.wrapping_add(2 * WIDTH * kinds + group * WIDTH + lane);
        // SAFETY: the caller has the scales of a span.
        unsafe {
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
    const SCALES: usize = GROUPS * WIDTH * 4 * if MINIMUM { 2 } else { 1 };

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

/// Opens the panel of a form: numbers to bytes, and scales to f32.
///
/// # Safety
/// The contract of [`Form`] for so many times 32 inputs, a multiple of [`Form::SPAN`]; there is room for them in the
/// form [`Open`] at the last two pointers.
#[allow(unsafe_code)]
#[inline(always)]
pub(super) unsafe fn open<U: Unit, F: Form>(
    numbers: *const u8,
    scales: *const u8,
    count: usize,
    out: *mut u8,
    out_scales: *mut u8,
) {
    let kinds = if F::MINIMUM { 2 } else { 1 };
    for part in 0..WIDTH / U::LANES {
        let lane = part * U::LANES;
        let (mut numbers, mut out) = (numbers.wrapping_add(lane * QUAD), out.wrapping_add(lane * QUAD));
        let (mut scales, mut out_scales) = (scales, out_scales.cast::<f32>().wrapping_add(lane));
        // SAFETY: the caller's contract.
        unsafe {
            for _ in 0..count / F::SPAN {
                let shared = F::shared::<U>(scales, lane);
                for i in 0..F::SPAN {
                    for (n, bytes) in F::numbers::<U>(numbers).into_iter().enumerate() {
                        U::put(bytes, out.wrapping_add(n * PLANE));
                    }
                    for group in 0..F::GROUPS {
                        let found = F::scales::<U>(shared, scales, i * F::GROUPS + group, lane);
                        for (kind, values) in found.into_iter().take(kinds).enumerate() {
                            let at = (kind * F::GROUPS + group) * WIDTH;
                            U::put_some(values, out_scales.wrapping_add(at), U::LANES);
                        }
                    }
                    numbers = numbers.wrapping_add(F::NUMBERS);
                    out = out.wrapping_add(8 * PLANE);
                    out_scales = out_scales.wrapping_add(F::GROUPS * WIDTH * kinds);
                }
                scales = scales.wrapping_add(F::SCALES);
            }
        }
    }
}
