//! TAESD, a small autoencoder distilled from Stable Diffusion's (madebyollin/taesd), as in diffusers'
//! `AutoencoderTiny`: plain residual blocks with relu. Its latents are already of variance one.

use super::check;
use crate::layers::conv::{Conv2d, Options};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use kernels::activations::tanh;
use kernels::conv::Around;
use kernels::reorder::double;
use serde::{Deserialize, Serialize};

/// The fields of `config.json` that shape the net, under their names there, with diffusers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Channels of the picture.
    pub in_channels: usize,
    /// Channels of the picture that comes out.
    pub out_channels: usize,
    /// Channels of each level of the encoder: all the same.
    pub encoder_block_out_channels: Vec<usize>,
    /// Those of the decoder.
    pub decoder_block_out_channels: Vec<usize>,
    /// Activation.
    pub act_fn: String,
    /// How values are put between others.
    pub upsample_fn: String,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// What a level of the decoder multiplies the sides with.
    pub upsampling_scaling_factor: usize,
    /// Residual blocks of each level of the encoder.
    pub num_encoder_blocks: Vec<usize>,
    /// Those of the decoder.
    pub num_decoder_blocks: Vec<usize>,
    /// What latents are multiplied with before a diffusion model sees them.
    pub scaling_factor: f64,
    /// What is subtracted before that.
    pub shift_factor: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            encoder_block_out_channels: vec![64; 4],
            decoder_block_out_channels: vec![64; 4],
            act_fn: "relu".into(),
            upsample_fn: "nearest".into(),
            latent_channels: 4,
            upsampling_scaling_factor: 2,
            num_encoder_blocks: vec![1, 3, 3, 3],
            num_decoder_blocks: vec![3, 3, 3, 1],
            scaling_factor: 1.,
            shift_factor: 0.,
        }
    }
}

impl Config {
    /// How many times smaller latents are than the picture, on either side.
    pub fn reduction(&self) -> usize {
        1 << (self.num_decoder_blocks.len() - 1)
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        for (name, channels, blocks) in [
            ("encoder_block_out_channels", &self.encoder_block_out_channels, &self.num_encoder_blocks),
            ("decoder_block_out_channels", &self.decoder_block_out_channels, &self.num_decoder_blocks),
        ] {
            if !(1..=8).contains(&channels.len()) || channels.len() != blocks.len() {
                refuse!("taesd config.json: {} {name} for {} levels of blocks", channels.len(), blocks.len());
            }
            if channels.iter().any(|count| *count != channels[0]) || !(1..=1 << 12).contains(&channels[0]) {
                refuse!("taesd config.json: {name} {channels:?} are not all the same");
            }
            if blocks.iter().any(|count| *count > 64) {
                refuse!("taesd config.json: levels of {blocks:?} blocks");
            }
        }
        for (name, size) in [
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("latent_channels", self.latent_channels),
        ] {
            if !(1..=1 << 10).contains(&size) {
                refuse!("taesd config.json: {name} {size} is not in 1 to {}", 1 << 10);
            }
        }
        for (name, found, known) in
            [("act_fn", &self.act_fn, "relu"), ("upsample_fn", &self.upsample_fn, "nearest")]
        {
            if found != known {
                refuse!("taesd config.json: {name} `{found}` is not supported, only {known} is");
            }
        }
        let factor = self.upsampling_scaling_factor;
        if factor != 2 {
            refuse!("taesd config.json: upsampling_scaling_factor {factor} is not supported, only 2 is");
        }
        let factor = self.scaling_factor;
        if !factor.is_finite() || factor <= 0. {
            refuse!("taesd config.json: scaling_factor {factor} is no positive number");
        }
        Ok(())
    }
}

/// The autoencoder.
pub struct Tiny {
    encoder: Vec<Layer>,
    decoder: Vec<Layer>,
    config: Config,
}

/// A layer under its number in the checkpoint.
enum Layer {
    Conv(Conv2d),
    /// Three convolutions with relu between, and after their sum with what came in.
    Block(Box<[Conv2d; 3]>),
    Relu(Conv2d),
    Double,
}

/// Relu after a convolution.
const RELU: Option<f64> = Some(0.);

impl Layer {
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        match self {
            Layer::Conv(conv) => conv.forward(xs),
            Layer::Relu(conv) => conv.forward_with(xs, &Around { leaky_after: RELU, ..Around::default() }),
            Layer::Double => double(xs),
            Layer::Block(block) => {
                let [first, second, third] = &**block;
                let relu = Around { leaky_after: RELU, ..Around::default() };
                let ys = second.forward_with(&first.forward_with(xs, &relu)?, &relu)?;
                third.forward_with(&ys, &Around { residual: Some(xs), ..relu })
            }
        }
    }
}

