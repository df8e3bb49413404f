//! A prompt in one vector: attention from the mean of its states to them all.

use super::stdev;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use candle_nn::Init;
use kernels::attention::{Options, attention};
use kernels::gradients::reshape;
use kernels::linear::linear;
use kernels::reorder::{join, swap};

/// Diffusers' `TextTimeEmbedding`: the prompt's states (batch, tokens, width) to what is added to the time
/// (batch, size).
pub struct Pooling {
    norms: [LayerNorm; 2],
    /// (1, width), added to the mean of the states.
    place: Tensor,
    /// Queries, keys, values.
    maps: [Linear; 3],
    out: Linear,
    heads: usize,
}

impl Pooling {
    pub fn new(width: usize, size: usize, heads: usize, vb: VarBuilder) -> Result<Self> {
        let map = |name: &str| Linear::new(width, width, true, stdev(width), vb.pp("pool").pp(name));
        let place = Init::Randn { mean: 0., stdev: (width as f64).recip().sqrt() };
        Ok(Self {
            norms: [
                LayerNorm::new(width, 1e-5, vb.pp("norm1"))?,
                LayerNorm::new(size, 1e-5, vb.pp("norm2"))?,
            ],
            place: vb.get_with_hints((1, width), "pool.positional_embedding", place)?,
            maps: [map("q_proj")?, map("k_proj")?, map("v_proj")?],
            out: Linear::new(width, size, true, stdev(width), vb.pp("proj"))?,
            heads,
        })
    }

    pub fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let states = self.norms[0].forward(states)?;
        let (batch, tokens, width) = states.dims3()?;
        let like = |xs: Tensor| xs.to_dtype(states.dtype());
        // means and shifts as linear maps, whose gradients are recorded
        let even = like(Tensor::full(1. / tokens as f32, (1, tokens), states.device())?)?;
        let mean = reshape(&linear(&swap(&states)?, &even, None)?, (batch, width))?;
        let same = Tensor::eye(width, states.dtype(), states.device())?;
        let mean = linear(&mean, &same, Some(&reshape(&self.place, width)?))?;
        let mean = reshape(&mean, (batch, 1, width))?;
        let all = join(&mean, &states)?;
        let split = |xs: &Tensor, map: &Linear| {
            reshape(&map.forward(xs)?, (batch, xs.dim(1)?, self.heads, width / self.heads))
        };
        let [q, k, v] = &self.maps;
        let pooled = attention(&split(&mean, q)?, &split(&all, k)?, &split(&all, v)?, &Options::default())?;
        self.norms[1].forward(&self.out.forward(&reshape(&pooled, (batch, width))?)?)
    }
}
