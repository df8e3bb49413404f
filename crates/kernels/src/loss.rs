//! Cross-entropy fused with its softmax, forward and backward.

use crate::elementary::exp_below;
use crate::fresh::{self, largest, sums};
use crate::gradients::{Recorded, reshape};
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, DType, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// A target that is not counted.
pub const IGNORED: u32 = u32::MAX;

/// Mean cross-entropy, in nats, of logits (..., classes) against u32 targets (...), over the targets that are not
/// [`IGNORED`]; zero where all are. Its gradient reaches the logits.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let classes = logits.dim(D::Minus1)?;
    let logits = reshape(logits, (logits.elem_count() / classes.max(1), classes))?;
    let targets = targets.flatten_all()?;
    if targets.dim(0)? != logits.dim(0)? {
        refuse!("{} targets for {} rows of logits", targets.dim(0)?, logits.dim(0)?);
    }
    if !rows::own(&logits) {
        return composite(&logits, &targets);
    }
    let targets = targets.to_vec1::<u32>()?;
    if let Some(target) = targets.iter().find(|&&target| target as usize >= classes && target != IGNORED) {
        refuse!("target {target} is not below {classes}, the number of classes");
    }
    logits.contiguous()?.recorded1(CrossEntropy { targets, softmax: OnceLock::new() })
}

fn composite(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let counted = targets.ne(IGNORED)?;
    let count = counted.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
    let targets = counted.where_cond(targets, &targets.zeros_like()?)?;
    let log_probs = crate::softmax::log_softmax(logits)?;
    let picked = log_probs.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    let picked = (picked * counted.to_dtype(logits.dtype())?)?;
    picked.sum_all()? / -(count.max(1.) as f64)
}

/// A row's largest logit, and the sum of the exponentials less it.
pub(crate) type Denominator = (f32, f32);

struct CrossEntropy {
    targets: Vec<u32>,
    /// One a row, from the forward pass for the backward one.
    softmax: OnceLock<Vec<Denominator>>,
}

impl CrossEntropy {
    fn count(&self) -> usize {
        self.targets.iter().filter(|target| **target != IGNORED).count().max(1)
    }
}

fn denominators(level: Level, classes: usize, logits: &[f32], targets: &[u32]) -> Vec<Denominator> {
    // rows without values: what is kept of each is its state alone
    let tasks = targets.chunks(rows::rows_per_task(classes)).enumerate().collect();
    let task = |(task, targets): (usize, &[u32])| {
        let first = task * rows::rows_per_task(classes);
        let logits = &logits[first * classes..][..targets.len() * classes];
        let denominator = |(row, target): (&[f32], &u32)| match *target {
            IGNORED => (0., 1.),
            _ => denominator(level, row),
        };
        logits.chunks_exact(classes).zip(targets).map(denominator).collect::<Vec<_>>()
    };
    fresh::each(tasks, logits.len() <= fresh::ALONE, task).concat()
}

/// A row's largest logit, and the sum of the exponentials less it.
pub(crate) fn denominator(level: Level, row: &[f32]) -> Denominator {
    crate::elementary::with_fma(
        level,
        #[inline(always)]
        |m| {
            let top = largest(row);
            let [sum] = sums(
                [row],
                #[inline(always)]
                |[x]| [exp_below(m, x - top)],
            );
            (top, sum)
        },
    )
}

// the mean of -log softmax(row)[target]
fn mean(logits: &[f32], classes: usize, targets: &[u32], softmax: &[Denominator], count: usize) -> f32 {
    let rows = targets.iter().zip(softmax).enumerate().filter(|(_, (target, _))| **target != IGNORED);
    let loss = |(i, (target, (top, sum))): (usize, (&u32, &Denominator))| {
        (sum.ln() + (top - logits[i * classes + *target as usize])) as f64
    };
    (rows.map(loss).sum::<f64>() / count as f64) as f32
}

// softmax(row) - one at the target, times the scale
fn gradient(
    level: Level,
    classes: usize,
    logits: &[f32],
    targets: &[u32],
    softmax: &[Denominator],
    scale: f32,
) -> Vec<f32> {
    let ([out], _) = fresh::rows(
        level,
        (targets.len(), classes),
        || (),
        #[inline(always)]
        |m, row, [out], _| {
            let target = targets[row];
            if target == IGNORED {
                return; // zero
            }
            let (top, sum) = softmax[row];
            let factor = scale / sum;
            let out = out.write(
                [&logits[row * classes..]],
                #[inline(always)]
                |[x]| exp_below(m, x - top) * factor,
            );
            out[target as usize] -= scale;
        },
    );
    out
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        let logits = rows::values(logits, layout)?;
        let softmax = self.softmax.get_or_init(|| denominators(level(), classes, logits, &self.targets));
        let loss = mean(logits, classes, &self.targets, softmax, self.count());
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let classes = logits.dim(1)?;
        let scale = grad.to_scalar::<f32>()? / self.count() as f32;
        let out = rows::read([logits], |[logits]| {
            let softmax = self.softmax.get_or_init(|| denominators(level(), classes, logits, &self.targets));
            gradient(level(), classes, logits, &self.targets, softmax, scale)
        })?;
        Tensor::from_vec(out, logits.shape(), logits.device()).map(Some)
    }
}

