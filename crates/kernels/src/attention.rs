//! Attention without the matrix of scores (Dao et al., 2022), forward and backward.
//!
//! Queries (batch, time, heads, head_dim), keys and values (batch, positions, kv_heads, head_dim), each with any
//! strides as long as a head's values are contiguous: a cache (batch, kv_heads, capacity, head_dim) is given as
//! `cache.narrow(2, 0, positions)?.transpose(1, 2)?` and read where it lies. Groups of query heads may share a key
//! and value head (Ainslie et al., 2023), and values may be wider or narrower than keys.
//!
//! On the processor tiles of 96 queries by 128 keys go through the nearest caches, each head and tile of queries a
//! task of its own; few queries (a decoding step) go over the cache as it lies, in pieces of positions whose results
//! are merged exactly. The backward pass computes the scores once more from each query's saved sum. Elsewhere
//! everything is a composition of candle's operators.

mod backward;
mod buffer;
mod composite;
mod forward;
mod heads;
mod lanes;
mod op;
mod problem;
mod step;
#[cfg(test)]
mod tests;
mod tile;
mod weights;

pub use weights::attention_weights;

use crate::dropout::Dropout;
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{DType, Device, Result, Tensor};
use heads::Heads;
use problem::{Problem, Settings, Sizes, on_cpu, read_added};

/// What a query sees, and how its scores are changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Query `t` of `time` sees the keys up to `positions - time + t`: the last sees all. (PyTorch's `is_causal`
    /// instead lets the first query see the first key alone; the two agree where `time` equals `positions`.)
    pub causal: bool,
    /// A query sees only the keys less than so many positions before it and, unless `causal`, after it.
    pub window: Option<usize>,
    /// What the products of queries and keys are multiplied with; `None`: one over the root of head_dim.
    pub scale: Option<f64>,
    /// Scores become `cap * tanh(score / cap)`, before anything is added.
    pub soft_cap: Option<f64>,
    /// Added to the scores: any shape that broadcasts to (batch, heads, time, positions); minus infinity hides a key.
    pub mask: Option<&'a Tensor>,
    /// Added as well: (heads, time, positions), say of relative positions.
    pub bias: Option<&'a Tensor>,
    /// Weights fall by this, at the place in the net that the number names.
    pub dropout: Option<(Dropout, u64)>,
}

impl<'a> Options<'a> {
    /// Each query sees what is before it, and itself.
    pub fn causal() -> Self {
        Self { causal: true, ..Self::default() }
    }

    fn added(&self) -> impl Iterator<Item = &'a Tensor> {
        self.mask.into_iter().chain(self.bias)
    }
}

/// Softmax of the scaled products of queries and keys, times the values: (batch, time, heads, head_dim of the
/// values) in the format of `q`. A query that sees no key gets zeros, as in PyTorch since 2.5. With gradients for all operands.
///
/// Keys and values may be in bf16 or f16 where queries are in f32: they are widened as they are read. A key that is
/// hidden by position and lies in a tile with seen ones meets a weight of zero, so its values must be finite.
///
/// # Errors
/// Where shapes do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, options: &Options) -> Result<Tensor> {
    let sizes = Sizes::new(q, k, v)?;
    let (batch, time, heads) = (sizes.batch, sizes.time, sizes.heads);
    if batch * time * heads * sizes.positions * sizes.v_size == 0 {
        return Tensor::zeros((batch, time, heads, sizes.v_size), q.dtype(), q.device());
    }
    let half = |t: &Tensor| matches!(t.dtype(), DType::BF16 | DType::F16);
    if q.device().is_cpu() && half(q) {
        return attention(&q.to_dtype(DType::F32)?, k, v, options)?.to_dtype(q.dtype());
    }
    let settings = Settings::new(options, sizes)?;
    let readable = |t: &Tensor| t.device().is_cpu() && (t.dtype() == DType::F32 || half(t));
    let tracked = [q, k, v].into_iter().any(Tensor::track_op);
    let differentiable = options.soft_cap.is_none() && !half(k) && !half(v);
    let added_tracked = options.added().any(Tensor::track_op);
    if !rows::own(q) || !readable(k) || !readable(v) || added_tracked || (tracked && !differentiable) {
        return composite::attention(q, k, v, options);
    }
    let [q, k, v] = [adjacent(q)?, adjacent(k)?, adjacent(v)?];
    let added = problem::spread(options, sizes)?;
    if tracked {
        return q.recorded3(&k, &v, op::AttentionOp::new(sizes, settings, added));
    }
    let out = read_added(&added, |added| {
        let guards = [&q, &k, &v].map(|tensor| tensor.storage_and_layout());
        let heads = |i: usize| Heads::new(on_cpu(&guards[i].0)?, guards[i].1);
        let problem = Problem { q: heads(0)?, k: heads(1)?, v: heads(2)?, sizes, settings, added };
        Ok(computed(&problem, level()))
    })?;
    Tensor::from_vec(out, (batch, time, heads, sizes.v_size), &Device::Cpu)
}

/// Rows that share keys and values up to which the keys are not laid out anew.
const FEW: usize = 16;

fn computed(problem: &Problem, level: Level) -> Vec<f32> {
    let Sizes { batch, time, heads, kv_heads, v_size, .. } = problem.sizes;
    let mut out = vec![0f32; batch * time * heads * v_size];
    if time * (heads / kv_heads) <= FEW && !problem.settings.drops() {
        step::forward(problem, level, &mut out);
    } else {
        forward::forward(problem, level, &mut out, &mut []);
    }
    out
}

// a tensor whose heads are contiguous
fn adjacent(xs: &Tensor) -> Result<Tensor> {
    if Heads::fits(xs.layout()) { Ok(xs.clone()) } else { xs.contiguous() }
}
