//! Convolutions as operators with gradients, and out of candle's own operators where ours do not apply.

use crate::gradients::Recorded;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor};

use super::geometry::{Axis, Geometry};
use super::packed::pack;
use super::plan::Plan;
use super::run::{Finish, run};
use super::weight;
use crate::level::level;
use crate::rows;

/// A convolution, or a transposed one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub geometry: Geometry,
    pub transposed: bool,
}

impl Convolution {
    /// How it runs.
    pub fn plan(&self) -> Plan {
        if self.transposed { Plan::adjoint(&self.geometry) } else { Plan::forward(&self.geometry) }
    }

    /// The shape of its output.
    pub fn output_dims(&self) -> Vec<usize> {
        if self.transposed { self.geometry.big_dims() } else { self.geometry.small_dims() }
    }

    /// Channels of its output.
    pub fn outputs(&self) -> usize {
        self.geometry.groups * if self.transposed { self.geometry.big } else { self.geometry.small }
    }

    /// On tensors.
    pub fn apply(self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let images = xs.dim(0)?;
        let each = bias.is_some_and(|bias| bias.dims() == [images, self.outputs()]);
        if let Some(bias) = bias
            && !each
            && bias.dims() != [self.outputs()]
        {
            refuse!(
                "a convolution with {} outputs takes no bias of shape {:?}",
                self.outputs(),
                bias.shape()
            );
        }
        let ours = rows::own(xs) && rows::own(weight) && bias.is_none_or(rows::own);
        match bias {
            Some(bias) if !ours && each => {
                let mut dims = self.channel_dims();
                dims[0] = images;
                self.composite(xs, weight, None)?.broadcast_add(&bias.reshape(dims)?)
            }
            _ if !ours => self.composite(xs, weight, bias),
            None => xs.contiguous()?.recorded2(&weight.contiguous()?, self),
            Some(bias) => xs.contiguous()?.recorded3(&weight.contiguous()?, &bias.contiguous()?, self),
        }
    }

    fn forward(&self, xs: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let plan = self.plan();
        let packed = pack(level(), &plan, weight);
        let out = run(level(), &plan, &packed, xs, Finish { bias, ..Finish::default() });
        (CpuStorage::F32(out), self.output_dims().into())
    }

    fn gradients(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_xs = if xs.track_op() {
            let back = Convolution { transposed: !self.transposed, ..*self };
            let found = rows::read([grad, weight], |[grad, weight]| back.forward(grad, weight, None))?;
            let CpuStorage::F32(values) = found.0 else { refuse!("a gradient that is not f32") };
            Some(Tensor::from_vec(values, xs.shape(), &Device::Cpu)?)
        } else {
            None
        };
        let of_weight = if weight.track_op() {
            let (big, small) = if self.transposed { (grad, xs) } else { (xs, grad) };
            let values = rows::read([big, small], |[big, small]| {
                weight::gradient(level(), &self.geometry, big, small)
            })?;
            Some(Tensor::from_vec(values, weight.shape(), &Device::Cpu)?)
        } else {
            None
        };
        Ok((of_xs, of_weight))
    }

    /// Out of candle's operators, with gradients. candle has one stride, padding and dilation for both axes, drops
    /// groups in two dimensions and has no gradient of a transposed convolution over time: so padding and cutting
    /// are done apart, zeros put between values, and strides that differ are left to the end.
    pub fn composite(&self, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let geometry = &self.geometry;
        if self.output_dims().contains(&0) || xs.elem_count() == 0 {
            let bias = bias.map(|bias| bias.reshape(self.channel_dims())).transpose()?;
            let zeros = Tensor::zeros(self.output_dims(), xs.dtype(), xs.device())?;
            return bias.map_or(Ok(zeros.clone()), |bias| zeros.broadcast_add(&bias));
        }
        let axes = &geometry.axes[2 - geometry.spatial..];
        let ys = if self.transposed {
            self.spread(xs, weight, axes)?
        } else {
            convolved(xs, weight, axes, geometry.groups)?
        };
        match bias {
            Some(bias) => ys.broadcast_add(&bias.reshape(self.channel_dims())?),
            None => Ok(ys),
        }
    }

    /// The shape of a bias that broadcasts.
    fn channel_dims(&self) -> Vec<usize> {
        let mut dims = vec![1; self.geometry.spatial + 2];
        dims[1] = self.outputs();
        dims
    }

