//! A linear map. The weight is stored as (out, in), as PyTorch and the checkpoints have it.

use crate::layers::rows;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder};
use rayon::prelude::*;

/// `xs` times the transposed weight, plus the bias where there is one.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `weight` and, if asked, `bias`; a net trained from nothing starts with a normal weight of
    /// standard deviation `stdev`.
    pub fn new(inputs: usize, outputs: usize, bias: bool, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((outputs, inputs), "weight", Init::Randn { mean: 0., stdev })?;
        let bias = bias.then(|| vb.get_with_hints(outputs, "bias", Init::Const(0.))).transpose()?;
        Ok(Self { weight, bias })
    }

    /// A map by a weight that has another owner too, such as a tied embedding.
    pub fn tied(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }

    /// (..., in) to (..., out).
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let ys = linear(xs, &self.weight)?;
        match &self.bias {
            Some(bias) => ys.broadcast_add(bias),
            None => Ok(ys),
        }
    }
}

/// (..., in) times the transpose of (out, in).
pub fn linear(xs: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if rows::own(xs) && xs.dim(D::Minus1)? == weight.dim(1)? {
        return xs.contiguous()?.apply_op2(weight, LinearOp);
    }
    composite(xs, weight)
}

fn composite(xs: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let dims = with_last(xs.dims(), outputs);
    xs.reshape(((), inputs))?.matmul(&weight.t()?)?.reshape(dims)
}

fn with_last(dims: &[usize], last: usize) -> Vec<usize> {
    let mut dims = dims.to_vec();
    dims.pop();
    dims.push(last);
    dims
}

/// The product alone, without the reshapes and transposes whose gradients candle copies and adds one by one.
struct LinearOp;

/// Values of a weight that are worth a task of their own.
const TASK: usize = 1 << 17;

/// Up to this many rows, reading the weight once and in its order is faster than a product by blocks.
const FEW: usize = 4;

fn few_rows(xs: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = weight.len() / inputs;
    let mut ys = vec![0f32; xs.len() / inputs * outputs];
    for (x, y) in xs.chunks_exact(inputs).zip(ys.chunks_exact_mut(outputs)) {
        let task = (TASK / inputs).max(1);
        let tasks = y.par_chunks_mut(task).zip(weight.par_chunks(task * inputs));
        tasks.for_each(|(y, weight)| rows::dots(x, weight, y));
    }
    ys
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
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        let count = xs_layout.shape().elem_count() / inputs;
        let shape = with_last(xs_layout.dims(), outputs).into();
        if count <= FEW && weight_layout.is_contiguous() {
            let (xs, weight) = (rows::values(xs, xs_layout)?, rows::values(weight, weight_layout)?);
            return Ok((CpuStorage::F32(few_rows(xs, weight, inputs)), shape));
        }
        let flat = Layout::contiguous_with_offset((count, inputs), xs_layout.start_offset());
        let &[row, column] = weight_layout.stride() else { candle_core::bail!("a weight of two dimensions") };
        let turned = Layout::new((inputs, outputs).into(), vec![column, row], weight_layout.start_offset());
        let ys = xs.matmul(weight, (1, count, outputs, inputs), &flat, &turned)?;
        Ok((ys, shape))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (outputs, inputs) = weight.dims2()?;
        let flat = grad.contiguous()?.reshape(((), outputs))?;
        let xs_grad = if xs.track_op() { Some(flat.matmul(weight)?.reshape(xs.shape())?) } else { None };
        let weight_grad = if weight.track_op() {
            Some(flat.t()?.matmul(&xs.detach().reshape(((), inputs))?)?)
        } else {
            None
        };
        Ok((xs_grad, weight_grad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{compare, random};

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for (count, inputs, outputs) in [(1, 1, 1), (1, 300, 700), (2, 33, 5), (4, 64, 17), (40, 48, 80)] {
            let (xs, weight) = (random((count, 1, inputs), 1)?, random((outputs, inputs), 2)?);
            compare(&[&xs, &weight], || linear(&xs, &weight), || composite(&xs, &weight))?;
        }
        Ok(())
    }
}
