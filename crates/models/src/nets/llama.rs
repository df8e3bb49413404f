//! The decoder-only transformer: Llama, Mistral, Qwen 2 and 3, Gemma 2 and 3, Phi-3, one net by configuration.
//!
//! Keys and mathematics are those of Hugging Face's `LlamaForCausalLM` (Touvron et al., 2023) and its like: pre-norm
//! blocks with RMS norm, rotary positions, grouped-query attention and a gated feed-forward part. The net is ours and
//! not candle-transformers', since those have no gradients, are one file each, and copy their cache at each step.
//!
//! - `config`: `config.json`
//! - `family`: what tells the members apart
//! - `gguf`: the same from the metadata and names of llama.cpp

mod config;
mod family;
pub mod gguf;

pub use config::{Config, OneOrMany};

use crate::layers::attention::Attention;
use crate::layers::cache::LayerCache;
use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::init;
use crate::layers::linear::Linear;
use crate::layers::mlp::{self, Mlp};
use crate::layers::norm::RmsNorm;
use crate::layers::rope::{Angles, Rope};
use crate::layers::sum::sum;
use crate::vars::VarBuilder;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarMap;
use family::{Family, Layer};
use kernels::activations::tanh;

/// The whole net.
pub struct Llama {
    embed_tokens: Embedding,
    layers: Vec<Block>,
    norm: RmsNorm,
    lm_head: Linear,
    family: Family,
    positions: usize,
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

