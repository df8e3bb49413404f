//! The table of a model card: whether what was asked for is recognised, whether it is a copy, how far it is from the real.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use candle_nn::VarMap;
use media::image_file::Pixels;
use models::layers::init;
use models::layers::loss::cross_entropy;
use models::nets::classifier::{Classifier, Config};
use rayon::prelude::*;
use training::{Loss, Options, Rng, Task, fit};

use crate::corpus::Example;
use crate::pixels;

/// Kinds with fewer pictures are not asked for.
const FEWEST: usize = 16;
const WIDTH: usize = 32;
const STEPS: u64 = 1500;
/// Pictures of a micro-batch, and how many of these a step has: they are computed side by side.
const BATCH: usize = 16;
const PARTS: usize = 2;
/// Pictures closer than this, in parts of the range and over what is visible in either, are taken for copies.
pub const COPY: f64 = 0.04;

/// A judge of pictures: a classifier of the folders that they lie in.
pub struct Judge {
    /// The kinds, sorted.
    pub kinds: Vec<String>,
    net: Classifier,
    channels: usize,
    device: Device,
}

impl Judge {
    /// Learns the folders of real pictures.
    ///
    /// # Errors
    /// Fewer than two kinds.
    pub fn learn(examples: &[Example], channels: usize, on_step: &mut dyn FnMut(u64, u64)) -> Result<Self> {
        let mut kinds: Vec<String> = examples.iter().map(|example| example.kind.clone()).collect();
        kinds.sort();
        kinds.dedup();
        kinds.retain(|kind| distinct(examples, kind) >= FEWEST);
        if kinds.len() < 2 {
            bail!("{} folders of {FEWEST} pictures or more: telling kinds apart takes two", kinds.len());
        }
        let device = Device::Cpu;
        let vars = VarMap::new();
        let config = Config { channels, kinds: kinds.len(), width: WIDTH };
        let judge = Self {
            net: Classifier::new(&config, init::seeded(&vars, 0, &device))?,
            kinds,
            channels,
            device: device.clone(),
        };
        let known: Vec<(usize, &Pixels)> = examples
            .iter()
            .filter_map(|example| Some((judge.kinds.binary_search(&example.kind).ok()?, &example.pixels)))
            .collect();
        let options = Options {
            steps: Some(STEPS),
            learning_rate: 2e-3,
            weight_decay: 0.05,
            average: Some(0.995),
            held_out_every: 0,
            micro_batches: PARTS,
            ..Options::default()
        };
        let mut task = Kinds { judge: &judge, known };
        let fitted = fit(&init::sorted(&vars), &options, None, &mut task, &mut |at| {
            on_step(at.step, STEPS);
            std::ops::ControlFlow::Continue(())
        })?;
        let vb = models::vars::VarBuilder::from_tensors(
            fitted.weights.into_iter().collect(),
            candle_core::DType::F32,
            &device,
        );
        Ok(Self { net: Classifier::new(&config, vb)?, ..judge })
    }

    /// Features and most likely kind of each picture.
    ///
    /// # Errors
    /// Pictures of several sizes.
    pub fn judge(&self, pictures: &[&Pixels]) -> candle_core::Result<Vec<(Vec<f64>, usize)>> {
        let mut judged = vec![];
        for chunk in pictures.chunks(BATCH) {
            let features = self.net.features(&pixels::to_tensor(chunk, self.channels, &self.device)?)?;
            let kinds = self.net.head(&features)?.argmax(1)?.to_vec1::<u32>()?;
            let rows = features.to_vec2::<f32>()?;
            let wide = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
            judged.extend(rows.into_iter().zip(kinds).map(|(row, kind)| (wide(row), kind as usize)));
        }
        Ok(judged)
    }
}

/// How many different pictures a kind has: a file may have several captions.
fn distinct(examples: &[Example], kind: &str) -> usize {
    let mut paths: Vec<_> =
        examples.iter().filter(|example| example.kind == kind).map(|example| &example.path).collect();
    paths.sort();
    paths.dedup();
    paths.len()
}

