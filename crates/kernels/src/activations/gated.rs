//! An activation times a second input, as gated feed-forward blocks have it (Shazeer, 2020).

use super::{Function, Gelu, GeluTanh, Sigmoid, Silu};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::{fresh, rows};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// `silu(gate) * up`, the inner product of SwiGLU. The operands have one shape; halves of a wider tensor are read where
/// they lie.
pub fn silu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    apply(Silu, gate, up)
}

/// `gelu(gate) * up`, that of GEGLU; operands as for [`silu_mul`].
pub fn gelu_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    apply(Gelu, gate, up)
}

/// `gelu_tanh(gate) * up`; operands as for [`silu_mul`].
pub fn gelu_tanh_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    apply(GeluTanh, gate, up)
}

/// `sigmoid(gate) * up`, the gate of a WaveNet; operands as for [`silu_mul`].
pub fn sigmoid_mul(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    apply(Sigmoid, gate, up)
}

fn apply<F: Function>(function: F, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.dims() != up.dims() {
        refuse!("a gate of shape {:?} for values of shape {:?}", gate.dims(), up.dims());
    }
    if !(rows::own(gate) && rows::own(up)) {
        return function.composite(gate)? * up;
    }
    let plain = |xs: &Tensor| if strided(xs.layout()).is_some() { Ok(xs.clone()) } else { xs.contiguous() };
    plain(gate)?.recorded2(&plain(up)?, Gate(function))
}

/// Rows of equal distance in a storage: the first one's place, the length of all and the distance.
fn strided(layout: &Layout) -> Option<(usize, usize, usize)> {
    let (dims, strides) = (layout.dims(), layout.stride());
    if layout.is_contiguous() {
        let width = dims.last().copied().unwrap_or(1);
        return Some((layout.start_offset(), width, width));
    }
    let last = dims.len().checked_sub(2)?;
    let even = (0..last).all(|i| strides[i] == strides[i + 1] * dims[i + 1]);
    (even && strides[last + 1] == 1).then(|| (layout.start_offset(), dims[last + 1], strides[last]))
}

/// An operand: its values from the first on, and the distance of its rows.
type Rows<'a> = (&'a [f32], usize);

fn operand<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Rows<'a>> {
    match strided(layout) {
        Some((start, _, distance)) => Ok((&storage.as_slice::<f32>()?[start..], distance)),
        None => refuse!("a gate was given rows that do not lie evenly: {layout:?}"),
    }
}

fn values<F: Function>(level: Level, f: F, (count, width): (usize, usize), gate: Rows, up: Rows) -> Vec<f32> {
    if gate.1 == width && up.1 == width {
        let [ys] = fresh::map(
            level,
            [gate, up].map(|operand| &operand.0[..count * width]),
            #[inline(always)]
            |m, _, [gate, up]| [f.both(m, gate).0 * up],
        );
        return ys;
    }
    let ([ys], _) = fresh::rows(
        level,
        (count, width),
        || (),
        #[inline(always)]
        |m, row, [y], _| {
            y.write(
                [&gate.0[row * gate.1..], &up.0[row * up.1..]],
                #[inline(always)]
                |[gate, up]| f.both(m, gate).0 * up,
            );
        },
    );
    ys
}

fn gradients<F: Function>(level: Level, f: F, [gate, up, grad]: [&[f32]; 3]) -> [Vec<f32>; 2] {
    fresh::map(
        level,
        [gate, up, grad],
        #[inline(always)]
        |m, _, [gate, up, g]| {
            let (value, slope) = f.both(m, gate);
            [g * up * slope, g * value]
        },
    )
}

struct Gate<F>(F);

impl<F: Function> CustomOp2 for Gate<F> {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = gate_layout.shape();
        let width = shape.dims().last().copied().unwrap_or(1);
        let count = shape.elem_count() / width.max(1);
        let (gate, up) = (operand(gate, gate_layout)?, operand(up, up_layout)?);
        Ok((CpuStorage::F32(values(level(), self.0, (count, width), gate, up)), shape.clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let operands = [&gate.contiguous()?, &up.contiguous()?, &grad.contiguous()?];
        let [gate_grad, up_grad] = rows::read(operands, |operands| gradients(level(), self.0, operands))?;
        let tensor = |values| Tensor::from_vec(values, gate.shape(), gate.device()).map(Some);
        Ok((tensor(gate_grad)?, tensor(up_grad)?))
    }
}
