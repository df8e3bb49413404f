//! Root mean square normalisation (Zhang and Sennrich, 2019).

use super::{parameter, total, wide};
use crate::fresh::{self, Fresh, sums};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};

/// `xs / sqrt(mean(xs²) + epsilon) * weight` over the last dimension.
pub fn rms_norm(xs: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    if !rows::own(xs) {
        return composite(xs, weight, epsilon);
    }
    let weight = parameter(Some(weight), 1., xs.dim(D::Minus1)?, xs.device())?;
    xs.contiguous()?.recorded2(&weight, RmsNorm { epsilon: epsilon as f32 })
}

/// `xs + residual` and the [`rms_norm`] of it, in one pass where no gradient is asked.
pub fn add_rms_norm(
    xs: &Tensor,
    residual: &Tensor,
    weight: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    let trained = [xs, residual, weight].into_iter().any(Tensor::track_op);
    if trained || !rows::own(xs) || !rows::own(residual) || xs.dims() != residual.dims() {
        let sum = crate::sum::sum(xs, residual)?;
        let normed = rms_norm(&sum, weight, epsilon)?;
        return Ok((sum, normed));
    }
    let weight = parameter(Some(weight), 1., xs.dim(D::Minus1)?, xs.device())?;
    let inputs = [&xs.contiguous()?, &residual.contiguous()?, &weight];
    let sums = rows::read(inputs, |inputs| added(level(), epsilon as f32, inputs))?;
    let [sum, normed] = sums.map(|values| Tensor::from_vec(values, xs.shape(), xs.device()));
    Ok((sum?, normed?))
}

pub(super) fn composite(xs: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let wide = wide(xs)?;
    let mean = wide.sqr()?.mean_keepdim(D::Minus1)?;
    let scaled = wide.broadcast_div(&(mean + epsilon)?.sqrt()?)?;
    scaled.to_dtype(xs.dtype())?.broadcast_mul(weight)
}

#[inline(always)]
fn scale(x: &[f32], epsilon: f32) -> f32 {
    let [squares] = sums(
        [x],
        #[inline(always)]
        |[x]| [x * x],
    );
    1. / (squares / x.len() as f32 + epsilon).sqrt()
}

#[inline(always)]
fn normalise(x: &[f32], weight: &[f32], epsilon: f32, out: &mut Fresh) {
    let scale = scale(x, epsilon);
    out.write(
        [x, weight],
        #[inline(always)]
        |[x, w]| x * scale * w,
    );
}

fn rows_of(xs: &[f32], size: usize) -> (usize, usize) {
    (xs.len() / size.max(1), size)
}

pub(super) fn values(level: Level, epsilon: f32, [xs, weight]: [&[f32]; 2]) -> Vec<f32> {
    let size = weight.len();
    let ([ys], _) = fresh::rows(
        level,
        rows_of(xs, size),
        || (),
        #[inline(always)]
        |_, row, [y], _| normalise(&xs[row * size..][..size], weight, epsilon, y),
    );
    ys
}

pub(super) fn added(level: Level, epsilon: f32, [xs, residual, weight]: [&[f32]; 3]) -> [Vec<f32>; 2] {
    let size = weight.len();
    let (outs, _) = fresh::rows(
        level,
        rows_of(xs, size),
        || (),
        #[inline(always)]
        |_, row, [sum, y], _| {
            let sum = sum.write(
                [&xs[row * size..], &residual[row * size..]],
                #[inline(always)]
                |[x, r]| x + r,
            );
            normalise(sum, weight, epsilon, y);
        },
    );
    outs
}

// With y = s x w and g the gradient of y: dx = s g w - x s³ mean(g w x), dw = sum of g s x. The latter only where
// `trained`.
pub(super) fn gradients(
    level: Level,
    epsilon: f32,
    [xs, weight, grad]: [&[f32]; 3],
    trained: bool,
) -> (Vec<f32>, Vec<f32>) {
    let size = weight.len();
    let ([xs_grad], parts) = fresh::rows(
        level,
        rows_of(xs, size),
        || vec![0f32; if trained { size } else { 0 }],
        #[inline(always)]
        |m, row, [out], parts: &mut Vec<f32>| {
            let [x, g] = [xs, grad].map(|values| &values[row * size..][..size]);
            let scale = scale(x, epsilon);
            let [pull] = sums(
                [x, weight, g],
                #[inline(always)]
                |[x, w, g]| [g * w * (x * scale)],
            );
            let pull = pull / size as f32;
            out.write(
                [x, weight, g],
                #[inline(always)]
                |[x, w, g]| scale * m.add(-(x * scale), pull, g * w),
            );
            for ((part, x), g) in parts.iter_mut().zip(x).zip(g) {
                *part = m.add(x * scale, *g, *part);
            }
        },
    );
    (xs_grad, total(parts, if trained { size } else { 0 }))
}

struct RmsNorm {
    epsilon: f32,
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [rows::values(xs, xs_layout)?, rows::values(weight, weight_layout)?];
        Ok((CpuStorage::F32(values(level(), self.epsilon, inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let trained = weight.track_op();
        let inputs = [xs, weight, &grad.contiguous()?];
        let (xs_grad, weight_grad) =
            rows::read(inputs, |inputs| gradients(level(), self.epsilon, inputs, trained))?;
        let xs_grad = Tensor::from_vec(xs_grad, xs.shape(), xs.device())?;
        let tensor = |values| Tensor::from_vec(values, weight.shape(), weight.device());
        Ok((Some(xs_grad), trained.then(|| tensor(weight_grad)).transpose()?))
    }
}
