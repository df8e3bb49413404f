//! Euler's method over noise levels (Karras et al., 2022), plain and with new noise at each step, with diffusers' numbers.

use super::schedule::{self, Prediction, Schedule, Spacing};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};

struct Euler {
    prediction: Prediction,
    /// Noise beside data of variance one, at each step and after the last.
    sigmas: Vec<f64>,
    ancestral: bool,
}

pub fn euler(config: &Config, schedule: &Schedule, steps: usize) -> Result<Sampler> {
    let trained = schedule.sigmas();
    let mut times = spacing(config, schedule).times(steps)?;
    let mut sigmas: Vec<f64> = match config.interpolation_type.as_deref().unwrap_or("linear") {
        "linear" => times.iter().map(|time| schedule::between(&trained, *time)).collect(),
        "log_linear" => {
            // the last step ends in the least of training's, not in none
            schedule::exponential(trained[trained.len() - 1], trained[0], steps + 1)
        }
        other => refuse!("scheduler_config.json: interpolation_type `{other}` is not supported"),
    };
    if let Some(spread) = schedule::spread(config) {
        let most = config.sigma_max.unwrap_or(sigmas[0]);
        let least = config.sigma_min.unwrap_or(sigmas[sigmas.len() - 1]);
        sigmas = spread(most, least, steps);
        times = sigmas.iter().map(|sigma| schedule::time_of(*sigma, &trained)).collect();
    }
    sigmas.push(match config.final_sigmas_type.as_deref().unwrap_or("zero") {
        "zero" => 0.,
        "sigma_min" => trained[0],
        other => refuse!("scheduler_config.json: final_sigmas_type `{other}` is not supported"),
    });
    let prediction = Prediction::of(config)?;
    if config.timestep_type.as_deref() == Some("continuous") && prediction == Prediction::Velocity {
        times = sigmas[..sigmas.len() - 1].iter().map(|sigma| 0.25 * sigma.ln()).collect();
    }
    Ok(sampler(config, times, Euler { prediction, sigmas, ancestral: false }))
}

pub fn ancestral(config: &Config, schedule: &Schedule, steps: usize) -> Result<Sampler> {
    let trained = schedule.sigmas();
    let times = spacing(config, schedule).times(steps)?;
    let mut sigmas: Vec<f64> = times.iter().map(|time| schedule::between(&trained, *time)).collect();
    sigmas.push(0.);
    Ok(sampler(config, times, Euler { prediction: Prediction::of(config)?, sigmas, ancestral: true }))
}

fn spacing<'a>(config: &'a Config, schedule: &Schedule) -> Spacing<'a> {
    Spacing {
        whole: false,
        ..Spacing::new(config.timestep_spacing.as_deref().unwrap_or("linspace"), config, schedule)
    }
}

fn sampler(config: &Config, times: Vec<f64>, solver: Euler) -> Sampler {
    let steps = times.len();
    let most = solver.sigmas.iter().copied().fold(0., f64::max);
    let leading = config.timestep_spacing.as_deref() == Some("leading");
    Sampler {
        times,
        first: if leading { most.hypot(1.) } else { most },
        steps,
        order: 1,
        solver: Box::new(solver),
    }
}

impl Solver for Euler {
    fn scale(&self, step: usize) -> f64 {
        1. / self.sigmas[step].hypot(1.)
    }

    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, draw: &mut Draw) -> Result<Tensor> {
        let (from, to) = (self.sigmas[step], self.sigmas[step + 1]);
        // the noise in it, as a direction
        let slope = match self.prediction {
            Prediction::Noise => output.clone(),
            Prediction::Data => mix(&[(1. / from, xs), (-1. / from, output)])?,
            Prediction::Velocity => {
                let square = from * from + 1.;
                mix(&[(from / square, xs), (1. / square.sqrt(), output)])?
            }
        };
        if !self.ancestral {
            return mix(&[(1., xs), (to - from, &slope)]);
        }
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        let down = (to * to - up * up).sqrt();
        let noise = draw()?;
        mix(&[(1., xs), (down - from, &slope), (up, &noise)])
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        Ok((1., self.sigmas[step]))
    }
}
