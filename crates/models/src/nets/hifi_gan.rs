//! HiFi-GAN's generator (Kong, Kim and Bae, 2020): frames of features to samples of sound, as in transformers'
//! `VitsHifiGan` (inside VITS) and `SpeechT5HifiGan` (a vocoder of its own).
//!
//! Each stage is a transposed convolution and the mean of residual blocks of several widths. The leaky relus and the
//! residuals are computed inside the convolutions.

use crate::layers::conv::{Conv1d, Options};
use crate::vars::VarBuilder;
use candle_core::{D, Result, Tensor};
use candle_nn::Init;
use kernels::activations::{leaky_relu, tanh};
use kernels::conv::Around;
use kernels::sum::mean;
use serde::{Deserialize, Serialize};

/// The fields of `config.json` that shape the net, under their names there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Features of a frame; VITS calls it `flow_size`.
    #[serde(alias = "flow_size", default = "default_inputs")]
    pub model_in_dim: usize,
    /// Channels before the first stage; each stage halves them.
    pub upsample_initial_channel: usize,
    /// Samples that each stage makes of one.
    pub upsample_rates: Vec<usize>,
    /// Widths of the transposed convolutions.
    pub upsample_kernel_sizes: Vec<usize>,
    /// Widths of a stage's residual blocks.
    pub resblock_kernel_sizes: Vec<usize>,
    /// Dilations of each of these blocks' convolutions.
    pub resblock_dilation_sizes: Vec<Vec<usize>>,
    /// Slope of the leaky relus.
    #[serde(default = "default_slope")]
    pub leaky_relu_slope: f64,
    /// Width of a speaker's vector; 0 where there is one speaker.
    #[serde(default)]
    pub speaker_embedding_size: usize,
    /// Whether frames are normalised by `mean` and `scale` first.
    #[serde(default)]
    pub normalize_before: bool,
}

fn default_inputs() -> usize {
    80
}

fn default_slope() -> f64 {
    0.1
}

/// Which of the two layouts the weights have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Part of VITS: no bias at the end, a speaker's vector where there are several.
    Vits,
    /// A model of its own, with `mean` and `scale` of its frames.
    Vocoder,
}

/// The slope before the last convolution, whatever `config.json` says: PyTorch's default.
const LAST_SLOPE: f64 = 0.01;

impl Config {
    /// Refuses sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        let stages = self.upsample_rates.len();
        if stages == 0 || stages > 16 || self.upsample_kernel_sizes.len() != stages {
            refuse!(
                "config.json: {stages} upsample_rates and {} upsample_kernel_sizes",
                self.upsample_kernel_sizes.len()
            );
        }
        let blocks = self.resblock_kernel_sizes.len();
        if blocks == 0 || self.resblock_dilation_sizes.len() != blocks {
            refuse!(
                "config.json: {blocks} resblock_kernel_sizes and {} resblock_dilation_sizes",
                self.resblock_dilation_sizes.len()
            );
        }
        for (&rate, &kernel) in self.upsample_rates.iter().zip(&self.upsample_kernel_sizes) {
            if !(1..=256).contains(&rate) || !(rate..=4096).contains(&kernel) {
                refuse!("config.json: upsample_rates {rate} with upsample_kernel_sizes {kernel}");
            }
        }
        for &kernel in &self.resblock_kernel_sizes {
            if kernel % 2 == 0 || kernel > 255 {
                refuse!("config.json: resblock_kernel_sizes {kernel} is not an odd number below 256");
            }
        }
        for &dilation in self.resblock_dilation_sizes.iter().flatten() {
            if !(1..=255).contains(&dilation) {
                refuse!("config.json: resblock_dilation_sizes {dilation} is not in 1 to 255");
            }
        }
        for (name, size) in
            [("flow_size", self.model_in_dim), ("upsample_initial_channel", self.upsample_initial_channel)]
        {
            if !(1..=1 << 14).contains(&size) {
                refuse!("config.json: {name} {size} is not in 1 to {}", 1 << 14);
            }
        }
        if self.upsample_initial_channel >> stages == 0 {
            refuse!(
                "config.json: upsample_initial_channel {} cannot be halved {stages} times",
                self.upsample_initial_channel
            );
        }
        Ok(())
    }

    /// Samples for each frame.
    pub fn hop(&self) -> usize {
        self.upsample_rates.iter().product()
    }
}

/// The generator.
pub struct HifiGan {
    before: Conv1d,
    speaker: Option<Conv1d>,
    stages: Vec<Stage>,
    after: Conv1d,
    /// Mean and scale of the features.
    moments: Option<(Tensor, Tensor)>,
    slope: f64,
}

struct Stage {
    up: Conv1d,
    blocks: Vec<Block>,
}

/// Pairs of a dilated and a plain convolution, each pair around a residual.
struct Block(Vec<[Conv1d; 2]>);

