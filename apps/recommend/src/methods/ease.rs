//! EASE (Steck, 2019): the matrix B that best foretells each item from a person's others, in closed form. With G the
//! numbers of people who had both of two items and P the inverse of G + λ I, B is `-P[i][j] / P[j][j]`, zero on its diagonal.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use models::checkpoint::Checkpoint;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::inverse::invert;
use super::{Kind, Method, size, turned, values};
use crate::data::Histories;
use crate::plan::Plan;

/// One matrix.
pub struct Ease {
    items: usize,
    /// Row i is what item i adds to the scores.
    weights: Vec<f32>,
}

/// A matrix of so many rows takes 6.4 GB, three times that while it is written.
const MOST: usize = 40_000;

impl Ease {
    /// Counts, and inverts.
    ///
    /// # Errors
    /// More items than fit into memory.
    pub fn fit(
        plan: &Plan,
        train: &Histories,
        items: usize,
        on_part: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        if items > MOST {
            bail!(
                "EASE needs a matrix of {items} x {items}, which is {:.0} GB, and three times that while it is written; leave out seldom items with --min-item, or use --method ials",
                (items * items * 4) as f64 / 1e9
            );
        }
        let people = turned(train, items);
        let mut weights = vec![0f32; items * items];
        weights.par_chunks_mut(items.max(1)).enumerate().for_each(|(item, row)| {
            for &person in people.get(item) {
                train.get(person as usize).iter().for_each(|&other| row[other as usize] += 1.);
            }
            row[item] += plan.regularisation as f32;
        });
        on_part(1, 3);
        if !invert(&mut weights, items)? {
            bail!(
                "--regularisation {}: too little for these data: the matrix has no inverse",
                plan.regularisation
            )
        }
        on_part(2, 3);
        let of_column: Vec<f32> = (0..items).map(|j| -1. / weights[j * items + j]).collect();
        weights.par_chunks_mut(items.max(1)).enumerate().for_each(|(i, row)| {
            row.iter_mut().zip(&of_column).for_each(|(weight, factor)| *weight *= factor);
            row[i] = 0.;
        });
        on_part(3, 3);
        Ok(Self { items, weights })
    }

    /// Reads the matrix.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self> {
        let items = size(checkpoint, "item_num")?;
        Ok(Self { items, weights: values(checkpoint, "weights", &[items, items])? })
    }

    fn row(&self, item: u32) -> &[f32] {
        &self.weights[item as usize * self.items..][..self.items]
    }
}

impl Method for Ease {
    fn kind(&self) -> Kind {
        Kind::Ease
    }

    fn items(&self) -> usize {
        self.items
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let mut all = vec![0f32; histories.len() * self.items];
        all.par_chunks_mut(self.items).zip(histories).for_each(|(scores, history)| {
            for &item in *history {
                scores.iter_mut().zip(self.row(item)).for_each(|(score, weight)| *score += weight);
            }
        });
        Ok(all)
    }

    fn like(&self, item: u32, others: &[u32]) -> Result<Vec<f32>> {
        let row = self.row(item);
        let most = row.iter().fold(1e-12f32, |most, x| most.max(*x));
        let like = |&other: &u32| if other == item { 1. } else { row[other as usize].max(0.) / most };
        Ok(others.iter().map(like).collect())
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let weights = Tensor::from_slice(&self.weights, (self.items, self.items), &Device::Cpu)?;
        Ok((json!({ "item_num": self.items }), vec![("weights".into(), weights)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::Kind;

    #[test]
    fn the_matrix_is_that_of_numpy() {
        // x = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 0]]); p = np.linalg.inv(x.T @ x + 2 * np.eye(3))
        // b = -p / np.diag(p); np.fill_diagonal(b, 0)
        let all: [&[u32]; 4] = [&[0, 1], &[0, 1, 2], &[1, 2], &[0]];
        let plan = Plan { regularisation: 2., ..Plan::usual(Kind::Ease, &Histories::default(), 3) };
        let found = Ease::fit(&plan, &all.into_iter().collect(), 3, &mut |_, _| {}).unwrap();
        let expected = [0., 0.315_789_5, 0.047_619_05, 0.375, 0., 0.380_952_4, 0.0625, 0.421_052_6, 0.];
        for (weight, expected) in found.weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-6, "{:?}", found.weights);
        }
    }
}
