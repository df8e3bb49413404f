//! Autoencoders between pictures and the latents in which diffusion models work.
//!
//! - this file: the variational autoencoder of latent diffusion (Rombach et al., 2022), as in diffusers'
//!   `AutoencoderKL`: Stable Diffusion 1, 2, XL and later ones
//! - `config`: its `config.json`
//! - `coder`: its encoder and decoder
//! - [`tiny`]: TAESD, diffusers' `AutoencoderTiny`
//!
//! Pictures are (batch, channels, height, width) from -1 to 1.

mod coder;
mod config;
pub mod tiny;

pub use config::Config;

use crate::layers::conv::{Conv2d, Options};
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use coder::{Decoder, Encoder};

/// The autoencoder.
pub struct Vae {
    encoder: Encoder,
    decoder: Decoder,
    quant_conv: Option<Conv2d>,
    post_quant_conv: Option<Conv2d>,
    config: Config,
}

/// What a picture's latents may be: independent normal values, their moments (batch, latent channels, height, width).
#[derive(Debug, Clone)]
pub struct Distribution {
    /// The most likely latents.
    pub mean: Tensor,
    /// The logarithm of their variance, in -30 to 20.
    pub logvar: Tensor,
}

impl Distribution {
    /// Latents from standard normal `noise` of their shape.
    ///
    /// # Errors
    /// On noise of another shape.
    pub fn sample(&self, noise: &Tensor) -> Result<Tensor> {
        &self.mean + ((&self.logvar * 0.5)?.exp()? * noise)?
    }
}

impl Vae {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let pointwise = |channels: usize, name: &str| {
            Conv2d::new(channels, channels, [1, 1], Options::default(), true, vb.pp(name))
        };
        let quant_conv = cfg.use_quant_conv.then(|| pointwise(2 * cfg.latent_channels, "quant_conv"));
        let post_quant_conv =
            cfg.use_post_quant_conv.then(|| pointwise(cfg.latent_channels, "post_quant_conv"));
        Ok(Self {
            encoder: Encoder::new(cfg, vb.pp("encoder"))?,
            decoder: Decoder::new(cfg, vb.pp("decoder"))?,
            quant_conv: quant_conv.transpose()?,
            post_quant_conv: post_quant_conv.transpose()?,
            config: cfg.clone(),
        })
    }

    /// The latents of pictures (batch, in channels, height, width), smaller by [`Config::reduction`], rounded down.
    ///
    /// # Errors
    /// On other channels, and pictures too small to be halved so often.
    pub fn encode(&self, picture: &Tensor) -> Result<Distribution> {
        check("picture", picture, self.config.in_channels, self.config.reduction())?;
        let mut moments = self.encoder.forward(picture)?;
        if let Some(conv) = &self.quant_conv {
            moments = conv.forward(&moments)?;
        }
        let channels = self.config.latent_channels;
        let part = |first| moments.narrow(1, first, channels)?.contiguous();
        Ok(Distribution { mean: part(0)?, logvar: part(channels)?.clamp(-30f32, 20f32)? })
    }

    /// The pictures (batch, out channels, height, width) of latents (batch, latent channels, height, width), larger by
    /// [`Config::reduction`]. Values may lie somewhat beyond -1 to 1.
    ///
    /// # Errors
    /// On other channels.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        check("latents", latents, self.config.latent_channels, 1)?;
        match &self.post_quant_conv {
            Some(conv) => self.decoder.forward(&conv.forward(latents)?),
            None => self.decoder.forward(latents),
        }
    }

    /// Latents as a diffusion model sees them: about of variance one.
    ///
    /// # Errors
    /// On other channels.
    pub fn scale(&self, latents: &Tensor) -> Result<Tensor> {
        let (factor, shift) = self.moments(latents)?;
        latents.broadcast_sub(&shift)?.broadcast_div(&factor)
    }

    /// The reverse of [`Vae::scale`]: what [`Vae::decode`] takes from what a diffusion model made.
    ///
    /// # Errors
    /// On other channels.
    pub fn unscale(&self, latents: &Tensor) -> Result<Tensor> {
        let (factor, shift) = self.moments(latents)?;
        latents.broadcast_mul(&factor)?.broadcast_add(&shift)
    }

    /// Standard deviation and mean of the channels, each (1, latent channels, 1, 1).
    fn moments(&self, like: &Tensor) -> Result<(Tensor, Tensor)> {
        let cfg = &self.config;
        let channels = cfg.latent_channels;
        check("latents", like, channels, 1)?;
        let std = cfg.latents_std.clone().unwrap_or_else(|| vec![1.; channels]);
        let factor: Vec<f64> = std.iter().map(|std| std / cfg.scaling_factor).collect();
        let mean = cfg.latents_mean.clone();
        let mean = mean.unwrap_or_else(|| vec![cfg.shift_factor.unwrap_or(0.); channels]);
        let spread = |xs| Tensor::from_vec(xs, (1, channels, 1, 1), like.device())?.to_dtype(like.dtype());
        Ok((spread(factor)?, spread(mean)?))
    }
}

/// Refuses what is not (batch, `channels`, `least` or more, `least` or more).
fn check(what: &str, xs: &Tensor, channels: usize, least: usize) -> Result<()> {
    let (_, found, height, width) = xs.dims4()?;
    if found != channels {
        refuse!("{what} of {found} channels for an autoencoder of {channels}");
    }
    if height.min(width) < least {
        refuse!("{what} of {width}x{height} for an autoencoder that needs {least}x{least}");
    }
    Ok(())
}
