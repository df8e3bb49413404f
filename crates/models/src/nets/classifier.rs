//! A small convolutional net that tells kinds of pictures apart (after He et al., 2016), and whose last features say how
//! alike sets of pictures are (as Heusel et al., 2017, use a larger one's).

use super::unet::{Residual, Sizes, stdev};
use crate::layers::conv::{Conv2d, Options};
use crate::layers::linear::Linear;
use crate::layers::norm::GroupNorm;
use crate::vars::VarBuilder;
use candle_core::{D, Result, Tensor};

/// Sizes of the net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Channels of a picture.
    pub channels: usize,
    /// Kinds that it tells apart.
    pub kinds: usize,
    /// Channels of the finest level; the next ones have two and four times as many.
    pub width: usize,
}

const LEVELS: usize = 3;
const GROUPS: usize = 8;
const EPSILON: f64 = 1e-5;

/// The net.
pub struct Classifier {
    conv_in: Conv2d,
    levels: Vec<(Residual, Option<Conv2d>)>,
    norm: GroupNorm,
    head: Linear,
}

impl Classifier {
    /// Reads the weights.
    ///
    /// # Errors
    /// A width that is no multiple of 8, weights that are missing or of another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        let Config { channels, kinds, width } = *config;
        if width == 0 || !width.is_multiple_of(GROUPS) {
            refuse!("a classifier of width {width}: it must be a multiple of {GROUPS}");
        }
        let mut levels = vec![];
        for level in 0..LEVELS {
            let (inputs, outputs) = (width << level.saturating_sub(1), width << level);
            let vb = vb.pp("levels").pp(level);
            let sizes = Sizes { inputs, outputs, time: None, groups: GROUPS, epsilon: EPSILON };
            let half = Options { stride: [2; 2], ..Options::new(1, 1) };
            let smaller = (level + 1 < LEVELS)
                .then(|| Conv2d::new(outputs, outputs, [3, 3], half, true, vb.pp("smaller")));
            levels.push((Residual::new(sizes, vb.pp("residual"))?, smaller.transpose()?));
        }
        let features = width << (LEVELS - 1);
        Ok(Self {
            conv_in: Conv2d::new(channels, width, [3, 3], Options::new(1, 1), true, vb.pp("conv_in"))?,
            levels,
            norm: GroupNorm::new(GROUPS, features, EPSILON, vb.pp("norm"))?,
            head: Linear::new(features, kinds, true, stdev(features), vb.pp("head"))?,
        })
    }

    /// The features (batch, 4 widths) of pictures (batch, channels, height, width).
    ///
    /// # Errors
    /// On other channels.
    pub fn features(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut xs = self.conv_in.forward(pictures)?;
        for (residual, smaller) in &self.levels {
            xs = residual.forward(&xs, None)?;
            if let Some(conv) = smaller {
                xs = conv.forward(&xs)?;
            }
        }
        self.norm.forward_silu(&xs)?.flatten_from(2)?.mean(D::Minus1)
    }

    /// Logits (batch, kinds) of features.
    ///
    /// # Errors
    /// On another width.
    pub fn head(&self, features: &Tensor) -> Result<Tensor> {
        self.head.forward(features)
    }
}
