//! `config.json` of the Llama family, in the spellings of transformers 4 and 5.

use crate::layers::attention;
use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of `config.json` that shape the net, under their names there.
///
/// `Config { vocab_size, ..Config::default() }` describes a small net to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `["LlamaForCausalLM"]`.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `llama`.
    pub model_type: String,
    /// Number of ids.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Inner width of the feed-forward part.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; as many as query heads where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// The context that the net was trained for.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// Added under the root of the norms.
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f64,
    /// Base of the rotary rates, in transformers 4's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// How the rotary rates are stretched, in transformers 4's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<Map<String, Value>>,
    /// Both, in transformers 5's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<Map<String, Value>>,
    /// Activation of the feed-forward part.
    #[serde(default = "default_act")]
    pub hidden_act: String,
    /// Whether the output layer is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Whether the attention's projections have biases.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the feed-forward part's projections have biases.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_range")]
    pub initializer_range: f64,
    /// The id that begins a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    /// The ids that end a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<OneOrMany>,
    /// Number format of the weights, in transformers 5's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Number format of the weights, in transformers 4's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torch_dtype: Option<String>,
    /// Present in checkpoints whose weights are packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization_config: Option<Value>,
}

/// An id or a list of ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(u32),
    /// Any of these.
    Many(Vec<u32>),
}

impl OneOrMany {
    /// As a list.
    pub fn ids(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

fn default_positions() -> usize {
    2048
}

fn default_eps() -> f64 {
    1e-6
}

fn default_act() -> String {
    "silu".to_string()
}

fn default_range() -> f64 {
    0.02
}

const DEFAULT_THETA: f64 = 10_000.;

impl Default for Config {
    fn default() -> Self {
        Self {
            architectures: vec!["LlamaForCausalLM".to_string()],
            model_type: "llama".to_string(),
            vocab_size: 256,
            hidden_size: 256,
            intermediate_size: 688,
            num_hidden_layers: 6,
            num_attention_heads: 4,
            num_key_value_heads: None,
            head_dim: None,
            max_position_embeddings: 1024,
            rms_norm_eps: 1e-5,
            rope_theta: Some(DEFAULT_THETA),
            rope_scaling: None,
            rope_parameters: None,
            hidden_act: default_act(),
            tie_word_embeddings: true,
            attention_bias: false,
            mlp_bias: false,
            initializer_range: default_range(),
            bos_token_id: None,
            eos_token_id: None,
            dtype: Some("float32".to_string()),
            torch_dtype: None,
            quantization_config: None,
        }
    }
}

impl Config {
    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Base of the rotary rates, from whichever place has it.
    pub fn rope_theta(&self) -> f64 {
        let nested = |map: &Map<String, Value>| map.get("rope_theta").and_then(Value::as_f64);
        let parameters = self.rope_parameters.as_ref().and_then(nested);
        parameters.or(self.rope_theta).unwrap_or(DEFAULT_THETA)
    }

    /// The attention's part of the sizes.
    pub fn attention_shape(&self) -> attention::Shape {
        attention::Shape {
            size: self.hidden_size,
            heads: self.num_attention_heads,
            kv_heads: self.kv_heads(),
            head_dim: self.head_dim(),
            bias: self.attention_bias,
        }
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    pub fn validate(&self) -> Result<()> {
        self.check_options()?;
        self.check_rope()?;
        self.check_sizes()
    }

    fn check_options(&self) -> Result<()> {
        if self.model_type != "llama" {
            refuse!("config.json: model_type `{}` is not supported, only llama is", self.model_type);
        }
        if !matches!(self.hidden_act.as_str(), "silu" | "swish") {
            refuse!("config.json: hidden_act `{}` is not supported, only silu is", self.hidden_act);
        }
        if self.quantization_config.is_some() {
            refuse!(
                "config.json: quantization_config is not supported: use the checkpoint with plain weights"
            );
        }
        Ok(())
    }

    fn check_rope(&self) -> Result<()> {
        for (name, map) in [("rope_scaling", &self.rope_scaling), ("rope_parameters", &self.rope_parameters)]
        {
            let Some(map) = map else { continue };
            let kind = map.get("rope_type").or(map.get("type")).unwrap_or(&Value::Null);
            let plain = kind == "default" || (kind.is_null() && !map.contains_key("factor"));
            if !plain {
                refuse!("config.json: {name} of kind {kind} is not supported, only \"default\" is");
            }
            if map.get("partial_rotary_factor").and_then(Value::as_f64).is_some_and(|factor| factor != 1.) {
                refuse!("config.json: {name} with a partial_rotary_factor other than 1 is not supported");
            }
            if map.get("rope_theta").is_some_and(|theta| !theta.is_number()) {
                refuse!("config.json: rope_theta in {name} is not a number");
            }
        }
        let theta = self.rope_theta();
        if !(theta > 1. && theta < 1e12) {
            refuse!("config.json: rope_theta {theta} is not in 1 to 1e12");
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 22),
            ("hidden_size", self.hidden_size, 1 << 16),
            ("intermediate_size", self.intermediate_size, 1 << 18),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 10),
            ("num_key_value_heads", self.kv_heads(), 1 << 10),
            ("head_dim", self.head_dim(), 1 << 12),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 28),
        ];
        for (name, size, limit) in sizes {
            if !(1..=limit).contains(&size) {
                refuse!("config.json: {name} {size} is not in 1 to {limit}");
            }
        }
        let (heads, kv_heads, head_dim) = (self.num_attention_heads, self.kv_heads(), self.head_dim());
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            refuse!(
                "config.json: hidden_size {} is no multiple of num_attention_heads {heads}",
                self.hidden_size
            );
        }
        if !heads.is_multiple_of(kv_heads) {
            refuse!(
                "config.json: num_attention_heads {heads} is no multiple of num_key_value_heads {kv_heads}"
            );
        }
        if !head_dim.is_multiple_of(2) {
            refuse!("config.json: head_dim {head_dim} is odd, rotary positions need pairs");
        }
        for (name, value) in
            [("rms_norm_eps", self.rms_norm_eps), ("initializer_range", self.initializer_range)]
        {
            if !(0. ..1.).contains(&value) {
                refuse!("config.json: {name} {value} is not in 0 to 1");
            }
        }
        Ok(())
    }
}
