//! Alternating least squares for what was had or not (Hu, Koren and Volinsky, 2008): vectors of people and items whose
//! products are 1 where somebody had an item, with a weight of 1 + α, and 0 elsewhere, with a weight of 1. A person who comes
//! later is the solution of one small system, exactly as a person of the training is.

use anyhow::Result;
use candle_core::{Device, Tensor};
use models::checkpoint::Checkpoint;
use rayon::prelude::*;
use serde_json::{Value, json};
use training::Rng;

use super::{Kind, Method, cosines, size, turned, values};
use crate::data::Histories;
use crate::plan::Plan;

/// Vectors of items.
pub struct Ials {
    factors: usize,
    alpha: f32,
    regularisation: f32,
    /// (items, factors).
    items: Vec<f32>,
    /// The sum of their squares, (factors, factors), with the regularisation on its diagonal.
    gram: Vec<f32>,
}

impl Ials {
    /// Alternates between people and items.
    ///
    /// # Errors
    /// None.
    pub fn fit(
        plan: &Plan,
        train: &Histories,
        items: usize,
        on_part: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let (factors, alpha, regularisation) = (plan.factors, plan.alpha as f32, plan.regularisation as f32);
        let people = turned(train, items);
        let mut rng = Rng::new(plan.seed);
        let stdev = 1. / (factors as f64).sqrt();
        let mut of_items: Vec<f32> =
            (0..items * factors).map(|_| (stdev * 0.1 * rng.normal()) as f32).collect();
        for round in 0..plan.iterations {
            let of_people = solved(train, &of_items, factors, alpha, regularisation);
            of_items = solved(&people, &of_people, factors, alpha, regularisation);
            on_part(round + 1, plan.iterations);
        }
        Ok(Self::new(factors, alpha, regularisation, of_items))
    }

    fn new(factors: usize, alpha: f32, regularisation: f32, items: Vec<f32>) -> Self {
        let gram = squares(&items, factors, regularisation);
        Self { factors, alpha, regularisation, items, gram }
    }

    /// Reads the vectors.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self> {
        let (items, factors) = (size(checkpoint, "item_num")?, size(checkpoint, "factors")?);
        let of_items = values(checkpoint, "items", &[items, factors])?;
        let weights = values(checkpoint, "weights", &[2])?;
        Ok(Self::new(factors, weights[0], weights[1], of_items))
    }
}

impl Method for Ials {
    fn kind(&self) -> Kind {
        Kind::Ials
    }

    fn items(&self) -> usize {
        self.items.len() / self.factors
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let count = self.items();
        let mut all = vec![0f32; histories.len() * count];
        all.par_chunks_mut(count).zip(histories).for_each(|(scores, history)| {
            let mut person = vec![0f32; self.factors];
            solve(history, &self.items, &self.gram, self.alpha, &mut person);
            for (score, row) in scores.iter_mut().zip(self.items.chunks_exact(self.factors)) {
                *score = dot(row, &person);
            }
        });
        Ok(all)
    }

    fn like(&self, item: u32) -> Result<Vec<f32>> {
        Ok(cosines(&self.items, self.factors, item))
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let items = Tensor::from_slice(&self.items, (self.items(), self.factors), &Device::Cpu)?;
        let weights = Tensor::new(&[self.alpha, self.regularisation], &Device::Cpu)?;
        let config = json!({ "item_num": self.items(), "factors": self.factors });
        Ok((config, vec![("items".into(), items), ("weights".into(), weights)]))
    }
}

/// Rows that a sum of squares is made of at a time: by size alone, so that it does not depend on the number of threads.
const ROWS: usize = 2048;

fn squares(rows: &[f32], factors: usize, regularisation: f32) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = rows
        .par_chunks(ROWS * factors)
        .map(|rows| {
            let mut sum = vec![0f32; factors * factors];
            rows.chunks_exact(factors).for_each(|row| add_square(&mut sum, row, 1.));
            sum
        })
        .collect();
    let mut sum = vec![0f32; factors * factors];
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    (0..factors).for_each(|i| sum[i * factors + i] += regularisation);
    sum
}

