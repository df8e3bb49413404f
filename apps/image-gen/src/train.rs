//! Learning from a user's pictures: a small UNet with its text encoder, for pixels themselves, in diffusers' layout.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use media::image_file::Pixels;
use models::checkpoint::{Checkpoint, Files, save, save_diffusers};
use models::diffusion::{self, Sampler};
use models::layers::init;
use models::layers::loss::squared_error;
use models::nets::clip::{self, ClipText};
use models::nets::unet::{self, Each, UNet};
use models::tokens::{ClipTokens, learn_clip};
use models::vars::VarBuilder;
use serde_json::json;
use training::{Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::corpus::{Corpus, Example};
use crate::denoise::{Denoiser, Guidance, Told};
use crate::pixels;

/// Sizes of a new model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Pixels a side.
    pub size: u32,
    /// 3 channels, or 4 where pictures are transparent.
    pub channels: usize,
    /// Channels of the finest level; the next ones have two and four times as many.
    pub width: usize,
}

/// What a model consists of, beside its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Nets {
    /// Pixels a side that the net sees as one place.
    pub patch: usize,
    /// `text_encoder/config.json`.
    pub text: clip::Config,
    /// `unet/config.json`.
    pub unet: unet::Config,
    /// `scheduler/scheduler_config.json`.
    pub scheduler: diffusion::Config,
}

/// Places a side that a new net sees: of them it makes three levels.
const PLACES: u32 = 16;
/// Tokens of a prompt.
const TOKENS: usize = 32;
/// Width of the text encoder.
const TEXT: usize = 128;

