//! A model's folder in diffusers' layout -> text encoders, net, autoencoder, sampler.

use anyhow::{Result, bail};
use candle_core::Device;
use hub::Location;
use models::checkpoint::Checkpoint;
use models::diffusion;
use models::nets::unet::{self, UNet};
use models::vars::{VarBuilder, formats};
use serde_json::Value;

use crate::autoencoder::Autoencoder;
use crate::prompt::{Encoder, States};

/// Everything that a picture is made with.
pub struct Model {
    /// One text encoder, or two.
    pub encoders: Vec<Encoder>,
    /// Which of their states the net takes.
    pub states: States,
    /// Whether a negative prompt that is not given is no state at all, not that of no words.
    pub nothing_is_zero: bool,
    /// The net.
    pub unet: UNet,
    /// Its sizes.
    pub config: unet::Config,
    /// Between pictures and latents.
    pub autoencoder: Autoencoder,
    /// Its sampler.
    pub scheduler: diffusion::Config,
    /// What it asks for where the user does not.
    pub defaults: Defaults,
    /// Where it computes.
    pub device: Device,
    /// Of the pictures; where a model makes transparent ones, 4.
    pub picture_channels: usize,
}

/// Steps, guidance and size of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// Steps.
    pub steps: usize,
    /// Guidance.
    pub guidance: f64,
    /// Pixels a side.
    pub side: usize,
}

const INDEX: &str = "model_index.json";

impl Model {
    /// Loads a model. `device` and `dtype` are the words after `--device` and `--dtype`, `vae` a place whose autoencoder
    /// stands in for the model's own.
    ///
    /// # Errors
    /// One line on files that are missing, damaged or of another kind, and on a device that is not there.
    pub fn load(location: &Location, vae: Option<&Location>, device: &str, dtype: &str) -> Result<Self> {
        let files = studio::model::files(location, "model_index.json and its parts")?;
        let device = models::device::open(device)?;
        let index: Value = files.json(INDEX)?;
        let class = index["_class_name"].as_str().unwrap_or_default();
        let is_xl = class.starts_with("StableDiffusionXL");
        if !is_xl && !class.starts_with("StableDiffusion") && !class.starts_with("LatentConsistencyModel") {
            bail!(
                "{}: _class_name `{class}` is not supported: Stable Diffusion 1, 2, XL and consistency models are",
                files.describe(INDEX)
            );
        }
        let unet_files = files.below("unet");
        let checkpoint = Checkpoint::open(unet_files.clone())?;
        let (config, others): (unet::Config, Value) = (checkpoint.config()?, checkpoint.config()?);
        let unet = UNet::new(&config, weights(&checkpoint, dtype, &device))?;
        let autoencoder = match (vae, index["_pixel_shuffle"].as_u64()) {
            (Some(place), _) => {
                let place = studio::model::files(place, "config.json")?;
                let inside = place.below("vae");
                Autoencoder::open(if inside.has("config.json") { &inside } else { &place }, dtype, &device)?
            }
            (None, Some(patch)) if (1..=64).contains(&patch) => Autoencoder::Pixels(patch as usize),
            (None, Some(patch)) => bail!("{}: _pixel_shuffle {patch}", files.describe(INDEX)),
            (None, None) => Autoencoder::open(&files.below("vae"), dtype, &device)?,
        };
        let mut encoders = vec![];
        for (net, tokenizer) in [("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")] {
            if encoders.is_empty() || is_xl {
                encoders.push(Encoder::open(&files.below(net), &files.below(tokenizer), dtype, &device)?);
            }
        }
        let is_lcm = config.time_cond_proj_dim.is_some();
        let number = |name: &str| index[name].as_f64().filter(|number| number.is_finite());
        let places = match &others["sample_size"] {
            Value::Array(sides) => sides.first().and_then(Value::as_u64),
            size => size.as_u64(),
        };
        let reduction = autoencoder.reduction();
        let defaults = Defaults {
            steps: number("_steps").map_or(if is_lcm { 4 } else { 50 }, |steps| steps.max(1.) as usize),
            guidance: number("_guidance_scale").unwrap_or(match (is_lcm, is_xl) {
                (true, _) => 8.5,
                (_, true) => 5.,
                _ => 7.5,
            }),
            side: places.filter(|side| (1..=4096).contains(side)).unwrap_or(64) as usize * reduction,
        };
        let picture_channels = match &autoencoder {
            Autoencoder::Pixels(patch) => config.out_channels / (patch * patch),
            _ => 3,
        };
        let scheduler = files.below("scheduler").json("scheduler_config.json")?;
        Ok(Self {
            states: if is_xl { States::Penultimate } else { States::Normalised },
            nothing_is_zero: is_xl && index["force_zeros_for_empty_prompt"].as_bool().unwrap_or(true),
            encoders,
            unet,
            config,
            autoencoder,
            scheduler,
            defaults,
            device,
            picture_channels,
        })
    }
}

/// A net's weights in the format that the word after `--dtype` asks for.
pub(crate) fn weights(checkpoint: &Checkpoint, dtype: &str, device: &Device) -> VarBuilder<'static> {
    let (dtype, format) = formats(dtype, checkpoint.dtype(), device);
    checkpoint.vb(dtype, device).with_format(format)
}
