//! Sounds and codes that are given: files, or stdin.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use media::audio::{Audio, channels_of, read_channels};
use serde_json::Value;

/// The largest file of codes.
const LIMIT: u64 = 1 << 30;

/// All samples of both channels of a sound at a rate, or of its only one.
pub fn channels(path: &Path, rate: u32) -> Result<Vec<Vec<f32>>> {
    Ok(match path.as_os_str() == "-" {
        true => channels_of(&cli::read_stdin()?, Path::new("stdin"), rate)?,
        false => read_channels(path, rate)?,
    })
}

/// All samples of a sound at a rate, its channels mixed.
pub fn mono(path: &Path, rate: u32) -> Result<Vec<f32>> {
    let audio = match path.as_os_str() == "-" {
        true => Audio::from_bytes(cli::read_stdin()?, Path::new("stdin"))?,
        false => Audio::open(path)?,
    };
    let mut samples = Vec::new();
    for block in audio.mono(rate)? {
        samples.extend(block?);
    }
    Ok(samples)
}

/// A sound for so many channels: its own two where that is what is wanted, else all of them mixed.
pub fn sound(path: &Path, rate: u32, wanted: usize) -> Result<Vec<Vec<f32>>> {
    if wanted == 1 { Ok(vec![mono(path, rate)?]) } else { channels(path, rate) }
}

/// Rows of codes out of JSON: an object with `codes`, or the rows alone.
pub fn codes(path: &Path) -> Result<Vec<Vec<u32>>> {
    let name = path.display().to_string();
    let bytes = match path.as_os_str() == "-" {
        true => cli::read_stdin()?,
        false => {
            let data = std::fs::metadata(path).with_context(|| name.clone())?;
            if !data.is_file() || data.len() > LIMIT {
                bail!("{name}: no ordinary file of at most {LIMIT} bytes");
            }
            std::fs::read(path).with_context(|| name.clone())?
        }
    };
    let mut value: Value = serde_json::from_slice(&bytes).with_context(|| format!("{name}: no JSON"))?;
    let rows = value.get_mut("codes").map(Value::take).unwrap_or(value);
    let rows: Vec<Vec<u32>> = serde_json::from_value(rows).map_err(|error| {
        anyhow!("{name}: no rows of codes, such as {{\"codes\": [[1, 2], [3, 4]]}}: {error}")
    })?;
    match rows.first() {
        Some(first) if !first.is_empty() => Ok(rows),
        _ => bail!("{name}: there are no codes in it"),
    }
}
