//! From ids to logits: embeddings with their positions, a stack of blocks that looks at a source, and the output layer.

use candle_core::{DType, Result, Tensor};

use super::{Cache, Positions, Source, Stack};
use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::sum::sum;

/// Embeddings of ids at their positions.
pub struct Embed {
    /// Of the ids.
    pub tokens: Embedding,
    /// What these are multiplied with.
    pub scale: Option<f64>,
    /// Added to them.
    pub positions: Positions,
    /// After that, where there is such.
    pub norm: Option<LayerNorm>,
}

impl Embed {
    /// Ids (batch, time) from position `start` on to (batch, time, size).
    ///
    /// # Errors
    /// For no ids, foreign ids, and more positions than there are.
    pub fn forward(&self, ids: &Tensor, start: usize) -> Result<Tensor> {
        if ids.elem_count() == 0 {
            refuse!("the net was given no ids: {:?}", ids.dims());
        }
        let places = self.positions.forward(ids, start)?;
        let xs = self.tokens.forward(ids)?;
        let xs = match self.scale {
            Some(scale) => sum(&(xs * scale)?, &places)?,
            None => sum(&xs, &places)?,
        };
        match &self.norm {
            Some(norm) => norm.forward(&xs),
            None => Ok(xs),
        }
    }
}

/// A decoder with its output layer.
pub struct Decoder {
    /// Of the ids that it has made.
    pub embed: Embed,
    /// Its blocks.
    pub stack: Stack,
    /// States to logits.
    pub output: Linear,
}

impl Decoder {
    /// An empty cache for sequences that look at a source, whose keys and values are computed here.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn start(&self, source: &Source) -> Result<Cache> {
        self.stack.start(source)
    }

    /// Ids (batch, time), which follow those in the cache, to logits (batch, time, vocab).
    ///
    /// # Errors
    /// For foreign ids, more positions than there are, and another batch than the cache's.
    pub fn forward(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.logits(&self.stack.decode(&self.embed.forward(ids, cache.len())?, cache)?)
    }

    /// As `forward`, but the last position's logits alone: (batch, vocab).
    ///
    /// # Errors
    /// As there.
    pub fn forward_last(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let xs = self.stack.decode(&self.embed.forward(ids, cache.len())?, cache)?;
        let time = xs.dim(1)?;
        self.logits(&xs.narrow(1, time - 1, 1)?.squeeze(1)?)
    }

    /// Whole sequences (batch, time) from position 0 to logits (batch, time, vocab), with gradients.
    ///
    /// # Errors
    /// For foreign ids, and more positions than there are.
    pub fn forward_train(&self, ids: &Tensor, source: &Source, dropout: &Dropout) -> Result<Tensor> {
        self.logits(&self.stack.decode_train(&self.embed.forward(ids, 0)?, source, dropout)?)
    }

    /// As `forward_train` without dropout, and the weights that heads, given as (layer, head), have on the source:
    /// (batch, heads, time, positions).
    ///
    /// # Errors
    /// As there, for no heads, and for a layer or head that is not there.
    pub fn forward_watched(
        &self,
        ids: &Tensor,
        source: &Source,
        heads: &[(usize, usize)],
    ) -> Result<(Tensor, Tensor)> {
        let (xs, weights) = self.stack.decode_watched(&self.embed.forward(ids, 0)?, source, heads)?;
        Ok((self.logits(&xs)?, weights))
    }

    fn logits(&self, xs: &Tensor) -> Result<Tensor> {
        self.output.forward(xs)?.to_dtype(DType::F32)
    }
}
