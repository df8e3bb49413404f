//! The two halves: pictures to the moments of latents, and latents to pictures.

use super::config::Config;
use crate::layers::conv::{Conv2d, Options};
use crate::layers::linear::Linear;
use crate::layers::norm::GroupNorm;
use crate::nets::unet::{Residual, Sizes, Upsampler, downsampler, stdev};
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::attention::{self, attention};
use kernels::reorder::{swap, swap_add};

/// Added under the roots of all norms.
const EPSILON: f64 = 1e-6;

/// Diffusers' `Encoder`.
pub struct Encoder {
    conv_in: Conv2d,
    down: Vec<(Vec<Residual>, Option<Conv2d>)>,
    middle: Middle,
    end: End,
}

impl Encoder {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let channels = &cfg.block_out_channels;
        let last = channels.len() - 1;
        let level = |level: usize| {
            let vb = vb.pp("down_blocks").pp(level);
            let (inputs, outputs) = (channels[level.saturating_sub(1)], channels[level]);
            let residuals = residuals(cfg, inputs, outputs, cfg.layers_per_block, &vb)?;
            let smaller = (level < last).then(|| downsampler(outputs, 0, vb)).transpose()?;
            Ok((residuals, smaller))
        };
        Ok(Self {
            conv_in: same(cfg.in_channels, channels[0], vb.pp("conv_in"))?,
            down: (0..=last).map(level).collect::<Result<_>>()?,
            middle: Middle::new(cfg, vb.pp("mid_block"))?,
            end: End::new(cfg, channels[last], 2 * cfg.latent_channels, &vb)?,
        })
    }

    /// (batch, in channels, height, width) to (batch, 2 latent channels, smaller height, smaller width).
    pub fn forward(&self, picture: &Tensor) -> Result<Tensor> {
        let mut xs = self.conv_in.forward(picture)?;
        for (residuals, smaller) in &self.down {
            for residual in residuals {
                xs = residual.forward(&xs, None)?;
            }
            if let Some(conv) = smaller {
                xs = conv.forward(&xs)?;
            }
        }
        self.end.forward(&self.middle.forward(xs)?)
    }
}

/// Diffusers' `Decoder`.
pub struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    up: Vec<(Vec<Residual>, Option<Upsampler>)>,
    end: End,
}

impl Decoder {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let channels = &cfg.block_out_channels;
        let last = channels.len() - 1;
        let step = |step: usize| {
            let (vb, level) = (vb.pp("up_blocks").pp(step), last - step);
            let (inputs, outputs) = (channels[last.min(level + 1)], channels[level]);
            let residuals = residuals(cfg, inputs, outputs, cfg.layers_per_block + 1, &vb)?;
            let larger = (level > 0).then(|| Upsampler::new(outputs, vb)).transpose()?;
            Ok((residuals, larger))
        };
        Ok(Self {
            conv_in: same(cfg.latent_channels, channels[last], vb.pp("conv_in"))?,
            middle: Middle::new(cfg, vb.pp("mid_block"))?,
            up: (0..=last).map(step).collect::<Result<_>>()?,
            end: End::new(cfg, channels[0], cfg.out_channels, &vb)?,
        })
    }

    /// (batch, latent channels, height, width) to (batch, out channels, larger height, larger width).
    pub fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let mut xs = self.middle.forward(self.conv_in.forward(latents)?)?;
        for (residuals, larger) in &self.up {
            for residual in residuals {
                xs = residual.forward(&xs, None)?;
            }
            if let Some(upsampler) = larger {
                let (_, _, height, width) = xs.dims4()?;
                xs = upsampler.forward(&xs, 2 * height, 2 * width)?;
            }
        }
        self.end.forward(&xs)
    }
}

fn same(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Conv2d> {
    Conv2d::new(inputs, outputs, [3, 3], Options::new(1, 1), true, vb)
}

/// So many residual blocks, the first of which changes the channels.
fn residuals(
    cfg: &Config,
    inputs: usize,
    outputs: usize,
    count: usize,
    vb: &VarBuilder,
) -> Result<Vec<Residual>> {
    let sizes = |inputs| Sizes { inputs, outputs, time: None, groups: cfg.norm_num_groups, epsilon: EPSILON };
    let residual = |i: usize| {
        let inputs = if i == 0 { inputs } else { outputs };
        Residual::new(sizes(inputs), vb.pp("resnets").pp(i))
    };
    (0..count).map(residual).collect()
}

/// The coarsest level: two residual blocks, and attention between them.
struct Middle {
    residuals: Vec<Residual>,
    attention: Option<Attention>,
}

impl Middle {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let channels = cfg.block_out_channels[cfg.block_out_channels.len() - 1];
        let attention = cfg
            .mid_block_add_attention
            .then(|| Attention::new(channels, cfg.norm_num_groups, vb.pp("attentions.0")));
        Ok(Self { residuals: residuals(cfg, channels, channels, 2, &vb)?, attention: attention.transpose()? })
    }

    fn forward(&self, mut xs: Tensor) -> Result<Tensor> {
        for (i, residual) in self.residuals.iter().enumerate() {
            if let (1, Some(attention)) = (i, &self.attention) {
                xs = attention.forward(&xs)?;
            }
            xs = residual.forward(&xs, None)?;
        }
        Ok(xs)
    }
}

/// All places of a picture look at each other, in one head.
struct Attention {
    norm: GroupNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
}

impl Attention {
    fn new(size: usize, groups: usize, vb: VarBuilder) -> Result<Self> {
        // the second names are those of checkpoints from before diffusers 0.18
        let is_new = vb.contains_tensor("to_q.weight") || !vb.contains_tensor("query.weight");
        let project = |names: [&str; 2]| {
            Linear::new(size, size, true, stdev(size), vb.pp(names[if is_new { 0 } else { 1 }]))
        };
        Ok(Self {
            norm: GroupNorm::new(groups, size, EPSILON, vb.pp("group_norm"))?,
            q: project(["to_q", "query"])?,
            k: project(["to_k", "key"])?,
            v: project(["to_v", "value"])?,
            out: project(["to_out.0", "proj_attn"])?,
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let places = swap(&self.norm.forward(xs)?.flatten_from(2)?)?; // (batch, height * width, channels)
        let head = |linear: &Linear| linear.forward(&places)?.unsqueeze(2);
        let options = attention::Options::default();
        let seen = attention(&head(&self.q)?, &head(&self.k)?, &head(&self.v)?, &options)?.squeeze(2)?;
        swap_add(&self.out.forward(&seen)?, &xs.flatten_from(2)?)?.reshape(xs.shape())
    }
}

/// The last norm and convolution.
struct End {
    norm: GroupNorm,
    conv: Conv2d,
}

impl End {
    fn new(cfg: &Config, inputs: usize, outputs: usize, vb: &VarBuilder) -> Result<Self> {
        let norm = GroupNorm::new(cfg.norm_num_groups, inputs, EPSILON, vb.pp("conv_norm_out"))?;
        Ok(Self { norm, conv: same(inputs, outputs, vb.pp("conv_out"))? })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.conv.forward(&self.norm.forward_silu(xs)?)
    }
}
