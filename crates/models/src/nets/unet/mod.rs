//! The UNet of latent diffusion (Rombach et al., 2022), as in diffusers' `UNet2DConditionModel`: Stable Diffusion 1, 2
//! and XL, their turbo and consistency forms.
//!
//! - `config`: `config.json`
//! - `blocks`: residual blocks, changes of size
//! - `pooling`: the prompt in one vector, added to the time
//! - `transformer`: attention over a picture's places, and to the prompt

mod blocks;
mod config;
mod pooling;
mod transformer;

pub use blocks::{Residual, Sizes};
pub(super) use blocks::{Upsampler, downsampler};
use config::TEXT;
pub use config::{Config, Each};

use crate::layers::conv::{Conv2d, Options};
use crate::layers::linear::Linear;
use crate::layers::norm::GroupNorm;
use crate::vars::VarBuilder;
use blocks::Level;
use candle_core::{DType, Result, Tensor};
use kernels::activations::silu;
use kernels::reorder::join;
use kernels::sum::sum;
use pooling::Pooling;
use transformer::Shape;

/// What the net is told beside the noisy picture and the time.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// The prompt's states (batch, tokens, width).
    pub context: &'a Tensor,
    /// SDXL: the pooled prompt (batch, width), and six sizes (batch, 6).
    pub added: Option<(&'a Tensor, &'a Tensor)>,
    /// Latent consistency models: the embedded guidance (batch, width).
    pub guidance: Option<&'a Tensor>,
}

/// The net.
pub struct UNet {
    conv_in: Conv2d,
    time: Embedding,
    guidance: Option<Linear>,
    added: Added,
    down: Vec<(Level, Option<Conv2d>)>,
    middle: Level,
    up: Vec<(Level, Option<Upsampler>)>,
    norm: GroupNorm,
    conv_out: Conv2d,
    config: Config,
}

/// What is added to the time.
enum Added {
    Nothing,
    /// A pooled prompt and sizes, as in SDXL.
    Sizes(Box<Embedding>),
    /// The prompt's states, pooled here.
    Pooled(Box<Pooling>),
}

/// Two linear maps with silu between, diffusers' `TimestepEmbedding`.
struct Embedding([Linear; 2]);

impl Embedding {
    fn new(inputs: usize, size: usize, vb: VarBuilder) -> Result<Self> {
        let first = Linear::new(inputs, size, true, stdev(inputs), vb.pp("linear_1"))?;
        Ok(Self([first, Linear::new(size, size, true, stdev(size), vb.pp("linear_2"))?]))
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.0[1].forward(&silu(&self.0[0].forward(xs)?)?)
    }
}

/// Standard deviation of a fresh weight that so many values meet in.
pub(super) fn stdev(inputs: usize) -> f64 {
    (3. * inputs as f64).recip().sqrt()
}

