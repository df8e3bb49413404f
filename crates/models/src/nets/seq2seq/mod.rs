//! Translation by an encoder and a decoder: Marian (Junczys-Dowmunt et al., 2018; OPUS-MT), M2M100 (Fan et al., 2020;
//! NLLB-200) and mBART (Liu et al., 2020; mBART-50), one net by configuration.
//!
//! Keys and mathematics are those of Hugging Face's `MarianMTModel`, `M2M100ForConditionalGeneration` and
//! `MBartForConditionalGeneration`. The net is ours and not candle-transformers', whose Marian keeps its cache inside, has no mask for padding and no gradients.

mod config;

pub use crate::layers::transformer::{Cache, Source};
pub use config::Config;

use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::init;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::transformer::{Decoder, Embed, Positions, Sinusoids, Stack, hidden};
use crate::vars::VarBuilder;
use candle_core::{Device, Result, Tensor};
use candle_nn::Init;
use candle_nn::VarMap;
use config::Kind;
use kernels::gradients::reshape;

/// The whole net.
pub struct Seq2Seq {
    embed: Embed,
    encoder: Stack,
    decoder: Decoder,
    /// The decoder's last layer but one, and its heads.
    aligning: (usize, usize),
}

impl Seq2Seq {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first. A shared table is read under the
    /// first of its names that is there.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let (kind, [encoder, decoder], model) = (cfg.kind()?, cfg.shapes()?, vb.pp("model"));
        let (shared, source) = ("model.shared", "model.encoder.embed_tokens");
        let target = "model.decoder.embed_tokens";
        let table = |names: &[&str], count: usize| {
            let there = names.iter().find(|name| vb.contains_tensor(&format!("{name}.weight")));
            let name = there.or(names.first()).copied().unwrap_or_default();
            Embedding::new(count, cfg.d_model, cfg.init_std, vb.pp(name))
        };
        let [of_source, of_target] = match cfg.share_encoder_decoder_embeddings {
            true => {
                let names = [shared, source, target, "lm_head"];
                let names = if cfg.tie_word_embeddings { &names[..] } else { &names[..3] };
                let one = table(names, cfg.vocab_size)?;
                [one.clone(), one]
            }
            false => [table(&[source], cfg.vocab_size)?, table(&[target, "lm_head"], cfg.target_vocab())?],
        };
        let output = output(cfg, kind, &of_target, &vb)?;
        let embed = |tokens, vb: VarBuilder| {
            let norm = || LayerNorm::new(cfg.d_model, 1e-5, vb.pp("layernorm_embedding"));
            Ok::<_, candle_core::Error>(Embed {
                tokens,
                scale: cfg.scale()?,
                positions: positions(cfg, kind, &vb)?,
                norm: (kind == Kind::Mbart).then(norm).transpose()?,
            })
        };
        Ok(Self {
            embed: embed(of_source, model.pp("encoder"))?,
            encoder: Stack::new(&encoder, cfg.encoder_layers, model.pp("encoder"))?,
            decoder: Decoder {
                embed: embed(of_target, model.pp("decoder"))?,
                stack: Stack::new(&decoder, cfg.decoder_layers, model.pp("decoder"))?,
                output,
            },
            aligning: (cfg.decoder_layers.saturating_sub(2), cfg.decoder_attention_heads),
        })
    }

    /// A net with fresh weights and the variables that hold them: normal with the configured standard deviation,
    /// norms one, biases zero.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn init(cfg: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(cfg, init::seeded(&vars, seed, device))?;
        Ok((net, vars))
    }

    /// Source ids (batch, time) to what the decoder looks at. `mask`, of the same shape, is 1 where there is a token and
    /// 0 where there is padding; `None` where all are tokens.
    ///
    /// # Errors
    /// For foreign ids, more than `max_position_embeddings` of them, and a mask of another shape.
    pub fn encode(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Source> {
        self.encode_train(ids, mask, &Dropout::NONE)
    }

    /// As `encode`, with gradients and dropout.
    ///
    /// # Errors
    /// As there.
    pub fn encode_train(&self, ids: &Tensor, mask: Option<&Tensor>, dropout: &Dropout) -> Result<Source> {
        let mask = mask.map(|mask| hidden(ids, mask)).transpose()?.flatten();
        let states = self.encoder.encode(&self.embed.forward(ids, 0)?, mask.as_ref(), dropout)?;
        Ok(Source { states, mask })
    }

    /// An empty cache for translations of a source, whose keys and values are computed here, once.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn start(&self, source: &Source) -> Result<Cache> {
        self.decoder.start(source)
    }

    /// Target ids (batch, time), which follow those in the cache, to logits (batch, time, vocab) in f32. The batch may be
    /// a multiple of the source's: runs of rows then look at the same sentence.
    ///
    /// # Errors
    /// For foreign ids, more than `max_position_embeddings` of them, and another batch than the cache's.
    pub fn forward(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.decoder.forward(ids, cache)
    }

    /// As `forward`, but the last position's logits alone: (batch, vocab).
    ///
    /// # Errors
    /// As there.
    pub fn forward_last(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.decoder.forward_last(ids, cache)
    }

    /// Source ids (batch, time) with their mask (see [`Seq2Seq::encode`]) and the target ids that the decoder is given
    /// (batch, target time) to logits (batch, target time, vocab) in f32, by operators with gradients.
    ///
    /// # Errors
    /// As `encode` and `forward`.
    pub fn forward_train(
        &self,
        ids: &Tensor,
        mask: Option<&Tensor>,
        target: &Tensor,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        self.decoder.forward_train(target, &self.encode_train(ids, mask, dropout)?, dropout)
    }

    /// Target ids (batch, time) to logits (batch, time, vocab), and the weights that heads of the decoder, given as
    /// (layer, head), have on the source: (batch, heads, time, positions).
    ///
    /// # Errors
    /// As `forward`, for no heads, and for a layer or head that is not there.
    pub fn forward_watched(
        &self,
        ids: &Tensor,
        source: &Source,
        heads: &[(usize, usize)],
    ) -> Result<(Tensor, Tensor)> {
        self.decoder.forward_watched(ids, source, heads)
    }

    /// The heads, as (layer, head), whose looks tell best which words stand for which: the last layer's but one, all of
    /// them (Garg et al., 2019).
    pub fn aligning_heads(&self) -> Vec<(usize, usize)> {
        let (layer, heads) = self.aligning;
        (0..heads).map(|head| (layer, head)).collect()
    }
}

