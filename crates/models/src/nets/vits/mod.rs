//! VITS (Kim, Kong and Son, 2021), text to speech in one net, as in transformers' `VitsModel`: MMS-TTS (Pratap et al.,
//! 2023) in its thousand languages and VITS of one or many speakers.
//!
//! A text encoder gives each id a mean and a spread; a predictor says for how many frames each is spoken; a flow makes of
//! noise around the means what the decoder, HiFi-GAN, hears. Speech only: what a training needs besides (the encoder of
//! spectrograms, the flow forwards) is not read. Time is the last dimension, and the batch is one: padding would change
//! what is drawn.
//!
//! - `encoder`, `attention`: ids -> states, means and spreads
//! - `duration`, `separable`, `spline`: states -> frames of each id
//! - `flow`: latents -> latents

mod attention;
mod config;
mod duration;
mod encoder;
mod flow;
mod separable;
mod spline;

pub use config::Config;
pub use encoder::Encoded;

use crate::layers::embedding::Embedding;
use crate::nets::hifi_gan::{HifiGan, Kind};
use crate::random::Generator;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use duration::DurationPredictor;
use encoder::TextEncoder;
use flow::Flow;

/// The whole net.
pub struct Vits {
    encoder: TextEncoder,
    durations: DurationPredictor,
    flow: Flow,
    decoder: HifiGan,
    speakers: Option<Embedding>,
    count: usize,
    channels: usize,
}

/// How a text is spoken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Which of several speakers; without one the net speaks as if it had none.
    pub speaker: Option<u32>,
    /// Speech this much faster; 1 is what the durations say.
    pub rate: f64,
    /// What the latents' noise is multiplied with.
    pub noise: f64,
    /// What the durations' noise is multiplied with.
    pub noise_duration: f64,
}

impl Options {
    /// What a model asks for, with its first speaker.
    pub fn of(cfg: &Config) -> Self {
        Self {
            speaker: (cfg.num_speakers > 1).then_some(0),
            rate: cfg.speaking_rate,
            noise: cfg.noise_scale,
            noise_duration: cfg.noise_scale_duration,
        }
    }
}

/// A text that was spoken.
pub struct Speech {
    /// Samples between -1 and 1, (1, time).
    pub samples: Tensor,
    /// Frames of each id; a frame is [`Config::hop`] samples.
    pub frames: Vec<u32>,
}

/// Frames of a text at most: a quarter of an hour at 16 kHz.
const MOST_FRAMES: u32 = 1 << 16;

