//! CLIP's text encoder (Radford et al., 2021), as in transformers' `CLIPTextModel` and `CLIPTextModelWithProjection`:
//! a causal transformer with norms before its parts, in the sizes of OpenAI's and OpenCLIP's checkpoints.
//!
//! Diffusion models take the states before the last layer or after it, and the state at the end of the text.

use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::vars::VarBuilder;
use candle_core::{DType, Result, Tensor};
use candle_nn::Init;
use kernels::activations::{gelu, quick_gelu};
use kernels::attention::{Options, attention};
use kernels::gradients::reshape;
use kernels::sum::sum;
use serde::{Deserialize, Serialize};

/// The fields of `config.json` that shape the net, under their names there, with transformers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Which classes of transformers the checkpoint is of: whether it has a projection.
    pub architectures: Vec<String>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Width inside the feed-forward parts.
    pub intermediate_size: usize,
    /// Width of the projected state.
    pub projection_dim: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// The most tokens of a text.
    pub max_position_embeddings: usize,
    /// `quick_gelu` or `gelu`.
    pub hidden_act: String,
    /// Added under the roots of the norms.
    pub layer_norm_eps: f64,
    /// The token at which the text is looked at as a whole. 2 stands in old checkpoints, where it is the largest id.
    pub eos_token_id: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            architectures: Vec::new(),
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

const PLAIN: &str = "CLIPTextModel";
const PROJECTED: &str = "CLIPTextModelWithProjection";

impl Config {
    /// Whether the state at the end of the text is projected.
    pub fn projects(&self) -> bool {
        self.architectures.iter().any(|name| name == PROJECTED)
    }

    fn activation(&self) -> Result<fn(&Tensor) -> Result<Tensor>> {
        match self.hidden_act.as_str() {
            "quick_gelu" => Ok(quick_gelu),
            "gelu" => Ok(gelu),
            name => refuse!(
                "clip config.json: hidden_act `{name}` is not supported, only quick_gelu and gelu are"
            ),
        }
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if let Some(name) =
            self.architectures.iter().find(|name| ![PLAIN, PROJECTED].contains(&name.as_str()))
        {
            refuse!("clip config.json: architectures `{name}` is no text encoder: {PLAIN} or {PROJECTED}");
        }
        for (name, size, most) in [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("hidden_size", self.hidden_size, 1 << 14),
            ("intermediate_size", self.intermediate_size, 1 << 17),
            ("projection_dim", self.projection_dim, 1 << 14),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 8),
            ("num_attention_heads", self.num_attention_heads, 1 << 8),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 16),
        ] {
            if !(1..=most).contains(&size) {
                refuse!("clip config.json: {name} {size} is not in 1 to {most}");
            }
        }
        let (size, heads) = (self.hidden_size, self.num_attention_heads);
        if !size.is_multiple_of(heads) {
            refuse!("clip config.json: hidden_size {size} by num_attention_heads {heads}");
        }
        self.activation().map(drop)
    }
}

/// The text encoder.
pub struct ClipText {
    token_embedding: Embedding,
    position_embedding: Tensor,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<Linear>,
    config: Config,
}

/// What is known of texts.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The embeddings, then what each layer gives, none of them normalised: each (batch, time, size). The last but one
    /// is what Stable Diffusion XL takes.
    pub hidden_states: Vec<Tensor>,
    /// The last of these, normalised.
    pub last_hidden_state: Tensor,
    /// That at the end of each text: (batch, size).
    pub pooled: Tensor,
    /// That projected, where the checkpoint projects: (batch, projection_dim).
    pub text_embeds: Option<Tensor>,
}

impl ClipText {
    /// Reads the weights, whose names begin with `text_model.` or, as transformers 5 saves some, do not.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let size = cfg.hidden_size;
        let text = vb.pp("text_model");
        let is_bare =
            !text.contains_tensor("final_layer_norm.weight") && vb.contains_tensor("final_layer_norm.weight");
        let text = if is_bare { vb.clone() } else { text };
        let embeddings = text.pp("embeddings");
        let positions = (cfg.max_position_embeddings, size);
        let small = Init::Randn { mean: 0., stdev: 0.02 };
        let layer = |i: usize| Layer::new(cfg, text.pp("encoder.layers").pp(i));
        let project = || {
            let stdev = (size as f64).powf(-0.5);
            Linear::new(size, cfg.projection_dim, false, stdev, vb.pp("text_projection"))
        };
        Ok(Self {
            token_embedding: Embedding::new(cfg.vocab_size, size, 0.02, embeddings.pp("token_embedding"))?,
            position_embedding: embeddings.get_with_hints(positions, "position_embedding.weight", small)?,
            layers: (0..cfg.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            final_layer_norm: LayerNorm::new(size, cfg.layer_norm_eps, text.pp("final_layer_norm"))?,
            text_projection: cfg.projects().then(project).transpose()?,
            config: cfg.clone(),
        })
    }