    /// Takes row `rows[i]` of the batch as its row `i`: for beam search, or to give one prompt several continuations.
    ///
    /// # Errors
    /// A row that is not there.
    pub fn select(&mut self, rows: &[usize]) -> Result<()> {
        let len = self.len;
        self.layers.iter_mut().try_for_each(|layer| layer.select(rows, len))
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
        let family = Family::new(cfg)?;
        let (stdev, model) = (cfg.initializer_range, vb.pp("model"));
        let embed_tokens = Embedding::new(cfg.vocab_size, cfg.hidden_size, stdev, model.pp("embed_tokens"))?;
        let lm_head = match cfg.tie_word_embeddings {
            true => Linear::tied(&embed_tokens, vb.format())?,
            false => Linear::new(cfg.hidden_size, cfg.vocab_size, false, stdev, vb.pp("lm_head"))?,
        };
        Ok(Self {
            embed_tokens,
            layers: (0..cfg.num_hidden_layers)
                .map(|i| Block::new(cfg, &family, model.pp("layers").pp(i)))
                .collect::<Result<_>>()?,
            norm: norm(cfg, &family, model.pp("norm"))?,
            lm_head,
            family,
            positions: cfg.max_position_embeddings,
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
        let xs = self.embed_tokens.forward(ids)?;
        match self.family.embedding_scale {
            // in the precision of the weights, as the reference has it
            Some(scale) => xs.broadcast_mul(&Tensor::new(scale as f32, xs.device())?.to_dtype(xs.dtype())?),
            None => Ok(xs),
        }
    }

    /// The length beyond which positions are told otherwise than up to it (Phi-3's longer variants): what a cache holds
    /// then is of the other kind, so transformers reads the whole text again at that place, and so must a generation.
    pub fn turns_after(&self) -> Option<usize> {
        self.family.ropes.iter().find_map(Rope::turns_after)
    }

    /// Whether a text must be read in one go, since its positions depend on its length.
    pub fn reads_at_once(&self) -> bool {
        self.family.ropes.iter().any(Rope::depends_on_length)
    }

    /// The most tokens that it is made for.
    pub fn context(&self) -> usize {
        self.family.ropes[0].longest(self.positions)
    }

    /// Embeddings (batch, time, size), which follow what the cache has seen, to the states before the output
    /// layer, of the same shape.
    pub fn states(&self, xs: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let angles = self.angles(xs, cache.len)?;
        let mut xs = xs.clone();
        let layers = self.layers.iter().zip(&self.family.layers);
        for ((block, layer), layer_cache) in layers.zip(&mut cache.layers) {
            xs = block.forward(&xs, &angles[layer.rope], layer, layer_cache, cache.len)?;
        }
        cache.len += xs.dim(1)?;
        self.norm.forward(&xs)
    }

    /// As `states` for whole sequences from position 0, by operators with gradients.
    pub fn states_train(&self, xs: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let angles = self.angles(xs, 0)?;
        let mut xs = dropout.apply(xs, 0)?;
        let layers = self.layers.iter().zip(&self.family.layers);
        for ((block, layer), site) in layers.zip((1..).step_by(2)) {
            xs = block.forward_train(&xs, &angles[layer.rope], layer, dropout, site)?;
        }
        self.norm.forward(&xs)
    }

    /// States (..., size) to logits (..., vocab) in f32.
    pub fn logits(&self, xs: &Tensor) -> Result<Tensor> {
        let logits = self.lm_head.forward(xs)?.to_dtype(DType::F32)?;
        match self.family.cap {
            Some(cap) => tanh(&(logits / cap)?)? * cap,
            None => Ok(logits),
        }
    }

    /// For layers that see everything, and for those with a window.
    fn angles(&self, xs: &Tensor, start: usize) -> Result<[Angles; 2]> {
        let (_, time, _) = xs.dims3()?;
        let [all, near] = &self.family.ropes;
        let angles = |rope: &Rope| rope.angles(start, time, self.dtype, xs.device());
        let first = angles(all)?;
        let second = if all == near { first.clone() } else { angles(near)? };
        Ok([first, second])
    }
}

fn norm(cfg: &Config, family: &Family, vb: VarBuilder) -> Result<RmsNorm> {
    match family.shifted_norms {
        true => RmsNorm::shifted(cfg.hidden_size, cfg.rms_norm_eps, vb),
        false => RmsNorm::new(cfg.hidden_size, cfg.rms_norm_eps, vb),
    }
}

struct Block {
    before_attention: RmsNorm,
    self_attn: Attention,
    before_mlp: RmsNorm,
    mlp: Mlp,
    /// Of what the two parts add, in Gemma.
    after: Option<[RmsNorm; 2]>,
}

impl Block {
    fn new(cfg: &Config, family: &Family, vb: VarBuilder) -> Result<Self> {
        let stdev = cfg.initializer_range;
        let stdevs = (stdev, stdev / (2. * cfg.num_hidden_layers as f64).sqrt());
        let norm = |name: &str| norm(cfg, family, vb.pp(name));
        let mlp = mlp::Shape {
            size: cfg.hidden_size,
            inner: cfg.intermediate_size,
            bias: cfg.mlp_bias && cfg.model_type == "llama",
            fused: family.fused,
            activation: family.activation,
        };
        let (before_mlp, after) = match family.norms_after {
            false => ("post_attention_layernorm", None),
            true => (
                "pre_feedforward_layernorm",
                Some([norm("post_attention_layernorm")?, norm("post_feedforward_layernorm")?]),
            ),
        };
        Ok(Self {
            before_attention: norm("input_layernorm")?,
            self_attn: Attention::new(family.attention, stdevs, vb.pp("self_attn"))?,
            before_mlp: norm(before_mlp)?,
            mlp: Mlp::new(mlp, stdevs, vb.pp("mlp"))?,
            after,
        })
    }

    fn forward(
        &self,
        xs: &Tensor,
        angles: &Angles,
        layer: &Layer,
        cache: &mut LayerCache,
        start: usize,
    ) -> Result<Tensor> {
        let seen = self.before_attention.forward(xs)?;
        let ys = self.after(0, self.self_attn.forward(&seen, angles, layer.window, cache, start)?)?;
        let (xs, seen) = self.before_mlp.forward_sum(&ys, xs)?;
        sum(&xs, &self.after(1, self.mlp.forward(&seen)?)?)
    }

    fn forward_train(
        &self,
        xs: &Tensor,
        angles: &Angles,
        layer: &Layer,
        dropout: &Dropout,
        site: u64,
    ) -> Result<Tensor> {
        let seen = self.before_attention.forward(xs)?;
        let ys = self.after(0, self.self_attn.forward_train(&seen, angles, layer.window)?)?;
        let xs = dropout.apply_sum(&ys, xs, site)?;
        let ys = self.after(1, self.mlp.forward(&self.before_mlp.forward(&xs)?)?)?;
        dropout.apply_sum(&ys, &xs, site + 1)
    }

    fn after(&self, part: usize, ys: Tensor) -> Result<Tensor> {
        match &self.after {
            Some(norms) => norms[part].forward(&ys),
            None => Ok(ys),
        }
    }
}
