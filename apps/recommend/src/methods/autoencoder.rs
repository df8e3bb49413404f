//! Mult-VAE.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use models::checkpoint::Checkpoint;
use models::nets::mult_vae::{Config, MultVae};
use models::vars::VarBuilder;
use serde_json::Value;

use super::{Kind, Method, cosines};

/// The net.
pub struct AutoEncoder {
    net: MultVae,
    config: Config,
    weights: BTreeMap<String, Tensor>,
    device: Device,
}

impl AutoEncoder {
    /// Reads the net.
    ///
    /// # Errors
    /// What the net refuses.
    pub fn open(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let (config, vb): (Config, _) = (checkpoint.config()?, checkpoint.vb(DType::F32, device));
        let names: Vec<(String, Vec<usize>)> =
            checkpoint.tensors().map(|(name, stored)| (name.to_string(), stored.shape.clone())).collect();
        MultVae::new(&config, vb.clone())?;
        let weights = names.into_iter().map(|(name, shape)| Ok((name.clone(), vb.get(shape, &name)?)));
        Self::new(&config, weights.collect::<Result<_>>()?, device)
    }

    /// The net of these weights.
    ///
    /// # Errors
    /// What the net refuses.
    pub fn new(config: &Config, weights: BTreeMap<String, Tensor>, device: &Device) -> Result<Self> {
        let tensors = weights.clone().into_iter().collect();
        let net = MultVae::new(config, VarBuilder::from_tensors(tensors, DType::F32, device))?;
        Ok(Self { net, config: config.clone(), weights, device: device.clone() })
    }
}

/// A history as a set, of items from 1 on.
pub fn set(history: &[u32]) -> Vec<u32> {
    let mut set: Vec<u32> = history.iter().map(|item| item + 1).collect();
    set.sort_unstable();
    set.dedup();
    set
}

impl Method for AutoEncoder {
    fn kind(&self) -> Kind {
        Kind::MultVae
    }

    fn items(&self) -> usize {
        self.config.item_num
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let sets: Vec<Vec<u32>> = histories.iter().map(|history| set(history)).collect();
        Ok(self.net.scores(&sets, &self.device)?.flatten_all()?.to_vec1()?)
    }

    fn like(&self, item: u32, others: &[u32]) -> Result<Vec<f32>> {
        cosines(&self.weights["decoder.items.weight"], item, others)
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let tensors = self.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        Ok((serde_json::to_value(&self.config)?, tensors))
    }
}
