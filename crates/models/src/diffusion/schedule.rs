//! How much of the data is left at each time of training, and at which times a sampling asks.

use super::config::{Config, Kind};
use candle_core::Result;

/// The times that a net was trained at.
pub struct Schedule {
    /// What is left of the data's variance at each, as f32 has it.
    alphas: Vec<f32>,
}

/// What a net says about noisy data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise in it.
    Noise,
    /// The data in it.
    Data,
    /// The velocity between them (Salimans and Ho, 2022).
    Velocity,
}

impl Prediction {
    pub fn of(config: &Config) -> Result<Self> {
        Ok(match config.prediction_type.as_deref().unwrap_or("epsilon") {
            "epsilon" => Self::Noise,
            "sample" => Self::Data,
            "v_prediction" => Self::Velocity,
            other => refuse!("scheduler_config.json: prediction_type `{other}` is not supported"),
        })
    }
}

impl Schedule {
    pub fn new(config: &Config, kind: Kind) -> Result<Self> {
        let count = config.num_train_timesteps.unwrap_or(1000);
        let latent = matches!(kind, Kind::Heun | Kind::Lcm);
        let first = config.beta_start.unwrap_or(if latent { 0.00085 } else { 0.0001 });
        let last = config.beta_end.unwrap_or(if latent { 0.012 } else { 0.02 });
        let usual = if kind == Kind::Lcm { "scaled_linear" } else { "linear" };
        let betas = match (&config.trained_betas, config.beta_schedule.as_deref().unwrap_or(usual)) {
            (Some(betas), _) if betas.len() == count => betas.iter().map(|beta| *beta as f32).collect(),
            (Some(betas), _) => {
                refuse!("scheduler_config.json: {} trained_betas for {count} times", betas.len())
            }
            (None, "linear") => evenly(first as f32, last as f32, count),
            (None, "scaled_linear") => {
                let roots = evenly(first.sqrt() as f32, last.sqrt() as f32, count);
                roots.into_iter().map(|root| root * root).collect()
            }
            (None, "squaredcos_cap_v2") => cosine(count),
            (None, "sigmoid") if kind == Kind::Ddpm => {
                let bend = |x: f32| 1. / (1. + (-x).exp()) * (last - first) as f32 + first as f32;
                evenly(-6., 6., count).into_iter().map(bend).collect()
            }
            (None, other) => refuse!("scheduler_config.json: beta_schedule `{other}` is not supported"),
        };
        if betas.iter().any(|beta| !(0. ..1.).contains(beta)) {
            refuse!("scheduler_config.json: the betas are not all in 0 to 1");
        }
        let zero = config.rescale_betas_zero_snr == Some(true) && !matches!(kind, Kind::Pndm | Kind::Heun);
        let mut alphas = left(&betas);
        if zero {
            alphas = left(&without_signal(&alphas));
            // a noise level that is finite
            if !matches!(kind, Kind::Ddpm | Kind::Ddim | Kind::Lcm) {
                alphas[count - 1] = 2f32.powi(-24);
            }
        }
        Ok(Self { alphas })
    }

    /// What is left of the data's variance at a time of training.
    pub fn alpha(&self, time: usize) -> Result<f64> {
        match self.alphas.get(time) {
            Some(alpha) => Ok(f64::from(*alpha)),
            None => refuse!("time {time}, and the net was trained at {}", self.alphas.len()),
        }
    }

    /// How many times there are.
    pub fn len(&self) -> usize {
        self.alphas.len()
    }

    /// Noise beside data of variance one, at each time.
    pub fn sigmas(&self) -> Vec<f64> {
        self.alphas.iter().map(|alpha| f64::from(((1. - alpha) / alpha).sqrt())).collect()
    }

    /// How many times have more signal than the logarithm of its ratio to noise says.
    pub fn clipped(&self, least: f64) -> usize {
        self.alphas
            .iter()
            .filter(|alpha| f64::from(alpha.sqrt().ln() - (1. - **alpha).sqrt().ln()) >= least)
            .count()
    }
}

// PyTorch's linspace: from both ends, each value rounded once
fn evenly(first: f32, last: f32, count: usize) -> Vec<f32> {
    let step = (last - first) / (count - 1) as f32;
    let at = |i: usize| {
        if i < count / 2 {
            step.mul_add(i as f32, first)
        } else {
            (-step).mul_add((count - i - 1) as f32, last)
        }
    };
    (0..count).map(at).collect()
}

// Nichol and Dhariwal, 2021
fn cosine(count: usize) -> Vec<f32> {
    let left = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let part = |i: usize| i as f64 / count as f64;
    (0..count).map(|i| (1. - left(part(i + 1)) / left(part(i))).min(0.999) as f32).collect()
}

fn left(betas: &[f32]) -> Vec<f32> {
    let mut product = 1f64;
    let next = |beta: &f32| {
        product *= f64::from(1. - beta);
        product as f32
    };
    betas.iter().map(next).collect()
}