/// Layers in their order, with the numbers that the checkpoint gives them.
struct Layers<'a> {
    layers: Vec<Layer>,
    next: usize,
    vb: VarBuilder<'a>,
}

impl<'a> Layers<'a> {
    fn new(vb: VarBuilder<'a>) -> Self {
        Self { layers: Vec::new(), next: 0, vb }
    }

    fn vb(&mut self) -> VarBuilder<'a> {
        self.next += 1;
        self.vb.pp(self.next - 1)
    }

    fn conv(&mut self, inputs: usize, outputs: usize, stride: usize, bias: bool) -> Result<Conv2d> {
        Conv2d::new(inputs, outputs, [3, 3], Options::new(stride, 1), bias, self.vb())
    }

    fn blocks(&mut self, channels: usize, count: usize) -> Result<()> {
        for _ in 0..count {
            let vb = self.vb().pp("conv");
            let conv = |i: usize| Conv2d::new(channels, channels, [3, 3], Options::new(1, 1), true, vb.pp(i));
            self.layers.push(Layer::Block(Box::new([conv(0)?, conv(2)?, conv(4)?])));
        }
        Ok(())
    }
}

impl Tiny {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let mut encoder = Layers::new(vb.pp("encoder.layers"));
        let channels = cfg.encoder_block_out_channels[0];
        for (level, &count) in cfg.num_encoder_blocks.iter().enumerate() {
            let conv = match level {
                0 => encoder.conv(cfg.in_channels, channels, 1, true)?,
                _ => encoder.conv(channels, channels, 2, false)?,
            };
            encoder.layers.push(Layer::Conv(conv));
            encoder.blocks(channels, count)?;
        }
        let conv = encoder.conv(channels, cfg.latent_channels, 1, true)?;
        encoder.layers.push(Layer::Conv(conv));

        let mut decoder = Layers::new(vb.pp("decoder.layers"));
        let (channels, last) = (cfg.decoder_block_out_channels[0], cfg.num_decoder_blocks.len() - 1);
        let conv = decoder.conv(cfg.latent_channels, channels, 1, true)?;
        decoder.layers.push(Layer::Relu(conv));
        // the relu has a number of its own, as doubling has
        decoder.next += 1;
        for (level, &count) in cfg.num_decoder_blocks.iter().enumerate() {
            decoder.blocks(channels, count)?;
            if level < last {
                decoder.layers.push(Layer::Double);
                decoder.next += 1;
            }
            let outputs = if level < last { channels } else { cfg.out_channels };
            let conv = decoder.conv(channels, outputs, 1, level == last)?;
            decoder.layers.push(Layer::Conv(conv));
        }
        Ok(Self { encoder: encoder.layers, decoder: decoder.layers, config: cfg.clone() })
    }

    /// The latents (batch, latent channels, height, width) of pictures (batch, in channels, height, width); a level
    /// halves the sides, rounded up.
    ///
    /// # Errors
    /// On other channels.
    pub fn encode(&self, picture: &Tensor) -> Result<Tensor> {
        check("picture", picture, self.config.in_channels, 1)?;
        let picture = picture.affine(0.5, 0.5)?;
        self.encoder.iter().try_fold(picture, |xs, layer| layer.forward(&xs))
    }

    /// The pictures (batch, out channels, height, width) of latents (batch, latent channels, height, width), larger by
    /// [`Config::reduction`].
    ///
    /// # Errors
    /// On other channels.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        check("latents", latents, self.config.latent_channels, 1)?;
        let bounded = (tanh(&(latents / 3.)?)? * 3.)?;
        self.decoder.iter().try_fold(bounded, |xs, layer| layer.forward(&xs))?.affine(2., -1.)
    }

    /// Latents as a diffusion model sees them.
    ///
    /// # Errors
    /// Of candle's operators.
    pub fn scale(&self, latents: &Tensor) -> Result<Tensor> {
        let factor = self.config.scaling_factor;
        latents.affine(factor, -factor * self.config.shift_factor)
    }

    /// The reverse of [`Tiny::scale`].
    ///
    /// # Errors
    /// Of candle's operators.
    pub fn unscale(&self, latents: &Tensor) -> Result<Tensor> {
        latents.affine(self.config.scaling_factor.recip(), self.config.shift_factor)
    }
}
