//! A model's files -> what translates.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use candle_core::Device;
use hub::Location;
use models::checkpoint::gguf::Gguf;
use models::checkpoint::{Checkpoint, Files};
use models::nets::seq2seq::{self, Seq2Seq};
use models::nets::t5::{self, T5};
use models::tokens::translation::TranslationTokens;
use models::vars::formats;
use serde_json::Value;

use crate::Defaults;
use crate::languages;

/// What says, of a model of one pair, which.
const TOKENIZER: &str = "tokenizer_config.json";

const CONFIG: &str = "config.json";
/// Any of them is a whole tokenizer.
const TOKENIZERS: [&str; 2] = ["tokenizer.json", "spiece.model"];
/// Of a T5: relative distances have no end, but what was learned has.
const POSITIONS: usize = 512;

/// One of the two kinds of nets.
pub enum Net {
    /// Marian, M2M100, NLLB, mBART.
    Seq2Seq(Box<Seq2Seq>),
    /// T5, Flan, MADLAD.
    T5(Box<T5>),
}

/// A net with its tokenizer and whatever else its files say.
pub struct Model {
    /// The net.
    pub net: Net,
    /// Text to ids and back, and the languages it knows.
    pub tokens: TranslationTokens,
    /// What it asks for where the user does not.
    pub defaults: Defaults,
    /// Positions that a sentence may have.
    pub positions: usize,
    /// Where it computes.
    pub device: Device,
    /// What a model of one pair reads and writes, where it says so.
    pair: [Option<String>; 2],
    /// `task_specific_params` of `config.json`: what stands before a text tells a T5 what to do.
    tasks: Value,
}

/// From which language into which, as a model calls them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Direction {
    /// What is read; nothing where the model need not be told.
    pub from: Option<String>,
    /// What is written.
    pub to: Option<String>,
}

impl Model {
    /// Loads a model. `device` and `dtype` are the words after `--device` and `--dtype`.
    ///
    /// # Errors
    /// One line on files that are missing, damaged or of another kind, and on a device that is not there.
    pub fn load(location: &Location, device: &str, dtype: &str) -> Result<Self> {
        let device = models::device::open(device)?;
        match location {
            Location::File(path) if path.extension().is_some_and(|extension| extension == "gguf") => {
                Self::from_gguf(path, device, dtype)
            }
            _ => {
                let files = studio::model::files(location, "config.json and its tokenizer")?;
                Self::from_files(files, device, dtype)
            }
        }
    }

