//! Sums, means and sums of powers of tensors of one shape, in one pass over all of them and on all cores.

use crate::elementary::{Fma, exp_below, sigmoid};
use crate::fresh;
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// `xs + ys`, of one shape.
///
/// # Errors
/// Where the shapes differ.
pub fn sum(xs: &Tensor, ys: &Tensor) -> Result<Tensor> {
    if xs.dims() != ys.dims() {
        refuse!("a sum of tensors of shapes {:?} and {:?}", xs.dims(), ys.dims());
    }
    if !(rows::own(xs) && rows::own(ys)) {
        return xs + ys;
    }
    xs.contiguous()?.recorded2(&ys.contiguous()?, Sum)
}

fn values(level: Level, inputs: [&[f32]; 2]) -> Vec<f32> {
    let [zs] = fresh::map(
        level,
        inputs,
        #[inline(always)]
        |_, _, [x, y]| [x + y],
    );
    zs
}

/// The mean of some tensors; in one pass where no gradient is asked.
///
/// # Errors
/// Where the shapes differ, and where there is no tensor.
pub fn mean(tensors: &[&Tensor]) -> Result<Tensor> {
    let Some((first, rest)) = tensors.split_first() else { refuse!("the mean of no tensors has no shape") };
    let factor = 1. / tensors.len() as f64;
    if rest.is_empty() {
        return Ok((*first).clone());
    }
    let plain = tensors.iter().all(|tensor| rows::own(tensor) && !tensor.track_op());
    if !plain || tensors.iter().any(|other| other.dims() != first.dims()) {
        return rest.iter().try_fold((*first).clone(), |total, other| sum(&total, other))? * factor;
    }
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    // all but the last three, one after the other
    let (before, last) = tensors.split_at(tensors.len() - tensors.len().min(3));
    let begun = before.iter().try_fold(None, |total: Option<Tensor>, other| {
        Ok::<_, candle_core::Error>(Some(total.map_or(Ok(other.clone()), |total| sum(&total, other))?))
    })?;
    let ends: Vec<&Tensor> = begun.iter().chain(last).collect();
    let factor = factor as f32;
    let [ys] = match ends.as_slice() {
        [a, b] => rows::read([a, b], |inputs| scaled(inputs, factor))?,
        [a, b, c] => rows::read([a, b, c], |inputs| scaled(inputs, factor))?,
        [a, b, c, d] => rows::read([a, b, c, d], |inputs| scaled(inputs, factor))?,
        _ => refuse!("the mean of {} tensors", ends.len()),
    };
    Tensor::from_vec(ys, first.shape(), first.device())
}

fn scaled<const N: usize>(inputs: [&[f32]; N], factor: f32) -> [Vec<f32>; 1] {
    fresh::map(
        level(),
        inputs,
        #[inline(always)]
        |_, _, xs| {
            let mut total = xs[0];
            for x in &xs[1..] {
                total += x;
            }
            [total * factor]
        },
    )
}

/// The logarithm of an amplitude whose power is that of two: `½ ln(e^(2 xs) + e^(2 ys))`, of one shape.
///
/// # Errors
/// Where the shapes differ.
pub fn power_sum(xs: &Tensor, ys: &Tensor) -> Result<Tensor> {
    if xs.dims() != ys.dims() {
        refuse!("a sum of powers of shapes {:?} and {:?}", xs.dims(), ys.dims());
    }
    if !(rows::own(xs) && rows::own(ys)) {
        let above = xs.maximum(ys)?;
        let apart = (xs - ys)?.abs()?.affine(-2., 0.)?;
        return above + apart.exp()?.affine(1., 1.)?.log()?.affine(0.5, 0.)?;
    }
    xs.contiguous()?.recorded2(&ys.contiguous()?, PowerSum)
}

/// `ln(1 + e^x)` for `x` up to 0, within 2e-7: twice the inverse hyperbolic tangent of e^x / (2 + e^x), by its series.
#[inline(always)]
fn ln_one_plus_exp(m: Fma, x: f32) -> f32 {
    let e = exp_below(m, x);
    let s = e / (2. + e);
    let square = s * s;
    let series = m.polynomial(square, [1., 1. / 3., 1. / 5., 1. / 7., 1. / 9., 1. / 11.]);
    2. * s * series
}

struct PowerSum;

