//! Rotary position embedding (Su et al., 2021), in the arrangement of Hugging Face's Llama: a head's first
//! half pairs with its second half.

use candle_core::{DType, Device, Result, Tensor};
use kernels::rope::{Order, Pairs, rope};

/// The angles' rates, one a pair of dimensions.
pub struct Rope {
    rates: Vec<f32>,
}

/// Cosines and sines of a run of positions, each (time, head_dim / 2).
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Rates `theta^(-2i / head_dim)`.
    pub fn new(head_dim: usize, theta: f64) -> Self {
        let rate = |i: usize| 1. / (theta as f32).powf(i as f32 / head_dim as f32);
        Self { rates: (0..head_dim).step_by(2).map(rate).collect() }
    }

    /// The angles of `time` positions from `start` on.
    pub fn angles(&self, start: usize, time: usize, dtype: DType, device: &Device) -> Result<Angles> {
        let angles = (start..start + time).flat_map(|t| self.rates.iter().map(move |rate| t as f32 * rate));
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles.map(f32::sin_cos).unzip();
        let tensor = |values| Tensor::from_vec(values, (time, self.rates.len()), device)?.to_dtype(dtype);
        Ok(Angles { cos: tensor(cos)?, sin: tensor(sin)? })
    }
}

/// Turns each head of (batch, time, heads, head_dim) by its position's angles.
pub fn rotate(xs: &Tensor, angles: &Angles) -> Result<Tensor> {
    rope(xs, &angles.cos, &angles.sin, Pairs::Halves, Order::TimeHeads)
}