impl Shape {
    /// The configurations of a new model.
    pub fn nets(&self, tokens: &ClipTokens) -> Nets {
        let patch = (self.size / PLACES) as usize;
        let words = |words: [&str; 3]| words.map(String::from).to_vec();
        let text = clip::Config {
            architectures: vec!["CLIPTextModel".into()],
            vocab_size: tokens.tokens.len(),
            hidden_size: TEXT,
            intermediate_size: 4 * TEXT,
            projection_dim: TEXT,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            max_position_embeddings: TOKENS,
            eos_token_id: tokens.last,
            ..clip::Config::default()
        };
        let unet = unet::Config {
            in_channels: self.channels * patch * patch,
            out_channels: self.channels * patch * patch,
            block_out_channels: vec![self.width, 2 * self.width, 4 * self.width],
            down_block_types: words(["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"]),
            up_block_types: words(["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]),
            layers_per_block: Each::One(1),
            attention_head_dim: Each::One(4),
            cross_attention_dim: Each::One(TEXT),
            addition_embed_type: Some("text".into()),
            addition_embed_type_num_heads: 4,
            norm_num_groups: 16,
            other: [("sample_size".to_string(), json!(PLACES))].into_iter().collect(),
            ..unet::Config::default()
        };
        // all of the data is gone at the last time, so that dark and bright pictures can be made (Lin et al., 2024)
        // and noise that comes anew at each step mends what a small net got wrong in the steps before
        let scheduler = diffusion::Config {
            class: Some("EulerAncestralDiscreteScheduler".into()),
            num_train_timesteps: Some(1000),
            beta_schedule: Some("squaredcos_cap_v2".into()),
            prediction_type: Some("v_prediction".into()),
            timestep_spacing: Some("trailing".into()),
            ..diffusion::Config::default()
        };
        Nets { patch, text, unet, scheduler }
    }
}

impl Nets {
    /// Those of a model that was trained here.
    ///
    /// # Errors
    /// A model of another kind.
    pub fn open(files: &Files) -> Result<Self> {
        let index: serde_json::Value = files.json("model_index.json")?;
        let Some(patch) = index["_pixel_shuffle"].as_u64() else {
            bail!(
                "{}: a model that was not trained here: it makes latents, and training makes pixels",
                files.describe("model_index.json")
            );
        };
        Ok(Self {
            patch: patch as usize,
            text: files.below("text_encoder").json("config.json")?,
            unet: files.below("unet").json("config.json")?,
            scheduler: files.below("scheduler").json("scheduler_config.json")?,
        })
    }

    /// Pixels a side.
    pub fn size(&self) -> u32 {
        let places = self.unet.other.get("sample_size").and_then(serde_json::Value::as_u64);
        places.map_or(PLACES, |places| places as u32) * self.patch as u32
    }

    /// Channels of pictures.
    pub fn channels(&self) -> usize {
        self.unet.in_channels / (self.patch * self.patch)
    }
}

/// What a training is asked to do, beside how long (`options`).
pub struct Plan {
    /// The model.
    pub nets: Nets,
    /// Its tokenizer.
    pub tokens: ClipTokens,
    /// Pictures in a micro-batch.
    pub batch: usize,
    /// Whether half of the pictures are seen mirrored.
    pub mirror: bool,
    /// What the weights to start from hash to, where there are any.
    pub base: Option<String>,
    /// What the sheet shows: prompts.
    pub prompts: Vec<String>,
    /// Length, rate and the like.
    pub options: Options,
}

/// Takes the pictures of a sheet.
pub type OnSheet<'a> = dyn FnMut(&[Pixels]) -> candle_core::Result<()> + Sync + 'a;

/// Fits a model to pictures, going on from the checkpoint in `folder` where there is one. `base` holds the weights to start
/// from; `on_sheet` gets a picture of each of the plan's prompts whenever the held-out loss is looked at.
///
/// # Errors
/// What `training::fit` refuses, and shapes that do not fit the base.
pub fn train(
    corpus: &Corpus,
    plan: &Plan,
    base: Option<&Files>,
    folder: &Path,
    device: &Device,
    on_sheet: &mut OnSheet<'_>,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    // each part has its own file, and in a training its own prefix
    let own = |part: &str| -> Result<(VarMap, VarBuilder<'static>)> {
        let own = VarMap::new();
        let vb = match base {
            Some(files) => {
                let stored = Checkpoint::open(files.below(part))?.vb(DType::F32, device);
                init::trainable(&own, stored)
            }
            None => init::seeded(&own, plan.options.seed, device),
        };
        Ok((own, vb))
    };
    let (text_vars, text_vb) = own("text_encoder")?;
    let text = ClipText::new(&plan.nets.text, text_vb)?;
    let (unet_vars, unet_vb) = own("unet")?;
    let unet = UNet::new(&plan.nets.unet, unet_vb)?;
    let mut all = Vec::new();
    for (part, vars) in [(TEXT_PART, text_vars), (UNET_PART, unet_vars)] {
        all.extend(init::sorted(&vars).into_iter().map(|(name, var)| (format!("{part}{name}"), var)));
    }
    let alphas = diffusion::alphas(&plan.nets.scheduler)?;
    let mut task = Pictures { text, unet, corpus, plan, alphas, device, on_sheet };
    Ok(fit(&all, &plan.options, Some(folder), &mut task, on_step)?)
}

const TEXT_PART: &str = "text_encoder/";
const UNET_PART: &str = "unet/";

struct Pictures<'a> {
    text: ClipText,
    unet: UNet,
    corpus: &'a Corpus,
    plan: &'a Plan,
    alphas: Vec<f64>,
    device: &'a Device,
    on_sheet: &'a mut OnSheet<'a>,
}

/// How often nothing is said of a picture, so that guidance can tell what the prompt adds.
const UNTOLD: f64 = 0.1;
/// How often a word of a caption is left out: a prompt says less than a caption.
const LEFT_OUT: f64 = 0.25;
/// How often a word that means nothing is put in: a prompt has words that no caption had.
const STRAY: f64 = 0.15;
/// Beyond this signal to noise a time weighs less (Hang et al., 2023): what is left to say there are single pixels.
const MOST_SIGNAL: f64 = 5.;
/// Pictures that a look at the held-out loss takes, at most.
const LOOKED_AT: usize = 256;
/// Steps and guidance of the sheet's pictures.
const SHEET_STEPS: usize = 20;
const SHEET_GUIDANCE: f64 = 2.;

/// How much the velocity of a time weighs, `alpha` of whose square is signal. Those that are nearly all noise weigh as much
/// as any: there the words alone decide what the picture will be.
fn weight(alpha: f64) -> f32 {
    let signal = alpha / (1. - alpha).max(1e-9);
    ((MOST_SIGNAL + 1.) / (signal + 1.)).min(1.) as f32
}

impl Pictures<'_> {
    /// A caption as someone might type it.
    fn told(&self, caption: &str, rng: &mut Rng) -> String {
        if rng.uniform() < UNTOLD {
            return String::new();
        }
        let all: Vec<&str> = caption.split_whitespace().collect();
        let mut words: Vec<String> =
            all.iter().filter(|_| rng.uniform() >= LEFT_OUT).map(|word| word.to_string()).collect();
        if words.is_empty() && !all.is_empty() {
            words.push(all[rng.below(all.len())].to_string());
        }
        if rng.uniform() < STRAY {
            let letters = 2 + rng.below(6);
            let stray = (0..letters).map(|_| char::from(b'a' + rng.below(26) as u8)).collect();
            words.insert(rng.below(words.len() + 1), stray);
        }
        let article = ["", "", "a", "an", "the", "a picture of a"][rng.below(6)];
        if article.is_empty() { words.join(" ") } else { format!("{article} {}", words.join(" ")) }
    }

