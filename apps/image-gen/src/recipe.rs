//! How a picture was made, as it travels inside the picture.

use anyhow::{Context, Result, anyhow, bail};
use media::image_file::{Format, Pixels, png_texts};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use crate::generate::Request;

/// Everything that a picture depends on, beside the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Version of the program.
    pub version: String,
    /// The model, as it was named.
    pub model: String,
    /// Its revision on the hub.
    pub revision: Option<String>,
    /// What its net's weights hash to.
    pub weights: String,
    /// The model whose autoencoder stood in for its own.
    pub vae: Option<String>,
    /// Number format of the weights, as it was asked for.
    pub dtype: String,
    /// The words.
    pub prompt: String,
    /// What was not wanted.
    pub negative: Option<String>,
    /// Seed.
    pub seed: u64,
    /// Steps.
    pub steps: usize,
    /// Sampler, by the name that it has here.
    pub sampler: String,
    /// Whether that is another than the model's own.
    pub resampled: bool,
    /// Guidance.
    pub guidance: f64,
    /// How much contrast was given back.
    pub rescale: f64,
    /// Layers of the text encoder that were left out.
    pub clip_skip: usize,
    /// Pixels in a row, before they were enlarged.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The picture it began with.
    pub init: Option<Source>,
    /// How much of that was made anew.
    pub strength: f64,
    /// Where something new was made.
    pub mask: Option<Source>,
    /// Whether it was decoded in tiles.
    pub tiled: bool,
    /// How often each pixel stands in a row.
    pub scale: u32,
    /// Whether what is see-through stays so.
    pub transparent: bool,
}

/// A file that a picture was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Where it was.
    pub path: PathBuf,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// Keywords of a PNG's texts: the one that other programs read, and our own.
const PARAMETERS: &str = "parameters";
const OWN: &str = "image-gen";

impl Recipe {
    /// The same for the pipeline, with the pictures that it names, in the asked size.
    pub fn request(&self, init: Option<Pixels>, mask: Option<Pixels>) -> Request {
        Request {
            prompt: self.prompt.clone(),
            negative: self.negative.clone(),
            width: self.width,
            height: self.height,
            steps: self.steps,
            guidance: self.guidance,
            rescale: self.rescale,
            scheduler: self.resampled.then(|| self.sampler.clone()),
            clip_skip: self.clip_skip,
            init,
            strength: self.strength,
            mask,
            tiled: self.tiled,
            seed: self.seed,
        }
    }

    /// In the form of AUTOMATIC1111's web UI, which other programs read.
    pub fn parameters(&self) -> String {
        let mut text = self.prompt.clone();
        if let Some(negative) = &self.negative {
            text.push_str(&format!("\nNegative prompt: {negative}"));
        }
        let mut fields = vec![
            format!("Steps: {}", self.steps),
            format!("Sampler: {}", self.sampler),
            format!("CFG scale: {}", self.guidance),
            format!("Seed: {}", self.seed),
            format!("Size: {}x{}", self.width, self.height),
            format!("Model: {}", self.model),
            format!("Model hash: {:.10}", self.weights),
        ];
        fields.extend(self.revision.as_ref().map(|revision| format!("Model revision: {revision}")));
        fields.extend(self.vae.as_ref().map(|vae| format!("VAE: {vae}")));
        if self.init.is_some() {
            fields.push(format!("Denoising strength: {}", self.strength));
        }
        if self.clip_skip > 0 {
            // counted from the last layer there
            fields.push(format!("Clip skip: {}", self.clip_skip + 1));
        }
        if self.rescale > 0. {
            fields.push(format!("CFG Rescale: {}", self.rescale));
        }
        fields.push(format!("Version: image-gen {}", self.version));
        format!("{text}\n{}", fields.join(", "))
    }

    /// A picture as a file, with this inside where the kind of file can hold it and it is wanted.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn file(&self, picture: &Pixels, format: Format, told: bool) -> Result<Vec<u8>> {
        let own = serde_json::to_string(self)?;
        let texts = match told {
            true => vec![(PARAMETERS.to_string(), self.parameters()), (OWN.to_string(), own)],
            false => vec![],
        };
        Ok(picture.encode(format, &texts)?)
    }

    /// Reads it out of a file.
    ///
    /// # Errors
    /// A file that is no PNG, or holds none.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let texts = texts(bytes)?;
        let Some((_, text)) = texts.iter().find(|(keyword, _)| keyword == OWN) else {
            bail!(
                "it does not say how it was made: it is another program's, or was written with --no-metadata"
            );
        };
        serde_json::from_str(text).context("what it says of itself is damaged")
    }
}

/// What a PNG says of how it was made, for a reader.
///
/// # Errors
/// A file that is no PNG, or says nothing.
pub fn told(bytes: &[u8]) -> Result<String> {
    match texts(bytes)?.into_iter().find(|(keyword, _)| keyword == PARAMETERS) {
        Some((_, text)) => Ok(text),
        None => bail!("it does not say how it was made"),
    }
}

fn texts(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    png_texts(bytes).map_err(|_| anyhow!("not a PNG, and only a PNG says how it was made"))
}
