//! Activations, element by element, their products with a gate, and snake; forward and backward.
//!
//! Each follows PyTorch's function of that name, NaN and infinities included. Values are within 1e-6 of their own
//! size, in the tails too; gelu by tanh, whose argument is a cube, within 1e-5.

mod gated;
mod snake;
#[cfg(test)]
mod tests;

pub use gated::{gelu_mul, gelu_tanh_mul, sigmoid_mul, silu_mul};
pub use snake::{snake, snake_beta};

use crate::elementary::{self, Fma};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::{fresh, rows};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Gaussian error linear unit, `x Φ(x)` (Hendrycks and Gimpel, 2016): PyTorch's default form.
pub fn gelu(xs: &Tensor) -> Result<Tensor> {
    apply(Gelu, xs)
}

/// [`gelu`] as its paper approximates it: `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`.
pub fn gelu_tanh(xs: &Tensor) -> Result<Tensor> {
    apply(GeluTanh, xs)
}

/// [`gelu`] as CLIP approximates it: `x / (1 + e^(-1.702 x))`.
pub fn quick_gelu(xs: &Tensor) -> Result<Tensor> {
    apply(QuickGelu, xs)
}

/// `x / (1 + e^-x)`, also called swish.
pub fn silu(xs: &Tensor) -> Result<Tensor> {
    apply(Silu, xs)
}

/// `max(x, 0)`.
pub fn relu(xs: &Tensor) -> Result<Tensor> {
    apply(Relu, xs)
}

/// `x` above zero, `slope x` elsewhere.
pub fn leaky_relu(xs: &Tensor, slope: f64) -> Result<Tensor> {
    apply(LeakyRelu { slope: slope as f32 }, xs)
}

/// Hyperbolic tangent.
pub fn tanh(xs: &Tensor) -> Result<Tensor> {
    apply(Tanh, xs)
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(xs: &Tensor) -> Result<Tensor> {
    apply(Sigmoid, xs)
}

/// A function of one number.
trait Function: Copy + Send + Sync + 'static {
    const NAME: &'static str;

    /// Value and derivative; the compiler leaves out whichever is not used.
    fn both(self, m: Fma, x: f32) -> (f32, f32);

    /// The same of candle's operators.
    fn composite(self, xs: &Tensor) -> Result<Tensor>;
}

fn apply<F: Function>(function: F, xs: &Tensor) -> Result<Tensor> {
    if rows::own(xs) {
        return xs.contiguous()?.recorded1(Activation(function));
    }
    function.composite(xs)
}

fn values<F: Function>(level: Level, function: F, xs: &[f32]) -> Vec<f32> {
    let [ys] = fresh::map(
        level,
        [xs],
        #[inline(always)]
        |m, _, [x]| [function.both(m, x).0],
    );
    ys
}

fn gradient<F: Function>(level: Level, function: F, xs: &[f32], grad: &[f32]) -> Vec<f32> {
    let [ys] = fresh::map(
        level,
        [xs, grad],
        #[inline(always)]
        |m, _, [x, g]| [g * function.both(m, x).1],
    );
    ys
}

struct Activation<F>(F);

impl<F: Function> CustomOp1 for Activation<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ys = values(level(), self.0, rows::values(xs, layout)?);
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(&self, xs: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = rows::read([xs, &grad.contiguous()?], |[xs, grad]| gradient(level(), self.0, xs, grad))?;
        Tensor::from_vec(grad, xs.shape(), xs.device()).map(Some)
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Function for Gelu {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn both(self, m: Fma, x: f32) -> (f32, f32) {
        let (distribution, density) = elementary::normal(m, x);
        (x * distribution, m.add(x, density, distribution))
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs.gelu_erf()
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Function for GeluTanh {
    const NAME: &'static str = "gelu-tanh";

    // with u the argument of tanh, (1 + tanh u) / 2 is the sigmoid of v = 2u
    #[inline(always)]
    fn both(self, m: Fma, x: f32) -> (f32, f32) {
        const LINEAR: f32 = 1.595_769;
        const CUBIC: f32 = LINEAR * 0.044_715;
        let square = x * x;
        let e = elementary::exp(m, -x * m.add(square, CUBIC, LINEAR));
        let sigmoid = 1. / (1. + e);
        let value = x * sigmoid;
        (value, m.add(value * (1. - sigmoid), m.add(square, 3. * CUBIC, LINEAR), sigmoid))
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs.gelu()
    }
}

#[derive(Clone, Copy)]
struct QuickGelu;

impl QuickGelu {
    const RATE: f32 = 1.702;
}

impl Function for QuickGelu {
    const NAME: &'static str = "quick-gelu";

    #[inline(always)]
    fn both(self, m: Fma, x: f32) -> (f32, f32) {
        let sigmoid = elementary::sigmoid(m, Self::RATE * x);
        let value = x * sigmoid;
        (value, m.add(Self::RATE * value, 1. - sigmoid, sigmoid))
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs * Sigmoid.composite(&(xs * Self::RATE as f64)?)?
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Function for Silu {
    const NAME: &'static str = "silu";

    #[inline(always)]
    fn both(self, m: Fma, x: f32) -> (f32, f32) {
        let sigmoid = elementary::sigmoid(m, x);
        let value = x * sigmoid;
        (value, m.add(value, 1. - sigmoid, sigmoid))
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs.silu()
    }
}

#[derive(Clone, Copy)]
struct LeakyRelu {
    slope: f32,
}

impl Function for LeakyRelu {
    const NAME: &'static str = "leaky-relu";

    #[inline(always)]
    fn both(self, _: Fma, x: f32) -> (f32, f32) {
        (if x > 0. { x } else { x * self.slope }, if x > 0. { 1. } else { self.slope })
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs.relu()? - (xs.neg()?.relu()? * self.slope as f64)?
    }
}

#[derive(Clone, Copy)]
struct Relu;

impl Function for Relu {
    const NAME: &'static str = "relu";

    #[inline(always)]
    fn both(self, _: Fma, x: f32) -> (f32, f32) {
        (if x < 0. { 0. } else { x }, if x <= 0. { 0. } else { 1. })
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs.relu()
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl Function for Tanh {
    const NAME: &'static str = "tanh";

    #[inline(always)]
    fn both(self, m: Fma, x: f32) -> (f32, f32) {
        let value = elementary::tanh(m, x);
        (value, m.add(-value, value, 1.))
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        xs.tanh()
    }
}

#[derive(Clone, Copy)]
struct Sigmoid;

impl Function for Sigmoid {
    const NAME: &'static str = "sigmoid";

    #[inline(always)]
    fn both(self, m: Fma, x: f32) -> (f32, f32) {
        let value = elementary::sigmoid(m, x);
        (value, value * (1. - value))
    }

    fn composite(self, xs: &Tensor) -> Result<Tensor> {
        (xs.neg()?.exp()? + 1.)?.recip()
    }
}
