//! Sixteen outputs of several rows, summed up in registers.

use super::form::{Form, Open, Packed, open};
use super::inputs::Inputs;
use super::kind::{Kind, QUAD};
use super::lanes::Unit;
use super::lanes::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::lanes::{x86_256::Half, x86_512::Wide};
use super::panels::WIDTH;
use crate::level::Level;

/// Some rows times a panel.
///
/// The contract of all functions that take one: `xs` are blocks of each of `rows` rows, a multiple of [`Form::SPAN`],
/// those of the rows side by side; at `stretches` lie those of as many times 32 inputs of a panel; `out` has `columns`
/// values, 16 at most, at each of `rows` rows of `stride`, which nobody else uses.
pub(super) struct Tile<'a> {
    pub stretches: *const u8,
    pub xs: &'a [Inputs],
    pub rows: usize,
    pub out: *mut f32,
    pub stride: usize,
    pub columns: usize,
    /// Whether to add to what is there.
    pub add: bool,
}

/// What a level has for a kind.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    /// Up to so many rows are multiplied with the packed form, more with the opened one.
    pub few: usize,
    /// The most rows of a tile of the packed form, and of one of the opened form.
    pub most: [usize; 2],
    /// What the numbers with eight bits are to be raised by, or nothing where the level wants a sign.
    pub offset: i32,
    /// Computes rows from the packed form.
    pub packed: unsafe fn(&Tile),
    /// Opens so many times 32 inputs of a panel, a multiple of [`Form::SPAN`].
    pub open: unsafe fn(*const u8, usize, *mut u8),
    /// Computes rows from the opened form.
    pub opened: unsafe fn(&Tile),
    /// Bytes of the opened form of 32 inputs.
    pub step: usize,
}

/// # Safety
/// The contract of [`Tile`], and the level of `U`; `R` is the number of rows.
// constants count the registers
#[allow(unsafe_code, clippy::needless_range_loop)]
#[inline(always)]
unsafe fn tile<U: Unit, F: Form, const R: usize>(t: &Tile) {
    for part in 0..WIDTH / U::LANES {
        let lane = part * U::LANES;
        let Some(columns @ 1..) = t.columns.checked_sub(lane) else { return };
        let columns = columns.min(U::LANES);
        let out = t.out.wrapping_add(lane);
        let mut at = t.stretches;
        // SAFETY: the caller's contract.
        unsafe {
            let mut sums = [U::splat(0.); R];
            if t.add {
                for r in 0..R {
                    sums[r] = U::some(out.wrapping_add(r * t.stride), columns);
                }
            }
            for span in t.xs.chunks_exact(F::SPAN * R) {
                let scales = at.wrapping_add(F::SPAN * F::NUMBERS);
                let shared = F::shared::<U>(scales, lane);
                for (i, xs) in span.as_chunks::<R>().0.iter().enumerate() {
                    let numbers = at.wrapping_add(i * F::NUMBERS + lane * QUAD);
                    let bytes = F::numbers::<U>(numbers);
                    let [scale, minimum] = F::scales::<U>(shared, scales, i * F::GROUPS, lane);
                    let [next, next_minimum] = if F::GROUPS == 2 {
                        F::scales::<U>(shared, scales, i * F::GROUPS + 1, lane)
                    } else {
                        [scale, minimum]
                    };
                    for r in 0..R {
                        let x = &xs[r];
                        let mut dot = U::ints(x.start[0]);
                        if F::GROUPS == 1 {
                            for n in 0..8 {
                                dot = U::dot(F::WIDE, dot, bytes[n], x.quads[n]);
                            }
                            let scale = U::mul(scale, U::splat(x.scale));
                            sums[r] = U::fma(U::floats(dot), scale, sums[r]);
                        } else {
                            let mut other = U::ints(x.start[1]);
                            for n in 0..4 {
                                dot = U::dot(F::WIDE, dot, bytes[n], x.quads[n]);
                                other = U::dot(F::WIDE, other, bytes[n + 4], x.quads[n + 4]);
                            }
                            let both = U::fma(U::floats(other), next, U::mul(U::floats(dot), scale));
                            sums[r] = U::fma(both, U::splat(x.scale), sums[r]);
                        }
                        if F::MINIMUM {
                            sums[r] = U::fnma(minimum, U::splat(x.sums[0]), sums[r]);
                            if F::GROUPS == 2 {
                                sums[r] = U::fnma(next_minimum, U::splat(x.sums[1]), sums[r]);
                            }
                        }
                    }
                }
                at = at.wrapping_add(F::STEP);
            }
            for r in 0..R {
                U::put_some(sums[r], out.wrapping_add(r * t.stride), columns);
            }
        }
    }
}