impl HifiGan {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(config: &Config, kind: Kind, vb: VarBuilder) -> Result<Self> {
        config.validate()?;
        let channels = config.upsample_initial_channel;
        let same = |kernel: usize| Options::new(1, kernel / 2);
        let before = Conv1d::new(config.model_in_dim, channels, [7], same(7), true, vb.pp("conv_pre"))?;
        let size = config.speaker_embedding_size;
        let speaker = (kind == Kind::Vits && size > 0)
            .then(|| Conv1d::new(size, channels, [1], Options::default(), true, vb.pp("cond")))
            .transpose()?;
        let mut stages = Vec::new();
        let kernels = config.upsample_rates.iter().zip(&config.upsample_kernel_sizes);
        for (i, (&rate, &kernel)) in kernels.enumerate() {
            let (inputs, outputs) = (channels >> i, channels >> (i + 1));
            let options = Options::new(rate, (kernel - rate) / 2);
            let up = Conv1d::transposed(inputs, outputs, [kernel], options, true, vb.pp("upsampler").pp(i))?;
            let widths = config.resblock_kernel_sizes.iter().zip(&config.resblock_dilation_sizes);
            let blocks = widths.enumerate().map(|(j, (&kernel, dilations))| {
                let vb = vb.pp("resblocks").pp(i * config.resblock_kernel_sizes.len() + j);
                Block::new(outputs, kernel, dilations, vb)
            });
            stages.push(Stage { up, blocks: blocks.collect::<Result<_>>()? });
        }
        let last = channels >> config.upsample_rates.len();
        let bias = kind == Kind::Vocoder;
        let after = Conv1d::new(last, 1, [7], same(7), bias, vb.pp("conv_post"))?;
        let moment = |name, value| vb.get_with_hints(config.model_in_dim, name, Init::Const(value));
        let moments = (kind == Kind::Vocoder && config.normalize_before)
            .then(|| Ok::<_, candle_core::Error>((moment("mean", 0.)?, moment("scale", 1.)?)))
            .transpose()?;
        Ok(Self { before, speaker, stages, after, moments, slope: config.leaky_relu_slope })
    }

    /// Frames (batch, features, time), and a speaker's vector (batch, size, 1) where the net has several, to samples
    /// (batch, time * hop) between -1 and 1; a few more where a stage's rate and width are not both even or both odd.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn forward(&self, frames: &Tensor, speaker: Option<&Tensor>) -> Result<Tensor> {
        let frames = match &self.moments {
            Some((mean, scale)) => {
                &frames.broadcast_sub(&mean.unsqueeze(1)?)?.broadcast_div(&scale.unsqueeze(1)?)?
            }
            None => frames,
        };
        let mut xs = match (&self.speaker, speaker) {
            (Some(conv), Some(vector)) => {
                self.before.forward_shifted(frames, &conv.forward(vector)?.squeeze(D::Minus1)?)?
            }
            (None, Some(_)) => refuse!("the net has one speaker, and takes no speaker's vector"),
            (_, None) => self.before.forward(frames)?,
        };
        for stage in &self.stages {
            let around = Around { leaky_before: Some(self.slope), ..Around::default() };
            xs = stage.up.forward_with(&xs, &around)?;
            let ys = stage.blocks.iter().map(|block| block.forward(&xs, self.slope));
            let ys = ys.collect::<Result<Vec<_>>>()?;
            xs = mean(&ys.iter().collect::<Vec<_>>())?;
        }
        tanh(&self.after.forward(&leaky_relu(&xs, LAST_SLOPE)?)?)?.squeeze(1)
    }
}

impl Block {
    fn new(channels: usize, kernel: usize, dilations: &[usize], vb: VarBuilder) -> Result<Self> {
        let conv = |name: &str, i: usize, dilation: usize| {
            let options = Options { dilation: [dilation], ..Options::new(1, (kernel - 1) / 2 * dilation) };
            Conv1d::new(channels, channels, [kernel], options, true, vb.pp(name).pp(i))
        };
        let pairs = dilations.iter().enumerate();
        let pairs = pairs.map(|(i, &dilation)| Ok([conv("convs1", i, dilation)?, conv("convs2", i, 1)?]));
        Ok(Self(pairs.collect::<Result<_>>()?))
    }

    fn forward(&self, xs: &Tensor, slope: f64) -> Result<Tensor> {
        let mut xs = xs.clone();
        for [dilated, plain] in &self.0 {
            let leaky_before = Some(slope);
            let ys = dilated.forward_with(&xs, &Around { leaky_before, ..Around::default() })?;
            let around = Around { leaky_before, residual: Some(&xs), ..Around::default() };
            xs = plain.forward_with(&ys, &around)?;
        }
        Ok(xs)
    }
}
