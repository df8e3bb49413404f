//! What a decoder has seen: keys and values of the other sequence, computed once, and of its own positions.

use candle_core::{DType, Result, Tensor};
use std::sync::Arc;

use super::attention::Keys;
use crate::layers::cache::LayerCache;

/// (batch, 1, 1, positions): minus infinity where a mask of ids, (batch, positions), is 0; nothing where it is 0 nowhere.
pub(crate) fn hidden(ids: &Tensor, mask: &Tensor) -> Result<Option<Tensor>> {
    if mask.dims() != ids.dims() {
        refuse!("a mask of shape {:?} for ids of shape {:?}", mask.dims(), ids.dims());
    }
    let (batch, time) = ids.dims2()?;
    let mask = mask.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    if mask.iter().all(|seen| *seen != 0.) {
        return Ok(None);
    }
    let mask = mask.into_iter().map(|seen| if seen != 0. { 0. } else { f32::NEG_INFINITY }).collect();
    Tensor::from_vec(mask, (batch, 1, 1, time), ids.device()).map(Some)
}

/// What the encoder made of its input.
#[derive(Debug, Clone)]
pub struct Source {
    /// (batch, positions, size)
    pub states: Tensor,
    /// (batch, 1, 1, positions): zero, or minus infinity where there is padding; `None` where there is none.
    pub mask: Option<Tensor>,
}

/// Keys and values of a source, for each layer.
#[derive(Debug, Clone)]
pub struct Memory {
    pub layers: Vec<Keys>,
    pub mask: Option<Tensor>,
}

/// The keys and values that a decoder goes on from. A clone is cheap, and the two go on apart.
#[derive(Clone)]
pub struct Cache {
    pub(crate) layers: Vec<LayerCache>,
    pub(crate) memory: Arc<Memory>,
    sources: usize,
    rows: usize,
    len: usize,
}

impl Cache {
    pub(crate) fn new(memory: Memory, sources: usize) -> Self {
        let layers = vec![LayerCache::default(); memory.layers.len()];
        Self { layers, memory: Arc::new(memory), sources, rows: sources, len: 0 }
    }

    /// For so many sequences that look at no source.
    pub(crate) fn alone(layers: usize, rows: usize) -> Self {
        let memory = Memory { layers: Vec::new(), mask: None };
        Self {
            layers: vec![LayerCache::default(); layers],
            memory: Arc::new(memory),
            sources: rows,
            rows,
            len: 0,
        }
    }

    /// How many positions it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many sequences it holds.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Forgets all positions from `len` on; the source stays.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if self.len == 0 {
            self.layers.fill(LayerCache::default());
        }
    }

    /// Takes sequence `rows[i]` of before as its sequence `i`: a step of a beam search. There may be more of them than
    /// before, or fewer. What runs of sequences see of one source stays shared between them.
    ///
    /// # Errors
    /// For no rows, and for a row that is not there.
    pub fn reorder(&mut self, rows: &[usize]) -> Result<()> {
        if let Some(row) = rows.iter().find(|row| **row >= self.rows) {
            refuse!("sequence {row} of a cache of {}", self.rows);
        }
        let Some(&first) = rows.first() else { refuse!("a cache of no sequences") };
        if !rows.iter().copied().eq(0..self.rows) && self.len > 0 {
            for layer in &mut self.layers {
                layer.select(rows, self.len)?;
            }
        }
        let group = self.rows / self.sources;
        let sources: Vec<usize> = rows.iter().map(|row| row / group).collect();
        let run = sources.iter().take_while(|source| **source == first / group).count();
        let runs = sources.len().is_multiple_of(run)
            && sources.chunks(run).all(|run| run.iter().all(|x| *x == run[0]));
        let run = if runs { run } else { 1 };
        let sources: Vec<usize> = sources.into_iter().step_by(run).collect();
        if !sources.iter().copied().eq(0..self.sources) {
            self.memory = Arc::new(self.memory.select(&sources)?);
            self.sources = sources.len();
        }
        self.rows = rows.len();
        Ok(())
    }

    /// Notes that sequences (batch, time, size) are about to follow.
    pub(crate) fn follow(&mut self, xs: &Tensor) -> Result<()> {
        let batch = xs.dim(0)?;
        if self.len > 0 && batch != self.rows {
            refuse!("{batch} sequences follow {} in a cache", self.rows);
        }
        if !batch.is_multiple_of(self.sources) {
            refuse!("{batch} sequences for {} sources: not a multiple", self.sources);
        }
        self.rows = batch;
        Ok(())
    }

    /// Notes that so many positions have followed.
    pub(crate) fn advance(&mut self, time: usize) {
        self.len += time;
    }
}

impl Memory {
    fn select(&self, sources: &[usize]) -> Result<Self> {
        let pick = |xs: &Tensor| {
            let ids: Vec<u32> = sources.iter().map(|source| *source as u32).collect();
            xs.contiguous()?.index_select(&Tensor::new(ids, xs.device())?, 0)
        };
        let layer = |seen: &Keys| Ok(Keys { keys: pick(&seen.keys)?, values: pick(&seen.values)? });
        Ok(Self {
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            mask: self.mask.as_ref().map(pick).transpose()?,
        })
    }
}
