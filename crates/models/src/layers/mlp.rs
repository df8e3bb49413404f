//! The gated feed-forward block, SwiGLU (Shazeer, 2020).

use crate::layers::linear::Linear;
use crate::layers::rows::{self, exp};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use candle_nn::VarBuilder;
use rayon::prelude::*;

/// `down(silu(gate(xs)) * up(xs))`.
pub struct Mlp {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Mlp {
    /// Reads `gate_proj`, `up_proj` and `down_proj`; `stdevs` are for the first two and the last.
    pub fn new(size: usize, inner: usize, bias: bool, stdevs: (f64, f64), vb: VarBuilder) -> Result<Self> {
        let (stdev, stdev_out) = stdevs;
        Ok(Self {
            gate_proj: Linear::new(size, inner, bias, stdev, vb.pp("gate_proj"))?,
            up_proj: Linear::new(size, inner, bias, stdev, vb.pp("up_proj"))?,
            down_proj: Linear::new(inner, size, bias, stdev_out, vb.pp("down_proj"))?,
        })
    }

    /// (..., size) to the same shape.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let inner = silu_mul(&self.gate_proj.forward(xs)?, &self.up_proj.forward(xs)?)?;
        self.down_proj.forward(&inner)
    }
}

/// `silu(gate) * up`, element by element.
pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if rows::own(gate) {
        return gate.contiguous()?.apply_op2(&up.contiguous()?, SiluMulOp);
    }
    composite(gate, up)
}

fn composite(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.silu()? * up
}

struct SiluMulOp;

const TASK: usize = 16_384;

impl CustomOp2 for SiluMulOp {
    fn name(&self) -> &'static str {
        "silu-mul"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (rows::values(gate, gate_layout)?, rows::values(up, up_layout)?);
        let mut ys = vec![0.; gate.len()];
        rows::fill(&mut ys, 1, |first, ys| {
            rows::vectorised(
                #[inline(always)]
                || {
                    for (y, (g, u)) in ys.iter_mut().zip(gate[first..].iter().zip(&up[first..])) {
                        *y = g * u / (1. + exp(-g));
                    }
                },
            )
        });
        Ok((CpuStorage::F32(ys), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut gate_grad, mut up_grad) = (vec![0f32; gate.elem_count()], vec![0f32; gate.elem_count()]);
        rows::read([gate, up, &grad.contiguous()?], |[gate, up, grad]| {
            let outs = gate_grad.par_chunks_mut(TASK).zip(up_grad.par_chunks_mut(TASK));
            let ins = gate.par_chunks(TASK).zip(up.par_chunks(TASK)).zip(grad.par_chunks(TASK));
            outs.zip(ins).for_each(|((gate_grad, up_grad), ((gate, up), grad))| {
                rows::vectorised(
                    #[inline(always)]
                    || backward([gate, up, grad], gate_grad, up_grad),
                )
            });
        })?;
        let tensor = |values| Tensor::from_vec(values, gate.shape(), gate.device());
        Ok((Some(tensor(gate_grad)?), Some(tensor(up_grad)?)))
    }
}

#[inline(always)]
fn backward([gate, up, grad]: [&[f32]; 3], gate_grad: &mut [f32], up_grad: &mut [f32]) {
    let outs = gate_grad.iter_mut().zip(up_grad);
    for ((gate_grad, up_grad), (x, (u, g))) in outs.zip(gate.iter().zip(up.iter().zip(grad))) {
        let sigmoid = 1. / (1. + exp(-x));
        let silu = x * sigmoid;
        *gate_grad = g * u * (sigmoid + silu * (1. - sigmoid));
        *up_grad = g * silu;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{compare, random};

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for size in [1, 33, 40_000] {
            let (gate, up) = (random((2, size), 1)?, random((2, size), 2)?);
            compare(&[&gate, &up], || silu_mul(&gate, &up), || composite(&gate, &up))?;
        }
        Ok(())
    }
}
