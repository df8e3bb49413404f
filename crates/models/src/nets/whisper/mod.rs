//! Whisper (Radford et al., 2022): log-mel frames to text, as in Hugging Face's `WhisperForConditionalGeneration`: tiny
//! to large-v3, turbo and the distilled ones, by configuration.
//!
//! Two convolutions halve the frames, an encoder looks at all of them, and a decoder at its text and at them. The net
//! is ours and not candle-transformers', which computes keys of all frames in a cache of its own, has no gradients,
//! and does not tell where its heads look.

mod config;

pub use crate::layers::transformer::{Cache, Source};
pub use config::Config;

use crate::layers::conv::{Conv1d, Options};
use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::init;
use crate::layers::linear::Linear;
use crate::layers::transformer::{Activation, Decoder, Embed, Positions, Sinusoids, Stack};
use crate::vars::VarBuilder;
use candle_core::{Device, Result, Tensor};
use candle_nn::Init;
use candle_nn::VarMap;
use kernels::reorder::{swap, swap_add};
use kernels::sum::sum;

/// The whole net.
pub struct Whisper {
    convolutions: [Conv1d; 2],
    positions: Positions,
    encoder: Stack,
    decoder: Decoder,
    activation: Activation,
}

const CONVOLUTIONS: [&str; 2] = ["model.encoder.conv1.weight", "model.encoder.conv2.weight"];
const POSITIONS: &str = "model.encoder.embed_positions.weight";

impl Whisper {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let ([encoder, decoder], model) = (cfg.shapes()?, vb.pp("model"));
        let (size, stdev, ears, mouth) =
            (cfg.d_model, cfg.init_std, model.pp("encoder"), model.pp("decoder"));
        let conv = |inputs, stride, name: &str| {
            Conv1d::new(inputs, size, [3], Options::new(stride, 1), true, ears.pp(name))
        };
        let table = |rows: usize, vb: &VarBuilder| {
            let init = Init::Randn { mean: 0., stdev };
            Positions::new(vb.get_with_hints((rows, size), "embed_positions.weight", init)?)
        };
        let tokens = Embedding::new(cfg.vocab_size, size, stdev, mouth.pp("embed_tokens"))?;
        let output = match cfg.tie_word_embeddings {
            true => Linear::tied(&tokens, vb.format())?,
            false => Linear::new(size, cfg.vocab_size, false, stdev, vb.pp("proj_out"))?,
        };
        Ok(Self {
            convolutions: [conv(cfg.num_mel_bins, 1, "conv1")?, conv(size, 2, "conv2")?],
            positions: table(cfg.max_source_positions, &ears)?,
            encoder: Stack::new(&encoder, cfg.encoder_layers, ears.clone())?,
            decoder: Decoder {
                embed: Embed {
                    tokens,
                    scale: None,
                    positions: table(cfg.max_target_positions, &mouth)?,
                    norm: None,
                },
                stack: Stack::new(&decoder, cfg.decoder_layers, mouth)?,
                output,
            },
            activation: encoder.activation,
        })
    }

    /// A net with fresh weights and the variables that hold them: normal with the configured standard deviation, norms
    /// one, biases zero, and sines and cosines for the encoder's positions, which then are learned. So that the net hears
    /// something beside them from the beginning on, the convolutions keep the power of what they are given (He et al.,
    /// 2015), and the waves are half as high as in a trained net.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn init(cfg: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(cfg, init::seeded(&vars, seed, device))?;
        if let Some((_, table)) = init::sorted(&vars).into_iter().find(|(name, _)| name == POSITIONS) {
            let waves = Sinusoids::Whole.table(cfg.max_source_positions, cfg.d_model, device)?;
            table.set(&(waves * 0.5)?)?;
        }
        for (_, weight) in
            init::sorted(&vars).into_iter().filter(|(name, _)| CONVOLUTIONS.contains(&name.as_str()))
        {
            // from a variance of 1 / (3 inputs) to one of 2 / inputs
            weight.set(&(weight.as_tensor().detach() * 6f64.sqrt())?)?;
        }
        Ok((net, vars))
    }

    /// Log-mel frames (batch, bands, frames) to what the decoder looks at, half as many states. Public checkpoints were
    /// trained on 3000 frames of 10 ms, padded with silence; fewer are possible.
    ///
    /// # Errors
    /// On other bands, and more frames than twice `max_source_positions`.
    pub fn encode(&self, mel: &Tensor) -> Result<Source> {
        self.encode_train(mel, &Dropout::NONE)
    }

    /// As `encode`, with gradients and dropout.
    ///
    /// # Errors
    /// As there.
    pub fn encode_train(&self, mel: &Tensor, dropout: &Dropout) -> Result<Source> {
        let mut xs = mel.clone();
        for convolution in &self.convolutions {
            xs = self.activation.apply(&convolution.forward(&xs)?)?;
        }
        let (batch, _, time) = xs.dims3()?;
        let places = self.positions.first(batch, time)?;
        let xs = if xs.track_op() { sum(&swap(&xs)?, &places)? } else { swap_add(&xs, &places)? };
        Ok(Source { states: self.encoder.encode(&xs, None, dropout)?, mask: None })
    }

    /// An empty cache for texts of a source, whose keys and values are computed here, once.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn start(&self, source: &Source) -> Result<Cache> {
        self.decoder.start(source)
    }

    /// Ids (batch, time), which follow those in the cache, to logits (batch, time, vocab) in f32. The batch may be a
    /// multiple of the source's: runs of rows then listen to the same sound.
    ///
    /// # Errors
    /// For foreign ids, more than `max_target_positions` of them, and another batch than the cache's.
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

    /// Frames (batch, bands, frames) and the ids that the decoder is given (batch, time) to logits (batch, time, vocab) in
    /// f32, by operators with gradients.
    ///
    /// # Errors
    /// As `encode` and `forward`.
    pub fn forward_train(&self, mel: &Tensor, ids: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        self.decode_train(ids, &self.encode_train(mel, dropout)?, dropout)
    }

    /// The second half of `forward_train`: what `encode_train` gave, and ids, to logits.
    ///
    /// # Errors
    /// As `forward`.
    pub fn decode_train(&self, ids: &Tensor, source: &Source, dropout: &Dropout) -> Result<Tensor> {
        self.decoder.forward_train(ids, source, dropout)
    }

    /// Whole texts (batch, time) to logits (batch, time, vocab), and the weights that heads of the decoder, given as
    /// (layer, head), have on the source: (batch, heads, time, positions), from which words get their times.
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
}