    /// A T5 with its vocabulary; a config.json beside it, or a whole tokenizer, count more than what it says itself.
    fn from_gguf(path: &Path, device: Device, dtype: &str) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().context("a file without a name")?.to_string_lossy();
        let files = Files::Dir(folder.to_path_buf());
        let file = Arc::new(Gguf::open(&files, &name)?);
        if !matches!(dtype, "auto" | "f32") {
            bail!(
                "--dtype {dtype}: a GGUF file's weights stay as they are (auto), or become what they stand for (f32)"
            );
        }
        let config: Value = match files.has(CONFIG) {
            true => files.json(CONFIG)?,
            false => Value::Null,
        };
        let beside = if config["model_type"] == "t5" { Some(files.json(CONFIG)?) } else { None };
        let tokens = match beside.is_some() && TOKENIZERS.iter().any(|name| files.has(name)) {
            true => TranslationTokens::open(&files, "t5")?,
            false => TranslationTokens::from_gguf(&file)?,
        };
        let defaults = match beside.is_some() {
            true => Defaults::open(&files, &config)?,
            false => Defaults { pad_token_id: Some(0), ..Defaults::default() },
        };
        let (sizes, net) = t5::gguf::load(file, beside, dtype == "auto", &device)?;
        let defaults = Defaults { decoder_start_token_id: Some(sizes.start()), ..defaults };
        let (net, tasks) = (Net::T5(Box::new(net)), config["task_specific_params"].clone());
        Ok(Self { net, tokens, defaults, positions: POSITIONS, device, pair: [None, None], tasks })
    }

    fn from_files(files: Files, device: Device, dtype: &str) -> Result<Self> {
        let config: Value = files.json(CONFIG)?;
        let kind = config["model_type"].as_str().unwrap_or_default().to_string();
        let tokens = TranslationTokens::open(&files, &kind)?;
        let defaults = Defaults::open(&files, &config)?;
        let about: Value = match files.has(TOKENIZER) {
            true => files.json(TOKENIZER)?,
            false => Value::Null,
        };
        let pair = ["source_lang", "target_lang"].map(|name| about[name].as_str().map(String::from));
        let tasks = config["task_specific_params"].clone();
        let checkpoint = Checkpoint::open(files.clone())?;
        let (number, format) = formats(dtype, checkpoint.dtype(), &device);
        let vb = checkpoint.vb(number, &device).with_format(format);
        let (net, positions) = match kind.as_str() {
            "t5" => {
                let config: t5::Config = files.json(CONFIG)?;
                config.validate()?;
                (Net::T5(Box::new(T5::new(&config, vb)?)), POSITIONS)
            }
            "marian" | "m2m_100" | "mbart" => {
                let config: seq2seq::Config = files.json(CONFIG)?;
                config.validate()?;
                let positions = config.max_position_embeddings;
                (Net::Seq2Seq(Box::new(Seq2Seq::new(&config, vb)?)), positions)
            }
            other => bail!(
                "config.json: model_type `{other}` does not translate; marian, m2m_100, mbart and t5 do"
            ),
        };
        Ok(Self { net, tokens, defaults, positions, device, pair, tasks })
    }

    /// The languages in this model's own words.
    ///
    /// # Errors
    /// One line on a language that it does not know, with those that are near, and on one that must be said.
    pub fn direction(&self, from: Option<&str>, to: Option<&str>) -> Result<Direction> {
        let known: Vec<&str> = self.tokens.languages().iter().map(|(code, _)| code.as_str()).collect();
        if known.is_empty() {
            return self.of_one_pair(from, to);
        }
        let named = |flag: &str, typed: &str| {
            languages::among(&known, typed).map(String::from).ok_or_else(|| unknown(flag, typed, &known))
        };
        let read = from.and_then(|typed| languages::among(&known, typed));
        let others = || known.iter().filter(|code| Some(**code) != read);
        let to = match to {
            Some(typed) => Some(named("--to", typed)?),
            // the only one, or of two the one that is not read
            None if others().count() == 1 => others().next().map(|code| code.to_string()),
            None => bail!("--to: say into which language: {}", some(&known)),
        };
        // those that are made to say a language first are also told which they read
        let is_told = self.tokens.forced_first(known[0])?.is_some();
        let from = match from {
            Some(typed) if is_told => Some(named("--from", typed)?),
            None if is_told => bail!("--from: this model must be told from which language"),
            typed => typed.map(String::from),
        };
        Ok(Direction { from, to })
    }

    /// What the model is told of a direction: nothing if it has no tokens for languages.
    pub(crate) fn told<'a>(&self, direction: &'a Direction) -> [Option<&'a str>; 2] {
        match self.tokens.languages().is_empty() {
            true => [None, None],
            false => [direction.from.as_deref(), direction.to.as_deref()],
        }
    }

    /// What a T5 is told in words, before a text: `translate English to French: `; nothing where its config says none.
    pub fn prefix(&self, direction: &Direction) -> String {
        let short = |typed: &Option<String>| languages::find(typed.as_deref()?).map(|one| one.short);
        let (Some(from), Some(to)) = (short(&direction.from), short(&direction.to)) else {
            return String::new();
        };
        self.tasks[format!("translation_{from}_to_{to}")]["prefix"].as_str().unwrap_or_default().to_string()
    }

    /// A model of two languages: those that are asked for must be its own, where it says which they are.
    fn of_one_pair(&self, from: Option<&str>, to: Option<&str>) -> Result<Direction> {
        let (reads, writes) = (self.pair[0].as_deref(), self.pair[1].as_deref());
        for (flag, typed, own) in [("--from", from, reads), ("--to", to, writes)] {
            let (Some(typed), Some(own)) = (typed, own) else { continue };
            if languages::among(&[own], typed).is_none() {
                let pair = format!("{} into {}", reads.unwrap_or("?"), writes.unwrap_or("?"));
                bail!("{flag} {typed}: this model translates {pair}");
            }
        }
        Ok(Direction { from: from.or(reads).map(String::from), to: to.or(writes).map(String::from) })
    }
}

fn unknown(flag: &str, typed: &str, known: &[&str]) -> anyhow::Error {
    let near: Vec<&str> =
        languages::near(typed).into_iter().filter(|code| languages::among(known, code).is_some()).collect();
    match near.is_empty() {
        true => anyhow!("{flag} {typed}: this model knows {}", some(known)),
        false => anyhow!("{flag} {typed}: this model does not know it; perhaps {}", near.join(", ")),
    }
}

/// A few of many.
fn some(known: &[&str]) -> String {
    match known.len() {
        0..=12 => known.join(", "),
        count => format!("{}, ... ({count} in all)", known[..12].join(", ")),
    }
}
