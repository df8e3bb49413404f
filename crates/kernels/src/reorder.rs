//! Values in another order: rows for columns, parts of rows, channels side by side, pictures of twice the size.

use crate::gradients::Recorded;
use crate::sum::sum;
use crate::{fresh, rows};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Device, Layout, Result, Shape, Tensor};
use std::mem::MaybeUninit;

/// (..., rows, columns) to (..., columns, rows), contiguous.
///
/// # Errors
/// On fewer than two dimensions.
pub fn swap(xs: &Tensor) -> Result<Tensor> {
    let swapped = xs.transpose(D::Minus2, D::Minus1)?;
    if !rows::own(xs) || swapped.is_contiguous() {
        return swapped.contiguous();
    }
    xs.contiguous()?.recorded1(Swap)
}

/// [`swap`] of `xs`, plus `residual` of the shape that comes out; in one pass where no gradient is asked.
///
/// # Errors
/// On shapes that do not fit.
pub fn swap_add(xs: &Tensor, residual: &Tensor) -> Result<Tensor> {
    let swapped = xs.transpose(D::Minus2, D::Minus1)?;
    if swapped.dims() != residual.dims() {
        refuse!("{:?} with rows for columns and {:?} are added", xs.dims(), residual.dims());
    }
    if xs.track_op() || residual.track_op() || !rows::own(xs) || !rows::own(residual) {
        return sum(&swap(xs)?, residual);
    }
    let inputs = [&xs.contiguous()?, &residual.contiguous()?];
    let [height, width] = last_two(xs.dims());
    let values = rows::read(inputs, |[xs, residual]| swapped_values(xs, height, width, Some(residual)))?;
    Tensor::from_vec(values, residual.shape(), &Device::Cpu)
}

/// (batch, channels, height, width) to twice the height and width, each value four times.
///
/// # Errors
/// On other than four dimensions.
pub fn double(xs: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = xs.dims4()?;
    if !rows::own(xs) {
        let shape = (batch, channels, height, 2, width, 2);
        let wide = xs.reshape((batch, channels, height, 1, width, 1))?.broadcast_as(shape)?;
        return wide.reshape((batch, channels, 2 * height, 2 * width));
    }
    xs.contiguous()?.recorded1(Double)
}

/// (batch, channels, ...) and (batch, more channels, ...) to (batch, all channels, ...).
///
/// # Errors
/// On shapes that differ elsewhere.
pub fn join(xs: &Tensor, ys: &Tensor) -> Result<Tensor> {
    let (a, b) = (xs.dims(), ys.dims());
    if a.len() < 2 || a.len() != b.len() || a[0] != b[0] || a[2..] != b[2..] {
        refuse!("channels of {a:?} and {b:?} are joined");
    }
    if !(rows::own(xs) && rows::own(ys)) {
        return Tensor::cat(&[xs, ys], 1);
    }
    xs.contiguous()?.recorded2(&ys.contiguous()?, Join)
}

/// So many values of each row (..., size), from `first` on.
///
/// # Errors
/// On a part that is not within the rows.
pub fn part(xs: &Tensor, first: usize, count: usize) -> Result<Tensor> {
    let size = xs.dim(D::Minus1)?;
    if first + count > size {
        refuse!("values {first} to {} of rows of {size}", first + count);
    }
    // a view is enough where no gradient is asked
    if !rows::own(xs) || !xs.track_op() || count == 0 {
        return xs.narrow(D::Minus1, first, count);
    }
    xs.contiguous()?.recorded1(Part { first, count })
}

fn last_two(dims: &[usize]) -> [usize; 2] {
    [dims[dims.len() - 2], dims[dims.len() - 1]]
}

struct Swap;

impl CustomOp1 for Swap {
    fn name(&self) -> &'static str {
        "swap"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        let [height, width] = last_two(&dims);
        let last = dims.len() - 1;
        dims.swap(last - 1, last);
        let values = swapped_values(rows::values(xs, layout)?, height, width, None);
        Ok((CpuStorage::F32(values), Shape::from(dims)))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        swap(grad).map(Some)
    }
}

/// Rows and columns that are swapped at once, in the nearest cache.
const TILE: usize = 16;

