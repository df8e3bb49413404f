//! One step of asking the net: with the prompt, without it, and what is made of both.

use candle_core::{D, Result, Tensor};
use models::nets::unet::{Conditions, UNet};

/// What the net is told beside picture and time; where it is guided, the negative prompt's half of the batch is first.
pub struct Told {
    /// The prompts' states (batch, tokens, width).
    pub context: Tensor,
    /// SDXL: pooled prompts and six sizes.
    pub added: Option<(Tensor, Tensor)>,
    /// Latent consistency models: the embedded guidance.
    pub guidance: Option<Tensor>,
}

/// How far to go from what the negative prompt says to what the prompt says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guidance {
    /// 1 is the prompt's alone (Ho and Salimans, 2022).
    pub scale: f64,
    /// How much of the prompt's own contrast is given back (Lin et al., 2024): 0 to 1.
    pub rescale: f64,
}

/// A net that is told and guided.
pub struct Denoiser<'a> {
    /// The net.
    pub unet: &'a UNet,
    /// What it is told.
    pub told: &'a Told,
    /// Where it is asked twice.
    pub guidance: Option<Guidance>,
    /// Channels that stand beside the noisy ones: a mask and what lies around it.
    pub beside: Option<Tensor>,
}

impl Denoiser<'_> {
    /// The prediction (batch, channels, height, width) for noisy pictures of the same shape.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn predict(&self, xs: &Tensor, time: f64) -> Result<Tensor> {
        let mut inputs = match self.guidance {
            Some(_) => Tensor::cat(&[xs, xs], 0)?,
            None => xs.clone(),
        };
        if let Some(beside) = &self.beside {
            inputs = Tensor::cat(&[&inputs, beside], 1)?;
        }
        let told = self.told;
        let added = told.added.as_ref().map(|(pooled, sizes)| (pooled, sizes));
        let conditions = Conditions { context: &told.context, added, guidance: told.guidance.as_ref() };
        let output = self.unet.forward(&inputs, &[time as f32], conditions)?;
        let Some(Guidance { scale, rescale }) = self.guidance else { return Ok(output) };
        let batch = xs.dim(0)?;
        let (without, with) = (output.narrow(0, 0, batch)?, output.narrow(0, batch, batch)?);
        let guided = (&without + ((&with - &without)? * scale)?)?;
        if rescale == 0. {
            return Ok(guided);
        }
        let ratio = (spread(&with)? / spread(&guided)?)?;
        let rescaled = guided.broadcast_mul(&ratio)?;
        (rescaled * rescale)? + (guided * (1. - rescale))?
    }
}

/// The standard deviation of each picture, (batch, 1, 1, 1).
fn spread(xs: &Tensor) -> Result<Tensor> {
    let flat = xs.flatten_from(1)?;
    let count = flat.dim(1)? as f64;
    let centred = flat.broadcast_sub(&flat.mean_keepdim(D::Minus1)?)?;
    ((centred.sqr()?.sum_keepdim(D::Minus1)? / (count - 1.))?.sqrt()?).reshape((xs.dim(0)?, 1, 1, 1))
}
