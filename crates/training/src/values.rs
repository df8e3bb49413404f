//! Buffers beside a variable: plain memory on a CPU, tensors elsewhere, and access to a variable's memory.

use std::cell::Cell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, Var, bail};

/// f32 values with the shape of one variable.
#[derive(Debug)]
pub(crate) enum Values {
    /// In this process's memory; worked on in place.
    Host(Vec<f32>),
    /// On the variable's device; replaced by each operation.
    Device(Tensor),
}

impl Values {
    pub fn zeros(var: &Var, host: bool) -> Result<Self> {
        if host { Ok(Self::Host(vec![0.0; var.elem_count()])) } else { Ok(Self::Device(var.zeros_like()?)) }
    }

    /// A copy of what a variable holds.
    pub fn of(var: &Var, host: bool) -> Result<Self> {
        if host {
            read(var, |w| Self::Host(w.to_vec()))
        } else {
            Ok(Self::Device(var.as_detached_tensor().copy()?))
        }
    }

    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match self {
            Self::Host(values) => Ok(values.clone()),
            Self::Device(tensor) => tensor.flatten_all()?.to_vec1(),
        }
    }

    /// A tensor of its own with the variable's shape, on the variable's device.
    pub fn to_tensor(&self, var: &Var) -> Result<Tensor> {
        match self {
            Self::Host(values) => Tensor::from_slice(values, var.shape(), var.device()),
            Self::Device(tensor) => tensor.copy(),
        }
    }

    pub fn set(&mut self, values: Vec<f32>, var: &Var) -> Result<()> {
        match self {
            Self::Host(own) => *own = values,
            Self::Device(own) => *own = Tensor::from_vec(values, var.shape(), var.device())?,
        }
        Ok(())
    }

    /// Exchanges the contents with the variable's.
    pub fn swap(&mut self, var: &Var) -> Result<()> {
        match self {
            Self::Host(own) => edit(var, |w| w.swap_with_slice(own)),
            Self::Device(own) => {
                let mine = std::mem::replace(own, var.as_detached_tensor().copy()?);
                var.set(&mine)
            }
        }
    }
}

/// Lends the values of a CPU tensor, in order.
pub(crate) fn read<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("expected a tensor on the CPU") };
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(f(&values[start..end])),
        None => bail!("expected a contiguous tensor"),
    }
}

/// Lends the values of a CPU variable, in order, to be changed in place.
pub(crate) fn edit(var: &Var, f: impl FnOnce(&mut [f32])) -> Result<()> {
    var.inplace_op1(&Edit(Cell::new(Some(f))))
}

struct Edit<F>(Cell<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Edit<F> {
    fn name(&self) -> &'static str {
        "edit"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(values) = storage else { bail!("expected a variable of f32") };
        match (layout.contiguous_offsets(), self.0.take()) {
            (Some((start, end)), Some(f)) => f(&mut values[start..end]),
            _ => bail!("expected a contiguous variable"),
        }
        Ok(())
    }
}
