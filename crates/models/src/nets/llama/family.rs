//! What tells the members of the family apart: which norms there are and where, which layers see how far, and how
//! positions are told.

use super::config::{Config, DEFAULT_THETA};
use crate::layers::attention;
use crate::layers::mlp::Activation;
use crate::layers::rope::{Rope, Stretch};
use candle_core::Result;
use serde_json::{Map, Value};

/// A net of the family, with everything decided.
#[derive(Debug, Clone)]
pub struct Family {
    /// The attention of every layer.
    pub attention: attention::Shape,
    /// The layers in order.
    pub layers: Vec<Layer>,
    /// Rates of the layers that see everything, and of those with a window.
    pub ropes: [Rope; 2],
    /// Activation of the feed-forward part.
    pub activation: Activation,
    /// Whether `gate_proj` and `up_proj` are one map.
    pub fused: bool,
    /// Whether norms scale by one more than their weight.
    pub shifted_norms: bool,
    /// Whether what a part adds is normalised too.
    pub norms_after: bool,
    /// What embeddings are multiplied with.
    pub embedding_scale: Option<f64>,
    /// What logits are bent to stay below.
    pub cap: Option<f64>,
}

/// A layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Positions that a token sees back.
    pub window: Option<usize>,
    /// Which of the rates it has.
    pub rope: usize,
}

impl Family {
    /// Decides by `model_type`.
    ///
    /// # Errors
    /// One line that names what is not supported.
    pub fn new(cfg: &Config) -> Result<Self> {
        let kind = cfg.model_type.as_str();
        if !matches!(kind, "llama" | "mistral" | "qwen2" | "qwen3" | "gemma2" | "gemma3_text" | "phi3") {
            refuse!(
                "config.json: model_type `{kind}` is not supported, only llama, mistral, qwen2, qwen3, gemma2, \
                 gemma3_text and phi3 are"
            );
        }
        let gemma = kind.starts_with("gemma");
        let query = cfg.query_pre_attn_scalar.unwrap_or(256.);
        if gemma && !(query > 0. && query < 1e6) {
            refuse!("config.json: query_pre_attn_scalar {query} is not in 0 to 1e6");
        }
        for (name, cap) in [
            ("attn_logit_softcapping", cfg.attn_logit_softcapping),
            ("final_logit_softcapping", cfg.final_logit_softcapping),
        ] {
            if cap.is_some_and(|cap| !(cap > 0. && cap < 1e6)) {
                refuse!("config.json: {name} {} is not in 0 to 1e6", cap.unwrap_or(0.));
            }
        }
        let bias = cfg.attention_bias && kind != "mistral" && kind != "phi3";
        Ok(Self {
            attention: attention::Shape {
                size: cfg.hidden_size,
                heads: cfg.num_attention_heads,
                kv_heads: cfg.kv_heads(),
                head_dim: cfg.head_dim(),
                bias: bias || kind == "qwen2",
                out_bias: bias,
                fused: kind == "phi3",
                norm: matches!(kind, "qwen3" | "gemma3_text").then_some(cfg.rms_norm_eps),
                shifted_norm: gemma,
                scale: gemma.then(|| query.sqrt().recip()),
                cap: cfg.attn_logit_softcapping.filter(|_| gemma),
            },
            layers: layers(cfg)?,
            ropes: [rope(cfg, false)?, rope(cfg, true)?],
            activation: activation(cfg)?,
            fused: kind == "phi3",
            shifted_norms: gemma,
            norms_after: gemma,
            embedding_scale: gemma.then(|| (cfg.hidden_size as f64).sqrt()),
            cap: cfg.final_logit_softcapping.filter(|_| gemma),
        })
    }
}

