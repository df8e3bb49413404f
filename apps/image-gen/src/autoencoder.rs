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
    Variational(Box<Vae>, vae::Config, Tile),
    /// TAESD.
    Tiny(Box<Tiny>, tiny::Config),
    /// Blocks of so many pixels a side as channels: what models that were trained here diffuse.
    Pixels(usize),
}

/// What is coded at once of a large picture: pixels a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile(usize);

/// Draws standard normal noise of a shape.
pub type Noise<'a> = dyn FnMut(&[usize]) -> candle_core::Result<Tensor> + 'a;

/// Pixels a side of a tile where the autoencoder's configuration does not say.
const TILE: u64 = 512;
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
                let side =
                    config["sample_size"].as_u64().filter(|side| (8..=8192).contains(side)).unwrap_or(TILE);
                let config: vae::Config = checkpoint.config()?;
                Self::Variational(Box::new(Vae::new(&config, vb)?), config, Tile(side as usize))
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
            Self::Variational(_, config, _) => config.reduction(),
            Self::Tiny(_, config) => config.reduction(),
            Self::Pixels(patch) => *patch,
        }
    }

    /// Channels of latents.
    pub fn channels(&self) -> Option<usize> {
        match self {
            Self::Variational(_, config, _) => Some(config.latent_channels),
            Self::Tiny(_, config) => Some(config.latent_channels),
            Self::Pixels(_) => None,
        }
    }

    /// The latents of pictures (batch, channels, height, width); a variational one draws them. `tiled` as for
    /// [`Autoencoder::decode`].
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn encode(
        &self,
        pictures: &Tensor,
        tiled: bool,
        draw: &mut Noise<'_>,
    ) -> candle_core::Result<Tensor> {
        match self {
            Self::Variational(net, config, Tile(side)) => {
                let moments = |pictures: &Tensor| {
                    let likely = net.encode(pictures)?;
                    Tensor::cat(&[likely.mean, likely.logvar], 1)
                };
                let latents = side / config.reduction();
                let moments = match tiled && larger(pictures, *side)? {
                    true => in_tiles(pictures, *side, latents, &moments)?,
                    false => moments(pictures)?,
                };
                let parts = moments.chunk(2, 1)?;
                let (mean, logvar) = (parts[0].contiguous()?, parts[1].contiguous()?);
                let noise = draw(mean.dims())?;
                net.scale(&vae::Distribution { mean, logvar }.sample(&noise)?)
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
        match self {
            Self::Variational(net, config, Tile(side)) => {
                let (latents, at_once) = (net.unscale(latents)?, side / config.reduction());
                match tiled && larger(&latents, at_once)? {
                    true => in_tiles(&latents, at_once, *side, &|tile| net.decode(tile)),
                    false => one_by_one(&latents, &|latents| net.decode(latents)),
                }
            }
            Self::Tiny(net, _) => one_by_one(&net.unscale(latents)?, &|latents| net.decode(latents)),
            Self::Pixels(patch) => pixels::shuffle(latents, *patch),
        }
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

fn larger(xs: &Tensor, side: usize) -> candle_core::Result<bool> {
    let (_, _, height, width) = xs.dims4()?;
    Ok(height.max(width) > side)
}

type Coding<'a> = dyn Fn(&Tensor) -> candle_core::Result<Tensor> + 'a;

/// A batch takes no more memory than a picture.
fn one_by_one(latents: &Tensor, decode: &Coding<'_>) -> candle_core::Result<Tensor> {
    let pictures: Vec<Tensor> = (0..latents.dim(0)?)
        .map(|i| decode(&latents.narrow(0, i, 1)?))
        .collect::<candle_core::Result<_>>()?;
    Tensor::cat(&pictures, 0)
}

/// Codes tiles of `side` places that overlap by a quarter, each of which becomes one of `made` places, and blends them, as
/// diffusers' `tiled_decode` and `tiled_encode` do.
fn in_tiles(xs: &Tensor, side: usize, made: usize, code: &Coding<'_>) -> candle_core::Result<Tensor> {
    let (_, _, height, width) = xs.dims4()?;
    let (stride, overlap) = (side * 3 / 4, made / 4);
    let kept = made - overlap;
    let mut above: Vec<Tensor> = vec![];
    let mut rows = vec![];
    for top in (0..height).step_by(stride.max(1)) {
        let mut row: Vec<Tensor> = vec![];
        for (column, left) in (0..width).step_by(stride.max(1)).enumerate() {
            let tile = xs.narrow(2, top, side.min(height - top))?;
            let tile = tile.narrow(3, left, side.min(width - left))?.contiguous()?;
            let mut tile = code(&tile)?;
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
