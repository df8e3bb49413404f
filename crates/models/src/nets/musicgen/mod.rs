//! MusicGen (Copet et al., 2023): a prompt, a melody and a beginning to the codes of a codec, as in Hugging Face's
//! `MusicgenForConditionalGeneration` and `MusicgenMelodyForConditionalGeneration`: small to large, stereo and melody, by
//! configuration.
//!
//! T5 reads the prompt; a decoder looks at its states, or has them and the melody before its codes, and makes a frame of
//! codes a step, a row for each codebook, each row later by a step than the one before (`delay`); EnCodec makes them
//! heard. candle-transformers has the decoder, but nothing that makes music with it.
//!
//! - `codec`: sound of one or two channels to rows of codes and back
//! - `delay`: which step makes which code
//! - `generate`: codes out of logits

mod codec;
mod config;
mod delay;
mod generate;

pub use crate::layers::transformer::Cache;
pub use codec::Codec;
pub use config::{Config, DecoderConfig};
pub use delay::Delay;
pub use generate::Generation;

use crate::layers::linear::Linear;
use crate::layers::transformer::{Sinusoids, Source, Stack};
use crate::nets::t5;
use crate::vars::{Format, VarBuilder};
use candle_core::{DType, Device, Result, Tensor};
use kernels::embedding::embedding_sum;
use std::ops::Range;

/// What reads a prompt, and what makes codes.
pub struct MusicGen {
    cfg: Config,
    text: t5::Encoder,
    /// From the width of the text's states to the decoder's.
    text_map: Option<Linear>,
    melody_map: Option<Linear>,
    /// Of all rows, (rows * (codes + 1), size).
    table: Tensor,
    stack: Stack,
    heads: Vec<Linear>,
}

