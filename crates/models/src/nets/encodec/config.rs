//! `config.json` of EnCodec.

use crate::nets::checks;
use candle_core::Result;
use kernels::pad::Edge;
use serde::{Deserialize, Serialize};

/// The fields of `config.json` that shape the net, under their names there. Those that are left away have transformers'
/// values, which are the codec's of 24 kHz.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `encodec`.
    pub model_type: String,
    /// Samples a second.
    pub sampling_rate: usize,
    /// Channels of the sound.
    pub audio_channels: usize,
    /// Kilobits a second that may be asked for; the last says how many codebooks there are.
    pub target_bandwidths: Vec<f64>,
    /// Width of a frame's vector.
    pub hidden_size: usize,
    /// Channels after the first convolution; each stage of the encoder doubles them.
    pub num_filters: usize,
    /// Residual blocks of a stage.
    pub num_residual_layers: usize,
    /// Samples that each stage of the decoder makes of one.
    pub upsampling_ratios: Vec<usize>,
    /// `weight_norm`.
    pub norm_type: String,
    /// Width of the first convolutions.
    pub kernel_size: usize,
    /// Width of the last ones.
    pub last_kernel_size: usize,
    /// Width of the convolutions of residual blocks.
    pub residual_kernel_size: usize,
    /// How dilations grow from block to block of a stage.
    pub dilation_growth_rate: usize,
    /// Whether no sample sees a later one.
    pub use_causal_conv: bool,
    /// What stands beside the ends: `reflect`, `constant` or `replicate`.
    pub pad_mode: String,
    /// How many times narrower residual blocks are inside.
    pub compress: usize,
    /// Layers of memory.
    pub num_lstm_layers: usize,
    /// The share of what transposed convolutions have too much that is cut at the right, where causal.
    pub trim_right_ratio: f64,
    /// Vectors of a codebook.
    pub codebook_size: usize,
    /// Their width, where it is another than `hidden_size`.
    pub codebook_dim: Option<usize>,
    /// Whether a convolution stands where a residual passes by.
    pub use_conv_shortcut: bool,
    /// Whether sounds are brought to one loudness.
    pub normalize: bool,
    /// Seconds that are looked at at a time, where that is not all.
    pub chunk_length_s: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_type: "encodec".into(),
            sampling_rate: 24_000,
            audio_channels: 1,
            target_bandwidths: vec![1.5, 3., 6., 12., 24.],
            hidden_size: 128,
            num_filters: 32,
            num_residual_layers: 1,
            upsampling_ratios: vec![8, 5, 4, 2],
            norm_type: "weight_norm".into(),
            kernel_size: 7,
            last_kernel_size: 7,
            residual_kernel_size: 3,
            dilation_growth_rate: 2,
            use_causal_conv: true,
            pad_mode: "reflect".into(),
            compress: 2,
            num_lstm_layers: 2,
            trim_right_ratio: 1.,
            codebook_size: 1024,
            codebook_dim: None,
            use_conv_shortcut: true,
            normalize: false,
            chunk_length_s: None,
        }
    }
}

impl Config {
    /// Samples of a frame.
    pub fn hop(&self) -> usize {
        self.upsampling_ratios.iter().fold(1, |hop: usize, ratio| hop.saturating_mul(*ratio))
    }

    /// Frames a second, rounded up as the reference does.
    pub fn frame_rate(&self) -> usize {
        self.sampling_rate.div_ceil(self.hop())
    }

    /// How many codebooks there are.
    pub fn codebooks(&self) -> usize {
        let last = self.target_bandwidths.last().copied().unwrap_or_default();
        let bits = self.codebook_size.next_power_of_two().trailing_zeros() as usize;
        (1000. * last / (bits * self.frame_rate()).max(1) as f64).floor() as usize
    }

