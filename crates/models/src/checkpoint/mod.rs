//! A model's files: `config.json`, weights as safetensors or as `torch.save` writes them, in one file or several, and whatever
//! lies beside them.
//!
//! The files are a folder in the layout of the Hugging Face hub, or bytes inside the program; both take the same
//! road. Nothing in them is trusted: each size, offset and name is checked before it is used.

mod files;
pub mod gguf;
mod header;
mod save;
mod torch;
mod weight_norm;
mod weights;

pub use files::Files;
pub use header::Stored;
pub use save::{save, save_diffusers, save_weights};

use crate::vars::VarBuilder;
use candle_core::{DType, Device, Result};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;
use weights::{Backend, Weights};

/// A model's files with their tensors' places known; the tensors are read when a net asks for them.
pub struct Checkpoint {
    files: Files,
    weights: Arc<Weights>,
}

impl Checkpoint {
    /// Reads and checks the headers of `model.safetensors`, or of the files that `model.safetensors.index.json`
    /// names; where neither is there, of what diffusers names `diffusion_pytorch_model`, of either's `fp16` variant, or of
    /// PyTorch's own `pytorch_model.bin`, of which nothing is executed.
    pub fn open(files: Files) -> Result<Self> {
        let weights = Arc::new(Weights::open(&files)?);
        Ok(Self { files, weights })
    }

    /// Reads and checks the header of one file of weights, of any name: safetensors, or what `torch.save` wrote.
    pub fn open_file(path: &Path) -> Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
        else {
            refuse!("{}: not the name of a file", path.display().to_string().escape_debug());
        };
        let files = Files::Dir(folder.to_path_buf());
        let weights = Arc::new(Weights::open_file(&files, name)?);
        Ok(Self { files, weights })
    }

    /// `config.json`.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        self.files.json("config.json")
    }

    /// The files themselves, for what lies beside the weights.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The tensors for a net, converted to `dtype` on `device` as they are asked for.
    pub fn vb(&self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::new(Backend(self.weights.clone()), dtype, device)
    }

    /// The number format that most of the values are stored in.
    pub fn dtype(&self) -> DType {
        let bytes = |dtype| {
            let of_dtype = self.tensors().filter(|(_, stored)| stored.float() == Some(dtype));
            of_dtype.map(|(_, stored)| stored.bytes.len()).sum::<usize>()
        };
        let formats = [DType::F32, DType::BF16, DType::F16, DType::F64];
        formats.into_iter().max_by_key(|dtype| bytes(*dtype)).unwrap_or(DType::F32)
    }

    /// Name and description of every tensor, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.weights.tensors()
    }
}
