//! SASRec and gSASRec: one net, of two losses.

use std::collections::BTreeMap;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use kernels::linear;
use models::checkpoint::Checkpoint;
use models::nets::sasrec::{Config, SasRec};
use models::vars::VarBuilder;
use serde_json::Value;

use super::{Kind, Method, cosines};

/// The net with its items ready to be multiplied.
pub struct Sequence {
    kind: Kind,
    net: SasRec,
    /// In the order of the loops.
    items: linear::Weight,
    weights: BTreeMap<String, Tensor>,
    device: Device,
}

impl Sequence {
    /// Reads the net.
    ///
    /// # Errors
    /// What the net refuses.
    pub fn open(kind: Kind, checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let (config, vb): (Config, _) = (checkpoint.config()?, checkpoint.vb(DType::F32, device));
        let names: Vec<(String, Vec<usize>)> =
            checkpoint.tensors().map(|(name, stored)| (name.to_string(), stored.shape.clone())).collect();
        // checked first, so that a net that does not fit is told before its tensors are read
        SasRec::new(&config, vb.clone())?;
        let weights = names.into_iter().map(|(name, shape)| Ok((name.clone(), vb.get(shape, &name)?)));
        Self::new(kind, &config, weights.collect::<Result<_>>()?, device)
    }

    /// The net of these weights.
    ///
    /// # Errors
    /// What the net refuses.
    pub fn new(
        kind: Kind,
        config: &Config,
        weights: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let tensors = weights.clone().into_iter().collect();
        let net = SasRec::new(config, VarBuilder::from_tensors(tensors, DType::F32, device))?;
        let items = linear::Weight::f32(&net.items()?.contiguous()?)?;
        Ok(Self { kind, net, items, weights, device: device.clone() })
    }
}

impl Method for Sequence {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn items(&self) -> usize {
        self.net.config().item_num
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let numbered: Vec<Vec<u32>> =
            histories.iter().map(|history| history.iter().map(|item| item + 1).collect()).collect();
        let numbered: Vec<&[u32]> = numbered.iter().map(Vec::as_slice).collect();
        let expected = self.net.after(&self.net.histories(&numbered, &self.device)?)?;
        Ok(self.items.forward(&expected, None)?.flatten_all()?.to_vec1()?)
    }

    fn like(&self, item: u32, others: &[u32]) -> Result<Vec<f32>> {
        cosines(&self.net.items()?, item, others)
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let tensors = self.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        Ok((serde_json::to_value(self.net.config())?, tensors))
    }
}
