//! Attention of several heads (Vaswani et al., 2017) with its projections, over a sequence's own positions or another's.

use crate::layers::linear::Linear;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::attention::{Options, attention, attention_weights};
use kernels::gradients::reshape;

use super::Shape;

/// Keys and values of some positions, each (batch, positions, heads, head_dim).
#[derive(Debug, Clone)]
pub struct Keys {
    pub keys: Tensor,
    pub values: Tensor,
}

/// The projections around the attention itself.
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    /// Reads `q_proj`, `k_proj`, `v_proj` and `out_proj`.
    pub fn new(shape: &Shape, vb: VarBuilder) -> Result<Self> {
        let map = |bias, name: &str| Linear::new(shape.size, shape.size, bias, shape.stdev, vb.pp(name));
        Ok(Self {
            q_proj: map(shape.bias, "q_proj")?,
            k_proj: map(shape.bias && shape.key_bias, "k_proj")?,
            v_proj: map(shape.bias, "v_proj")?,
            out_proj: map(shape.bias, "out_proj")?,
            heads: shape.heads,
        })
    }

    /// Of the maps to queries, keys and values, and that of the result.
    pub fn of([q_proj, k_proj, v_proj]: [Linear; 3], out_proj: Linear, heads: usize) -> Self {
        Self { q_proj, k_proj, v_proj, out_proj, heads }
    }

    /// Keys and values of (batch, positions, size).
    pub fn keys(&self, xs: &Tensor) -> Result<Keys> {
        Ok(Keys {
            keys: self.split(&self.k_proj.forward(xs)?)?,
            values: self.split(&self.v_proj.forward(xs)?)?,
        })
    }

    /// Queries of (batch, time, size), (batch, time, heads, head_dim).
    pub fn queries(&self, xs: &Tensor) -> Result<Tensor> {
        self.split(&self.q_proj.forward(xs)?)
    }

    /// What queries see, (batch, time, size).
    ///
    /// Several sequences may look at one: the keys' batch divides the queries', whose runs of rows share keys.
    pub fn attend(&self, queries: &Tensor, seen: &Keys, options: &Options) -> Result<Tensor> {
        let (batch, time, heads, size) = queries.dims4()?;
        let ys = attention(&together(queries, seen)?, &seen.keys, &seen.values, options)?;
        self.out_proj.forward(&reshape(&ys, (batch, time, heads * size))?)
    }

    /// The attention weights of some heads, (batch, heads.len(), time, positions).
    pub fn weights(
        &self,
        queries: &Tensor,
        seen: &Keys,
        heads: &[usize],
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        attention_weights(queries, &seen.keys, heads, &Options { mask, ..Options::default() })
    }

    fn split(&self, xs: &Tensor) -> Result<Tensor> {
        let (batch, time, size) = xs.dims3()?;
        reshape(xs, (batch, time, self.heads, size / self.heads))
    }
}

// the queries of all rows that share keys, one after the other
fn together(queries: &Tensor, seen: &Keys) -> Result<Tensor> {
    let ((batch, time, heads, size), sources) = (queries.dims4()?, seen.keys.dim(0)?);
    if batch == sources {
        return Ok(queries.clone());
    }
    if sources == 0 || !batch.is_multiple_of(sources) {
        refuse!("{batch} sequences look at {sources}: not a multiple");
    }
    reshape(queries, (sources, batch / sources * time, heads, size))
}
