//! A table of vectors, one an id.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// Ids to rows of the table.
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Reads `weight`; a net trained from nothing starts with normal values of standard deviation `stdev`.
    pub fn new(count: usize, size: usize, stdev: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints((count, size), "weight", Init::Randn { mean: 0., stdev })? })
    }

    /// (batch, time) ids to (batch, time, size).
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let (batch, time) = ids.dims2()?;
        let size = self.weight.dim(1)?;
        self.weight.index_select(&ids.flatten_all()?, 0)?.reshape((batch, time, size))
    }

    /// (count, size), for an output layer that shares it.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
