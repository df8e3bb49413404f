//! The inner loops: sums of shifted rows, and dot products of rows, in registers.

use pulp::{Scalar128b, Simd, WithSimd};
use std::any::TypeId;

use crate::level::{Level, dispatched};

/// Outputs that are summed at once.
pub(super) fn widest(level: Level) -> usize {
    match level {
        _ if cfg!(target_arch = "aarch64") => 8,
        Level::Portable => 4,
        Level::Avx2 => 6,
        Level::Avx512 | Level::Avx512Products => 8,
    }
}

/// Values in a register.
pub(super) fn lanes(level: Level) -> usize {
    match level {
        Level::Portable => 4,
        Level::Avx2 => 8,
        Level::Avx512 | Level::Avx512Products => 16,
    }
}

/// As [`dispatched`], with registers of four values on the portable level too.
fn wide<O: WithSimd>(level: Level, operation: O) -> O::Output {
    if level == Level::Portable && !cfg!(target_arch = "aarch64") {
        return Simd::vectorize(Scalar128b, operation);
    }
    dispatched(level, operation)
}

/// `a b + c`; in two steps where one would be a call for each value.
#[inline(always)]
fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_e_f32s(a, b, c)
    }
}

/// For a block of outputs and every vector of places the sum over channels and taps of weight times value.
pub(super) struct Sums<'a> {
    pub level: Level,
    /// Outputs in the block: 1, 2, 4, or what [`widest`] is.
    pub width: usize,
    /// (channel, tap, output)
    pub weights: &'a [f32],
    /// Values: channels at this distance,
    pub tile: &'a [f32],
    pub channel: usize,
    /// in each of them taps at these,
    pub taps: &'a [usize],
    /// and vectors of places at these.
    pub at: &'a [usize],
    /// (output, place), outputs at this distance.
    pub sums: &'a mut [f32],
    pub row: usize,
    /// Whether to add to what is there.
    pub add: bool,
}

impl Sums<'_> {
    pub fn run(self) {
        wide(self.level, self);
    }
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // 4 times 3 sums with their values and a weight are sixteen registers, of which the compiler spills some: half
        // the speed
        let many = S::REGISTER_COUNT >= 32;
        match self.width {
            8 => columns::<S, 8, 3>(simd, self),
            6 => columns::<S, 6, 2>(simd, self),
            4 if many => columns::<S, 4, 6>(simd, self),
            4 => columns::<S, 4, 2>(simd, self),
            2 if many => columns::<S, 2, 8>(simd, self),
            2 => columns::<S, 2, 4>(simd, self),
            _ => columns::<S, 1, 8>(simd, self),
        }
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn columns<S: Simd, const M: usize, const V: usize>(simd: S, task: Sums) {
    let lanes = S::F32_LANES;
    let terms = M * task.taps.len();
    let channels = task.weights.len().checked_div(terms).unwrap_or(0);
    let farthest = |places: &[usize]| places.iter().max().copied().unwrap_or(0);
    let last = channels.saturating_sub(1) * task.channel + farthest(task.taps) + farthest(task.at) + lanes;
    assert!(task.width == M && last <= task.tile.len(), "a tile shorter than its taps reach");
    assert!((M - 1) * task.row + task.at.len() * lanes <= task.sums.len(), "sums that do not fit");
    let mut i = 0;
    let sums = task.sums.as_mut_ptr();
    // SAFETY: the assertions hold every vector of the tile and of the sums inside its slice, and `channels` times
    // the block's terms are within the weights.
    unsafe {
        while i + V <= task.at.len() {
            block::<S, M, V>(simd, &task, channels, i, sums);
            i += V;
        }
        while V > 4 && i + 4 <= task.at.len() {
            block::<S, M, 4>(simd, &task, channels, i, sums);
            i += 4;
        }
        while V > 2 && i + 2 <= task.at.len() {
            block::<S, M, 2>(simd, &task, channels, i, sums);
            i += 2;
        }
        while i < task.at.len() {
            block::<S, M, 1>(simd, &task, channels, i, sums);
            i += 1;
        }
    }
}

/// A register's values wherever they lie in memory. Unlike `read_unaligned` its reads are not checked for overlaps in
/// builds with assertions, which costs these loops two thirds of their speed.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Unaligned<T>(T);

/// # Safety
/// A register's values lie at `place`.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn load<S: Simd>(values: *const f32, place: usize) -> S::f32s {
    unsafe { (*values.wrapping_add(place).cast::<Unaligned<S::f32s>>()).0 }
}

/// # Safety
/// Vectors `first..first + V` exist; they, shifted by every channel and tap, lie in the tile; `sums` is the task's.
#[inline(always)]
#[allow(unsafe_code, clippy::needless_range_loop)] // by number the sums stay in registers
unsafe fn block<S: Simd, const M: usize, const V: usize>(
    simd: S,
    task: &Sums,
    channels: usize,
    first: usize,
    sums: *mut f32,
) {
    let sums = sums.wrapping_add(first * S::F32_LANES);
    let mut total = [[simd.splat_f32s(0.); V]; M];
    if task.add {
        for m in 0..M {
            for v in 0..V {
                total[m][v] = unsafe { load::<S>(sums, m * task.row + v * S::F32_LANES) };
            }
        }
    }
    let mut weights = task.weights.as_chunks::<M>().0.iter();
    let mut at = [task.tile.as_ptr(); V];
    for v in 0..V {
        at[v] = at[v].wrapping_add(task.at[first + v]);
    }
    for _ in 0..channels {
        for (&tap, weights) in task.taps.iter().zip(weights.by_ref()) {
            let mut values = [simd.splat_f32s(0.); V];
            for v in 0..V {
                values[v] = unsafe { load::<S>(at[v], tap) };
            }
            for m in 0..M {
                let weight = simd.splat_f32s(weights[m]);
                for v in 0..V {
                    total[m][v] = multiply_add(simd, weight, values[v], total[m][v]);
                }
            }
        }
        for v in 0..V {
            at[v] = at[v].wrapping_add(task.channel);
        }
    }
    for m in 0..M {
        for v in 0..V {
            let place = sums.wrapping_add(m * task.row + v * S::F32_LANES);
            unsafe { *place.cast::<Unaligned<S::f32s>>() = Unaligned(total[m][v]) };
        }
    }
}

