//! A small voice of our own: phones to frames of sound by flow matching, and frames to samples by a source and filters.
//!
//! The acoustic net follows Matcha-TTS (Mehta et al., 2024): states of phones, their durations, a first guess of each frame,
//! and a flow (Lipman et al., 2023) that makes frames of noise and the guess; the stacks are ConvNeXt's, not transformers, so
//! that a sentence may be as long as it likes. A frame is the logarithms of mel bands, that of the fundamental frequency, and
//! whether there is a voice. The filter net says how loud pulses of that frequency, and noise, are in each bin of a spectrum
//! (after Wang, Takaki and Yamagishi, 2019, and Engel et al., 2020): what it learns from needs no phase, hence no adversary.
//!
//! Sequences of a batch lie one after the other, (rows, width), with their lengths.
//!
//! - `config`: `config.json`
//! - `acoustic`: phones to frames
//! - `filters`: frames to amplitudes
//! - `alignment`: which frames a phone lasts, where nobody says
//! - `frames`: samples to frames, and amplitudes to samples

mod acoustic;
mod alignment;
mod config;
mod filters;
mod frames;

pub use acoustic::{Acoustic, Phone};
pub use alignment::align;
pub use config::Config;
pub use filters::{Amplitudes, Filters};
pub use frames::{Analysis, Signal, fluctuation};

use crate::vars::VarBuilder;
use candle_core::Result;

/// Both nets.
pub struct Voice {
    /// Phones to frames.
    pub acoustic: Acoustic,
    /// Frames to amplitudes.
    pub filters: Filters,
}

impl Voice {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            acoustic: Acoustic::new(config, vb.pp("acoustic"))?,
            filters: Filters::new(config, vb.pp("filters"))?,
        })
    }
}
