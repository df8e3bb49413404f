//! Loops over rows of f32: their values out of candle's storage, spread over the cores, and the small loops inside.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::sync::OnceLock;

use crate::level::{Level, compiled, dispatched, level};

/// Whether the operators of this crate take the tensor: f32 on the processor, unless the environment variable
/// `ATELIER_KERNELS` is `candle`, which leaves everything to candle's own operators for comparison.
pub fn own(xs: &Tensor) -> bool {
    static CANDLE: OnceLock<bool> = OnceLock::new();
    let candle = || std::env::var("ATELIER_KERNELS").is_ok_and(|word| word == "candle");
    xs.device().is_cpu() && xs.dtype() == DType::F32 && !CANDLE.get_or_init(candle)
}

/// The contiguous values of a storage.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => refuse!("an operator on rows was given a tensor that is not contiguous: {layout:?}"),
    }
}

/// Reads contiguous f32 tensors on the processor.
pub fn read<const N: usize, R>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> R) -> Result<R> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        match &**storage {
            Storage::Cpu(storage) => *slice = values(storage, layout)?,
            _ => refuse!("an operator of the processor was given a tensor elsewhere"),
        }
    }
    Ok(f(slices))
}

/// [`compiled`] for the present level. `f` must be `#[inline(always)]`.
#[inline(always)]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    compiled(level(), f)
}

/// Rows in a task: few enough to share the work, enough to hide the sharing.
pub fn rows_per_task(width: usize) -> usize {
    (16_384 / width.max(1)).max(1)
}

/// Fills `out` in tasks of whole rows: `f` has the first row's number and the task's rows.
pub fn fill(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = rows_per_task(width);
    out.par_chunks_mut(rows * width).enumerate().for_each(|(task, chunk)| f(task * rows, chunk));
}

/// `e^x`, within two units in the last place; below -87 it stays near 1e-38 instead of falling to zero.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.; // adding it leaves the nearest integer in the low bits
    let x = if x < -87. { -87. } else { x };
    let x = if x > 88. { 88. } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * 0.693_359_4) + k * 2.121_944_4e-4; // ln 2 in two parts, the first exact in 10 bits
    let high = 1. / 6. + r * (1. / 24. + r * (1. / 120. + r * (1. / 720. + r * (1. / 5040.))));
    let e = 1. + r * (1. + r * (0.5 + r * high));
    e * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// Dot products of `x` with each of `rows`, which are as long.
pub fn dots(level: Level, x: &[f32], rows: &[f32], out: &mut [f32]) {
    dispatched(level, Dots { x, rows, out });
}

struct Dots<'a> {
    x: &'a [f32],
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, x_rest) = S::as_simd_f32s(self.x);
        let (x_fours, x_ones) = x.as_chunks::<4>();
        for (row, out) in self.rows.chunks_exact(self.x.len()).zip(self.out) {
            let (row, row_rest) = S::as_simd_f32s(row);
            let (row_fours, row_ones) = row.as_chunks::<4>();
            // four sums, since an addition takes four cycles
            let mut sums = [simd.splat_f32s(0.); 4];
            for (x, y) in x_fours.iter().zip(row_fours) {
                for i in 0..4 {
                    sums[i] = simd.mul_add_e_f32s(x[i], y[i], sums[i]);
                }
            }
            for (x, y) in x_ones.iter().zip(row_ones) {
                sums[0] = simd.mul_add_e_f32s(*x, *y, sums[0]);
            }
            let sums = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
            let rest: f32 = x_rest.iter().zip(row_rest).map(|(x, y)| x * y).sum();
            *out = simd.reduce_sum_f32s(sums) + rest;
        }
    }
}

/// Sum in lanes, as registers add.
#[inline(always)]
pub fn sum(xs: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    let chunks = xs.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|&x| f(x)).sum();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// Sum over pairs, in the same lanes.
#[inline(always)]
pub fn sum2(xs: &[f32], ys: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    let (xs_chunks, ys_chunks) = (xs.chunks_exact(16), ys.chunks_exact(16));
    let rest = xs_chunks.remainder().iter().zip(ys_chunks.remainder()).map(|(&x, &y)| f(x, y)).sum::<f32>();
    for (xs, ys) in xs_chunks.zip(ys_chunks) {
        for (lane, (&x, &y)) in lanes.iter_mut().zip(xs.iter().zip(ys)) {
            *lane += f(x, y);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The largest value.
#[inline(always)]
pub fn max(xs: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let chunks = xs.chunks_exact(16);
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    lanes.into_iter().fold(rest, larger)
}

/// Turns scores into `exp(score - max)` in place and returns max and sum.
#[inline(always)]
pub fn exponentials(scores: &mut [f32]) -> (f32, f32) {
    let largest = max(scores);
    for x in scores.iter_mut() {
        *x = exp(*x - largest);
    }
    (largest, sum(scores, |x| x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for i in -8700..8800 {
            let x = i as f32 / 100.;
            let (fast, exact) = (exp(x) as f64, (x as f64).exp());
            assert!((fast / exact - 1.).abs() < 2.4e-7, "{x}: {fast} {exact}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(0.) == 1.);
    }

    #[test]
    fn reductions_take_the_remainder_along() {
        for count in [0, 1, 15, 16, 17, 40] {
            let xs: Vec<f32> = (0..count).map(|i| (i as f32 * 7.) % 5.).collect();
            assert_eq!(sum(&xs, |x| 2. * x), 2. * xs.iter().sum::<f32>());
            assert_eq!(sum2(&xs, &xs, |x, y| x * y), xs.iter().map(|x| x * x).sum::<f32>());
            assert_eq!(max(&xs), xs.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)));
        }
    }
}
