//! Items that the same people had (Sarwar et al., 2001): cosines of items' columns, shrunk where few people had both, the
//! nearest of each kept; a score is the sum over a history.

use anyhow::Result;
use candle_core::{Device, Tensor};
use models::checkpoint::Checkpoint;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{Kind, Method, size, turned, values};
use crate::data::Histories;
use crate::plan::Plan;
use crate::top::top;

/// The nearest items of each.
pub struct ItemKnn {
    items: usize,
    count: usize,
    /// Items, `count` of each; where there are fewer, the likeness is 0.
    nearest: Vec<u32>,
    likeness: Vec<f32>,
}

/// Of a person who had more, so many of the last items are counted: what a shop's robot bought is no taste.
const LONGEST: usize = 1000;

impl ItemKnn {
    /// Counts who had both of two items.
    ///
    /// # Errors
    /// None.
    pub fn fit(plan: &Plan, train: &Histories, items: usize) -> Result<Self> {
        let train: Histories =
            train.iter().map(|history| &history[history.len() - history.len().min(LONGEST)..]).collect();
        let people = turned(&train, items);
        let counts = train.counts(items);
        let count = plan.neighbours.min(items.saturating_sub(1)).max(1);
        let of_item = |item: usize| {
            let mut both = vec![0f32; items];
            for &person in people.get(item) {
                train.get(person as usize).iter().for_each(|&other| both[other as usize] += 1.);
            }
            both[item] = 0.;
            for (other, both) in both.iter_mut().enumerate().filter(|(_, both)| **both > 0.) {
                *both /= (counts[item] as f32 * counts[other] as f32).sqrt() + plan.shrink;
            }
            let mut found = top(&both, count, |_| true);
            found.resize(count, (0, 0.));
            found
        };
        let found: Vec<(u32, f32)> = (0..items).into_par_iter().flat_map_iter(of_item).collect();
        let (nearest, likeness) = found.into_iter().unzip();
        Ok(Self { items, count, nearest, likeness })
    }

    /// Reads them.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape, and items that are not there.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self> {
        let (items, count) = (size(checkpoint, "item_num")?, size(checkpoint, "neighbours")?);
        let nearest = values(checkpoint, "nearest", &[items, count])?;
        if let Some(item) = nearest.iter().find(|&&item| !(0. ..items as f32).contains(&item)) {
            anyhow::bail!("model.safetensors: nearest has the item {item}, of {items}");
        }
        let likeness = values(checkpoint, "likeness", &[items, count])?;
        Ok(Self { items, count, nearest: nearest.into_iter().map(|item| item as u32).collect(), likeness })
    }

    fn of(&self, item: u32) -> impl Iterator<Item = (usize, f32)> {
        let own = item as usize * self.count..(item as usize + 1) * self.count;
        self.nearest[own.clone()].iter().map(|&item| item as usize).zip(self.likeness[own].iter().copied())
    }
}

impl Method for ItemKnn {
    fn kind(&self) -> Kind {
        Kind::ItemKnn
    }

    fn items(&self) -> usize {
        self.items
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let mut all = vec![0f32; histories.len() * self.items];
        all.par_chunks_mut(self.items).zip(histories).for_each(|(scores, history)| {
            for &item in *history {
                self.of(item).for_each(|(other, likeness)| scores[other] += likeness);
            }
        });
        Ok(all)
    }

    fn like(&self, item: u32, others: &[u32]) -> Result<Vec<f32>> {
        let mut all = vec![0f32; self.items];
        self.of(item).for_each(|(other, likeness)| all[other] += likeness);
        all[item as usize] = 1.;
        Ok(others.iter().map(|&other| all[other as usize]).collect())
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let shape = (self.items, self.count);
        let nearest: Vec<f32> = self.nearest.iter().map(|&item| item as f32).collect();
        let tensors = vec![
            ("nearest".into(), Tensor::from_vec(nearest, shape, &Device::Cpu)?),
            ("likeness".into(), Tensor::from_slice(&self.likeness, shape, &Device::Cpu)?),
        ];
        Ok((json!({ "item_num": self.items, "neighbours": self.count }), tensors))
    }
}
