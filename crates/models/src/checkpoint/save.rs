//! Writes a model as a folder, or its weights as one file, that the hub's other programs read too.

use super::Checkpoint;
use super::header::{Stored, width};
use super::weights::tensor;
use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes `model.safetensors`, then `config.json`, each whole or not at all. The tensors are sorted by name and
/// converted to `dtype`, which `config.json` is told; equal arguments give equal bytes.
pub fn save(dir: &Path, config: &impl Serialize, tensors: &[(String, Tensor)], dtype: DType) -> Result<()> {
    let (_, in_config) = spelling(dtype)?;
    let mut config = json_of(dir, config)?;
    if let Value::Object(fields) = &mut config {
        fields.remove("torch_dtype");
        fields.insert("dtype".to_string(), in_config.into());
    }
    write(dir, "model.safetensors", &config, tensors, dtype)
}

/// [`save`] under the name that diffusers gives the weights of its nets, whose `config.json` has no number format.
pub fn save_diffusers(
    dir: &Path,
    config: &impl Serialize,
    tensors: &[(String, Tensor)],
    dtype: DType,
) -> Result<()> {
    write(dir, "diffusion_pytorch_model.safetensors", &json_of(dir, config)?, tensors, dtype)
}

/// Writes all tensors of a checkpoint as one safetensors file at `path`, whole or not at all: as they are stored, or floats
/// converted to `dtype`. The order is safetensors' own: wide number formats first, then by name.
///
/// # Errors
/// A number format that safetensors does not have, values beyond f16, a disk that cannot be written.
pub fn save_weights(path: &Path, checkpoint: &Checkpoint, dtype: Option<DType>) -> Result<()> {
    let asked = dtype.map(spelling).transpose()?.map(|(in_header, _)| in_header);
    let format = |stored: &Stored| match asked {
        Some(asked) if stored.float().is_some() => asked.to_string(),
        _ => stored.dtype.clone(),
    };
    let mut tensors: Vec<_> =
        checkpoint.tensors().map(|(name, stored)| (format(stored), name, stored)).collect();
    tensors.sort_by_key(|(format, name, _)| (std::cmp::Reverse(width(format)), *name));
    let described = tensors.iter().map(|(format, name, stored)| {
        let count = stored.shape.iter().product::<usize>();
        (*name, format.as_str(), stored.shape.as_slice(), count * width(format).unwrap_or(0))
    });
    let header = header(described);
    replace(path, |file| {
        file.write_all(&header)?;
        for (format, name, stored) in &tensors {
            let raw = checkpoint.weights.bytes(name)?;
            match (dtype, stored.float()) {
                (Some(dtype), Some(float)) if *format != stored.dtype => {
                    let tensor = tensor(raw, float, DType::F32, &stored.shape, &Device::Cpu)?;
                    file.write_all(&bytes(name, &tensor, dtype)?)?;
                }
                _ => file.write_all(raw)?,
            }
        }
        Ok(())
    })
}

// in the header and in config.json
fn spelling(dtype: DType) -> Result<(&'static str, &'static str)> {
    Ok(match dtype {
        DType::F32 => ("F32", "float32"),
        DType::F16 => ("F16", "float16"),
        DType::BF16 => ("BF16", "bfloat16"),
        other => refuse!("a model is saved as F32, F16 or BF16, not as {other:?}"),
    })
}

fn json_of(dir: &Path, config: &impl Serialize) -> Result<Value> {
    match serde_json::to_value(config) {
        Ok(config) => Ok(config),
        Err(error) => refuse!("{}: the configuration is not JSON: {error}", dir.display()),
    }
}

fn write(
    dir: &Path,
    weights: &str,
    config: &Value,
    tensors: &[(String, Tensor)],
    dtype: DType,
) -> Result<()> {
    let (spelling, _) = spelling(dtype)?;
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        refuse!("{}: two tensors are named `{}`", dir.display(), pair[0].0);
    }
    fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    replace(&dir.join(weights), |file| write_weights(file, &sorted, spelling, dtype))?;
    replace(&dir.join("config.json"), |file| Ok(writeln!(file, "{config:#}")?))
}

fn write_weights(
    file: &mut impl Write,
    tensors: &[&(String, Tensor)],
    spelling: &str,
    dtype: DType,
) -> Result<()> {
    let described = tensors.iter().map(|(name, tensor)| {
        (name.as_str(), spelling, tensor.dims(), tensor.elem_count() * dtype.size_in_bytes())
    });
    file.write_all(&header(described))?;
    for (name, tensor) in tensors {
        file.write_all(&bytes(name, tensor, dtype)?)?;
    }
    Ok(())
}

/// What a file begins with, of tensors that follow in this order: name, number format, sizes, bytes.
fn header<'a>(tensors: impl Iterator<Item = (&'a str, &'a str, &'a [usize], usize)>) -> Vec<u8> {
    let mut entries = serde_json::Map::new();
    entries.insert("__metadata__".to_string(), json!({ "format": "pt" }));
    let mut begin = 0;
    for (name, format, shape, size) in tensors {
        let entry = json!({ "dtype": format, "shape": shape, "data_offsets": [begin, begin + size] });
        entries.insert(name.to_string(), entry);
        begin += size;
    }
    let mut header = Value::Object(entries).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

fn bytes(name: &str, tensor: &Tensor, dtype: DType) -> Result<Vec<u8>> {
    let values = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    if dtype == DType::F16 {
        let beyond = |x: &&f32| x.is_finite() && !f16::from_f32(**x).is_finite();
        if let Some(value) = values.iter().find(beyond) {
            refuse!("tensor `{name}` has the value {value}, which is beyond F16: save as BF16 or F32");
        }
    }
    Ok(match dtype {
        DType::F16 => values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
        DType::BF16 => values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
    })
}

/// Puts a new file under the name once all its bytes are on the disk.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = BufWriter::new(File::create(&temporary)?);
        write(&mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        fs::rename(&temporary, path)?;
        // the new name itself is safe once the folder is; where folders cannot be opened, it is already
        if let Some(folder) = path.parent().and_then(|parent| File::open(parent).ok()) {
            folder.sync_all()?;
        }
        Ok(())
    })();
    if written.is_err() {
        // what failed is reported; a left-over that cannot be removed changes nothing
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(|error: candle_core::Error| failed(path, error))
}

fn failed(path: &Path, error: impl std::fmt::Display) -> candle_core::Error {
    candle_core::Error::Msg(format!("{}: {error}", path.display()))
}
