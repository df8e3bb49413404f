//! Attention as a composition of candle's operators, with gradients.

use super::{Options, Settings, problem::Sizes};
use candle_core::{D, DType, Device, Result, Tensor};

/// Queries whose scores are there together.
const BLOCK: usize = 128;

/// As [`super::attention`]. Causal queries go in blocks that see the keys up to the block's end: half of the square
/// is never computed, and the scores of a long prompt need little memory.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &Options) -> Result<Tensor> {
    let Sizes { batch, time, heads, positions, .. } = Sizes::new(q, k, v)?;
    // what falls is numbered over all scores
    if time <= BLOCK || time > positions || !options.causal || options.dropout.is_some() {
        return whole(q, k, v, options);
    }
    let block = |first: usize| {
        let rows = BLOCK.min(time - first);
        let seen = positions - time + first + rows;
        let part = |added: Option<&Tensor>| match added {
            Some(added) => {
                let added = added.broadcast_as((batch, heads, time, positions))?;
                added.narrow(2, first, rows)?.narrow(3, 0, seen).map(Some)
            }
            None => Ok(None),
        };
        let (mask, bias) = (part(options.mask)?, part(options.bias)?);
        let options = Options { mask: mask.as_ref(), bias: bias.as_ref(), ..*options };
        whole(&q.narrow(1, first, rows)?, &k.narrow(1, 0, seen)?, &v.narrow(1, 0, seen)?, &options)
    };
    Tensor::cat(&(0..time).step_by(BLOCK).map(block).collect::<Result<Vec<_>>>()?, 1)
}

fn whole(q: &Tensor, k: &Tensor, v: &Tensor, options: &Options) -> Result<Tensor> {
    let Sizes { batch, time, heads, kv_heads, positions, v_size, .. } = Sizes::new(q, k, v)?;
    let mut weights = weights(q, k, options)?;
    if let Some((dropout, site)) = options.dropout {
        weights = dropout.apply(&weights, site)?;
    }
    let weights = weights.to_dtype(q.dtype())?;
    let v = v.to_dtype(q.dtype())?.transpose(1, 2)?.contiguous()?;
    let ys = weights.reshape((batch, kv_heads, heads / kv_heads * time, positions))?.matmul(&v)?;
    ys.reshape((batch, heads, time, v_size))?.transpose(1, 2)?.contiguous()
}

/// The softmax of the scores, (batch, heads, time, positions) in f32.
pub fn weights(q: &Tensor, k: &Tensor, options: &Options) -> Result<Tensor> {
    let sizes = Sizes::new(q, k, k)?;
    let Sizes { batch, time, heads, kv_heads, positions, size, .. } = sizes;
    let scale = options.scale.unwrap_or((size as f64).powf(-0.5));
    Settings::new(options, sizes)?;
    let q = (q.transpose(1, 2)?.contiguous()? * scale)?;
    let q = q.reshape((batch, kv_heads, heads / kv_heads * time, size))?;
    let k = k.to_dtype(q.dtype())?.transpose(1, 2)?.contiguous()?;
    let scores = q.matmul(&k.t()?)?.reshape((batch, heads, time, positions))?;
    let mut scores = scores.to_dtype(DType::F32)?;
    if let Some(cap) = options.soft_cap {
        scores = ((scores / cap)?.tanh()? * cap)?;
    }
    for added in options.added() {
        scores = scores.broadcast_add(&added.to_dtype(DType::F32)?)?;
    }
    if options.causal || options.window.is_some() {
        scores = scores.broadcast_add(&hidden(options, time, positions, scores.device())?)?;
    }
    // nothing seen: minus infinity less the lowest number is still that, and its power zero
    let largest = scores.max_keepdim(D::Minus1)?.maximum(f32::MIN)?.detach();
    let powers = scores.broadcast_sub(&largest)?.exp()?;
    let sums = powers.sum_keepdim(D::Minus1)?;
    let sums = (&sums + sums.eq(0f32)?.to_dtype(DType::F32)?)?;
    powers.broadcast_div(&sums)
}

// (time, positions): zero where a query sees a key, else minus infinity
fn hidden(options: &Options, time: usize, positions: usize, device: &Device) -> Result<Tensor> {
    let mask = (0..time * positions).map(|i| {
        let distance = (positions + i / positions) as i64 - time as i64 - (i % positions) as i64;
        let near = options.window.is_none_or(|window| distance.unsigned_abs() < window as u64);
        if near && (distance >= 0 || !options.causal) { 0f32 } else { f32::NEG_INFINITY }
    });
    Tensor::from_vec(mask.collect(), (time, positions), device)
}
