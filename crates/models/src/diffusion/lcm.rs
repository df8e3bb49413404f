//! Latent consistency models (Luo et al., 2023): each step goes to the data at once, and back to some noise; with diffusers'
//! numbers.

use super::schedule::{Prediction, Schedule};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};

/// Standard deviation that the data is taken to have.
const SPREAD: f64 = 0.5;

struct Lcm {
    schedule: Schedule,
    prediction: Prediction,
    times: Vec<f64>,
    scaling: f64,
    /// The net's data is kept within this, to both sides of 0.
    range: Option<f64>,
}

pub fn lcm(config: &Config, schedule: Schedule, steps: usize) -> Result<Sampler> {
    let original = config.original_inference_steps.unwrap_or(50);
    if !(1..=schedule.len()).contains(&original) {
        refuse!(
            "scheduler_config.json: original_inference_steps {original} is not in 1 to {}",
            schedule.len()
        );
    }
    if steps > original {
        refuse!("{steps} steps, and this model was distilled from {original}: use fewer, 4 to 8 are usual");
    }
    let stride = schedule.len() / original;
    let time = |step: usize| {
        let back = (step as f64 * (original as f64 / steps as f64)).floor() as usize;
        ((original - back) * stride - 1) as f64
    };
    let times: Vec<f64> = (0..steps).map(time).collect();
    let solver = Lcm {
        prediction: Prediction::of(config)?,
        times: times.clone(),
        scaling: config.timestep_scaling.unwrap_or(10.),
        range: (config.clip_sample == Some(true)).then(|| config.clip_sample_range.unwrap_or(1.)),
        schedule,
    };
    Ok(Sampler { times, first: 1., steps, order: 1, solver: Box::new(solver) })
}

impl Solver for Lcm {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, draw: &mut Draw) -> Result<Tensor> {
        let alpha = self.schedule.alpha(self.times[step] as usize)?;
        let (mut data, _) = self.prediction.parts(xs, output, alpha)?;
        if let Some(range) = self.range {
            data = data.clamp(-range, range)?;
        }
        let scaled = self.times[step] * self.scaling;
        let square = scaled * scaled + SPREAD * SPREAD;
        let data = mix(&[(scaled / square.sqrt(), &data), (SPREAD * SPREAD / square, xs)])?;
        let Some(next) = self.times.get(step + 1) else { return Ok(data) };
        let alpha = self.schedule.alpha(*next as usize)?;
        mix(&[(alpha.sqrt(), &data), ((1. - alpha).sqrt(), &draw()?)])
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        let alpha = self.schedule.alpha(self.times[step] as usize)?;
        Ok((alpha.sqrt(), (1. - alpha).sqrt()))
    }
}
