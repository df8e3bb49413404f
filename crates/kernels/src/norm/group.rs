//! Group normalisation (Wu and He, 2018).

use super::{Moments, parameter, wide};
use crate::elementary::{Fma, sigmoid};
use crate::fresh::{self, Fresh, sums};
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};

/// Normalisation of (batch, channels, ...) over each of `groups` equal runs of channels and all that follows, then a
/// weight and a bias for each channel.
pub fn group_norm(
    xs: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    check(xs, groups)?;
    if !rows::own(xs) {
        return composite(xs, groups, weight, bias, epsilon);
    }
    apply(xs, weight, bias, GroupNorm { groups, epsilon: epsilon as f32, silu: false })
}

/// [`group_norm`], then silu; in one pass where no gradient is asked.
pub fn group_norm_silu(
    xs: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    check(xs, groups)?;
    let trained = [Some(xs), weight, bias].into_iter().flatten().any(Tensor::track_op);
    if trained || !rows::own(xs) {
        return crate::activations::silu(&group_norm(xs, groups, weight, bias, epsilon)?);
    }
    apply(xs, weight, bias, GroupNorm { groups, epsilon: epsilon as f32, silu: true })
}

fn check(xs: &Tensor, groups: usize) -> Result<()> {
    if xs.rank() < 2 || groups == 0 || !xs.dims()[1].is_multiple_of(groups) {
        refuse!("{groups} groups of the channels of {:?}", xs.dims());
    }
    Ok(())
}

fn apply(xs: &Tensor, weight: Option<&Tensor>, bias: Option<&Tensor>, op: GroupNorm) -> Result<Tensor> {
    let weight = parameter(weight, 1., xs.dim(1)?, xs.device())?;
    let bias = parameter(bias, 0., xs.dim(1)?, xs.device())?;
    xs.contiguous()?.apply_op3(&weight, &bias, op)
}

pub(super) fn composite(
    xs: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    let (batch, channels) = (xs.dim(0)?, xs.dim(1)?);
    let size = xs.elem_count() / (batch * groups).max(1);
    let centred = wide(xs)?.reshape((batch, groups, size))?;
    let centred = centred.broadcast_sub(&centred.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let ys = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?.to_dtype(xs.dtype())?;
    let mut ys = ys.reshape((batch, channels, size * groups / channels.max(1)))?;
    if let Some(weight) = weight {
        ys = ys.broadcast_mul(&weight.reshape((1, channels, 1))?)?;
    }
    if let Some(bias) = bias {
        ys = ys.broadcast_add(&bias.reshape((1, channels, 1))?)?;
    }
    ys.reshape(xs.shape())
}

/// How values lie: so many groups in all, channels in a group and values in a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    groups: usize,
    channels: usize,
    values: usize,
}

impl Size {
    pub(super) fn new(dims: &[usize], groups: usize) -> Self {
        Size { groups: dims[0] * groups, channels: dims[1] / groups, values: dims[2..].iter().product() }
    }

    fn group(&self) -> usize {
        self.channels * self.values
    }
}

/// Values whose moments are found with one look at memory: half of a first-level cache.
const BLOCK: usize = 4096;

// moments of blocks put together as by Chan, Golub and LeVeque (1979)
#[inline(always)]
fn moments(xs: &[f32]) -> Moments {
    let (mut count, mut mean, mut squares) = (0f64, 0f64, 0f64);
    for block in xs.chunks(BLOCK) {
        let (part, size) = (Moments::of(block), block.len() as f64);
        let delta = part.mean as f64 + part.rest as f64 - mean;
        let whole = count + size;
        mean += delta * size / whole;
        squares += part.variance as f64 * size + delta * delta * count * size / whole;
        count = whole;
    }
    let short = mean as f32;
    Moments { mean: short, rest: (mean - short as f64) as f32, variance: (squares / count.max(1.)) as f32 }
}

#[inline(always)]
fn channel(m: Fma, x: &[f32], moments: Moments, scale: f32, bias: f32, silu: bool, out: &mut Fresh) {
    if silu {
        out.write(
            [x],
            #[inline(always)]
            |[x]| {
                let y = m.add(moments.centred(x), scale, bias);
                y * sigmoid(m, y)
            },
        );
    } else {
        out.write(
            [x],
            #[inline(always)]
            |[x]| m.add(moments.centred(x), scale, bias),
        );
    }
}