    /// A transposed convolution: that of the input with zeros between its values, with the kernel reversed.
    fn spread(&self, xs: &Tensor, weight: &Tensor, axes: &[Axis]) -> Result<Tensor> {
        let Geometry { groups, small, big, .. } = self.geometry;
        let mut xs = xs.clone();
        // (groups * small, big, ...) -> (groups * big, small, ...)
        let kernel = &weight.dims()[2..];
        let apart: Vec<usize> = [groups, small, big].iter().chain(kernel).copied().collect();
        let joined: Vec<usize> = [groups * big, small].iter().chain(kernel).copied().collect();
        let mut weight = weight.reshape(apart)?.transpose(1, 2)?.contiguous()?.reshape(joined)?;
        let mut plain = Vec::new();
        for (i, axis) in axes.iter().enumerate() {
            let dim = 2 + i;
            xs = apart_by(&xs, dim, axis.stride)?;
            let last: Vec<u32> = (0..axis.kernel as u32).rev().collect();
            weight = weight.index_select(&Tensor::new(last, weight.device())?, dim)?;
            // what the reversed kernel needs on the left; the input may have to be cut there instead
            let span = axis.dilation * (axis.kernel - 1);
            xs = moved(&xs, dim, span as isize - axis.before as isize, axis.big + span)?;
            plain.push(Axis { big: axis.big + span, small: axis.big, stride: 1, before: 0, ..*axis });
        }
        convolved(&xs, &weight, &plain, groups)
    }
}

/// The axis with `before` zeros put in front (or values cut where negative), then cut or filled to `length`.
fn moved(xs: &Tensor, dim: usize, before: isize, length: usize) -> Result<Tensor> {
    let cut = before.min(0).unsigned_abs().min(xs.dim(dim)?);
    let xs = xs.narrow(dim, cut, xs.dim(dim)? - cut)?.pad_with_zeros(dim, before.max(0) as usize, 0)?;
    let count = xs.dim(dim)?.min(length);
    xs.narrow(dim, 0, count)?.pad_with_zeros(dim, 0, length - count)
}

/// Zeros between the values of an axis, so that they lie `step` apart.
fn apart_by(xs: &Tensor, dim: usize, step: usize) -> Result<Tensor> {
    if step == 1 {
        return Ok(xs.clone());
    }
    let count = xs.dim(dim)?;
    let spread = xs.unsqueeze(dim + 1)?.pad_with_zeros(dim + 1, 0, step - 1)?.flatten(dim, dim + 1)?;
    spread.narrow(dim, 0, (count - 1) * step + 1)
}

fn convolved(xs: &Tensor, weight: &Tensor, axes: &[Axis], groups: usize) -> Result<Tensor> {
    let (mut xs, mut weight) = (xs.clone(), weight.clone());
    let same = |f: fn(&Axis) -> usize| axes.iter().all(|axis| f(axis) == f(&axes[0]));
    let stride = if same(|axis| axis.stride) { axes[0].stride } else { 1 };
    let dilation = if same(|axis| axis.dilation) { axes[0].dilation } else { 1 };
    for (i, axis) in axes.iter().enumerate() {
        let span = axis.dilation * (axis.kernel - 1) + 1;
        xs = moved(&xs, 2 + i, axis.before as isize, (axis.small - 1) * axis.stride + span)?;
        if dilation != axis.dilation {
            weight = apart_by(&weight, 2 + i, axis.dilation)?;
        }
    }
    let (xs, weight) = (xs.contiguous()?, weight.contiguous()?);
    let mut ys = match axes.len() {
        // candle 0.11.1 reads a transposed kernel as if it were not, so its gradient of this one's weight is wrong
        1 if weight.track_op() => {
            let (xs, weight) = (xs.unsqueeze(2)?, weight.unsqueeze(2)?);
            xs.conv2d(&weight, 0, stride, dilation, groups)?.squeeze(2)?
        }
        1 => xs.conv1d(&weight, 0, stride, dilation, groups)?,
        _ => xs.conv2d(&weight, 0, stride, dilation, groups)?,
    };
    for (i, axis) in axes.iter().enumerate() {
        if stride != axis.stride {
            let places: Vec<u32> = (0..axis.small as u32).map(|place| place * axis.stride as u32).collect();
            ys = ys.contiguous()?.index_select(&Tensor::new(places, ys.device())?, 2 + i)?;
        }
    }
    Ok(ys)
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        l1: &Layout,
        weight: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(rows::values(xs, l1)?, rows::values(weight, l2)?, None))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(xs, weight, &grad.contiguous()?)
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution with bias"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        l1: &Layout,
        weight: &CpuStorage,
        l2: &Layout,
        bias: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok(self.forward(rows::values(xs, l1)?, rows::values(weight, l2)?, Some(rows::values(bias, l3)?)))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let of_bias = if bias.track_op() {
            let plane = grad.dims()[2..].iter().product();
            let sums =
                rows::read([&grad], |[grad]| weight::channel_sums(level(), grad, bias.elem_count(), plane))?;
            Some(Tensor::from_vec(sums, bias.shape(), &Device::Cpu)?)
        } else {
            None
        };
        let (of_xs, of_weight) = self.gradients(xs, weight, &grad)?;
        Ok((of_xs, of_weight, of_bias))
    }
}
