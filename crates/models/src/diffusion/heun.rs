//! Heun's method over noise levels (Karras et al., 2022), with diffusers' numbers: a step of Euler's, then the same again
//! with the mean of the slopes at both of its ends.

use super::schedule::{self, Prediction, Schedule, Spacing};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};

struct Heun {
    prediction: Prediction,
    /// Noise beside data of variance one, where the net is asked, and 0 after the last.
    sigmas: Vec<f64>,
    /// The net's data is kept within this, to both sides of 0.
    range: Option<f64>,
    /// What Euler's step began with, and its slope.
    begun: Option<(Tensor, Tensor)>,
}

pub fn heun(config: &Config, schedule: &Schedule, steps: usize) -> Result<Sampler> {
    let trained = schedule.sigmas();
    let name = config.timestep_spacing.as_deref().unwrap_or("linspace");
    let mut times =
        Spacing { more: false, whole: false, ..Spacing::new(name, config, schedule) }.times(steps)?;
    let mut sigmas: Vec<f64> = times.iter().map(|time| schedule::between(&trained, *time)).collect();
    if let Some(spread) = schedule::spread(config) {
        let most = config.sigma_max.unwrap_or(sigmas[0]);
        let least = config.sigma_min.unwrap_or(sigmas[sigmas.len() - 1]);
        sigmas = spread(most, least, steps);
        times = sigmas.iter().map(|sigma| schedule::time_of(*sigma, &trained)).collect();
    }
    let twice = |values: &[f64]| -> Vec<f64> {
        values.iter().take(1).chain(values[1..].iter().flat_map(|value| [value, value])).copied().collect()
    };
    let (times, mut sigmas) = (twice(&times), twice(&sigmas));
    sigmas.push(0.);
    let most = sigmas.iter().copied().fold(0., f64::max);
    let solver = Heun {
        prediction: Prediction::of(config)?,
        sigmas,
        range: (config.clip_sample == Some(true)).then(|| config.clip_sample_range.unwrap_or(1.)),
        begun: None,
    };
    let first = if name == "leading" { most.hypot(1.) } else { most };
    Ok(Sampler { times, first, steps, order: 2, solver: Box::new(solver) })
}

impl Solver for Heun {
    fn scale(&self, step: usize) -> f64 {
        1. / self.sigmas[step].hypot(1.)
    }

    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, _: &mut Draw) -> Result<Tensor> {
        let sigma = self.sigmas[step];
        let mut data = match self.prediction {
            Prediction::Noise => mix(&[(1., xs), (-sigma, output)])?,
            Prediction::Data => output.clone(),
            Prediction::Velocity => {
                let square = sigma * sigma + 1.;
                mix(&[(-sigma / square.sqrt(), output), (1. / square, xs)])?
            }
        };
        if let Some(range) = self.range {
            data = data.clamp(-range, range)?;
        }
        let slope = mix(&[(1. / sigma, xs), (-1. / sigma, &data)])?;
        match self.begun.take() {
            None => {
                let next = mix(&[(1., xs), (self.sigmas[step + 1] - sigma, &slope)])?;
                self.begun = Some((xs.clone(), slope));
                Ok(next)
            }
            Some((begun, first)) => {
                let half = (sigma - self.sigmas[step - 1]) / 2.;
                mix(&[(1., &begun), (half, &first), (half, &slope)])
            }
        }
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        Ok((1., self.sigmas[step]))
    }
}