struct Kinds<'a> {
    judge: &'a Judge,
    known: Vec<(usize, &'a Pixels)>,
}

impl Task for Kinds<'_> {
    fn fingerprint(&self) -> String {
        format!("{} pictures of {} kinds", self.known.len(), self.judge.kinds.len())
    }

    fn loss(&self, rng: &mut Rng, _: u64, _: usize) -> candle_core::Result<Loss> {
        let judge = self.judge;
        let (mut pictures, mut kinds) = (vec![], vec![]);
        for _ in 0..BATCH {
            let (kind, picture) = self.known[rng.below(self.known.len())];
            pictures.push(moved(picture, rng));
            kinds.push(kind as u32);
        }
        let pictures: Vec<&Pixels> = pictures.iter().collect();
        let xs = pixels::to_tensor(&pictures, judge.channels, &judge.device)?;
        // what is made is never quite clean: that is no kind
        let noise = (rng.normal_tensor(xs.dims(), &judge.device)? * (0.15 * rng.uniform()))?;
        let logits = judge.net.head(&judge.net.features(&(xs + noise)?)?)?;
        let kinds = Tensor::from_vec(kinds, (BATCH, 1), &judge.device)?;
        Ok(Loss { value: cross_entropy(&logits.unsqueeze(1)?, &kinds)?, items: BATCH })
    }
}

/// A picture by up to two pixels to some side.
fn moved(picture: &Pixels, rng: &mut Rng) -> Pixels {
    let (right, down) = (rng.below(5) as i64 - 2, rng.below(5) as i64 - 2);
    let (width, height) = (i64::from(picture.width), i64::from(picture.height));
    let at = |x: i64, y: i64| {
        let (x, y) = ((x - right).clamp(0, width - 1), (y - down).clamp(0, height - 1));
        let place = 4 * (y * width + x) as usize;
        picture.rgba[place..place + 4].to_vec()
    };
    let rgba = (0..height).flat_map(|y| (0..width).flat_map(move |x| at(x, y))).collect();
    Pixels { rgba, ..*picture }
}

/// How far apart two pictures are: the mean difference of colours, times how opaque they are, and of that, over the places
/// where either shows something; 0 to 1.
pub fn distance(a: &Pixels, b: &Pixels) -> f64 {
    let (mut sum, mut seen) = (0u64, 0u64);
    for (a, b) in a.rgba.chunks_exact(4).zip(b.rgba.chunks_exact(4)) {
        let (opaque_a, opaque_b) = (i64::from(a[3]), i64::from(b[3]));
        if opaque_a.max(opaque_b) < 16 {
            continue;
        }
        let part =
            |i: usize| ((i64::from(a[i]) * opaque_a - i64::from(b[i]) * opaque_b) / 255).unsigned_abs();
        sum += part(0) + part(1) + part(2) + opaque_a.abs_diff(opaque_b);
        seen += 4;
    }
    if seen == 0 { 0. } else { sum as f64 / (seen as f64 * 255.) }
}

/// The distance of each picture to the nearest of some others.
pub fn nearest(pictures: &[&Pixels], others: &[&Pixels]) -> Vec<f64> {
    let least =
        |picture: &&Pixels| others.iter().map(|other| distance(picture, other)).fold(f64::MAX, f64::min);
    pictures.par_iter().map(least).collect()
}

/// Frechet's distance of two sets of features, taken for normal (Heusel et al., 2017).
pub fn frechet(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    let ((mean_a, spread_a), (mean_b, spread_b)) = (moments(a), moments(b));
    let apart: f64 = mean_a.iter().zip(&mean_b).map(|(a, b)| (a - b).powi(2)).sum();
    let trace = |m: &[Vec<f64>]| (0..m.len()).map(|i| m[i][i]).sum::<f64>();
    // the trace of the root of a product, by that of a symmetric matrix with the same eigenvalues
    let root = function(&spread_a, f64::sqrt);
    let middle = product(&product(&root, &spread_b), &root);
    let shared: f64 = eigen(&middle).0.into_iter().map(|value| value.max(0.).sqrt()).sum();
    apart + trace(&spread_a) + trace(&spread_b) - 2. * shared
}

