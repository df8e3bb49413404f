//! Causal attention of whole sequences on the processor, with its gradient.
//!
//! Each head is a task of its own, and its queries go in blocks that see the keys up to the block's end: the half
//! of the square that the mask would throw away is never computed, and scores live only as long as their block.
//! The backward pass computes them once more instead of reading them back from memory.

use crate::layers::rows;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Rows of queries in a block.
const BLOCK: usize = 64;

/// Over queries (batch, time, heads, head_dim), keys and values (batch, time, kv_heads, head_dim).
pub struct CausalOp;

#[derive(Clone, Copy)]
struct Sizes {
    time: usize,
    heads: usize,
    kv_heads: usize,
    size: usize,
}

/// A head of one sequence, or rows of it, inside a storage.
struct View<'a> {
    storage: &'a CpuStorage,
    start: usize,
    row: usize,
    column: usize,
}

impl<'a> View<'a> {
    fn rows(&self, first: usize) -> View<'a> {
        View { start: self.start + first * self.row, ..*self }
    }

    fn turned(&self) -> View<'a> {
        View { row: self.column, column: self.row, ..*self }
    }

    fn layout(&self, rows: usize, columns: usize) -> Layout {
        Layout::new((rows, columns).into(), vec![self.row, self.column], self.start)
    }
}

fn dense(storage: &CpuStorage, columns: usize) -> View<'_> {
    View { storage, start: 0, row: columns, column: 1 }
}

// (m, k) times (k, n)
fn product(a: &View, b: &View, (m, n, k): (usize, usize, usize)) -> Result<CpuStorage> {
    a.storage.matmul(b.storage, (1, m, n, k), &a.layout(m, k), &b.layout(k, n))
}

fn slice(storage: &mut CpuStorage) -> Result<&mut [f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        other => refuse!("attention in {:?} where f32 was asked", other.dtype()),
    }
}

impl Sizes {
    fn new(q: &Shape, k: &Shape) -> Result<Self> {
        let (_, time, heads, size) = q.dims4()?;
        Ok(Self { time, heads, kv_heads: k.dims4()?.2, size })
    }

    fn view<'a>(&self, storage: &'a CpuStorage, batch: usize, heads: usize, head: usize) -> View<'a> {
        let row = heads * self.size;
        View { storage, start: batch * self.time * row + head * self.size, row, column: 1 }
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let time = self.time;
        (0..time).step_by(BLOCK).map(move |first| (first, BLOCK.min(time - first)))
    }

    /// Attention weights of a block: (rows, seen) with zeros after each row's own position.
    fn weights(&self, q: &View, k: &View, first: usize, rows: usize) -> Result<CpuStorage> {
        let seen = first + rows;
        let mut scores = product(&q.rows(first), &k.turned(), (rows, seen, self.size))?;
        let values = slice(&mut scores)?;
        let scale = (self.size as f32).powf(-0.5);
        rows::vectorised(
            #[inline(always)]
            || causal_softmax(values, first, seen, scale),
        );
        Ok(scores)
    }

    /// The outputs of one head, (time, size).
    fn head(&self, q: &View, k: &View, v: &View) -> Result<Vec<f32>> {
        let mut out = Vec::with_capacity(self.time * self.size);
        for (first, rows) in self.blocks() {
            let seen = first + rows;
            let weights = self.weights(q, k, first, rows)?;
            let mut ys = product(&dense(&weights, seen), v, (rows, self.size, seen))?;
            out.extend_from_slice(slice(&mut ys)?);
        }
        Ok(out)
    }

    /// The gradients of one head's queries, and of keys and values added to what other heads left there.
    fn head_backward(&self, [q, k, v, grad]: [&View; 4], kv_grads: [&mut [f32]; 2]) -> Result<Vec<f32>> {
        let size = self.size;
        let scale = (size as f32).powf(-0.5);
        let [k_grad, v_grad] = kv_grads;
        let mut q_grad = Vec::with_capacity(self.time * size);
        for (first, rows) in self.blocks() {
            let seen = first + rows;
            let weights = self.weights(q, k, first, rows)?;
            add(v_grad, product(&dense(&weights, seen).turned(), &grad.rows(first), (seen, size, rows))?)?;
            let mut scores_grad = product(&grad.rows(first), &v.turned(), (rows, seen, size))?;
            let values = slice(&mut scores_grad)?;
            let weights = weights.as_slice::<f32>()?;
            rows::vectorised(
                #[inline(always)]
                || softmax_backward(weights, values, seen, scale),
            );
            let scores_grad = dense(&scores_grad, seen);
            q_grad.extend_from_slice(slice(&mut product(&scores_grad, k, (rows, size, seen))?)?);
            add(k_grad, product(&scores_grad.turned(), &q.rows(first), (seen, size, rows))?)?;
        }
        Ok(q_grad)
    }
}