// the betas after which nothing of the data is left
fn without_signal(alphas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = alphas.iter().map(|alpha| alpha.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let scale = first / (first - last);
    let left: Vec<f32> = roots.iter().map(|root| ((root - last) * scale).powi(2)).collect();
    let mut before = 1f32;
    let next = |left: &f32| {
        let beta = 1. - left / before;
        before = *left;
        beta
    };
    left.iter().map(next).collect()
}

/// Where the times of a sampling lie among those of training.
pub struct Spacing<'a> {
    /// Its name.
    pub name: &'a str,
    /// Added where they are `leading`.
    pub offset: usize,
    /// Times of training.
    pub trained: usize,
    /// Of these, from the least noisy on, those that are asked at.
    pub asked: usize,
    /// Whether there is a time more, at the end, which is not asked at.
    pub more: bool,
    /// Whether they are whole numbers where they are spread evenly.
    pub whole: bool,
}

impl<'a> Spacing<'a> {
    /// As the configuration has it, with times that are no whole numbers.
    pub fn new(name: &'a str, config: &Config, schedule: &Schedule) -> Self {
        let asked = config.lambda_min_clipped.map_or(schedule.len(), |least| schedule.clipped(least));
        let offset = config.steps_offset.unwrap_or(0);
        Self { name, offset, trained: schedule.len(), asked: asked.max(1), more: false, whole: false }
    }

    /// So many times, the noisiest first.
    pub fn times(&self, steps: usize) -> Result<Vec<f64>> {
        let (asked, points) = (self.asked as f64, steps + usize::from(self.more));
        let kept = |times: Vec<f64>| times.into_iter().rev().take(steps).collect::<Vec<f64>>();
        Ok(match self.name {
            "linspace" => {
                let step = (asked - 1.) / (points - 1).max(1) as f64;
                let at = |i: usize| if i + 1 == points && i > 0 { asked - 1. } else { i as f64 * step };
                let whole =
                    |time: f64| if self.whole { time.round_ties_even() } else { f64::from(time as f32) };
                kept((0..points).map(|i| whole(at(i))).collect())
            }
            "leading" => {
                let ratio = self.asked / points;
                kept((0..points).map(|i| (i * ratio + self.offset) as f64).collect())
            }
            "trailing" => {
                let ratio = self.trained as f64 / steps as f64;
                let count = (asked / ratio).ceil() as usize;
                (0..count).map(|i| (asked - i as f64 * ratio).round_ties_even() - 1.).collect()
            }
            other => refuse!("scheduler_config.json: timestep_spacing `{other}` is not supported"),
        })
    }
}

/// The value of a list at a place between its places.
pub fn between(values: &[f64], place: f64) -> f64 {
    let low = (place.max(0.) as usize).min(values.len() - 1);
    let high = (low + 1).min(values.len() - 1);
    let part = (place - low as f64).clamp(0., 1.);
    values[low] + (values[high] - values[low]) * part
}

/// The time at which training had a noise level, by logarithms.
pub fn time_of(sigma: f64, sigmas: &[f64]) -> f64 {
    let level = sigma.max(1e-10).ln();
    // those of training are f32 there, and their logarithms too
    let log = |sigma: &f64| f64::from((*sigma as f32).ln());
    let low =
        sigmas.iter().filter(|sigma| log(sigma) <= level).count().saturating_sub(1).min(sigmas.len() - 2);
    let (below, above) = (log(&sigmas[low]), log(&sigmas[low + 1]));
    let part = ((below - level) / (below - above)).clamp(0., 1.);
    (1. - part) * low as f64 + part * (low + 1) as f64
}

/// From the greatest of so many noise levels to the least.
pub type Spread = fn(f64, f64, usize) -> Vec<f64>;

/// How noise levels are spread where not as the times are.
pub fn spread(config: &Config) -> Option<Spread> {
    match (config.use_karras_sigmas, config.use_exponential_sigmas, config.use_lu_lambdas) {
        (Some(true), _, _) => Some(karras),
        (_, Some(true), _) => Some(exponential),
        // evenly by the logarithm of signal to noise, which is that of noise alone
        (_, _, Some(true)) => Some(exponential),
        _ => None,
    }
}

/// Noise levels from the greatest to the least, closer together where there is little noise (Karras et al., 2022).
pub fn karras(most: f64, least: f64, steps: usize) -> Vec<f64> {
    const RHO: f64 = 7.;
    let (most, least) = (most.powf(1. / RHO), least.powf(1. / RHO));
    ramp(steps).map(|part| (most + part * (least - most)).powf(RHO)).collect()
}

/// Noise levels whose logarithms are evenly apart.
pub fn exponential(most: f64, least: f64, steps: usize) -> Vec<f64> {
    let (most, least) = (most.ln(), least.ln());
    ramp(steps).map(|part| (most + part * (least - most)).exp()).collect()
}

fn ramp(steps: usize) -> impl Iterator<Item = f64> {
    (0..steps).map(move |i| i as f64 / (steps - 1).max(1) as f64)
}
