//! Causal self-attention with rotary positions, in which groups of query heads may share a key and value
//! head (Ainslie et al., 2023).

mod causal;
mod step;

use crate::layers::cache::LayerCache;
use crate::layers::linear::Linear;
use crate::layers::rope::{Angles, rotate};
use crate::layers::rows;
use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

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

/// Queries in a block of this many rows see keys up to the block's end: half of the square is never computed,
/// and the scores of a long prompt need little memory.
const BLOCK: usize = 128;

/// The attention of queries (batch, time, heads, head_dim), the last positions of all, over the keys and values
/// (batch, kv_heads, positions, head_dim) of all positions so far; gives (batch, time, heads * head_dim).
/// Without gradients.
pub fn cached_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (batch, time, heads, size) = q.dims4()?;
    let (_, kv_heads, positions, _) = k.dims4()?;
    if time == 1 && rows::own(q) {
        return step::attention(q, k, v);
    }
    let (group, start) = (heads / kv_heads, positions - time);
    let q = (q.transpose(1, 2)? * (size as f64).powf(-0.5))?;
    let mut blocks = Vec::with_capacity(time.div_ceil(BLOCK));
    for first in (0..time).step_by(BLOCK) {
        let rows = BLOCK.min(time - first);
        let seen = start + first + rows;
        let q = q.narrow(2, first, rows)?.contiguous()?.reshape((batch, kv_heads, group * rows, size))?;
        let scores = q.matmul(&k.narrow(2, 0, seen)?.t()?)?.to_dtype(DType::F32)?;
        let scores = if rows == 1 { scores } else { masked(&scores, group, rows)? };
        let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(v.dtype())?;
        let ys = weights.matmul(&v.narrow(2, 0, seen)?)?.reshape((batch, heads, rows, size))?;
        blocks.push(ys.transpose(1, 2)?.reshape((batch, rows, heads * size))?);
    }
    if blocks.len() == 1 { Ok(blocks.remove(0)) } else { Tensor::cat(&blocks, 1) }
}

fn masked(scores: &Tensor, group: usize, rows: usize) -> Result<Tensor> {
    let (batch, kv_heads, _, seen) = scores.dims4()?;
    let mask = causal_mask(rows, seen, scores.device())?;
    let scores = scores.reshape((batch, kv_heads, group, rows, seen))?.broadcast_add(&mask)?;
    scores.reshape((batch, kv_heads, group * rows, seen))
}

// (rows, seen): zero where a row may look, minus infinity where it may not; the last row sees all
fn causal_mask(rows: usize, seen: usize, device: &Device) -> Result<Tensor> {
    let visible = |row: usize, key: usize| key + rows <= seen + row;
    let mask: Vec<f32> = (0..rows)
        .flat_map(|row| (0..seen).map(move |key| if visible(row, key) { 0. } else { f32::NEG_INFINITY }))
        .collect();
    Tensor::from_vec(mask, (rows, seen), device)
}

/// Causal attention of a whole sequence with gradients: queries (batch, time, heads, head_dim), keys and values
/// (batch, time, kv_heads, head_dim); gives (batch, time, heads * head_dim).
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    if rows::own(q) {
        let ys = q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, causal::CausalOp)?;
        return ys.flatten_from(2);
    }
    composite(q, k, v)
}

fn composite(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (batch, time, heads, size) = q.dims4()?;
    let kv_heads = k.dim(2)?;
    let group = heads / kv_heads;
    let q = (q.transpose(1, 2)?.contiguous()? * (size as f64).powf(-0.5))?;
    let q = q.reshape((batch, kv_heads, group * time, size))?;
    let (k, v) = (k.transpose(1, 2)?.contiguous()?, v.transpose(1, 2)?.contiguous()?);
    let scores = q.matmul(&k.t()?)?.reshape((batch, heads, time, time))?;
    let scores = scores.to_dtype(DType::F32)?.broadcast_add(&causal_mask(time, time, q.device())?)?;
    let weights = candle_nn::ops::softmax(&scores, D::Minus1)?.to_dtype(v.dtype())?;
    let ys = weights.reshape((batch, kv_heads, group * time, time))?.matmul(&v)?;
    ys.reshape((batch, heads, time, size))?.transpose(1, 2)?.reshape((batch, time, heads * size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{compare, random};

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for (time, heads, kv_heads, size) in [(1, 1, 1, 2), (9, 4, 2, 6), (130, 2, 1, 16), (64, 3, 3, 8)] {
            let q = random((2, time, heads, size), 1)?;
            let (k, v) = (random((2, time, kv_heads, size), 2)?, random((2, time, kv_heads, size), 3)?);
            compare(&[&q, &k, &v], || causal_attention(&q, &k, &v), || composite(&q, &k, &v))?;
        }
        Ok(())
    }

    #[test]
    fn the_cached_form_equals_the_last_rows_of_the_whole() -> Result<()> {
        let (time, heads, kv_heads, size) = (300, 4, 2, 8);
        let q = random((2, time, heads, size), 1)?.detach();
        let (k, v) = (random((2, time, kv_heads, size), 2)?, random((2, time, kv_heads, size), 3)?);
        let whole = composite(&q, &k, &v)?;
        for last in [1, 5, 300] {
            let (k, v) = (k.transpose(1, 2)?.contiguous()?, v.transpose(1, 2)?.contiguous()?);
            let ys = cached_attention(&q.narrow(1, time - last, last)?, &k, &v)?;
            let difference = (ys - whole.narrow(1, time - last, last)?)?.abs()?.flatten_all()?.max(0)?;
            assert!(difference.to_scalar::<f32>()? < 1e-5);
        }
        Ok(())
    }
}
