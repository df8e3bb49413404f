//! Dilated depth-separable convolutions: over time in each channel alone, then over channels at each time, around a
//! residual.

use super::Config;
use crate::layers::conv::{Conv1d, Options};
use crate::layers::norm::LayerNorm;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::activations::gelu;
use kernels::reorder::{swap, swap_add};

/// Layers that reach further one after the other.
pub struct Separable(Vec<Layer>);

struct Layer {
    over_time: Conv1d,
    time_norm: LayerNorm,
    over_channels: Conv1d,
    channel_norm: LayerNorm,
}

/// Under the roots of the norms, whatever `config.json` says: PyTorch's default.
const EPSILON: f64 = 1e-5;

impl Separable {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, kernel) = (cfg.hidden_size, cfg.duration_predictor_kernel_size);
        let layer = |i: usize| {
            let dilation = kernel.pow(i as u32);
            let padding = dilation * (kernel - 1) / 2;
            let options = Options { dilation: [dilation], groups: size, ..Options::new(1, padding) };
            let norm = |name: &str| LayerNorm::new(size, EPSILON, vb.pp(name).pp(i));
            let point = vb.pp("convs_pointwise").pp(i);
            Ok(Layer {
                over_time: Conv1d::new(size, size, [kernel], options, true, vb.pp("convs_dilated").pp(i))?,
                time_norm: norm("norms_1")?,
                over_channels: Conv1d::new(size, size, [1], Options::default(), true, point)?,
                channel_norm: norm("norms_2")?,
            })
        };
        Ok(Self((0..cfg.depth_separable_num_layers).map(layer).collect::<Result<_>>()?))
    }

    /// (1, size, ids) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let mut xs = xs.clone();
        for layer in &self.0 {
            let ys = gelu(&layer.time_norm.forward(&swap(&layer.over_time.forward(&xs)?)?)?)?;
            let ys = layer.over_channels.forward(&swap(&ys)?)?;
            xs = swap_add(&gelu(&layer.channel_norm.forward(&swap(&ys)?)?)?, &xs)?;
        }
        Ok(xs)
    }
}