/// Chooses the tile by its rows.
macro_rules! by_rows {
    ($unit:ty, $form:ty, $tile:expr, [$($rows:literal)*]) => {
        match $tile.rows {
            $($rows => tile::<$unit, $form, $rows>($tile),)*
            _ => {}
        }
    };
}

/// The functions of a level: tiles of few rows, of many, and what opens panels.
macro_rules! functions {
    (
        $unit:ty, [$($few_rows:literal)*], [$($rows:literal)*],
        $few:ident, $many:ident, $open:ident $(, $features:literal)?
    ) => {
        $(#[target_feature(enable = $features)])?
        #[allow(unsafe_code)]
        unsafe fn $few<F: Form>(t: &Tile) {
            // SAFETY: the caller's contract.
            unsafe { by_rows!($unit, F, t, [$($few_rows)*]) }
        }

        $(#[target_feature(enable = $features)])?
        #[allow(unsafe_code)]
        unsafe fn $many<F: Form>(t: &Tile) {
            // SAFETY: the caller's contract.
            unsafe { by_rows!($unit, F, t, [$($rows)*]) }
        }

        $(#[target_feature(enable = $features)])?
        #[allow(unsafe_code)]
        unsafe fn $open<F: Form>(stretches: *const u8, count: usize, out: *mut u8) {
            // SAFETY: the caller's contract.
            unsafe { open::<$unit, F>(stretches, count / F::SPAN, out) }
        }
    };
}

functions!(Portable, [1 2 3 4], [1 2 3 4], few_portable, many_portable, open_portable);
#[cfg(target_arch = "x86_64")]
functions!(Half, [1 2 3 4], [1 2 3 4], few_256, many_256, open_256, "avx2,fma");
#[cfg(target_arch = "x86_64")]
functions!(
    Wide, [1 2 3 4 5 6 7 8], [1 2 3 4 5 6 7 8 9 10 11 12],
    few_512, many_512, open_512, "avx512f,avx512bw,avx512vnni"
);

/// The kernel of a level and a kind.
pub(super) fn kernel(level: Level, kind: Kind) -> Kernel {
    macro_rules! kernel {
        ($unit:ty, $most:expr, $few:ident, $many:ident, $open:ident) => {{
            macro_rules! of {
                ($bits:literal, $shares:literal, $groups:literal, $minimum:literal) => {
                    Kernel {
                        // to unpack the numbers three times takes less time than to write them down
                        few: 3 * $most[0],
                        most: $most,
                        offset: kind.offset(),
                        packed: $few::<Packed<$bits, $shares, $groups, $minimum>>,
                        open: $open::<Packed<$bits, $shares, $groups, $minimum>>,
                        opened: $many::<Open<$groups, $minimum>>,
                        step: Open::<$groups, $minimum>::STEP,
                    }
                };
            }
            match kind {
                // nothing to open
                Kind::Q8_0 => Kernel {
                    few: usize::MAX,
                    most: [$most[1]; 2],
                    offset: if <$unit>::SIGNED { 0 } else { kind.offset() },
                    packed: $many::<Packed<8, false, 1, false>>,
                    ..of!(8, false, 1, false)
                },
                Kind::Q4_0 => of!(4, false, 1, false),
                Kind::Q4_1 => of!(4, false, 1, true),
                Kind::Q5_0 => of!(5, false, 1, false),
                Kind::Q5_1 => of!(5, false, 1, true),
                Kind::Q2_K => of!(2, true, 2, true),
                Kind::Q3_K => of!(3, true, 2, false),
                Kind::Q4_K => of!(4, true, 1, true),
                Kind::Q5_K => of!(5, true, 1, true),
                Kind::Q6_K => of!(6, true, 2, false),
            }
        }};
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Products => kernel!(Wide, [8, 12], few_512, many_512, open_512),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512 => kernel!(Half, [4, 4], few_256, many_256, open_256),
        _ => kernel!(Portable, [4, 4], few_portable, many_portable, open_portable),
    }
}