#[inline(always)]
fn causal_softmax(scores: &mut [f32], first: usize, seen: usize, scale: f32) {
    for (row, scores) in scores.chunks_exact_mut(seen).enumerate() {
        let (visible, hidden) = scores.split_at_mut(first + row + 1);
        let largest = rows::max(visible) * scale;
        for x in visible.iter_mut() {
            *x = rows::exp(*x * scale - largest);
        }
        let factor = rows::sum(visible, |x| x).recip();
        for x in visible.iter_mut() {
            *x *= factor;
        }
        hidden.fill(0.);
    }
}

// from the gradient of the weights to the gradient of the scores, in place
#[inline(always)]
fn softmax_backward(weights: &[f32], grads: &mut [f32], seen: usize, scale: f32) {
    for (weights, grads) in weights.chunks_exact(seen).zip(grads.chunks_exact_mut(seen)) {
        let mean = rows::sum2(weights, grads, |w, g| w * g);
        for (grad, weight) in grads.iter_mut().zip(weights) {
            *grad = (*grad - mean) * weight * scale;
        }
    }
}

fn add(sums: &mut [f32], mut parts: CpuStorage) -> Result<()> {
    for (sum, part) in sums.iter_mut().zip(slice(&mut parts)?) {
        *sum += *part;
    }
    Ok(())
}

/// Puts heads, each (time, size), side by side: (batch, time, heads, size).
fn interleave(heads: &[Vec<f32>], sizes: Sizes, count: usize) -> Vec<f32> {
    let Sizes { time, size, .. } = sizes;
    let row = count * size;
    let mut out = vec![0f32; heads.len() * time * size];
    out.par_chunks_mut(row).with_min_len(rows::rows_per_task(row)).enumerate().for_each(|(i, out)| {
        let (batch, t) = (i / time, i % time);
        for (out, head) in out.chunks_exact_mut(size).zip(&heads[batch * count..]) {
            out.copy_from_slice(&head[t * size..(t + 1) * size]);
        }
    });
    out
}

impl CustomOp3 for CausalOp {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(q_layout.shape(), k_layout.shape())?;
        let Sizes { heads, kv_heads, .. } = sizes;
        let batch = q_layout.dims()[0];
        let at = |storage, layout: &Layout, batch, heads, head| {
            let view = sizes.view(storage, batch, heads, head);
            View { start: view.start + layout.start_offset(), ..view }
        };
        let head = |i: usize| {
            let (batch, head) = (i / heads, i % heads);
            let shared = head / (heads / kv_heads);
            let q = at(q, q_layout, batch, heads, head);
            let k = at(k, k_layout, batch, kv_heads, shared);
            sizes.head(&q, &k, &at(v, v_layout, batch, kv_heads, shared))
        };
        let outs = (0..batch * heads).into_par_iter().map(head).collect::<Result<Vec<_>>>()?;
        Ok((CpuStorage::F32(interleave(&outs, sizes, heads)), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(q.shape(), k.shape())?;
        let Sizes { time, heads, kv_heads, size } = sizes;
        let (batch, group) = (q.dim(0)?, heads / kv_heads);
        let tensors = [q, k, v, &grad.contiguous()?];
        let storages = tensors.map(|tensor| tensor.storage_and_layout());
        // heads that share keys and values are one task, since they add to the same gradient
        let task = |i: usize| {
            let (batch, shared) = (i / kv_heads, i % kv_heads);
            let at = |n: usize, heads, head| match &*storages[n].0 {
                candle_core::Storage::Cpu(storage) => {
                    let view = sizes.view(storage, batch, heads, head);
                    Ok(View { start: view.start + storages[n].1.start_offset(), ..view })
                }
                _ => refuse!("an operator of the processor was given a tensor elsewhere"),
            };
            let (k, v) = (at(1, kv_heads, shared)?, at(2, kv_heads, shared)?);
            let (mut k_grad, mut v_grad) = (vec![0f32; time * size], vec![0f32; time * size]);
            let mut q_grads = Vec::with_capacity(group);
            for head in shared * group..(shared + 1) * group {
                let views = [&at(0, heads, head)?, &k, &v, &at(3, heads, head)?];
                q_grads.push(sizes.head_backward(views, [&mut k_grad, &mut v_grad])?);
            }
            Ok((q_grads, k_grad, v_grad))
        };
        let grads = (0..batch * kv_heads).into_par_iter().map(task).collect::<Result<Vec<_>>>()?;
        let (mut q_heads, mut k_heads, mut v_heads) = (vec![], vec![], vec![]);
        for (q_grads, k_grad, v_grad) in grads {
            q_heads.extend(q_grads);
            k_heads.push(k_grad);
            v_heads.push(v_grad);
        }
        let tensor = |heads: &[Vec<f32>], count, like: &Tensor| {
            Tensor::from_vec(interleave(heads, sizes, count), like.shape(), like.device())
        };
        let q_grad = tensor(&q_heads, heads, q)?;
        Ok((Some(q_grad), Some(tensor(&k_heads, kv_heads, k)?), Some(tensor(&v_heads, kv_heads, v)?)))
    }
}
