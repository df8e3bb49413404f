//! A model's folder: `config.json`, `music.json` and the weights; read from wherever it is, and written.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use batch::Content;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use models::nets::llama::{Config, Llama};

use crate::compose::Composer;
use crate::style::{self, Styles};
use crate::vocabulary;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// The files of a model, not yet read into a net.
#[derive(Debug, Clone)]
pub struct Stored {
    location: hub::Location,
}

impl Stored {
    /// A model at a place that `hub` found.
    ///
    /// # Errors
    /// A single file: a model of this app is a folder.
    pub fn open(location: &hub::Location) -> Result<Stored> {
        if let hub::Location::File(path) = location {
            bail!("{}: a model of music-gen is a folder with {CONFIG}, {} and {WEIGHTS}", path.display(), style::FILE);
        }
        Ok(Stored { location: location.clone() })
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        match &self.location {
            hub::Location::Dir(folder) | hub::Location::File(folder) => {
                let path = folder.join(name);
                std::fs::read(&path).with_context(|| path.display().to_string())
            }
            hub::Location::Embedded(files) => files
                .iter()
                .find(|(file, _)| *file == name)
                .map(|(_, bytes)| bytes.to_vec())
                .ok_or_else(|| anyhow!("the embedded model has no {name}")),
        }
    }

    /// The net's configuration.
    ///
    /// # Errors
    /// A file that is missing or not a configuration of a net with this vocabulary.
    pub fn config(&self) -> Result<Config> {
        let config: Config = serde_json::from_slice(&self.read(CONFIG)?).context(CONFIG)?;
        config.validate()?;
        if config.vocab_size != vocabulary::SIZE {
            let (found, ours) = (config.vocab_size, vocabulary::SIZE);
            bail!("{CONFIG}: a vocabulary of {found} tokens is not that of music-gen, which has {ours}");
        }
        if config.max_position_embeddings < 128 {
            bail!("{CONFIG}: a context of {} tokens is less than the 128 that a bar needs", config.max_position_embeddings);
        }
        Ok(config)
    }

    /// The styles.
    ///
    /// # Errors
    /// A file that is missing or of another form.
    pub fn styles(&self) -> Result<Styles> {
        let bytes = self.read(style::FILE)?;
        let text = std::str::from_utf8(&bytes).with_context(|| format!("{}: not text", style::FILE))?;
        Styles::parse(text).map_err(|why| anyhow!(why))
    }

    /// The weights, widened or rounded to a number format.
    ///
    /// # Errors
    /// A file that is missing, cut or no safetensors.
    pub fn weights(&self, dtype: DType, device: &Device) -> Result<VarBuilder<'static>> {
        VarBuilder::from_buffered_safetensors(self.read(WEIGHTS)?, dtype, device).context(WEIGHTS)
    }

    /// What changes when the weights do: the sum of their bytes.
    ///
    /// # Errors
    /// A file that is missing.
    pub fn identity(&self) -> Result<String> {
        let sum = Content::Bytes(self.read(WEIGHTS)?).digest()?;
        Ok(sum.iter().map(|byte| format!("{byte:02x}")).collect())
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
        other => bail!("--dtype {other}: a net of this size gains nothing from it; use auto, f32, bf16 or f16"),
    };
    let stored = Stored::open(location)?;
    let (config, styles) = (stored.config()?, stored.styles()?);
    let device = models::device::open(device)?;
    let net = Llama::new(&config, stored.weights(dtype, &device)?).context(WEIGHTS)?;
    Ok(Composer { net, config, styles, device, identity: stored.identity()? })
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
    let config = Config { dtype: Some("float16".into()), ..config.clone() };
    let mut half = BTreeMap::new();
    for (name, tensor) in weights {
        half.insert(name.clone(), tensor.to_device(&Device::Cpu)?.to_dtype(DType::F16)?);
    }
    let bytes = safetensors::serialize(&half, None)?;
    let mut set = batch::FileSet::new(true);
    let mut add = |name: &str, bytes: &[u8]| {
        set.add(folder.join(name), |writer| std::io::Write::write_all(writer, bytes))
    };
    add(CONFIG, &serde_json::to_vec_pretty(&config)?)?;
    add(style::FILE, &serde_json::to_vec_pretty(styles)?)?;
    add(WEIGHTS, &bytes)?;
    set.commit()?;
    Ok(())
}
