//! Alternating least squares for what was had or not (Hu, Koren and Volinsky, 2008): vectors of people and items whose
//! products are 1 where somebody had an item, with a weight of 1 + α, and 0 elsewhere, with a weight of 1. A person who comes
//! later is the solution of one small system, exactly as a person of the training is.
//!
//! The system is `(Y'Y + λ + α Σ yy') x = (1 + α) Σ y`, over all rows of Y at first and then over those that were had. With
//! `Y'Y + λ = LL'` and `v` being `L` inverted times `y` it is `(1 + α VV') w = (1 + α) V1` and `x = L'` inverted times `w`,
//! where `(1 + α VV') V = V (1 + α V'V)` lets the smaller of two matrices do: as many rows as were had, or as vectors have
//! numbers. What was had r times has a weight of 1 + αr, and is to be 1 all the same: it stands r times in V, with `α + 1/r` in
//! place of each `1 + α` on the right.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use kernels::elementary::{Fma, with_fma};
use kernels::level::level;
use kernels::linear::{self, linear};
use models::checkpoint::Checkpoint;
use rayon::prelude::*;
use serde_json::{Value, json};
use training::Rng;

use super::inverse::factor;
use super::{Kind, Method, cosines, size, turned, values};
use crate::data::Histories;
use crate::plan::Plan;

/// Vectors of items.
pub struct Ials {
    factors: usize,
    alpha: f32,
    regularisation: f32,
    /// (items, factors).
    items: Tensor,
    /// The same, in the order of the loops.
    ranked: linear::Weight,
    white: White,
}

impl Ials {
    /// Alternates between people and items.
    ///
    /// # Errors
    /// Those of the products, and a regularisation too small for the data.
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
        let solved = |histories: &Histories, others: &[f32]| -> Result<Vec<f32>> {
            let white = White::new(others, factors, regularisation)?;
            let found = white.solved(histories.len(), |place| histories.get(place), alpha)?;
            Ok(found.flatten_all()?.to_vec1()?)
        };
        for round in 0..plan.iterations {
            let of_people = solved(train, &of_items)?;
            of_items = solved(&people, &of_people)?;
            on_part(round + 1, plan.iterations);
        }
        Self::new(factors, alpha, regularisation, of_items)
    }

    fn new(factors: usize, alpha: f32, regularisation: f32, items: Vec<f32>) -> Result<Self> {
        let white = White::new(&items, factors, regularisation)?;
        let count = items.len() / factors;
        let items = Tensor::from_vec(items, (count, factors), &Device::Cpu)?;
        let ranked = linear::Weight::f32(&items)?;
        Ok(Self { factors, alpha, regularisation, items, ranked, white })
    }

    /// Reads the vectors.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self> {
        let (items, factors) = (size(checkpoint, "item_num")?, size(checkpoint, "factors")?);
        let of_items = values(checkpoint, "items", &[items, factors])?;
        let weights = values(checkpoint, "weights", &[2])?;
        Self::new(factors, weights[0], weights[1], of_items)
    }
}

impl Method for Ials {
    fn kind(&self) -> Kind {
        Kind::Ials
    }

    fn items(&self) -> usize {
        self.items.dims()[0]
    }

    fn scores(&self, histories: &[&[u32]]) -> Result<Vec<f32>> {
        let people = self.white.solved(histories.len(), |place| histories[place], self.alpha)?;
        Ok(self.ranked.forward(&people, None)?.flatten_all()?.to_vec1()?)
    }

    fn like(&self, item: u32, others: &[u32]) -> Result<Vec<f32>> {
        cosines(&self.items, item, others)
    }

    fn parts(&self) -> Result<(Value, Vec<(String, Tensor)>)> {
        let items = self.items.clone();
        let weights = Tensor::new(&[self.alpha, self.regularisation], &Device::Cpu)?;
        let config = json!({ "item_num": self.items(), "factors": self.factors });
        Ok((config, vec![("items".into(), items), ("weights".into(), weights)]))
    }
}