// the lower half alone
fn add_square(sum: &mut [f32], row: &[f32], weight: f32) {
    for (i, (sum, x)) in sum.chunks_exact_mut(row.len()).zip(row).enumerate() {
        let factor = weight * x;
        sum[..=i].iter_mut().zip(row).for_each(|(sum, y)| *sum += factor * y);
    }
}

fn solved(
    histories: &Histories,
    others: &[f32],
    factors: usize,
    alpha: f32,
    regularisation: f32,
) -> Vec<f32> {
    let gram = squares(others, factors, regularisation);
    let mut all = vec![0f32; histories.len() * factors];
    all.par_chunks_mut(factors).enumerate().for_each(|(place, own)| {
        solve(histories.get(place), others, &gram, alpha, own);
    });
    all
}

/// The vector whose products with the others' are nearest to what was had: `(gram + α Σ yy') x = (1 + α) Σ y`.
fn solve(had: &[u32], others: &[f32], gram: &[f32], alpha: f32, own: &mut [f32]) {
    let factors = own.len();
    own.fill(0.);
    if had.is_empty() {
        return;
    }
    let mut matrix = gram.to_vec();
    for &other in had {
        let row = &others[other as usize * factors..][..factors];
        add_square(&mut matrix, row, alpha);
        own.iter_mut().zip(row).for_each(|(sum, y)| *sum += (1. + alpha) * y);
    }
    cholesky(&mut matrix, factors);
    for i in 0..factors {
        let (before, rest) = own.split_at_mut(i);
        rest[0] = (rest[0] - dot(&matrix[i * factors..][..i], before)) / matrix[i * factors + i];
    }
    for i in (0..factors).rev() {
        own[i] /= matrix[i * factors + i];
        let found = own[i];
        let row = &matrix[i * factors..][..i];
        own[..i].iter_mut().zip(row).for_each(|(sum, x)| *sum -= found * x);
    }
}

/// The lower half of a symmetric matrix becomes its Cholesky factor; what rounding took below zero is lifted.
fn cholesky(matrix: &mut [f32], size: usize) {
    for i in 0..size {
        for j in 0..=i {
            let (before, rest) = matrix.split_at_mut(i * size);
            let product =
                if i == j { dot(&rest[..j], &rest[..j]) } else { dot(&rest[..j], &before[j * size..][..j]) };
            let left = rest[j] - product;
            rest[j] = if i == j { left.max(1e-12).sqrt() } else { left / before[j * size + j] };
        }
    }
}

/// In lanes, as registers add.
fn dot(xs: &[f32], ys: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut lanes = [0f32; LANES];
    let (x_parts, y_parts) = (xs.chunks_exact(LANES), ys.chunks_exact(LANES));
    let rest: f32 = x_parts.remainder().iter().zip(y_parts.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x_parts.zip(y_parts) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_the_solution_of_the_system() {
        let mut rng = Rng::new(1);
        let (count, factors, alpha, regularisation) = (9, 5, 3f32, 0.7f32);
        let others: Vec<f32> = (0..count * factors).map(|_| rng.normal() as f32).collect();
        let had = [1u32, 4, 8];
        let gram = squares(&others, factors, regularisation);
        let mut own = vec![0f32; factors];
        solve(&had, &others, &gram, alpha, &mut own);
        // what is left over of Σ w y (y'x) + λ x = Σ w y p
        for i in 0..factors {
            let mut left = regularisation * own[i];
            for (item, row) in (0u32..).zip(others.chunks_exact(factors)) {
                let (weight, wanted) = if had.contains(&item) { (1. + alpha, 1.) } else { (1., 0.) };
                left += weight * row[i] * (dot(row, &own) - wanted);
            }
            assert!(left.abs() < 1e-4, "{left}");
        }
    }

    #[test]
    fn two_groups_are_told_apart() {
        let all: [&[u32]; 4] = [&[0, 1, 2], &[0, 1], &[3, 4, 5], &[4, 5]];
        let plan = Plan { factors: 4, iterations: 8, ..Plan::usual(Kind::Ials, &Histories::default(), 6) };
        let plan = Plan { regularisation: 0.1, ..plan };
        let found = Ials::fit(&plan, &all.into_iter().collect(), 6, &mut |_, _| {}).unwrap();
        let scores = found.scores(&[&[0, 1]]).unwrap();
        assert!(scores[2] > scores[3] && scores[2] > scores[4], "{scores:?}");
    }
}
