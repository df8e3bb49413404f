//! A linear map. The weight is stored as (out, in), as PyTorch and the checkpoints have it.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use kernels::linear::linear;

/// `xs` times the transposed weight, plus the bias where there is one.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `weight` and, if asked, `bias`; a net trained from nothing starts with a normal weight of
    /// standard deviation `stdev`.
    pub fn new(inputs: usize, outputs: usize, bias: bool, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", Init::Randn { mean: 0., stdev })?;
        let bias = bias.then(|| vb.get_with_hints(outputs, "bias", Init::Const(0.))).transpose()?;
        Ok(Self { weight, bias })
    }

    /// Reads a map that is stored as a convolution of width one: its `weight` is (out, in, 1, 1).
    pub fn pointwise(inputs: usize, outputs: usize, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let shape = (outputs, inputs, 1, 1);
        let weight = vb.get_with_hints(shape, "weight", Init::Randn { mean: 0., stdev })?;
        let bias = vb.get_with_hints(outputs, "bias", Init::Const(0.))?;
        Ok(Self { weight: weight.reshape((outputs, inputs))?, bias: Some(bias) })
    }

    /// A map by a weight that has another owner too, such as a tied embedding.
    pub fn tied(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }

    /// The same with a bias (out) of its own.
    pub fn tied_with_bias(weight: Tensor, bias: Tensor) -> Self {
        Self { weight, bias: Some(bias) }
    }

    /// (..., in) to (..., out).
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        linear(xs, &self.weight, self.bias.as_ref())
    }
}
