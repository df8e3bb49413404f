//! Dropout whose masks are a function of their place, so that a resumed training draws the same ones.

use crate::fresh;
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use crate::sum::sum;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

/// Sets elements to zero with probability `rate` and scales the others by `1 / (1 - rate)`.
///
/// Whether an element falls is a hash of seed, step, site and its index alone. The trainer counts `step` up
/// with every forward pass, micro-batches included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability of zero; 0 does nothing at no cost.
    pub rate: f32,
    /// The training's seed.
    pub seed: u64,
    /// Number of the forward pass.
    pub step: u64,
}

impl Dropout {
    /// No dropout.
    pub const NONE: Self = Self { rate: 0., seed: 0, step: 0 };

    /// Applied to `xs` at the place in the net that `site` numbers.
    ///
    /// # Errors
    /// A rate outside of 0 to 1.
    pub fn apply(&self, xs: &Tensor, site: u64) -> Result<Tensor> {
        let Some(mask) = self.mask(site)? else { return Ok(xs.clone()) };
        if rows::own(xs) {
            return xs.contiguous()?.recorded1(mask);
        }
        self.composite(xs, mask)
    }

    /// `residual` plus [`Dropout::apply`] of `xs`, in one pass; the two have one shape.
    ///
    /// # Errors
    /// A rate outside of 0 to 1, shapes that differ.
    pub fn apply_sum(&self, xs: &Tensor, residual: &Tensor, site: u64) -> Result<Tensor> {
        let Some(mask) = self.mask(site)? else { return sum(residual, xs) };
        if rows::own(xs) && rows::own(residual) && xs.dims() == residual.dims() {
            return xs.contiguous()?.recorded2(&residual.contiguous()?, mask);
        }
        sum(residual, &self.apply(xs, site)?)
    }

    /// # Errors
    /// A rate outside of 0 to 1.
    pub(crate) fn mask(&self, site: u64) -> Result<Option<Mask>> {
        if !(0. ..1.).contains(&self.rate) {
            refuse!("dropout rate {} is not in 0 to 1 (1 excluded)", self.rate);
        }
        Ok((self.rate > 0.).then(|| Mask::new(*self, site)))
    }

    fn composite(&self, xs: &Tensor, mask: Mask) -> Result<Tensor> {
        let factors: Vec<f32> = (0..xs.elem_count() as u32).map(|index| mask.factor(index)).collect();
        xs * Tensor::from_vec(factors, xs.shape(), xs.device())?.to_dtype(xs.dtype())?
    }
}

/// Which elements fall at one place in the net.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    key: u64,
    threshold: u32,
    scale: f32,
}

impl Mask {
    fn new(dropout: Dropout, site: u64) -> Self {
        let mut key = dropout.seed;
        for part in [dropout.step, site] {
            key = (key ^ part).wrapping_add(0x9e3779b97f4a7c15).wrapping_mul(0xd6e8feb86659fd93);
            key ^= key >> 32;
        }
        let threshold = (dropout.rate as f64 * 2f64.powi(32)) as u32;
        Self { key, threshold, scale: 1. / (1. - dropout.rate) }
    }

    /// Zero, or what an element is multiplied with.
    #[inline(always)]
    pub(crate) fn factor(&self, index: u32) -> f32 {
        let mut h = (index ^ self.key as u32).wrapping_mul(0x85ebca6b);
        h = (h ^ (h >> 15) ^ (self.key >> 32) as u32).wrapping_mul(0xc2b2ae35);
        h = (h ^ (h >> 13)).wrapping_mul(0x9e3779b1);
        if (h ^ (h >> 16)) < self.threshold { 0. } else { self.scale }
    }
}

fn values(level: Level, mask: Mask, xs: &[f32]) -> Vec<f32> {
    let [ys] = fresh::map(
        level,
        [xs],
        #[inline(always)]
        |_, i, [x]| [x * mask.factor(i as u32)],
    );
    ys
}

impl CustomOp1 for Mask {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(values(level(), *self, rows::values(xs, layout)?)), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.contiguous()?.apply_op1_no_bwd(self).map(Some)
    }
}

impl CustomOp2 for Mask {
    fn name(&self) -> &'static str {
        "dropout and sum"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [rows::values(xs, xs_layout)?, rows::values(residual, residual_layout)?];
        let [ys] = fresh::map(
            level(),
            inputs,
            #[inline(always)]
            |_, i, [x, r]| [r + x * self.factor(i as u32)],
        );
        Ok((CpuStorage::F32(ys), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.contiguous()?.apply_op1_no_bwd(self)?), Some(grad.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{compare, random};
    use candle_core::{Device, Var};

    fn kept(dropout: Dropout, site: u64) -> Vec<f32> {
        let ones = Tensor::ones(20_000, candle_core::DType::F32, &Device::Cpu).unwrap();
        dropout.apply(&ones, site).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn drops_its_share_and_keeps_the_mean() {
        for rate in [0., 0.1, 0.5, 0.9] {
            let values = kept(Dropout { rate, seed: 1, step: 2 }, 3);
            let share = values.iter().filter(|v| **v == 0.).count() as f32 / values.len() as f32;
            assert!((share - rate).abs() < 0.02, "{rate}: {share}");
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            assert!((mean - 1.).abs() < 0.1, "{rate}: {mean}");
        }
    }

    #[test]
    fn seed_step_and_site_each_change_the_mask() {
        let base = Dropout { rate: 0.5, seed: 1, step: 2 };
        let masks = [
            kept(base, 3),
            kept(base, 4),
            kept(Dropout { step: 3, ..base }, 3),
            kept(Dropout { seed: 2, ..base }, 3),
        ];
        for (i, a) in masks.iter().enumerate() {
            for b in &masks[..i] {
                let same = a.iter().zip(b).filter(|(a, b)| a == b).count() as f32 / a.len() as f32;
                assert!((same - 0.5).abs() < 0.03, "masks agree on {same}");
            }
        }
        assert_eq!(masks[0], kept(base, 3));
    }

    #[test]
    fn the_gradient_has_the_same_mask() -> Result<()> {
        let xs = Var::ones(1000, candle_core::DType::F32, &Device::Cpu)?;
        let ys = Dropout { rate: 0.3, seed: 5, step: 0 }.apply(&xs, 1)?;
        let grads = ys.sum_all()?.backward()?;
        let grad = grads.get(&xs).map(|grad| grad.to_vec1::<f32>()).transpose()?;
        assert_eq!(grad, Some(ys.to_vec1()?));
        Ok(())
    }

    #[test]
    fn the_sum_is_that_of_its_parts() -> Result<()> {
        let (xs, residual) = (random((3, 500), 1)?, random((3, 500), 2)?);
        for rate in [0., 0.4] {
            let dropout = Dropout { rate, seed: 5, step: 1 };
            let parts = || residual.as_tensor() + dropout.apply(&xs, 7)?;
            compare(&[&xs, &residual], || dropout.apply_sum(&xs, &residual, 7), parts)?;
        }
        assert!(Dropout::NONE.apply_sum(&xs, &residual.narrow(0, 0, 1)?, 7).is_err());
        Ok(())
    }

    #[test]
    fn a_rate_outside_its_range_is_refused() {
        let ones = Tensor::ones(2, candle_core::DType::F32, &Device::Cpu).unwrap();
        for rate in [1., -0.1, f32::NAN] {
            assert!(Dropout { rate, seed: 0, step: 0 }.apply(&ones, 0).is_err());
        }
    }
}