fn activation(cfg: &Config) -> Result<Activation> {
    let (name, word) = match &cfg.hidden_activation {
        Some(word) if cfg.model_type.starts_with("gemma") => ("hidden_activation", word.as_str()),
        None if cfg.model_type.starts_with("gemma") => ("hidden_activation", "gelu_pytorch_tanh"),
        _ => ("hidden_act", cfg.hidden_act.as_str()),
    };
    match word {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" => Ok(Activation::GeluTanh),
        _ => refuse!(
            "config.json: {name} `{word}` is not supported, only silu, gelu and gelu_pytorch_tanh are"
        ),
    }
}

const WINDOW: &str = "sliding_attention";
const FULL: &str = "full_attention";

fn layers(cfg: &Config) -> Result<Vec<Layer>> {
    let kind = cfg.model_type.as_str();
    if cfg.sliding_window == Some(0) {
        refuse!("config.json: sliding_window is 0");
    }
    if let Some(types) = &cfg.layer_types {
        if types.len() != cfg.num_hidden_layers {
            refuse!("config.json: {} layer_types for {} layers", types.len(), cfg.num_hidden_layers);
        }
        if let Some(word) = types.iter().find(|word| ![WINDOW, FULL].contains(&word.as_str())) {
            refuse!("config.json: layer_types `{word}` is not supported");
        }
    }
    let pattern = cfg.sliding_window_pattern.unwrap_or(6).max(1);
    let sees_less = |i: usize| match (&cfg.layer_types, kind) {
        (_, "mistral" | "phi3") => true,
        (_, "llama") => false,
        (_, "qwen2" | "qwen3") if cfg.use_sliding_window != Some(true) => false,
        (Some(types), _) => types[i] == WINDOW,
        (None, "qwen2" | "qwen3") => i >= cfg.max_window_layers.unwrap_or(28),
        (None, "gemma2") => i.is_multiple_of(2),
        (None, _) => !(i + 1).is_multiple_of(pattern),
    };
    let default = if kind.starts_with("gemma") { Some(4096) } else { None };
    let layer = |i: usize| {
        let less = sees_less(i);
        let window = cfg.sliding_window.or(default).filter(|_| less);
        Layer { window, rope: (less && kind == "gemma3_text") as usize }
    };
    Ok((0..cfg.num_hidden_layers).map(layer).collect())
}

/// The rates of layers with a window, or of the others; they differ in Gemma 3 alone.
fn rope(cfg: &Config, window: bool) -> Result<Rope> {
    let nested = |map: &Map<String, Value>| {
        map.get(if window { WINDOW } else { FULL }).and_then(Value::as_object).cloned()
    };
    let parameters = cfg.rope_parameters.as_ref().map(|map| nested(map).unwrap_or_else(|| map.clone()));
    let local = window && cfg.model_type == "gemma3_text";
    let scaling = cfg.rope_scaling.clone().filter(|_| !local);
    let name = if parameters.is_some() { "rope_parameters" } else { "rope_scaling" };
    let map = parameters.or(scaling).unwrap_or_default();
    let fields = Fields { name, map: &map };

    let default = match (cfg.model_type.as_str(), local) {
        ("gemma3_text", true) => cfg.rope_local_base_freq.unwrap_or(DEFAULT_THETA),
        ("gemma3_text", false) => cfg.rope_theta.unwrap_or(1e6),
        _ => cfg.rope_theta.unwrap_or(DEFAULT_THETA),
    };
    let theta = fields.number("rope_theta")?.unwrap_or(default);
    if !(theta > 1. && theta < 1e12) {
        refuse!("config.json: rope_theta {theta} is not in 1 to 1e12");
    }
    let share = fields.number("partial_rotary_factor")?.or(cfg.partial_rotary_factor).unwrap_or(1.);
    let size = (cfg.head_dim() as f64 * share) as usize;
    if !(share > 0. && share <= 1.) || size == 0 || !size.is_multiple_of(2) {
        refuse!("config.json: partial_rotary_factor {share} of head_dim {}", cfg.head_dim());
    }
    Ok(Rope::stretched(size, theta, fields.stretch(cfg, size)?))
}

/// A map with a description of how rates are stretched.
struct Fields<'a> {
    name: &'static str,
    map: &'a Map<String, Value>,
}

