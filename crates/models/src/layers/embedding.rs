//! A table of vectors, one an id.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};
use kernels::embedding::{NOTHING, embedding, embedding_sum};

/// Ids to rows of the table. A clone shares it.
#[derive(Clone)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Stands in [`Embedding::forward_sum`] where a place has no further id.
    pub const NOTHING: u32 = NOTHING;

    /// Reads `weight`; a net trained from nothing starts with normal values of standard deviation `stdev`.
    pub fn new(count: usize, size: usize, stdev: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints((count, size), "weight", Init::Randn { mean: 0., stdev })? })
    }

    /// (batch, time) ids to (batch, time, size).
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        embedding(ids, &self.weight)
    }

    /// A bag of ids a place: (batch, time, count) to the sum of their rows, (batch, time, size).
    pub fn forward_sum(&self, ids: &Tensor) -> Result<Tensor> {
        embedding_sum(ids, &self.weight)
    }

    /// (count, size), for an output layer that shares it.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
