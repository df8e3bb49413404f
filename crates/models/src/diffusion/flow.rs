//! Euler's method along a flow from noise to data (Lipman et al., 2023; Esser et al., 2024), with diffusers' numbers.

use super::schedule;
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};

struct Flow {
    /// Share of noise at each step, and 0 after the last.
    sigmas: Vec<f64>,
    draws: bool,
}

pub fn euler(config: &Config, steps: usize) -> Result<Sampler> {
    let trained = config.num_train_timesteps.unwrap_or(1000) as f64;
    let shift = config.shift.unwrap_or(1.);
    if !(shift > 0. && shift.is_finite()) {
        refuse!("scheduler_config.json: shift {shift} is no number above 0");
    }
    let shifted = |sigma: f64| shift * sigma / (1. + (shift - 1.) * sigma);
    let (most, least) = (1., f64::from(shifted(1. / trained) as f32));
    let part = |step: usize| step as f64 / (steps - 1).max(1) as f64;
    let mut sigmas: Vec<f64> = (0..steps).map(|step| shifted(most + part(step) * (least - most))).collect();
    if let Some(spread) = schedule::spread(config) {
        sigmas = spread(sigmas[0], sigmas[steps - 1], steps);
    }
    let times = sigmas.iter().map(|sigma| f64::from((sigma * trained) as f32)).collect();
    sigmas.push(0.);
    let solver = Flow { sigmas, draws: config.stochastic_sampling == Some(true) };
    Ok(Sampler { times, first: 1., steps, order: 1, solver: Box::new(solver) })
}

impl Solver for Flow {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, draw: &mut Draw) -> Result<Tensor> {
        let (from, to) = (self.sigmas[step], self.sigmas[step + 1]);
        if !self.draws {
            return mix(&[(1., xs), (to - from, output)]);
        }
        mix(&[(1. - to, xs), (-(1. - to) * from, output), (to, &draw()?)])
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        Ok((1. - self.sigmas[step], self.sigmas[step]))
    }
}
