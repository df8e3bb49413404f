//! The inner loops: sums of shifted rows, and dot products of rows, in registers.

use pulp::{Scalar128b, Simd, WithSimd};
use std::any::TypeId;

use crate::level::{Level, dispatched};

/// Outputs that are summed at once.
pub(super) fn widest(level: Level) -> usize {
    if level >= Level::Avx512 || cfg!(target_arch = "aarch64") { 8 } else { 4 }
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
    /// Outputs in the block: 1, 2, 4, or 8 where [`widest`] is.
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
        let many = S::REGISTER_COUNT >= 32;
        match self.width {
            8 => columns::<S, 8, 3>(simd, self),
            4 if many => columns::<S, 4, 6>(simd, self),
            4 => columns::<S, 4, 3>(simd, self),
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

/// Dot products over all places of every row of `a` with every shifted channel of a tile, added to `sums`.
pub(super) struct Dots<'a> {
    pub level: Level,
    /// Rows of zero-padded lines: `lines` of `pitch` values, whose first `columns` count.
    pub a: &'a [f32],
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
        if S::REGISTER_COUNT >= 32 { dots::<S, 4, 6>(simd, self) } else { dots::<S, 3, 4>(simd, self) }
    }
}

#[inline(always)]
#[allow(unsafe_code)]
fn dots<S: Simd, const A: usize, const B: usize>(simd: S, task: Dots) {
    let row = task.lines * task.pitch;
    if row == 0 || task.at.is_empty() {
        return;
    }
    let rows = task.a.len() / row;
    let last = task.at.iter().max().copied().unwrap_or(0) + (task.lines - 1) * task.width + task.pitch;
    assert!(
        task.pitch.is_multiple_of(S::F32_LANES) && task.columns <= task.pitch,
        "lines that are no vectors"
    );
    assert!(
        last <= task.tile.len() && rows * task.at.len() <= task.sums.len(),
        "a tile shorter than its taps reach"
    );
    let mut first = 0;
    while first < rows {
        // rows and channels that are lacking repeat the last one, whose result is dropped
        let height = if rows - first == 1 { 1 } else { A.min(rows - first) };
        for (chunk, at) in task.at.chunks(B).enumerate() {
            let at: [usize; B] = std::array::from_fn(|i| at[i.min(at.len() - 1)]);
            let used = B.min(task.at.len() - chunk * B);
            // SAFETY: the assertions hold the last vector of the last line of every row and channel inside its slice.
            let found = unsafe {
                if height == 1 {
                    let [found] = dot_block::<S, 1, B>(simd, &task, [first * row], at);
                    [found; A]
                } else {
                    let a: [usize; A] = std::array::from_fn(|i| (first + i.min(height - 1)) * row);
                    dot_block::<S, A, B>(simd, &task, a, at)
                }
            };
            for (i, found) in found[..height].iter().enumerate() {
                let sums = &mut task.sums[(first + i) * task.at.len() + chunk * B..][..used];
                sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += simd.reduce_sum_f32s(*found));
            }
        }
        first += height;
    }
}

/// # Safety
/// `a` are beginnings of rows of the task, and the lines of the tile that begin at `at` are within it up to the
/// last vector.
#[inline(always)]
#[allow(unsafe_code, clippy::needless_range_loop)] // by number the sums stay in registers
unsafe fn dot_block<S: Simd, const A: usize, const B: usize>(
    simd: S,
    task: &Dots,
    a: [usize; A],
    at: [usize; B],
) -> [[S::f32s; B]; A] {
    let lanes = S::F32_LANES;
    let zero = simd.splat_f32s(0.);
    let tail = simd.mask_between_m32s(0, (task.columns % lanes) as u32).mask();
    let whole = task.columns / lanes * lanes;
    let (mut rows, mut channels) = ([task.a.as_ptr(); A], [task.tile.as_ptr(); B]);
    for i in 0..A {
        rows[i] = rows[i].wrapping_add(a[i]);
    }
    for j in 0..B {
        channels[j] = channels[j].wrapping_add(at[j]);
    }
    let mut sums = [[zero; B]; A];
    for _ in 0..task.lines {
        let mut place = 0;
        while place < task.columns {
            let mut values = [zero; A];
            for i in 0..A {
                values[i] = unsafe { load::<S>(rows[i], place) };
            }
            for j in 0..B {
                let mut value = unsafe { load::<S>(channels[j], place) };
                if place == whole {
                    // what lies beyond the line may be infinite, and no zero would hide it
                    value = simd.select_f32s(tail, value, zero);
                }
                for i in 0..A {
                    sums[i][j] = multiply_add(simd, values[i], value, sums[i][j]);
                }
            }
            place += lanes;
        }
        rows = rows.map(|row| row.wrapping_add(task.pitch));
        channels = channels.map(|channel| channel.wrapping_add(task.width));
    }
    sums
}