    fn states(&self, prompts: &[String]) -> candle_core::Result<Tensor> {
        let tokens = &self.plan.tokens;
        let mut ids = Vec::new();
        for prompt in prompts {
            ids.extend(tokens.framed(&tokens.words(prompt)?));
        }
        let ids = Tensor::from_vec(ids, (prompts.len(), tokens.length), self.device)?;
        Ok(self.text.forward(&ids)?.last_hidden_state)
    }

    /// The loss on some pictures, each told something, with noise from `rng`.
    fn loss_of(
        &self,
        pictures: &[&Pixels],
        prompts: &[String],
        rng: &mut Rng,
    ) -> candle_core::Result<Tensor> {
        let (count, nets) = (pictures.len(), &self.plan.nets);
        let data = pixels::to_tensor(pictures, nets.channels(), self.device)?;
        let data = pixels::unshuffle(&data, nets.patch)?;
        let noise = rng.normal_tensor(data.dims(), self.device)?;
        // times that are spread over all of them, whatever the batch
        let first = rng.uniform();
        let part = |i: usize| (first + i as f64 / count as f64).fract();
        let times: Vec<usize> = (0..count).map(|i| (part(i) * self.alphas.len() as f64) as usize).collect();
        let column = |value: &dyn Fn(f64) -> f64| {
            let values: Vec<f32> = times.iter().map(|time| value(self.alphas[*time]) as f32).collect();
            Tensor::from_vec(values, (count, 1, 1, 1), self.device)
        };
        let (kept, added) = (column(&f64::sqrt)?, column(&|alpha| (1. - alpha).sqrt())?);
        let noisy = (data.broadcast_mul(&kept)? + noise.broadcast_mul(&added)?)?;
        let velocity = (noise.broadcast_mul(&kept)? - data.broadcast_mul(&added)?)?;
        let weights: Vec<f32> = times.iter().map(|time| weight(self.alphas[*time])).collect();
        let context = self.states(prompts)?;
        let times: Vec<f32> = times.iter().map(|time| *time as f32).collect();
        let conditions = unet::Conditions { context: &context, added: None, guidance: None };
        let said = self.unet.forward(&noisy, &times, conditions)?;
        squared_error(&said, &velocity, &weights)
    }

    fn sheet(&self) -> candle_core::Result<Vec<Pixels>> {
        let (prompts, nets) = (&self.plan.prompts, &self.plan.nets);
        let all: Vec<String> =
            vec![String::new(); prompts.len()].into_iter().chain(prompts.iter().cloned()).collect();
        let told = Told { context: self.states(&all)?.detach(), added: None, guidance: None };
        let guidance = Some(Guidance { scale: SHEET_GUIDANCE, rescale: 0. });
        let denoiser = Denoiser { unet: &self.unet, told: &told, guidance, beside: None };
        let places = nets.size() as usize / nets.patch;
        let mut rng = Rng::new(self.plan.options.seed);
        let mut noise =
            || rng.normal_tensor((prompts.len(), nets.unet.in_channels, places, places), self.device);
        let mut sampler = Sampler::new(&nets.scheduler, SHEET_STEPS)?;
        let begin = (noise()? * sampler.first_noise())?;
        let xs = sampler.run(
            0,
            &begin,
            &mut noise,
            &mut |xs, time| Ok(denoiser.predict(xs, time)?.detach()),
            &mut |step| Ok(step.made),
        )?;
        pixels::from_tensor(&pixels::shuffle(&xs, nets.patch)?)
    }
}

/// The mirror image.
fn mirrored(pixels: &Pixels) -> Pixels {
    let row = |row: &[u8]| row.chunks_exact(4).rev().flatten().copied().collect::<Vec<u8>>();
    Pixels { rgba: pixels.rgba.chunks_exact(4 * pixels.width as usize).flat_map(row).collect(), ..*pixels }
}

