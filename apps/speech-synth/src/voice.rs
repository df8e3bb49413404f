//! A model's files -> a voice.

use anyhow::{Result, bail};
use hub::Location;
use models::checkpoint::{Checkpoint, Files};
use models::nets::vits::{Config, Vits};
use models::tokens::{CharacterTokens, Spelled, Writing};
use models::vars;
use studio::model;

use crate::script;

/// A loaded voice.
pub struct Voice {
    /// What `config.json` says.
    pub config: Config,
    pub(crate) net: Vits,
    pub(crate) device: candle_core::Device,
    tokens: CharacterTokens,
    files: Files,
}

/// What a folder holds beside weights.
const BESIDE: &str = "config.json, vocab.json and tokenizer_config.json";

impl Voice {
    /// Loads a voice from its place to a device, in a number format, both as after their flags.
    ///
    /// # Errors
    /// Files that are missing or damaged, and a model of another kind.
    pub fn load(place: &Location, device: &str, dtype: &str) -> Result<Self> {
        let files = model::files(place, BESIDE)?;
        // what is refused is refused before the weights are read
        let config: Config = files.json("config.json")?;
        config.validate()?;
        let tokens = CharacterTokens::open(&files)?;
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
        Ok(Self { config, net, device, tokens, files })
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.config.sampling_rate
    }

    /// What changes when the weights do.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn identity(&self) -> Result<String> {
        model::identity(&self.files)
    }

    /// What the voice takes a text in.
    pub fn writing(&self) -> Writing {
        self.tokens.writing()
    }

    /// The ids of a text, and where in it they come from. A voice with a front end of its own would begin here.
    ///
    /// # Errors
    /// Letters where the voice takes phonemes, and such that it would take after help that is not here.
    pub fn spell(&self, text: &str, writing: Writing) -> Result<Spelled> {
        Ok(self.tokens.encode(text, writing)?)
    }

    /// Refuses a text of which the voice would read less than half, and says what it is written in.
    ///
    /// # Errors
    /// That, and a text without a letter.
    pub fn check(&self, texts: &[String]) -> Result<()> {
        let letters = || texts.iter().flat_map(|text| text.chars()).filter(|letter| letter.is_alphanumeric());
        let (mut known, mut unknown) = (0usize, 0usize);
        letters().for_each(|letter| match self.tokens.knows(letter) {
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
        if unknown > known {
            let scripts = script::names(letters().filter(|letter| !self.tokens.knows(*letter)));
            let reads =
                script::names(('\0'..='\u{ffff}').filter(|c| c.is_alphabetic() && self.tokens.knows(*c)));
            bail!("this voice cannot read {scripts}: it knows {reads}");
        }
        Ok(())
    }
}
