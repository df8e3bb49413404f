//! Root mean square normalisation (Zhang and Sennrich, 2019).

use crate::layers::rows::{self, sum, sum2};
use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;

/// Rows scaled to a root mean square of one, then by a learned weight.
pub struct RmsNorm {
    weight: Tensor,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads `weight`.
    pub fn new(size: usize, epsilon: f64, vb: VarBuilder) -> Result<Self> {
        Ok(Self { weight: vb.get_with_hints(size, "weight", Init::Const(1.))?, epsilon })
    }

    /// (..., size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        rms_norm(xs, &self.weight, self.epsilon)
    }
}

/// `xs / sqrt(mean(xs²) + epsilon) * weight` over the last dimension.
pub fn rms_norm(xs: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    if rows::own(xs) {
        return xs.contiguous()?.apply_op2(weight, RmsNormOp { epsilon: epsilon as f32 });
    }
    if xs.track_op() || weight.track_op() {
        return composite(xs, weight, epsilon);
    }
    candle_nn::ops::rms_norm(&xs.contiguous()?, weight, epsilon as f32)
}

fn composite(xs: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let wide = xs.to_dtype(DType::F32)?;
    let mean = wide.sqr()?.mean_keepdim(D::Minus1)?;
    let scaled = wide.broadcast_div(&(mean + epsilon)?.sqrt()?)?;
    scaled.to_dtype(xs.dtype())?.broadcast_mul(weight)
}

struct RmsNormOp {
    epsilon: f32,
}

impl RmsNormOp {
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> f32 {
        (sum(row, |x| x * x) / row.len() as f32 + self.epsilon).sqrt().recip()
    }

    // with y = s x w and g the gradient of y: dx = s g w - x s³ mean(g w x), dw = sum of g s x
    #[inline(always)]
    fn backward(&self, [xs, weight, grad]: [&[f32]; 3], xs_grad: &mut [f32], weight_grad: &mut [f32]) {
        let size = weight.len();
        let rows = xs.chunks_exact(size).zip(grad.chunks_exact(size));
        for ((x, g), x_grad) in rows.zip(xs_grad.chunks_exact_mut(size)) {
            let scale = self.scale(x);
            for i in 0..size {
                x_grad[i] = g[i] * weight[i];
                weight_grad[i] += g[i] * x[i] * scale;
            }
            let pull = scale * scale * scale * sum2(x_grad, x, |g, x| g * x) / size as f32;
            for (x_grad, x) in x_grad.iter_mut().zip(x) {
                *x_grad = *x_grad * scale - x * pull;
            }
        }
    }
}

impl CustomOp2 for RmsNormOp {
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
        let (xs, weight) = (rows::values(xs, xs_layout)?, rows::values(weight, weight_layout)?);
        let size = weight.len();
        let mut ys = vec![0.; xs.len()];
        rows::fill(&mut ys, size, |first, ys| {
            rows::vectorised(
                #[inline(always)]
                || {
                    for (x, y) in xs[first * size..].chunks_exact(size).zip(ys.chunks_exact_mut(size)) {
                        let scale = self.scale(x);
                        for (y, (x, w)) in y.iter_mut().zip(x.iter().zip(weight)) {
                            *y = x * scale * w;
                        }
                    }
                },
            )
        });
        Ok((CpuStorage::F32(ys), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let size = weight.elem_count();
        let task = rows::rows_per_task(size) * size;
        let mut xs_grad = vec![0f32; xs.elem_count()];
        let mut weight_grad = vec![0f32; size];
        rows::read([xs, weight, &grad.contiguous()?], |[xs, weight, grad]| {
            let tasks = xs_grad.par_chunks_mut(task).zip(xs.par_chunks(task).zip(grad.par_chunks(task)));
            let partial = |(xs_grad, (xs, grad)): (&mut [f32], (&[f32], &[f32]))| {
                let mut weight_grad = vec![0f32; size];
                rows::vectorised(
                    #[inline(always)]
                    || self.backward([xs, weight, grad], xs_grad, &mut weight_grad),
                );
                weight_grad
            };
            // summed in the order of the rows, whatever the number of threads
            let partials: Vec<_> = tasks.map(partial).collect();
            for partial in partials {
                weight_grad.iter_mut().zip(partial).for_each(|(sum, part)| *sum += part);
            }
        })?;
        let xs_grad = Tensor::from_vec(xs_grad, xs.shape(), xs.device())?;
        Ok((Some(xs_grad), Some(Tensor::from_vec(weight_grad, weight.shape(), weight.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{compare, random};

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for (count, size) in [(1, 3), (3, 17), (200, 256)] {
            let (xs, weight) = (random((2, count, size), 1)?, random(size, 2)?);
            compare(&[&xs, &weight], || rms_norm(&xs, &weight, 1e-5), || composite(&xs, &weight, 1e-5))?;
        }
        Ok(())
    }
}
