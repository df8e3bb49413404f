//! What a level of the UNet is made of: residual blocks that hear of the time, and changes of size.

use super::stdev;
use super::transformer::{Shape, Transformer};
use crate::layers::conv::{Conv2d, Options};
use crate::layers::linear::Linear;
use crate::layers::norm::GroupNorm;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::conv::Around;
use kernels::reorder::double;

/// Diffusers' `ResnetBlock2D`; also the VAE's, where there is no time.
pub struct Residual {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

/// Sizes of a residual block.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Width of the time's embedding.
    pub time: Option<usize>,
    /// Groups of the norms.
    pub groups: usize,
    /// Added under their roots.
    pub epsilon: f64,
}

impl Residual {
    /// Reads the weights.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn new(sizes: Sizes, vb: VarBuilder) -> Result<Self> {
        let Sizes { inputs, outputs, time, groups, epsilon } = sizes;
        let wide =
            |inputs, name: &str| Conv2d::new(inputs, outputs, [3, 3], Options::new(1, 1), true, vb.pp(name));
        let time = time.map(|size| Linear::new(size, outputs, true, stdev(size), vb.pp("time_emb_proj")));
        let shortcut = (inputs != outputs)
            .then(|| Conv2d::new(inputs, outputs, [1, 1], Options::default(), true, vb.pp("conv_shortcut")));
        Ok(Self {
            norm1: GroupNorm::new(groups, inputs, epsilon, vb.pp("norm1"))?,
            conv1: wide(inputs, "conv1")?,
            time: time.transpose()?,
            norm2: GroupNorm::new(groups, outputs, epsilon, vb.pp("norm2"))?,
            conv2: wide(outputs, "conv2")?,
            shortcut: shortcut.transpose()?,
        })
    }

    /// (batch, inputs, height, width) to (batch, outputs, height, width); `time` is the silu of its embedding.
    pub fn forward(&self, xs: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let ys = self.norm1.forward_silu(xs)?;
        let ys = match (&self.time, time) {
            (Some(linear), Some(time)) => self.conv1.forward_shifted(&ys, &linear.forward(time)?)?,
            _ => self.conv1.forward(&ys)?,
        };
        let shortcut = self.shortcut.as_ref().map(|conv| conv.forward(xs)).transpose()?;
        let residual = Some(shortcut.as_ref().unwrap_or(xs));
        self.conv2.forward_with(&self.norm2.forward_silu(&ys)?, &Around { residual, ..Around::default() })
    }
}

/// Residual blocks, each followed by a transformer where the level has them.
pub struct Level {
    pub residuals: Vec<Residual>,
    pub transformers: Vec<Transformer>,
}

impl Level {
    /// `inputs` of each residual block.
    pub fn new(inputs: &[usize], sizes: Sizes, shape: Option<Shape>, vb: &VarBuilder) -> Result<Self> {
        let residuals = inputs.iter().enumerate();
        let residuals =
            residuals.map(|(i, &inputs)| Residual::new(Sizes { inputs, ..sizes }, vb.pp("resnets").pp(i)));
        let transformers =
            shape.map(|shape| (0..inputs.len()).map(move |i| (i, shape))).into_iter().flatten();
        let transformers = transformers.map(|(i, shape)| Transformer::new(shape, vb.pp("attentions").pp(i)));
        Ok(Self {
            residuals: residuals.collect::<Result<_>>()?,
            transformers: transformers.collect::<Result<_>>()?,
        })
    }

    /// The `i`th residual block and its transformer.
    pub fn forward(&self, i: usize, xs: &Tensor, time: &Tensor, context: &Tensor) -> Result<Tensor> {
        let ys = self.residuals[i].forward(xs, Some(time))?;
        self.transformers.get(i).map_or(Ok(ys.clone()), |transformer| transformer.forward(&ys, context))
    }
}

/// Half the height and width.
pub fn downsampler(channels: usize, padding: usize, vb: VarBuilder) -> Result<Conv2d> {
    // without a padding of its own diffusers pads on the right and below
    let padding = if padding == 0 { (0, 1) } else { (padding, padding) };
    let options = Options { stride: [2; 2], padding: [padding; 2], ..Options::default() };
    Conv2d::new(channels, channels, [3, 3], options, true, vb.pp("downsamplers.0.conv"))
}

/// Twice the height and width, or those of the level above where that is odd.
pub struct Upsampler(Conv2d);

impl Upsampler {
    pub fn new(channels: usize, vb: VarBuilder) -> Result<Self> {
        let options = Options::new(1, 1);
        Conv2d::new(channels, channels, [3, 3], options, true, vb.pp("upsamplers.0.conv")).map(Self)
    }

    pub fn forward(&self, xs: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        let (_, _, from_height, from_width) = xs.dims4()?;
        if (height, width) == (2 * from_height, 2 * from_width) {
            return self.0.forward(&double(xs)?);
        }
        let nearest =
            |to: usize, from: usize| Tensor::from_iter((0..to).map(|i| (i * from / to) as u32), xs.device());
        let taller = xs.index_select(&nearest(height, from_height)?, 2)?;
        self.0.forward(&taller.index_select(&nearest(width, from_width)?, 3)?)
    }
}
