//! A model's folder: `config.json`, `music.json` and the weights; read from wherever it is, and written.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use candle_core::{DType, Device, Tensor};
use models::checkpoint::Checkpoint;
use models::nets::llama::Config;
use models::vars::VarBuilder;

use crate::compose::Composer;
use crate::net::Net;
use crate::style::{self, Styles};
use crate::vocabulary;

const CONFIG: &str = "config.json";
/// No file of a model of this app is larger.
const LIMIT: u64 = 1 << 32;

/// A model's files, not yet read into a net.
pub struct Stored {
    checkpoint: Checkpoint,
}

impl Stored {
    /// A model at a place that `hub` found.
    ///
    /// # Errors
    /// A single file: a model of this app is a folder. Weights that are missing, cut or no safetensors.
    pub fn open(location: &hub::Location) -> Result<Stored> {
        let files = studio::model::files(location, &format!("{CONFIG} and {}", style::FILE))?;
        Ok(Stored { checkpoint: Checkpoint::open(files)? })
    }

    /// The net's configuration.
    ///
    /// # Errors
    /// A file that is missing or not a configuration of a net with this vocabulary.
    pub fn config(&self) -> Result<Config> {
        let config: Config = self.checkpoint.config()?;
        config.validate()?;
        let (found, context) = (config.vocab_size, config.max_position_embeddings);
        if found != vocabulary::SIZE {
            let ours = vocabulary::SIZE;
            bail!("{CONFIG}: a vocabulary of {found} tokens is not that of music-gen, which has {ours}");
        }
        if context < 128 {
            bail!("{CONFIG}: a context of {context} tokens is less than the 128 that a bar needs");
        }
        Ok(config)
    }

    /// The styles.
    ///
    /// # Errors
    /// A file that is missing or of another form.
    pub fn styles(&self) -> Result<Styles> {
        let bytes = self.checkpoint.files().read(style::FILE, LIMIT)?;
        let text = std::str::from_utf8(&bytes).with_context(|| format!("{}: not text", style::FILE))?;
        Styles::parse(text).map_err(|why| anyhow!(why))
    }

    /// The weights, widened or rounded to a number format.
    pub fn weights(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        self.checkpoint.vb(dtype, device)
    }

    /// What changes when the weights do: a hash of their bytes.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn identity(&self) -> Result<String> {
        studio::model::identity(self.checkpoint.files())
    }
}

/// Loads a model. `device` and `dtype` are the words after `--device` and `--dtype`; `auto` computes in f32.
///
/// # Errors
/// A model that is missing, cut, or of another shape or kind; a device that this build or machine lacks.
pub fn load(location: &hub::Location, device: &str, dtype: &str) -> Result<Composer> {
    let dtype = match dtype {
        "auto" | "f32" => DType::F32,
        "bf16" => DType::BF16,
        "f16" => DType::F16,
        other => {
            bail!("--dtype {other}: a net of this size gains nothing from it; use auto, f32, bf16 or f16")
        }
    };
    let stored = Stored::open(location)?;
    let (config, styles) = (stored.config()?, stored.styles()?);
    let device = models::device::open(device)?;
    let net = Net::new(&config, stored.weights(dtype, &device))?;
    Ok(Composer { net, config, styles, stored })
}

/// Writes a model's folder; weights in f16.
///
/// # Errors
/// A folder that cannot be written.
pub fn save(
    folder: &Path,
    config: &Config,
    styles: &Styles,
    weights: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let styles = serde_json::to_vec_pretty(styles)?;
    batch::write_bytes(&folder.join(style::FILE), &styles, true)?;
    let weights: Vec<(String, Tensor)> =
        weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(models::checkpoint::save(folder, config, &weights, DType::F16)?)
}
