//! Rows with something before and after them, and bent by an exponential linear unit in the same pass where asked: what
//! codecs of sound do before each of their convolutions.

use crate::level::{compiled, level};
use crate::{fresh, rows};
use candle_core::{D, Device, Result, Tensor};
use std::mem::MaybeUninit;

/// What stands before and after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Zeros.
    Zero,
    /// The row in a mirror at its first and last value. A row that is not longer than what stands on one side of it is
    /// first followed by as many zeros as that needs, and what they add at the end is cut off (as in EnCodec).
    Reflect,
    /// Its first and last value.
    Replicate,
}

impl Edge {
    /// Where the value of a place comes from that lies `place` after the row's first value, or before it; `None` for
    /// a zero.
    fn origin(self, place: isize, time: usize, longest: usize) -> Option<usize> {
        let last = time as isize - 1;
        let place = match self {
            Edge::Zero => place,
            Edge::Replicate => place.clamp(0, last),
            Edge::Reflect => {
                let end = last.max(longest as isize);
                if place < 0 { -place } else { end - (place - end).abs() }
            }
        };
        usize::try_from(place).ok().filter(|place| *place < time)
    }
}

/// (..., time) to (..., before + time + after).
///
/// # Errors
/// On rows without values, where something is to stand beside them.
pub fn pad(xs: &Tensor, (before, after): (usize, usize), edge: Edge) -> Result<Tensor> {
    if (before, after) == (0, 0) { Ok(xs.clone()) } else { padded::<false>(xs, before, after, edge) }
}

/// [`pad`] of `x` above zero, `e^x - 1` elsewhere (Clevert, Unterthiner and Hochreiter, 2015). The results carry no
/// gradients on the processor.
///
/// # Errors
/// As [`pad`].
pub fn elu_pad(xs: &Tensor, (before, after): (usize, usize), edge: Edge) -> Result<Tensor> {
    padded::<true>(xs, before, after, edge)
}

fn padded<const ELU: bool>(xs: &Tensor, before: usize, after: usize, edge: Edge) -> Result<Tensor> {
    let time = xs.dim(D::Minus1)?;
    if time == 0 && before + after > 0 {
        refuse!("rows without values are padded by {before} and {after}");
    }
    let width = before + time + after;
    let mut shape = xs.dims().to_vec();
    shape[xs.rank() - 1] = width;
    if !rows::own(xs) {
        let xs = if ELU { xs.elu(1.)? } else { xs.clone() };
        return composite(&xs, before, after, edge)?.reshape(shape);
    }
    let xs = xs.contiguous()?;
    let longest = before.max(after);
    let (count, level) = (xs.elem_count() / time.max(1), level());
    let per_task = rows::rows_per_task(width);
    let values = rows::read([&xs], |[xs]| {
        let task = |task: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
            for (i, out) in out.chunks_mut(width).enumerate() {
                let row = &xs[(task * per_task + i) * time..][..time];
                let origin = |place: isize| {
                    edge.origin(place, time, longest).map_or(0., |from| bent::<ELU>(row[from]))
                };
                let (first, rest) = out.split_at_mut(before);
                let (middle, last) = rest.split_at_mut(time);
                for (place, value) in first.iter_mut().enumerate() {
                    value.write(origin(place as isize - before as isize));
                }
                compiled(
                    level,
                    #[inline(always)]
                    || {
                        for (value, x) in middle.iter_mut().zip(row) {
                            value.write(bent::<ELU>(*x));
                        }
                    },
                );
                for (place, value) in last.iter_mut().enumerate() {
                    value.write(origin((time + place) as isize));
                }
            }
        };
        // SAFETY: a task's part is whole rows, each of which is written before, within and after.
        #[allow(unsafe_code)]
        let ([values], _) = unsafe { fresh::buffers(count * width, per_task * width, task) };
        values
    })?;
    Tensor::from_vec(values, shape, &Device::Cpu)
}

#[inline(always)]
fn bent<const ELU: bool>(x: f32) -> f32 {
    if !ELU || x > 0. { x } else { rows::exp(x) - 1. }
}

fn composite(xs: &Tensor, before: usize, after: usize, edge: Edge) -> Result<Tensor> {
    let (last, time) = (xs.rank() - 1, xs.dim(D::Minus1)?);
    let longest = before.max(after);
    // a zero stands after each row
    let xs = xs.pad_with_zeros(last, 0, 1)?;
    let places = (0..before + time + after)
        .map(|place| edge.origin(place as isize - before as isize, time, longest).unwrap_or(time) as u32);
    let places = Tensor::from_vec(places.collect::<Vec<_>>(), before + time + after, xs.device())?;
    xs.contiguous()?.index_select(&places, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, random};

    fn check(xs: &[f32], sides: (usize, usize), edge: Edge, expected: &[f32]) -> Result<()> {
        let row = Tensor::new(xs, &Device::Cpu)?;
        assert_eq!(pad(&row, sides, edge)?.to_vec1::<f32>()?, expected, "{xs:?} {sides:?} {edge:?}");
        Ok(())
    }

    #[test]
    fn edges_are_pytorchs() -> Result<()> {
        check(&[1., 2., 3.], (2, 1), Edge::Zero, &[0., 0., 1., 2., 3., 0.])?;
        check(&[1., 2., 3.], (2, 1), Edge::Replicate, &[1., 1., 1., 2., 3., 3.])?;
        check(&[1., 2., 3.], (2, 1), Edge::Reflect, &[3., 2., 1., 2., 3., 2.])?;
        check(&[1., 2.], (0, 0), Edge::Reflect, &[1., 2.])?;
        // F.pad(F.pad(x, (0, 2)), (3, 1), "reflect")[..., :-2]: a row of two values becomes one of four first
        check(&[1., 2.], (3, 1), Edge::Reflect, &[0., 0., 2., 1., 2., 0.])?;
        check(&[5.], (2, 2), Edge::Reflect, &[0., 0., 5., 0., 0.])?;
        assert!(
            pad(&Tensor::zeros((2, 0), candle_core::DType::F32, &Device::Cpu)?, (1, 0), Edge::Zero).is_err()
        );
        Ok(())
    }

    #[test]
    fn rows_of_any_size_agree_with_candle() -> Result<()> {
        for (rows, time) in [(1, 1), (3, 7), (5, 40_000), (70, 300)] {
            let xs = random((1, rows, time), 1)?;
            for edge in [Edge::Zero, Edge::Reflect, Edge::Replicate] {
                for (before, after) in [(0, 0), (3, 3), (6, 0), (0, 9)] {
                    let expected = composite(&xs.elu(1.)?, before, after, edge)?;
                    close(
                        &elu_pad(&xs, (before, after), edge)?,
                        &expected,
                        &format!("{edge:?} {before} {after}"),
                    );
                }
            }
        }
        let odd = Tensor::new(&[f32::NAN, f32::NEG_INFINITY, f32::INFINITY], &Device::Cpu)?;
        let found = elu_pad(&odd, (0, 0), Edge::Zero)?.to_vec1::<f32>()?;
        assert!(found[0].is_nan() && found[1] == -1. && found[2] == f32::INFINITY);
        Ok(())
    }
}