/// Rows that [`Dots`] may read at once.
pub(super) const ROWS: usize = 12;

/// Dot products over all places of rows of `a` with every shifted channel of a tile, added to `sums`.
pub(super) struct Dots<'a> {
    pub level: Level,
    /// [`ROWS`] rows, of which so many are used, of zero-padded lines: `lines` of `pitch` values, whose first
    /// `columns` count.
    pub a: &'a [f32],
    pub rows: usize,
    pub lines: usize,
    pub pitch: usize,
    pub columns: usize,
    /// Values, and where in them the first line of each shifted channel begins; lines have this distance.
    pub tile: &'a [f32],
    pub at: &'a [usize],
    pub width: usize,
    /// (row of `a`, shifted channel)
    pub sums: &'a mut [f32],
}

impl Dots<'_> {
    pub fn run(self) {
        wide(self.level, self);
    }
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::REGISTER_COUNT >= 32, self.rows) {
            (true, 1) => dots::<S, 1, 6>(simd, self),
            (true, _) => dots::<S, 4, 6>(simd, self),
            (false, 1) => dots::<S, 1, 4>(simd, self),
            (false, _) => dots::<S, 3, 4>(simd, self),
        }
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn dots<S: Simd, const A: usize, const B: usize>(simd: S, task: Dots) {
    let (row, count) = (task.lines * task.pitch, task.at.len());
    if row == 0 || count == 0 {
        return;
    }
    let last = task.at.iter().max().copied().unwrap_or(0) + (task.lines - 1) * task.width + task.pitch;
    assert!(
        task.pitch.is_multiple_of(S::F32_LANES) && task.columns <= task.pitch,
        "lines that are no vectors"
    );
    assert!(
        ROWS.is_multiple_of(A) && task.a.len() == ROWS * row && task.rows <= ROWS,
        "rows that do not fit"
    );
    assert!(last <= task.tile.len(), "a tile shorter than its taps reach");
    for first in (0..count).step_by(B) {
        // channels that are lacking repeat the last one, whose result is dropped
        let at: [usize; B] = std::array::from_fn(|j| task.at[(first + j).min(count - 1)]);
        let used = B.min(count - first);
        for top in (0..task.rows).step_by(A) {
            let mut found = [[0f32; B]; A];
            // SAFETY: the assertions hold the last vector of the last line of every row and channel inside its slice.
            unsafe { dot_block(simd, &task, top * row, at, &mut found) };
            for (i, found) in found.iter().enumerate().take(task.rows - top) {
                let sums = &mut task.sums[(top + i) * count + first..][..used];
                sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
            }
        }
    }
}

/// # Safety
/// At `top` begin so many rows of the task, and the lines of the tile that begin at `at` are within it up to the last
/// vector.
#[inline(always)]
#[allow(unsafe_code, clippy::needless_range_loop)] // by number the sums stay in registers
unsafe fn dot_block<S: Simd, const A: usize, const B: usize>(
    simd: S,
    task: &Dots,
    top: usize,
    at: [usize; B],
    found: &mut [[f32; B]; A],
) {
    let lanes = S::F32_LANES;
    let tail = simd.mask_between_m32s(0, (task.columns % lanes) as u32).mask();
    let whole = task.columns / lanes * lanes;
    let row = task.lines * task.pitch;
    let mut sums = [[simd.splat_f32s(0.); B]; A];
    for line in 0..task.lines {
        let a = task.a.as_ptr().wrapping_add(top + line * task.pitch);
        let mut channels = [task.tile.as_ptr(); B];
        for j in 0..B {
            channels[j] = channels[j].wrapping_add(at[j] + line * task.width);
        }
        let mut place = 0;
        while place < whole {
            let mut rows = [simd.splat_f32s(0.); A];
            for i in 0..A {
                rows[i] = unsafe { load::<S>(a, i * row + place) };
            }
            for j in 0..B {
                let value = unsafe { load::<S>(channels[j], place) };
                for i in 0..A {
                    sums[i][j] = multiply_add(simd, rows[i], value, sums[i][j]);
                }
            }
            place += lanes;
        }
        if place < task.columns {
            for j in 0..B {
                // what lies beyond the line may be infinite, and no zero would hide it
                let value = unsafe { load::<S>(channels[j], place) };
                let value = simd.select_f32s(tail, value, simd.splat_f32s(0.));
                for i in 0..A {
                    let row = unsafe { load::<S>(a, i * row + place) };
                    sums[i][j] = multiply_add(simd, row, value, sums[i][j]);
                }
            }
        }
    }
    for i in 0..A {
        for j in 0..B {
            found[i][j] = simd.reduce_sum_f32s(sums[i][j]);
        }
    }
}