/// Rows of the other side as they are where the sum of all their squares, with the regularisation, is one.
struct White {
    factors: usize,
    rows: Vec<f32>,
    /// `L'` inverted, (factors, factors): from there back.
    back: Tensor,
}

impl White {
    fn new(others: &[f32], factors: usize, regularisation: f32) -> Result<Self> {
        let mut gram = squares(others, factors, regularisation);
        let Some(inverse) = factor(&mut gram, factors, 0, factors) else {
            bail!("a regularisation of {regularisation} is too small for these data: give a larger one");
        };
        let inverse = Tensor::from_vec(inverse, (factors, factors), &Device::Cpu)?;
        let others = Tensor::from_slice(others, (others.len() / factors, factors), &Device::Cpu)?;
        let rows = linear(&others, &inverse, None)?.flatten_all()?.to_vec1()?;
        Ok(Self { factors, rows, back: inverse.t()?.contiguous()? })
    }

    /// The vectors of so many that had what `had` says: (count, factors), zeros for nothing.
    fn solved<'a>(
        &self,
        count: usize,
        had: impl Fn(usize) -> &'a [u32] + Sync,
        alpha: f32,
    ) -> candle_core::Result<Tensor> {
        let mut all = vec![0f32; count * self.factors];
        all.par_chunks_mut(TOGETHER * self.factors).enumerate().for_each(|(part, all)| {
            let (mut memory, mut right) = (Vec::new(), Vec::new());
            for (place, own) in all.chunks_exact_mut(self.factors).enumerate() {
                let had = had(part * TOGETHER + place);
                weights(had, alpha, &mut right);
                with_fma(
                    level(),
                    #[inline(always)]
                    |m| solve(m, had, &mut right, &self.rows, alpha, own, &mut memory),
                );
            }
        });
        linear(&Tensor::from_vec(all, (count, self.factors), &Device::Cpu)?, &self.back, None)
    }
}

/// What each of some items that were had weighs on the right: α, and its share of 1.
fn weights(had: &[u32], alpha: f32, right: &mut Vec<f32>) {
    right.clear();
    right.resize(had.len(), 1. + alpha);
    let mut places: Vec<usize> = (0..had.len()).collect();
    places.sort_unstable_by_key(|&place| had[place]);
    for same in places.chunk_by(|&a, &b| had[a] == had[b]).filter(|same| same.len() > 1) {
        same.iter().for_each(|&place| right[place] = alpha + 1. / same.len() as f32);
    }
}

/// Systems that one thread solves at a time.
const TOGETHER: usize = 64;

/// Rows that a sum of squares is made of at a time: by size alone, so that it does not depend on the number of threads.
const ROWS: usize = 2048;

/// The lower half of the sum of all rows' squares, the regularisation on its diagonal.
fn squares(rows: &[f32], factors: usize, regularisation: f32) -> Vec<f32> {
    let part = |rows: &[f32]| {
        let mut sum = vec![0f32; factors * factors];
        with_fma(
            level(),
            #[inline(always)]
            |m| {
                for row in rows.chunks_exact(factors) {
                    add_square(m, &mut sum, row, 1.);
                }
            },
        );
        sum
    };
    let parts: Vec<Vec<f32>> = rows.par_chunks(ROWS * factors).map(part).collect();
    let mut sum = vec![0f32; factors * factors];
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    (0..factors).for_each(|i| sum[i * factors + i] += regularisation);
    sum
}

// the lower half alone
#[inline(always)]
fn add_square(m: Fma, sum: &mut [f32], row: &[f32], weight: f32) {
    for (i, (sum, x)) in sum.chunks_exact_mut(row.len()).zip(row).enumerate() {
        let factor = weight * x;
        add_scaled(m, &mut sum[..=i], factor, row);
    }
}

