//! Softmax over the last dimension, with a mask added before, and its logarithm; forward and backward.
//!
//! As in PyTorch, a row that holds NaN or infinity, or nothing but negative infinity, is NaN.

use crate::elementary::exp_below;
use crate::fresh::{self, largest, sums};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor};

/// Softmax over the last dimension.
pub fn softmax(xs: &Tensor) -> Result<Tensor> {
    if rows::own(xs) && xs.rank() > 0 {
        return xs.contiguous()?.recorded1(Softmax);
    }
    composite(xs)
}

/// Softmax over the last dimension of `xs + mask`, where the mask's shape broadcasts to that of `xs`. A mask that is
/// trained has its gradient too.
pub fn masked_softmax(xs: &Tensor, mask: &Tensor) -> Result<Tensor> {
    if !(rows::own(xs) && rows::own(mask) && xs.rank() > 0) {
        return composite(&xs.broadcast_add(mask)?);
    }
    let width = xs.dim(D::Minus1)?;
    let mut mask = mask.clone();
    if mask.rank() == 0 || mask.dim(D::Minus1)? != width {
        let mut dims = mask.dims().to_vec();
        dims.pop();
        dims.push(width);
        mask = mask.broadcast_as(dims)?;
    }
    let mask = mask.contiguous()?.broadcast_as(xs.shape())?;
    xs.contiguous()?.recorded2(&mask, MaskedSoftmax)
}

/// Logarithm of [`softmax`].
pub fn log_softmax(xs: &Tensor) -> Result<Tensor> {
    if rows::own(xs) && xs.rank() > 0 {
        return xs.contiguous()?.recorded1(LogSoftmax);
    }
    let xs = xs.broadcast_sub(&xs.max_keepdim(D::Minus1)?.detach())?;
    xs.broadcast_sub(&xs.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

fn composite(xs: &Tensor) -> Result<Tensor> {
    let e = xs.broadcast_sub(&xs.max_keepdim(D::Minus1)?.detach())?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

fn size(xs: &[f32], width: usize) -> (usize, usize) {
    (xs.len() / width.max(1), width)
}

// exponentials, less the largest value's, to probabilities
#[inline(always)]
fn scale(ys: &mut [f32]) {
    let [sum] = sums(
        [&*ys],
        #[inline(always)]
        |y| y,
    );
    let factor = 1. / sum;
    for y in ys {
        *y *= factor;
    }
}

fn values(level: Level, width: usize, xs: &[f32]) -> Vec<f32> {
    let ([ys], _) = fresh::rows(
        level,
        size(xs, width),
        || (),
        #[inline(always)]
        |m, row, [out], _| {
            let x = &xs[row * width..][..width];
            let top = largest(x);
            scale(out.write(
                [x],
                #[inline(always)]
                |[x]| exp_below(m, x - top),
            ));
        },
    );
    ys
}

fn masked_values<'a>(
    level: Level,
    width: usize,
    xs: &[f32],
    mask: impl Fn(usize) -> &'a [f32] + Sync,
) -> Vec<f32> {
    let ([ys], _) = fresh::rows(
        level,
        size(xs, width),
        || (),
        #[inline(always)]
        |m, row, [out], _| {
            let ys = out.write(
                [&xs[row * width..][..width], mask(row)],
                #[inline(always)]
                |[x, mask]| x + mask,
            );
            let top = largest(ys);
            for y in ys.iter_mut() {
                *y = exp_below(m, *y - top);
            }
            scale(ys);
        },
    );
    ys
}

fn log_values(level: Level, width: usize, xs: &[f32]) -> Vec<f32> {
    let ([ys], _) = fresh::rows(
        level,
        size(xs, width),
        || (),
        #[inline(always)]
        |m, row, [out], _| {
            let x = &xs[row * width..][..width];
            let top = largest(x);
            let exponentials = out.write(
                [x],
                #[inline(always)]
                |[x]| exp_below(m, x - top),
            );
            let [sum] = sums(
                [&*exponentials],
                #[inline(always)]
                |y| y,
            );
            let log = sum.ln();
            out.write(
                [x],
                #[inline(always)]
                |[x]| x - top - log,
            );
        },
    );
    ys
}

// with y the softmax and g its gradient: y (g - sum of g y)
fn gradient(level: Level, width: usize, [ys, grad]: [&[f32]; 2]) -> Vec<f32> {
    let ([out], _) = fresh::rows(
        level,
        size(ys, width),
        || (),
        #[inline(always)]
        |_, row, [out], _| {
            let inputs = [ys, grad].map(|values| &values[row * width..][..width]);
            let [pull] = sums(
                inputs,
                #[inline(always)]
                |[y, g]| [y * g],
            );
            out.write(
                inputs,
                #[inline(always)]
                |[y, g]| y * (g - pull),
            );
        },
    );
    out
}

// with y the logarithm and g its gradient: g - e^y sum of g
fn log_gradient(level: Level, width: usize, [ys, grad]: [&[f32]; 2]) -> Vec<f32> {
    let ([out], _) = fresh::rows(
        level,
        size(ys, width),
        || (),
        #[inline(always)]
        |m, row, [out], _| {
            let [y, g] = [ys, grad].map(|values| &values[row * width..][..width]);
            let [sum] = sums(
                [g],
                #[inline(always)]
                |g| g,
            );
            out.write(
                [y, g],
                #[inline(always)]
                |[y, g]| m.add(-exp_below(m, y), sum, g),
            );
        },
    );
    out
}

// `f` of a result and its gradient, as a tensor
fn back(ys: &Tensor, grad: &Tensor, f: fn(Level, usize, [&[f32]; 2]) -> Vec<f32>) -> Result<Tensor> {
    let width = ys.dim(D::Minus1)?;
    let out = rows::read([ys, &grad.contiguous()?], |operands| f(level(), width, operands))?;
    Tensor::from_vec(out, ys.shape(), ys.device())
}

fn width(layout: &Layout) -> usize {
    layout.dims().last().copied().unwrap_or(1)
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ys = values(level(), width(layout), rows::values(xs, layout)?);
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, ys: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        back(ys, grad, gradient).map(Some)
    }
}

struct LogSoftmax;

impl CustomOp1 for LogSoftmax {
    fn name(&self) -> &'static str {
        "log-softmax"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ys = log_values(level(), width(layout), rows::values(xs, layout)?);
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, ys: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        back(ys, grad, log_gradient).map(Some)
    }
}

