//! A transformer over the places of a picture, which look at each other and at the prompt.

use super::stdev;
use crate::layers::linear::Linear;
use crate::layers::norm::{GroupNorm, LayerNorm};
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::activations::gelu_mul;
use kernels::attention::{Options, attention};
use kernels::gradients::reshape;
use kernels::reorder::{part, swap, swap_add};
use kernels::sum::sum;

/// Sizes of a transformer.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub channels: usize,
    pub heads: usize,
    pub context: usize,
    pub blocks: usize,
    pub groups: usize,
    /// Whether its projections are stored as linear maps, not as convolutions of width one.
    pub linear: bool,
}

/// Diffusers' `Transformer2DModel`.
pub struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    blocks: Vec<Block>,
    proj_out: Linear,
}

/// Diffusers' `BasicTransformerBlock`.
struct Block {
    norms: [LayerNorm; 3],
    own: Attention,
    cross: Attention,
    /// Both halves of GEGLU: values, then gates.
    inner: Linear,
    outer: Linear,
}

struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: usize,
}

impl Transformer {
    pub fn new(shape: Shape, vb: VarBuilder) -> Result<Self> {
        let size = shape.channels;
        let project = |name: &str| match shape.linear {
            true => Linear::new(size, size, true, stdev(size), vb.pp(name)),
            false => Linear::pointwise(size, size, stdev(size), vb.pp(name)),
        };
        let block = |i: usize| Block::new(shape, vb.pp("transformer_blocks").pp(i));
        Ok(Self {
            norm: GroupNorm::new(shape.groups, size, 1e-6, vb.pp("norm"))?,
            proj_in: project("proj_in")?,
            blocks: (0..shape.blocks).map(block).collect::<Result<_>>()?,
            proj_out: project("proj_out")?,
        })
    }

    /// (batch, channels, height, width) to the same shape, with the prompt's states (batch, tokens, context).
    pub fn forward(&self, xs: &Tensor, context: &Tensor) -> Result<Tensor> {
        let mut places = self.proj_in.forward(&swap(&flat(&self.norm.forward(xs)?)?)?)?;
        for block in &self.blocks {
            places = block.forward(&places, context)?;
        }
        let ys = self.proj_out.forward(&places)?;
        reshape(&swap_add(&ys, &flat(xs)?)?, xs.shape())
    }
}

impl Block {
    fn new(shape: Shape, vb: VarBuilder) -> Result<Self> {
        let (size, inner) = (shape.channels, 4 * shape.channels);
        let norm = |i: usize| LayerNorm::new(size, 1e-5, vb.pp(format!("norm{i}")));
        let feed = vb.pp("ff.net");
        Ok(Self {
            norms: [norm(1)?, norm(2)?, norm(3)?],
            own: Attention::new(size, size, shape.heads, vb.pp("attn1"))?,
            cross: Attention::new(size, shape.context, shape.heads, vb.pp("attn2"))?,
            inner: Linear::new(size, 2 * inner, true, stdev(size), feed.pp("0.proj"))?,
            outer: Linear::new(inner, size, true, stdev(inner), feed.pp("2"))?,
        })
    }

    fn forward(&self, xs: &Tensor, context: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.norms;
        let seen = first.forward(xs)?;
        let (xs, seen) = second.forward_sum(&self.own.forward(&seen, &seen)?, xs)?;
        let (xs, seen) = third.forward_sum(&self.cross.forward(&seen, context)?, &xs)?;
        let both = self.inner.forward(&seen)?;
        let half = both.dim(2)? / 2;
        let gated = gelu_mul(&part(&both, half, half)?, &part(&both, 0, half)?)?;
        sum(&self.outer.forward(&gated)?, &xs)
    }
}

impl Attention {
    fn new(size: usize, context: usize, heads: usize, vb: VarBuilder) -> Result<Self> {
        let project = |inputs, name: &str| Linear::new(inputs, size, false, stdev(inputs), vb.pp(name));
        Ok(Self {
            q: project(size, "to_q")?,
            k: project(context, "to_k")?,
            v: project(context, "to_v")?,
            out: Linear::new(size, size, true, stdev(size), vb.pp("to_out.0"))?,
            heads,
        })
    }

    fn forward(&self, xs: &Tensor, seen: &Tensor) -> Result<Tensor> {
        let split = |ys: Tensor| {
            let (batch, time, size) = ys.dims3()?;
            reshape(&ys, (batch, time, self.heads, size / self.heads))
        };
        let (q, k) = (split(self.q.forward(xs)?)?, split(self.k.forward(seen)?)?);
        let v = split(self.v.forward(seen)?)?;
        self.out.forward(&flat(&attention(&q, &k, &v, &Options::default())?)?)
    }
}

/// (a, b, c, d) to (a, b, c d).
fn flat(xs: &Tensor) -> Result<Tensor> {
    let (a, b, c, d) = xs.dims4()?;
    reshape(xs, (a, b, c * d))
}