impl PowerSum {
    fn values(level: Level, inputs: [&[f32]; 2]) -> Vec<f32> {
        let [zs] = fresh::map(
            level,
            inputs,
            #[inline(always)]
            |m, _, [x, y]| {
                let above = if x > y { x } else { y };
                [above + 0.5 * ln_one_plus_exp(m, -2. * (x - y).abs())]
            },
        );
        zs
    }
}

impl CustomOp2 for PowerSum {
    fn name(&self) -> &'static str {
        "sum of powers"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        ys: &CpuStorage,
        ys_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [rows::values(xs, xs_layout)?, rows::values(ys, ys_layout)?];
        Ok((CpuStorage::F32(Self::values(level(), inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        ys: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // each has its share of the power
        let [xs_grad, ys_grad] = rows::read([xs, ys, &grad.contiguous()?], |inputs| {
            fresh::map(
                level(),
                inputs,
                #[inline(always)]
                |m, _, [x, y, g]| {
                    let share = sigmoid(m, 2. * (x - y));
                    [g * share, g * (1. - share)]
                },
            )
        })?;
        let tensor = |values| Tensor::from_vec(values, xs.shape(), xs.device()).map(Some);
        Ok((tensor(xs_grad)?, tensor(ys_grad)?))
    }
}

struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        ys: &CpuStorage,
        ys_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [rows::values(xs, xs_layout)?, rows::values(ys, ys_layout)?];
        Ok((CpuStorage::F32(values(level(), inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.clone()), Some(grad.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{close, compare, near, normal, random};

    #[test]
    fn equals_candles() -> Result<()> {
        for (rows, size) in [(1, 1), (3, 33), (2, 40_000)] {
            let (xs, ys) = (random((rows, size), 1)?, random((size, rows), 2)?);
            compare(&[&xs, &ys], || sum(&xs, &ys.t()?), || xs.as_tensor() + ys.t()?)?;
        }
        assert_eq!(sum(&*random((2, 0), 1)?, &*random((2, 0), 2)?)?.dims(), [2, 0]);
        let (xs, ys) = (random((2, 3), 1)?, random(3, 1)?);
        assert!(sum(&xs, &ys).is_err());
        Ok(())
    }

    #[test]
    fn every_level_adds() {
        let (xs, ys) = (normal(100, 1), normal(100, 2));
        let expected: Vec<f32> = xs.iter().zip(&ys).map(|(x, y)| x + y).collect();
        for level in levels() {
            assert_eq!(values(level, [&xs, &ys]), expected);
        }
    }

    #[test]
    fn sums_and_means_are_those_of_single_steps() -> Result<()> {
        for shape in [(1, 1), (0, 4), (3, 7), (300, 200)] {
            let tensors: Vec<Tensor> =
                (0..5).map(|seed| Ok(random(shape, seed + 1)?.detach())).collect::<Result<_>>()?;
            for count in 1..=5 {
                let some: Vec<&Tensor> = tensors[..count].iter().collect();
                let total = some[1..].iter().try_fold(some[0].clone(), |total, other| total + *other)?;
                close(&mean(&some)?, &(total / count as f64)?, "mean");
            }
            close(&sum(&tensors[0], &tensors[1])?, &(&tensors[0] + &tensors[1])?, "sum");
        }
        let vars = [random((2, 3), 1)?, random((2, 3), 2)?];
        let grads = mean(&[&vars[0], &vars[1]])?.sum_all()?.backward()?;
        let grad = grads.get(&vars[1]).map(|grad| grad.to_vec2::<f32>()).transpose()?;
        assert_eq!(grad, Some(vec![vec![0.5; 3]; 2]));
        assert!(mean(&[]).is_err() && sum(&vars[0], &vars[1].transpose(0, 1)?).is_err());
        Ok(())
    }

    #[test]
    fn powers_add() -> Result<()> {
        let (xs, ys) = (random((3, 700), 1)?, random((3, 700), 2)?);
        let plain = || (xs.affine(2., 0.)?.exp()? + ys.affine(2., 0.)?.exp()?)?.log()?.affine(0.5, 0.);
        compare(&[&xs, &ys], || power_sum(&xs, &ys), plain)?;
        // one that drowns the other, and both the same
        let (loud, quiet) = (vec![3f32, -40., 0.], vec![-80f32, -2., 0.]);
        let expected = [3., -2., 2f64.sqrt().ln()];
        for level in levels() {
            near(&PowerSum::values(level, [&loud, &quiet]), &expected, 1e-6, &format!("{level:?}"));
        }
        assert!(power_sum(&xs, &*random((700, 3), 1)?).is_err());
        Ok(())
    }
}
