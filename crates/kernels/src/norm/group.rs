//! Group normalisation (Wu and He, 2018).

use super::{Moments, parameter, wide};
use crate::elementary::{Fma, sigmoid, with_fma};
use crate::fresh::{self, Fresh, sums};
use crate::gradients::Recorded;
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
    xs.contiguous()?.recorded3(&weight, &bias, op)
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

/// Count, mean and sum of squared deviations, for moments of blocks put together as by Chan, Golub and LeVeque (1979).
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Tally {
    #[inline(always)]
    fn of(xs: &[f32]) -> Self {
        let mut whole = Tally::default();
        for block in xs.chunks(BLOCK) {
            let (part, count) = (Moments::of(block), block.len() as f64);
            let mean = part.mean as f64 + part.rest as f64;
            whole = whole.with(Tally { count, mean, squares: part.variance as f64 * count });
        }
        whole
    }

    #[inline(always)]
    fn with(self, other: Tally) -> Tally {
        let count = self.count + other.count;
        let (delta, share) = (other.mean - self.mean, other.count / count);
        Tally {
            count,
            mean: self.mean + delta * share,
            squares: self.squares + other.squares + delta * delta * self.count * share,
        }
    }

    #[inline(always)]
    fn moments(self) -> Moments {
        let mean = self.mean as f32;
        let rest = (self.mean - mean as f64) as f32;
        Moments { mean, rest, variance: (self.squares / self.count) as f32 }
    }
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

pub(super) fn values(level: Level, size: Size, op: &GroupNorm, inputs: [&[f32]; 3]) -> Vec<f32> {
    if size.groups < 16 && size.group() > 4 * fresh::TASK {
        values_of_few(level, size, op, inputs)
    } else {
        values_of_many(level, size, op, inputs)
    }
}

// a task a group, whose values stay in the cache between the two passes
fn values_of_many(level: Level, size: Size, op: &GroupNorm, [xs, weight, bias]: [&[f32]; 3]) -> Vec<f32> {
    let (group, channels) = (size.group(), weight.len());
    let ([ys], _) = fresh::rows(
        level,
        (size.groups, group),
        || (),
        #[inline(always)]
        |m, i, [out], _| {
            let x = &xs[i * group..][..group];
            let moments = Tally::of(x).moments();
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

// tasks smaller than the groups, which are few and large: first all moments, then all values
fn values_of_few(level: Level, size: Size, op: &GroupNorm, [xs, weight, bias]: [&[f32]; 3]) -> Vec<f32> {
    let (group, channels) = (size.group(), weight.len());
    let parts = xs.chunks_exact(group).enumerate();
    let parts = parts.flat_map(|(i, xs)| xs.chunks(fresh::TASK).map(move |part| (i, part))).collect();
    let tally = |(i, part): (usize, &[f32])| {
        let tally = with_fma(
            level,
            #[inline(always)]
            |_| Tally::of(part),
        );
        (i, tally)
    };
    let mut groups = vec![Tally::default(); size.groups];
    for (i, tally) in fresh::each(parts, false, tally) {
        groups[i] = groups[i].with(tally);
    }
    let groups: Vec<Moments> = groups.into_iter().map(Tally::moments).collect();
    let ([ys], _) = fresh::rows(
        level,
        (size.groups * size.channels, size.values),
        || (),
        #[inline(always)]
        |m, i, [y], _| {
            let (moments, c) = (groups[i / size.channels], i % channels);
            let scale = moments.scale(op.epsilon) * weight[c];
            channel(m, &xs[i * size.values..], moments, scale, bias[c], op.silu, y);
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
            let moments = Tally::of(x).moments();
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
