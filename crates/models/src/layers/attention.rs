//! Causal self-attention with rotary positions, in which groups of query heads may share a key and value
//! head (Ainslie et al., 2023).

use crate::layers::cache::LayerCache;
use crate::layers::linear::Linear;
use crate::layers::rope::{Angles, rotate};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use kernels::attention::{Options, attention};

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
        let (k, v) = cache.append(&k.transpose(1, 2)?, &v.transpose(1, 2)?, start)?;
        self.o_proj.forward(&cached_attention(&q, &k, &v)?)
    }

    /// As `forward` on a whole sequence, with gradients.
    pub fn forward_train(&self, xs: &Tensor, angles: &Angles) -> Result<Tensor> {
        let (q, k, v) = self.project(xs, angles)?;
        self.o_proj.forward(&causal_attention(&q, &k, &v)?)
    }

    // each (batch, time, heads, head_dim)
    fn project(&self, xs: &Tensor, angles: &Angles) -> Result<(Tensor, Tensor, Tensor)> {
        let (batch, time, _) = xs.dims3()?;
        let split = |ys: Tensor, heads| ys.reshape((batch, time, heads, self.shape.head_dim));
        let q = split(self.q_proj.forward(xs)?, self.shape.heads)?;
        let k = split(self.k_proj.forward(xs)?, self.shape.kv_heads)?;
        let v = split(self.v_proj.forward(xs)?, self.shape.kv_heads)?;
        Ok((rotate(&q, angles)?, rotate(&k, angles)?, v))
    }
}

/// The attention of queries (batch, time, heads, head_dim), the last positions of all, over the keys and values
/// (batch, kv_heads, positions, head_dim) of all positions so far; gives (batch, time, heads * head_dim).
pub fn cached_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    causal_attention(q, &k.transpose(1, 2)?, &v.transpose(1, 2)?)
}

/// Causal attention of a whole sequence with gradients: queries (batch, time, heads, head_dim), keys and values
/// (batch, time, kv_heads, head_dim); gives (batch, time, heads * head_dim).
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    attention(q, k, v, &Options::causal())?.flatten_from(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::random;

    #[test]
    fn the_cached_form_equals_the_last_rows_of_the_whole() -> Result<()> {
        let (time, heads, kv_heads, size) = (300, 4, 2, 8);
        let q = random((2, time, heads, size), 1)?.detach();
        let (k, v) = (random((2, time, kv_heads, size), 2)?, random((2, time, kv_heads, size), 3)?);
        let whole = causal_attention(&q, &k, &v)?;
        for last in [1, 5, 300] {
            let (k, v) = (k.transpose(1, 2)?.contiguous()?, v.transpose(1, 2)?.contiguous()?);
            let ys = cached_attention(&q.narrow(1, time - last, last)?, &k, &v)?;
            let difference = (ys - whole.narrow(1, time - last, last)?)?.abs()?.flatten_all()?.max(0)?;
            assert!(difference.to_scalar::<f32>()? < 1e-5);
        }
        Ok(())
    }
}
