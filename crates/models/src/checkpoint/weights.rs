//! From bytes in files to the tensors that a net asks for.

use super::files::{Bytes, Files};
use super::header::{self, Stored};
use super::torch;
use super::weight_norm;
use crate::vars::Source;
use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Weights in one file, or the file that names those in which they are: as transformers and diffusers save them, in full
/// before in half precision, and as safetensors before PyTorch's own.
const PLACES: [(&str, &str); 8] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json"),
    ("model.fp16.safetensors", "model.fp16.safetensors.index.json"),
    ("model.fp16.safetensors", "model.safetensors.index.fp16.json"),
    ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.fp16.safetensors.index.json"),
    ("diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors.index.fp16.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.bin.index.json"),
];

/// The files with tensors, and each tensor's place in them.
pub struct Weights {
    files: Vec<(String, Bytes)>,
    tensors: BTreeMap<String, (usize, Stored)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    pub fn open(files: &Files) -> Result<Self> {
        for (single, index) in PLACES {
            if files.has(single) {
                return Self::open_file(files, single);
            }
            if files.has(index) {
                return Self::open_shards(files, index);
            }
        }
        let (single, index) = PLACES[0];
        refuse!("{}: there is no such file, and no {index} either", files.describe(single));
    }

    /// The tensors of one file, whatever its name.
    pub fn open_file(files: &Files, name: &str) -> Result<Self> {
        let mut weights = Self { files: Vec::new(), tensors: BTreeMap::new() };
        weights.add(files, name)?;
        Ok(weights)
    }

    fn open_shards(files: &Files, name: &str) -> Result<Self> {
        let index: Index = files.json(name)?;
        let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, file) in index.weight_map {
            by_file.entry(file).or_default().push(name);
        }
        let mut weights = Self { files: Vec::new(), tensors: BTreeMap::new() };
        for (file, names) in by_file {
            if !plain(&file) {
                refuse!("{}: {file:?} is not the plain name of a file of weights", files.describe(name));
            }
            let mut shard = Self::open_file(files, &file)?;
            for tensor in names {
                let Some((part, stored)) = shard.tensors.remove(&tensor) else {
                    refuse!("{}: no tensor {tensor:?}, which {name} places there", files.describe(&file));
                };
                weights.tensors.insert(tensor, (weights.files.len() + part, stored));
            }
            weights.files.append(&mut shard.files);
        }
        Ok(weights)
    }

    /// Adds all tensors of a file.
    fn add(&mut self, files: &Files, name: &str) -> Result<()> {
        let (described, bytes) = (files.describe(name), files.bytes(name)?);
        let mut add = |bytes: Bytes, tensors: BTreeMap<String, Stored>| {
            let file = self.files.len();
            self.tensors.extend(tensors.into_iter().map(|(name, stored)| (name, (file, stored))));
            self.files.push((described.clone(), bytes));
        };
        if name.ends_with(".safetensors") {
            let tensors = header::parse(&described, &bytes)?;
            add(bytes, tensors);
        } else {
            let found = torch::parse(&described, &bytes)?;
            add(bytes, found.tensors);
            add(Bytes::Owned(found.bytes), found.rearranged);
        }
        Ok(())
    }

    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.tensors.iter().map(|(name, (_, stored))| (name.as_str(), stored))
    }

    /// The bytes of a tensor as it is stored.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        Ok(self.find(name)?.2)
    }

    /// Says that a tensor was read, and that its place in memory can be used otherwise.
    fn release(&self, name: &str) {
        if let Some((file, stored)) = self.tensors.get(name) {
            self.files[*file].1.release(stored.bytes.clone());
        }
    }

    fn find(&self, name: &str) -> Result<(&str, &Stored, &[u8])> {
        let Some((file, stored)) = self.tensors.get(name) else {
            let mut files: Vec<_> = self.files.iter().map(|(file, _)| file.as_str()).collect();
            files.dedup();
            refuse!("{}: no tensor `{name}`, which the net needs", files.join(", "));
        };
        let (file, bytes) = &self.files[*file];
        Ok((file, stored, &bytes[stored.bytes.clone()]))
    }
}

