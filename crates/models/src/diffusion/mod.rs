//! Sampling of diffusion models: from noise to data in steps, each asking the net once, with the numbers of diffusers'
//! schedulers.

mod config;
mod ddim;
mod dpm;
mod euler;
mod flow;
mod heun;
mod lcm;
mod pndm;
mod schedule;
mod unipc;

pub use config::{Config, Kind, NAMES};

use candle_core::{Result, Tensor};
use schedule::{Prediction, Schedule};

/// Draws noise of variance one in the shape of what is sampled.
pub type Draw<'a> = dyn FnMut() -> Result<Tensor> + 'a;

/// A sampler with its times laid out.
pub struct Sampler {
    times: Vec<f64>,
    first: f64,
    /// As they were asked for.
    steps: usize,
    /// Times a step.
    order: usize,
    solver: Box<dyn Solver>,
}

/// What tells one sampler from another. Steps are counted from the noisiest.
trait Solver: Send {
    /// What the net is given is multiplied with this.
    fn scale(&self, _step: usize) -> f64 {
        1.
    }

    /// What is sampled after a step, from that before it and the net's output.
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, draw: &mut Draw) -> Result<Tensor>;

    /// The factors of data and of noise at the beginning of a step.
    fn noised(&self, step: usize) -> Result<(f64, f64)>;
}

impl Sampler {
    /// # Errors
    /// For a configuration that is not supported, and for no steps or more than the net was trained at.
    pub fn new(config: &Config, steps: usize) -> Result<Self> {
        let kind = config.kind()?;
        config.validate(kind)?;
        let schedule = Schedule::new(config, kind)?;
        if !(1..=schedule.len()).contains(&steps) {
            refuse!("{steps} steps, and there can be 1 to {}", schedule.len());
        }
        match kind {
            Kind::Ddpm => ddim::ddpm(config, schedule, steps),
            Kind::Ddim => ddim::ddim(config, schedule, steps),
            Kind::Pndm => pndm::pndm(config, schedule, steps),
            Kind::Euler => euler::euler(config, &schedule, steps),
            Kind::EulerAncestral => euler::ancestral(config, &schedule, steps),
            Kind::Heun => heun::heun(config, &schedule, steps),
            Kind::Dpm => dpm::dpm(config, &schedule, steps),
            Kind::UniPc => unipc::unipc(config, &schedule, steps),
            Kind::Lcm => lcm::lcm(config, schedule, steps),
            Kind::FlowEuler => flow::euler(config, steps),
        }
    }

    /// The times that the net is asked at, in order. A sampler may ask more often than its steps say.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// What the first noise, of variance one, is multiplied with.
    pub fn first_noise(&self) -> f64 {
        self.first
    }

    /// The step to begin at when so much of given data is to be made anew: 1 is all of it.
    pub fn begin(&self, strength: f64) -> usize {
        let kept = self.steps - ((self.steps as f64 * strength) as usize).min(self.steps);
        kept * self.order
    }

    /// Data with the noise of a step's beginning.
    ///
    /// # Errors
    /// For shapes that differ.
    pub fn noised(&self, step: usize, data: &Tensor, noise: &Tensor) -> Result<Tensor> {
        let (kept, added) = self.solver.noised(step)?;
        mix(&[(kept, data), (added, noise)])
    }

    /// Samples, beginning at a step. The net is given what is sampled and the time; `after` gets what each step made, and
    /// says what goes on.
    ///
    /// # Errors
    /// Those of the net, of `draw` and of `after`.
    pub fn run(
        &mut self,
        from: usize,
        xs: &Tensor,
        draw: &mut Draw,
        net: &mut dyn FnMut(&Tensor, f64) -> Result<Tensor>,
        after: &mut dyn FnMut(Step) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut xs = xs.clone();
        for (step, time) in self.times.iter().enumerate().skip(from) {
            let output = net(&(&xs * self.solver.scale(step))?, *time)?;
            let made = self.solver.step(step, &xs, &output, draw)?;
            let is_last = step + 1 == self.times.len();
            let next = if is_last { None } else { Some(self.solver.noised(step + 1)?) };
            xs = after(Step { number: step, made, next })?;
        }
        Ok(xs)
    }
}

/// What a step made.
pub struct Step {
    /// Its number: that of its time.
    pub number: usize,
    /// What is sampled, after it.
    pub made: Tensor,
    /// The factors of data and of noise at the beginning of the next; none after the last.
    next: Option<(f64, f64)>,
}

impl Step {
    /// Data with the noise that there is after this step: none after the last.
    ///
    /// # Errors
    /// For shapes that differ.
    pub fn noised(&self, data: &Tensor, noise: &Tensor) -> Result<Tensor> {
        match self.next {
            Some((kept, added)) => mix(&[(kept, data), (added, noise)]),
            None => Ok(data.clone()),
        }
    }
}

/// What is left of the data's variance at each time of training: data times its root, with noise times the root of the
/// rest, is what a net is shown.
///
/// # Errors
/// For a configuration that is not supported.
pub fn alphas(config: &Config) -> Result<Vec<f64>> {
    let kind = config.kind()?;
    config.validate(kind)?;
    let schedule = Schedule::new(config, kind)?;
    (0..schedule.len()).map(|time| schedule.alpha(time)).collect()
}

/// A sum of tensors, each with its factor.
fn mix(parts: &[(f64, &Tensor)]) -> Result<Tensor> {
    let Some(((factor, first), rest)) = parts.split_first() else { refuse!("nothing to add") };
    rest.iter().try_fold((*first * *factor)?, |sum, (factor, part)| sum + (*part * *factor)?)
}

impl Prediction {
    /// The data and the noise in what is sampled, where so much of the data's variance is left.
    fn parts(self, xs: &Tensor, output: &Tensor, alpha: f64) -> Result<(Tensor, Tensor)> {
        let (data, noise) = (alpha.sqrt(), (1. - alpha).sqrt());
        Ok(match self {
            Self::Noise => (mix(&[(1. / data, xs), (-noise / data, output)])?, output.clone()),
            Self::Data => (output.clone(), mix(&[(1. / noise, xs), (-data / noise, output)])?),
            Self::Velocity => (mix(&[(data, xs), (-noise, output)])?, mix(&[(data, output), (noise, xs)])?),
        })
    }
}
