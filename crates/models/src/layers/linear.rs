//! A linear map. The weight is stored as (out, in), as PyTorch and the checkpoints have it, or in a GGUF file's blocks;
//! which number format it has is known here alone.

use crate::layers::embedding::Embedding;
use crate::vars::{Format, VarBuilder};
use candle_core::{DType, Result, Tensor};
use candle_nn::Init;
use kernels::{linear, quantised};
use std::sync::Arc;

/// `xs` times the transposed weight, plus the bias where there is one.
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

enum Weight {
    /// As it is: for training too.
    Plain(Tensor),
    /// In the order of the loops, in fewer bits.
    Packed(linear::Weight),
    Blocks(Arc<quantised::Weight>),
}

impl Linear {
    /// Reads `weight` and, if asked, `bias`; a net trained from nothing starts with a normal weight of
    /// standard deviation `stdev`.
    pub fn new(inputs: usize, outputs: usize, bias: bool, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let weight = match vb.blocks((outputs, inputs), "weight")? {
            Some(blocks) => Weight::Blocks(Arc::new(blocks)),
            None => Weight::read((outputs, inputs), &[outputs, inputs], stdev, &vb)?,
        };
        let bias = bias.then(|| vb.get_with_hints(outputs, "bias", Init::Const(0.))).transpose()?;
        Ok(Self { weight, bias })
    }

    /// Reads a map that is stored as a convolution of width one: its `weight` is (out, in, 1, 1).
    pub fn pointwise(inputs: usize, outputs: usize, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let weight = Weight::read((outputs, inputs), &[outputs, inputs, 1, 1], stdev, &vb)?;
        let bias = vb.get_with_hints(outputs, "bias", Init::Const(0.))?;
        Ok(Self { weight, bias: Some(bias) })
    }

    /// A map by the weight of an embedding.
    pub fn tied(embedding: &Embedding, format: Format) -> Result<Self> {
        let weight = match embedding.blocks() {
            Some(blocks) => Weight::Blocks(blocks.clone()),
            None => Weight::packed(embedding.weight()?, format)?,
        };
        Ok(Self { weight, bias: None })
    }

    /// The same map with another bias.
    pub fn with_bias(self, bias: Tensor) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// (..., in) to (..., out).
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        match (&self.weight, &self.bias) {
            (Weight::Plain(weight), bias) => linear::linear(xs, weight, bias.as_ref()),
            (Weight::Packed(weight), bias) => weight.forward(xs, bias.as_ref()),
            (Weight::Blocks(weight), None) => weight.forward(xs),
            (Weight::Blocks(weight), Some(bias)) => weight.forward(xs)?.broadcast_add(bias),
        }
    }
}

impl Weight {
    fn read(size: (usize, usize), stored: &[usize], stdev: f64, vb: &VarBuilder) -> Result<Self> {
        let init = Init::Randn { mean: 0., stdev };
        let dtype = match vb.format() {
            Format::Bf16 => DType::BF16,
            Format::Plain | Format::Packed | Format::Int8 => vb.dtype(),
        };
        let weight = vb.get_with_hints_dtype(stored, "weight", init, dtype)?;
        Self::packed(if stored.len() == 2 { weight } else { weight.reshape(size)? }, vb.format())
    }

    fn packed(weight: Tensor, format: Format) -> Result<Self> {
        Ok(match format {
            Format::Plain => Self::Plain(weight),
            Format::Packed => Self::Packed(linear::Weight::f32(&weight)?),
            Format::Bf16 => Self::Packed(linear::Weight::bf16(&weight)?),
            Format::Int8 => Self::Packed(linear::Weight::int8(&weight)?),
        })
    }
}
