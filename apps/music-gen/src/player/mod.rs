//! Music as sound, by MusicGen: a prompt, a melody and a beginning -> codes -> samples.
//!
//! - `windows`: pieces longer than the model hears at once

mod windows;

use anyhow::{Context, Result, bail};
use candle_core::DType;
use hub::Location;
use models::checkpoint::{Checkpoint, Files};
use models::decoding::{Sampler, Sampling};
use models::features::chroma::Chroma;
use models::nets::encodec;
use models::nets::musicgen::{Codec, Config, Generation, MusicGen};
use models::tokens::Tokens;
use models::vars::formats;
use serde::Deserialize;
use serde_json::Value;

use crate::sound::Audio;
use crate::style;
pub use windows::Windows;

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const FEATURES: &str = "preprocessor_config.json";
/// Frames that are turned into sound at a time.
const PIECE: usize = 128;

/// What a model's folder makes music as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Notes, by a net of this app's own.
    Notes,
    /// Sound, by MusicGen.
    Sound,
    /// Nothing of its own: a codec between sound and codes.
    Codec,
}

/// What a folder says it is.
///
/// # Errors
/// A folder of another app's, or of none.
pub fn family(location: &Location) -> Result<Family> {
    let files = studio::model::files(location, CONFIG)?;
    if files.has(style::FILE) {
        return Ok(Family::Notes);
    }
    let config: Value = files.json(CONFIG)?;
    Ok(match config.get("model_type").and_then(Value::as_str) {
        Some("musicgen" | "musicgen_melody") => Family::Sound,
        Some("encodec") => Family::Codec,
        other => bail!(
            "{}: model_type {} is none of MusicGen and EnCodec, and there is no {} of a model of notes",
            files.describe(CONFIG),
            other.map_or("that is missing".into(), |name| format!("`{name}`")),
            style::FILE
        ),
    })
}

/// What a model asks for where nobody else does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// How closely the prompt is followed.
    pub guidance: f64,
    /// 0 where it takes the most likely.
    pub temperature: f64,
    /// Codes that are drawn from.
    pub top_k: usize,
    /// Their share of the probability.
    pub top_p: f64,
}

/// The fields of `generation_config.json` that matter.
#[derive(Default, Deserialize)]
struct Generating {
    guidance_scale: Option<f64>,
    do_sample: Option<bool>,
    temperature: Option<f64>,
    top_k: Option<usize>,
    top_p: Option<f64>,
}

impl From<Generating> for Defaults {
    fn from(said: Generating) -> Self {
        let temperature = said.temperature.unwrap_or(1.);
        Self {
            guidance: said.guidance_scale.unwrap_or(3.),
            temperature: if said.do_sample == Some(false) { 0. } else { temperature },
            top_k: said.top_k.unwrap_or(250),
            top_p: said.top_p.unwrap_or(1.),
        }
    }
}

/// What a piece is made of.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What to play, in words; empty for anything.
    pub prompt: String,
    /// Frames in all.
    pub frames: usize,
    /// How closely the prompt and the melody are followed; 1 is without guidance.
    pub guidance: f64,
    /// How codes are drawn.
    pub sampling: Sampling,
    /// A melody, samples at the model's rate.
    pub melody: Option<Vec<f32>>,
    /// Codes that it begins with; no rows for none.
    pub beginning: Vec<Vec<u32>>,
}

/// A piece before it is heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Rows of codes; in stereo those of the left and the right channel in turn.
    pub codes: Vec<Vec<u32>>,
    /// What the prompt became.
    pub prompt_ids: Vec<u32>,
}

/// A MusicGen, ready to play.
pub struct Player {
    net: MusicGen,
    tokens: Tokens,
    chroma: Chroma,
    /// Its codec.
    pub codec: Codec,
    /// What it asks for.
    pub defaults: Defaults,
    files: Files,
}

impl Player {
    /// Loads a model. `device` and `dtype` are the words after `--device` and `--dtype`.
    ///
    /// # Errors
    /// One line on files that are missing, cut or of another kind, and on a device that is not there.
    pub fn load(location: &Location, device: &str, dtype: &str) -> Result<Self> {
        let files = studio::model::files(location, "config.json and tokenizer.json")?;
        let config: Config = files.json(CONFIG)?;
        config.validate()?;
        let tokens = Tokens::open(&files)?;
        let generating = if files.has(GENERATION) { files.json(GENERATION)? } else { Generating::default() };
        let chroma = if config.has_melody() && files.has(FEATURES) {
            files.json(FEATURES)?
        } else {
            Chroma::default()
        };
        let device = models::device::open(device)?;
        let checkpoint = Checkpoint::open(files.clone())?;
        let (dtype, format) = formats(dtype, checkpoint.dtype(), &device);
        let vb = checkpoint.vb(dtype, &device).with_format(format);
        let codec = Codec::new(
            &config.audio_encoder,
            config.decoder.audio_channels,
            checkpoint.vb(DType::F32, &device).pp("audio_encoder"),
        )?;
        let net = MusicGen::new(&config, vb)?;
        Ok(Self { net, tokens, chroma, codec, defaults: generating.into(), files })
    }

    /// Whether it takes melodies.
    pub fn has_melody(&self) -> bool {
        self.net.config().has_melody()
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.codec.config().sampling_rate as u32
    }

