//! DPM-Solver++ (Lu et al., 2022) with several steps' outputs, plain and with new noise at each step, with diffusers'
//! numbers.

use super::schedule::{self, Prediction, Schedule, Spacing};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};
use std::collections::VecDeque;

/// Noise levels of a sampling, as both solvers of this kind have them.
pub struct Levels {
    /// Noise beside data of variance one, at each step and after the last.
    pub sigmas: Vec<f64>,
    /// The times that the net is asked at.
    pub times: Vec<f64>,
}

/// What of data and of noise there is at a noise level, and the logarithm of their ratio.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    pub data: f64,
    pub noise: f64,
    pub lambda: f64,
}

impl Levels {
    /// `whole`: whether times that are spread as Karras' are rounded, not cut.
    pub fn new(config: &Config, schedule: &Schedule, steps: usize, whole: bool) -> Result<Self> {
        let trained = schedule.sigmas();
        let name = config.timestep_spacing.as_deref().unwrap_or("linspace");
        let spacing = Spacing { more: true, whole: true, ..Spacing::new(name, config, schedule) };
        let (mut sigmas, times): (Vec<f64>, Vec<f64>) = match schedule::spread(config) {
            Some(spread) => {
                let most = config.sigma_max.unwrap_or(trained[trained.len() - 1]);
                let sigmas = spread(most, config.sigma_min.unwrap_or(trained[0]), steps);
                let time = |sigma: &f64| {
                    let time = schedule::time_of(*sigma, &trained);
                    if whole && config.use_exponential_sigmas != Some(true) {
                        time.round_ties_even()
                    } else {
                        time.trunc()
                    }
                };
                let times = sigmas.iter().map(time).collect();
                (sigmas, times)
            }
            None => {
                let times = spacing.times(steps)?;
                (times.iter().map(|time| schedule::between(&trained, *time)).collect(), times)
            }
        };
        sigmas.push(match config.final_sigmas_type.as_deref().unwrap_or("zero") {
            "zero" => 0.,
            "sigma_min" => trained[0],
            other => refuse!("scheduler_config.json: final_sigmas_type `{other}` is not supported"),
        });
        Ok(Self { sigmas: sigmas.into_iter().map(|sigma| f64::from(sigma as f32)).collect(), times })
    }

    pub fn at(&self, step: usize) -> Level {
        let sigma = self.sigmas[step];
        let data = 1. / sigma.hypot(1.);
        Level { data, noise: sigma * data, lambda: -sigma.ln() }
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// What is left of the data's variance.
    pub fn alpha(&self, step: usize) -> f64 {
        self.at(step).data.powi(2)
    }
}

struct Dpm {
    levels: Levels,
    prediction: Prediction,
    order: usize,
    heun: bool,
    draws: bool,
    lower_at_end: bool,
    first_at_end: bool,
    /// What the net took for the data, the latest first.
    outputs: VecDeque<Tensor>,
}

pub fn dpm(config: &Config, schedule: &Schedule, steps: usize) -> Result<Sampler> {
    let draws = match config.algorithm_type.as_deref().unwrap_or("dpmsolver++") {
        "dpmsolver++" | "deis" => false,
        "sde-dpmsolver++" => true,
        other => refuse!("scheduler_config.json: algorithm_type `{other}` is not supported"),
    };
    let heun = match config.solver_type.as_deref().unwrap_or("midpoint") {
        "midpoint" | "logrho" | "bh1" | "bh2" => false,
        "heun" => true,
        other => refuse!("scheduler_config.json: solver_type `{other}` is not supported"),
    };
    let whole = config.beta_schedule.as_deref() != Some("squaredcos_cap_v2");
    let levels = Levels::new(config, schedule, steps, whole)?;
    let few = levels.len() < 15 && config.lower_order_final.unwrap_or(true);
    let zero = config.final_sigmas_type.as_deref().unwrap_or("zero") == "zero";
    let solver = Dpm {
        prediction: Prediction::of(config)?,
        order: config.solver_order.unwrap_or(2),
        heun,
        draws,
        lower_at_end: few,
        first_at_end: few || zero || config.euler_at_final == Some(true),
        outputs: VecDeque::new(),
        levels,
    };
    Ok(Sampler { times: solver.levels.times.clone(), first: 1., steps, order: 1, solver: Box::new(solver) })
}

impl Solver for Dpm {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, draw: &mut Draw) -> Result<Tensor> {
        let (data, _) = self.prediction.parts(xs, output, self.levels.alpha(step))?;
        self.outputs.push_front(data);
        self.outputs.truncate(self.order);
        let noise = if self.draws { Some(draw()?) } else { None };
        let to_end = self.levels.len() - 1 - step;
        let order = match to_end {
            0 if self.first_at_end => 1,
            1 if self.lower_at_end => self.outputs.len().min(2),
            _ => self.outputs.len(),
        };
        let (to, from) = (self.levels.at(step + 1), self.levels.at(step));
        let h = to.lambda - from.lambda;
        // with new noise it is as if time went by twice as fast
        let fast = if self.draws { 2. * h } else { h };
        let gone = 1. - (-fast).exp();
        let mut parts = vec![(to.noise / from.noise * if self.draws { (-h).exp() } else { 1. }, xs)];
        let first = to.data * gone;
        // of the first and second differences between outputs
        let second = match self.heun || order == 3 {
            true => to.data * (1. - gone / fast),
            false => 0.5 * first,
        };
        let third = if self.draws {
            to.data * ((gone - fast) / (fast * fast) - 0.5)
        } else {
            to.data * (0.5 - (fast - gone) / (fast * fast))
        };
        let lambda = |back: usize| self.levels.at(step - back).lambda;
        let outputs = &self.outputs;
        match order {
            1 => parts.push((first, &outputs[0])),
            2 => {
                let slope = second * h / (lambda(0) - lambda(1));
                parts.extend([(first + slope, &outputs[0]), (-slope, &outputs[1])]);
            }
            _ => {
                let (near, far) = ((lambda(0) - lambda(1)) / h, (lambda(1) - lambda(2)) / h);
                let bend = (second * near + third) / (near + far);
                let (close, distant) = ((second + bend) / near, -bend / far);
                parts.extend([
                    (first + close, &outputs[0]),
                    (distant - close, &outputs[1]),
                    (-distant, &outputs[2]),
                ]);
            }
        }
        if let Some(noise) = &noise {
            parts.push((to.noise * gone.sqrt(), noise));
        }
        mix(&parts)
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        let Level { data, noise, .. } = self.levels.at(step);
        Ok((data, noise))
    }
}
