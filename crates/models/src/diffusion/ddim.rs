//! DDPM (Ho et al., 2020) and DDIM (Song et al., 2021), with diffusers' numbers.

use super::schedule::{Prediction, Schedule, Spacing};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};

/// What both know of their times.
struct Steps {
    schedule: Schedule,
    prediction: Prediction,
    times: Vec<f64>,
    /// From a time to the next.
    stride: usize,
    /// What is left of the data's variance after the last.
    last: f64,
    /// The net's data is kept within this, to both sides of 0.
    range: Option<f64>,
}

impl Steps {
    fn new(config: &Config, schedule: Schedule, steps: usize) -> Result<Self> {
        let spacing = Spacing {
            whole: true,
            ..Spacing::new(config.timestep_spacing.as_deref().unwrap_or("leading"), config, &schedule)
        };
        let range = config.clip_sample.unwrap_or(true).then(|| config.clip_sample_range.unwrap_or(1.));
        let (times, stride) = (spacing.times(steps)?, schedule.len() / steps);
        Ok(Self { prediction: Prediction::of(config)?, times, stride, last: 1., range, schedule })
    }

    /// What is left at a step and after it.
    fn left(&self, step: usize) -> Result<(f64, f64)> {
        let time = self.times[step] as usize;
        let after = time.checked_sub(self.stride).map_or(Ok(self.last), |time| self.schedule.alpha(time))?;
        Ok((self.schedule.alpha(time)?, after))
    }

    fn parts(&self, xs: &Tensor, output: &Tensor, alpha: f64) -> Result<(Tensor, Tensor)> {
        let (data, noise) = self.prediction.parts(xs, output, alpha)?;
        Ok((self.range.map_or(Ok(data.clone()), |range| data.clamp(-range, range))?, noise))
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        let alpha = self.schedule.alpha(self.times[step] as usize)?;
        Ok((alpha.sqrt(), (1. - alpha).sqrt()))
    }

    fn sampler(times: Vec<f64>, solver: impl Solver + 'static) -> Sampler {
        let steps = times.len();
        Sampler { times, first: 1., steps, order: 1, solver: Box::new(solver) }
    }
}

struct Ddim(Steps);

pub fn ddim(config: &Config, schedule: Schedule, steps: usize) -> Result<Sampler> {
    let mut steps = Steps::new(config, schedule, steps)?;
    if config.set_alpha_to_one == Some(false) {
        steps.last = steps.schedule.alpha(0)?;
    }
    Ok(Steps::sampler(steps.times.clone(), Ddim(steps)))
}

impl Solver for Ddim {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, _: &mut Draw) -> Result<Tensor> {
        let (alpha, after) = self.0.left(step)?;
        let (data, noise) = self.0.parts(xs, output, alpha)?;
        mix(&[(after.sqrt(), &data), ((1. - after).sqrt(), &noise)])
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        self.0.noised(step)
    }
}

#[derive(Clone, Copy)]
enum Variance {
    Small,
    Large,
}

struct Ddpm(Steps, Variance);

pub fn ddpm(config: &Config, schedule: Schedule, steps: usize) -> Result<Sampler> {
    let variance = match config.variance_type.as_deref().unwrap_or("fixed_small") {
        "fixed_small" | "fixed_small_log" => Variance::Small,
        "fixed_large" => Variance::Large,
        other => refuse!("scheduler_config.json: variance_type `{other}` is not supported"),
    };
    let steps = Steps::new(config, schedule, steps)?;
    Ok(Steps::sampler(steps.times.clone(), Ddpm(steps, variance)))
}

impl Solver for Ddpm {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, draw: &mut Draw) -> Result<Tensor> {
        let alpha = self.0.schedule.alpha(self.0.times[step] as usize)?;
        let next = self.0.times.get(step + 1);
        let after = next.map_or(Ok(1.), |time| self.0.schedule.alpha(*time as usize))?;
        let (data, _) = self.0.parts(xs, output, alpha)?;
        let kept = alpha / after;
        let from_data = after.sqrt() * (1. - kept) / (1. - alpha);
        let from_before = kept.sqrt() * (1. - after) / (1. - alpha);
        let xs = mix(&[(from_data, &data), (from_before, xs)])?;
        if self.0.times[step] <= 0. {
            return Ok(xs);
        }
        let variance = match self.1 {
            Variance::Small => (1. - after) / (1. - alpha) * (1. - kept),
            Variance::Large => 1. - kept,
        };
        xs + (draw()? * variance.max(1e-20).sqrt())?
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        self.0.noised(step)
    }
}