    /// Samples a second of melodies.
    pub fn melody_rate(&self) -> u32 {
        self.chroma.sampling_rate as u32
    }

    /// Frames that so many seconds are.
    pub fn frames(&self, seconds: f64) -> usize {
        let config = self.codec.config();
        (seconds * config.sampling_rate as f64 / config.hop() as f64).round() as usize
    }

    /// What changes when the weights do.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn identity(&self) -> Result<String> {
        studio::model::identity(&self.files)
    }

    /// Makes a piece; `on_step` hears how many steps of how many are done.
    ///
    /// # Errors
    /// A melody that the model does not take or that is silent, options that are out of range.
    pub fn compose(&self, ask: &Ask, on_step: &mut dyn FnMut(usize, usize)) -> Result<Piece> {
        let prompt_ids = self.ids(&ask.prompt)?;
        let is_silent = |sound: &Vec<f32>| sound.iter().all(|sample| *sample == 0.);
        if ask.melody.as_ref().is_some_and(is_silent) {
            bail!("a melody without sound: there is nothing to hear in it");
        }
        let told = !prompt_ids.is_empty() || ask.melody.is_some();
        let guidance = if told { ask.guidance } else { 1. };
        let mut sampler = Sampler::new(&ask.sampling)?;
        let windows = Windows { longest: self.frames(30.), stride: self.frames(18.), frames: ask.frames };
        let delay = self.net.delay();
        let total = windows.steps(ask.beginning.first().map_or(0, Vec::len), |frames| delay.columns(frames));
        let (mut codes, mut done) = (ask.beginning.clone(), 0);
        while let Some(window) = windows.next(codes.first().map_or(0, Vec::len)) {
            let melody = ask.melody.as_ref().map(|sound| self.classes(sound, window.start)).transpose()?;
            let cache = self.net.start(&prompt_ids, melody.as_deref(), guidance > 1.)?;
            let given: Vec<Vec<u32>> = codes.iter().map(|row| row[window.start..].to_vec()).collect();
            let asked = Generation { given: &given, frames: window.len(), guidance };
            let made = self.net.generate(cache, &asked, &mut sampler, &mut || {
                done += 1;
                on_step(done, total);
                true
            })?;
            codes.resize(made.len(), Vec::new());
            for (row, made) in codes.iter_mut().zip(made) {
                row.truncate(window.start);
                row.extend(made);
            }
        }
        Ok(Piece { codes, prompt_ids })
    }

    /// A prompt as ids, the last of which ends it; none for an empty one.
    fn ids(&self, prompt: &str) -> Result<Vec<u32>> {
        if prompt.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut ids = self.tokens.encode(prompt, true)?;
        let end = self.net.config().text_encoder.eos_token_id;
        if ids.last() != Some(&end) {
            ids.push(end);
        }
        Ok(ids)
    }

    /// The pitch classes of a melody from a frame on; behind the first window it begins anew where it ends.
    fn classes(&self, sound: &[f32], frame: usize) -> Result<Vec<u32>> {
        if frame == 0 {
            return Ok(self.chroma.classes(sound)?);
        }
        let (codec, rate) = (self.codec.config(), self.chroma.sampling_rate);
        let start = frame * codec.hop() * rate / codec.sampling_rate;
        let longest = self.chroma.chunk_length.saturating_mul(rate);
        let turned: Vec<f32> =
            sound.iter().cycle().skip(start % sound.len()).take(longest).copied().collect();
        Ok(self.chroma.classes(&turned)?)
    }
}

/// Loads the codec of a model, or one that stands alone.
///
/// # Errors
/// As [`Player::load`].
pub fn load_codec(location: &Location, device: &str) -> Result<Codec> {
    let files = studio::model::files(location, CONFIG)?;
    let device = models::device::open(device)?;
    let (config, channels, part) = match family(location)? {
        Family::Notes => bail!(
            "a model of notes has no codec: facebook/musicgen-small and facebook/encodec_24khz have one"
        ),
        Family::Codec => (files.json::<encodec::Config>(CONFIG)?, 1, ""),
        Family::Sound => {
            let config: Config = files.json(CONFIG)?;
            (config.audio_encoder, config.decoder.audio_channels, "audio_encoder")
        }
    };
    config.validate()?;
    let vb = Checkpoint::open(files)?.vb(DType::F32, &device);
    Ok(Codec::new(&config, channels, if part.is_empty() { vb } else { vb.pp(part) })?)
}

/// Codes as sound; `on_frame` hears how many frames are done.
///
/// # Errors
/// Rows that are not the codec's, and numbers that are no codes.
pub fn sound(codec: &Codec, codes: &[Vec<u32>], on_frame: &mut dyn FnMut(usize)) -> Result<Audio> {
    let (channels, config) = (codec.channels(), codec.config());
    let mut samples = Vec::with_capacity(codes.first().map_or(0, Vec::len) * config.hop() * channels);
    for piece in codec.pieces(codes, PIECE)? {
        let piece = piece?.squeeze(1)?.to_vec2::<f32>().context("the codec's sound")?;
        for frame in 0..piece[0].len() {
            samples.extend(piece.iter().map(|channel| channel[frame]));
        }
        on_frame(samples.len() / channels / config.hop());
    }
    Ok(Audio { rate: config.sampling_rate as u32, channels: channels as u16, samples })
}
