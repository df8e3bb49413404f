//! What stands between pictures and what is diffused: a variational autoencoder, a small one, or nothing but an order of
//! pixels.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::nets::vae::tiny::{self, Tiny};
use models::nets::vae::{self, Vae};
use serde_json::Value;

use crate::model::weights;
use crate::pixels;

/// One of the three.
pub enum Autoencoder {
    /// Stable Diffusion's.
    Variational(Box<Vae>, vae::Config),
    /// TAESD.
    Tiny(Box<Tiny>, tiny::Config),
    /// Blocks of so many pixels a side as channels: what models that were trained here diffuse.
    Pixels(usize),
}

/// Draws standard normal noise of a shape.
pub type Noise<'a> = dyn FnMut(&[usize]) -> candle_core::Result<Tensor> + 'a;

/// Latents a side that are decoded at once; larger ones in tiles that overlap.
const TILE: usize = 64;
/// Latents a side of a quick look at what forms.
const GLANCE: usize = 16;

impl Autoencoder {
    /// Reads one from its folder.
    ///
    /// # Errors
    /// A kind that is not supported, and weights that are missing or damaged.
    pub fn open(files: &Files, dtype: &str, device: &Device) -> Result<Self> {
        let config: Value = files.json("config.json")?;
        let checkpoint = Checkpoint::open(files.clone())?;
        let vb = weights(&checkpoint, dtype, device);
        Ok(match config["_class_name"].as_str().unwrap_or("AutoencoderKL") {
            "AutoencoderKL" => {
                let config: vae::Config = checkpoint.config()?;
                Self::Variational(Box::new(Vae::new(&config, vb)?), config)
            }
            "AutoencoderTiny" => {
                let config: tiny::Config = checkpoint.config()?;
                Self::Tiny(Box::new(Tiny::new(&config, vb)?), config)
            }
            other => bail!("{}: _class_name `{other}` is not supported", files.describe("config.json")),
        })
    }

    /// How many times smaller latents are than the picture, on either side.
    pub fn reduction(&self) -> usize {
        match self {
            Self::Variational(_, config) => config.reduction(),
            Self::Tiny(_, config) => config.reduction(),
            Self::Pixels(patch) => *patch,
        }
    }

    /// Channels of latents.
    pub fn channels(&self) -> Option<usize> {
        match self {
            Self::Variational(_, config) => Some(config.latent_channels),
            Self::Tiny(_, config) => Some(config.latent_channels),
            Self::Pixels(_) => None,
        }
    }

    /// The latents of pictures (batch, channels, height, width); a variational one draws them.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn encode(&self, pictures: &Tensor, draw: &mut Noise<'_>) -> candle_core::Result<Tensor> {
        match self {
            Self::Variational(net, _) => {
                let likely = net.encode(pictures)?;
                let noise = draw(likely.mean.dims())?;
                net.scale(&likely.sample(&noise)?)
            }
            Self::Tiny(net, _) => net.scale(&net.encode(pictures)?),
            Self::Pixels(patch) => pixels::unshuffle(pictures, *patch),
        }
    }

    /// The pictures of latents; `tiled` ones take memory for one tile at a time, and differ a little at the seams.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn decode(&self, latents: &Tensor, tiled: bool) -> candle_core::Result<Tensor> {
        let whole = |latents: &Tensor| match self {
            Self::Variational(net, _) => net.decode(latents),
            Self::Tiny(net, _) => net.decode(latents),
            Self::Pixels(patch) => pixels::shuffle(latents, *patch),
        };
        let latents = match self {
            Self::Variational(net, _) => net.unscale(latents)?,
            Self::Tiny(net, _) => net.unscale(latents)?,
            Self::Pixels(_) => latents.clone(),
        };
        let (_, _, height, width) = latents.dims4()?;
        if tiled && height.max(width) > TILE && !matches!(self, Self::Pixels(_)) {
            return in_tiles(&latents, TILE, self.reduction(), &whole);
        }
        // one at a time: a batch takes no more memory than a picture
        let pictures: Vec<Tensor> = (0..latents.dim(0)?)
            .map(|i| whole(&latents.narrow(0, i, 1)?))
            .collect::<candle_core::Result<_>>()?;
        Tensor::cat(&pictures, 0)
    }

    /// A small picture of latents that are still forming.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn glance(&self, latents: &Tensor) -> candle_core::Result<Tensor> {
        let (_, _, height, width) = latents.dims4()?;
        let by = height.max(width).div_ceil(GLANCE);
        match self {
            Self::Variational(..) if by > 1 => self.decode(&latents.avg_pool2d(by)?, false),
            _ => self.decode(latents, false),
        }
    }
}

/// Decodes tiles of `side` latents that overlap by a quarter, and blends them, as diffusers' `tiled_decode` does.
fn in_tiles(
    latents: &Tensor,
    side: usize,
    reduction: usize,
    decode: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> candle_core::Result<Tensor> {
    let (_, _, height, width) = latents.dims4()?;
    let stride = side * 3 / 4;
    let overlap = side * reduction / 4;
    let kept = side * reduction - overlap;
    let mut above: Vec<Tensor> = vec![];
    let mut rows = vec![];
    for top in (0..height).step_by(stride) {
        let mut row: Vec<Tensor> = vec![];
        for (column, left) in (0..width).step_by(stride).enumerate() {
            let tile = latents.narrow(2, top, side.min(height - top))?;
            let tile = tile.narrow(3, left, side.min(width - left))?.contiguous()?;
            let mut tile = decode(&tile)?;
            if let Some(above) = above.get(column) {
                tile = blended(above, &tile, 2, overlap)?;
            }
            if let Some(before) = row.last() {
                tile = blended(before, &tile, 3, overlap)?;
            }
            row.push(tile);
        }
        let cut = |tile: &Tensor| {
            let (_, _, high, wide) = tile.dims4()?;
            tile.narrow(2, 0, kept.min(high))?.narrow(3, 0, kept.min(wide))
        };
        let parts: Vec<Tensor> = row.iter().map(cut).collect::<candle_core::Result<_>>()?;
        rows.push(Tensor::cat(&parts, 3)?);
        above = row;
    }
    Tensor::cat(&rows, 2)
}

/// A tile whose first values along an axis come out of the last ones of the tile before it, step by step.
fn blended(before: &Tensor, tile: &Tensor, dim: usize, overlap: usize) -> candle_core::Result<Tensor> {
    let (there, here) = (before.dim(dim)?, tile.dim(dim)?);
    let count = overlap.min(there).min(here);
    let mut shape = [1; 4];
    shape[dim] = count;
    let rising: Vec<f32> = (0..count).map(|i| i as f32 / count as f32).collect();
    let rising = Tensor::from_vec(rising, &shape, tile.device())?;
    let old = before.narrow(dim, there - count, count)?.broadcast_mul(&rising.affine(-1., 1.)?)?;
    let mixed = (old + tile.narrow(dim, 0, count)?.broadcast_mul(&rising)?)?;
    Tensor::cat(&[&mixed, &tile.narrow(dim, count, here - count)?], dim)
}