fn swapped_values(xs: &[f32], height: usize, width: usize, residual: Option<&[f32]>) -> Vec<f32> {
    let plane = height * width;
    let task = |task: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
        let first = task * TILE;
        let count = out.len() / height;
        for column in (0..height).step_by(TILE) {
            let columns = column..height.min(column + TILE);
            for row in 0..count {
                // a row of the result is a column of its plane
                let (image, place) = ((first + row) / width, (first + row) % width);
                let from = &xs[image * plane..][..plane];
                let to = &mut out[row * height..][columns.clone()];
                let from = columns.clone().map(|i| from[i * width + place]);
                match residual {
                    None => to.iter_mut().zip(from).for_each(|(to, x)| {
                        to.write(x);
                    }),
                    Some(residual) => {
                        let residual = &residual[(first + row) * height..][columns.clone()];
                        for ((to, x), y) in to.iter_mut().zip(from).zip(residual) {
                            to.write(x + y);
                        }
                    }
                }
            }
        }
    };
    // SAFETY: a task's part is whole rows, of which every column is written.
    #[allow(unsafe_code)]
    let ([values], _) = unsafe { fresh::buffers(xs.len(), TILE * height, task) };
    values
}

struct Double;

impl CustomOp1 for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let xs = rows::values(xs, layout)?;
        let task = |row: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
            let (above, below) = out.split_at_mut(2 * width);
            for (i, x) in xs[row * width..][..width].iter().enumerate() {
                let pair = [MaybeUninit::new(*x); 2];
                above[2 * i..2 * i + 2].copy_from_slice(&pair);
                below[2 * i..2 * i + 2].copy_from_slice(&pair);
            }
        };
        // SAFETY: a task's part is two rows of twice the width, of which every value is written.
        #[allow(unsafe_code)]
        let ([values], _) = unsafe { fresh::buffers(4 * xs.len(), 4 * width, task) };
        Ok((CpuStorage::F32(values), Shape::from((batch, channels, 2 * height, 2 * width))))
    }

    fn bwd(&self, xs: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = xs.dim(3)?;
        let grad = grad.contiguous()?;
        let values = rows::read([&grad], |[grad]| {
            let task = |row: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
                let (above, below) = grad[4 * row * width..][..4 * width].split_at(2 * width);
                for (i, to) in out.iter_mut().enumerate() {
                    to.write((above[2 * i] + above[2 * i + 1]) + (below[2 * i] + below[2 * i + 1]));
                }
            };
            // SAFETY: a task's part is a row, of which every value is written.
            #[allow(unsafe_code)]
            let ([values], _) = unsafe { fresh::buffers(grad.len() / 4, width, task) };
            values
        })?;
        Tensor::from_vec(values, xs.shape(), &Device::Cpu).map(Some)
    }
}

/// Of each row of `size` values the `count` from `first` on.
fn pieces(xs: &[f32], size: usize, first: usize, count: usize) -> Vec<f32> {
    let together = rows::rows_per_task(count);
    let task = |task: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
        for (i, to) in out.chunks_mut(count.max(1)).enumerate() {
            let from = &xs[(task * together + i) * size + first..][..count];
            to.iter_mut().zip(from).for_each(|(to, x)| {
                to.write(*x);
            });
        }
    };
    let rows = xs.len() / size.max(1);
    // SAFETY: a task's part is whole pieces, of which every value is written.
    #[allow(unsafe_code)]
    let ([values], _) = unsafe { fresh::buffers(rows * count, together * count, task) };
    values
}

/// Rows of `size` that hold those of `xs` from `first` on, and else zero.
fn placed(xs: &[f32], size: usize, first: usize, count: usize) -> Vec<f32> {
    let together = rows::rows_per_task(size);
    let task = |task: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
        for (i, to) in out.chunks_mut(size).enumerate() {
            let from = &xs[(task * together + i) * count..][..count];
            to[..first].fill(MaybeUninit::new(0.));
            to[first + count..].fill(MaybeUninit::new(0.));
            to[first..first + count].iter_mut().zip(from).for_each(|(to, x)| {
                to.write(*x);
            });
        }
    };
    let rows = xs.len() / count.max(1);
    // SAFETY: a task's part is whole rows, of which every value is written.
    #[allow(unsafe_code)]
    let ([values], _) = unsafe { fresh::buffers(rows * size, together * size, task) };
    values
}

struct Part {
    first: usize,
    count: usize,
}

impl CustomOp1 for Part {
    fn name(&self) -> &'static str {
        "part"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        let size = std::mem::replace(dims.last_mut().unwrap_or(&mut 0), self.count);
        let values = pieces(rows::values(xs, layout)?, size, self.first, self.count);
        Ok((CpuStorage::F32(values), Shape::from(dims)))
    }

    fn bwd(&self, xs: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (size, grad) = (xs.dim(D::Minus1)?, grad.contiguous()?);
        let values = rows::read([&grad], |[grad]| placed(grad, size, self.first, self.count))?;
        Tensor::from_vec(values, xs.shape(), &Device::Cpu).map(Some)
    }
}

