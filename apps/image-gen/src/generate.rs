//! A request -> a picture.

use std::cell::Cell;
use std::ops::ControlFlow;

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use media::image_file::Pixels;
use models::diffusion::Sampler;
use models::random::Generator;

use crate::autoencoder::Noise;
use crate::denoise::{Denoiser, Guidance, Told};
use crate::model::Model;
use crate::pixels;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The words.
    pub prompt: String,
    /// What is not wanted; nothing is as good as no words, but for Stable Diffusion XL.
    pub negative: Option<String>,
    /// Pixels in a row: a multiple of [`Model::multiple`].
    pub width: usize,
    /// Rows: as `width`.
    pub height: usize,
    /// Steps.
    pub steps: usize,
    /// How far from the negative prompt.
    pub guidance: f64,
    /// How much contrast is given back: 0 to 1.
    pub rescale: f64,
    /// Another sampler than the model's, by its name.
    pub scheduler: Option<String>,
    /// Layers of the text encoder that are left out at the end.
    pub clip_skip: usize,
    /// A picture to begin with, of the asked size.
    pub init: Option<Pixels>,
    /// How much of it is made anew: 0 to 1.
    pub strength: f64,
    /// White where something new is to be made, of the asked size.
    pub mask: Option<Pixels>,
    /// Whether the picture is decoded in tiles.
    pub tiled: bool,
    /// Seed of PyTorch's generator on a processor.
    pub seed: u64,
}

/// Where a picture stands.
pub struct Progress<'a> {
    /// Times that the net was asked.
    pub done: usize,
    /// Of so many.
    pub of: usize,
    model: &'a Model,
    latents: &'a Tensor,
}

impl Progress<'_> {
    /// A small picture of what there is.
    ///
    /// # Errors
    /// Those of the autoencoder.
    pub fn glance(&self) -> candle_core::Result<Pixels> {
        let mut pictures = pixels::from_tensor(&self.model.autoencoder.glance(self.latents)?)?;
        pictures.pop().ok_or_else(|| candle_core::Error::Msg("no picture".into()))
    }
}

/// Is told where a picture stands, and may stop it.
pub type OnStep<'a> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'a;

impl Model {
    /// What both sides of a picture must be a multiple of.
    pub fn multiple(&self) -> usize {
        match &self.autoencoder {
            // the net halves its sides
            crate::Autoencoder::Pixels(patch) => patch << (self.config.levels() - 1),
            autoencoder => autoencoder.reduction(),
        }
    }

    /// Makes a picture; nothing where `on_step` stopped it.
    ///
    /// # Errors
    /// A request that the model cannot fulfil.
    pub fn generate(&self, request: &Request, on_step: &mut OnStep<'_>) -> Result<Option<Pixels>> {
        self.check(request)?;
        let mut generator = Generator::new(request.seed);
        let device = &self.device;
        let mut draw = move |shape: &[usize]| {
            Tensor::from_vec(generator.randn(shape.iter().product()), shape, &Device::Cpu)?.to_device(device)
        };
        let config = match &request.scheduler {
            Some(name) => self.scheduler.with_sampler(name)?,
            None => self.scheduler.clone(),
        };
        let mut sampler = Sampler::new(&config, request.steps)?;
        let given = request.init.is_some();
        let from = if given { sampler.begin(request.strength) } else { 0 };
        if from >= sampler.times().len() {
            bail!("--strength {} of {} steps leaves none to do", request.strength, request.steps);
        }
        let guided = request.guidance > 1. && self.config.time_cond_proj_dim.is_none();
        let told = self.told(request, guided)?;
        let begun = self.begin(request, &sampler, from, &mut draw)?;
        let denoiser = Denoiser {
            unet: &self.unet,
            told: &told,
            guidance: guided.then_some(Guidance { scale: request.guidance, rescale: request.rescale }),
            beside: begun.beside.as_ref().map(|beside| twice(beside, guided)).transpose()?,
        };
        let of = sampler.times().len() - from;
        let stopped = Cell::new(false);
        let shape = begun.latents.dims().to_vec();
        let sampled = sampler.run(
            from,
            &begun.latents,
            &mut || draw(&shape),
            &mut |xs, time| match stopped.get() {
                true => candle_core::bail!("stopped"),
                false => denoiser.predict(xs, time),
            },
            &mut |step| {
                let mut latents = step.made.clone();
                if let Some(kept) = &begun.kept {
                    let around = step.noised(&kept.latents, &kept.noise)?;
                    let inside = kept.mask.broadcast_as(latents.shape())?;
                    latents = ((latents * &inside)? + around.broadcast_mul(&kept.mask.affine(-1., 1.)?)?)?;
                }
                let progress = Progress { done: step.number + 1 - from, of, model: self, latents: &latents };
                stopped.set(on_step(progress).is_break());
                Ok(latents)
            },
        );
        if stopped.get() {
            return Ok(None);
        }
        let mut pictures = pixels::from_tensor(&self.autoencoder.decode(&sampled?, request.tiled)?)?;
        Ok(pictures.pop())
    }

