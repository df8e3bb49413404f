//! T5 (Raffel et al., 2020), texts to texts: the first T5, version 1.1, Flan-T5 (Chung et al., 2022) and the translator
//! MADLAD-400 (Kudugunta et al., 2023), one net by configuration.
//!
//! Keys and mathematics are those of Hugging Face's `T5ForConditionalGeneration`. The net is ours and not
//! candle-transformers', which has it twice, plain and quantised, joins keys anew at each step, keeps its cache inside,
//! and has neither a mask for padding nor gradients.
//!
//! - `distance`: scores by the distance of positions, of which there are no other signs
//! - `feed_forward`: with and without a gate
//! - `gguf`: files of llama.cpp and of candle

mod config;
mod distance;
mod feed_forward;
pub mod gguf;
mod stack;

pub use crate::layers::transformer::{Cache, Source};
pub use config::Config;

use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::init;
use crate::layers::linear::Linear;
use crate::layers::transformer::hidden;
use crate::vars::VarBuilder;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarMap;
use stack::Stack;

/// The encoder alone: texts to states, as transformers' `T5EncoderModel`, which nets of other kinds are told by.
pub struct Encoder {
    tokens: Embedding,
    stack: Stack,
}

/// The whole net.
pub struct T5 {
    encoder: Encoder,
    decoder: Stack,
    output: Linear,
    /// What states are multiplied with before the output layer.
    scale: Option<f64>,
}

/// Names of the table, which some checkpoints have twice.
const TABLES: [&str; 3] = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"];

impl Encoder {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first, whatever it says of a decoder.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let mut alone = cfg.clone();
        alone.other.remove("is_encoder_decoder");
        alone.validate()?;
        Self::read(cfg, vb)
    }

    fn read(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let there = TABLES.iter().find(|name| vb.contains_tensor(&format!("{name}.weight")));
        let table = there.unwrap_or(&TABLES[0]);
        let tokens = Embedding::new(cfg.vocab_size, cfg.d_model, cfg.initializer_factor, vb.pp(table))?;
        Ok(Self { tokens, stack: Stack::new(cfg, false, vb.pp("encoder"))? })
    }

    /// As [`T5::encode`].
    ///
    /// # Errors
    /// As there.
    pub fn encode(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Source> {
        self.encode_train(ids, mask, &Dropout::NONE)
    }

    fn encode_train(&self, ids: &Tensor, mask: Option<&Tensor>, dropout: &Dropout) -> Result<Source> {
        let mask = mask.map(|mask| hidden(ids, mask)).transpose()?.flatten();
        let states = self.stack.encode(&self.embed(ids)?, mask.as_ref(), dropout)?;
        Ok(Source { states, mask })
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        if ids.elem_count() == 0 {
            refuse!("the net was given no ids: {:?}", ids.dims());
        }
        self.tokens.forward(ids)
    }
}

impl T5 {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first. A shared table is read under the
    /// first of its names that is there.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let encoder = Encoder::read(cfg, vb.clone())?;
        let scaled = cfg.scale_decoder_outputs.unwrap_or(cfg.tie_word_embeddings);
        let own = !scaled && vb.contains_tensor("lm_head.weight");
        let output = match own {
            true => {
                Linear::new(cfg.d_model, cfg.vocab_size, false, cfg.initializer_factor, vb.pp("lm_head"))?
            }
            false => Linear::tied(&encoder.tokens, vb.format())?,
        };
        Ok(Self {
            encoder,
            decoder: Stack::new(cfg, true, vb.pp("decoder"))?,
            output,
            scale: scaled.then(|| (cfg.d_model as f64).powf(-0.5)),
        })
    }

    /// A net with fresh weights and the variables that hold them: normal with the deviations that T5 has for each, norms
    /// one.
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
    /// For no ids, foreign ids, and a mask of another shape.
    pub fn encode(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Source> {
        self.encode_train(ids, mask, &Dropout::NONE)
    }

    /// As `encode`, with gradients and dropout.
    ///
    /// # Errors
    /// As there.
    pub fn encode_train(&self, ids: &Tensor, mask: Option<&Tensor>, dropout: &Dropout) -> Result<Source> {
        self.encoder.encode_train(ids, mask, dropout)
    }

    /// An empty cache for answers to a source, whose keys and values are computed here, once.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn start(&self, source: &Source) -> Result<Cache> {
        self.decoder.start(source)
    }

    /// Target ids (batch, time), which follow those in the cache, to logits (batch, time, vocab) in f32. The batch may be
    /// a multiple of the source's: runs of rows then look at the same one.
    ///
    /// # Errors
    /// For no ids, foreign ids, and another batch than the cache's.
    pub fn forward(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.logits(&self.decoder.decode(&self.embed(ids)?, cache)?)
    }

    /// As `forward`, but the last position's logits alone: (batch, vocab).
    ///
    /// # Errors
    /// As there.
    pub fn forward_last(&self, ids: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let xs = self.decoder.decode(&self.embed(ids)?, cache)?;
        let time = xs.dim(1)?;
        self.logits(&xs.narrow(1, time - 1, 1)?.squeeze(1)?)
    }

    /// Source ids (batch, time) with their mask (see [`T5::encode`]) and the target ids that the decoder is given (batch,
    /// target time) to logits (batch, target time, vocab) in f32, by operators with gradients.
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
        let source = self.encode_train(ids, mask, dropout)?;
        self.logits(&self.decoder.decode_train(&self.embed(target)?, &source, dropout)?)
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.encoder.embed(ids)
    }

    fn logits(&self, xs: &Tensor) -> Result<Tensor> {
        let xs = match self.scale {
            Some(scale) => (xs * scale)?,
            None => xs.clone(),
        };
        self.output.forward(&xs)?.to_dtype(DType::F32)
    }
}