impl UNet {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let (levels, time) = (config.levels(), config.time_size());
        let channels = &config.block_out_channels;
        let sizes = |outputs: usize| Sizes {
            inputs: outputs,
            outputs,
            time: Some(time),
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
        };
        let shape = |level: usize| Shape {
            channels: channels[level],
            heads: config.attention_head_dim.at(level),
            context: config.cross_attention_dim.at(level),
            blocks: config.transformer_layers_per_block.at(level),
            groups: config.norm_num_groups,
            linear: config.use_linear_projection,
        };
        let mut down = Vec::new();
        for level in 0..levels {
            let vb = vb.pp("down_blocks").pp(level);
            let mut inputs = vec![channels[level]; config.layers_per_block.at(level)];
            inputs[0] = channels[level.saturating_sub(1)];
            let shape = config.attends_down(level).then(|| shape(level));
            let smaller = (level + 1 < levels)
                .then(|| downsampler(channels[level], config.downsample_padding, vb.clone()));
            down.push((Level::new(&inputs, sizes(channels[level]), shape, &vb)?, smaller.transpose()?));
        }
        let last = levels - 1;
        let middle = {
            let vb = vb.pp("mid_block");
            let mut level = Level::new(&[channels[last]; 2], sizes(channels[last]), None, &vb)?;
            level.transformers.push(transformer::Transformer::new(shape(last), vb.pp("attentions.0"))?);
            level
        };
        let mut up = Vec::new();
        for step in 0..levels {
            let vb = vb.pp("up_blocks").pp(step);
            let level = last - step;
            let (outputs, count) = (channels[level], config.layers_per_block.at(level) + 1);
            // each block takes what came from below, and what was kept on the way down
            let inputs: Vec<usize> = (0..count)
                .map(|i| {
                    let below = if i == 0 { channels[last.min(level + 1)] } else { outputs };
                    let kept = if i + 1 == count { channels[level.saturating_sub(1)] } else { outputs };
                    below + kept
                })
                .collect();
            let shape = config.attends_up(step).then(|| shape(level));
            let larger = (level > 0).then(|| Upsampler::new(outputs, vb.clone())).transpose()?;
            up.push((Level::new(&inputs, sizes(outputs), shape, &vb)?, larger));
        }
        let same = |kernel: usize| Options::new(1, kernel / 2);
        let (first, final_) = (config.conv_in_kernel, config.conv_out_kernel);
        let added = match config.addition_embed_type.as_deref() {
            None => Added::Nothing,
            Some(TEXT) => {
                let width = config.cross_attention_dim.at(0);
                let heads = config.addition_embed_type_num_heads;
                Added::Pooled(Box::new(Pooling::new(width, time, heads, vb.pp("add_embedding"))?))
            }
            Some(_) => {
                let size = config.projection_class_embeddings_input_dim.unwrap_or(0);
                Added::Sizes(Box::new(Embedding::new(size, time, vb.pp("add_embedding"))?))
            }
        };
        Ok(Self {
            conv_in: Conv2d::new(
                config.in_channels,
                channels[0],
                [first; 2],
                same(first),
                true,
                vb.pp("conv_in"),
            )?,
            time: Embedding::new(channels[0], time, vb.pp("time_embedding"))?,
            guidance: config
                .time_cond_proj_dim
                .map(|size| {
                    Linear::new(size, channels[0], false, stdev(size), vb.pp("time_embedding.cond_proj"))
                })
                .transpose()?,
            added,
            down,
            middle,
            up,
            norm: GroupNorm::new(
                config.norm_num_groups,
                channels[0],
                config.norm_eps,
                vb.pp("conv_norm_out"),
            )?,
            conv_out: Conv2d::new(
                channels[0],
                config.out_channels,
                [final_; 2],
                same(final_),
                true,
                vb.pp("conv_out"),
            )?,
            config: config.clone(),
        })
    }

    /// The prediction (batch, out channels, height, width) for noisy pictures (batch, in channels, height, width), each
    /// at its time, or all at one.
    ///
    /// # Errors
    /// On shapes that do not fit, and conditions that the net does not take or lacks.
    pub fn forward(&self, noisy: &Tensor, times: &[f32], conditions: Conditions) -> Result<Tensor> {
        let (batch, channels, _, _) = noisy.dims4()?;
        if channels != self.config.in_channels {
            refuse!("a picture of {channels} channels for a net of {}", self.config.in_channels);
        }
        if times.len() != 1 && times.len() != batch {
            refuse!("{} times for {batch} pictures", times.len());
        }
        let times: Vec<f32> = (0..batch).map(|i| times[i % times.len()]).collect();
        let time = silu(&self.embed(&times, noisy, conditions)?)?;
        let context = conditions.context;
        let mut xs = noisy.clone();
        if self.config.center_input_sample {
            xs = ((xs * 2.)? - 1.)?;
        }
        xs = self.conv_in.forward(&xs)?;
        let mut kept = vec![xs.clone()];
        for (level, smaller) in &self.down {
            for i in 0..level.residuals.len() {
                xs = level.forward(i, &xs, &time, context)?;
                kept.push(xs.clone());
            }
            if let Some(conv) = smaller {
                xs = conv.forward(&xs)?;
                kept.push(xs.clone());
            }
        }
        xs = self.middle.forward(0, &xs, &time, context)?;
        xs = self.middle.residuals[1].forward(&xs, Some(&time))?;
        for (level, larger) in &self.up {
            for i in 0..level.residuals.len() {
                let Some(before) = kept.pop() else { refuse!("a UNet with more blocks up than down") };
                xs = level.forward(i, &join(&xs, &before)?, &time, context)?;
            }
            if let (Some(upsampler), Some(next)) = (larger, kept.last()) {
                let (_, _, height, width) = next.dims4()?;
                xs = upsampler.forward(&xs, height, width)?;
            }
        }
        self.conv_out.forward(&self.norm.forward_silu(&xs)?)
    }

    /// (batch, width): the time, and what is added to it.
    fn embed(&self, times: &[f32], like: &Tensor, conditions: Conditions) -> Result<Tensor> {
        let sines = |values: &[f32], size: usize| {
            let config = &self.config;
            sinusoids(values, size, config.flip_sin_to_cos, config.freq_shift, like)
        };
        let mut waves = sines(times, self.config.block_out_channels[0])?;
        match (&self.guidance, conditions.guidance) {
            (Some(linear), Some(guidance)) => waves = (waves + linear.forward(guidance)?)?,
            (None, Some(_)) => refuse!("the net does not take the guidance as an input"),
            (_, None) => {}
        }
        let time = self.time.forward(&waves)?;
        match (&self.added, conditions.added) {
            (Added::Nothing, _) => Ok(time),
            (Added::Pooled(pooling), _) => sum(&pooling.forward(conditions.context)?, &time),
            (Added::Sizes(_), None) => refuse!("the net needs a pooled prompt and the picture's sizes"),
            (Added::Sizes(embedding), Some((pooled, sizes))) => {
                let values: Vec<f32> = sizes.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
                let size = self.config.addition_time_embed_dim.unwrap_or(0);
                let sizes = sines(&values, size)?.reshape((pooled.dim(0)?, ()))?;
                time + embedding.forward(&Tensor::cat(&[pooled, &sizes], 1)?)?
            }
        }
    }
}

/// Sines and cosines of a value at `size / 2` rates from 1 down to 1/10000: (values, size) (Vaswani et al., 2017, as
/// diffusers has it).
pub fn sinusoids(
    values: &[f32],
    size: usize,
    cosines_first: bool,
    shift: f64,
    like: &Tensor,
) -> Result<Tensor> {
    let half = size / 2;
    let rate = |i: usize| (-(10_000f32.ln()) * i as f32 / (half as f32 - shift as f32)).exp();
    let rates: Vec<f32> = (0..half).map(rate).collect();
    let mut waves = Vec::with_capacity(values.len() * size);
    for value in values {
        let angles = || rates.iter().map(move |rate| value * rate);
        if cosines_first {
            waves.extend(angles().map(f32::cos).chain(angles().map(f32::sin)));
        } else {
            waves.extend(angles().map(f32::sin).chain(angles().map(f32::cos)));
        }
        waves.resize(waves.len() + size % 2, 0.);
    }
    Tensor::from_vec(waves, (values.len(), size), like.device())?.to_dtype(like.dtype())
}
