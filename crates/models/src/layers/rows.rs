//! Loops over rows of f32 on the processor: compiled for each of its instruction sets, spread over its cores.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};
use rayon::prelude::*;

/// Whether the operators of this crate take the tensor.
pub fn own(xs: &Tensor) -> bool {
    xs.device().is_cpu() && xs.dtype() == DType::F32
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

/// Runs `f` compiled for the widest instruction set present. `f` must be `#[inline(always)]`.
#[inline(always)]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
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