impl Fields<'_> {
    fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => refuse!("config.json: {key} in {} is not a number", self.name),
            },
        }
    }

    fn above_zero(&self, key: &str, default: Option<f64>) -> Result<f64> {
        match self.number(key)?.or(default) {
            Some(number) if number > 0. && number < 1e9 => Ok(number),
            Some(number) => refuse!("config.json: {key} {number} in {} is not in 0 to 1e9", self.name),
            None => refuse!("config.json: {} lacks {key}", self.name),
        }
    }

    fn numbers(&self, key: &str, count: usize) -> Result<Vec<f32>> {
        let list = self.map.get(key).and_then(Value::as_array);
        let numbers: Option<Vec<f32>> =
            list.and_then(|list| list.iter().map(|x| x.as_f64().map(|x| x as f32)).collect());
        match numbers {
            Some(numbers) if numbers.len() == count && numbers.iter().all(|x| *x > 0.) => Ok(numbers),
            _ => refuse!("config.json: {key} in {} is not a list of {count} numbers above 0", self.name),
        }
    }

    fn stretch(&self, cfg: &Config, size: usize) -> Result<Stretch> {
        let kind = self.map.get("rope_type").or(self.map.get("type")).and_then(Value::as_str);
        let most = cfg.max_position_embeddings;
        let original = self.number("original_max_position_embeddings")?.map(|number| number as usize);
        let original = original.or(cfg.original_max_position_embeddings);
        let positions = original.unwrap_or(most).max(1);
        let grown = most as f64 / positions as f64;
        Ok(match kind {
            None if self.map.contains_key("factor") => {
                refuse!("config.json: {} has a factor but no rope_type", self.name)
            }
            None | Some("default") => Stretch::None,
            Some("linear") => Stretch::Linear { factor: self.above_zero("factor", None)? },
            // the positions that count are those of the config, as transformers has it
            Some("dynamic") if size > 2 => {
                Stretch::Dynamic { factor: self.above_zero("factor", None)?, positions: most }
            }
            Some("llama3") => {
                let (low, high) =
                    (self.above_zero("low_freq_factor", None)?, self.above_zero("high_freq_factor", None)?);
                if low >= high {
                    refuse!("config.json: low_freq_factor {low} is not below high_freq_factor {high}");
                }
                Stretch::Llama3 { factor: self.above_zero("factor", None)?, low, high, positions }
            }
            Some("yarn") if cfg.model_type != "phi3" => self.yarn(positions, grown)?,
            Some("longrope" | "su" | "yarn") => {
                let factor = self.above_zero("factor", Some(grown))?;
                let spread = (1. + factor.ln() / (positions as f64).ln()).sqrt();
                let natural = if factor <= 1. { 1. } else { spread };
                Stretch::Long {
                    short: self.numbers("short_factor", size / 2)?,
                    long: self.numbers("long_factor", size / 2)?,
                    positions,
                    scale: self.above_zero("attention_factor", Some(natural))?,
                }
            }
            Some(kind) => refuse!("config.json: {} of kind `{kind}` is not supported", self.name),
        })
    }

    fn yarn(&self, positions: usize, grown: f64) -> Result<Stretch> {
        let factor = self.above_zero("factor", Some(grown))?;
        let larger = |weight: f64| if factor <= 1. { 1. } else { 0.1 * weight * factor.ln() + 1. };
        let natural = match (self.number("mscale")?, self.number("mscale_all_dim")?) {
            (Some(own), Some(all)) if own != 0. && all != 0. => larger(own) / larger(all),
            _ => larger(1.),
        };
        Ok(Stretch::Yarn {
            factor,
            fast: self.above_zero("beta_fast", Some(32.))?,
            slow: self.above_zero("beta_slow", Some(1.))?,
            positions,
            truncate: self.map.get("truncate").and_then(Value::as_bool).unwrap_or(true),
            scale: self.above_zero("attention_factor", Some(natural))?,
        })
    }
}
