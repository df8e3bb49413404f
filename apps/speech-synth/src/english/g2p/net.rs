//! Letters to phones: an encoder that looks at a whole word and says two symbols a letter, phones or blanks, whose
//! neighbours are merged as connectionist temporal classification has it.
//!
//! Most of what it knows lies in its table: each letter is told with the runs of letters that it stands in, which costs a
//! few additions, so that a single layer of attention is enough. No decoder runs phone by phone, so a word costs one pass and many words of one length cost one product.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarMap;
use models::layers::dropout::Dropout;
use models::layers::embedding::Embedding;
use models::layers::init;
use models::layers::linear::Linear;
use models::layers::transformer::{Activation, Shape, Stack};
use models::vars::VarBuilder;
use serde::{Deserialize, Serialize};

use super::letters::{FACTS, FACTS_OF_A_LETTER, facts};
use crate::english::phones::COUNT;

/// The symbol that is no phone.
pub const BLANK: u32 = COUNT as u32;
/// Symbols that the net says for each letter.
pub const FRAMES: usize = 2;

const MODEL_TYPE: &str = "letters_to_phones";

/// The fields of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// `letters_to_phones`.
    pub model_type: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Heads of each block's attention.
    pub num_attention_heads: usize,
    /// Inner width of the feed-forward parts.
    pub intermediate_size: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_type: MODEL_TYPE.into(),
            hidden_size: 64,
            num_hidden_layers: 1,
            num_attention_heads: 4,
            intermediate_size: 256,
        }
    }
}

impl Config {
    fn check(&self) -> Result<()> {
        let refuse = |words: String| Err(candle_core::Error::Msg(format!("config.json: {words}")));
        if self.model_type != MODEL_TYPE {
            return refuse(format!(
                "model_type `{}` is not supported, only {MODEL_TYPE} is",
                self.model_type
            ));
        }
        let sizes = [
            ("hidden_size", self.hidden_size, 1 << 12),
            ("num_hidden_layers", self.num_hidden_layers, 64),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("intermediate_size", self.intermediate_size, 1 << 14),
        ];
        for (name, size, most) in sizes {
            if !(1..=most).contains(&size) {
                return refuse(format!("{name} {size} is not in 1 to {most}"));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (size, heads) = (self.hidden_size, self.num_attention_heads);
            return refuse(format!("num_attention_heads {heads} does not divide hidden_size {size}"));
        }
        Ok(())
    }
}

/// The net; immutable.
pub struct Net {
    facts: Embedding,
    encoder: Stack,
    output: Linear,
    device: Device,
}

impl Net {
    /// Reads `facts`, `encoder` and `output`.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.check()?;
        let size = cfg.hidden_size;
        let shape = Shape {
            size,
            heads: cfg.num_attention_heads,
            inner: cfg.intermediate_size,
            cross: false,
            norm_first: true,
            bias: true,
            key_bias: true,
            activation: Activation::Gelu,
            stdev: 1. / (size as f64).sqrt(),
        };
        // so many facts are added that each is drawn small
        let stdev = 1. / (FACTS_OF_A_LETTER as f64).sqrt();
        Ok(Self {
            facts: Embedding::new(FACTS, size, stdev, vb.pp("facts"))?,
            encoder: Stack::new(&shape, cfg.num_hidden_layers, vb.pp("encoder"))?,
            output: Linear::new(size, FRAMES * (COUNT + 1), true, shape.stdev, vb.pp("output"))?,
            device: vb.device().clone(),
        })
    }

    /// A net with fresh weights, and the variables that hold them.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn init(cfg: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(cfg, init::seeded(&vars, seed, device))?;
        Ok((net, vars))
    }

    /// Words of one length, as letters, to logits (batch, [`FRAMES`] * letters, [`BLANK`] + 1).
    ///
    /// # Errors
    /// For no words, words without letters, and words of several lengths.
    pub fn forward(&self, words: &[&[u8]], dropout: &Dropout) -> Result<Tensor> {
        let time = words.first().map_or(0, |word| word.len());
        if time == 0 || words.iter().any(|word| word.len() != time) {
            return Err(candle_core::Error::Msg("the net takes words of one length, above zero".into()));
        }
        let told: Vec<u32> = words.iter().flat_map(|word| facts(word)).collect();
        let told = Tensor::from_vec(told, (words.len(), time, FACTS_OF_A_LETTER), &self.device)?;
        let states = self.encoder.encode(&self.facts.forward_sum(&told)?, None, dropout)?;
        let logits = self.output.forward(&states)?;
        kernels::gradients::reshape(&logits, (words.len(), FRAMES * time, COUNT + 1))
    }
}
