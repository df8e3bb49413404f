//! Where a net's tensors come from, by the names that a checkpoint gives them: a file, or the variables of a training.
//!
//! Like candle's builder of the same name, but for weights that are no tensors: rows of bytes or the blocks of a GGUF
//! file, which `layers::linear` alone can tell apart.

use crate::layers::weight_norm::WeightNorm;
use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use kernels::quantised;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

/// Hands out tensors by name.
pub trait Source: Send + Sync {
    /// The tensor of this shape; where it is drawn and not read, as `init` says.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    fn get(&self, shape: Shape, name: &str, init: Init, dtype: DType, device: &Device) -> Result<Tensor>;

    /// Whether there is such a tensor.
    fn contains(&self, name: &str) -> bool;

    /// An (out, in) weight whose values lie in blocks; nothing where they are plain numbers.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    fn blocks(&self, _shape: (usize, usize), _name: &str) -> Result<Option<quantised::Weight>> {
        Ok(None)
    }
}

/// How linear maps keep their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// As tensors of the net's number format, which training needs.
    #[default]
    Plain,
    /// In f32, in the order of the loops: for inference on the processor, of more than a row at a time.
    Packed,
    /// In bf16, while everything else is f32: for inference on the processor.
    Bf16,
    /// In bytes with a scale for each output, likewise.
    Int8,
}

/// The number format of a net whose weights are `stored` in one, and that of its linear maps on a processor, by the word
/// after `--dtype`.
pub fn formats(asked: &str, stored: DType, device: &Device) -> (DType, Format) {
    if !device.is_cpu() {
        return match asked {
            "f32" => (DType::F32, Format::Plain),
            "f16" => (DType::F16, Format::Plain),
            "bf16" => (DType::BF16, Format::Plain),
            _ => (stored, Format::Plain),
        };
    }
    match (asked, stored) {
        ("q8", _) => (DType::F32, Format::Int8),
        ("bf16", _) | ("auto", DType::BF16) => (DType::F32, Format::Bf16),
        // halves are widened, which changes no value: a processor has no products of them
        _ => (DType::F32, Format::Packed),
    }
}

/// A source, the path within it, and what tensors are to become.
#[derive(Clone)]
pub struct VarBuilder<'a> {
    source: Arc<dyn Source + 'a>,
    path: String,
    dtype: DType,
    format: Format,
    device: Device,
}

impl<'a> VarBuilder<'a> {
    /// The root of a source; its tensors come as `dtype` on `device`.
    pub fn new(source: impl Source + 'a, dtype: DType, device: &Device) -> Self {
        let (path, format) = (String::new(), Format::Plain);
        Self { source: Arc::new(source), path, dtype, format, device: device.clone() }
    }

    /// Tensors by their names.
    pub fn from_tensors(tensors: HashMap<String, Tensor>, dtype: DType, device: &Device) -> Self {
        Self::new(tensors, dtype, device)
    }

    /// Zeros under every name.
    pub fn zeros(dtype: DType, device: &Device) -> Self {
        Self::new(Zeros, dtype, device)
    }

    /// The same, with another format for linear maps.
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The same; a `weight` that is stored as lengths and directions comes in one (see [`WeightNorm`]).
    pub fn with_weight_norm(self) -> Self {
        Self { source: Arc::new(WeightNorm::new(self.source)), ..self }
    }

    /// Goes down one step of the path.
    pub fn pp(&self, step: impl Display) -> Self {
        Self { path: self.name(step), ..self.clone() }
    }

    /// The tensor of a name below this path.
    ///
    /// # Errors
    /// A tensor that is missing or of another shape.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor> {
        self.get_with_hints(shape, name, Init::Const(0.))
    }

    /// The same; a fresh one begins as `init` says.
    ///
    /// # Errors
    /// As [`VarBuilder::get`].
    pub fn get_with_hints(&self, shape: impl Into<Shape>, name: &str, init: Init) -> Result<Tensor> {
        self.get_with_hints_dtype(shape, name, init, self.dtype)
    }

    /// The same in another number format.
    ///
    /// # Errors
    /// As [`VarBuilder::get`].
    pub fn get_with_hints_dtype(
        &self,
        shape: impl Into<Shape>,
        name: &str,
        init: Init,
        dtype: DType,
    ) -> Result<Tensor> {
        self.source.get(shape.into(), &self.name(name), init, dtype, &self.device)
    }

    /// The (out, in) weight of a name below this path, if its values lie in blocks.
    ///
    /// # Errors
    /// As [`VarBuilder::get`].
    pub fn blocks(&self, shape: (usize, usize), name: &str) -> Result<Option<quantised::Weight>> {
        self.source.blocks(shape, &self.name(name))
    }

    /// Whether there is a tensor of this name below the path.
    pub fn contains_tensor(&self, name: &str) -> bool {
        self.source.contains(&self.name(name))
    }

    /// The number format of tensors.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The format of linear maps' weights.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Where tensors are put.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn name(&self, step: impl Display) -> String {
        if self.path.is_empty() { step.to_string() } else { format!("{}.{step}", self.path) }
    }
}

impl Source for HashMap<String, Tensor> {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        match HashMap::get(self, name) {
            Some(tensor) if *tensor.shape() == shape => tensor.to_device(device)?.to_dtype(dtype),
            Some(tensor) => refuse!("tensor `{name}` is {:?} and not {shape:?}", tensor.shape()),
            None => refuse!("no tensor `{name}`, which the net needs"),
        }
    }

    fn contains(&self, name: &str) -> bool {
        self.contains_key(name)
    }
}

struct Zeros;

impl Source for Zeros {
    fn get(&self, shape: Shape, _: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        Tensor::zeros(shape, dtype, device)
    }

    fn contains(&self, _: &str) -> bool {
        true
    }
}
