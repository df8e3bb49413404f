//! What training makes small.

use crate::layers::rows::{self, exp};
use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// A target that is not counted.
pub const IGNORED: u32 = u32::MAX;

/// Mean cross-entropy, in nats, of f32 logits (..., classes) against u32 targets (...), over the targets that are not
/// [`IGNORED`]; zero where all are. Its gradient reaches the logits.
pub fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let logits = logits.reshape(((), logits.dim(D::Minus1)?))?;
    let targets = targets.flatten_all()?;
    if targets.dim(0)? != logits.dim(0)? {
        refuse!("{} targets for {} rows of logits", targets.dim(0)?, logits.dim(0)?);
    }
    if rows::own(&logits) {
        let op = CrossEntropyOp { targets: targets.to_vec1()? };
        return logits.contiguous()?.apply_op2(&targets, op);
    }
    composite(&logits, &targets)
}

fn composite(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let counted = targets.ne(IGNORED)?;
    let count = counted.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
    let targets = counted.where_cond(targets, &targets.zeros_like()?)?;
    let log_probs = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let picked = log_probs.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
    let picked = (picked * counted.to_dtype(DType::F32)?)?;
    picked.sum_all()? / -(count.max(1.) as f64)
}

struct CrossEntropyOp {
    targets: Vec<u32>,
}

impl CrossEntropyOp {
    fn count(&self) -> usize {
        self.targets.iter().filter(|target| **target != IGNORED).count().max(1)
    }

    fn check(&self, classes: usize) -> Result<()> {
        match self.targets.iter().find(|target| **target as usize >= classes && **target != IGNORED) {
            Some(target) => refuse!("target {target} is not below {classes}, the number of classes"),
            None => Ok(()),
        }
    }
}

// -log softmax(row)[target]
#[inline(always)]
fn row_loss(row: &[f32], target: u32) -> f32 {
    if target == IGNORED {
        return 0.;
    }
    let largest = rows::max(row);
    rows::sum(row, |x| exp(x - largest)).ln() + largest - row[target as usize]
}

// softmax(row) - one at the target, times the scale
#[inline(always)]
fn row_gradient(row: &[f32], target: u32, scale: f32, out: &mut [f32]) {
    if target == IGNORED {
        return;
    }
    out.copy_from_slice(row);
    let (_, sum) = rows::exponentials(out);
    let factor = scale / sum;
    for x in out.iter_mut() {
        *x *= factor;
    }
    out[target as usize] -= scale;
}

impl CustomOp2 for CrossEntropyOp {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        self.check(classes)?;
        let logits = rows::values(logits, layout)?;
        let mut losses = vec![0f32; self.targets.len()];
        losses.par_iter_mut().enumerate().with_min_len(rows::rows_per_task(classes)).for_each(|(i, loss)| {
            *loss = rows::vectorised(
                #[inline(always)]
                || row_loss(&logits[i * classes..(i + 1) * classes], self.targets[i]),
            );
        });
        let sum: f64 = losses.iter().map(|loss| *loss as f64).sum();
        Ok((CpuStorage::F32(vec![(sum / self.count() as f64) as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let classes = logits.dim(1)?;
        let scale = grad.to_scalar::<f32>()? / self.count() as f32;
        let mut out = vec![0f32; logits.elem_count()];
        rows::read([logits], |[logits]| {
            rows::fill(&mut out, classes, |first, out| {
                rows::vectorised(
                    #[inline(always)]
                    || {
                        let rows =
                            logits[first * classes..].chunks_exact(classes).zip(&self.targets[first..]);
                        for ((row, target), out) in rows.zip(out.chunks_exact_mut(classes)) {
                            row_gradient(row, *target, scale, out);
                        }
                    },
                )
            });
        })?;
        Ok((Some(Tensor::from_vec(out, logits.shape(), logits.device())?), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{compare, random};

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for (count, classes) in [(1, 1), (7, 19), (300, 512)] {
            let logits = random((count, classes), 1)?;
            let target = |i: usize| if i % 5 == 3 { IGNORED } else { (i * 7 % classes) as u32 };
            let targets = Tensor::from_vec((0..count).map(target).collect(), count, logits.device())?;
            compare(&[&logits], || cross_entropy(&logits, &targets), || composite(&logits, &targets))?;
        }
        Ok(())
    }

    #[test]
    fn a_target_out_of_range_is_refused() -> Result<()> {
        let (logits, targets) = (random((1, 3), 1)?, Tensor::new(&[3u32], &candle_core::Device::Cpu)?);
        let error = cross_entropy(&logits, &targets).unwrap_err().to_string();
        assert!(error.contains("target 3 is not below 3"), "{error}");
        Ok(())
    }
}
