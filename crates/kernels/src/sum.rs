//! Sums of two tensors, spread over the cores.

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
    use crate::testing::{compare, normal, random};

    #[test]
    fn equals_candles() -> Result<()> {
        for (rows, size) in [(1, 1), (3, 33), (2, 40_000)] {
            let (xs, ys) = (random((rows, size), 1)?, random((size, rows), 2)?);
            compare(&[&xs, &ys], || sum(&xs, &ys.t()?), || xs.as_tensor() + ys.t()?)?;
        }
        let none = random((2, 0), 1)?;
        assert_eq!(sum(&none, &none)?.dims(), [2, 0]);
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
}
