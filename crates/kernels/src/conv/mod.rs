//! Convolutions over time and images, and transposed ones, with PyTorch's meaning: stride, dilation, groups, padding
//! (different on either side where wished), forward and backward.
//!
//! - `geometry`: shapes, checked once
//! - `plan`: which taps meet where, and in what tiles
//! - `tile`: the part of the input that a task reads, with its padding
//! - `packed`: weights in the order of the loops
//! - `kernel`: the loops in registers
//! - `run`: an output out of tasks; `winograd`: the same for 3x3 kernels, `toom` for those over time; `weight`: the gradient of a weight
//! - `operator`: the operators, and candle's own where ours do not apply
//!
//! Nothing like im2col is built: a tap of a kernel reads the tile's rows in place, shifted, which needs neither memory
//! nor time (as in Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead Direct Convolutions", 2018). A
//! transposed convolution is one small convolution for each phase of its stride, so nothing is scattered.

mod geometry;
mod kernel;
mod operator;
mod packed;
mod plan;
mod run;
#[cfg(test)]
mod tests;
mod tile;
mod toom;
mod weight;
mod winograd;

use candle_core::{Device, Result, Tensor};

use crate::level::level;
use crate::rows;
use geometry::Geometry;
use operator::Convolution;
use run::Finish;

/// The geometry of a convolution over `N` axes: 1 for time, 2 for height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<const N: usize> {
    /// Distance of neighbouring outputs in the input (of inputs in the output, where transposed).
    pub stride: [usize; N],
    /// Distance of neighbouring taps.
    pub dilation: [usize; N],
    /// Zeros put before and after the input (cut from the output, where transposed).
    pub padding: [(usize, usize); N],
    /// Added to the output's length where transposed; below the stride or the dilation.
    pub output_padding: [usize; N],
    /// Channels and outputs are split into so many convolutions; as many as channels makes it depthwise.
    pub groups: usize,
}

impl<const N: usize> Default for Options<N> {
    /// Stride, dilation and groups of one, no padding.
    fn default() -> Self {
        Options { stride: [1; N], dilation: [1; N], padding: [(0, 0); N], output_padding: [0; N], groups: 1 }
    }
}

impl<const N: usize> Options<N> {
    /// The same stride on every axis, and the same padding on every side.
    pub fn new(stride: usize, padding: usize) -> Self {
        Options { stride: [stride; N], padding: [(padding, padding); N], ..Options::default() }
    }
}

/// Convolution of `xs` (batch, channels, time) with `weight` (outputs, channels / groups, kernel) and `bias`
/// (outputs): (batch, outputs, (time + padding - dilation * (kernel - 1) - 1) / stride + 1). An empty input gives an
/// empty output.
///
/// # Errors
/// On shapes that do not fit and a kernel larger than the padded input.
pub fn conv1d(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &Options<1>) -> Result<Tensor> {
    convolution(xs, weight, bias, options)
}

/// Convolution of `xs` (batch, channels, height, width) with `weight` (outputs, channels / groups, height, width) and
/// `bias` (outputs), as [`conv1d`] on either axis.
///
/// # Errors
/// As [`conv1d`].
pub fn conv2d(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &Options<2>) -> Result<Tensor> {
    convolution(xs, weight, bias, options)
}

/// Transposed convolution of `xs` (batch, channels, time) with `weight` (channels, outputs / groups, kernel) and
/// `bias` (outputs): (batch, outputs, (time - 1) * stride - padding + dilation * (kernel - 1) + output padding + 1).
///
/// # Errors
/// On shapes that do not fit, a padding larger than the output, and an output padding not below stride or dilation.
pub fn conv_transpose1d(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Options<1>,
) -> Result<Tensor> {
    transposed(xs, weight, bias, options)
}

/// Transposed convolution of `xs` (batch, channels, height, width) with `weight` (channels, outputs / groups, height,
/// width) and `bias` (outputs), as [`conv_transpose1d`] on either axis.
///
/// # Errors
/// As [`conv_transpose1d`].
pub fn conv_transpose2d(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Options<2>,
) -> Result<Tensor> {
    transposed(xs, weight, bias, options)
}

/// The convolution over `N` axes, or the transposed one: for code that is one for all of the four above.
///
/// # Errors
/// As these.
pub fn convolve<const N: usize>(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Options<N>,
    is_transposed: bool,
) -> Result<Tensor> {
    let of = if is_transposed { transposed } else { convolution };
    of(xs, weight, bias, options)
}

fn convolution<const N: usize>(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Options<N>,
) -> Result<Tensor> {
    let geometry = Geometry::convolution(xs.dims(), weight.dims(), options)?;
    Convolution { geometry, transposed: false }.apply(xs, weight, bias)
}

fn transposed<const N: usize>(
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Options<N>,
) -> Result<Tensor> {
    let geometry = Geometry::transposed(xs.dims(), weight.dims(), options)?;
    Convolution { geometry, transposed: true }.apply(xs, weight, bias)
}

/// What a packed convolution does besides: `leaky_after(conv(leaky_before(xs)) + bias + residual)`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// The slope of a leaky relu of the input; zero for relu.
    pub leaky_before: Option<f64>,
    /// A tensor of the output's shape that is added.
    pub residual: Option<&'a Tensor>,
    /// The slope of a leaky relu of the output; zero for relu.
    pub leaky_after: Option<f64>,
}

