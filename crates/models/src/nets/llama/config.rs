//! `config.json` of the decoder-only family, in the spellings of transformers 4 and 5.

use super::family::Family;
use crate::nets::checks;
use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of `config.json` that shape the net, under their names there.
///
/// `Config { vocab_size, ..Config::default() }` describes a small net to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `["LlamaForCausalLM"]` and the like.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// `llama`, `mistral`, `qwen2`, `qwen3`, `gemma2`, `gemma3_text` or `phi3`.
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
    /// Both, in transformers 5's place; in Gemma 3 one such map for each kind of layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_parameters: Option<Map<String, Value>>,
    /// Base of the rotary rates of layers with a window, in Gemma 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rope_local_base_freq: Option<f64>,
    /// Share of a head's dimensions that are rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_rotary_factor: Option<f64>,
    /// Positions of the training before the rates were stretched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_max_position_embeddings: Option<usize>,
    /// Positions that a token sees back, itself included, in layers with a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<usize>,
    /// Qwen: whether there are such layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_sliding_window: Option<bool>,
    /// Qwen: the layers from this one on are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_window_layers: Option<usize>,
    /// Gemma 3: every so many layers one is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_window_pattern: Option<usize>,
    /// Which layers are, said outright: `sliding_attention` or `full_attention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_types: Option<Vec<String>>,
    /// Gemma: scores are divided by the root of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_pre_attn_scalar: Option<f64>,
    /// Gemma 2: scores are bent to stay below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attn_logit_softcapping: Option<f64>,
    /// Gemma 2: logits are bent to stay below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_logit_softcapping: Option<f64>,
    /// Whether tokens see what follows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_bidirectional_attention: Option<bool>,
    /// Activation of the feed-forward part.
    #[serde(default = "default_act")]
    pub hidden_act: String,
    /// The same, as Gemma calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_activation: Option<String>,
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

pub(super) const DEFAULT_THETA: f64 = 10_000.;

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
            rope_local_base_freq: None,
            partial_rotary_factor: None,
            original_max_position_embeddings: None,
            sliding_window: None,
            use_sliding_window: None,
            max_window_layers: None,
            sliding_window_pattern: None,
            layer_types: None,
            query_pre_attn_scalar: None,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            use_bidirectional_attention: None,
            hidden_act: default_act(),
            hidden_activation: None,
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

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    pub fn validate(&self) -> Result<()> {
        self.check_sizes()?;
        self.check_options()
    }

    fn check_options(&self) -> Result<()> {
        if self.quantization_config.is_some() {
            return checks::packed();
        }
        if self.use_bidirectional_attention == Some(true) {
            refuse!("config.json: use_bidirectional_attention is not supported");
        }
        Family::new(self).map(drop)
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
        checks::sizes(&sizes)?;
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