/// `w` of the module's system, whose right side `weights` make: of the smaller of the two matrices.
#[inline(always)]
fn solve(
    m: Fma,
    had: &[u32],
    weights: &mut [f32],
    rows: &[f32],
    alpha: f32,
    own: &mut [f32],
    memory: &mut Vec<f32>,
) {
    own.fill(0.);
    let (factors, count) = (own.len(), had.len());
    let row = |place: usize| &rows[had[place] as usize * factors..][..factors];
    if count < factors {
        memory.clear();
        memory.resize(count * count, 0.);
        for i in 0..count {
            for j in 0..=i {
                memory[i * count + j] = alpha * dot(m, row(i), row(j));
            }
            memory[i * count + i] += 1.;
        }
        substitute(m, memory, weights);
        for (place, weight) in weights.iter().enumerate() {
            add_scaled(m, own, *weight, row(place));
        }
    } else {
        memory.clear();
        memory.resize(factors * factors, 0.);
        for (place, weight) in weights.iter().enumerate() {
            add_square(m, memory, row(place), alpha);
            add_scaled(m, own, *weight, row(place));
        }
        (0..factors).for_each(|i| memory[i * factors + i] += 1.);
        substitute(m, memory, own);
    }
}

/// Solves a system by Cholesky's factor, which the lower half of the matrix becomes. Its eigenvalues are one or more.
#[inline(always)]
fn substitute(m: Fma, matrix: &mut [f32], right: &mut [f32]) {
    let size = right.len();
    for i in 0..size {
        let (before, rest) = matrix.split_at_mut(i * size);
        for j in 0..i {
            let left = rest[j] - dot(m, &rest[..j], &before[j * size..][..j]);
            rest[j] = left / before[j * size + j];
        }
        rest[i] = (rest[i] - dot(m, &rest[..i], &rest[..i])).max(f32::MIN_POSITIVE).sqrt();
        right[i] = (right[i] - dot(m, &rest[..i], &right[..i])) / rest[i];
    }
    for i in (0..size).rev() {
        right[i] /= matrix[i * size + i];
        let (found, row) = (right[i], &matrix[i * size..][..i]);
        add_scaled(m, &mut right[..i], -found, row);
    }
}

#[inline(always)]
fn add_scaled(m: Fma, sum: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(row) {
        *sum = m.add(factor, *x, *sum);
    }
}

/// In lanes, as registers add.
#[inline(always)]
fn dot(m: Fma, xs: &[f32], ys: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0f32; LANES];
    let (x_parts, y_parts) = (xs.chunks_exact(LANES), ys.chunks_exact(LANES));
    let rest: f32 = x_parts.remainder().iter().zip(y_parts.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x_parts.zip(y_parts) {
        for lane in 0..LANES {
            lanes[lane] = m.add(x[lane], y[lane], lanes[lane]);
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
        // fewer than vectors have numbers, and more; some of them again
        for had in [&[1u32, 4, 8][..], &[0, 1, 2, 4, 5, 7, 8], &[4, 1, 4, 4], &[4, 1, 4, 4, 0, 1, 2]] {
            let white = White::new(&others, factors, regularisation).unwrap();
            let own: Vec<f32> =
                white.solved(1, |_| had, alpha).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            // what is left over of Σ w y (y'x) + λ x = Σ w y p
            for i in 0..factors {
                let mut left = regularisation * own[i];
                for (item, row) in (0u32..).zip(others.chunks_exact(factors)) {
                    let times = had.iter().filter(|&&other| other == item).count() as f32;
                    let (weight, wanted) = (1. + alpha * times, times.min(1.));
                    let product: f32 = row.iter().zip(&own).map(|(x, y)| x * y).sum();
                    left += weight * row[i] * (product - wanted);
                }
                assert!(left.abs() < 1e-4, "{left}");
            }
        }
        let nobody = White::new(&others, factors, regularisation).unwrap().solved(1, |_| &[], alpha).unwrap();
        assert_eq!(nobody.to_vec2::<f32>().unwrap(), [[0.; 5]]);
        // two rows cannot tell five numbers apart
        assert!(White::new(&others[..2 * factors], factors, 0.).is_err());
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
