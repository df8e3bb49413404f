//! Learning by steps: SASRec, gSASRec and Mult-VAE. The held-out number is `1 - NDCG@10` of people that are kept aside, by
//! the protocol that will judge.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use models::layers::dropout::Dropout;
use models::layers::init::sorted;
use models::nets::mult_vae::{self, MultVae};
use models::nets::sasrec::{self, SasRec};
use training::{Epochs, Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::data::{Case, Histories};
use crate::evaluate::{Protocol, ranks, sampled_rank};
use crate::methods::{AutoEncoder, Kind, Method, Sequence};
use crate::metrics::ndcg;
use crate::plan::Plan;

/// People that a look at the held-out number takes at most.
const HELD_OUT: usize = 5000;

/// Steps between two looks at least.
const LOOK: u64 = 100;

/// What is learned from, and what is asked on the way.
pub struct Data<'a> {
    /// Histories.
    pub train: &'a Histories,
    /// Items that there are.
    pub items: usize,
    /// People who are kept aside.
    pub valid: &'a [Case],
    /// Whether what somebody had may come again.
    pub repeats: bool,
    /// How they are asked.
    pub protocol: Protocol,
}

/// How long, and what is told.
pub struct Length {
    /// Steps at most, where that is said and not the plan's epochs.
    pub steps: Option<u64>,
    /// Minutes at most.
    pub minutes: Option<f64>,
    /// Seconds between two checkpoints.
    pub checkpoint: f64,
}

/// Fits a net, going on from the checkpoint in `folder` where there is one.
///
/// # Errors
/// Data without two items in a row, and what `training::fit` refuses.
pub fn learn(
    plan: &Plan,
    data: &Data<'_>,
    length: &Length,
    folder: Option<&Path>,
    device: &Device,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(Fitted, Box<dyn Method>)> {
    if data.items < 2 {
        bail!("there is one item alone: nothing can be recommended beside it");
    }
    match plan.kind {
        Kind::MultVae => {
            let config = mult_vae::Config {
                item_num: data.items,
                hidden_units: plan.width,
                latent_units: plan.latent,
            };
            let (net, vars) = MultVae::init(&config, plan.seed, device)?;
            let mut task = Sets::new(net, plan, data, device);
            let options = options(plan, length, task.steps(), data);
            task.total = options.steps.unwrap_or(1);
            let fitted = fit(&sorted(&vars), &options, folder, &mut task, on_step)?;
            let method = AutoEncoder::new(&config, fitted.weights.clone(), device)?;
            Ok((fitted, Box::new(method)))
        }
        Kind::SasRec | Kind::GSasRec => {
            let config = sasrec::Config {
                item_num: data.items,
                hidden_units: plan.width,
                num_blocks: plan.blocks,
                num_heads: plan.heads,
                maxlen: plan.longest,
                norm: Some(plan.norm),
                padding: sasrec::Padding::Masked,
            };
            let (net, vars) = SasRec::init(&config, plan.seed, device)?;
            let mut task = Sequences::new(net, plan, data, device)?;
            let options = options(plan, length, task.steps(), data);
            let fitted = fit(&sorted(&vars), &options, folder, &mut task, on_step)?;
            let method = Sequence::new(plan.kind, &config, fitted.weights.clone(), device)?;
            Ok((fitted, Box::new(method)))
        }
        kind => bail!("{} does not learn by steps", kind.name()),
    }
}

fn options(plan: &Plan, length: &Length, steps: u64, data: &Data<'_>) -> Options {
    let whole = plan.epochs.saturating_mul(steps).max(1);
    let total = length.steps.unwrap_or(whole);
    Options {
        steps: Some(total),
        minutes: length.minutes,
        learning_rate: plan.learning_rate,
        warmup_steps: (total / 20).clamp(1, 100),
        // as the papers' code: one rate all the time
        min_lr_ratio: 1.,
        weight_decay: 0.,
        beta2: 0.98,
        clip: None,
        average: Some(0.998),
        bf16: plan.bf16,
        seed: plan.seed,
        curve_every: (total / 200).max(1),
        // a look takes about as long as half an epoch's scores; few steps say little of what more would bring
        held_out_every: if data.valid.is_empty() { 0 } else { (total / 50).max(steps / 2).max(LOOK) },
        keep_best: !data.valid.is_empty(),
        patience: (!data.valid.is_empty()).then_some(plan.patience),
        checkpoint_seconds: Some(length.checkpoint),
        ..Options::default()
    }
}

/// What a run is told apart by.
fn fingerprint(plan: &Plan, data: &Data<'_>) -> String {
    let ids = data.train.iter().flatten().chain(data.valid.iter().flat_map(|case| &case.targets));
    let hash = training::hash(ids.copied());
    let (asked, repeats) = (data.protocol.name(), if data.repeats { ", repeats" } else { "" });
    format!(
        "{} histories {hash:016x}, {} items{repeats}, held out {asked}, {}",
        data.train.len(),
        data.items,
        plan.describe()
    )
}

/// `1 - NDCG@10` by the scores of histories.
fn missed(
    data: &Data<'_>,
    scores: impl Fn(&[&[u32]]) -> candle_core::Result<Vec<f32>>,
) -> candle_core::Result<Option<f64>> {
    let every = data.valid.len().div_ceil(HELD_OUT).max(1);
    let cases: Vec<&Case> = data.valid.iter().step_by(every).collect();
    if cases.is_empty() {
        return Ok(None);
    }
    let (mut total, mut rng) = (0., Rng::new(0));
    for cases in cases.chunks(256) {
        let histories: Vec<&[u32]> = cases.iter().map(|case| case.history.as_slice()).collect();
        let all = scores(&histories)?;
        for (case, scores) in cases.iter().zip(all.chunks_exact(data.items)) {
            let ranks = match data.protocol {
                Protocol::Sampled => sampled_rank(scores, case, &mut rng),
                Protocol::Full | Protocol::Strong => ranks(scores, case, data.repeats),
            };
            total += ndcg(&ranks, 10);
        }
    }
    Ok(Some(1. - total / cases.len() as f64))
}

/// Batches of `count` places in random order; the same for the same epoch.
fn batches(count: usize, batch: usize, seed: u64, epoch: u64) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    Rng::at(seed, &[epoch]).shuffle(&mut order);
    order.chunks(batch).map(<[u32]>::to_vec).collect()
}

