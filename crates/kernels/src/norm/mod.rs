//! Normalisations: of rows (layer norm and root mean square), alone or fused with the residual addition before them,
//! and of groups of channels, alone or fused with silu. Squares are summed of deviations from a value near the mean, so a
//! large mean costs no precision.

mod group;
mod layer;
mod rms;
#[cfg(test)]
mod tests;

pub use group::{group_norm, group_norm_silu};
pub use layer::{add_layer_norm, layer_norm};
pub use rms::{add_rms_norm, rms_norm};

use crate::fresh::sums;
use candle_core::{DType, Device, Result, Tensor};

/// A mean that one f32 does not hold, and the variance around it.
#[derive(Debug, Clone, Copy)]
struct Moments {
    /// About the mean.
    mean: f32,
    /// What the mean is above that.
    rest: f32,
    variance: f32,
}

impl Moments {
    #[inline(always)]
    fn of(xs: &[f32]) -> Self {
        let first = Self::around(xs, xs.first().copied().unwrap_or(0.));
        // a first value far from the others would cost more than two bits of the variance
        if first.rest * first.rest > 4. * first.variance {
            return Self::around(xs, first.mean + first.rest);
        }
        first
    }

    // from the deviations from a value near the mean
    #[inline(always)]
    fn around(xs: &[f32], mean: f32) -> Self {
        let [deviations, squares] = sums(
            [xs],
            #[inline(always)]
            |[x]| [x - mean, (x - mean) * (x - mean)],
        );
        let share = 1. / xs.len() as f32;
        let rest = deviations * share;
        Moments { mean, rest, variance: squares * share - rest * rest }
    }

    // 1 / sqrt(variance + epsilon); the variance may be less than zero by rounding
    #[inline(always)]
    fn scale(&self, epsilon: f32) -> f32 {
        let variance = if self.variance < 0. { 0. } else { self.variance };
        1. / (variance + epsilon).sqrt()
    }

    // the value less the mean
    #[inline(always)]
    fn centred(&self, x: f32) -> f32 {
        (x - self.mean) - self.rest
    }
}

// a weight or bias of `size` values, contiguous; `default` where there is none
fn parameter(values: Option<&Tensor>, default: f32, size: usize, device: &Device) -> Result<Tensor> {
    match values {
        Some(values) if values.elem_count() != size => {
            refuse!("a norm over {size} values was given {} weights", values.elem_count())
        }
        Some(values) => values.flatten_all()?.contiguous(),
        None => Tensor::full(default, size, device),
    }
}

// sums over tasks in their order
fn total(parts: Vec<Vec<f32>>, size: usize) -> Vec<f32> {
    let mut total = vec![0f32; size];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    total
}

// f32 inside, whatever the number format
fn wide(xs: &Tensor) -> Result<Tensor> {
    if xs.dtype() == DType::F64 { Ok(xs.clone()) } else { xs.to_dtype(DType::F32) }
}
