//! `config.json` of Whisper.

use crate::layers::transformer::{Activation, Shape};
use crate::nets::checks;
use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of `config.json` that shape the net, under their names there.
///
/// `Config::default()` is whisper-tiny.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `["WhisperForConditionalGeneration"]`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `whisper`.
    pub model_type: String,
    /// Number of ids.
    pub vocab_size: usize,
    /// Bands of a frame's spectrum: 80, or 128 in large-v3.
    pub num_mel_bins: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Number of blocks of the encoder.
    pub encoder_layers: usize,
    /// Number of blocks of the decoder.
    pub decoder_layers: usize,
    /// Heads of the encoder's attention.
    pub encoder_attention_heads: usize,
    /// Heads of the decoder's attention.
    pub decoder_attention_heads: usize,
    /// Inner width of the encoder's feed-forward part.
    pub encoder_ffn_dim: usize,
    /// Inner width of the decoder's.
    pub decoder_ffn_dim: usize,
    /// Activation of both, and of the convolutions.
    #[serde(default = "default_activation")]
    pub activation_function: String,
    /// States that the encoder makes at most, half as many as frames: 1500 for 30 seconds.
    #[serde(default = "default_source")]
    pub max_source_positions: usize,
    /// Positions that a text may have.
    #[serde(default = "default_target")]
    pub max_target_positions: usize,
    /// Whether the output layer is the decoder's embedding.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_stdev")]
    pub init_std: f64,
    /// The id that decoding begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_start_token_id: Option<u32>,
    /// The id that ends a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<u32>,
    /// What else there is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn default_activation() -> String {
    "gelu".into()
}

fn default_source() -> usize {
    1500
}

fn default_target() -> usize {
    448
}

fn default_stdev() -> f64 {
    0.02
}

fn yes() -> bool {
    true
}

impl Default for Config {
    fn default() -> Self {
        Self {
            architectures: vec!["WhisperForConditionalGeneration".into()],
            model_type: "whisper".into(),
            vocab_size: 51_865,
            num_mel_bins: 80,
            d_model: 384,
            encoder_layers: 4,
            decoder_layers: 4,
            encoder_attention_heads: 6,
            decoder_attention_heads: 6,
            encoder_ffn_dim: 1536,
            decoder_ffn_dim: 1536,
            activation_function: default_activation(),
            max_source_positions: default_source(),
            max_target_positions: default_target(),
            tie_word_embeddings: true,
            init_std: default_stdev(),
            decoder_start_token_id: Some(50_258),
            eos_token_id: Some(50_257),
            other: Map::new(),
        }
    }
}

impl Config {
    /// The blocks of the encoder, and those of the decoder.
    pub(super) fn shapes(&self) -> Result<[Shape; 2]> {
        let encoder = Shape {
            size: self.d_model,
            heads: self.encoder_attention_heads,
            inner: self.encoder_ffn_dim,
            cross: false,
            norm_first: true,
            bias: true,
            key_bias: false,
            activation: Activation::named(&self.activation_function)?,
            stdev: self.init_std,
        };
        let (heads, inner) = (self.decoder_attention_heads, self.decoder_ffn_dim);
        Ok([encoder, Shape { heads, inner, cross: true, ..encoder }])
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if self.model_type != "whisper" {
            refuse!("config.json: model_type `{}` is not supported, only whisper is", self.model_type);
        }
        Activation::named(&self.activation_function)?;
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("num_mel_bins", self.num_mel_bins, 1 << 12),
            ("d_model", self.d_model, 1 << 16),
            ("encoder_layers", self.encoder_layers, 1 << 10),
            ("decoder_layers", self.decoder_layers, 1 << 10),
            ("encoder_attention_heads", self.encoder_attention_heads, 1 << 10),
            ("decoder_attention_heads", self.decoder_attention_heads, 1 << 10),
            ("encoder_ffn_dim", self.encoder_ffn_dim, 1 << 18),
            ("decoder_ffn_dim", self.decoder_ffn_dim, 1 << 18),
            ("max_source_positions", self.max_source_positions, 1 << 20),
            ("max_target_positions", self.max_target_positions, 1 << 20),
        ];
        checks::sizes(&sizes)?;
        let heads = [
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("decoder_attention_heads", self.decoder_attention_heads),
        ];
        checks::heads(("d_model", self.d_model), &heads)?;
        if !(0. ..1.).contains(&self.init_std) {
            refuse!("config.json: init_std {} is not in 0 to 1", self.init_std);
        }
        checks::plain(&self.other)
    }
}