    fn check(&self, request: &Request) -> Result<()> {
        let by = self.multiple();
        for (name, side) in [("--width", request.width), ("--height", request.height)] {
            if side == 0 || !side.is_multiple_of(by) {
                bail!("{name} {side} is not a multiple of {by}, which this model's pictures are");
            }
        }
        for (name, picture) in [("--init", &request.init), ("--mask", &request.mask)] {
            if let Some(picture) = picture.as_ref().filter(|picture| {
                (picture.width as usize, picture.height as usize) != (request.width, request.height)
            }) {
                bail!(
                    "{name}: a picture of {}x{}, and what is made is {}x{}",
                    picture.width,
                    picture.height,
                    request.width,
                    request.height
                );
            }
        }
        if request.mask.is_some() && request.init.is_none() {
            bail!("--mask says where a picture changes: --init names the picture");
        }
        let layers = self.encoders.iter().map(crate::prompt::Encoder::layers).min().unwrap_or(0);
        if request.clip_skip >= layers {
            bail!("--clip-skip {}: the text encoder has {layers} layers", request.clip_skip);
        }
        let inputs = self.config.in_channels;
        let own = self.config.out_channels;
        match inputs.checked_sub(own) {
            Some(0) => Ok(()),
            Some(more) if more == own + 1 && request.mask.is_some() => Ok(()),
            Some(more) if more == own + 1 => {
                bail!("this model fills in parts of pictures: give it --init and --mask")
            }
            _ => {
                bail!("a net of {inputs} channels for pictures of {own}: this kind of model is not supported")
            }
        }
    }

    /// What the net is told beside picture and time.
    fn told(&self, request: &Request, guided: bool) -> Result<Told> {
        let negative = request.negative.as_deref().unwrap_or("");
        let zeros = self.nothing_is_zero && request.negative.is_none();
        let (mut states, mut pooled) = (vec![], None);
        let read =
            |text: &str| self.encoders.iter().map(|encoder| encoder.read(text)).collect::<Result<Vec<_>>>();
        let (with, without) = (read(&request.prompt)?, read(negative)?);
        // both prompts, and both encoders, need the same number of windows
        let both = self.encoders.iter().zip(with.iter().zip(&without));
        let windows = both
            .map(|(encoder, (with, without))| {
                let other = if guided { encoder.windows(without) } else { 1 };
                encoder.windows(with).max(other)
            })
            .max()
            .unwrap_or(1);
        for (number, encoder) in self.encoders.iter().enumerate() {
            let encode = |prompt, skip| encoder.encode(prompt, windows, self.states, skip, &self.device);
            let said = encode(&with[number], request.clip_skip)?;
            if !guided {
                states.push(said.states);
                pooled = Some(said.pooled);
                continue;
            }
            // diffusers skips layers for the prompt alone
            let other = encode(&without[number], 0)?;
            let (other, ended) = match zeros {
                true => (other.states.zeros_like()?, other.pooled.zeros_like()?),
                false => (other.states, other.pooled),
            };
            states.push(Tensor::cat(&[&other, &said.states], 0)?);
            pooled = Some(Tensor::cat(&[&ended, &said.pooled], 0)?);
        }
        let context = Tensor::cat(&states, 2)?;
        let (batch, dtype) = (context.dim(0)?, context.dtype());
        let added = match (&self.config.addition_embed_type, pooled) {
            (Some(kind), Some(pooled)) if kind == "text_time" => {
                let (high, wide) = (request.height as f32, request.width as f32);
                // the size before training, where it was cut, and the size that is wanted
                let sizes =
                    Tensor::new(&[[high, wide, 0., 0., high, wide]], &self.device)?.to_dtype(dtype)?;
                Some((pooled, sizes.repeat((batch, 1))?))
            }
            _ => None,
        };
        let guidance =
            self.config.time_cond_proj_dim.map(|width| waves(request.guidance - 1., width, &self.device));
        Ok(Told { context, added, guidance: guidance.transpose()? })
    }

