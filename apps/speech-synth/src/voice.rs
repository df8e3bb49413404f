//! A model's files -> a voice: one of the hub's, or one of our own.

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use hub::Location;
use models::checkpoint::{Checkpoint, Files};
use models::nets::vits::{self, Options, Vits};
use models::nets::voice::{self, Phone};
use models::random::Generator;
use models::tokens::{self, CharacterTokens, Spelled};
use models::vars;
use studio::model;

use crate::english::Item;
use crate::english::phones::to_ipa;
use crate::own::{self, Own};
use crate::{Request, Writing, script};

/// A loaded voice.
pub struct Voice {
    kind: Kind,
    files: Files,
}

enum Kind {
    Hub(Box<Hub>),
    Own(Box<Own>),
}

/// A VITS of the hub.
struct Hub {
    config: vits::Config,
    net: Vits,
    tokens: CharacterTokens,
    device: Device,
}

/// A text as a voice will say it.
pub struct Written {
    /// Ids or symbols, and where in the text they come from.
    pub spelled: Spelled,
    /// The symbols as a voice of our own is told them.
    signs: Vec<Phone>,
}

impl Written {
    /// Whether there is anything to be said.
    pub fn says(&self) -> bool {
        self.spelled.places.iter().any(Option::is_some)
    }
}

/// What a text became.
pub struct Utterance {
    /// Samples at the voice's rate.
    pub samples: Vec<f32>,
    /// Frames of each id.
    pub frames: Vec<u32>,
}

/// What a folder holds beside weights.
const BESIDE: &str = "config.json and what spells its text";
/// Seconds between paragraphs where nobody asks for another pause, for a voice that says sentence by sentence.
const PARAGRAPH: f64 = 0.35;

impl Hub {
    fn open(files: &Files, device: &str, dtype: &str) -> Result<Self> {
        // what is refused is refused before the weights are read
        let config: vits::Config = files.json("config.json")?;
        config.validate()?;
        let tokens = CharacterTokens::open(files)?;
        let (largest, size) = (tokens.largest(), config.vocab_size);
        if largest as usize >= size {
            bail!(
                "vocab.json has the id {largest}, and config.json a vocab_size of {size}: they are of two models"
            );
        }
        let device = models::device::open(device)?;
        let checkpoint = Checkpoint::open(files.clone())?;
        let (dtype, format) = vars::formats(dtype, checkpoint.dtype(), &device);
        let net = Vits::new(&config, checkpoint.vb(dtype, &device).with_format(format))?;
        Ok(Self { config, net, tokens, device })
    }

    fn spell(&self, text: &str, writing: Writing) -> Result<Spelled> {
        match writing {
            Writing::Text => Ok(self.tokens.encode(text, tokens::Writing::Letters)?),
            Writing::Ipa => Ok(self.tokens.encode(text, tokens::Writing::Phonemes)?),
            Writing::Arpabet => {
                // the IPA of each word, and where the word stood
                let (mut ipa, mut places) = (String::new(), Vec::new());
                for item in own::arpabet(text)? {
                    let (part, start) = match &item {
                        Item::Word(word) => (format!(" {}", to_ipa(&word.phones)), word.span.start),
                        Item::Pause { span, .. } => (text[span.clone()].to_string(), span.start),
                    };
                    places.resize(places.len() + part.len(), start);
                    ipa.push_str(&part);
                }
                let mut spelled = self.tokens.encode(&ipa, tokens::Writing::Phonemes)?;
                spelled.places.iter_mut().flatten().for_each(|place| *place = places[*place]);
                Ok(spelled)
            }
        }
    }

    fn say(
        &self,
        spelled: &Spelled,
        options: &Options,
        random: &mut Generator,
    ) -> Result<(Vec<f32>, Vec<u32>)> {
        let ids = Tensor::new(&spelled.ids[..], &self.device)?.unsqueeze(0)?;
        let speech = self.net.forward(&ids, options, random)?;
        Ok((speech.samples.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?, speech.frames))
    }
}

impl Voice {
    /// Loads a voice from its place to a device, in a number format, both as after their flags.
    ///
    /// # Errors
    /// Files that are missing or damaged, and a model of another kind.
    pub fn load(place: &Location, device: &str, dtype: &str) -> Result<Self> {
        let files = model::files(place, BESIDE)?;
        let config: serde_json::Value = files.json("config.json")?;
        let kind = match config["model_type"].as_str() == Some(voice::Config::TYPE) {
            true => Kind::Own(Box::new(Own::open(&files, models::device::open(device)?)?)),
            false => Kind::Hub(Box::new(Hub::open(&files, device, dtype)?)),
        };
        Ok(Self { kind, files })
    }

    /// The same with words of a user's own: a line each, the word and its phones in ARPABET or IPA.
    ///
    /// # Errors
    /// The first line that is none, by its number, and a voice that has its own spelling.
    pub fn with_lexicon(self, text: &str) -> Result<Self> {
        match self.kind {
            Kind::Own(own) => Ok(Self { kind: Kind::Own(Box::new(own.with_lexicon(text)?)), ..self }),
            Kind::Hub(_) => bail!("this voice has its own spelling, in which no lexicon has a say"),
        }
    }

