//! AdamW with decoupled weight decay (Loshchilov and Hutter, 2019), as `torch.optim.AdamW` computes it, on plain
//! memory: gradients between micro-batches, their length, and the update with the moving average of the weights.
//!
//! An element depends on no other and tasks on the size alone, so results do not depend on the number of threads.

use crate::fresh::{TASK, each};
use crate::level::{Level, compiled, level};

/// The numbers of one update.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// What the gradient is multiplied with.
    pub gradient_scale: f64,
    /// What weight decay leaves of a weight.
    pub keep: f64,
    /// Learning rate over the bias correction of the first moment.
    pub rate: f64,
    /// Root of the bias correction of the second moment.
    pub root: f64,
    /// Decay of the moving average.
    pub average_decay: f64,
}

/// A parameter and what is kept beside it, all equally long.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// Changed.
    pub weights: &'a mut [f32],
    /// The sum of the micro-batches' gradients.
    pub gradient: &'a [f32],
    /// Moving average of the gradient.
    pub first: &'a mut [f32],
    /// Moving average of its square.
    pub second: &'a mut [f32],
    /// Moving average of the weights.
    pub average: Option<&'a mut [f32]>,
}

/// Updates a parameter, its moments and its average in one pass.
pub fn update(parameter: Parameter, numbers: &Update) {
    update_at(level(), parameter, numbers);
}

fn update_at(level: Level, parameter: Parameter, numbers: &Update) {
    let Parameter { weights, gradient, first, second, average } = parameter;
    let len = weights.len();
    let numbers = Numbers::from(numbers);
    let parts = weights.chunks_mut(TASK).zip(gradient.chunks(TASK));
    let parts = parts.zip(first.chunks_mut(TASK).zip(second.chunks_mut(TASK)));
    let mut averages = average.map(|average| average.chunks_mut(TASK));
    let tasks = parts.map(|((w, g), (m, v))| (w, g, m, v, averages.as_mut().and_then(Iterator::next)));
    each(tasks.collect(), len <= TASK, |(w, g, m, v, average)| {
        compiled(
            level,
            #[inline(always)]
            || numbers.update(w, g, m, v, average),
        );
    });
}

/// As the loop needs them.
struct Numbers {
    keep1: f32,
    take1: f32,
    keep2: f32,
    take2: f32,
    eps: f32,
    scale: f32,
    keep: f32,
    rate: f32,
    root: f32,
    follow: f32,
}

impl From<&Update> for Numbers {
    fn from(update: &Update) -> Self {
        Numbers {
            keep1: update.beta1 as f32,
            take1: (1. - update.beta1) as f32,
            keep2: update.beta2 as f32,
            take2: (1. - update.beta2) as f32,
            eps: update.eps as f32,
            scale: update.gradient_scale as f32,
            keep: update.keep as f32,
            rate: update.rate as f32,
            root: (1. / update.root) as f32,
            follow: (1. - update.average_decay) as f32,
        }
    }
}

impl Numbers {
    #[inline(always)]
    fn update(&self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], average: Option<&mut [f32]>) {
        let len = w.len();
        let (g, m, v) = (&g[..len], &mut m[..len], &mut v[..len]);
        for i in 0..len {
            let g = g[i] * self.scale;
            m[i] = self.keep1 * m[i] + self.take1 * g;
            v[i] = self.keep2 * v[i] + self.take2 * g * g;
            w[i] = self.keep * w[i] - self.rate * m[i] / (v[i].sqrt() * self.root + self.eps);
        }
        if let Some(average) = average {
            for (a, w) in average.iter_mut().zip(w) {
                *a += self.follow * (*w - *a);
            }
        }
    }
}

/// Puts a gradient in a buffer, or adds it to what is there, and returns the squares of what is there then, summed.
pub fn accumulate(sum: &mut [f32], gradient: &[f32], add: bool) -> f64 {
    accumulate_at(level(), sum, gradient, add)
}

fn accumulate_at(level: Level, sum: &mut [f32], gradient: &[f32], add: bool) -> f64 {
    let alone = sum.len() <= TASK;
    let tasks = sum.chunks_mut(TASK).zip(gradient.chunks(TASK)).collect();
    let squares = each(tasks, alone, |(sum, gradient): (&mut [f32], &[f32])| {
        compiled(
            level,
            #[inline(always)]
            || {
                if add {
                    sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
                } else {
                    sum.copy_from_slice(gradient);
                }
                squares(sum)
            },
        )
    });
    squares.into_iter().sum()
}