struct Join;

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        l1: &Layout,
        ys: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let size = |layout: &Layout| layout.dims()[1..].iter().product::<usize>();
        let (first, second) = (size(l1), size(l2));
        let (xs, ys) = (rows::values(xs, l1)?, rows::values(ys, l2)?);
        let task = |image: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
            let (a, b) = out.split_at_mut(first);
            for (out, from) in [(a, &xs[image * first..][..first]), (b, &ys[image * second..][..second])] {
                out.iter_mut().zip(from).for_each(|(to, x)| {
                    to.write(*x);
                });
            }
        };
        // SAFETY: a task's part is an image, of which every value is written.
        #[allow(unsafe_code)]
        let ([values], _) = unsafe { fresh::buffers(xs.len() + ys.len(), first + second, task) };
        let mut dims = l1.dims().to_vec();
        dims[1] += l2.dims()[1];
        Ok((CpuStorage::F32(values), Shape::from(dims)))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        ys: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let size = |tensor: &Tensor| tensor.dims()[1..].iter().product::<usize>();
        let (first, second, grad) = (size(xs), size(ys), grad.contiguous()?);
        let of = |tensor: &Tensor, from: usize, count: usize| -> Result<Option<Tensor>> {
            if !tensor.track_op() {
                return Ok(None);
            }
            let values = rows::read([&grad], |[grad]| pieces(grad, first + second, from, count))?;
            Tensor::from_vec(values, tensor.shape(), &Device::Cpu).map(Some)
        };
        Ok((of(xs, 0, first)?, of(ys, first, second)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, compare, random};

    #[test]
    fn swapped_values_and_gradients_are_those_of_a_copy() -> Result<()> {
        for shape in [(1, 1, 1), (3, 16, 33), (2, 40, 7), (1, 17, 16), (5, 1, 3)] {
            let xs = random(shape, 1)?;
            compare(&[&xs], || swap(&xs), || xs.transpose(1, 2)?.contiguous())?;
            let residual = random((shape.0, shape.2, shape.1), 2)?;
            let expected = (xs.transpose(1, 2)? + residual.as_tensor())?;
            close(&swap_add(&xs.detach(), &residual.detach())?, &expected, "added");
            close(&swap_add(&xs, &residual)?, &expected, "added with gradients");
        }
        let swapped = swap(&random((2, 3, 4, 5), 1)?.detach().transpose(1, 2)?)?;
        close(&swapped, &random((2, 3, 4, 5), 1)?.detach().transpose(1, 2)?.transpose(2, 3)?, "strided");
        assert_eq!(
            swap(&Tensor::zeros((2, 0, 4), candle_core::DType::F32, &Device::Cpu)?)?.dims(),
            [2, 4, 0]
        );
        assert!(swap_add(&Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu)?, &swapped).is_err());
        Ok(())
    }

    #[test]
    fn doubled_pictures_repeat_every_value() -> Result<()> {
        for shape in [(1, 1, 1, 1), (2, 3, 5, 4)] {
            let xs = random(shape, 3)?;
            let (batch, channels, height, width) = shape;
            compare(
                &[&xs],
                || double(&xs),
                || {
                    let wide = xs.reshape((batch, channels, height, 1, width, 1))?;
                    let wide = wide.broadcast_as((batch, channels, height, 2, width, 2))?;
                    wide.reshape((batch, channels, 2 * height, 2 * width))
                },
            )?;
        }
        Ok(())
    }

    #[test]
    fn joined_channels_and_parts_of_rows_are_those_of_candle() -> Result<()> {
        for (a, b) in [((1, 1, 1, 1), (1, 2, 1, 1)), ((3, 4, 5, 7), (3, 2, 5, 7))] {
            let (xs, ys) = (random(a, 4)?, random(b, 5)?);
            compare(&[&xs, &ys], || join(&xs, &ys), || Tensor::cat(&[xs.as_tensor(), ys.as_tensor()], 1))?;
        }
        let xs = random((3, 70, 12), 6)?;
        for (first, count) in [(0, 12), (0, 5), (5, 7), (3, 0), (11, 1)] {
            compare(&[&xs], || part(&xs, first, count), || xs.narrow(2, first, count)?.contiguous())?;
        }
        assert!(part(&xs, 5, 8).is_err());
        let other = random((3, 70, 11), 1)?;
        assert!(join(&xs, &other).is_err());
        Ok(())
    }
}
