//! `config.json` of MusicGen, which holds those of its three nets.

use crate::layers::transformer::{Activation, Shape};
use crate::nets::{checks, encodec, t5};
use candle_core::Result;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The fields of `config.json` that shape the nets, under their names there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `musicgen`, or `musicgen_melody`.
    pub model_type: String,
    /// What reads the prompt.
    #[serde(deserialize_with = "text_encoder")]
    pub text_encoder: t5::Config,
    /// What turns codes into sound.
    pub audio_encoder: encodec::Config,
    /// What makes codes.
    pub decoder: DecoderConfig,
    /// Pitch classes of a melody.
    #[serde(default = "default_chroma")]
    pub num_chroma: usize,
    /// Frames that a melody has before the codes.
    #[serde(default = "default_chroma_length")]
    pub chroma_length: usize,
}

/// The fields of `decoder`. Those that are left away have transformers' values, which are musicgen-small's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecoderConfig {
    /// Codes of a codebook.
    pub vocab_size: usize,
    /// Positions that the net has learned.
    pub max_position_embeddings: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Width inside the feed-forward part.
    pub ffn_dim: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Activation of the feed-forward part.
    pub activation_function: String,
    /// Standard deviation of fresh weights.
    pub initializer_factor: f64,
    /// Rows of codes: in stereo those of the left and the right channel in turn.
    pub num_codebooks: usize,
    /// 1, or 2 for stereo.
    pub audio_channels: usize,
    /// The number that stands where a row has no code.
    pub pad_token_id: u32,
    /// Width of what it looks at, where that is not brought to its own.
    pub cross_attention_hidden_size: Option<usize>,
    /// What else there is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            vocab_size: 2048,
            max_position_embeddings: 2048,
            num_hidden_layers: 24,
            ffn_dim: 4096,
            num_attention_heads: 16,
            hidden_size: 1024,
            activation_function: "gelu".into(),
            initializer_factor: 0.02,
            num_codebooks: 4,
            audio_channels: 1,
            pad_token_id: 2048,
            cross_attention_hidden_size: None,
            other: Map::new(),
        }
    }
}

fn default_chroma() -> usize {
    12
}

fn default_chroma_length() -> usize {
    235
}

/// Transformers leaves away what is as in the first small T5.
fn text_encoder<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<t5::Config, D::Error> {
    let mut given = Map::deserialize(from)?;
    let usual = [
        ("vocab_size", 32_128),
        ("d_model", 512),
        ("d_kv", 64),
        ("d_ff", 2048),
        ("num_layers", 6),
        ("num_heads", 8),
    ];
    for (name, value) in usual {
        given.entry(name).or_insert_with(|| value.into());
    }
    serde_json::from_value(Value::Object(given)).map_err(serde::de::Error::custom)
}

impl Config {
    /// Whether it goes on from melodies.
    pub fn has_melody(&self) -> bool {
        self.model_type == "musicgen_melody"
    }

    /// Rows of codes of one channel.
    pub fn codebooks(&self) -> usize {
        self.decoder.num_codebooks / self.decoder.audio_channels.max(1)
    }

    /// The blocks of the decoder.
    pub(super) fn shape(&self) -> Result<Shape> {
        let cfg = &self.decoder;
        Ok(Shape {
            size: cfg.hidden_size,
            heads: cfg.num_attention_heads,
            inner: cfg.ffn_dim,
            cross: !self.has_melody(),
            norm_first: true,
            bias: false,
            key_bias: false,
            activation: Activation::named(&cfg.activation_function)?,
            stdev: cfg.initializer_factor,
        })
    }

    /// Refuses, by name, what the nets do not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if !["musicgen", "musicgen_melody"].contains(&self.model_type.as_str()) {
            refuse!(
                "config.json: model_type `{}` is not supported, only musicgen and musicgen_melody are",
                self.model_type
            );
        }
        let cfg = &self.decoder;
        Activation::named(&cfg.activation_function)?;
        checks::sizes(&[
            ("vocab_size", cfg.vocab_size, 1 << 16),
            ("max_position_embeddings", cfg.max_position_embeddings, 1 << 20),
            ("num_hidden_layers", cfg.num_hidden_layers, 1 << 10),
            ("ffn_dim", cfg.ffn_dim, 1 << 18),
            ("num_attention_heads", cfg.num_attention_heads, 1 << 10),
            ("hidden_size", cfg.hidden_size, 1 << 16),
            ("num_codebooks", cfg.num_codebooks, 1 << 8),
            ("audio_channels", cfg.audio_channels, 2),
            ("num_chroma", self.num_chroma, 1 << 10),
            ("chroma_length", self.chroma_length, 1 << 20),
        ])?;
        checks::heads(("hidden_size", cfg.hidden_size), &[("num_attention_heads", cfg.num_attention_heads)])?;
        if cfg.pad_token_id as usize > cfg.vocab_size {
            refuse!("config.json: pad_token_id {} is above vocab_size {}", cfg.pad_token_id, cfg.vocab_size);
        }
        if cfg.cross_attention_hidden_size.is_some_and(|size| size != cfg.hidden_size) {
            refuse!("config.json: cross_attention_hidden_size is not supported where it is not hidden_size");
        }
        let codec = &self.audio_encoder;
        codec.validate()?;
        if codec.audio_channels != 1 {
            refuse!(
                "config.json: audio_encoder has {} audio_channels, and is to have 1",
                codec.audio_channels
            );
        }
        if !cfg.num_codebooks.is_multiple_of(cfg.audio_channels)
            || self.codebooks() != codec.codebooks_at(None)?
        {
            refuse!(
                "config.json: num_codebooks {} for audio_channels {}, where the codec has {}",
                cfg.num_codebooks,
                cfg.audio_channels,
                codec.codebooks_at(None)?
            );
        }
        if cfg.vocab_size != codec.codebook_size {
            refuse!(
                "config.json: vocab_size {} is not codebook_size {}",
                cfg.vocab_size,
                codec.codebook_size
            );
        }
        checks::plain(&cfg.other)
    }
}