impl MusicGen {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first. Those of its [`Codec`] stand below
    /// `audio_encoder`.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let (sizes, model) = (&cfg.decoder, vb.pp("decoder.model.decoder"));
        let (size, stdev) = (sizes.hidden_size, sizes.initializer_factor);
        let text_map = (cfg.text_encoder.d_model != size)
            .then(|| Linear::new(cfg.text_encoder.d_model, size, true, stdev, vb.pp("enc_to_dec_proj")));
        let melody_map = (cfg.has_melody() && cfg.num_chroma != size).then(|| {
            Linear::new(
                cfg.num_chroma,
                size,
                true,
                stdev,
                vb.pp("audio_enc_to_dec_proj").with_format(Format::Plain),
            )
        });
        let table = |row: usize| model.pp("embed_tokens").pp(row).get((sizes.vocab_size + 1, size), "weight");
        let head =
            |row: usize| Linear::new(size, sizes.vocab_size, false, stdev, vb.pp("decoder.lm_heads").pp(row));
        let rows = 0..sizes.num_codebooks;
        Ok(Self {
            text: t5::Encoder::new(&cfg.text_encoder, vb.pp("text_encoder"))?,
            text_map: text_map.transpose()?,
            melody_map: melody_map.transpose()?,
            table: Tensor::cat(&rows.clone().map(table).collect::<Result<Vec<_>>>()?, 0)?,
            stack: Stack::new(&cfg.shape()?, sizes.num_hidden_layers, model)?,
            heads: rows.map(head).collect::<Result<_>>()?,
            cfg: cfg.clone(),
        })
    }

    /// What it was made by.
    pub fn config(&self) -> &Config {
        &self.cfg
    }

    /// Which step makes which code.
    pub fn delay(&self) -> Delay {
        let cfg = &self.cfg.decoder;
        Delay::new(cfg.num_codebooks, cfg.audio_channels, cfg.pad_token_id)
    }

    /// Ids (1, time) of a prompt to T5's states (1, time, width).
    ///
    /// # Errors
    /// For no ids, and foreign ones.
    pub fn read(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(self.text.encode(ids, None)?.states)
    }

    /// What the decoder goes on from: an empty cache for a prompt's ids, where there are any, and a melody's pitch classes,
    /// one a frame. Where `guided`, a second sequence stands beside it that is told neither.
    ///
    /// # Errors
    /// For foreign ids, and a melody for a net that takes none.
    pub fn start(&self, ids: &[u32], melody: Option<&[u32]>, guided: bool) -> Result<Cache> {
        let (device, size) = (self.table.device(), self.cfg.decoder.hidden_size);
        let nothing = |time: usize| Tensor::zeros((1, time, size), self.table.dtype(), device);
        let states = match ids {
            [] => nothing(1)?,
            ids => {
                let states = self.read(&Tensor::from_slice(ids, (1, ids.len()), device)?)?;
                self.text_map.as_ref().map_or(Ok(states.clone()), |map| map.forward(&states))?
            }
        };
        let mut rows = vec![states];
        if guided {
            rows.push(nothing(rows[0].dim(1)?)?);
        }
        if !self.cfg.has_melody() {
            if melody.is_some() {
                refuse!("this model takes no melody: facebook/musicgen-melody is one that does");
            }
            return self.stack.start(&Source { states: Tensor::cat(&rows, 0)?, mask: None });
        }
        let melodies = [melody, None];
        let sung = rows.iter().zip(melodies).map(|(row, melody)| Tensor::cat(&[&self.sing(melody)?, row], 1));
        let before = Tensor::cat(&sung.collect::<Result<Vec<_>>>()?, 0)?;
        let mut cache = self.stack.start_alone(before.dim(0)?)?;
        self.decode(&before, &mut cache)?;
        Ok(cache)
    }

    /// Codes (batch, rows, time), which follow those in the cache, to the last position's logits (batch, rows, codes) in
    /// f32.
    ///
    /// # Errors
    /// For foreign codes, another number of rows, and another batch than the cache's.
    pub fn forward_last(&self, codes: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let xs = self.decode(&self.embed(codes)?, cache)?;
        let last = xs.dim(1)? - 1;
        self.logits(&xs.narrow(1, last, 1)?)?.squeeze(2)
    }

    /// As `forward_last`, of all positions: (batch, rows, time, codes).
    ///
    /// # Errors
    /// As there.
    pub fn forward(&self, codes: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        self.logits(&self.decode(&self.embed(codes)?, cache)?)
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        self.table.device()
    }

    /// A melody's pitch classes, again and again until there are enough of them: (1, chroma_length, size). No melody is
    /// the first pitch class throughout.
    fn sing(&self, melody: Option<&[u32]>) -> Result<Tensor> {
        let (classes, length) = (self.cfg.num_chroma, self.cfg.chroma_length);
        let melody = melody.filter(|melody| !melody.is_empty()).unwrap_or(&[0]);
        let mut frames = vec![0f32; length * classes];
        for (frame, class) in frames.chunks_exact_mut(classes).zip(melody.iter().cycle()) {
            match frame.get_mut(*class as usize) {
                Some(value) => *value = 1.,
                None => refuse!("pitch class {class}, where there are {classes}"),
            }
        }
        let frames =
            Tensor::from_vec(frames, (1, length, classes), self.device())?.to_dtype(self.table.dtype())?;
        self.melody_map.as_ref().map_or(Ok(frames.clone()), |map| map.forward(&frames))
    }

    fn embed(&self, codes: &Tensor) -> Result<Tensor> {
        let (_, rows, time) = codes.dims3()?;
        let (expected, count) = (self.heads.len(), self.cfg.decoder.vocab_size + 1);
        if rows != expected || time == 0 {
            refuse!("{rows} rows of {time} codes, where the model has {expected} rows");
        }
        let codes = codes.to_dtype(DType::U32)?;
        let largest = codes.flatten_all()?.max(0)?.to_scalar::<u32>()?;
        if largest as usize >= count {
            refuse!("code {largest} is none of {count}");
        }
        let first = (0..rows).map(|row| (row * count) as u32).collect::<Vec<_>>();
        let places = codes.broadcast_add(&Tensor::from_vec(first, (1, rows, 1), codes.device())?)?;
        embedding_sum(&places.transpose(1, 2)?.contiguous()?, &self.table)
    }

    /// Embeddings (batch, time, size) at the positions after those in the cache to states of the same shape.
    fn decode(&self, xs: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        let (_, time, size) = xs.dims3()?;
        let places: Range<usize> = cache.len()..cache.len() + time;
        let positions = Sinusoids::CosinesFirst.rows(places, size, xs.device())?.to_dtype(xs.dtype())?;
        self.stack.decode(&xs.broadcast_add(&positions)?, cache)
    }

    /// States (batch, time, size) to logits (batch, rows, time, codes).
    fn logits(&self, xs: &Tensor) -> Result<Tensor> {
        let rows = self.heads.iter().map(|head| head.forward(xs)?.to_dtype(DType::F32));
        Tensor::stack(&rows.collect::<Result<Vec<_>>>()?, 1)
    }
}
