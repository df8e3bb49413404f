//! The voice of our own: English -> phones -> frames -> samples, and how it is learned.
//!
//! - `spelling`: words, pauses and given phonemes -> symbols
//! - `corpus`: recordings and their texts; `labels`: when their phones are spoken, where that is known
//! - `train`: fits a voice to them; `evaluate`: how near it comes to them

pub mod corpus;
pub mod evaluate;
mod labels;
mod spelling;
pub mod train;

pub use spelling::{Spelling, Symbols, arpabet, ipa, names};

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::nets::voice::{Analysis, Config, Phone, Voice};
use models::random::Generator;

use crate::english::lexicon::Lexicon;
use crate::english::speak;
use crate::{Request, Writing};

/// The folder of a voice that holds what spells English.
pub const ENGLISH: &str = "g2p";
/// How much of the noise is kept that frames are made of, where nobody asks otherwise.
pub const NOISE: f64 = 0.333;

/// A voice.
pub struct Own {
    /// What `config.json` says.
    pub config: Config,
    net: Voice,
    analysis: Analysis,
    lexicon: Lexicon,
    symbols: Symbols,
    device: Device,
}

impl Own {
    /// Reads a voice.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub fn open(files: &Files, device: Device) -> Result<Self> {
        let config: Config = files.json("config.json")?;
        config.validate()?;
        // the loops of the processor compute in f32 alone, and the net is small
        let net = Voice::new(&config, Checkpoint::open(files.clone())?.vb(DType::F32, &device))?;
        Ok(Self {
            analysis: Analysis::new(&config)?,
            symbols: Symbols::new(&config.symbols)?,
            lexicon: Lexicon::open(files.below(ENGLISH))?,
            net,
            config,
            device,
        })
    }

    /// The same with words of a user's own.
    ///
    /// # Errors
    /// The first line that is none, by its number.
    pub fn with_lexicon(self, text: &str) -> Result<Self> {
        Ok(Self { lexicon: self.lexicon.with_user(text)?, ..self })
    }

    /// A text in the voice's symbols.
    ///
    /// # Errors
    /// Phonemes that are none.
    pub fn spell(&self, text: &str, writing: Writing) -> Result<Spelling> {
        let items = match writing {
            Writing::Text => speak(text, &self.lexicon)?,
            Writing::Ipa => ipa(text)?,
            Writing::Arpabet => arpabet(text)?,
        };
        Ok(self.symbols.spell(text, &items))
    }

    /// Samples of symbols, and the frames of each.
    ///
    /// # Errors
    /// Sound that is no numbers.
    pub fn say(
        &self,
        signs: &[Phone],
        request: &Request,
        random: &mut Generator,
    ) -> Result<(Vec<f32>, Vec<u32>)> {
        let rate = request.options.rate;
        let sound = say(&self.net, &self.analysis, &self.config, signs, rate, |frames, size| {
            let noise = random.randn(frames * size);
            let noise = noise.iter().map(|x| x * request.options.noise as f32).collect();
            (noise, random.randn(frames * self.config.hop_length))
        });
        let (mut samples, frames) = sound?;
        if samples.iter().any(|sample| !sample.is_finite()) {
            bail!("the voice makes no sound: its samples are no numbers");
        }
        samples.iter_mut().for_each(|sample| *sample = with_room(*sample));
        Ok((samples, frames))
    }

    /// How samples become frames.
    pub fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    /// What spells English.
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The voice's symbols.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Where the net computes.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// Samples of symbols, spoken `rate` times as fast, and the frames of each. `noise` gives as many values of a normal
/// distribution as there are values of so many frames, and as many as there are samples.
pub(crate) fn say(
    net: &Voice,
    analysis: &Analysis,
    config: &Config,
    signs: &[Phone],
    rate: f64,
    noise: impl FnOnce(usize, usize) -> (Vec<f32>, Vec<f32>),
) -> Result<(Vec<f32>, Vec<u32>)> {
    let states = net.acoustic.encode(&[signs])?;
    let logarithms = net.acoustic.durations(&states, &[signs.len()])?;
    let durations = lasting(&logarithms.flatten_all()?.to_vec1()?, rate);
    let count: usize = durations.iter().sum();
    let size = config.frame_size();
    let (for_frames, for_samples) = noise(count, size);
    let begin = Tensor::from_vec(for_frames, (count, size), states.device())?;
    let spread = net.acoustic.spread(&states, &durations)?;
    let frames = net.acoustic.sound(&begin, &spread, &[count], config.steps)?;
    let amplitudes = net.filters.forward(&frames, &[count])?;
    let values = |xs: &Tensor| xs.detach().flatten_all()?.to_vec1::<f32>();
    let pitch = analysis.pitch(&values(&frames)?);
    let samples =
        analysis.samples(&pitch, &values(&amplitudes.harmonic)?, &values(&amplitudes.noise)?, &for_samples);
    Ok((samples, durations.into_iter().map(|frames| frames as u32).collect()))
}

/// How much of its loudness a voice keeps, 3 dB less: where pulses meet, peaks are higher than those of what it learned from.
const ROOM: f32 = 0.7;
/// Where a peak begins to be bent, so that none reaches full scale.
const KNEE: f32 = 0.8;

/// A sample with room above it, whatever its height.
fn with_room(sample: f32) -> f32 {
    let level = sample.abs() * ROOM;
    let over = (level - KNEE).max(0.) / (1. - KNEE);
    (level.min(KNEE) + (1. - KNEE) * over.tanh()).min(0.999).copysign(sample)
}

/// Frames of a phone at most.
const LONGEST: f64 = 400.;

/// Whole frames, one at least, that add up to what the logarithms say.
fn lasting(logarithms: &[f32], rate: f64) -> Vec<usize> {
    let mut owed = 0.;
    let frames = logarithms.iter().map(|logarithm| {
        let asked = (f64::from(*logarithm).exp() / rate).clamp(0.1, LONGEST / rate.min(1.)) + owed;
        let whole = asked.round().max(1.);
        // what a phone of one frame took too much is not taken from far behind
        owed = (asked - whole).clamp(-1., 1.);
        whole as usize
    });
    frames.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sample_reaches_full_scale() {
        let bent: Vec<f32> = (0..400).map(|i| with_room(i as f32 / 100.)).collect();
        assert!(bent.windows(2).all(|pair| pair[0] <= pair[1]) && bent[399] < 1.);
        assert!(
            (with_room(-1.) + 0.7).abs() < 1e-6 && (with_room(1.5) - 0.9696).abs() < 1e-3,
            "{}",
            with_room(1.5)
        );
    }

    #[test]
    fn durations_add_up() {
        let logarithms = [2.5f32.ln(); 8];
        assert_eq!(lasting(&logarithms, 1.).iter().sum::<usize>(), 20);
        assert_eq!(lasting(&logarithms, 0.5).iter().sum::<usize>(), 40);
        assert_eq!(lasting(&[-9., 30.], 1.), [1, 399]);
        assert_eq!(lasting(&logarithms, 100.), [1; 8]);
    }
}