fn epochs(count: usize, plan: &Plan) -> Epochs<'static> {
    let (batch, seed) = (plan.batch, plan.seed);
    Epochs::new(move |epoch| batches(count, batch, seed, epoch))
}

/// SASRec's task: after each item of a history, the next one against others.
struct Sequences<'a> {
    net: SasRec,
    plan: &'a Plan,
    data: &'a Data<'a>,
    device: &'a Device,
    /// Parts of histories, items from 1 on: all but the last are seen, all but the first are foretold.
    parts: Histories,
    /// Of each part, its person's items in the order of their numbers.
    had: Histories,
    epochs: Epochs<'static>,
}

impl<'a> Sequences<'a> {
    fn new(net: SasRec, plan: &'a Plan, data: &'a Data<'a>, device: &'a Device) -> Result<Self> {
        let (mut parts, mut had) = (Histories::default(), Histories::default());
        for history in data.train.iter() {
            let items: Vec<u32> = history.iter().map(|item| item + 1).collect();
            let mut own = items.clone();
            own.sort_unstable();
            own.dedup();
            // a long history is several parts, from its end on
            let mut end = items.len();
            while end > 1 {
                let start = end.saturating_sub(plan.longest + 1);
                parts.push(&items[start..end]);
                had.push(&own);
                end = if start == 0 { 0 } else { start + 1 };
            }
        }
        if parts.is_empty() {
            bail!(
                "nobody had two items, so that nothing is learned of what comes next: use --method popular"
            );
        }
        let epochs = epochs(parts.len(), plan);
        Ok(Self { net, plan, data, device, parts, had, epochs })
    }

    fn steps(&self) -> u64 {
        self.epochs.batches()
    }

    /// What came, then what is drawn against it: nothing that SASRec's person had, and anything else for gSASRec, as their
    /// papers' code does.
    fn ids(&self, places: &[u32], rng: &mut Rng) -> Vec<u32> {
        let (items, negatives) = (self.data.items, self.plan.negatives);
        let mut ids = Vec::new();
        for &place in places {
            let had = self.had.get(place as usize);
            let excludes = self.plan.kind == Kind::SasRec && had.len() < items;
            for &came in &self.parts.get(place as usize)[1..] {
                ids.push(came);
                for _ in 0..negatives {
                    let mut drawn = 1 + rng.below(items) as u32;
                    while (excludes && had.binary_search(&drawn).is_ok()) || drawn == came {
                        drawn = 1 + rng.below(items) as u32;
                    }
                    ids.push(drawn);
                }
            }
        }
        ids
    }
}