struct MaskedSoftmax;

// where the mask of a row begins: its leading dimensions may be repeated
fn place(mut row: usize, layout: &Layout) -> usize {
    let (dims, strides) = (layout.dims(), layout.stride());
    let leading = dims.iter().zip(strides).rev().skip(1);
    leading.fold(layout.start_offset(), |place, (dim, stride)| {
        let index = row % dim;
        row /= dim;
        place + index * stride
    })
}

impl CustomOp2 for MaskedSoftmax {
    fn name(&self) -> &'static str {
        "masked-softmax"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
        mask: &CpuStorage,
        mask_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mask = mask.as_slice::<f32>()?;
        let row = |row: usize| &mask[place(row, mask_layout)..];
        let ys = masked_values(level(), width(layout), rows::values(xs, layout)?, row);
        Ok((CpuStorage::F32(ys), layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        ys: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = back(ys, grad, gradient)?;
        Ok((Some(grad.clone()), Some(grad)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{compare, near, normal, random};
    use candle_core::{Device, Var};

    fn reference(xs: &[f32], width: usize, log: bool) -> Vec<f64> {
        let row = |row: &[f32]| {
            let top = row.iter().fold(f64::NEG_INFINITY, |top, &x| top.max(x as f64));
            let sum: f64 = row.iter().map(|&x| (x as f64 - top).exp()).sum();
            let value = |&x: &f32| {
                let x = x as f64 - top;
                if log { x - sum.ln() } else { x.exp() / sum }
            };
            row.iter().map(value).collect::<Vec<_>>()
        };
        xs.chunks(width.max(1)).flat_map(row).collect()
    }

    #[test]
    fn every_level_equals_the_reference() {
        for (count, width) in [(0, 3), (3, 0), (1, 1), (4, 2), (7, 33), (3, 1500), (2, 40_001)] {
            let mut xs: Vec<f32> = normal(count * width, 1).into_iter().map(|x| 8. * x + 1000.).collect();
            for special in [1., -1e4, f32::NEG_INFINITY, f32::INFINITY, f32::NAN, f32::MAX, f32::MIN] {
                if let Some(x) = xs.get_mut(width / 2) {
                    *x = special;
                }
                for level in levels() {
                    let what = format!("{level:?} {count}x{width} {special}");
                    near(&values(level, width, &xs), &reference(&xs, width, false), 1e-6, &what);
                    near(&log_values(level, width, &xs), &reference(&xs, width, true), 1e-6, &what);
                }
            }
            xs.iter_mut().take(width).for_each(|x| *x = f32::NEG_INFINITY);
            for level in levels() {
                assert!(values(level, width, &xs)[..width.min(xs.len())].iter().all(|y| y.is_nan()));
            }
        }
    }

    #[test]
    fn values_and_gradients_equal_the_composite() -> Result<()> {
        for (count, width) in [(1, 1), (3, 17), (200, 256), (2, 20_001)] {
            let xs = random((2, count, width), 1)?;
            compare(&[&xs], || softmax(&xs), || composite(&xs))?;
            compare(&[&xs], || log_softmax(&xs), || composite(&xs)?.log())?;
            compare(&[&xs], || softmax(&xs.transpose(1, 2)?), || composite(&xs.transpose(1, 2)?))?;
        }
        assert_eq!(softmax(&random((2, 5), 1)?.narrow(1, 0, 0)?)?.dims(), [2, 0]);
        Ok(())
    }

    #[test]
    fn masks_broadcast_and_have_gradients() -> Result<()> {
        let xs = random((2, 3, 5, 70), 1)?;
        for shape in [&[2, 3, 5, 70][..], &[5, 70], &[70], &[2, 1, 1, 70], &[1, 3, 5, 70]] {
            let mask = random(shape, 2)?;
            let plain = || composite(&xs.broadcast_add(&mask)?);
            compare(&[&xs, &mask], || masked_softmax(&xs, &mask), plain)?;
        }
        for shape in [&[2, 3, 1, 1][..], &[5, 1], &[]] {
            let mask = random(shape, 2)?.detach();
            let plain = || composite(&xs.broadcast_add(&mask)?);
            compare(&[&xs], || masked_softmax(&xs, &mask), plain)?;
        }
        assert!(masked_softmax(&xs, random((2, 70), 1)?.as_tensor()).is_err());
        Ok(())
    }

    #[test]
    fn masked_places_are_zero_and_masked_rows_nan() -> Result<()> {
        let (xs, no) = (random((2, 3), 1)?, f32::NEG_INFINITY);
        let mask = Tensor::new(&[[0., no, 0.], [no, no, no]], &Device::Cpu)?;
        let ys = masked_softmax(&xs, &mask)?.to_vec2::<f32>()?;
        assert!(ys[0][1] == 0. && (ys[0][0] + ys[0][2] - 1.).abs() < 1e-6);
        assert!(ys[1].iter().all(|y| y.is_nan()));
        let xs = Var::from_tensor(&xs.narrow(0, 0, 1)?)?;
        let grads = masked_softmax(&xs, &mask.narrow(0, 0, 1)?)?.sqr()?.sum_all()?.backward()?;
        let grad = grads.get(&xs).map(|grad| grad.to_vec2::<f32>()).transpose()?.unwrap_or_default();
        assert!(grad[0][1] == 0. && grad[0][0].is_finite());
        Ok(())
    }
}
