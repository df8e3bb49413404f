//! The text encoder: ids to states, and to the mean and the spread of what is heard while each is spoken.

use super::Config;
use super::attention::RelativeAttention;
use crate::layers::conv::{Conv1d, Options};
use crate::layers::embedding::Embedding;
use crate::layers::norm::LayerNorm;
use crate::layers::transformer::Activation;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::reorder::swap;

/// Blocks of attention and convolutions over an embedding.
pub struct TextEncoder {
    tokens: Embedding,
    layers: Vec<Layer>,
    project: Conv1d,
    scale: f64,
    flow_size: usize,
}

/// What a text is to the rest of the net.
pub struct Encoded {
    /// (1, size, ids)
    pub states: Tensor,
    /// Means of the latents, (1, channels, ids).
    pub means: Tensor,
    /// Logarithms of their spreads, (1, channels, ids).
    pub log_spreads: Tensor,
}

struct Layer {
    attention: RelativeAttention,
    attention_norm: LayerNorm,
    feed_forward: FeedForward,
    norm: LayerNorm,
}

struct FeedForward {
    up: Conv1d,
    down: Conv1d,
    activation: Activation,
}

impl TextEncoder {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let size = cfg.hidden_size;
        let layer = |i: usize| {
            let vb = vb.pp("encoder.layers").pp(i);
            Ok(Layer {
                attention: RelativeAttention::new(cfg, vb.pp("attention"))?,
                attention_norm: LayerNorm::new(size, cfg.layer_norm_eps, vb.pp("layer_norm"))?,
                feed_forward: FeedForward::new(cfg, vb.pp("feed_forward"))?,
                norm: LayerNorm::new(size, cfg.layer_norm_eps, vb.pp("final_layer_norm"))?,
            })
        };
        let outputs = 2 * cfg.flow_size;
        Ok(Self {
            tokens: Embedding::new(cfg.vocab_size, size, (size as f64).powf(-0.5), vb.pp("embed_tokens"))?,
            layers: (0..cfg.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            project: Conv1d::new(size, outputs, [1], Options::default(), true, vb.pp("project"))?,
            scale: (size as f64).sqrt(),
            flow_size: cfg.flow_size,
        })
    }

    /// (1, ids)
    pub fn forward(&self, ids: &Tensor) -> Result<Encoded> {
        let mut xs = (self.tokens.forward(ids)? * self.scale)?;
        for layer in &self.layers {
            let ys = layer.attention.forward(&xs)?;
            let (_, normed) = layer.attention_norm.forward_sum(&ys, &xs)?;
            let ys = layer.feed_forward.forward(&normed)?;
            (_, xs) = layer.norm.forward_sum(&ys, &normed)?;
        }
        let states = swap(&xs)?;
        let both = self.project.forward(&states)?;
        let half = |i: usize| both.narrow(1, i * self.flow_size, self.flow_size);
        Ok(Encoded { means: half(0)?, log_spreads: half(1)?, states })
    }
}

impl FeedForward {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let kernel = cfg.ffn_kernel_size;
        // an even kernel reaches further ahead than back
        let options = Options { padding: [((kernel - 1) / 2, kernel / 2)], ..Options::default() };
        let (size, inner) = (cfg.hidden_size, cfg.ffn_dim);
        Ok(Self {
            up: Conv1d::new(size, inner, [kernel], options, true, vb.pp("conv_1"))?,
            down: Conv1d::new(inner, size, [kernel], options, true, vb.pp("conv_2"))?,
            activation: Activation::named(&cfg.hidden_act)?,
        })
    }

    /// (1, ids, size) to the same shape.
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let inner = self.activation.apply(&self.up.forward(&swap(xs)?)?)?;
        swap(&self.down.forward(&inner)?)
    }
}