impl Task for Sequences<'_> {
    fn fingerprint(&self) -> String {
        fingerprint(self.plan, self.data)
    }

    fn loss(&self, rng: &mut Rng, step: u64, _: usize) -> candle_core::Result<Loss> {
        let places = self.epochs.batch(step);
        let seen: Vec<&[u32]> = places
            .iter()
            .map(|&place| {
                let part = self.parts.get(place as usize);
                &part[..part.len() - 1]
            })
            .collect();
        let width = 1 + self.plan.negatives;
        let ids = self.ids(&places, rng);
        let items = ids.len() / width;
        let ids = Tensor::from_vec(ids, (items, width), self.device)?;
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.seed, step };
        let power = match self.plan.kind {
            Kind::GSasRec => sasrec::power(self.data.items, self.plan.negatives, self.plan.calibration),
            _ => 1.,
        };
        let histories = self.net.histories(&seen, self.device)?;
        Ok(Loss { value: self.net.loss(&histories, &ids, power, &dropout)?, items })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let items = self.net.items()?.contiguous()?;
        missed(self.data, |histories| {
            let numbered: Vec<Vec<u32>> =
                histories.iter().map(|history| history.iter().map(|item| item + 1).collect()).collect();
            let numbered: Vec<&[u32]> = numbered.iter().map(Vec::as_slice).collect();
            let expected = self.net.after(&self.net.histories(&numbered, self.device)?)?;
            kernels::linear::linear(&expected.detach(), &items.detach(), None)?.flatten_all()?.to_vec1()
        })
    }
}

/// Mult-VAE's task: sets of items from parts of themselves.
struct Sets<'a> {
    net: MultVae,
    plan: &'a Plan,
    data: &'a Data<'a>,
    device: &'a Device,
    sets: Vec<Vec<u32>>,
    epochs: Epochs<'static>,
    /// Steps of the whole run.
    total: u64,
}

impl<'a> Sets<'a> {
    fn new(net: MultVae, plan: &'a Plan, data: &'a Data<'a>, device: &'a Device) -> Self {
        let sets: Vec<Vec<u32>> = data.train.iter().map(crate::methods::set).collect();
        let epochs = epochs(sets.len(), plan);
        Self { net, plan, data, device, sets, epochs, total: 1 }
    }

    fn steps(&self) -> u64 {
        self.epochs.batches()
    }
}

impl Task for Sets<'_> {
    fn fingerprint(&self) -> String {
        fingerprint(self.plan, self.data)
    }

    fn loss(&self, rng: &mut Rng, step: u64, _: usize) -> candle_core::Result<Loss> {
        let places = self.epochs.batch(step);
        let sets: Vec<Vec<u32>> = places.iter().map(|&place| self.sets[place as usize].clone()).collect();
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.seed, step };
        let seen = mult_vae::dropped(&sets, &dropout)?;
        let noise = rng.normal_tensor((sets.len(), self.plan.latent), self.device)?;
        // the divergence counts more and more through the first half
        let risen = (2. * step as f64 / self.total.max(1) as f64).min(1.);
        let value = self.net.loss(&sets, &seen, self.plan.dropout, &noise, self.plan.divergence * risen)?;
        Ok(Loss { value, items: sets.len() })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        missed(self.data, |histories| {
            let sets: Vec<Vec<u32>> = histories.iter().map(|history| crate::methods::set(history)).collect();
            self.net.scores(&sets, self.device)?.detach().flatten_all()?.to_vec1()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_each_history_once() {
        let found = batches(1000, 32, 1, 0);
        let mut places: Vec<u32> = found.iter().flatten().copied().collect();
        places.sort_unstable();
        assert_eq!(places, (0..1000).collect::<Vec<u32>>());
        assert_eq!(found, batches(1000, 32, 1, 0));
        assert_ne!(found, batches(1000, 32, 1, 1));
    }
}
