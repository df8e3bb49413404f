//! Linear maps: `ys = xs W^T + b`, the weight stored as (out, in), as PyTorch and the checkpoints have it.

use crate::gradients::Recorded;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Device, Layout, Result, Shape, Storage, Tensor};
use std::cell::Cell;

use crate::gemm::{Matrix, Precision, Then, product_vec};
use crate::rows::{self, own};

mod lanes;
mod weight;

pub use weight::Weight;

#[cfg(test)]
mod tests;

thread_local! {
    static PRECISION: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// What stood there before is put back, also after a panic.
struct Before(Precision);

impl Drop for Before {
    fn drop(&mut self) {
        PRECISION.set(self.0);
    }
}

/// Runs `f`; what [`linear`] computes in it on this thread is multiplied in `precision`, and so are its gradients,
/// whenever they are asked for. This is mixed precision (Micikevicius et al., 2018): weights, sums and all other
/// operators stay in f32.
pub fn with_precision<R>(precision: Precision, f: impl FnOnce() -> R) -> R {
    let _before = Before(PRECISION.replace(precision));
    f()
}

/// (..., in) times the transpose of (out, in), plus (out).
///
/// An operator of its own, since reshapes and transposes around a product have gradients that candle copies and
/// adds one by one.
pub fn linear(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    check(xs, inputs, outputs, bias)?;
    if !own(xs) || !own(weight) || !bias.is_none_or(own) {
        return composite(xs, weight, bias);
    }
    let xs = xs.contiguous()?;
    let op = LinearOp(PRECISION.get());
    match bias {
        Some(bias) => xs.recorded3(weight, &bias.contiguous()?, op),
        None => xs.recorded2(weight, op),
    }
}

fn check(xs: &Tensor, inputs: usize, outputs: usize, bias: Option<&Tensor>) -> Result<()> {
    if xs.rank() == 0 || xs.dim(D::Minus1)? != inputs {
        refuse!("a linear map of {inputs} inputs was given {:?}", xs.dims());
    }
    match bias {
        Some(bias) if bias.dims() != [outputs] => {
            refuse!("a linear map to {outputs} outputs was given a bias of {:?}", bias.dims())
        }
        _ => Ok(()),
    }
}

/// The same in candle's operators.
fn composite(xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let dims = with_last(xs.dims(), outputs);
    let count: usize = dims[..dims.len() - 1].iter().product();
    let ys = xs.reshape((count, inputs))?.matmul(&weight.t()?)?.reshape(dims)?;
    match bias {
        Some(bias) => ys.broadcast_add(bias),
        None => Ok(ys),
    }
}

fn with_last(dims: &[usize], last: usize) -> Vec<usize> {
    let mut dims = dims.to_vec();
    dims.pop();
    dims.push(last);
    dims
}

/// A storage's values as a matrix: those of two dimensions with their strides, others as rows of their last one.
fn matrix<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Matrix<'a>> {
    if let (&[rows, columns], &[down, right]) = (layout.dims(), layout.stride()) {
        let values = &storage.as_slice::<f32>()?[layout.start_offset()..];
        return Ok(Matrix { values, size: (rows, columns), stride: (down, right) });
    }
    let (columns, outer) = layout.dims().split_last().map_or((1, &[][..]), |(last, outer)| (*last, outer));
    Ok(Matrix::rows(rows::values(storage, layout)?, outer.iter().product(), columns))
}

/// A tensor's values as a matrix.
fn with_matrix<R>(xs: &Tensor, f: impl FnOnce(Matrix) -> R) -> Result<R> {
    let (storage, layout) = xs.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(matrix(storage, layout)?)),
        _ => refuse!("an operator of the processor was given a tensor elsewhere"),
    }
}

struct LinearOp(Precision);

impl LinearOp {
    fn forward(
        &self,
        (xs, xs_layout): (&CpuStorage, &Layout),
        (weight, weight_layout): (&CpuStorage, &Layout),
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (xs, weight) = (matrix(xs, xs_layout)?, matrix(weight, weight_layout)?);
        let ys = product_vec(xs, weight.turned(), self.0, Then::bias(bias));
        Ok((CpuStorage::F32(ys), with_last(xs_layout.dims(), weight.size.0).into()))
    }

    fn backward(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let product = |a: Matrix, b: Matrix| product_vec(a, b, self.0, Then::default());
        let xs_grad = if xs.track_op() {
            let values = with_matrix(&grad, |grad| with_matrix(weight, |weight| product(grad, weight)))??;
            Some(Tensor::from_vec(values, xs.shape(), &Device::Cpu)?)
        } else {
            None
        };
        let weight_grad = if weight.track_op() {
            let values = with_matrix(&grad, |grad| with_matrix(xs, |xs| product(grad.turned(), xs)))??;
            Some(Tensor::from_vec(values, weight.shape(), &Device::Cpu)?)
        } else {
            None
        };
        Ok((xs_grad, weight_grad))
    }
}

impl CustomOp2 for LinearOp {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward((xs, xs_layout), (weight, weight_layout), None)
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.backward(xs, weight, grad)
    }
}

impl CustomOp3 for LinearOp {
    fn name(&self) -> &'static str {
        "linear with bias"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = rows::values(bias, bias_layout)?;
        self.forward((xs, xs_layout), (weight, weight_layout), Some(bias))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (xs_grad, weight_grad) = self.backward(xs, weight, grad)?;
        let bias_grad = if bias.track_op() {
            let values = with_matrix(&grad.contiguous()?, lanes::column_sums)?;
            Some(Tensor::from_vec(values, bias.shape(), &Device::Cpu)?)
        } else {
            None
        };
        Ok((xs_grad, weight_grad, bias_grad))
    }
}
