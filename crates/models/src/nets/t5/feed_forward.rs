//! The feed-forward part: plain, or with a gate (Shazeer, 2020).

use super::Config;
use crate::layers::dropout::Dropout;
use crate::layers::linear::Linear;
use crate::layers::transformer::Activation;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::activations::{gelu_mul, gelu_tanh_mul, silu_mul};

/// What is bent, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bend {
    pub activation: Activation,
    /// Whether the bent half multiplies another.
    pub gated: bool,
}

impl Bend {
    /// By its name in `feed_forward_proj`.
    ///
    /// # Errors
    /// For another name.
    pub fn named(name: &str) -> Result<Self> {
        let activation = match name.strip_prefix("gated-").unwrap_or(name) {
            "relu" => Activation::Relu,
            // transformers has it so for files of before it knew the difference
            "gelu" if name.starts_with("gated-") => Activation::GeluTanh,
            "gelu" => Activation::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Activation::GeluTanh,
            "silu" | "swish" => Activation::Silu,
            _ => refuse!(
                "config.json: feed_forward_proj `{name}` is not supported, only relu, gelu, gelu_new and silu are, and \
                 each with gated- before it"
            ),
        };
        Ok(Self { activation, gated: name.starts_with("gated-") })
    }
}

/// `wo(bend(wi(xs)))`, or `wo(bend(wi_0(xs)) * wi_1(xs))`.
pub struct FeedForward {
    inner: Linear,
    other: Option<Linear>,
    outer: Linear,
    activation: Activation,
}

impl FeedForward {
    /// Reads `wi` or `wi_0` and `wi_1`, and `wo`.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let Bend { activation, gated } = Bend::named(&cfg.feed_forward_proj)?;
        let stdev = |inputs: usize| cfg.initializer_factor * (inputs as f64).powf(-0.5);
        let map = |name: &str| Linear::new(cfg.d_model, cfg.d_ff, false, stdev(cfg.d_model), vb.pp(name));
        Ok(Self {
            inner: map(if gated { "wi_0" } else { "wi" })?,
            other: gated.then(|| map("wi_1")).transpose()?,
            outer: Linear::new(cfg.d_ff, cfg.d_model, false, stdev(cfg.d_ff), vb.pp("wo"))?,
            activation,
        })
    }

    /// (batch, time, size) to the same shape; dropout falls inside.
    pub fn forward(&self, xs: &Tensor, dropout: &Dropout, site: u64) -> Result<Tensor> {
        let inner = self.inner.forward(xs)?;
        let bent = match (&self.other, self.activation) {
            (None, activation) => activation.apply(&inner)?,
            (Some(other), Activation::GeluTanh) => gelu_tanh_mul(&inner, &other.forward(xs)?)?,
            (Some(other), Activation::Gelu) => gelu_mul(&inner, &other.forward(xs)?)?,
            (Some(other), Activation::Silu) => silu_mul(&inner, &other.forward(xs)?)?,
            (Some(other), Activation::Relu) => (Activation::Relu.apply(&inner)? * other.forward(xs)?)?,
        };
        self.outer.forward(&dropout.apply(&bent, site)?)
    }
}
