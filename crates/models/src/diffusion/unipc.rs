//! UniPC (Zhao et al., 2023): a step of several orders, corrected by what the net says at its end; with diffusers' numbers.

use super::dpm::Levels;
use super::schedule::{Prediction, Schedule};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};
use std::collections::VecDeque;

struct UniPc {
    levels: Levels,
    prediction: Prediction,
    order: usize,
    /// Whether it works on data, not on noise.
    on_data: bool,
    /// The first of its two forms of B(h).
    plain: bool,
    lower_at_end: bool,
    uncorrected: Vec<usize>,
    /// What the net said, the latest first.
    outputs: VecDeque<Tensor>,
    /// What the last step began with, and its order.
    before: Option<(Tensor, usize)>,
}

pub fn unipc(config: &Config, schedule: &Schedule, steps: usize) -> Result<Sampler> {
    let plain = match config.solver_type.as_deref().unwrap_or("bh2") {
        "bh1" => true,
        "bh2" | "midpoint" | "heun" | "logrho" => false,
        other => refuse!("scheduler_config.json: solver_type `{other}` is not supported"),
    };
    let mut levels = Levels::new(config, schedule, steps, true)?;
    let spread = config.use_karras_sigmas == Some(true) || config.use_exponential_sigmas == Some(true);
    if spread && config.final_sigmas_type.as_deref() == Some("sigma_min") {
        // the last level twice, as there
        levels.sigmas[steps] = levels.sigmas[steps - 1];
    }
    let solver = UniPc {
        prediction: Prediction::of(config)?,
        order: config.solver_order.unwrap_or(2),
        on_data: config.predict_x0.unwrap_or(true),
        plain,
        lower_at_end: config.lower_order_final.unwrap_or(true),
        uncorrected: config.disable_corrector.clone().unwrap_or_default(),
        outputs: VecDeque::new(),
        before: None,
        levels,
    };
    Ok(Sampler { times: solver.levels.times.clone(), first: 1., steps, order: 1, solver: Box::new(solver) })
}

impl UniPc {
    /// From step `from`'s level to the next; `latest` is the output there, where the step is corrected.
    fn go(&self, from: usize, order: usize, xs: &Tensor, latest: Option<&Tensor>) -> Result<Tensor> {
        let (to, at) = (self.levels.at(from + 1), self.levels.at(from));
        let h = to.lambda - at.lambda;
        let hh = if self.on_data { -h } else { h };
        let all = hh.exp_m1();
        let b = if self.plain { hh } else { all };
        let mut ratios: Vec<f64> =
            (1..order).map(|back| (self.levels.at(from - back).lambda - at.lambda) / h).collect();
        ratios.push(1.);
        let mut sides = Vec::new();
        let (mut phi, mut factorial) = (all / hh - 1., 1.);
        for i in 1..=order {
            sides.push(phi * factorial / b);
            factorial *= (i + 1) as f64;
            phi = phi / hh - 1. / factorial;
        }
        let known = order - 1;
        let shares = match (latest.is_some(), order) {
            (true, 1) => vec![0.5],
            (true, _) => solved(&ratios, &sides),
            (false, 1) => vec![],
            (false, 2) => vec![0.5],
            (false, _) => solved(&ratios[..known], &sides[..known]),
        };
        let (kept, made) = match self.on_data {
            true => (to.noise / at.noise, to.data),
            false => (to.data / at.data, to.noise),
        };
        let first = &self.outputs[0];
        let mut of_first = -made * all;
        let mut parts = vec![(kept, xs)];
        for (i, ratio) in ratios[..known].iter().enumerate() {
            let share = -made * b * shares[i] / ratio;
            parts.push((share, &self.outputs[i + 1]));
            of_first -= share;
        }
        if let Some(latest) = latest {
            let share = -made * b * shares[known];
            parts.push((share, latest));
            of_first -= share;
        }
        parts.push((of_first, first));
        mix(&parts)
    }
}

impl Solver for UniPc {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, _: &mut Draw) -> Result<Tensor> {
        let (data, noise) = self.prediction.parts(xs, output, self.levels.alpha(step))?;
        let said = if self.on_data { data } else { noise };
        let xs = match self.before.take() {
            Some((before, order)) if !self.uncorrected.contains(&(step - 1)) => {
                self.go(step - 1, order, &before, Some(&said))?
            }
            _ => xs.clone(),
        };
        self.outputs.push_front(said);
        self.outputs.truncate(self.order);
        let to_end = self.levels.len() - step;
        let order = if self.lower_at_end { self.outputs.len().min(to_end) } else { self.outputs.len() };
        let next = self.go(step, order, &xs, None)?;
        self.before = Some((xs, order));
        Ok(next)
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        let level = self.levels.at(step);
        Ok((level.data, level.noise))
    }
}

/// The shares for which the sum of share times ratio to the power of i is the i-th side.
fn solved(ratios: &[f64], sides: &[f64]) -> Vec<f64> {
    let count = ratios.len();
    let mut rows: Vec<Vec<f64>> = (0..count)
        .map(|power| {
            let row = ratios.iter().map(|ratio| ratio.powi(power as i32));
            row.chain([sides[power]]).collect()
        })
        .collect();
    for column in 0..count {
        let pivot = (column..count).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
        rows.swap(column, pivot.unwrap_or(column));
        let chosen = rows[column].clone();
        for row in rows.iter_mut().skip(column + 1) {
            let factor = row[column] / chosen[column];
            row.iter_mut().zip(&chosen).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut shares = vec![0.; count];
    for row in (0..count).rev() {
        let known: f64 = (row + 1..count).map(|column| rows[row][column] * shares[column]).sum();
        shares[row] = (rows[row][count] - known) / rows[row][row];
    }
    shares
}