    /// What sampling begins with, drawn in diffusers' order.
    fn begin(
        &self,
        request: &Request,
        sampler: &Sampler,
        from: usize,
        draw: &mut Noise<'_>,
    ) -> Result<Begun> {
        let reduction = self.autoencoder.reduction();
        let shape = [1, self.config.out_channels, request.height / reduction, request.width / reduction];
        let Some(init) = &request.init else {
            let latents = (draw(&shape)? * sampler.first_noise())?;
            return Ok(Begun { latents, kept: None, beside: None });
        };
        let picture = pixels::to_tensor(&[init], self.picture_channels, &self.device)?;
        let beside_net = self.config.in_channels > self.config.out_channels;
        // all anew, and a net that sees what lies around the mask by itself
        let anew = request.mask.is_some() && request.strength >= 1.;
        let data = match anew && beside_net {
            true => None,
            false => Some(self.autoencoder.encode(&picture, request.tiled, draw)?),
        };
        let noise = draw(&shape)?;
        let latents = match &data {
            Some(data) if !anew => sampler.noised(from, data, &noise)?,
            _ => (&noise * sampler.first_noise())?,
        };
        let Some(mask) = &request.mask else { return Ok(Begun { latents, kept: None, beside: None }) };
        let mask = binary(mask, &self.device)?;
        let around = picture.broadcast_mul(&mask.affine(-1., 1.)?)?;
        let around = self.autoencoder.encode(&around, request.tiled, draw)?;
        let mask = nearest(&mask, shape[2], shape[3])?;
        Ok(match (beside_net, data) {
            (true, _) => Begun { latents, kept: None, beside: Some(Tensor::cat(&[&mask, &around], 1)?) },
            (false, Some(data)) => {
                Begun { latents, kept: Some(Kept { latents: data, noise, mask }), beside: None }
            }
            (false, None) => bail!("a mask without a picture"),
        })
    }
}

struct Begun {
    latents: Tensor,
    kept: Option<Kept>,
    beside: Option<Tensor>,
}

/// What stays as it was, outside of a mask.
struct Kept {
    latents: Tensor,
    noise: Tensor,
    mask: Tensor,
}

fn twice(xs: &Tensor, guided: bool) -> candle_core::Result<Tensor> {
    if guided { Tensor::cat(&[xs, xs], 0) } else { Ok(xs.clone()) }
}

/// A mask's brightness as (1, 1, height, width): 1 from a half on, else 0. The grey is Pillow's (ITU-R 601-2).
fn binary(mask: &Pixels, device: &Device) -> candle_core::Result<Tensor> {
    let flat = mask.over([0; 3]);
    let grey = |pixel: &[u8]| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
        let level = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
        if level as f32 / 255. < 0.5 { 0f32 } else { 1. }
    };
    let values: Vec<f32> = flat.rgba.chunks_exact(4).map(grey).collect();
    Tensor::from_vec(values, (1, 1, mask.height as usize, mask.width as usize), device)
}

/// The values at the upper left corners of equal parts.
fn nearest(xs: &Tensor, height: usize, width: usize) -> candle_core::Result<Tensor> {
    let (_, _, high, wide) = xs.dims4()?;
    let places =
        |count: usize, of: usize| Tensor::from_iter((0..count).map(|i| (i * of / count) as u32), xs.device());
    xs.contiguous()?.index_select(&places(height, high)?, 2)?.index_select(&places(width, wide)?, 3)
}

/// A guidance as waves (1, width), as consistency models were taught it (Luo et al., 2023).
fn waves(guidance: f64, width: usize, device: &Device) -> candle_core::Result<Tensor> {
    let half = width / 2;
    let step = 10_000f64.ln() / (half as f64 - 1.).max(1.);
    let angles: Vec<f64> = (0..half).map(|i| 1000. * guidance * (-(i as f64) * step).exp()).collect();
    let mut values: Vec<f32> = angles.iter().map(|angle| angle.sin() as f32).collect();
    values.extend(angles.iter().map(|angle| angle.cos() as f32));
    values.resize(width, 0.);
    Tensor::from_vec(values, (1, width), device)?.to_dtype(DType::F32)
}
