//! What most people had: what every other method has to beat.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use models::checkpoint::Checkpoint;
use serde_json::{Value, json};

use super::{Kind, Method, size, values};
use crate::data::Histories;

/// How often each item was had.
pub struct Popular {
    counts: Vec<f32>,
}

impl Popular {
    /// Counts.
    pub fn fit(train: &Histories, items: usize) -> Self {
        Self { counts: train.counts(items).into_iter().map(|count| count as f32).collect() }
    }

    /// Reads the counts.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self> {
        let items = size(checkpoint, "item_num")?;
        Ok(Self { counts: values(checkpoint, "counts", &[items])? })
    }
}

impl Method for Popular {
    fn kind(&self) -> Kind {
        Kind::Popular
    }

    fn items(&self) -> usize {
        self.counts.len()
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        Ok(self.counts.repeat(histories.len()))
    }

    fn like(&self, _: u32, _: &[u32]) -> Result<Vec<f32>> {
        bail!("a model that counts knows nothing of which items are alike: use --method itemknn or another")
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let counts = Tensor::from_slice(&self.counts, self.counts.len(), &Device::Cpu)?;
        Ok((json!({ "item_num": self.items() }), vec![("counts".into(), counts)]))
    }
}
