//! A table of vectors, one an id.

use crate::vars::{Format, VarBuilder};
use candle_core::{DType, Result, Tensor};
use candle_nn::Init;
use kernels::embedding::{NOTHING, embedding, embedding_sum};
use kernels::quantised;
use std::sync::Arc;

/// Ids to rows of the table. A clone shares it.
#[derive(Clone)]
pub struct Embedding {
    table: Table,
    dtype: DType,
}

#[derive(Clone)]
enum Table {
    Plain(Tensor),
    Blocks(Arc<quantised::Weight>),
}

impl Embedding {
    /// Stands in [`Embedding::forward_sum`] where a place has no further id.
    pub const NOTHING: u32 = NOTHING;

    /// Reads `weight`; a net trained from nothing starts with normal values of standard deviation `stdev`.
    pub fn new(count: usize, size: usize, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let dtype = vb.dtype();
        if let Some(blocks) = vb.blocks((count, size), "weight")? {
            return Ok(Self { table: Table::Blocks(Arc::new(blocks)), dtype });
        }
        let stored = if vb.format() == Format::Bf16 { DType::BF16 } else { dtype };
        let init = Init::Randn { mean: 0., stdev };
        let weight = vb.get_with_hints_dtype((count, size), "weight", init, stored)?;
        Ok(Self { table: Table::Plain(weight), dtype })
    }

    /// (batch, time) ids to (batch, time, size).
    pub fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.table {
            Table::Plain(weight) => embedding(ids, weight)?.to_dtype(self.dtype),
            Table::Blocks(weight) => weight.rows(ids)?.to_device(ids.device())?.to_dtype(self.dtype),
        }
    }

    /// A bag of ids a place: (batch, time, count) to the sum of their rows, (batch, time, size).
    ///
    /// # Errors
    /// If the table is in blocks.
    pub fn forward_sum(&self, ids: &Tensor) -> Result<Tensor> {
        embedding_sum(ids, &self.weight()?)
    }

    /// (count, size), for an output layer that shares it.
    ///
    /// # Errors
    /// If the table is in blocks.
    pub fn weight(&self) -> Result<Tensor> {
        match &self.table {
            Table::Plain(weight) => Ok(weight.clone()),
            Table::Blocks(_) => refuse!("a table in blocks has no plain weight"),
        }
    }

    /// The table in blocks, if it is.
    pub fn blocks(&self) -> Option<&Arc<quantised::Weight>> {
        match &self.table {
            Table::Plain(_) => None,
            Table::Blocks(blocks) => Some(blocks),
        }
    }
}