/// The mean of the squared differences of `xs` (batch, ...) and `targets` of its shape, each of the batch times its weight. Its
/// gradient reaches `xs` alone.
///
/// # Errors
/// On shapes that differ, and another number of weights.
pub fn squared_error(xs: &Tensor, targets: &Tensor, weights: &[f32]) -> Result<Tensor> {
    error(xs, targets, weights, Power::Two)
}

/// [`squared_error`] of the differences themselves, without their signs.
///
/// # Errors
/// As there.
pub fn absolute_error(xs: &Tensor, targets: &Tensor, weights: &[f32]) -> Result<Tensor> {
    error(xs, targets, weights, Power::One)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    One,
    Two,
}

fn error(xs: &Tensor, targets: &Tensor, weights: &[f32], power: Power) -> Result<Tensor> {
    if xs.dims() != targets.dims() || xs.dims().first() != Some(&weights.len()) {
        refuse!("{:?} beside {:?} with {} weights", xs.dims(), targets.dims(), weights.len());
    }
    let targets = targets.detach();
    if !rows::own(xs) || !rows::own(&targets) {
        let mut dims = vec![1; xs.rank()];
        dims[0] = weights.len();
        let weights = Tensor::from_slice(weights, dims, xs.device())?.to_dtype(xs.dtype())?;
        let apart = (xs - targets)?;
        let apart = if power == Power::One { apart.abs()? } else { apart.sqr()? };
        return apart.broadcast_mul(&weights)?.mean_all();
    }
    let op = WeightedError { targets: targets.contiguous()?, weights: weights.to_vec(), power };
    xs.contiguous()?.recorded1(op)
}

struct WeightedError {
    targets: Tensor,
    weights: Vec<f32>,
    power: Power,
}