fn moments(rows: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = rows.first().map_or(0, Vec::len);
    let count = rows.len() as f64;
    let mean: Vec<f64> = (0..size).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / count).collect();
    let cell = |i: usize, j: usize| {
        let sum: f64 = rows.iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j])).sum();
        sum / (count - 1.).max(1.)
    };
    let spread = (0..size).map(|i| (0..size).map(|j| cell(i, j)).collect()).collect();
    (mean, spread)
}

fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let size = a.len();
    let cell = |i: usize, j: usize| (0..size).map(|k| a[i][k] * b[k][j]).sum();
    (0..size).map(|i| (0..size).map(|j| cell(i, j)).collect()).collect()
}

/// A function of a symmetric matrix whose eigenvalues are not negative.
fn function(matrix: &[Vec<f64>], f: fn(f64) -> f64) -> Vec<Vec<f64>> {
    let (values, vectors) = eigen(matrix);
    let size = values.len();
    let cell =
        |i: usize, j: usize| (0..size).map(|k| vectors[i][k] * f(values[k].max(0.)) * vectors[j][k]).sum();
    (0..size).map(|i| (0..size).map(|j| cell(i, j)).collect()).collect()
}

/// Eigenvalues and eigenvectors, in columns, of a symmetric matrix, by Jacobi's rotations.
fn eigen(matrix: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = matrix.len();
    let mut a = matrix.to_vec();
    let mut vectors: Vec<Vec<f64>> =
        (0..size).map(|i| (0..size).map(|j| f64::from(i == j)).collect()).collect();
    for _ in 0..60 {
        let off: f64 =
            (0..size).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j].powi(2)).sum();
        let all: f64 = a.iter().flatten().map(|x| x * x).sum();
        if off <= 1e-22 * all {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                if a[p][q] == 0. {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2. * a[p][q]);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.));
                let cosine = 1. / tangent.hypot(1.);
                let sine = tangent * cosine;
                for row in a.iter_mut().chain(&mut vectors) {
                    let (x, y) = (row[p], row[q]);
                    (row[p], row[q]) = (cosine * x - sine * y, sine * x + cosine * y);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                }
            }
        }
    }
    ((0..size).map(|i| a[i][i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(count: usize, mean: f64, scale: f64, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = Rng::new(seed);
        (0..count)
            .map(|_| {
                let (x, y, z) = (rng.normal(), rng.normal(), rng.normal());
                vec![mean + scale * x, scale * (0.6 * x + 0.8 * y), 2. * scale * z]
            })
            .collect()
    }

    #[test]
    fn sets_of_one_kind_are_close_and_others_are_as_far_as_the_formula_says() {
        let (a, b) = (normal(40_000, 0., 1., 1), normal(40_000, 0., 1., 2));
        assert!(frechet(&a, &b).abs() < 0.01 && frechet(&a, &a).abs() < 1e-9);
        // the mean by 3, and deviations of twice the size: 9 + (1 + 1 + 4) (2 - 1)^2
        let c = normal(40_000, 3., 2., 3);
        assert!((frechet(&a, &c) - 15.).abs() < 0.3, "{}", frechet(&a, &c));
    }

    #[test]
    fn a_copy_is_close_and_another_picture_is_not() {
        let mut picture = Pixels::new(8, 8, [0; 4]);
        picture.put(&Pixels::new(4, 4, [200, 30, 30, 255]), 2, 2);
        let mut noisy = picture.clone();
        noisy.rgba.iter_mut().step_by(4).for_each(|red| *red = red.saturating_add(4));
        assert_eq!(distance(&picture, &picture), 0.);
        assert!(distance(&picture, &noisy) < COPY);
        let mut other = Pixels::new(8, 8, [0; 4]);
        other.put(&Pixels::new(4, 4, [30, 200, 30, 255]), 3, 3);
        assert!(distance(&picture, &other) > 0.3);
        assert_eq!(nearest(&[&picture], &[&other, &picture]), [0.]);
    }
}
