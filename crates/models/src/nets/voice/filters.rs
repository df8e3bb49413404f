//! Frames to amplitudes.

use super::Config;
use super::acoustic::Stack;
use crate::layers::convnext::Sizes;
use crate::layers::linear::Linear;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::sum::{power_sum, sum};

/// The net.
pub struct Filters {
    frame: Linear,
    stack: Stack,
    harmonic: Linear,
    noise: Linear,
}

/// Logarithms of amplitudes, in nats, (frames, bins).
pub struct Amplitudes {
    /// What pulses are to be multiplied by.
    pub harmonic: Tensor,
    /// What noise is expected to be.
    pub noise: Tensor,
}

impl Filters {
    /// Reads the weights.
    ///
    /// # Errors
    /// Weights that are missing or of another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        let (width, frame, bins) = (config.width, config.frame_size(), config.bins());
        let sizes = Sizes { width, hidden: config.sound_expansion * width, taps: config.taps, told: None };
        let stdev = |inputs: usize| (inputs as f64).recip().sqrt();
        let head = |name: &str| Linear::new(width, bins, true, 0.3 * stdev(width), vb.pp(name));
        Ok(Self {
            frame: Linear::new(frame, width, true, stdev(frame), vb.pp("frame"))?,
            stack: Stack::new(config.filter_blocks, sizes, vb.pp("stack"))?,
            harmonic: head("harmonic")?,
            noise: head("noise")?,
        })
    }

    /// Frames (frames, values) as nets see them, of sequences of these lengths.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn forward(&self, frames: &Tensor, lengths: &[usize]) -> Result<Amplitudes> {
        let states = self.stack.forward(&self.frame.forward(frames)?, lengths, None)?;
        Ok(Amplitudes { harmonic: self.harmonic.forward(&states)?, noise: self.noise.forward(&states)? })
    }
}

impl Amplitudes {
    /// The logarithms of the amplitudes that come of pulses with these ones, (frames, bins), and of noise, whose powers add.
    ///
    /// # Errors
    /// On shapes that differ.
    pub fn levels(&self, pulses: &Tensor) -> Result<Tensor> {
        power_sum(&sum(&self.harmonic, pulses)?, &self.noise)
    }
}
