//! Attention of one new position over a cache, on the processor, where products of matrices would spend more on
//! their preparation than on the work.

use crate::layers::rows;
use candle_core::{Layout, Result, Storage, Tensor};

/// Queries (batch, 1, heads, head_dim) over keys and values (batch, kv_heads, positions, head_dim), whose last two
/// dimensions must be contiguous; gives (batch, 1, heads * head_dim).
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let (batch, _, heads, size) = q.dims4()?;
    let (_, kv_heads, positions, _) = k.dims4()?;
    let ((k, k_layout), (v, v_layout)) = (k.storage_and_layout(), v.storage_and_layout());
    let (Storage::Cpu(k), Storage::Cpu(v)) = (&*k, &*v) else {
        refuse!("an operator of the processor was given a tensor elsewhere")
    };
    let (k, v) = (k.as_slice::<f32>()?, v.as_slice::<f32>()?);
    let mut out = vec![0f32; batch * heads * size];
    let mut scores = vec![0f32; positions];
    rows::read([&q.contiguous()?], |[q]| -> Result<()> {
        for (i, (q, out)) in q.chunks_exact(size).zip(out.chunks_exact_mut(size)).enumerate() {
            let (batch, shared) = (i / heads, i % heads / (heads / kv_heads));
            let (k, v) = (one(k, k_layout, batch, shared)?, one(v, v_layout, batch, shared)?);
            rows::dots(q, k, &mut scores);
            rows::vectorised(
                #[inline(always)]
                || weigh(&mut scores, v, out),
            );
        }
        Ok(())
    })??;
    Tensor::from_vec(out, (batch, 1, heads * size), q.device())
}

// (positions, head_dim) of one sequence's head
fn one<'a>(values: &'a [f32], layout: &Layout, batch: usize, head: usize) -> Result<&'a [f32]> {
    match (layout.stride(), layout.dims()) {
        (&[by_batch, by_head, row, 1], &[_, _, positions, size]) if row == size => {
            let start = layout.start_offset() + batch * by_batch + head * by_head;
            Ok(&values[start..start + positions * size])
        }
        _ => refuse!("a cache whose positions are not contiguous: {layout:?}"),
    }
}

// softmax of the scaled scores, and the values by these weights
#[inline(always)]
fn weigh(scores: &mut [f32], v: &[f32], out: &mut [f32]) {
    let scale = (out.len() as f32).powf(-0.5);
    for score in scores.iter_mut() {
        *score *= scale;
    }
    let (_, sum) = rows::exponentials(scores);
    let factor = sum.recip();
    for (score, v) in scores.iter().zip(v.chunks_exact(out.len())) {
        let weight = score * factor;
        for (out, v) in out.iter_mut().zip(v) {
            *out += weight * v;
        }
    }
}
