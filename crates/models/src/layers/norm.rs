//! Root mean square normalisation (Zhang and Sennrich, 2019).

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// Rows scaled to a root mean square of one, then by a learned weight.
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
}

/// `xs / sqrt(mean(xs²) + epsilon) * weight` over the last dimension.
pub fn rms_norm(xs: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    if xs.track_op() || weight.track_op() {
        return composite(xs, weight, epsilon);
    }
    candle_nn::ops::rms_norm(&xs.contiguous()?, weight, epsilon as f32)
}

fn composite(xs: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let wide = xs.to_dtype(DType::F32)?;
    let mean = wide.sqr()?.mean_keepdim(D::Minus1)?;
    let scaled = wide.broadcast_div(&(mean + epsilon)?.sqrt()?)?;
    scaled.to_dtype(xs.dtype())?.broadcast_mul(weight)
}
