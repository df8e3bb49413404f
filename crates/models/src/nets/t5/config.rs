//! `config.json` of T5.

use crate::nets::checks;
use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::feed_forward::Bend;

/// The fields of `config.json` that shape the net, under their names there.
///
/// `Config { vocab_size, ..Config::default() }` describes a small T5 of version 1.1 to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `["T5ForConditionalGeneration"]`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `t5`.
    #[serde(default = "default_type")]
    pub model_type: String,
    /// Number of ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Width of a head.
    pub d_kv: usize,
    /// Inner width of the feed-forward part.
    pub d_ff: usize,
    /// Number of blocks of the encoder.
    pub num_layers: usize,
    /// Number of blocks of the decoder, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_decoder_layers: Option<usize>,
    /// Heads of each attention.
    pub num_heads: usize,
    /// How many distances are told apart.
    #[serde(default = "default_buckets")]
    pub relative_attention_num_buckets: usize,
    /// The distance from which on all are one.
    #[serde(default = "default_distance")]
    pub relative_attention_max_distance: usize,
    /// Epsilon of all norms.
    #[serde(default = "default_epsilon")]
    pub layer_norm_epsilon: f64,
    /// What the standard deviations of fresh weights are multiplied with.
    #[serde(default = "one")]
    pub initializer_factor: f64,
    /// `relu`, `gated-gelu` and their like.
    #[serde(default = "default_feed_forward")]
    pub feed_forward_proj: String,
    /// Whether the output layer is the embedding, and states are scaled before it.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    /// What transformers 5 writes of the scaling instead, beside a `tie_word_embeddings` that is always true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_decoder_outputs: Option<bool>,
    /// The id that fills sequences up to one length.
    #[serde(default)]
    pub pad_token_id: u32,
    /// The id that ends a sequence.
    #[serde(default = "end")]
    pub eos_token_id: u32,
    /// The id that decoding begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_start_token_id: Option<u32>,
    /// What else there is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn default_type() -> String {
    "t5".into()
}

fn default_buckets() -> usize {
    32
}

fn default_distance() -> usize {
    128
}

fn default_epsilon() -> f64 {
    1e-6
}

fn default_feed_forward() -> String {
    "relu".into()
}

fn one() -> f64 {
    1.
}

fn end() -> u32 {
    1
}

fn yes() -> bool {
    true
}

impl Default for Config {
    fn default() -> Self {
        Self {
            architectures: vec!["T5ForConditionalGeneration".into()],
            model_type: default_type(),
            vocab_size: 256,
            d_model: 256,
            d_kv: 64,
            d_ff: 640,
            num_layers: 4,
            num_decoder_layers: None,
            num_heads: 4,
            relative_attention_num_buckets: default_buckets(),
            relative_attention_max_distance: default_distance(),
            layer_norm_epsilon: default_epsilon(),
            initializer_factor: one(),
            feed_forward_proj: "gated-gelu".into(),
            tie_word_embeddings: false,
            scale_decoder_outputs: None,
            pad_token_id: 0,
            eos_token_id: 1,
            decoder_start_token_id: Some(0),
            other: Map::new(),
        }
    }
}

impl Config {
    /// Number of blocks of the decoder.
    pub fn decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// The id that decoding begins with: that of the padding where nothing is said.
    pub fn start(&self) -> u32 {
        self.decoder_start_token_id.unwrap_or(self.pad_token_id)
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if self.model_type != "t5" {
            refuse!("config.json: model_type `{}` is not supported, only t5 is", self.model_type);
        }
        checks::sizes(&[
            ("vocab_size", self.vocab_size, 1 << 22),
            ("d_model", self.d_model, 1 << 16),
            ("d_kv", self.d_kv, 1 << 12),
            ("d_ff", self.d_ff, 1 << 18),
            ("num_layers", self.num_layers, 1 << 10),
            ("num_decoder_layers", self.decoder_layers(), 1 << 10),
            ("num_heads", self.num_heads, 1 << 10),
            ("relative_attention_num_buckets", self.relative_attention_num_buckets, 1 << 16),
            ("relative_attention_max_distance", self.relative_attention_max_distance, 1 << 24),
        ])?;
        let (buckets, distance) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        if !buckets.is_multiple_of(4) {
            refuse!("config.json: relative_attention_num_buckets {buckets} is no multiple of 4");
        }
        if distance <= buckets / 2 {
            refuse!(
                "config.json: relative_attention_max_distance {distance} is not above half of \
                 relative_attention_num_buckets {buckets}"
            );
        }
        Bend::named(&self.feed_forward_proj)?;
        for (name, value) in
            [("layer_norm_epsilon", self.layer_norm_epsilon), ("initializer_factor", self.initializer_factor)]
        {
            if !(0. ..1e3).contains(&value) {
                refuse!("config.json: {name} {value} is not in 0 to 1000");
            }
        }
        for (name, id) in [("pad_token_id", self.pad_token_id), ("decoder_start_token_id", self.start())] {
            if id as usize >= self.vocab_size {
                refuse!("config.json: {name} {id} is no id below vocab_size {}", self.vocab_size);
            }
        }
        for (name, only) in
            [("is_encoder_decoder", true), ("is_decoder", false), ("scalable_attention", false)]
        {
            if self.other.get(name).and_then(Value::as_bool).is_some_and(|value| value != only) {
                refuse!("config.json: {name} {} is not supported", !only);
            }
        }
        checks::plain(&self.other)
    }
}