/// Whether an index may name such a file: nothing that leads elsewhere.
fn plain(file: &str) -> bool {
    let of_weights = [".safetensors", ".bin"].iter().any(|end| file.len() > end.len() && file.ends_with(end));
    of_weights && !file.contains(['/', '\\', ':', '\0']) && !file.starts_with('.')
}

/// Hands tensors to a net; what is stored as lengths and directions comes as the weight that it stands for.
pub struct Backend(pub Arc<Weights>);

impl Backend {
    fn parts(&self, name: &str) -> Option<[String; 2]> {
        let has = |name: &str| self.0.tensors.contains_key(name);
        if has(name) { None } else { weight_norm::parts(name, has) }
    }

    /// A tensor as it is stored.
    fn stored(&self, shape: &Shape, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let (file, stored, bytes) = self.0.find(name)?;
        if stored.shape != shape.dims() {
            let (found, expected) = (&stored.shape, shape.dims());
            refuse!("{file}: tensor `{name}` is {found:?} where config.json asks for {expected:?}");
        }
        let Some(float) = stored.float() else {
            refuse!("{file}: tensor `{name}` is stored as {}, which is no plain float", stored.dtype);
        };
        let tensor = tensor(bytes, float, dtype, &stored.shape, device)?;
        self.0.release(name);
        Ok(tensor)
    }
}

impl Source for Backend {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let Some([lengths, directions]) = self.parts(name) else {
            return self.stored(&shape, name, dtype, device);
        };
        let lengths = self.stored(&weight_norm::lengths_shape(&shape), &lengths, DType::F32, device)?;
        let directions = self.stored(&shape, &directions, DType::F32, device)?;
        weight_norm::folded(&lengths, &directions)?.to_dtype(dtype)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.tensors.contains_key(name) || self.parts(name).is_some()
    }
}

pub(super) fn tensor(
    bytes: &[u8],
    stored: DType,
    asked: DType,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor> {
    match (stored, asked) {
        (DType::F16, DType::F16) => Tensor::from_vec(values(bytes, f16::from_le_bytes), shape, device),
        (DType::BF16, DType::BF16) => Tensor::from_vec(values(bytes, bf16::from_le_bytes), shape, device),
        (DType::F64, _) => {
            Tensor::from_vec(values(bytes, f64::from_le_bytes), shape, device)?.to_dtype(asked)
        }
        (DType::F16, _) => widened::<f16>(bytes, f16::from_le_bytes, shape, device)?.to_dtype(asked),
        (DType::BF16, _) => widened::<bf16>(bytes, bf16::from_le_bytes, shape, device)?.to_dtype(asked),
        _ => Tensor::from_vec(values(bytes, f32::from_le_bytes), shape, device)?.to_dtype(asked),
    }
}

/// Values converted at a time.
const BLOCK: usize = 1 << 14;

// the bytes have no alignment, so they are put together value by value
fn values<const N: usize, T: Send>(bytes: &[u8], value: impl Fn([u8; N]) -> T + Sync) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.par_iter().with_min_len(BLOCK).map(|chunk| value(*chunk)).collect()
}

fn widened<T: Copy>(
    bytes: &[u8],
    value: impl Fn([u8; 2]) -> T + Sync,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor>
where
    [T]: HalfFloatSliceExt,
{
    let (chunks, _) = bytes.as_chunks::<2>();
    let mut wide = vec![0f32; chunks.len()];
    wide.par_chunks_mut(BLOCK).zip(chunks.par_chunks(BLOCK)).for_each(|(wide, chunks)| {
        let narrow: Vec<T> = chunks.iter().map(|chunk| value(*chunk)).collect();
        narrow.convert_to_f32_slice(wide);
    });
    Tensor::from_vec(wide, shape, device)
}