    /// Encodes ids (batch, time), each text with whatever fills it up: all tokens before a token are seen.
    ///
    /// # Errors
    /// On no tokens or more than `max_position_embeddings`, and ids that are not in the vocabulary.
    pub fn forward(&self, ids: &Tensor) -> Result<Encoded> {
        let (_, time) = ids.dims2()?;
        let most = self.config.max_position_embeddings;
        if !(1..=most).contains(&time) {
            refuse!("a text of {time} tokens for an encoder of 1 to {most}");
        }
        let tokens = self.token_embedding.forward(ids)?;
        let mut xs = tokens.broadcast_add(&self.position_embedding.narrow(0, 0, time)?)?;
        let mut hidden_states = vec![xs.clone()];
        for layer in &self.layers {
            xs = layer.forward(&xs)?;
            hidden_states.push(xs.clone());
        }
        let last_hidden_state = self.normalise(&xs)?;
        let rows = last_hidden_state.flatten_to(1)?;
        let ends = Tensor::new(self.ends(ids)?, rows.device())?;
        let pooled = rows.index_select(&ends, 0)?;
        let text_embeds = self.text_projection.as_ref().map(|map| map.forward(&pooled)).transpose()?;
        Ok(Encoded { hidden_states, last_hidden_state, pooled, text_embeds })
    }

    /// The last norm, of hidden states (..., size): where the last layers are skipped, Stable Diffusion 1 takes those
    /// of an earlier layer so.
    ///
    /// # Errors
    /// On another size.
    pub fn normalise(&self, hidden_state: &Tensor) -> Result<Tensor> {
        self.final_layer_norm.forward(hidden_state)
    }

    /// Where each text ends, as a row of all texts' tokens: at the first end token, or at the first token where there is
    /// none.
    fn ends(&self, ids: &Tensor) -> Result<Vec<u32>> {
        let time = ids.dim(1)? as u32;
        let end = |ids: &Vec<u32>| {
            let token = match self.config.eos_token_id {
                2 => ids.iter().max().copied(),
                token => Some(token),
            };
            ids.iter().position(|id| Some(*id) == token).unwrap_or(0) as u32
        };
        let texts = ids.to_dtype(DType::U32)?.to_vec2()?;
        Ok((0..).zip(&texts).map(|(i, ids): (u32, _)| i * time + end(ids)).collect())
    }
}

struct Layer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
    layer_norm2: LayerNorm,
    fc1: Linear,
    activation: fn(&Tensor) -> Result<Tensor>,
    fc2: Linear,
}

impl Layer {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, inner) = (cfg.hidden_size, cfg.intermediate_size);
        let wide = (size as f64).powf(-0.5);
        let deep = wide * (2. * cfg.num_hidden_layers as f64).powf(-0.5);
        let norm = |name: &str| LayerNorm::new(size, cfg.layer_norm_eps, vb.pp(name));
        let map = |stdev: f64, name: &str| Linear::new(size, size, true, stdev, vb.pp("self_attn").pp(name));
        Ok(Self {
            layer_norm1: norm("layer_norm1")?,
            q_proj: map(deep, "q_proj")?,
            k_proj: map(deep, "k_proj")?,
            v_proj: map(deep, "v_proj")?,
            out_proj: map(wide, "out_proj")?,
            heads: cfg.num_attention_heads,
            layer_norm2: norm("layer_norm2")?,
            fc1: Linear::new(size, inner, true, wide / 2f64.sqrt(), vb.pp("mlp.fc1"))?,
            activation: cfg.activation()?,
            fc2: Linear::new(inner, size, true, deep, vb.pp("mlp.fc2"))?,
        })
    }

    /// (batch, time, size) to the same shape.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let seen = self.layer_norm1.forward(xs)?;
        let (batch, time, size) = seen.dims3()?;
        let heads =
            |map: &Linear| reshape(&map.forward(&seen)?, (batch, time, self.heads, size / self.heads));
        let (q, k, v) = (heads(&self.q_proj)?, heads(&self.k_proj)?, heads(&self.v_proj)?);
        let ys = reshape(&attention(&q, &k, &v, &Options::causal())?, (batch, time, size))?;
        let (xs, seen) = self.layer_norm2.forward_sum(&self.out_proj.forward(&ys)?, xs)?;
        let inner = (self.activation)(&self.fc1.forward(&seen)?)?;
        sum(&self.fc2.forward(&inner)?, &xs)
    }
}