impl Task for Pictures<'_> {
    fn fingerprint(&self) -> String {
        let bytes = self
            .corpus
            .train
            .iter()
            .flat_map(|example| example.caption.bytes().chain(example.pixels.rgba.iter().copied()));
        let hash = training::hash(bytes);
        let Plan { nets, batch, mirror, base, .. } = self.plan;
        let base = base.as_deref().map_or(String::new(), |base| format!(", from {base:.12}"));
        format!(
            "{} pictures {hash:016x}, {} of {}, levels {:?}, batch {batch}, mirror {mirror}{base}",
            self.corpus.train.len(),
            nets.size(),
            nets.channels(),
            nets.unet.block_out_channels,
        )
    }

    fn loss(&self, rng: &mut Rng, _: u64, _: usize) -> candle_core::Result<Loss> {
        let count = self.plan.batch;
        let drawn: Vec<&Example> =
            (0..count).map(|_| &self.corpus.train[rng.below(self.corpus.train.len())]).collect();
        let prompts: Vec<String> = drawn.iter().map(|example| self.told(&example.caption, rng)).collect();
        let turned: Vec<Option<Pixels>> = drawn
            .iter()
            .map(|example| (self.plan.mirror && rng.uniform() < 0.5).then(|| mirrored(&example.pixels)))
            .collect();
        let pictures: Vec<&Pixels> = drawn
            .iter()
            .zip(&turned)
            .map(|(example, turned)| turned.as_ref().unwrap_or(&example.pixels))
            .collect();
        Ok(Loss { value: self.loss_of(&pictures, &prompts, rng)?, items: count })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        if !self.plan.prompts.is_empty() {
            let sheet = self.sheet()?;
            (self.on_sheet)(&sheet)?;
        }
        let all = &self.corpus.held_out;
        let stride = all.len().div_ceil(LOOKED_AT).max(1);
        let kept: Vec<&Example> = all.iter().step_by(stride).collect();
        let (mut sum, mut count) = (0., 0);
        for (i, chunk) in (0u64..).zip(kept.chunks(self.plan.batch)) {
            let pictures: Vec<&Pixels> = chunk.iter().map(|example| &example.pixels).collect();
            let prompts: Vec<String> = chunk.iter().map(|example| example.caption.clone()).collect();
            let mut rng = Rng::at(self.plan.options.seed, &[u64::MAX, i]);
            let loss = self.loss_of(&pictures, &prompts, &mut rng)?.detach().to_scalar::<f32>()?;
            sum += f64::from(loss) * chunk.len() as f64;
            count += chunk.len();
        }
        Ok((count > 0).then(|| sum / count as f64))
    }
}

/// The files of a tokenizer for captions.
///
/// # Errors
/// Captions that no tokenizer can be learned from.
pub fn learn_tokens(corpus: &Corpus) -> Result<Vec<(String, Vec<u8>)>> {
    let captions: Vec<&str> = corpus.train.iter().map(|example| example.caption.as_str()).collect();
    Ok(learn_clip(&captions, TOKEN_KINDS, TOKENS)?)
}

/// The most kinds of tokens: words that come twice have one of their own before that.
const TOKEN_KINDS: usize = 3000;

/// What a model asks for where its user does not.
const STEPS: usize = 30;
const GUIDANCE: f64 = 2.;

/// Writes what a training gave in diffusers' layout; weights in f16. `tokenizer` is the files of that folder.
///
/// # Errors
/// A disk that cannot be written, weights beyond f16.
pub fn write(folder: &Path, plan: &Plan, fitted: &Fitted, tokenizer: &[(String, Vec<u8>)]) -> Result<()> {
    let part = |prefix: &str| -> Vec<(String, Tensor)> {
        let own = |(name, tensor): (&String, &Tensor)| {
            Some((name.strip_prefix(prefix)?.to_string(), tensor.clone()))
        };
        fitted.weights.iter().filter_map(own).collect()
    };
    let mut unet = serde_json::to_value(&plan.nets.unet)?;
    if let Some(fields) = unet.as_object_mut() {
        fields.insert("_class_name".into(), "UNet2DConditionModel".into());
    }
    let mut text = serde_json::to_value(&plan.nets.text)?;
    if let Some(fields) = text.as_object_mut() {
        fields.insert("model_type".into(), "clip_text_model".into());
        fields.insert("bos_token_id".into(), plan.tokens.first.into());
        fields.insert("pad_token_id".into(), plan.tokens.pad.into());
    }
    for (name, bytes) in tokenizer {
        batch::write_bytes(&folder.join("tokenizer").join(name), bytes, true)?;
    }
    let scheduler = serde_json::to_value(&plan.nets.scheduler)?;
    let scheduler = format!("{scheduler:#}\n");
    batch::write_bytes(&folder.join("scheduler/scheduler_config.json"), scheduler.as_bytes(), true)?;
    save(&folder.join("text_encoder"), &text, &part(TEXT_PART), DType::F16)?;
    save_diffusers(&folder.join("unet"), &unet, &part(UNET_PART), DType::F16)?;
    let index = json!({
        "_class_name": "StableDiffusionPipeline",
        "_guidance_scale": GUIDANCE,
        "_pixel_shuffle": plan.nets.patch,
        "_steps": STEPS,
        "feature_extractor": [null, null],
        "requires_safety_checker": false,
        "safety_checker": [null, null],
        "scheduler": ["diffusers", plan.nets.scheduler.class],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": [null, null],
    });
    batch::write_bytes(&folder.join("model_index.json"), format!("{index:#}\n").as_bytes(), true)?;
    Ok(())
}
