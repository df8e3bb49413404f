//! Causal self-attention with rotary positions, in which groups of query heads may share a key and value
//! head (Ainslie et al., 2023).

use crate::layers::cache::LayerCache;
use crate::layers::linear::Linear;
use crate::layers::rope::{Angles, rotate};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use kernels::attention::{Options, attention};
use kernels::gradients::reshape;

/// Head counts and sizes.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Width of the residual stream.
    pub size: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether the projections have biases.
    pub bias: bool,
}

/// The four projections around the attention itself.
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    shape: Shape,
}

impl Attention {
    /// Reads `q_proj`, `k_proj`, `v_proj` and `o_proj`; `stdevs` are for the first three and the last.
    pub fn new(shape: Shape, stdevs: (f64, f64), vb: VarBuilder) -> Result<Self> {
        let Shape { size, heads, kv_heads, head_dim, bias } = shape;
        let (stdev, stdev_out) = stdevs;
        Ok(Self {
            q_proj: Linear::new(size, heads * head_dim, bias, stdev, vb.pp("q_proj"))?,
            k_proj: Linear::new(size, kv_heads * head_dim, bias, stdev, vb.pp("k_proj"))?,
            v_proj: Linear::new(size, kv_heads * head_dim, bias, stdev, vb.pp("v_proj"))?,
            o_proj: Linear::new(heads * head_dim, size, bias, stdev_out, vb.pp("o_proj"))?,
            shape,
        })
    }

    /// (batch, time, size) to the same shape; the positions begin at `start`, and all before it are in `cache`.
    pub fn forward(
        &self,
        xs: &Tensor,
        angles: &Angles,
        cache: &mut LayerCache,
        start: usize,
    ) -> Result<Tensor> {
        let (q, k, v) = self.project(xs, angles)?;
        let (k, v) = cache.append(&k, &v, start)?;
        self.o_proj.forward(&causal_attention(&q, &k, &v)?)
    }

    /// As `forward` on a whole sequence, with gradients.
    pub fn forward_train(&self, xs: &Tensor, angles: &Angles) -> Result<Tensor> {
        let (q, k, v) = self.project(xs, angles)?;
        self.o_proj.forward(&causal_attention(&q, &k, &v)?)
    }

    // each (batch, time, heads, head_dim)
    fn project(&self, xs: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor, Tensor)> {
        let (batch, time, _) = xs.dims3()?;
        let split = |ys: Tensor, heads| reshape(&ys, (batch, time, heads, self.shape.head_dim));
        let q = split(self.q_proj.forward(xs)?, self.shape.heads)?;
        let k = split(self.k_proj.forward(xs)?, self.shape.kv_heads)?;
        let v = split(self.v_proj.forward(xs)?, self.shape.kv_heads)?;
        Ok((rotate(&q, angles)?, rotate(&k, angles)?, v))
    }
}

/// The attention of queries (batch, time, heads, head_dim), the last positions of all, over the keys and values
/// (batch, positions, kv_heads, head_dim) of all positions so far; gives (batch, time, heads * head_dim).
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let ys = attention(q, k, v, &Options::causal())?;
    let (batch, time, heads, size) = ys.dims4()?;
    reshape(&ys, (batch, time, heads * size))
}