// in f64, which no f32's square exceeds
#[inline(always)]
fn squares(values: &[f32]) -> f64 {
    let mut lanes = [0f64; 32];
    let (whole, rest) = values.as_chunks::<32>();
    for values in whole {
        for (lane, &x) in lanes.iter_mut().zip(values) {
            *lane += x as f64 * x as f64;
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += x as f64 * x as f64;
    }
    lanes.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{near, normal};

    const NUMBERS: Update = Update {
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        gradient_scale: 0.5,
        keep: 0.999,
        rate: 0.02,
        root: 0.3,
        average_decay: 0.9,
    };

    fn wide(xs: &[f32]) -> Vec<f64> {
        xs.iter().map(|&x| x as f64).collect()
    }

    fn reference(w: &mut [f64], g: &[f64], m: &mut [f64], v: &mut [f64], average: &mut [f64]) {
        let n = NUMBERS;
        for i in 0..w.len() {
            let g = g[i] * n.gradient_scale;
            m[i] = n.beta1 * m[i] + (1. - n.beta1) * g;
            v[i] = n.beta2 * v[i] + (1. - n.beta2) * g * g;
            w[i] = n.keep * w[i] - n.rate * m[i] / (v[i].sqrt() / n.root + n.eps);
            average[i] = n.average_decay * average[i] + (1. - n.average_decay) * w[i];
        }
    }

    #[test]
    fn every_level_equals_a_reference_in_f64() {
        for len in [0, 1, 31, 33, 70_000] {
            let g = normal(len, 1);
            let [w, m, average] = [2, 3, 4].map(|seed| normal(len, seed));
            let v: Vec<f32> = normal(len, 5).into_iter().map(|x| x * x + 0.01).collect();
            let mut expected = [wide(&w), wide(&m), wide(&v), wide(&average)];
            let [ew, em, ev, ea] = &mut expected;
            reference(ew, &wide(&g), em, ev, ea);
            for level in levels() {
                for averaged in [true, false] {
                    let mut found = [w.clone(), m.clone(), v.clone(), average.clone()];
                    let [weights, first, second, average] = &mut found;
                    let average = averaged.then_some(average.as_mut_slice());
                    update_at(level, Parameter { weights, gradient: &g, first, second, average }, &NUMBERS);
                    for (i, (found, expected)) in
                        found.iter().zip(&expected).enumerate().take(3 + averaged as usize)
                    {
                        near(found, expected, 1e-6, &format!("{i} of {len} at {level:?}"));
                    }
                }
            }
        }
    }

    #[test]
    fn sums_and_their_squares() {
        for len in [0, 1, 33, 70_000] {
            let (a, b) = (normal(len, 1), normal(len, 2));
            for level in levels() {
                let mut sum = vec![f32::NAN; len];
                let check = |sum: &[f32], squares: f64| {
                    let expected: f64 = sum.iter().map(|&x| x as f64 * x as f64).sum();
                    assert!((squares - expected).abs() <= 1e-12 * expected, "{squares} {expected}");
                };
                let squares = accumulate_at(level, &mut sum, &a, false);
                assert_eq!(sum, a);
                check(&sum, squares);
                let squares = accumulate_at(level, &mut sum, &b, true);
                assert!(sum.iter().zip(a.iter().zip(&b)).all(|(sum, (a, b))| *sum == a + b));
                check(&sum, squares);
            }
        }
        assert!(accumulate(&mut [0.], &[f32::NAN], false).is_nan());
        assert_eq!(accumulate(&mut [0.], &[f32::MAX], false), (f32::MAX as f64).powi(2));
    }

    #[test]
    fn numbers_do_not_depend_on_the_threads() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut sum = normal(100_000, 1);
                let squares = accumulate(&mut sum, &normal(100_000, 2), true);
                let [mut w, mut m, mut v] = [normal(100_000, 3), vec![0.; 100_000], vec![0.; 100_000]];
                let (weights, first, second) = (&mut w[..], &mut m[..], &mut v[..]);
                update(Parameter { weights, gradient: &sum, first, second, average: None }, &NUMBERS);
                (squares, w)
            })
        };
        assert!(run(1) == run(3));
    }
}