impl Vits {
    /// Reads the weights under the keys of the checkpoint; `cfg` is validated first.
    ///
    /// # Errors
    /// A configuration that is refused, tensors that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let (count, size) = (cfg.num_speakers, cfg.speaker_embedding_size);
        let speakers = || Embedding::new(count, size, 1., vb.pp("embed_speaker"));
        Ok(Self {
            encoder: TextEncoder::new(cfg, vb.pp("text_encoder"))?,
            durations: DurationPredictor::new(cfg, vb.pp("duration_predictor"))?,
            flow: Flow::new(cfg, vb.pp("flow"))?,
            decoder: HifiGan::new(&cfg.decoder(), Kind::Vits, vb.pp("decoder"))?,
            speakers: (count > 1).then(speakers).transpose()?,
            count,
            channels: cfg.flow_size,
        })
    }

    /// Speaks ids (1, time): all stages one after the other. Numbers are drawn as transformers draws them, those of the
    /// durations first, then those of the latents, both even where a noise is 0.
    ///
    /// # Errors
    /// For no ids, foreign ids, a speaker that there is not, and durations without measure.
    pub fn forward(&self, ids: &Tensor, options: &Options, random: &mut Generator) -> Result<Speech> {
        let speaker = self.speaker(options.speaker)?;
        let encoded = self.encode(ids)?;
        let logarithms = self.log_durations(&encoded, speaker.as_ref(), options, random)?;
        let frames = frames(&logarithms, options.rate)?;
        let latents = self.latents(&encoded, &frames, speaker.as_ref(), options, random)?;
        Ok(Speech { samples: self.decode(&latents, speaker.as_ref())?, frames })
    }

    /// A speaker's vector, (1, size, 1).
    ///
    /// # Errors
    /// For a speaker that there is not.
    pub fn speaker(&self, number: Option<u32>) -> Result<Option<Tensor>> {
        match (&self.speakers, number) {
            (_, None) => Ok(None),
            (Some(table), Some(number)) if (number as usize) < self.count => {
                let id = Tensor::new(&[[number]], table.weight()?.device())?;
                Ok(Some(table.forward(&id)?.transpose(1, 2)?.contiguous()?))
            }
            (Some(_), Some(number)) => refuse!("no speaker {number}: there are 0 to {}", self.count - 1),
            (None, Some(number)) => refuse!("no speaker {number}: the model has one voice"),
        }
    }

    /// Ids (1, time) to what the other stages need of a text.
    ///
    /// # Errors
    /// For no ids, several texts, and foreign ids.
    pub fn encode(&self, ids: &Tensor) -> Result<Encoded> {
        if ids.dims2()?.0 != 1 || ids.elem_count() == 0 {
            refuse!("the net speaks one text of at least one id, and was given ids {:?}", ids.dims());
        }
        self.encoder.forward(ids)
    }

    /// Logarithms of the frames of each id before the rate is applied, (1, 1, ids).
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn log_durations(
        &self,
        encoded: &Encoded,
        speaker: Option<&Tensor>,
        options: &Options,
        random: &mut Generator,
    ) -> Result<Tensor> {
        self.durations.forward(&encoded.states, speaker, options.noise_duration, random)
    }

    /// The latents that the decoder hears, (1, channels, frames), of a text whose ids last so many frames each.
    ///
    /// # Errors
    /// Where there is not one number an id.
    pub fn latents(
        &self,
        encoded: &Encoded,
        frames: &[u32],
        speaker: Option<&Tensor>,
        options: &Options,
        random: &mut Generator,
    ) -> Result<Tensor> {
        let ids = encoded.states.dim(2)?;
        if frames.len() != ids {
            refuse!("{} durations for {ids} ids", frames.len());
        }
        let spoken: Vec<u32> =
            (0u32..).zip(frames).flat_map(|(id, count)| std::iter::repeat_n(id, *count as usize)).collect();
        let count = spoken.len();
        if count == 0 {
            refuse!("a text of no frames: every duration is 0");
        }
        let at = Tensor::from_vec(spoken, count, encoded.means.device())?;
        let [means, spreads] =
            [&encoded.means, &encoded.log_spreads].map(|of| of.contiguous()?.index_select(&at, 2));
        // transformers draws on a view of (frames, channels), which PyTorch fills number by number unless it is a row
        let values = count * self.channels;
        let drawn = match count == 1 || self.channels == 1 {
            true => random.randn(values),
            false => random.randn_serial(values),
        };
        let drawn =
            Tensor::from_vec(drawn, (1, count, self.channels), encoded.means.device())?.transpose(1, 2)?;
        let latents = (means? + ((drawn * spreads?.exp()?)? * options.noise)?)?;
        self.flow.forward(&latents, speaker)
    }

    /// Latents (1, channels, frames) to samples (1, time).
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn decode(&self, latents: &Tensor, speaker: Option<&Tensor>) -> Result<Tensor> {
        self.decoder.forward(latents, speaker)
    }
}

/// Whole frames of each id from their logarithms, at a rate; at least one, unless its logarithm is beyond all numbers.
///
/// # Errors
/// Where they are no numbers, or so many that no text has them.
pub fn frames(logarithms: &Tensor, rate: f64) -> Result<Vec<u32>> {
    let scale = (1. / rate) as f32;
    let logarithms = logarithms.flatten_all()?.to_vec1::<f32>()?;
    let counts: Vec<f32> = logarithms.iter().map(|logarithm| (logarithm.exp() * scale).ceil()).collect();
    let sum: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if sum.is_nan() || sum > f64::from(MOST_FRAMES) {
        refuse!(
            "the model gives this text {sum} frames, more than {MOST_FRAMES}: speak it in parts, or the weights are damaged"
        );
    }
    Ok(counts.into_iter().map(|count| count as u32).collect())
}
