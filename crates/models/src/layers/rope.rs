//! Rotary position embedding (Su et al., 2021), in the arrangement of Hugging Face's Llama: a head's first
//! half pairs with its second half. A [`Stretch`] makes a net see further than it was trained to.

use candle_core::{DType, Device, Result, Tensor};
use kernels::rope::{Order, Pairs, rope};
use std::f64::consts::PI;

/// Rates of the angles, one a pair of dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    size: usize,
    theta: f64,
    stretch: Stretch,
}

/// How rates are changed for positions beyond those of the training; as in transformers' `modeling_rope_utils`.
#[derive(Debug, Clone, PartialEq)]
pub enum Stretch {
    /// Not at all.
    None,
    /// All rates are divided.
    Linear {
        /// By this.
        factor: f64,
    },
    /// The base grows with the text once it is longer than the training's (`dynamic`).
    Dynamic {
        /// How much longer texts may become.
        factor: f64,
        /// Positions of the training.
        positions: usize,
    },
    /// Slow rates are divided, fast ones are not, and those between partly (Llama 3.1).
    Llama3 {
        /// What slow rates are divided by.
        factor: f64,
        /// Turns within the training's positions below which a rate is slow.
        low: f64,
        /// Turns from which it is fast.
        high: f64,
        /// Positions of the training.
        positions: usize,
    },
    /// The same by a ramp over the dimensions, and larger scores (Peng et al., 2023).
    Yarn {
        /// What slow rates are divided by.
        factor: f64,
        /// Turns from which a rate is fast, and below which it is slow.
        fast: f64,
        /// See `fast`.
        slow: f64,
        /// Positions of the training.
        positions: usize,
        /// Whether the ramp begins and ends at whole dimensions.
        truncate: bool,
        /// What cosines and sines are multiplied with.
        scale: f64,
    },
    /// Each rate is divided by a number of its own, others for long texts than for short ones (Ding et al., 2024).
    Long {
        /// For texts up to `positions`.
        short: Vec<f32>,
        /// For longer ones.
        long: Vec<f32>,
        /// Positions of the training.
        positions: usize,
        /// What cosines and sines are multiplied with.
        scale: f64,
    },
}

/// Cosines and sines of a run of positions, each (time, rotated dimensions / 2).
#[derive(Clone)]
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Rates `theta^(-2i / head_dim)`.
    pub fn new(head_dim: usize, theta: f64) -> Self {
        Self::stretched(head_dim, theta, Stretch::None)
    }

    /// The same for the first `size` dimensions of a head, stretched.
    pub fn stretched(size: usize, theta: f64, stretch: Stretch) -> Self {
        Self { size, theta, stretch }
    }

    /// The angles of `time` positions from `start` on.
    pub fn angles(&self, start: usize, time: usize, dtype: DType, device: &Device) -> Result<Angles> {
        let rates = self.rates(start + time);
        let scale = match &self.stretch {
            Stretch::Yarn { scale, .. } | Stretch::Long { scale, .. } => *scale as f32,
            _ => 1.,
        };
        let angles = (start..start + time).flat_map(|t| rates.iter().map(move |rate| t as f32 * rate));
        let waves = angles.map(f32::sin_cos).map(|(sin, cos)| (sin * scale, cos * scale));
        let (sin, cos): (Vec<f32>, Vec<f32>) = waves.unzip();
        let tensor = |values| Tensor::from_vec(values, (time, rates.len()), device)?.to_dtype(dtype);
        Ok(Angles { cos: tensor(cos)?, sin: tensor(sin)? })
    }

    /// The length of a text beyond which the rates of all its positions are others.
    pub fn turns_after(&self) -> Option<usize> {
        match &self.stretch {
            Stretch::Long { short, long, positions, .. } if short != long => Some(*positions),
            _ => None,
        }
    }

    /// The longest text that the rates are made for, of a net that was trained on `positions`.
    pub fn longest(&self, positions: usize) -> usize {
        match &self.stretch {
            Stretch::Dynamic { factor, positions } => (*positions as f64 * factor) as usize,
            _ => positions,
        }
    }

    /// Whether the rates depend on how long a text is.
    pub fn depends_on_length(&self) -> bool {
        matches!(self.stretch, Stretch::Dynamic { .. }) || self.turns_after().is_some()
    }

    /// The rates for a text of so many tokens.
    fn rates(&self, len: usize) -> Vec<f32> {
        let plain = |theta: f64| -> Vec<f32> {
            let rate = |i: usize| 1. / (theta as f32).powf(i as f32 / self.size as f32);
            (0..self.size).step_by(2).map(rate).collect()
        };
        let mut rates = plain(self.theta);
        match &self.stretch {
            Stretch::None => {}
            Stretch::Linear { factor } => rates.iter_mut().for_each(|rate| *rate /= *factor as f32),
            Stretch::Dynamic { factor, positions } => {
                let size = self.size as f64;
                let longer = len.max(*positions) as f64 / *positions as f64;
                rates = plain(self.theta * (factor * longer - (factor - 1.)).powf(size / (size - 2.)));
            }
            Stretch::Llama3 { factor, low, high, positions } => {
                for rate in &mut rates {
                    let turns = *positions as f64 * *rate as f64 / (2. * PI);
                    let smooth = ((turns - low) / (high - low)).clamp(0., 1.);
                    *rate = (*rate as f64 * ((1. - smooth) / factor + smooth)) as f32;
                }
            }
            Stretch::Yarn { factor, fast, slow, positions, truncate, .. } => {
                let (from, to) = self.ramp(*fast, *slow, *positions, *truncate);
                for (i, rate) in rates.iter_mut().enumerate() {
                    let divided = ((i as f64 - from) / (to - from)).clamp(0., 1.);
                    *rate = (*rate as f64 * (divided / factor + 1. - divided)) as f32;
                }
            }
            Stretch::Long { short, long, positions, .. } => {
                let factors = if len > *positions { long } else { short };
                rates.iter_mut().zip(factors).for_each(|(rate, factor)| *rate /= factor);
            }
        }
        rates
    }

    /// The pairs of dimensions between which YaRN's ramp rises.
    fn ramp(&self, fast: f64, slow: f64, positions: usize, truncate: bool) -> (f64, f64) {
        let size = self.size as f64;
        let place = |turns: f64| size * (positions as f64 / (turns * 2. * PI)).ln() / (2. * self.theta.ln());
        let (mut from, mut to) = (place(fast), place(slow));
        if truncate {
            (from, to) = (from.floor(), to.ceil());
        }
        (from, to) = (from.max(0.), to.min(size - 1.));
        if from == to { (from, to + 0.001) } else { (from, to) }
    }
}

/// Turns each head of (batch, time, heads, head_dim) by its position's angles.
pub fn rotate(xs: &Tensor, angles: &Angles) -> Result<Tensor> {
    rope(xs, &angles.cos, &angles.sin, Pairs::Halves, Order::TimeHeads)
}
