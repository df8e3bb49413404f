//! Normalisations with their weights.

use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use candle_nn::Init;
use kernels::norm::{add_layer_norm, add_rms_norm, group_norm, group_norm_silu, layer_norm, rms_norm};

/// Rows scaled to a root mean square of one, then by a learned weight (Zhang and Sennrich, 2019).
pub struct RmsNorm {
    weight: Tensor,
    /// Added to the weight.
    shift: f64,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads `weight`.
    pub fn new(size: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints(size, "weight", Init::Const(1.))?, shift: 0., epsilon })
    }

    /// Reads `weight`, which is stored without one of what it scales by, as Gemma has it.
    pub fn shifted(size: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints(size, "weight", Init::Const(0.))?;
        // a weight that is to be trained stays as it is, others are moved once
        match weight.is_variable() {
            true => Ok(Self { weight, shift: 1., epsilon }),
            false => Ok(Self { weight: (weight + 1.)?, shift: 0., epsilon }),
        }
    }

    fn weight(&self) -> Result<Tensor> {
        if self.shift == 0. { Ok(self.weight.clone()) } else { &self.weight + self.shift }
    }

    /// (..., size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        rms_norm(xs, &self.weight()?, self.epsilon)
    }

    /// `xs + residual`, and that normalised.
    pub fn forward_sum(&self, xs: &Tensor, residual: &Tensor) -> Result<(Tensor, Tensor)> {
        add_rms_norm(xs, residual, &self.weight()?, self.epsilon)
    }
}

/// Rows brought to a mean of zero and a variance of one, then scaled and shifted (Ba, Kiros and Hinton, 2016).
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias`.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn new(size: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        let (weight, bias) = scale_and_shift(size, vb)?;
        Ok(Self { weight, bias, epsilon })
    }

    /// (..., size) to the same shape.
    ///
    /// # Errors
    /// On another size.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        layer_norm(xs, Some(&self.weight), Some(&self.bias), self.epsilon)
    }

    /// `xs + residual`, and that normalised.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn forward_sum(&self, xs: &Tensor, residual: &Tensor) -> Result<(Tensor, Tensor)> {
        add_layer_norm(xs, residual, Some(&self.weight), Some(&self.bias), self.epsilon)
    }
}

/// Runs of channels brought to a mean of zero and a variance of one, then scaled and shifted by channel (Wu and He,
/// 2018).
pub struct GroupNorm {
    groups: usize,
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl GroupNorm {
    /// Reads `weight` and `bias`.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn new(groups: usize, channels: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        let (weight, bias) = scale_and_shift(channels, vb)?;
        Ok(Self { groups, weight, bias, epsilon })
    }

    /// (batch, channels, ...) to the same shape.
    ///
    /// # Errors
    /// On channels that are other than those, or no multiple of the groups.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        group_norm(xs, self.groups, Some(&self.weight), Some(&self.bias), self.epsilon)
    }

    /// [`GroupNorm::forward`], then silu.
    ///
    /// # Errors
    /// As there.
    pub fn forward_silu(&self, xs: &Tensor) -> Result<Tensor> {
        group_norm_silu(xs, self.groups, Some(&self.weight), Some(&self.bias), self.epsilon)
    }
}

fn scale_and_shift(size: usize, vb: VarBuilder) -> Result<(Tensor, Tensor)> {
    let weight = vb.get_with_hints(size, "weight", Init::Const(1.))?;
    Ok((weight, vb.get_with_hints(size, "bias", Init::Const(0.))?))
}
