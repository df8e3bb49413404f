//! Products of few rows, which read the right matrix once, where it lies.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::array::from_fn;
use std::ptr::null;

use super::blocks::{Target, finish, micro};
use super::lanes::{View, bits, interleave, with_buffer};
use super::tile::{Kind, Scales, Tile};
use super::{Matrix, Then, Threads};
use crate::level::{Level, dispatched};

/// Up to so many rows, dot products with columns that lie in one piece are faster than to pack them.
const DOT_ROWS: usize = 16;

/// Values of the right matrix that are worth a task.
const TASK: usize = 1 << 16;

/// Computes the product if there are few rows and the right matrix lies well; says whether it did.
///
/// # Safety
/// `out` points at the product's rows, which nobody else uses meanwhile; `a` and `b` fit, and so does `then`.
#[allow(unsafe_code)]
pub(super) unsafe fn few(
    level: Level,
    a: Matrix,
    b: Matrix,
    (out, add): (Target, bool),
    threads: Threads,
    then: Then,
) -> bool {
    let ((m, k), n) = (a.size, b.size.1);
    if k == 0 || m == 0 {
        return false;
    }
    let dots = m <= DOT_ROWS && b.stride.0 == 1 && a.stride.1 == 1;
    let width = micro(Kind::Single, level).columns;
    if !dots && !(m <= micro(Kind::Single, level).rows && b.stride.1 == 1 && n >= width) {
        return false;
    }
    let columns = (TASK / k).max(1).next_multiple_of(width);
    let task = |start: usize| {
        let range = start..n.min(start + columns);
        // SAFETY: the caller's contract; tasks have different columns.
        unsafe {
            if dots {
                by_dots(level, a, b, (out, add), range, then.columns);
            } else {
                by_rows(level, a, b, (out, add), range, then.columns);
            }
        }
    };
    let tasks = n.div_ceil(columns);
    if threads == Threads::One || tasks == 1 || rayon::current_num_threads() == 1 {
        (0..tasks).for_each(|i| task(i * columns));
    } else {
        (0..tasks).into_par_iter().with_max_len(1).for_each(|i| task(i * columns));
    }
    // SAFETY: all of the product is written.
    unsafe { finish(level, &then, out, add, (0..m, 0..n), (0, 0)) }
    true
}

/// Dot products of rows with columns that lie in one piece, four by four.
#[allow(unsafe_code)]
unsafe fn by_dots(
    level: Level,
    a: Matrix,
    b: Matrix,
    (out, add): (Target, bool),
    columns: std::ops::Range<usize>,
    bias: Option<&[f32]>,
) {
    let (m, k) = a.size;
    let blocks = m.div_ceil(4);
    let row = |i: usize| &a.values[i * a.stride.0..][..k];
    let column = |i: usize| &b.values[i * b.stride.1..][..k];
    let put = |row: usize, column: usize, sums: &[f32]| {
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe {
                let place = out.values.add(row * out.stride + column + i);
                let base = if add { *place } else { bias.map_or(0., |bias| bias[column + i]) };
                *place = base + sum;
            }
        }
    };
    let mut start = columns.start;
    while start < columns.end {
        let four = columns.end - start >= 4;
        for block in 0..blocks {
            let (first, next) = (block * m / blocks, (block + 1) * m / blocks);
            macro_rules! dots {
                ($rows:literal, $columns:literal) => {{
                    let (x, w) = (from_fn(|i| row(first + i)), from_fn(|i| column(start + i)));
                    let sums = dispatched(level, Dots::<$rows, $columns> { x, w });
                    sums.iter().enumerate().for_each(|(i, sums)| put(first + i, start, sums));
                }};
            }
            match (next - first, four) {
                (1, true) => dots!(1, 4),
                (2, true) => dots!(2, 4),
                (3, true) => dots!(3, 4),
                (4, true) => dots!(4, 4),
                (1, false) => dots!(1, 1),
                (2, false) => dots!(2, 1),
                (3, false) => dots!(3, 1),
                _ => dots!(4, 1),
            }
        }
        start += if four { 4 } else { 1 };
    }
}

struct Dots<'a, const R: usize, const C: usize> {
    x: [&'a [f32]; R],
    w: [&'a [f32]; C],
}

impl<const R: usize, const C: usize> WithSimd for Dots<'_, R, C> {
    type Output = [[f32; C]; R];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let mut sums = [[simd.splat_f32s(0.); C]; R];
        let count = S::as_simd_f32s(self.x[0]).0.len();
        let mut x: [&[S::f32s]; R] = [&[]; R];
        let mut w: [&[S::f32s]; C] = [&[]; C];
        for r in 0..R {
            x[r] = &S::as_simd_f32s(self.x[r]).0[..count];
        }
        for c in 0..C {
            w[c] = &S::as_simd_f32s(self.w[c]).0[..count];
        }
        for i in 0..count {
            for c in 0..C {
                let column = w[c][i];
                for r in 0..R {
                    sums[r][c] = simd.mul_add_e_f32s(x[r][i], column, sums[r][c]);
                }
            }
        }
        let mut dots = [[0.; C]; R];
        for r in 0..R {
            let x_rest = S::as_simd_f32s(self.x[r]).1;
            for c in 0..C {
                let w_rest = S::as_simd_f32s(self.w[c]).1;
                let rest: f32 = x_rest.iter().zip(w_rest).map(|(x, w)| x * w).sum();
                dots[r][c] = simd.reduce_sum_f32s(sums[r][c]) + rest;
            }
        }
        dots
    }
}

/// One tile of all rows for each panel of columns, read where the rows of `b` lie; a panel that is not full is
/// packed.
#[allow(unsafe_code)]
unsafe fn by_rows(
    level: Level,
    a: Matrix,
    b: Matrix,
    (out, add): (Target, bool),
    columns: std::ops::Range<usize>,
    bias: Option<&[f32]>,
) {
    let micro = micro(Kind::Single, level);
    let ((m, k), width) = (a.size, micro.columns);
    let whole = columns.len() % width == 0;
    with_buffer(m * k + if whole { 0 } else { width * k }, |buffer| {
        let (packed, rest) = buffer.split_at_mut(m * k);
        interleave(level, View { values: bits(a.values), stride: a.stride }, m, k, m, packed);
        for column in columns.clone().step_by(width) {
            let count = width.min(columns.end - column);
            let lanes = &bits(b.values)[column..];
            if count < width {
                interleave(level, View { values: lanes, stride: (1, b.stride.0) }, count, k, width, rest);
            }
            let (lanes, b_step) = if count < width { (&*rest, width) } else { (lanes, b.stride.0) };
            // SAFETY: a whole panel lies inside the rows of `b`, another one in the buffer; the rest is the caller's.
            unsafe {
                let out_place = out.values.add(column);
                let (base, base_stride) = match bias {
                    _ if add => (out_place.cast_const(), out.stride),
                    Some(bias) => (bias.as_ptr().add(column), 0),
                    None => (null(), 0),
                };
                (micro.run)(&Tile {
                    depth: k,
                    rows: m,
                    columns: count,
                    a: packed.as_ptr(),
                    b: lanes.as_ptr(),
                    b_step,
                    out: out_place,
                    out_stride: out.stride,
                    base,
                    base_stride,
                    scales: Scales::NONE,
                })
            }
        }
    });
}
