//! `config.json` of Marian, M2M100 and mBART.

use crate::layers::transformer::{Activation, Shape};
use crate::nets::checks;
use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of `config.json` that shape the net, under their names there.
///
/// `Config { vocab_size, ..Config::default() }` describes a small Marian to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `["MarianMTModel"]`, `["M2M100ForConditionalGeneration"]` or `["MBartForConditionalGeneration"]`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `marian`, `m2m_100` or `mbart`.
    pub model_type: String,
    /// Number of ids; where embeddings are not shared, of the source's alone.
    pub vocab_size: usize,
    /// Number of the target's ids, where embeddings are not shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_vocab_size: Option<usize>,
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
    /// Activation of both.
    pub activation_function: String,
    /// Positions that a sequence may have.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// Whether embeddings are multiplied with the root of `d_model`; M2M100 does where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_embedding: Option<bool>,
    /// Marian: whether encoder and decoder have one table of embeddings.
    #[serde(default = "yes")]
    pub share_encoder_decoder_embeddings: bool,
    /// Whether the output layer is the decoder's embedding.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_stdev")]
    pub init_std: f64,
    /// The id that fills sequences up to one length.
    pub pad_token_id: u32,
    /// The id that decoding begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_start_token_id: Option<u32>,
    /// The id that ends a sequence.
    pub eos_token_id: u32,
    /// What else there is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn default_positions() -> usize {
    1024
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
            architectures: vec!["MarianMTModel".into()],
            model_type: "marian".into(),
            vocab_size: 256,
            decoder_vocab_size: None,
            d_model: 256,
            encoder_layers: 3,
            decoder_layers: 3,
            encoder_attention_heads: 4,
            decoder_attention_heads: 4,
            encoder_ffn_dim: 1024,
            decoder_ffn_dim: 1024,
            activation_function: "swish".into(),
            max_position_embeddings: 512,
            scale_embedding: Some(true),
            share_encoder_decoder_embeddings: true,
            tie_word_embeddings: true,
            init_std: default_stdev(),
            pad_token_id: 255,
            decoder_start_token_id: Some(255),
            eos_token_id: 0,
            other: Map::new(),
        }
    }
}

/// Which of them it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Norms after each part, positions from zero on, a bias of the logits.
    Marian,
    /// Norms before each part and at the end, positions counted over what is not padding.
    M2m100,
    /// Norms after the embeddings, before each part and at the end, learned positions, a bias of the logits.
    Mbart,
}

impl Config {
    pub(super) fn kind(&self) -> Result<Kind> {
        match self.model_type.as_str() {
            "marian" => Ok(Kind::Marian),
            "m2m_100" => Ok(Kind::M2m100),
            "mbart" => Ok(Kind::Mbart),
            other => refuse!(
                "config.json: model_type `{other}` is not supported, only marian, m2m_100 and mbart are"
            ),
        }
    }

    /// Number of the target's ids.
    pub fn target_vocab(&self) -> usize {
        match self.share_encoder_decoder_embeddings {
            true => self.vocab_size,
            false => self.decoder_vocab_size.unwrap_or(self.vocab_size),
        }
    }

    pub(super) fn scale(&self) -> Result<Option<f64>> {
        let scaled = self.scale_embedding.unwrap_or(self.kind()? == Kind::M2m100);
        Ok(scaled.then(|| (self.d_model as f64).sqrt()))
    }

    /// The blocks of the encoder, and those of the decoder.
    pub(super) fn shapes(&self) -> Result<[Shape; 2]> {
        let encoder = Shape {
            size: self.d_model,
            heads: self.encoder_attention_heads,
            inner: self.encoder_ffn_dim,
            cross: false,
            norm_first: self.kind()? != Kind::Marian,
            bias: true,
            key_bias: true,
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
        let kind = self.kind()?;
        self.check_sizes()?;
        Activation::named(&self.activation_function)?;
        if kind != Kind::Marian && !self.share_encoder_decoder_embeddings {
            let name = &self.model_type;
            refuse!("config.json: share_encoder_decoder_embeddings false is not supported in {name}");
        }
        if self.share_encoder_decoder_embeddings
            && self.decoder_vocab_size.is_some_and(|n| n != self.vocab_size)
        {
            refuse!("config.json: decoder_vocab_size is not vocab_size, and embeddings are shared");
        }
        // what fairseq's options could say and transformers' Marian does not do
        let fixed = [
            ("static_position_embeddings", kind != Kind::Mbart),
            ("normalize_before", kind != Kind::Marian),
            ("add_final_layer_norm", kind != Kind::Marian),
            ("normalize_embedding", kind == Kind::Mbart),
            ("extra_pos_embeddings", false),
            ("layernorm_embedding", kind == Kind::Mbart),
            ("is_decoder", false),
        ];
        for (name, only) in fixed {
            match self.other.get(name) {
                Some(Value::Bool(value)) if *value != only => {
                    refuse!("config.json: {name} {value} is not supported")
                }
                _ => {}
            }
        }
        checks::plain(&self.other)
    }

    fn check_sizes(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("decoder_vocab_size", self.target_vocab(), 1 << 22),
            ("d_model", self.d_model, 1 << 16),
            ("encoder_layers", self.encoder_layers, 1 << 10),
            ("decoder_layers", self.decoder_layers, 1 << 10),
            ("encoder_attention_heads", self.encoder_attention_heads, 1 << 10),
            ("decoder_attention_heads", self.decoder_attention_heads, 1 << 10),
            ("encoder_ffn_dim", self.encoder_ffn_dim, 1 << 18),
            ("decoder_ffn_dim", self.decoder_ffn_dim, 1 << 18),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
        ];
        checks::sizes(&sizes)?;
        let heads = [
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("decoder_attention_heads", self.decoder_attention_heads),
        ];
        checks::heads(("d_model", self.d_model), &heads)?;
        if self.pad_token_id as usize >= self.vocab_size {
            refuse!(
                "config.json: pad_token_id {} is no id below vocab_size {}",
                self.pad_token_id,
                self.vocab_size
            );
        }
        if !(0. ..1.).contains(&self.init_std) {
            refuse!("config.json: init_std {} is not in 0 to 1", self.init_std);
        }
        Ok(())
    }
}
