//! A block of ConvNeXt (Liu et al., 2022) along the rows of sequences, as Vocos (Siuzdak, 2024) has it: each channel looks
//! at its neighbours in time, then each row goes through two linear maps, around a residual.
//!
//! Sequences lie one after the other, (rows, width), with their lengths: no padding, and no row sees another sequence.

use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use candle_nn::Init;
use kernels::activations::gelu;
use kernels::depthwise::depthwise;
use kernels::embedding::embedding;
use kernels::sum::sum;

/// Sizes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of a row.
    pub width: usize,
    /// Channels between the two linear maps.
    pub hidden: usize,
    /// Rows that each channel looks at: an odd number.
    pub taps: usize,
    /// Width of what is told of a whole sequence, where something is.
    pub told: Option<usize>,
}

/// What is told of whole sequences.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// (sequences, told)
    pub vectors: &'a Tensor,
    /// Which sequence each row belongs to, (rows).
    pub sequences: &'a Tensor,
}

/// The block.
pub struct ConvNeXt {
    weight: Tensor,
    bias: Tensor,
    norm: LayerNorm,
    told: Option<Linear>,
    wide: Linear,
    narrow: Linear,
}

const EPSILON: f64 = 1e-6;

impl ConvNeXt {
    /// Reads the weights; a new block of a stack of so many changes its input little.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn new(sizes: Sizes, depth: usize, vb: VarBuilder) -> Result<Self> {
        let Sizes { width, hidden, taps, told } = sizes;
        let stdev = |inputs: usize| (inputs as f64).recip().sqrt();
        let taps_of = Init::Randn { mean: 0., stdev: stdev(taps) };
        let told = told.map(|size| Linear::new(size, width, true, 0.1 * stdev(size), vb.pp("told")));
        let small = stdev(hidden) / (depth as f64).sqrt();
        Ok(Self {
            weight: vb.get_with_hints((taps, width), "depthwise.weight", taps_of)?,
            bias: vb.get_with_hints(width, "depthwise.bias", Init::Const(0.))?,
            norm: LayerNorm::new(width, EPSILON, vb.pp("norm"))?,
            told: told.transpose()?,
            wide: Linear::new(width, hidden, true, stdev(width), vb.pp("wide"))?,
            narrow: Linear::new(hidden, width, true, small, vb.pp("narrow"))?,
        })
    }

    /// (rows, width) to the same shape.
    ///
    /// # Errors
    /// On shapes that do not fit, and where something is told to a block that takes nothing, or the other way round.
    pub fn forward(&self, xs: &Tensor, lengths: &[usize], told: Option<Told<'_>>) -> Result<Tensor> {
        let ys = self.norm.forward(&depthwise(xs, &self.weight, &self.bias, lengths)?)?;
        let ys = match (&self.told, told) {
            (None, None) => ys,
            (Some(linear), Some(told)) => {
                sum(&ys, &embedding(told.sequences, &linear.forward(told.vectors)?)?)?
            }
            _ => refuse!("a block and what it is told do not fit"),
        };
        sum(xs, &self.narrow.forward(&gelu(&self.wide.forward(&ys)?)?)?)
    }
}
