//! `config.json` of diffusers' `AutoencoderKL`.

use candle_core::Result;
use serde::{Deserialize, Serialize};

/// The fields of `config.json` that shape the net, under their names there, with diffusers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Channels of the picture.
    pub in_channels: usize,
    /// Channels of the picture that comes out.
    pub out_channels: usize,
    /// Kind of each level on the way down.
    pub down_block_types: Vec<String>,
    /// Kind of each level on the way up.
    pub up_block_types: Vec<String>,
    /// Channels of each level, the finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each level on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// Activation.
    pub act_fn: String,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Groups of the group norms.
    pub norm_num_groups: usize,
    /// What latents are multiplied with before a diffusion model sees them.
    pub scaling_factor: f64,
    /// What is subtracted before that.
    pub shift_factor: Option<f64>,
    /// Mean of each channel of the latents, where they are normalised.
    pub latents_mean: Option<Vec<f64>>,
    /// Standard deviation of each channel, beside the mean.
    pub latents_std: Option<Vec<f64>>,
    /// Whether a convolution of width one follows the encoder.
    pub use_quant_conv: bool,
    /// Whether one goes before the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the coarsest level has attention.
    pub mid_block_add_attention: bool,
}

const DOWN: &str = "DownEncoderBlock2D";
const UP: &str = "UpDecoderBlock2D";

impl Default for Config {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec![DOWN.into()],
            up_block_types: vec![UP.into()],
            block_out_channels: vec![64],
            layers_per_block: 1,
            act_fn: "silu".into(),
            latent_channels: 4,
            norm_num_groups: 32,
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: None,
            latents_std: None,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl Config {
    /// That of Stable Diffusion 1 and 2.
    pub fn stable_diffusion() -> Self {
        Self {
            down_block_types: vec![DOWN.into(); 4],
            up_block_types: vec![UP.into(); 4],
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            ..Self::default()
        }
    }

    /// How many times smaller latents are than the picture, on either side.
    pub fn reduction(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        let levels = self.block_out_channels.len();
        if !(1..=8).contains(&levels) {
            refuse!("vae config.json: {levels} block_out_channels");
        }
        for (name, kinds, known) in
            [("down_block_types", &self.down_block_types, DOWN), ("up_block_types", &self.up_block_types, UP)]
        {
            if kinds.len() != levels {
                refuse!("vae config.json: {levels} block_out_channels and {} {name}", kinds.len());
            }
            if let Some(kind) = kinds.iter().find(|kind| *kind != known) {
                refuse!("vae config.json: {name} `{kind}` is not supported, only {known} is");
            }
        }
        for &channels in &self.block_out_channels {
            let groups = self.norm_num_groups;
            if !(1..=1 << 14).contains(&channels) || groups == 0 || !channels.is_multiple_of(groups) {
                refuse!("vae config.json: block_out_channels {channels} in {groups} norm_num_groups");
            }
        }
        for (name, size, most) in [
            ("in_channels", self.in_channels, 1 << 10),
            ("out_channels", self.out_channels, 1 << 10),
            ("latent_channels", self.latent_channels, 1 << 10),
            ("layers_per_block", self.layers_per_block, 16),
        ] {
            if !(1..=most).contains(&size) {
                refuse!("vae config.json: {name} {size} is not in 1 to {most}");
            }
        }
        if !matches!(self.act_fn.as_str(), "silu" | "swish") {
            refuse!("vae config.json: act_fn `{}` is not supported, only silu is", self.act_fn);
        }
        self.check_moments()
    }

    fn check_moments(&self) -> Result<()> {
        let positive = |x: f64| x.is_finite() && x > 0.;
        if !positive(self.scaling_factor) {
            refuse!("vae config.json: scaling_factor {} is no positive number", self.scaling_factor);
        }
        let (channels, count) = (self.latent_channels, |xs: &Option<Vec<f64>>| xs.as_ref().map(Vec::len));
        let counts = [count(&self.latents_mean), count(&self.latents_std)];
        if ![[None, None], [Some(channels); 2]].contains(&counts) {
            refuse!(
                "vae config.json: latents_mean and latents_std that do not fit {channels} latent_channels"
            );
        }
        if self.latents_std.iter().flatten().any(|&std| !positive(std)) {
            refuse!("vae config.json: latents_std {:?} are not all positive", self.latents_std);
        }
        if self.latents_mean.is_some() && self.shift_factor.is_some_and(|shift| shift != 0.) {
            refuse!("vae config.json: both shift_factor and latents_mean");
        }
        Ok(())
    }
}
