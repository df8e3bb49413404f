//! New buffers: filled in tasks spread over the cores, without being set to zero first.
//!
//! How a buffer is cut into tasks depends on its size alone, so results do not depend on the number of threads.

use crate::elementary::{Fma, with_fma};
use crate::level::Level;
use crate::rows::rows_per_task;
use rayon::prelude::*;
use std::array::from_fn;
use std::hint::black_box;
use std::mem::{MaybeUninit, take};

/// So many values are computed by the calling thread: some 20 microseconds of work.
pub const ALONE: usize = 32_768;

/// Values in a task.
pub const TASK: usize = 16_384;

/// A row of a new buffer, still without values.
pub struct Fresh<'a> {
    values: &'a mut [MaybeUninit<f32>],
    written: bool,
}

impl<'a> Fresh<'a> {
    #[inline(always)]
    fn new(values: &'a mut [MaybeUninit<f32>]) -> Self {
        Self { values, written: false }
    }

    /// Writes `f` of the inputs' values at each place, and returns the row. `f` must be `#[inline(always)]`.
    #[inline(always)]
    pub fn write<const N: usize>(&mut self, inputs: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> &mut [f32] {
        let len = self.values.len();
        let inputs = inputs.map(
            #[inline(always)]
            |xs| &xs[..len],
        );
        for (i, y) in self.values.iter_mut().enumerate() {
            y.write(f(at(&inputs, i)));
        }
        self.written = true;
        // SAFETY: `MaybeUninit<f32>` has the layout of `f32`, and each of the values was written above.
        #[allow(unsafe_code)]
        unsafe {
            &mut *(self.values as *mut [MaybeUninit<f32>] as *mut [f32])
        }
    }

    /// Calls `f` with the number and the row of each of the shorter rows that make up this one.
    #[inline(always)]
    pub fn parts(&mut self, width: usize, f: impl Fn(usize, &mut Fresh)) {
        for (i, values) in self.values.chunks_mut(width.max(1)).enumerate() {
            let mut part = Fresh::new(values);
            f(i, &mut part);
            part.finish();
        }
        self.written = true;
    }

    // a row that was not written becomes zero, never what lay there
    #[inline(always)]
    fn finish(self) {
        if !self.written {
            self.values.fill(MaybeUninit::new(0.));
        }
    }
}

#[inline(always)]
fn at<const N: usize>(inputs: &[&[f32]; N], i: usize) -> [f32; N] {
    from_fn(
        #[inline(always)]
        |n| inputs[n][i],
    )
}

/// `f` of each place and the inputs' values there; the inputs are equally long. `f` must be `#[inline(always)]`.
pub fn map<const N: usize, const M: usize>(
    level: Level,
    inputs: [&[f32]; N],
    f: impl Fn(Fma, usize, [f32; N]) -> [f32; M] + Sync,
) -> [Vec<f32>; M] {
    let len = inputs[0].len();
    let task = |task: usize, outs: [&mut [MaybeUninit<f32>]; M]| {
        let inputs = inputs.map(|xs| &xs[task * TASK..][..outs[0].len()]);
        with_fma(
            level,
            #[inline(always)]
            |m| map_task(m, task * TASK, inputs, outs, &f),
        );
    };
    // SAFETY: `map_task` writes every value.
    #[allow(unsafe_code)]
    let (outs, _) = unsafe { buffers(len, TASK, task) };
    outs
}

#[inline(always)]
fn map_task<const N: usize, const M: usize>(
    m: Fma,
    first: usize,
    inputs: [&[f32]; N],
    mut outs: [&mut [MaybeUninit<f32>]; M],
    f: &impl Fn(Fma, usize, [f32; N]) -> [f32; M],
) {
    let len = outs[0].len();
    let inputs = inputs.map(
        #[inline(always)]
        |xs| &xs[..len],
    );
    let outs = outs.each_mut().map(
        #[inline(always)]
        |ys| &mut ys[..len],
    );
    // several slices by one index: the compiler sees no zip of so many
    #[allow(clippy::needless_range_loop)]
    for i in 0..len {
        let ys = f(m, first + i, at(&inputs, i));
        for n in 0..M {
            outs[n][i].write(ys[n]);
        }
    }
}

/// New buffers of `count` rows of `width`: `f` has a row's number, its parts of the buffers and the task's state, and
/// must be `#[inline(always)]`. The states stand in the order of the rows.
pub fn rows<const M: usize, T: Send>(
    level: Level,
    (count, width): (usize, usize),
    state: impl Fn() -> T + Sync,
    f: impl Fn(Fma, usize, &mut [Fresh; M], &mut T) + Sync,
) -> ([Vec<f32>; M], Vec<T>) {
    let rows = rows_per_task(width);
    let task = |task: usize, mut outs: [&mut [MaybeUninit<f32>]; M]| {
        let mut state = state();
        with_fma(
            level,
            #[inline(always)]
            |m| {
                for row in 0..outs[0].len() / width {
                    let mut outs = outs.each_mut().map(
                        #[inline(always)]
                        |out| Fresh::new(&mut out[row * width..][..width]),
                    );
                    f(m, task * rows + row, &mut outs, &mut state);
                    outs.into_iter().for_each(Fresh::finish);
                }
            },
        );
        state
    };
    // SAFETY: the parts are whole rows, since a task and the buffer are, and a row that `f` leaves alone is written by
    // `finish`.
    #[allow(unsafe_code)]
    unsafe {
        buffers(count * width, rows * width, task)
    }
}

/// New buffers of `len` values: `f` has the number of a task, and its parts of the buffers, of `size` values each save
/// the last. The results stand in the order of the tasks.
///
/// # Safety
/// `f` must write every value of its parts.
#[allow(unsafe_code)]
pub(crate) unsafe fn buffers<const M: usize, T: Send>(
    len: usize,
    size: usize,
    f: impl Fn(usize, [&mut [MaybeUninit<f32>]; M]) -> T + Sync,
) -> ([Vec<f32>; M], Vec<T>) {
    let mut outs: [Vec<f32>; M] = from_fn(|_| Vec::with_capacity(len));
    let mut rest = outs.each_mut().map(|out| &mut out.spare_capacity_mut()[..len]);
    let tasks = (0..len).step_by(size.max(1)).map(|start| {
        rest.each_mut().map(|values| {
            let (part, after) = take(values).split_at_mut(size.min(len - start));
            *values = after;
            part
        })
    });
    let results = each(tasks.enumerate().collect(), len * M <= ALONE, |(task, parts)| f(task, parts));
    for out in &mut outs {
        // SAFETY: the parts of the tasks cover the first `len` values, and `f` has written each of its part.
        unsafe { out.set_len(len) };
    }
    (outs, results)
}

/// `f` of each task, in their order; by the calling thread where `alone`, or where there is no other.
pub fn each<I: Send, T: Send>(tasks: Vec<I>, alone: bool, f: impl Fn(I) -> T + Sync + Send) -> Vec<T> {
    if alone || tasks.len() < 2 || rayon::current_num_threads() == 1 {
        return tasks.into_iter().map(f).collect();
    }
    tasks.into_par_iter().map(f).collect()
}

const LANES: usize = 32;

/// Sums over the places of the inputs, which are equally long: in lanes, as registers add, and in blocks, so that the
/// rounding of long rows does not add up. `f` must be `#[inline(always)]`.
// Plain loops over arrays of constant size, and no `map`, which is not inlined everywhere: only then do lanes stay in
// registers.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
pub fn sums<const N: usize, const K: usize>(
    inputs: [&[f32]; N],
    f: impl Fn([f32; N]) -> [f32; K],
) -> [f32; K] {
    const BLOCK: usize = 256;
    let len = inputs[0].len();
    let (mut whole, mut rest): ([&[[f32; LANES]]; N], [&[f32]; N]) = ([&[]; N], [&[]; N]);
    for n in 0..N {
        (whole[n], rest[n]) = inputs[n][..len].as_chunks();
    }
    let mut sums = [[0f32; LANES]; K];
    let mut start = 0;
    while start < len / LANES {
        let end = (start + BLOCK).min(len / LANES);
        let mut lanes = [[0f32; LANES]; K];
        for i in start..end {
            let mut block = [&[0f32; LANES]; N];
            for n in 0..N {
                block[n] = &whole[n][i];
            }
            add_terms(&mut lanes, block, LANES, &f);
        }
        for k in 0..K {
            for lane in 0..LANES {
                sums[k][lane] += lanes[k][lane];
            }
        }
        start = end;
    }
    if !len.is_multiple_of(LANES) {
        let mut padded = [[0f32; LANES]; N];
        for n in 0..N {
            padded[n][..rest[n].len()].copy_from_slice(rest[n]);
        }
        add_terms(&mut sums, padded.each_ref(), len % LANES, &f);
    }
    let mut totals = [0f32; K];
    for k in 0..K {
        totals[k] = folded(
            &sums[k],
            #[inline(always)]
            |a, b| a + b,
        );
    }
    totals
}

// adds the terms of the first `count` places
#[inline(always)]
fn add_terms<const N: usize, const K: usize>(
    lanes: &mut [[f32; LANES]; K],
    block: [&[f32; LANES]; N],
    count: usize,
    f: &impl Fn([f32; N]) -> [f32; K],
) {
    let mut terms = [[0f32; LANES]; K];
    for lane in 0..LANES {
        let mut xs = [0f32; N];
        for n in 0..N {
            xs[n] = block[n][lane];
        }
        let found = f(xs);
        for k in 0..K {
            terms[k][lane] = if lane < count { found[k] } else { 0. };
        }
    }
    for k in 0..K {
        for lane in 0..LANES {
            lanes[k][lane] += terms[k][lane];
        }
    }
}

/// The largest value; NaN counts for nothing, and the largest of nothing is negative infinity.
#[inline(always)]
pub fn largest(xs: &[f32]) -> f32 {
    let Some(last) = xs.last_chunk::<LANES>() else {
        let mut top = f32::NEG_INFINITY;
        for &x in xs {
            top = larger(top, x);
        }
        return top;
    };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in xs.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], block[lane]);
        }
    }
    // overlaps the block before where the length is odd
    for lane in 0..LANES {
        lanes[lane] = larger(lanes[lane], last[lane]);
    }
    folded(&lanes, larger)
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

