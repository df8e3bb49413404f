//! Linear maps whose weights are GGUF's blocks of two to eight bits with scales (ggml's formats), forward only.
//!
//! Weights are packed once, sixteen outputs side by side, nearly as small as in the file (`panels`; Q4_K takes 4.6 bits
//! a value instead of 4.5): then the numbers of four inputs of sixteen outputs are one register, an instruction
//! multiplies them with four bytes of the activations, and sums of sixteen outputs never have to be added up across a
//! register. As the bytes lie in the file, a register holds many inputs of one output, whose sum and scales cost as much
//! again as the products.
//!
//! Activations become bytes when they come, each 32 with a scale of their own in f32 (`inputs`). A few rows are
//! multiplied with the packed numbers, which are unpacked in registers, so that one row takes little more than the time
//! to read the weight (`form`, `tile`); for many, a part of a panel at a time is unpacked to bytes in the cache first
//! (`product`). Every output is one sum in the order of the inputs, so the number of threads changes nothing.

use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{D, DType, Device, Module, Result, Tensor};
use rayon::prelude::*;
use std::borrow::Cow;

use crate::embedding::numbers;
use crate::level::{Level, level, present};
use crate::rows::{self, own};

mod form;
mod inputs;
mod kind;
mod lanes;
mod panels;
mod product;
mod tile;

#[cfg(test)]
mod tests;

pub use kind::Kind;
use panels::Panels;

/// The weight of a linear map, in blocks of a GGUF file: for inference, since it has no gradient.
pub struct Weight {
    kind: Kind,
    inputs: usize,
    outputs: usize,
    form: Form,
}

enum Form {
    Packed(Panels, Level),
    Candle(QMatMul),
}

impl Weight {
    /// Packs the bytes of an (out, in) tensor as they lie in the file, which are not needed any more.
    ///
    /// # Errors
    /// If rows are not whole blocks, or the bytes are not as many as the blocks need.
    pub fn new(bytes: &[u8], kind: Kind, outputs: usize, inputs: usize) -> Result<Self> {
        Self::at(level(), bytes, kind, outputs, inputs)
    }

    /// Packs for a level.
    fn at(level: Level, bytes: &[u8], kind: Kind, outputs: usize, inputs: usize) -> Result<Self> {
        if !inputs.is_multiple_of(kind.block()) {
            refuse!("{kind:?} has blocks of {}, which do not divide {inputs} inputs", kind.block());
        }
        let size = (inputs / kind.block()).checked_mul(kind.bytes()).and_then(|row| row.checked_mul(outputs));
        if size != Some(bytes.len()) {
            refuse!("{kind:?} of {outputs} times {inputs} values is not {} bytes long", bytes.len());
        }
        if level > present() {
            refuse!("a weight for {}, which this processor lacks", level.name());
        }
        let form = if own(&Tensor::zeros(1, DType::F32, &Device::Cpu)?) {
            let offset = tile::kernel(level, kind).offset;
            Form::Packed(Panels::new(bytes, kind, outputs, inputs, offset)?, level)
        } else {
            let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, kind.dtype())?;
            Form::Candle(QMatMul::from_qtensor(QTensor::new(storage, (outputs, inputs))?)?)
        };
        Ok(Self { kind, inputs, outputs, form })
    }

    /// The format.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many values a row of the inputs has.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many values a row of the outputs has.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// (..., in) to (..., out), both of any float format. The inputs are rounded to bytes, each 32 with the scale that
    /// makes the largest 127, which changes outputs by less than a hundredth of their usual size. Of a row with a NaN or an
    /// infinity all outputs are NaN.
    ///
    /// # Errors
    /// If the last dimension is not that of the inputs.
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        if xs.rank() == 0 || xs.dim(D::Minus1)? != self.inputs {
            refuse!("a linear map of {} inputs was given {:?}", self.inputs, xs.dims());
        }
        let mut dims = xs.dims().to_vec();
        dims[xs.rank() - 1] = self.outputs;
        let dtype = xs.dtype();
        let single = xs.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
        let ys = match &self.form {
            Form::Candle(weight) => weight.forward(&single)?,
            Form::Packed(panels, level) => {
                let rows = dims[..dims.len() - 1].iter().product();
                let ys = rows::read([&single], |[xs]| product::product(*level, panels, xs, rows))?;
                Tensor::from_vec(ys, dims, &Device::Cpu)?
            }
        };
        ys.to_dtype(dtype)?.to_device(xs.device())
    }

    /// The values, (out, in), in f32: those that ggml computes, to the bit.
    pub fn dequantise(&self) -> Result<Tensor> {
        let ids: Vec<u32> = (0..self.outputs as u32).collect();
        self.gathered(&ids, &[self.outputs])
    }

    /// Ids (...) of any integer format to rows of the values, (..., in), for embedding tables.
    ///
    /// # Errors
    /// If an id is not below the number of outputs.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        let found = numbers(ids)?;
        if let Some(id) = found.iter().find(|&&id| id as usize >= self.outputs) {
            refuse!("id {id} is not in a table of {}", self.outputs);
        }
        self.gathered(&found, ids.dims())
    }

    fn gathered(&self, ids: &[u32], places: &[usize]) -> Result<Tensor> {
        let dims = [places, &[self.inputs]].concat();
        let panels = match &self.form {
            Form::Packed(panels, _) => panels,
            Form::Candle(weight) => {
                let QMatMul::QTensor(weight) = weight else { refuse!("a weight in blocks, and not") };
                let ids = Tensor::new(ids, &Device::Cpu)?;
                return weight.dequantize(&Device::Cpu)?.index_select(&ids, 0)?.reshape(dims);
            }
        };
        let mut values = vec![0f32; ids.len() * self.inputs];
        if self.inputs > 0 {
            let fill = |(row, id): (&mut [f32], &u32)| panels.row(*id as usize, row);
            if values.len() <= ALONE {
                values.chunks_mut(self.inputs).zip(ids).for_each(fill);
            } else {
                values.par_chunks_mut(self.inputs).zip(ids).for_each(fill);
            }
        }
        Tensor::from_vec(values, dims, &Device::Cpu)
    }
}

/// Values that the calling thread dequantises alone.
const ALONE: usize = 1 << 14;