    /// The voice, where it is one of our own.
    pub fn own(&self) -> Option<&Own> {
        match &self.kind {
            Kind::Own(own) => Some(own),
            Kind::Hub(_) => None,
        }
    }

    /// Where the voice computes.
    pub fn device(&self) -> &Device {
        match &self.kind {
            Kind::Hub(hub) => &hub.device,
            Kind::Own(own) => own.device(),
        }
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        match &self.kind {
            Kind::Hub(hub) => hub.config.sampling_rate,
            Kind::Own(own) => own.config.sampling_rate,
        }
    }

    /// Seconds of a frame.
    pub fn frame_s(&self) -> f64 {
        let hop = match &self.kind {
            Kind::Hub(hub) => hub.config.hop(),
            Kind::Own(own) => own.config.hop_length,
        };
        hop as f64 / f64::from(self.rate())
    }

    /// How many speakers there are.
    pub fn speakers(&self) -> usize {
        match &self.kind {
            Kind::Hub(hub) => hub.config.num_speakers.max(1),
            Kind::Own(_) => 1,
        }
    }

    /// What the voice asks for.
    pub fn options(&self) -> Options {
        match &self.kind {
            Kind::Hub(hub) => Options::of(&hub.config),
            Kind::Own(_) => Options { speaker: None, rate: 1., noise: own::NOISE, noise_duration: 0. },
        }
    }

    /// Whether chance has a part in the rhythm.
    pub fn varies_rhythm(&self) -> bool {
        matches!(self.kind, Kind::Hub(_))
    }

    /// Whether each sentence is said by itself, however short the text: its sound is there earlier.
    pub fn by_sentence(&self) -> bool {
        matches!(self.kind, Kind::Own(_))
    }

    /// Seconds of silence between paragraphs where nobody asks for another pause.
    pub fn paragraph_pause(&self) -> f64 {
        if self.by_sentence() { PARAGRAPH } else { 0. }
    }

    /// What changes when the weights do.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn identity(&self) -> Result<String> {
        model::identity(&self.files)
    }

    /// Whether the voice takes phonemes alone.
    pub fn takes_phonemes(&self) -> bool {
        match &self.kind {
            Kind::Hub(hub) => hub.tokens.writing() == tokens::Writing::Phonemes,
            Kind::Own(_) => false,
        }
    }

    /// Writes a text in the voice's signs.
    ///
    /// # Errors
    /// Letters where the voice takes phonemes, such that it would take after help that is not here, and phonemes that are
    /// none.
    pub fn spell(&self, text: &str, writing: Writing) -> Result<Written> {
        match &self.kind {
            Kind::Hub(hub) => Ok(Written { spelled: hub.spell(text, writing)?, signs: Vec::new() }),
            Kind::Own(own) => {
                let own::Spelling { signs, places, unknown } = own.spell(text, writing)?;
                let ids = signs.iter().map(|sign| sign.symbol).collect();
                Ok(Written { spelled: Spelled { ids, places, unknown }, signs })
            }
        }
    }

    /// Speaks at once what says something.
    ///
    /// # Errors
    /// Sound that is no numbers.
    pub fn say(&self, written: &Written, request: &Request, random: &mut Generator) -> Result<Utterance> {
        let (samples, frames) = match &self.kind {
            Kind::Hub(hub) => hub.say(&written.spelled, &request.options, random)?,
            Kind::Own(own) => own.say(&written.signs, request, random)?,
        };
        if samples.iter().any(|sample| !sample.is_finite()) {
            bail!("the model makes no sound: its samples are no numbers");
        }
        Ok(Utterance { samples, frames })
    }

    fn knows(&self, letter: char) -> bool {
        match &self.kind {
            Kind::Hub(hub) => hub.tokens.knows(letter),
            Kind::Own(_) => {
                letter.is_ascii_alphanumeric()
                    || matches!(letter, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
            }
        }
    }

    /// Refuses a text of which the voice would read less than half, and says what it is written in.
    ///
    /// # Errors
    /// That, and a text without a letter.
    pub fn check(&self, texts: &[String], writing: Writing) -> Result<()> {
        let letters = || texts.iter().flat_map(|text| text.chars()).filter(|letter| letter.is_alphanumeric());
        let (mut known, mut unknown) = (0usize, 0usize);
        letters().for_each(|letter| match self.knows(letter) {
            true => known += 1,
            false => unknown += 1,
        });
        if known + unknown == 0 {
            let empty = texts.iter().all(|text| text.trim().is_empty());
            bail!(
                "nothing to speak: the text {}",
                if empty { "is empty" } else { "has no letter and no digit" }
            );
        }
        // what is no phoneme is told by its sign
        let phonemes = self.by_sentence() && writing != Writing::Text;
        if unknown > known && !phonemes {
            let scripts = script::names(letters().filter(|letter| !self.knows(*letter)));
            let reads = script::names(('\0'..='\u{ffff}').filter(|c| c.is_alphabetic() && self.knows(*c)));
            bail!("this voice cannot read {scripts}: it knows {reads}");
        }
        Ok(())
    }
}