/// A convolution whose weight was put in order once, for inference: it has no gradients.
pub struct Packed<const N: usize> {
    options: Options<N>,
    transposed: bool,
    dims: Vec<usize>,
    weight: Weight,
}

/// A packed convolution over time.
pub type Packed1d = Packed<1>;
/// A packed convolution of images.
pub type Packed2d = Packed<2>;

enum Weight {
    Ordered(Vec<f32>),
    Plain(Tensor),
}

impl<const N: usize> Packed<N> {
    /// Of a convolution with `weight` (outputs, channels / groups, ...).
    ///
    /// # Errors
    /// On a weight that does not fit the options.
    pub fn new(weight: &Tensor, options: Options<N>) -> Result<Self> {
        Packed::pack(weight, options, false)
    }

    /// Of a transposed convolution with `weight` (channels, outputs / groups, ...).
    ///
    /// # Errors
    /// On a weight that does not fit the options.
    pub fn transposed(weight: &Tensor, options: Options<N>) -> Result<Self> {
        Packed::pack(weight, options, true)
    }

    fn pack(weight: &Tensor, options: Options<N>, transposed: bool) -> Result<Self> {
        let mut packed = Packed {
            options,
            transposed,
            dims: weight.dims().to_vec(),
            weight: Weight::Plain(weight.detach()),
        };
        // an empty batch of an empty input: how weights are packed depends on no length
        let channels = match (weight.dims(), transposed) {
            ([channels, ..], true) => *channels,
            ([_, channels, ..], false) => channels * options.groups,
            _ => 0,
        };
        let mut xs = vec![0; N + 2];
        xs[1] = channels;
        let convolution = packed.convolution(&xs)?;
        if rows::own(weight) {
            let weight = weight.contiguous()?;
            let pack = |[weight]: [&[f32]; 1]| packed::pack(level(), &convolution.plan(), weight);
            packed.weight = Weight::Ordered(rows::read([&weight], pack)?);
        }
        Ok(packed)
    }

    fn convolution(&self, xs: &[usize]) -> Result<Convolution> {
        let geometry = if self.transposed {
            Geometry::transposed(xs, &self.dims, &self.options)?
        } else {
            Geometry::convolution(xs, &self.dims, &self.options)?
        };
        Ok(Convolution { geometry, transposed: self.transposed })
    }

    /// The convolution of `xs`, and a `bias` (outputs), or (batch, outputs) where each image has its own.
    ///
    /// # Errors
    /// On shapes that do not fit, and on tensors that want a gradient.
    pub fn forward(&self, xs: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        self.forward_with(xs, bias, &Around::default())
    }

    /// [`Packed::forward`] with what stands around it in one pass.
    ///
    /// # Errors
    /// On shapes that do not fit, and on tensors that want a gradient.
    pub fn forward_with(&self, xs: &Tensor, bias: Option<&Tensor>, around: &Around) -> Result<Tensor> {
        let convolution = self.convolution(xs.dims())?;
        let (dims, outputs) = (convolution.output_dims(), convolution.outputs());
        if let Some(bias) = bias
            && ![&[outputs][..], &[dims[0], outputs]].contains(&bias.dims())
        {
            refuse!("a convolution with {outputs} outputs takes no bias of shape {:?}", bias.shape());
        }
        if let Some(residual) = around.residual
            && residual.dims() != dims
        {
            refuse!("a residual of shape {:?} is added to a convolution's output {dims:?}", residual.shape());
        }
        if [Some(xs), bias, around.residual].into_iter().flatten().any(Tensor::track_op) {
            refuse!("a packed convolution has no gradients; the plain one has");
        }
        let weight = match &self.weight {
            Weight::Plain(weight) => return plain(&convolution, xs, weight, bias, around),
            Weight::Ordered(weight) => weight,
        };
        let xs = xs.contiguous()?;
        let bias = bias.map(Tensor::contiguous).transpose()?;
        let residual = around.residual.map(Tensor::contiguous).transpose()?;
        // what there is not is read as `xs`, and not used
        let (a, b) = (bias.as_ref().unwrap_or(&xs), residual.as_ref().unwrap_or(&xs));
        let values = rows::read([&xs, a, b], |[xs, a, b]| {
            let finish = Finish {
                before: around.leaky_before.map(|slope| slope as f32),
                bias: bias.as_ref().map(|_| a),
                residual: residual.as_ref().map(|_| b),
                after: around.leaky_after.map(|slope| slope as f32),
            };
            run::run(level(), &convolution.plan(), weight, xs, finish)
        })?;
        Tensor::from_vec(values, dims, &Device::Cpu)
    }
}

/// The same out of candle's operators.
fn plain(
    convolution: &Convolution,
    xs: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    around: &Around,
) -> Result<Tensor> {
    let leaky = |xs: Tensor, slope: Option<f64>| match slope {
        Some(slope) => xs.relu()? - (xs.neg()?.relu()? * slope)?,
        None => Ok(xs),
    };
    let xs = leaky(xs.clone(), around.leaky_before)?;
    let mut ys = match bias.filter(|bias| bias.rank() == 2) {
        Some(own) => {
            let mut dims = vec![1; xs.rank()];
            dims[..2].copy_from_slice(own.dims());
            convolution.composite(&xs, weight, None)?.broadcast_add(&own.reshape(dims)?)?
        }
        None => convolution.composite(&xs, weight, bias)?,
    };
    if let Some(residual) = around.residual {
        ys = (ys + residual)?;
    }
    leaky(ys, around.leaky_after)
}