// The steps are written to memory in between: seen as one expression, the compiler takes it apart into pairs.
#[inline(always)]
fn folded(lanes: &[f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut halves = [0f32; LANES / 2];
    for i in 0..LANES / 2 {
        halves[i] = f(lanes[i], lanes[i + LANES / 2]);
    }
    let halves = black_box(halves);
    let mut four = [0f32; 4];
    for i in 0..4 {
        four[i] = f(f(halves[i], halves[i + 8]), f(halves[i + 4], halves[i + 12]));
    }
    let four = black_box(four);
    f(f(four[0], four[2]), f(four[1], four[3]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;

    #[test]
    fn buffers_are_whole_at_any_size() {
        for level in levels() {
            for len in [0, 1, 31, TASK, TASK + 1, 5 * TASK + 7] {
                let xs: Vec<f32> = (0..len).map(|i| i as f32).collect();
                let [ys, zs] = map(level, [&xs, &xs], |_, _, [a, b]| [a + b, a - b + 1.]);
                assert!(ys.iter().zip(&xs).all(|(y, x)| *y == 2. * x) && ys.len() == len);
                assert!(zs.iter().all(|z| *z == 1.) && zs.len() == len);
            }
            for (count, width) in [(0, 5), (5, 0), (1, 1), (3, TASK + 1), (4000, 17)] {
                let xs: Vec<f32> = (0..count * width).map(|i| i as f32).collect();
                let ([ys, zs], states) = rows(
                    level,
                    (count, width),
                    || 0,
                    |_, row, [y, _], state| {
                        y.write([&xs[row * width..]], |[x]| x + 1.);
                        *state += row;
                    },
                );
                assert!(ys.iter().zip(&xs).all(|(y, x)| *y == x + 1.) && ys.len() == count * width);
                assert!(zs.iter().all(|z| *z == 0.) && zs.len() == count * width);
                let all = if width == 0 { 0 } else { (0..count).sum() };
                assert_eq!(states.into_iter().sum::<usize>(), all);
            }
        }
    }

    #[test]
    fn sums_take_the_remainder_along() {
        for count in [0, 1, 31, 32, 33, 100] {
            let xs: Vec<f32> = (0..count).map(|i| (i as f32 * 7.) % 5.).collect();
            let [sum, squares] = sums([&xs, &xs], |[x, y]| [x, x * y]);
            assert_eq!(sum, xs.iter().sum::<f32>());
            assert_eq!(squares, xs.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(largest(&xs), xs.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)));
        }
    }
}
