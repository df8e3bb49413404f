//! Products of few rows, which read the right matrix once, where it lies.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;
use std::slice;

use super::blocks::{Target, finish};
use super::{Matrix, Then, Threads};
use crate::level::{Level, dispatched};

/// Up to so many rows, dot products are faster than to pack the right matrix.
const DOT_ROWS: usize = 40;

/// Up to so many rows, additions of the right matrix's rows are.
const ADD_ROWS: usize = 6;

/// Values of a small right matrix.
const SMALL: usize = 1 << 15;

/// Values of the right matrix that are worth a task.
const TASK: usize = 1 << 16;

/// Values of the product that stay in the first cache.
const KEPT: usize = 6144;

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
    let dots = b.stride.0 == 1 && a.stride.1 == 1;
    let most = match (dots, b.stride.1) {
        // a small matrix is packed in no time
        _ if k * n <= SMALL => 2,
        (true, _) => DOT_ROWS,
        (false, 1) => ADD_ROWS,
        _ => 0,
    };
    if m > most || !(dots || b.stride.1 == 1) {
        return false;
    }
    let columns = if dots { (TASK / k).max(4) } else { (KEPT / m).clamp(128, 1024) }.next_multiple_of(64);
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
    columns: Range<usize>,
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

// constants count the registers
#[allow(clippy::needless_range_loop)]
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

/// Rows of `b` that lie in one piece, four at a time, times their factors, added to the rows of the product.
#[allow(unsafe_code)]
unsafe fn by_rows(
    level: Level,
    a: Matrix,
    b: Matrix,
    (out, add): (Target, bool),
    columns: Range<usize>,
    bias: Option<&[f32]>,
) {
    let (m, k) = a.size;
    let factor = |row: usize, d: usize| a.values[row * a.stride.0 + d * a.stride.1];
    // SAFETY: the caller's contract: these columns of each row are this task's.
    let out_row = |row: usize| unsafe {
        slice::from_raw_parts_mut(out.values.add(row * out.stride + columns.start), columns.len())
    };
    if !add {
        for row in 0..m {
            // SAFETY: the same; written before a slice of the values is made.
            unsafe {
                let start = out.values.add(row * out.stride + columns.start);
                match bias {
                    Some(bias) => {
                        start.copy_from_nonoverlapping(bias[columns.clone()].as_ptr(), columns.len())
                    }
                    None => start.write_bytes(0, columns.len()),
                }
            }
        }
    }
    let mut d = 0;
    while d < k {
        let four = k - d >= 4;
        let row = |i: usize| &b.values[(d + i) * b.stride.0 + columns.start..][..columns.len()];
        let mut first = 0;
        while first < m {
            let rows = if m - first >= 4 { 4 } else { 1 };
            macro_rules! add_rows {
                ($rows:literal, $deep:literal) => {{
                    let factors = from_fn(|r| from_fn(|i| factor(first + r, d + i)));
                    let (b, out) = (from_fn(row), from_fn(|r| out_row(first + r)));
                    dispatched(level, AddRows::<$rows, $deep> { factors, b, out });
                }};
            }
            match (rows, four) {
                (4, true) => add_rows!(4, 4),
                (4, false) => add_rows!(4, 1),
                (_, true) => add_rows!(1, 4),
                (_, false) => add_rows!(1, 1),
            }
            first += rows;
        }
        d += if four { 4 } else { 1 };
    }
}

struct AddRows<'a, const R: usize, const D: usize> {
    factors: [[f32; D]; R],
    b: [&'a [f32]; D],
    out: [&'a mut [f32]; R],
}

// constants count the registers
#[allow(clippy::needless_range_loop)]
impl<const R: usize, const D: usize> WithSimd for AddRows<'_, R, D> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut factors = [[simd.splat_f32s(0.); D]; R];
        for r in 0..R {
            for d in 0..D {
                factors[r][d] = simd.splat_f32s(self.factors[r][d]);
            }
        }
        let count = S::as_simd_f32s(self.b[0]).0.len();
        let mut b: [&[S::f32s]; D] = [&[]; D];
        let mut b_rest: [&[f32]; D] = [&[]; D];
        for d in 0..D {
            let (whole, rest) = S::as_simd_f32s(self.b[d]);
            (b[d], b_rest[d]) = (&whole[..count], rest);
        }
        {
            let out = self.out.each_mut().map(
                #[inline(always)]
                |out| &mut S::as_mut_simd_f32s(out).0[..count],
            );
            for i in 0..count {
                for r in 0..R {
                    let mut sum = out[r][i];
                    for d in 0..D {
                        sum = simd.mul_add_e_f32s(factors[r][d], b[d][i], sum);
                    }
                    out[r][i] = sum;
                }
            }
        }
        for r in 0..R {
            let rest = S::as_mut_simd_f32s(self.out[r]).1;
            for (i, out) in rest.iter_mut().enumerate() {
                for d in 0..D {
                    *out += self.factors[r][d] * b_rest[d][i];
                }
            }
        }
    }
}