pub(super) fn values(level: Level, size: Size, op: &GroupNorm, [xs, weight, bias]: [&[f32]; 3]) -> Vec<f32> {
    let (group, channels) = (size.group(), weight.len());
    let ([ys], _) = fresh::rows(
        level,
        (size.groups, group),
        || (),
        #[inline(always)]
        |m, i, [out], _| {
            let x = &xs[i * group..][..group];
            let moments = moments(x);
            let scale = moments.scale(op.epsilon);
            let first = i * size.channels % channels;
            out.parts(
                size.values,
                #[inline(always)]
                |c, y| {
                    let (w, b) = (weight[first + c], bias[first + c]);
                    channel(m, &x[c * size.values..], moments, scale * w, b, op.silu, y);
                },
            );
        },
    );
    ys
}

// With h the normalised values and g the gradient: dx = scale (g w - mean(g w) - h mean(g w h)), dw = sum of g h,
// db = sum of g; the latter two for each channel of each item of the batch.
pub(super) fn gradients(
    level: Level,
    size: Size,
    epsilon: f32,
    [xs, weight, grad]: [&[f32]; 3],
) -> (Vec<f32>, Vec<[f32; 2]>) {
    let (group, channels) = (size.group(), weight.len());
    let ([xs_grad], parts) = fresh::rows(
        level,
        (size.groups, group),
        Vec::new,
        #[inline(always)]
        |m, i, [out], parts: &mut Vec<[f32; 2]>| {
            let [x, g] = [xs, grad].map(|values| &values[i * group..][..group]);
            let moments = moments(x);
            let scale = moments.scale(epsilon);
            let weight = &weight[i * size.channels % channels..];
            let (mut mean, mut slope) = (0f64, 0f64);
            for c in 0..size.channels {
                let [sum, product] = sums(
                    [x, g].map(|values| &values[c * size.values..][..size.values]),
                    #[inline(always)]
                    |[x, g]| [g, g * (moments.centred(x) * scale)],
                );
                mean += (sum * weight[c]) as f64 / group as f64;
                slope += (product * weight[c]) as f64 / group as f64;
                parts.push([product, sum]);
            }
            let (mean, slope) = (mean as f32, slope as f32);
            out.parts(
                size.values,
                #[inline(always)]
                |c, out| {
                    let w = weight[c];
                    out.write(
                        [x, g].map(|values| &values[c * size.values..]),
                        #[inline(always)]
                        |[x, g]| scale * m.add(-(moments.centred(x) * scale), slope, m.add(g, w, -mean)),
                    );
                },
            );
        },
    );
    (xs_grad, parts.into_iter().flatten().collect())
}

pub(super) struct GroupNorm {
    pub(super) groups: usize,
    pub(super) epsilon: f32,
    pub(super) silu: bool,
}

impl CustomOp3 for GroupNorm {
    fn name(&self) -> &'static str {
        "group-norm"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [
            rows::values(xs, xs_layout)?,
            rows::values(weight, weight_layout)?,
            rows::values(bias, bias_layout)?,
        ];
        let size = Size::new(xs_layout.dims(), self.groups);
        Ok((CpuStorage::F32(values(level(), size, self, inputs)), xs_layout.shape().clone()))
    }

    // of the operator without silu: the one with it is not used where gradients are asked
    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (size, channels) = (Size::new(xs.dims(), self.groups), weight.elem_count());
        let inputs = [xs, weight, &grad.contiguous()?];
        let (xs_grad, parts) = rows::read(inputs, |inputs| gradients(level(), size, self.epsilon, inputs))?;
        let (mut weight_grad, mut bias_grad) = (vec![0f32; channels], vec![0f32; channels]);
        for (i, [product, sum]) in parts.into_iter().enumerate() {
            weight_grad[i % channels] += product;
            bias_grad[i % channels] += sum;
        }
        let tensor = |values| Tensor::from_vec(values, channels, xs.device()).map(Some);
        let xs_grad = Tensor::from_vec(xs_grad, xs.shape(), xs.device())?;
        Ok((Some(xs_grad), tensor(weight_grad)?, tensor(bias_grad)?))
    }
}
