//! Sums and means of tensors of one shape, in one pass over all of them and on all cores.

use crate::level::level;
use crate::{fresh, rows};
use candle_core::{Error, Result, Tensor};

/// `a + b`.
///
/// # Errors
/// On shapes that differ.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    total(&[a, b], 1.)
}

/// The mean of some tensors.
///
/// # Errors
/// On shapes that differ, and where there is no tensor.
pub fn mean(tensors: &[&Tensor]) -> Result<Tensor> {
    total(tensors, 1. / tensors.len() as f64)
}

fn total(tensors: &[&Tensor], factor: f64) -> Result<Tensor> {
    let Some((first, rest)) = tensors.split_first() else { refuse!("the sum of no tensors has no shape") };
    if let Some(other) = rest.iter().find(|other| other.dims() != first.dims()) {
        refuse!("tensors of shapes {:?} and {:?} are added", first.dims(), other.dims());
    }
    if tensors.iter().any(|tensor| tensor.track_op() || !rows::own(tensor)) {
        let sum = rest.iter().try_fold((*first).clone(), |sum, other| sum + *other)?;
        return if factor == 1. { Ok(sum) } else { sum * factor };
    }
    let tensors = tensors.iter().map(|tensor| tensor.contiguous()).collect::<Result<Vec<_>>>()?;
    let of_two = |a: &Tensor, b: &Tensor, factor: f32| {
        let [ys] = rows::read([a, b], |[a, b]| {
            fresh::map(
                level(),
                [a, b],
                #[inline(always)]
                |_, _, [a, b]| [(a + b) * factor],
            )
        })?;
        Tensor::from_vec(ys, a.shape(), a.device())
    };
    let of_three = |a: &Tensor, b: &Tensor, c: &Tensor, factor: f32| {
        let [ys] = rows::read([a, b, c], |[a, b, c]| {
            fresh::map(
                level(),
                [a, b, c],
                #[inline(always)]
                |_, _, [a, b, c]| [(a + b + c) * factor],
            )
        })?;
        Tensor::from_vec(ys, a.shape(), a.device())
    };
    match tensors.as_slice() {
        [a] => Ok(a.clone()),
        [a, b] => of_two(a, b, factor as f32),
        [a, b, c] => of_three(a, b, c, factor as f32),
        [a, middle @ .., b, c] => {
            let sum = middle.iter().try_fold(a.clone(), |sum, other| of_two(&sum, other, 1.))?;
            of_three(&sum, b, c, factor as f32)
        }
        [] => Err(Error::Msg("the sum of no tensors has no shape".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};

    #[test]
    fn sums_and_means_are_those_of_single_steps() -> Result<()> {
        for shape in [(1, 1), (0, 4), (3, 7), (300, 200)] {
            let tensors: Vec<Tensor> =
                (0..5).map(|seed| Ok(random(shape, seed + 1)?.detach())).collect::<Result<_>>()?;
            for count in 1..=5 {
                let some: Vec<&Tensor> = tensors[..count].iter().collect();
                let sum = some[1..].iter().try_fold(some[0].clone(), |sum, other| sum + *other)?;
                close(&mean(&some)?, &(sum / count as f64)?, "mean");
            }
            close(&add(&tensors[0], &tensors[1])?, &(&tensors[0] + &tensors[1])?, "sum");
        }
        let vars = [random((2, 3), 1)?, random((2, 3), 2)?];
        let grads = mean(&[&vars[0], &vars[1]])?.sum_all()?.backward()?;
        let grad = grads.get(&vars[1]).map(|grad| grad.to_vec2::<f32>()).transpose()?;
        assert_eq!(grad, Some(vec![vec![0.5; 3]; 2]));
        assert!(mean(&[]).is_err() && add(&vars[0], &vars[1].transpose(0, 1)?).is_err());
        Ok(())
    }
}
