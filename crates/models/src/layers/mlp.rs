//! The gated feed-forward block, SwiGLU and its like (Shazeer, 2020).

use crate::layers::linear::Linear;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::activations::{gelu_mul, gelu_tanh_mul, silu_mul};

/// What a gate is bent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x * sigmoid(x)`
    #[default]
    Silu,
    /// `x` times the normal distribution up to `x`
    Gelu,
    /// The same by a hyperbolic tangent.
    GeluTanh,
}

/// `down(activation(gate(xs)) * up(xs))`.
pub struct Mlp {
    gated: Gated,
    down_proj: Linear,
    activation: Activation,
}

enum Gated {
    Apart {
        gate: Linear,
        up: Linear,
    },
    /// Both in one: the gate's outputs, then the other's.
    Fused(Linear),
}

/// Sizes of a block.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Width of the residual stream.
    pub size: usize,
    /// Width inside.
    pub inner: usize,
    /// Whether the maps have biases.
    pub bias: bool,
    /// Whether the first two maps are one, `gate_up_proj`.
    pub fused: bool,
    /// What the gate is bent by.
    pub activation: Activation,
}

impl Mlp {
    /// Reads `gate_proj` and `up_proj`, or `gate_up_proj`, and `down_proj`; `stdevs` are for the first two and the last.
    pub fn new(shape: Shape, stdevs: (f64, f64), vb: VarBuilder) -> Result<Self> {
        let Shape { size, inner, bias, fused, activation } = shape;
        let (stdev, stdev_out) = stdevs;
        let map = |inner: usize, name: &str| Linear::new(size, inner, bias, stdev, vb.pp(name));
        let gated = match fused {
            true => Gated::Fused(map(2 * inner, "gate_up_proj")?),
            false => Gated::Apart { gate: map(inner, "gate_proj")?, up: map(inner, "up_proj")? },
        };
        let down_proj = Linear::new(inner, size, bias, stdev_out, vb.pp("down_proj"))?;
        Ok(Self { gated, down_proj, activation })
    }

    /// (..., size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (gate, up) = match &self.gated {
            Gated::Apart { gate, up } => (gate.forward(xs)?, up.forward(xs)?),
            Gated::Fused(map) => {
                let both = map.forward(xs)?;
                let (last, half) = (both.rank() - 1, both.dim(both.rank() - 1)? / 2);
                (both.narrow(last, 0, half)?, both.narrow(last, half, half)?)
            }
        };
        let inner = match self.activation {
            Activation::Silu => silu_mul(&gate, &up)?,
            Activation::Gelu => gelu_mul(&gate, &up)?,
            Activation::GeluTanh => gelu_tanh_mul(&gate, &up)?,
        };
        self.down_proj.forward(&inner)
    }
}
