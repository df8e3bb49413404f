//! Rows of f32 as lanes of bf16 or of bytes, and sums of columns.

use half::bf16;
use rayon::prelude::*;

use crate::gemm::Matrix;
use crate::gemm::lanes::pair;
use crate::level::{Level, compiled};
use crate::rows;

/// Values that are worth a task.
const TASK: usize = 1 << 15;

/// Runs `f` for each row of `width` lanes of `out`, with its number; over the cores if there are many.
fn each_row<T: Send>(out: &mut [T], width: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if width == 0 {
        return;
    }
    if out.len() <= TASK {
        return out.chunks_mut(width).enumerate().for_each(|(row, out)| f(row, out));
    }
    let rows = (TASK / width).max(1);
    out.par_chunks_mut(rows * width).enumerate().for_each(|(task, out)| {
        out.chunks_mut(width).enumerate().for_each(|(row, out)| f(task * rows + row, out));
    });
}

/// Rows filled up with zeros to an even width.
pub(super) fn even(xs: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.; xs.len() / width.max(1) * width.next_multiple_of(2)];
    each_row(&mut out, width.next_multiple_of(2), |row, out| {
        out[..width].copy_from_slice(&xs[row * width..][..width]);
    });
    out
}

/// Rows as pairs of bf16, rounded to the nearest; an odd width is filled up with a zero.
pub(super) fn pairs(level: Level, xs: &[f32], width: usize) -> Vec<u32> {
    let lanes = width.div_ceil(2);
    let mut out = vec![0; xs.len() / width.max(1) * lanes];
    each_row(&mut out, lanes, |row, out| {
        let xs = &xs[row * width..][..width];
        compiled(
            level,
            #[inline(always)]
            || {
                let (twos, rest) = xs.as_chunks::<2>();
                for (out, two) in out.iter_mut().zip(twos) {
                    *out = pair(two[0], two[1]);
                }
                if let ([x], Some(out)) = (rest, out.last_mut()) {
                    *out = pair(*x, 0.);
                }
            },
        );
    });
    out
}

/// Rows of bf16 as pairs; an odd width is filled up with a zero.
pub(super) fn pairs_of(xs: &[bf16], width: usize) -> Vec<u32> {
    let lanes = width.div_ceil(2);
    let mut out = vec![0; xs.len() / width.max(1) * lanes];
    each_row(&mut out, lanes, |row, out| {
        for (out, two) in out.iter_mut().zip(xs[row * width..][..width].chunks(2)) {
            let high = two.get(1).map_or(0, |x| x.to_bits());
            *out = two[0].to_bits() as u32 | (high as u32) << 16;
        }
    });
    out
}

/// Rows as bytes, four to a lane, each row with a scale such that its largest value is 127. A row with a NaN or an
/// infinity has the scale NaN. `offset` is added to each byte, also to those that fill up the last lane.
pub(super) fn quads(
    level: Level,
    xs: &[f32],
    (rows, width): (usize, usize),
    offset: i32,
) -> (Vec<u32>, Vec<f32>) {
    let lanes = width.div_ceil(4);
    let mut values = vec![0u32; rows * lanes];
    let mut scales = vec![0f32; rows];
    if let Some(few) = TASK.checked_div(width) {
        let few = few.max(1);
        let fill = |(scales, xs): (&mut [f32], &[f32])| {
            scales.iter_mut().zip(xs.chunks(width)).for_each(|(out, row)| *out = scale(level, row));
        };
        if rows <= few {
            fill((&mut scales, xs));
        } else {
            scales.par_chunks_mut(few).zip(xs.par_chunks(few * width)).for_each(fill);
        }
    }
    each_row(&mut values, lanes, |row, out| {
        let factor = if scales[row] > 0. { 1. / scales[row] } else { 0. };
        let xs = &xs[row * width..][..width];
        compiled(
            level,
            #[inline(always)]
            || quantised(xs, factor, offset, out),
        );
    });
    (values, scales)
}

#[inline(always)]
fn quantised(xs: &[f32], factor: f32, offset: i32, out: &mut [u32]) {
    let (fours, rest) = xs.as_chunks::<4>();
    for (out, four) in out.iter_mut().zip(fours) {
        *out = quad(*four, factor, offset);
    }
    if let (1.., Some(out)) = (rest.len(), out.last_mut()) {
        let mut four = [0.; 4];
        four[..rest.len()].copy_from_slice(rest);
        *out = quad(four, factor, offset);
    }
}

#[inline(always)]
fn quad(four: [f32; 4], factor: f32, offset: i32) -> u32 {
    const ROUND: f32 = 12_582_912.; // adding it leaves the nearest integer in the low bits
    let start = offset.wrapping_sub(ROUND.to_bits() as i32);
    let byte = |x: f32| ((x * factor + ROUND).to_bits() as i32).wrapping_add(start) as u32 & 0xff;
    byte(four[0]) | byte(four[1]) << 8 | byte(four[2]) << 16 | byte(four[3]) << 24
}

/// A 127th of a row's largest magnitude; NaN if a value is not finite.
fn scale(level: Level, row: &[f32]) -> f32 {
    compiled(
        level,
        #[inline(always)]
        || largest(row) / 127.,
    )
}

#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    // the second of each is a sum of zeros, or NaN
    let mut lanes = [(0f32, 0f32); 16];
    let (sixteens, rest) = row.as_chunks::<16>();
    for xs in sixteens {
        for (lane, &x) in lanes.iter_mut().zip(xs) {
            *lane = (if x.abs() > lane.0 { x.abs() } else { lane.0 }, lane.1 + x * 0.);
        }
    }
    let (mut largest, mut poison) = (0f32, 0f32);
    for (x, zero) in lanes.into_iter().chain(rest.iter().map(|&x| (x, x * 0.))) {
        largest = if x.abs() > largest { x.abs() } else { largest };
        poison += zero;
    }
    largest + poison
}

/// The sum of each column, from the first row to the last.
pub(super) fn column_sums(xs: Matrix) -> Vec<f32> {
    let ((rows, columns), (down, _)) = (xs.size, xs.stride);
    let mut sums = vec![0f32; columns];
    let add = |(task, sums): (usize, &mut [f32])| {
        rows::vectorised(
            #[inline(always)]
            || {
                for row in 0..rows {
                    let xs = &xs.values[row * down + task * COLUMNS..][..sums.len()];
                    sums.iter_mut().zip(xs).for_each(|(sum, x)| *sum += x);
                }
            },
        );
    };
    if rows * columns <= TASK {
        sums.chunks_mut(COLUMNS).enumerate().for_each(add);
    } else {
        sums.par_chunks_mut(COLUMNS).enumerate().for_each(add);
    }
    sums
}

/// Columns that a task sums up.
const COLUMNS: usize = 128;