    /// How many of them are used at so many kilobits a second; the first of `target_bandwidths` where none is asked for.
    ///
    /// # Errors
    /// Kilobits that are none of `target_bandwidths`.
    pub fn codebooks_at(&self, bandwidth: Option<f64>) -> Result<usize> {
        let kilobits = match (bandwidth, self.target_bandwidths.first()) {
            (Some(asked), _) if self.target_bandwidths.contains(&asked) => asked,
            (None, Some(first)) => *first,
            (asked, _) => {
                let asked = asked.unwrap_or_default();
                refuse!("{asked} kilobits a second are none of the codec's: {:?}", self.target_bandwidths)
            }
        };
        let each = (self.codebook_size as f64).log2() * self.frame_rate() as f64;
        Ok(((kilobits * 1000. / each).floor() as usize).clamp(1, self.codebooks()))
    }

    /// What stands beside the ends.
    pub(super) fn edge(&self) -> Result<Edge> {
        Ok(match self.pad_mode.as_str() {
            "reflect" => Edge::Reflect,
            "constant" => Edge::Zero,
            "replicate" => Edge::Replicate,
            other => refuse!(
                "config.json: pad_mode `{other}` is not supported, only reflect, constant and replicate are"
            ),
        })
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if self.model_type != "encodec" {
            refuse!("config.json: model_type `{}` is not supported, only encodec is", self.model_type);
        }
        if self.norm_type != "weight_norm" {
            refuse!("config.json: norm_type `{}` is not supported, only weight_norm is", self.norm_type);
        }
        if self.normalize || self.chunk_length_s.is_some() {
            refuse!(
                "config.json: normalize and chunk_length_s, which the codec of 48 kHz has, are not supported"
            );
        }
        self.edge()?;
        let stages = self.upsampling_ratios.len();
        if !(1..=16).contains(&stages) || self.upsampling_ratios.iter().any(|ratio| !(1..=64).contains(ratio))
        {
            refuse!(
                "config.json: upsampling_ratios {:?} are not 1 to 16 numbers from 1 to 64",
                self.upsampling_ratios
            );
        }
        if self.hop() > 1 << 16 {
            refuse!(
                "config.json: upsampling_ratios {:?} make more than 65536 samples of a frame",
                self.upsampling_ratios
            );
        }
        checks::sizes(&[
            ("sampling_rate", self.sampling_rate, 768_000),
            ("audio_channels", self.audio_channels, 2),
            ("hidden_size", self.hidden_size, 1 << 14),
            ("num_filters", self.num_filters, 1 << 12),
            ("num_residual_layers", self.num_residual_layers, 16),
            ("kernel_size", self.kernel_size, 255),
            ("last_kernel_size", self.last_kernel_size, 255),
            ("residual_kernel_size", self.residual_kernel_size, 255),
            ("dilation_growth_rate", self.dilation_growth_rate, 16),
            ("compress", self.compress, self.num_filters),
            ("num_lstm_layers", self.num_lstm_layers, 16),
            ("codebook_size", self.codebook_size, 1 << 16),
        ])?;
        checks::sizes(&[("codebooks (of target_bandwidths)", self.codebooks(), 1 << 10)])?;
        if self.num_filters << stages > 1 << 14 {
            refuse!("config.json: num_filters {} cannot be doubled {stages} times", self.num_filters);
        }
        let dilation = self.dilation_growth_rate.checked_pow(self.num_residual_layers as u32 - 1);
        if dilation.is_none_or(|dilation| dilation > 1 << 12) {
            refuse!(
                "config.json: dilation_growth_rate {} grows too far in num_residual_layers {}",
                self.dilation_growth_rate,
                self.num_residual_layers
            );
        }
        if self.codebook_dim.is_some_and(|size| size != self.hidden_size) {
            refuse!(
                "config.json: codebook_dim {:?} is not hidden_size {}",
                self.codebook_dim,
                self.hidden_size
            );
        }
        if !(0. ..=1.).contains(&self.trim_right_ratio)
            || (!self.use_causal_conv && self.trim_right_ratio != 1.)
        {
            refuse!(
                "config.json: trim_right_ratio {} is not in 0 to 1, or is not 1 without use_causal_conv",
                self.trim_right_ratio
            );
        }
        Ok(())
    }
}