/// Rows of mBART's tables of positions before the first.
const UNUSED_POSITIONS: usize = 2;

fn output(cfg: &Config, kind: Kind, tokens: &Embedding, vb: &VarBuilder) -> Result<Linear> {
    let vocab = cfg.target_vocab();
    let map = match cfg.tie_word_embeddings {
        true => Linear::tied(tokens, vb.format())?,
        false => Linear::new(cfg.d_model, vocab, false, cfg.init_std, vb.pp("lm_head"))?,
    };
    if kind == Kind::M2m100 || !vb.contains_tensor("final_logits_bias") {
        return Ok(map);
    }
    let bias = vb.get_with_hints((1, vocab), "final_logits_bias", Init::Const(0.))?;
    Ok(map.with_bias(reshape(&bias, vocab)?))
}

fn positions(cfg: &Config, kind: Kind, vb: &VarBuilder) -> Result<Positions> {
    let (limit, size) = (cfg.max_position_embeddings, cfg.d_model);
    match kind {
        Kind::Marian => Positions::new(Sinusoids::Paper.table(limit, size, vb.device())?),
        Kind::M2m100 => Positions::counted(limit, size, cfg.pad_token_id, vb.device()),
        Kind::Mbart => {
            let init = Init::Randn { mean: 0., stdev: cfg.init_std };
            let rows = limit + UNUSED_POSITIONS;
            let table = vb.get_with_hints((rows, size), "embed_positions.weight", init)?;
            Positions::after(table, UNUSED_POSITIONS)
        }
    }
}
