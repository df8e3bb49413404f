//! A loaded model at the terminal: draws one recipe.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use batch::Content;
use cli::{ComputeArgs, ModelArgs, Progress};
use hub::Resolved;
use image_gen::recipe::{Recipe, Source};
use image_gen::{Model, Progress as Drawing};
use media::image_file::Pixels;

use super::preview::Preview;

/// A model and what is known of it.
pub struct Studio {
    /// The model.
    pub model: Model,
    /// How it was found.
    pub found: Resolved,
    /// What its UNet's weights hash to.
    pub weights: String,
    /// Another autoencoder than its own.
    vae: Option<hub::Location>,
    /// Seconds that loading took.
    pub load_s: f64,
    progress: Progress,
}

/// A picture that was drawn.
pub struct Drawn {
    /// As it is to be written.
    pub picture: Pixels,
    /// Seconds.
    pub seconds: f64,
}

/// What stands behind pictures that are not to be see-through.
const GROUND: [u8; 3] = [255; 3];

impl Studio {
    /// Finds a model and loads it.
    ///
    /// # Errors
    /// A model that is not found or cannot be loaded.
    pub fn open(
        asked: &ModelArgs,
        vae: Option<&str>,
        compute: &ComputeArgs,
        progress: &Progress,
    ) -> Result<Self> {
        let began = Instant::now();
        let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
        let vae = vae.map(|name| {
            let asked = ModelArgs { model: name.to_string(), offline: asked.offline };
            asked.resolve(crate::EMBEDDED, super::VAE_WANTS, progress)
        });
        let vae = vae.transpose()?.map(|found| found.location);
        let load = |place: &hub::Location| Model::load(place, vae.as_ref(), &device, &dtype);
        let (model, found) = studio::model::load(asked, crate::EMBEDDED, super::WANTS, progress, load)?;
        let files = studio::model::files(&found.location, "model_index.json")?;
        let weights = studio::model::identity(&files.below("unet"))?;
        let load_s = began.elapsed().as_secs_f64();
        Ok(Self { model, found, weights, vae, load_s, progress: progress.clone() })
    }

    /// What changes when any weights do: the UNet's, those of text encoders, and those of the autoencoder.
    ///
    /// # Errors
    /// Weights that cannot be read.
    pub fn identity(&self) -> Result<String> {
        let files = studio::model::files(&self.found.location, "model_index.json")?;
        let mut all = vec![self.weights.clone()];
        for part in ["text_encoder", "text_encoder_2", "vae"].map(|part| files.below(part)) {
            if studio::model::has_weights(&part) {
                all.push(studio::model::identity(&part)?);
            }
        }
        if let Some(place) = &self.vae {
            let files = studio::model::files(place, "config.json")?;
            let inside = files.below("vae");
            all.push(studio::model::identity(if studio::model::has_weights(&inside) {
                &inside
            } else {
                &files
            })?);
        }
        Ok(all.join(" "))
    }

    /// Draws what a recipe says, behind a bar.
    ///
    /// # Errors
    /// A recipe that the model cannot follow, and pictures that are not what they were.
    pub fn draw(&self, recipe: &Recipe, preview: bool) -> Result<Drawn> {
        let read = |source: &Option<Source>| -> Result<Option<Pixels>> {
            let Some(source) = source else { return Ok(None) };
            let (picture, found) = picture(&source.path)?;
            if found.sha256 != source.sha256 {
                bail!("{}: another picture than it was", source.path.display());
            }
            Ok(Some(picture.fitted(recipe.width as u32, recipe.height as u32)))
        };
        let request = recipe.request(read(&recipe.init)?, read(&recipe.mask)?);
        let bar = self.progress.bar(recipe.steps as u64, "drawing");
        let mut preview = Preview::new(preview);
        let began = Instant::now();
        let made = self.model.generate(&request, &mut |at: Drawing<'_>| {
            bar.total(at.of as u64);
            bar.set(at.done as u64);
            preview.show(&at);
            ControlFlow::Continue(())
        });
        bar.finish();
        preview.clear();
        let Some(made) = made? else { bail!("stopped") };
        let picture = if recipe.transparent { made } else { made.over(GROUND) };
        if let Some(peak) = peak_memory() {
            self.progress.detail(format!("memory: {peak} MB at most"));
        }
        Ok(Drawn { picture: picture.enlarged(recipe.scale), seconds: began.elapsed().as_secs_f64() })
    }
}

/// Reads a picture, with what it hashes to.
///
/// # Errors
/// What is no ordinary file or no picture.
pub fn picture(path: &Path) -> Result<(Pixels, Source)> {
    let name = || path.display().to_string();
    if !std::fs::metadata(path).with_context(name)?.is_file() {
        bail!("{}: not an ordinary file", path.display());
    }
    let bytes = std::fs::read(path).with_context(name)?;
    let picture = Pixels::decode(&bytes).with_context(name)?;
    let sha256 = Content::Bytes(bytes).digest()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = std::path::absolute(path).with_context(name)?;
    Ok((picture, Source { path, sha256 }))
}

/// The most megabytes that this process held at once, where the system says it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? / 1024)
}