impl CustomOp1 for WeightedError {
    fn name(&self) -> &'static str {
        "weighted error"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let xs = rows::values(xs, layout)?;
        let size = (xs.len() / self.weights.len().max(1)).max(1);
        let total = rows::read([&self.targets], |[targets]| {
            let pairs = xs.chunks(size).zip(targets.chunks(size)).zip(&self.weights);
            let error = |(xs, targets): (&[f32], &[f32])| {
                let apart = xs.iter().zip(targets).map(|(x, target)| f64::from(x - target));
                match self.power {
                    Power::One => apart.map(f64::abs).sum::<f64>(),
                    Power::Two => apart.map(|apart| apart * apart).sum(),
                }
            };
            pairs.map(|(pair, weight)| error(pair) * f64::from(*weight)).sum::<f64>()
        })?;
        Ok((CpuStorage::F32(vec![(total / xs.len().max(1) as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, xs: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let size = (xs.elem_count() / self.weights.len().max(1)).max(1);
        let scale = grad.to_scalar::<f32>()? / xs.elem_count().max(1) as f32;
        let (weights, power) = (&self.weights, self.power);
        let values = rows::read([xs, &self.targets], |inputs| {
            let [values] = fresh::map(
                level(),
                inputs,
                #[inline(always)]
                |_, i, [x, target]| {
                    let apart = x - target;
                    let slope = match power {
                        // not `signum`, which is one at zero
                        Power::One => f32::from(apart > 0.) - f32::from(apart < 0.),
                        Power::Two => 2. * apart,
                    };
                    [slope * (scale * weights[i / size])]
                },
            );
            values
        })?;
        Tensor::from_vec(values, xs.shape(), xs.device()).map(Some)
    }
}

/// `(1 - share) * first + share * second` of two losses, scalars, by one operator with gradients.
///
/// # Errors
/// For tensors of more than one value.
pub fn between(first: &Tensor, second: &Tensor, share: f64) -> Result<Tensor> {
    if first.elem_count() != 1 || second.elem_count() != 1 {
        refuse!("losses of shapes {:?} and {:?} are no single numbers", first.dims(), second.dims());
    }
    if !(rows::own(first) && rows::own(second)) {
        return first.affine(1. - share, 0.)? + second.affine(share, 0.)?;
    }
    first.contiguous()?.recorded2(&second.contiguous()?, Between([1. - share, share]))
}

struct Between([f64; 2]);

impl CustomOp2 for Between {
    fn name(&self) -> &'static str {
        "between"
    }

    fn cpu_fwd(
        &self,
        first: &CpuStorage,
        first_layout: &Layout,
        second: &CpuStorage,
        second_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let values = [rows::values(first, first_layout)?, rows::values(second, second_layout)?];
        let sum: f64 = values.iter().zip(self.0).map(|(value, weight)| f64::from(value[0]) * weight).sum();
        Ok((CpuStorage::F32(vec![sum as f32]), first_layout.shape().clone()))
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = f64::from(grad.flatten_all()?.to_vec1::<f32>()?[0]);
        let part = |of: &Tensor, weight: f64| {
            Tensor::full((grad * weight) as f32, of.shape(), of.device()).map(Some)
        };
        Ok((part(first, self.0[0])?, part(second, self.0[1])?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{compare, near, normal, random};
    use candle_core::Device;

    #[test]
    fn weighted_errors_are_those_of_candle() -> Result<()> {
        let (xs, targets) = (random((3, 2, 5), 1)?, random((3, 2, 5), 2)?);
        let weights = [0.5f32, 2., 0.];
        let column = Tensor::from_slice(&weights, (3, 1, 1), &Device::Cpu)?;
        let apart = || xs.as_tensor() - targets.detach();
        let own = || squared_error(&xs, &targets, &weights);
        compare(&[&xs], own, || apart()?.sqr()?.broadcast_mul(&column)?.mean_all())?;
        let own = || absolute_error(&xs, &targets, &weights);
        compare(&[&xs], own, || apart()?.abs()?.broadcast_mul(&column)?.mean_all())?;
        assert!(squared_error(&xs, &targets, &weights[..2]).is_err());
        let nothing = absolute_error(&xs, &xs, &weights)?.backward()?;
        assert_eq!(
            nothing.get(&xs).map(|grad| grad.abs()?.sum_all()?.to_scalar::<f32>()).transpose()?,
            Some(0.)
        );
        Ok(())
    }

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for (count, classes) in [(1, 1), (7, 19), (300, 512), (2, 40_001)] {
            let logits = random((count, classes), 1)?;
            let target = |i: usize| if i % 5 == 3 { IGNORED } else { (i * 7 % classes) as u32 };
            let targets = Tensor::from_vec((0..count).map(target).collect(), count, logits.device())?;
            compare(&[&logits], || cross_entropy(&logits, &targets), || composite(&logits, &targets))?;
            let turned = random((classes, count), 1)?;
            let own = || cross_entropy(&turned.t()?, &targets);
            compare(&[&turned], own, || composite(&turned.t()?, &targets))?;
        }
        Ok(())
    }

    #[test]
    fn every_level_equals_a_reference_in_f64() {
        for (count, classes) in [(1, 1), (3, 33), (5, 1000)] {
            let logits: Vec<f32> = normal(count * classes, 1).into_iter().map(|x| 20. * x + 3000.).collect();
            let targets: Vec<u32> = (0..count).map(|i| (i * 5 % classes) as u32).collect();
            let (mut loss, mut slopes) = (0f64, Vec::new());
            for (row, target) in logits.chunks(classes).zip(&targets) {
                let sum: f64 = row.iter().map(|&x| (x as f64 - 3000.).exp()).sum();
                loss += sum.ln() + 3000. - row[*target as usize] as f64;
                let own = |i: usize| (i as u32 == *target) as u32 as f64;
                slopes.extend(row.iter().enumerate().map(|(i, &x)| (x as f64 - 3000.).exp() / sum - own(i)));
            }
            for level in levels() {
                let softmax = denominators(level, classes, &logits, &targets);
                let found = mean(&logits, classes, &targets, &softmax, 1);
                near(&[found], &[loss], 1e-6, "loss");
                near(&gradient(level, classes, &logits, &targets, &softmax, 1.), &slopes, 1e-6, "gradient");
            }
        }
    }

    #[test]
    fn nothing_to_count_costs_nothing_and_nan_is_not_hidden() -> Result<()> {
        let logits = random((2, 3), 1)?;
        let none = Tensor::new(&[IGNORED, IGNORED], &Device::Cpu)?;
        let loss = cross_entropy(&logits, &none)?;
        assert_eq!(loss.to_scalar::<f32>()?, 0.);
        let grad = loss.backward()?.get(&logits).map(|grad| grad.to_vec2::<f32>()).transpose()?;
        assert_eq!(grad, Some(vec![vec![0.; 3]; 2]));
        let bad = Tensor::new(&[[0., f32::NAN], [f32::NEG_INFINITY; 2]], &Device::Cpu)?;
        let first = cross_entropy(&bad.narrow(0, 0, 1)?, &Tensor::new(&[0u32], &Device::Cpu)?)?;
        assert!(first.to_scalar::<f32>()?.is_nan());
        let second = cross_entropy(&bad.narrow(0, 1, 1)?, &Tensor::new(&[0u32], &Device::Cpu)?)?;
        assert!(second.to_scalar::<f32>()?.is_nan());
        Ok(())
    }

    #[test]
    fn a_target_out_of_range_is_refused() -> Result<()> {
        let (logits, targets) = (random((1, 3), 1)?, Tensor::new(&[3u32], &Device::Cpu)?);
        let error = cross_entropy(&logits, &targets).unwrap_err().to_string();
        assert!(error.contains("target 3 is not below 3"), "{error}");
        Ok(())
    }

    #[test]
    fn a_loss_between_two_has_their_gradients() -> Result<()> {
        let (first, second) = (random((1,), 1)?, random((1,), 2)?);
        compare(
            &[&first, &second],
            || between(&first, &second, 0.3)?.sum_all(),
            || (first.affine(0.7, 0.)? + second.affine(0.3, 0.)?)?.sum_all(),
        )?;
        let two = random((2,), 1)?;
        assert!(between(&two, &second, 0.3).is_err());
        Ok(())
    }
}
