//! `config.json` of a voice.

use super::super::checks;
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// The fields of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// [`Config::TYPE`].
    pub model_type: String,
    /// The names of the symbols that the text is spelled in: phones and pauses; their places are their ids.
    pub symbols: Vec<String>,
    /// Samples a second.
    pub sampling_rate: u32,
    /// Samples of a frame.
    pub hop_length: usize,
    /// Samples that a spectrum is computed from.
    pub window_length: usize,
    /// Mel bands of a frame.
    pub mel_bands: usize,
    /// Lowest and highest fundamental frequency, hertz.
    pub pitch_range: [f32; 2],
    /// The mean of each of a frame's values,
    pub mean: Vec<f32>,
    /// and their standard deviation: nets see what is left and divided by it.
    pub deviation: Vec<f32>,
    /// Channels of all stacks.
    pub width: usize,
    /// Rows that a channel of a block looks at.
    pub taps: usize,
    /// Blocks of the encoder of phones,
    pub encoder_blocks: usize,
    /// of the durations,
    pub duration_blocks: usize,
    /// of the flow,
    pub flow_blocks: usize,
    /// and of the filters.
    pub filter_blocks: usize,
    /// Channels inside the blocks of encoder and durations, in widths.
    pub text_expansion: usize,
    /// The same of flow and filters.
    pub sound_expansion: usize,
    /// Steps of the flow where nobody asks for another number.
    pub steps: usize,
}

impl Config {
    /// What `model_type` says.
    pub const TYPE: &str = "atelier_voice";

    /// Values of a frame: bands, frequency, voice.
    pub fn frame_size(&self) -> usize {
        self.mel_bands + 2
    }

    /// Bins of a spectrum.
    pub fn bins(&self) -> usize {
        self.window_length / 2 + 1
    }

    /// Refuses, by name, sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if self.model_type != Self::TYPE {
            refuse!("config.json: model_type `{}` is not {}", self.model_type, Self::TYPE);
        }
        checks::sizes(&[
            ("symbols", self.symbols.len(), 1 << 12),
            ("sampling_rate", self.sampling_rate as usize, 192_000),
            ("hop_length", self.hop_length, 1 << 14),
            ("window_length", self.window_length, 1 << 16),
            ("mel_bands", self.mel_bands, 1 << 10),
            ("width", self.width, 1 << 13),
            ("taps", self.taps, 255),
            ("encoder_blocks", self.encoder_blocks, 64),
            ("duration_blocks", self.duration_blocks, 64),
            ("flow_blocks", self.flow_blocks, 64),
            ("filter_blocks", self.filter_blocks, 64),
            ("text_expansion", self.text_expansion, 16),
            ("sound_expansion", self.sound_expansion, 16),
            ("steps", self.steps, 1000),
        ])?;
        if self.taps.is_multiple_of(2) {
            refuse!("config.json: taps {} is even, one in the middle is needed", self.taps);
        }
        let [low, high] = self.pitch_range;
        if !(low > 0. && low < high && high <= self.sampling_rate as f32 / 4.) {
            refuse!("config.json: pitch_range from {low} to {high} Hz");
        }
        for (name, values) in [("mean", &self.mean), ("deviation", &self.deviation)] {
            if values.len() != self.frame_size() || values.iter().any(|value| !value.is_finite()) {
                refuse!("config.json: {name} is not {} numbers", self.frame_size());
            }
        }
        match self.deviation.iter().find(|value| **value <= 0.) {
            Some(value) => refuse!("config.json: deviation {value} is not above 0"),
            None => Ok(()),
        }
    }
}
