//! The gated feed-forward block, SwiGLU (Shazeer, 2020).

use crate::layers::linear::Linear;
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use kernels::activations::silu_mul;

/// `down(silu(gate(xs)) * up(xs))`.
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    /// Reads `gate_proj`, `up_proj` and `down_proj`; `stdevs` are for the first two and the last.
    pub fn new(size: usize, inner: usize, bias: bool, stdevs: (f64, f64), vb: VarBuilder) -> Result<Self> {
        let (stdev, stdev_out) = stdevs;
        Ok(Self {
            gate_proj: Linear::new(size, inner, bias, stdev, vb.pp("gate_proj"))?,
            up_proj: Linear::new(size, inner, bias, stdev, vb.pp("up_proj"))?,
            down_proj: Linear::new(inner, size, bias, stdev_out, vb.pp("down_proj"))?,
        })
    }

    /// (..., size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let inner = silu_mul(&self.gate_proj.forward(xs)?, &self.up_proj.forward(xs)?)?;
        self.down_proj.forward(&inner)
    }
}
