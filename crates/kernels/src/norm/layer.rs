//! Layer normalisation (Ba, Kiros and Hinton, 2016).

use super::{Moments, parameter, total, wide};
use crate::elementary::Fma;
use crate::fresh::{self, Fresh, sums};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};

/// `(xs - mean) / sqrt(variance + epsilon) * weight + bias` over the last dimension.
pub fn layer_norm(
    xs: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    if !rows::own(xs) {
        return composite(xs, weight, bias, epsilon);
    }
    let size = xs.dim(D::Minus1)?;
    let weight = parameter(weight, 1., size, xs.device())?;
    let bias = parameter(bias, 0., size, xs.device())?;
    xs.contiguous()?.recorded3(&weight, &bias, LayerNorm { epsilon: epsilon as f32 })
}

/// `xs + residual` and the [`layer_norm`] of it, in one pass where no gradient is asked.
pub fn add_layer_norm(
    xs: &Tensor,
    residual: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Result<(Tensor, Tensor)> {
    let trained = [Some(xs), Some(residual), weight, bias].into_iter().flatten().any(Tensor::track_op);
    if trained || !rows::own(xs) || !rows::own(residual) || xs.dims() != residual.dims() {
        let sum = crate::sum::sum(xs, residual)?;
        let normed = layer_norm(&sum, weight, bias, epsilon)?;
        return Ok((sum, normed));
    }
    let size = xs.dim(D::Minus1)?;
    let weight = parameter(weight, 1., size, xs.device())?;
    let bias = parameter(bias, 0., size, xs.device())?;
    let inputs = [&xs.contiguous()?, &residual.contiguous()?, &weight, &bias];
    let sums = rows::read(inputs, |inputs| added(level(), epsilon as f32, inputs))?;
    let [sum, normed] = sums.map(|values| Tensor::from_vec(values, xs.shape(), xs.device()));
    Ok((sum?, normed?))
}

pub(super) fn composite(
    xs: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    epsilon: f64,
) -> Result<Tensor> {
    let centred = wide(xs)?;
    let centred = centred.broadcast_sub(&centred.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let mut ys = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?.to_dtype(xs.dtype())?;
    if let Some(weight) = weight {
        ys = ys.broadcast_mul(weight)?;
    }
    if let Some(bias) = bias {
        ys = ys.broadcast_add(bias)?;
    }
    Ok(ys)
}

#[inline(always)]
fn normalise(m: Fma, x: &[f32], [weight, bias]: [&[f32]; 2], epsilon: f32, out: &mut Fresh) {
    let moments = Moments::of(x);
    let scale = moments.scale(epsilon);
    out.write(
        [x, weight, bias],
        #[inline(always)]
        |[x, w, b]| m.add(moments.centred(x) * scale, w, b),
    );
}

fn rows_of(xs: &[f32], size: usize) -> (usize, usize) {
    (xs.len() / size.max(1), size)
}

pub(super) fn values(level: Level, epsilon: f32, [xs, weight, bias]: [&[f32]; 3]) -> Vec<f32> {
    let size = weight.len();
    let ([ys], _) = fresh::rows(
        level,
        rows_of(xs, size),
        || (),
        #[inline(always)]
        |m, row, [y], _| normalise(m, &xs[row * size..][..size], [weight, bias], epsilon, y),
    );
    ys
}

pub(super) fn added(level: Level, epsilon: f32, [xs, residual, weight, bias]: [&[f32]; 4]) -> [Vec<f32>; 2] {
    let size = weight.len();
    let (outs, _) = fresh::rows(
        level,
        rows_of(xs, size),
        || (),
        #[inline(always)]
        |m, row, [sum, y], _| {
            let sum = sum.write(
                [&xs[row * size..], &residual[row * size..]],
                #[inline(always)]
                |[x, r]| x + r,
            );
            normalise(m, sum, [weight, bias], epsilon, y);
        },
    );
    outs
}

// With h the normalised values and g the gradient: dx = scale (g w - mean(g w) - h mean(g w h)), dw = sum of g h,
// db = sum of g. The latter two only where `trained`, in one vector.
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
        || vec![0f32; if trained { 2 * size } else { 0 }],
        #[inline(always)]
        |m, row, [out], parts: &mut Vec<f32>| {
            let [x, g] = [xs, grad].map(|values| &values[row * size..][..size]);
            let moments = Moments::of(x);
            let scale = moments.scale(epsilon);
            let pulls = sums(
                [x, weight, g],
                #[inline(always)]
                |[x, w, g]| [g * w, g * w * (moments.centred(x) * scale)],
            );
            let [mean, slope] = pulls.map(|sum| sum / size as f32);
            out.write(
                [x, weight, g],
                #[inline(always)]
                |[x, w, g]| scale * m.add(-(moments.centred(x) * scale), slope, m.add(g, w, -mean)),
            );
            if trained {
                let (weight_part, bias_part) = parts.split_at_mut(size);
                for (((w, b), x), g) in weight_part.iter_mut().zip(bias_part).zip(x).zip(g) {
                    *w = m.add(moments.centred(*x) * scale, *g, *w);
                    *b += g;
                }
            }
        },
    );
    (xs_grad, total(parts, if trained { 2 * size } else { 0 }))
}

struct LayerNorm {
    epsilon: f32,
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        Ok((CpuStorage::F32(values(level(), self.epsilon, inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let trained = weight.track_op() || bias.track_op();
        let inputs = [xs, weight, &grad.contiguous()?];
        let (xs_grad, mut weight_grad) =
            rows::read(inputs, |inputs| gradients(level(), self.epsilon, inputs, trained))?;
        let xs_grad = Tensor::from_vec(xs_grad, xs.shape(), xs.device())?;
        if !trained {
            return Ok((Some(xs_grad), None, None));
        }
        let bias_grad = weight_grad.split_off(weight.elem_count());
        let tensor = |values| Tensor::from_vec(values, weight.shape(), weight.device()).map(Some);
        Ok((Some(xs_grad), tensor(weight_grad)?, tensor(bias_grad)?))
    }
}
