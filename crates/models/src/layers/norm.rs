//! Normalisations with their weights.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use kernels::norm::{add_rms_norm, rms_norm};

/// Rows scaled to a root mean square of one, then by a learned weight (Zhang and Sennrich, 2019).
pub struct RmsNorm {
    weight: Tensor,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads `weight`.
    pub fn new(size: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints(size, "weight", Init::Const(1.))?, epsilon })
    }

    /// (..., size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        rms_norm(xs, &self.weight, self.epsilon)
    }

    /// `xs + residual`, and that normalised.
    pub fn forward_sum(&self, xs: &Tensor, residual: &Tensor) -> Result<(Tensor, Tensor)> {
        add_rms_norm(xs, residual, &self.weight, self.epsilon)
    }
}
