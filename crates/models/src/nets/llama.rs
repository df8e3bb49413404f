//! The decoder-only transformer of the Llama family.
//!
//! Keys and mathematics are those of Hugging Face's `LlamaForCausalLM` (Touvron et al., 2023): pre-norm blocks with
//! RMS norm, rotary positions, grouped-query attention and a SwiGLU feed-forward part. The net is ours and not
//! candle-transformers', since that one has no gradients and its cache copies itself at each step.

mod config;

pub use config::{Config, OneOrMany};

use crate::layers::attention::Attention;
use crate::layers::cache::LayerCache;
use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::init;
use crate::layers::linear::Linear;
use crate::layers::mlp::Mlp;
use crate::layers::norm::RmsNorm;
use crate::layers::rope::{Angles, Rope};
use crate::layers::sum::sum;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{VarBuilder, VarMap};

/// The whole net.
pub struct Llama {
    embed_tokens: Embedding,
    layers: Vec<Block>,
    norm: RmsNorm,
    lm_head: Linear,
    rope: Rope,
    dtype: DType,
}

/// Keys and values of the positions seen so far, of every layer. A clone is cheap, and the two go on apart.
#[derive(Clone)]
pub struct Cache {
    layers: Vec<LayerCache>,
    len: usize,
}

impl Cache {
    /// An empty cache; it takes the batch size of the first ids that it sees.
    pub fn new(cfg: &Config) -> Self {
        Self { layers: vec![LayerCache::default(); cfg.num_hidden_layers], len: 0 }
    }

    /// How many positions it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        if self.len == 0 {
            self.layers.fill(LayerCache::default());
        }
    }
}

impl Llama {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let (stdev, model) = (cfg.initializer_range, vb.pp("model"));
        let embed_tokens = Embedding::new(cfg.vocab_size, cfg.hidden_size, stdev, model.pp("embed_tokens"))?;
        let lm_head = match cfg.tie_word_embeddings {
            true => Linear::tied(embed_tokens.weight().clone()),
            false => Linear::new(cfg.hidden_size, cfg.vocab_size, false, stdev, vb.pp("lm_head"))?,
        };
        Ok(Self {
            embed_tokens,
            layers: (0..cfg.num_hidden_layers)
                .map(|i| Block::new(cfg, model.pp("layers").pp(i)))
                .collect::<Result<_>>()?,
            norm: RmsNorm::new(cfg.hidden_size, cfg.rms_norm_eps, model.pp("norm"))?,
            lm_head,
            rope: Rope::new(cfg.head_dim(), cfg.rope_theta()),
            dtype: vb.dtype(),
        })
    }

    /// A net with fresh weights and the variables that hold them: normal with the configured standard deviation,
    /// projections into the residual stream smaller by `sqrt(2 * layers)`, norms one, biases zero.
    pub fn init(cfg: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(cfg, init::seeded(&vars, seed, device))?;
        Ok((net, vars))
    }

    /// Ids (batch, time), which follow those in the cache, to logits (batch, time, vocab) in f32.
    pub fn forward(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.logits(&self.states(&self.embed(ids)?, cache)?)
    }

    /// As `forward`, but the last position's logits alone: (batch, vocab).
    pub fn forward_last(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let xs = self.states(&self.embed(ids)?, cache)?;
        let time = xs.dim(1)?;
        self.logits(&xs.narrow(1, time - 1, 1)?.squeeze(1)?)
    }

    /// Whole sequences (batch, time) from position 0 to logits (batch, time, vocab) in f32, by operators with
    /// gradients.
    pub fn forward_train(&self, ids: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        self.logits(&self.states_train(&self.embed(ids)?, dropout)?)
    }

    /// Ids (batch, time) to their embeddings (batch, time, size), the input of `states`.
    pub fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        if ids.elem_count() == 0 {
            refuse!("the net was given no ids: {:?}", ids.dims());
        }
        self.embed_tokens.forward(ids)
    }

    /// Embeddings (batch, time, size), which follow what the cache has seen, to the states before the output
    /// layer, of the same shape.
    pub fn states(&self, xs: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let angles = self.angles(xs, cache.len)?;
        let mut xs = xs.clone();
        for (layer, layer_cache) in self.layers.iter().zip(&mut cache.layers) {
            xs = layer.forward(&xs, &angles, layer_cache, cache.len)?;
        }
        cache.len += xs.dim(1)?;
        self.norm.forward(&xs)
    }

    /// As `states` for whole sequences from position 0, by operators with gradients.
    pub fn states_train(&self, xs: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let angles = self.angles(xs, 0)?;
        let mut xs = dropout.apply(xs, 0)?;
        for (layer, site) in self.layers.iter().zip((1..).step_by(2)) {
            xs = layer.forward_train(&xs, &angles, dropout, site)?;
        }
        self.norm.forward(&xs)
    }

    /// States (..., size) to logits (..., vocab) in f32.
    pub fn logits(&self, xs: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(xs)?.to_dtype(DType::F32)
    }

    fn angles(&self, xs: &Tensor, start: usize) -> Result<Angles> {
        let (_, time, _) = xs.dims3()?;
        self.rope.angles(start, time, self.dtype, xs.device())
    }
}

struct Block {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl Block {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, eps, stdev) = (cfg.hidden_size, cfg.rms_norm_eps, cfg.initializer_range);
        let stdevs = (stdev, stdev / (2. * cfg.num_hidden_layers as f64).sqrt());
        Ok(Self {
            input_layernorm: RmsNorm::new(size, eps, vb.pp("input_layernorm"))?,
            self_attn: Attention::new(cfg.attention_shape(), stdevs, vb.pp("self_attn"))?,
            post_attention_layernorm: RmsNorm::new(size, eps, vb.pp("post_attention_layernorm"))?,
            mlp: Mlp::new(size, cfg.intermediate_size, cfg.mlp_bias, stdevs, vb.pp("mlp"))?,
        })
    }

    fn forward(&self, xs: &Tensor, angles: &Angles, cache: &mut LayerCache, start: usize) -> Result<Tensor> {
        let ys = self.self_attn.forward(&self.input_layernorm.forward(xs)?, angles, cache, start)?;
        let (xs, normed) = self.post_attention_layernorm.forward_sum(&ys, xs)?;
        sum(&xs, &self.mlp.forward(&normed)?)
    }

    fn forward_train(&self, xs: &Tensor, angles: &Angles, dropout: &Dropout, site: u64) -> Result<Tensor> {
        let ys = self.self_attn.forward_train(&self.input_layernorm.forward(xs)?, angles)?;
        let xs = dropout.apply_sum(&ys, xs, site)?;
        let ys = self.mlp.forward(&self.post_attention_layernorm.forward(&xs)?)?;
        dropout.apply_sum(&ys, &xs, site + 1)
    }
}
