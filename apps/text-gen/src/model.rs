//! A model's files -> what generates.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candle_core::Device;
use hub::Location;
use models::checkpoint::gguf::Gguf;
use models::checkpoint::{Checkpoint, Files};
use models::nets::llama::{Config, Llama, gguf};
use models::tokens::Tokens;
use models::tokens::chat::Template;
use models::vars::formats;

use crate::Defaults;

/// A net with its tokenizer and whatever else its files say.
pub struct Model {
    /// The net.
    pub net: Llama,
    /// Its sizes.
    pub config: Config,
    /// Text to ids and back.
    pub tokens: Tokens,
    /// How a conversation is written, if the model was taught to have one.
    pub template: Option<Template>,
    /// What it asks for where the user does not.
    pub defaults: Defaults,
    /// Where it computes.
    pub device: Device,
}

impl Model {
    /// Loads a model. `device` and `dtype` are the words after `--device` and `--dtype`: `auto` keeps weights as they are
    /// stored, blocks of a GGUF file too, and computes in f32 around them.
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
                let files = studio::model::files(location, "config.json and tokenizer.json")?;
                Self::from_files(files, device, dtype)
            }
        }
    }

    fn from_files(files: Files, device: Device, dtype: &str) -> Result<Self> {
        let config: Config = files.json("config.json")?;
        config.validate()?;
        let tokens = Tokens::open(&files)?;
        let template = Template::open(&files)?;
        let defaults = Defaults::open(&files, &config)?;
        let checkpoint = Checkpoint::open(files)?;
        let (dtype, format) = formats(dtype, checkpoint.dtype(), &device);
        let net = Llama::new(&config, checkpoint.vb(dtype, &device).with_format(format))?;
        Ok(Self { net, config, tokens, template, defaults, device })
    }

    fn from_gguf(path: &Path, device: Device, dtype: &str) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().context("a file without a name")?.to_string_lossy();
        let file = Arc::new(Gguf::open(&Files::Dir(folder.to_path_buf()), &name)?);
        gguf::config(&file)?.validate()?;
        let tokens = Tokens::from_gguf(&file)?;
        let template = Template::from_gguf(&file)?;
        if !matches!(dtype, "auto" | "f32") {
            bail!(
                "--dtype {dtype}: a GGUF file's weights stay as they are (auto), or become what they stand for (f32)"
            );
        }
        let (config, net) = gguf::load(file, dtype == "auto", &device)?;
        let defaults = Defaults::of(&config);
        Ok(Self { net, config, tokens, template, defaults, device })
    }

    /// The ids of a text; `special` adds what the model was taught to see around one.
    ///
    /// # Errors
    /// Text that the tokenizer has no ids for, and ids that the net does not have.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let ids = self.tokens.encode(text, special)?;
        match ids.iter().find(|id| **id as usize >= self.config.vocab_size) {
            Some(id) => bail!(
                "the tokenizer gives id {id} and the net has {}: they do not belong together",
                self.config.vocab_size
            ),
            None => Ok(ids),
        }
    }

    /// How many tokens the net can see at once.
    pub fn context(&self) -> usize {
        self.net.context()
    }
}
