//! Mult-VAE (Liang, Krishnan, Hoffman and Jebara, 2018): a set of items to logits of all items, through a hidden layer on
//! either side of a latent vector.
//!
//! The first layer's weight lies item by item, `encoder.items` (items, hidden), so that a history is a sum of few rows.

use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::nets::checks::sizes;
use crate::vars::VarBuilder;
use candle_core::{Device, Result, Tensor};
use candle_nn::{Init, VarMap};
use kernels::activations::tanh;
use kernels::ranking::multinomial;
use kernels::reorder::part;
use serde::{Deserialize, Serialize};

/// Sizes of the net.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Items, numbered from 1.
    pub item_num: usize,
    /// Width of the hidden layers.
    pub hidden_units: usize,
    /// Width of the latent vector.
    pub latent_units: usize,
}

impl Config {
    /// Refuses sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        sizes(&[
            ("item_num", self.item_num, 1 << 28),
            ("hidden_units", self.hidden_units, 1 << 16),
            ("latent_units", self.latent_units, 1 << 16),
        ])
    }
}

/// The net.
pub struct MultVae {
    items: Embedding,
    bias: Tensor,
    moments: Linear,
    hidden: Linear,
    out: Linear,
    cfg: Config,
}

impl MultVae {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let (items, hidden, latent) = (cfg.item_num, cfg.hidden_units, cfg.latent_units);
        // Glorot's
        let stdev = |inputs: usize, outputs: usize| (2. / (inputs + outputs) as f64).sqrt();
        let encoder = vb.pp("encoder");
        Ok(Self {
            items: Embedding::new(items, hidden, stdev(items, hidden), encoder.pp("items"))?,
            bias: encoder.get_with_hints(hidden, "items.bias", Init::Const(0.))?,
            moments: Linear::new(hidden, 2 * latent, true, stdev(hidden, 2 * latent), encoder.pp("moments"))?,
            hidden: Linear::new(latent, hidden, true, stdev(latent, hidden), vb.pp("decoder.hidden"))?,
            out: Linear::new(hidden, items, true, stdev(hidden, items), vb.pp("decoder.items"))?,
            cfg: cfg.clone(),
        })
    }

    /// A net with random weights, and its variables.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn init(cfg: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(cfg, crate::layers::init::seeded(&vars, seed, device))?;
        Ok((net, vars))
    }

    // mean and logarithm of the variance, (batch, latent) each, of sets of items of which some may be hidden: rows are
    // divided by the length of the whole set's vector, as if what is seen were scaled by `scale`
    fn moments(
        &self,
        seen: &[Vec<u32>],
        lengths: &[usize],
        scale: f64,
        device: &Device,
    ) -> Result<[Tensor; 2]> {
        let widest = seen.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut ids = Vec::with_capacity(seen.len() * widest);
        for row in seen {
            if let Some(item) = row.iter().find(|&&item| item == 0 || item as usize > self.cfg.item_num) {
                refuse!("item {item} is not in 1 to {}", self.cfg.item_num);
            }
            ids.extend(row.iter().map(|item| item - 1));
            ids.extend(std::iter::repeat_n(Embedding::NOTHING, widest - row.len()));
        }
        let ids = Tensor::from_vec(ids, (seen.len(), 1, widest), device)?;
        let factor = |length: &usize| (scale / (*length.max(&1) as f64).sqrt()) as f32;
        let factors: Vec<f32> = lengths.iter().map(factor).collect();
        let factors = Tensor::from_vec(factors, (seen.len(), 1), device)?;
        let rows = self.items.forward_sum(&ids)?.squeeze(1)?.broadcast_mul(&factors)?;
        let both = self.moments.forward(&tanh(&rows.broadcast_add(&self.bias)?)?)?;
        let latent = self.cfg.latent_units;
        Ok([part(&both, 0, latent)?, part(&both, latent, latent)?])
    }

    fn decode(&self, latent: &Tensor) -> Result<Tensor> {
        self.out.forward(&tanh(&self.hidden.forward(&latent.contiguous()?)?)?)
    }

    /// Logits (batch, items) of all items, the first at place 0, after sets of items from 1 on.
    ///
    /// # Errors
    /// An item that the net does not have.
    pub fn scores(&self, sets: &[Vec<u32>], device: &Device) -> Result<Tensor> {
        let lengths: Vec<usize> = sets.iter().map(Vec::len).collect();
        let [mean, _] = self.moments(sets, &lengths, 1., device)?;
        self.decode(&mean)
    }

    /// The negative evidence bound of sets, a mean over them. `seen` holds what dropout left of each, `dropped` is its rate;
    /// `noise` (batch, latent) is standard normal, and `weight` that of the divergence from the prior.
    ///
    /// # Errors
    /// An item that the net does not have.
    pub fn loss(
        &self,
        sets: &[Vec<u32>],
        seen: &[Vec<u32>],
        dropped: f32,
        noise: &Tensor,
        weight: f64,
    ) -> Result<Tensor> {
        if !(0. ..1.).contains(&dropped) {
            refuse!("dropout rate {dropped} is not in 0 to 1 (1 excluded)");
        }
        let lengths: Vec<usize> = sets.iter().map(Vec::len).collect();
        let scale = 1. / (1. - f64::from(dropped));
        let [mean, log_variance] = self.moments(seen, &lengths, scale, noise.device())?;
        let latent = (&mean + (noise * (&log_variance * 0.5)?.exp()?)?)?;
        let classes: Vec<Vec<u32>> =
            sets.iter().map(|set| set.iter().map(|item| item - 1).collect()).collect();
        let fit = multinomial(&self.decode(&latent)?, &classes)?;
        let divergence = ((mean.sqr()? + log_variance.exp()?)? - (log_variance + 1.)?)?;
        let divergence = (divergence.sum_all()? * (0.5 / sets.len().max(1) as f64))?;
        fit + (divergence * weight)?
    }
}

/// What dropout leaves of sets: each item stays or falls by its place alone.
///
/// # Errors
/// A rate outside of 0 to 1.
pub fn dropped(sets: &[Vec<u32>], dropout: &Dropout) -> Result<Vec<Vec<u32>>> {
    let count: usize = sets.iter().map(Vec::len).sum();
    if count == 0 {
        return Ok(sets.to_vec());
    }
    let ones = Tensor::ones(count, candle_core::DType::F32, &Device::Cpu)?;
    let mut kept = dropout.apply(&ones, 0)?.to_vec1::<f32>()?.into_iter();
    let mut left = |set: &Vec<u32>| -> Vec<u32> {
        set.iter().copied().filter(|_| kept.next().is_some_and(|factor| factor > 0.)).collect()
    };
    Ok(sets.iter().map(&mut left).collect())
}
