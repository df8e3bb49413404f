//! Pseudo numerical methods (Liu et al., 2022): Runge and Kutta's to begin with, unless they are skipped, then Adams and
//! Bashforth's, with diffusers' numbers.

use super::schedule::{Prediction, Schedule, Spacing};
use super::{Config, Draw, Sampler, Solver, mix};
use candle_core::{Result, Tensor};

struct Pndm {
    schedule: Schedule,
    velocity: bool,
    times: Vec<f64>,
    /// From a time to the next.
    stride: usize,
    /// How many of the times are Runge and Kutta's.
    begun: usize,
    /// What is left of the data's variance after the last.
    last: f64,
    /// Steps that were done.
    done: usize,
    /// The last outputs, at most 4.
    outputs: Vec<Tensor>,
    /// What a step of several parts began with.
    origin: Option<Tensor>,
    /// The parts of its output, added up.
    sum: Option<Tensor>,
}

pub fn pndm(config: &Config, schedule: Schedule, steps: usize) -> Result<Sampler> {
    let prediction = Prediction::of(config)?;
    if prediction == Prediction::Data {
        refuse!("scheduler_config.json: prediction_type `sample` is not supported by PNDM");
    }
    let spacing = Spacing {
        whole: true,
        ..Spacing::new(config.timestep_spacing.as_deref().unwrap_or("leading"), config, &schedule)
    };
    let plain = spacing.times(steps)?;
    let stride = schedule.len() / steps;
    let skipped = config.skip_prk_steps == Some(true);
    if !skipped && steps < 4 {
        refuse!("{steps} steps: PNDM with Runge and Kutta's steps takes at least 4");
    }
    let (begun, times) = if skipped {
        // the second time is asked at twice
        let second = plain.get(1).copied();
        (0, plain[..1].iter().copied().chain(second).chain(plain[1..].iter().copied()).collect())
    } else {
        let half = (stride / 2) as f64;
        let pairs: Vec<f64> = plain[..4].iter().flat_map(|time| [time + half, *time]).collect();
        let twice: Vec<f64> = pairs[1..].iter().flat_map(|time| [*time; 2]).collect();
        let first = &twice[1..twice.len() - 1];
        (first.len(), first.iter().chain(&plain[3..]).copied().collect::<Vec<f64>>())
    };
    let last = if config.set_alpha_to_one == Some(true) { 1. } else { schedule.alpha(0)? };
    let solver = Pndm {
        schedule,
        velocity: prediction == Prediction::Velocity,
        times: times.clone(),
        stride,
        begun,
        last,
        done: 0,
        outputs: vec![],
        origin: None,
        sum: None,
    };
    Ok(Sampler { times, first: 1., steps, order: 1, solver: Box::new(solver) })
}

impl Pndm {
    /// Goes from a time to an earlier one, by the formula of the paper's transfer (equation 9).
    fn transfer(&self, xs: &Tensor, output: &Tensor, from: i64, to: i64) -> Result<Tensor> {
        let alpha = self.schedule.alpha(from.max(0) as usize)?;
        let after = if to < 0 { self.last } else { self.schedule.alpha(to as usize)? };
        let turned = if self.velocity {
            mix(&[(alpha.sqrt(), output), ((1. - alpha).sqrt(), xs)])?
        } else {
            output.clone()
        };
        let under = alpha * (1. - after).sqrt() + (alpha * (1. - alpha) * after).sqrt();
        mix(&[((after / alpha).sqrt(), xs), (-(after - alpha) / under, &turned)])
    }

    /// One of the four parts of a step of Runge and Kutta.
    fn part(&mut self, step: usize, xs: &Tensor, output: &Tensor) -> Result<Tensor> {
        let part = self.done % 4;
        let to = self.times[step] as i64 - if part.is_multiple_of(2) { (self.stride / 2) as i64 } else { 0 };
        let from = self.times[self.done / 4 * 4] as i64;
        let share = (output * if part == 0 || part == 3 { 1. / 6. } else { 1. / 3. })?;
        let sum = self.sum.take().map_or(Ok(share.clone()), |sum| sum + &share)?;
        if part == 0 {
            self.outputs.push(output.clone());
            self.origin = Some(xs.clone());
        }
        let origin = self.origin.clone().unwrap_or_else(|| xs.clone());
        if part == 3 {
            return self.transfer(&origin, &sum, from, to);
        }
        self.sum = Some(sum);
        self.transfer(&origin, output, from, to)
    }

    /// A step of Adams and Bashforth, of as high an order as there are outputs for.
    fn several(&mut self, step: usize, xs: &Tensor, output: &Tensor) -> Result<Tensor> {
        let stride = self.stride as i64;
        let (mut from, mut to) = (self.times[step] as i64, self.times[step] as i64 - stride);
        if self.done == 1 {
            // the first step once more, with the slopes at both of its ends
            (from, to) = (from + stride, from);
            let (Some(first), Some(origin)) = (self.outputs.last(), self.origin.take()) else {
                refuse!("PNDM's second step without its first")
            };
            let slope = mix(&[(0.5, output), (0.5, first)])?;
            return self.transfer(&origin, &slope, from, to);
        }
        let kept = self.outputs.len().saturating_sub(3);
        self.outputs.drain(..kept);
        self.outputs.push(output.clone());
        if self.done == 0 {
            self.origin = Some(xs.clone());
        }
        let factors: &[f64] = match self.outputs.len() {
            1 => &[1.],
            2 => &[3. / 2., -1. / 2.],
            3 => &[23. / 12., -16. / 12., 5. / 12.],
            _ => &[55. / 24., -59. / 24., 37. / 24., -9. / 24.],
        };
        let slope = mix(&factors.iter().copied().zip(self.outputs.iter().rev()).collect::<Vec<_>>())?;
        self.transfer(xs, &slope, from, to)
    }
}

impl Solver for Pndm {
    fn step(&mut self, step: usize, xs: &Tensor, output: &Tensor, _: &mut Draw) -> Result<Tensor> {
        let next =
            if self.done < self.begun { self.part(step, xs, output) } else { self.several(step, xs, output) };
        self.done += 1;
        next
    }

    fn noised(&self, step: usize) -> Result<(f64, f64)> {
        let alpha = self.schedule.alpha(self.times[step] as usize)?;
        Ok((alpha.sqrt(), (1. - alpha).sqrt()))
    }
}
