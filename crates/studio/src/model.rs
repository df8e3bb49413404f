//! A model's name, as typed, to something that is loaded.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use batch::Content;
use cli::{ModelArgs, Progress};
use hub::{Embedded, Location, Resolved, Want};
use models::checkpoint::Files;

/// The weights of a repository in transformers' layout, or the file that names the files they are in.
pub const WEIGHTS: Want<'static> = Want::required(&[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
]);
/// The files that such a file names.
pub const SHARDS: Want<'static> = Want::optional(&["model-*-of-*.safetensors", "pytorch_model-*-of-*.bin"]);

/// Weights in one file as transformers and diffusers name it, or the file that names those of several.
const PLACES: [&str; 14] = [
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
    "model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
];
/// No index of weights is larger, and no weights that are hashed from memory.
const LIMIT: u64 = 1 << 32;

/// The files at a place. `beside` says what a folder holds beside weights, for whoever names the weights alone.
///
/// # Errors
/// A place that is one file.
pub fn files(location: &Location, beside: &str) -> Result<Files> {
    match location {
        Location::Dir(folder) => Ok(Files::Dir(folder.clone())),
        Location::Embedded(files) => Ok(Files::Static((*files).into())),
        Location::File(path) => bail!(
            "{}: weights alone are no model: name the folder that holds them with {beside}",
            path.display()
        ),
    }
}

/// Whether there are weights under a usual name.
pub fn has_weights(files: &Files) -> bool {
    PLACES.iter().any(|name| files.has(name))
}

/// What changes when the weights do: a hash of their bytes; of weights in several files, of all of them.
///
/// # Errors
/// Files that are missing or cannot be read.
pub fn identity(files: &Files) -> Result<String> {
    let weights = PLACES.into_iter().find(|name| files.has(name)).unwrap_or(PLACES[0]);
    let digest = |name: &str| -> Result<[u8; 32]> {
        let content = match files {
            Files::Dir(folder) => Content::File(folder.join(name)),
            files => Content::Bytes(files.read(name, LIMIT)?),
        };
        content.digest().with_context(|| files.describe(name))
    };
    let own = digest(weights)?;
    if !weights.ends_with(".json") {
        return Ok(hex(&own));
    }
    #[derive(serde::Deserialize)]
    struct Index {
        #[serde(default)]
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = files.json(weights)?;
    let parts: BTreeSet<String> = index.weight_map.into_values().collect();
    let mut all = own.to_vec();
    for part in &parts {
        all.extend(digest(part)?);
    }
    Ok(hex(&Content::Bytes(all).digest()?))
}

/// [`identity`] of a model that was found; the revision, where it has one, says as much without a look at the weights.
///
/// # Errors
/// Files that are missing or cannot be read.
pub fn identity_of(found: &Resolved) -> Result<String> {
    match (&found.revision, &found.location) {
        (Some(revision), _) => Ok(format!("{}@{revision}", found.name)),
        (None, Location::File(path)) => {
            Ok(hex(&Content::File(path.clone()).digest().with_context(|| path.display().to_string())?))
        }
        (None, location) => identity(&files(location, "its configuration")?),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Finds the model that was asked for and loads it behind a spinner.
///
/// # Errors
/// A model that is not found, and what `load` refuses.
pub fn load<M>(
    asked: &ModelArgs,
    embedded: Option<Embedded>,
    wants: &[Want<'_>],
    progress: &Progress,
    load: impl FnOnce(&Location) -> Result<M>,
) -> Result<(M, Resolved)> {
    let found = asked.resolve(embedded, wants, progress)?;
    Ok((load_found(&found, progress, load)?, found))
}

/// Loads what was found behind a spinner.
///
/// # Errors
/// What `load` refuses.
pub fn load_found<M>(
    found: &Resolved,
    progress: &Progress,
    load: impl FnOnce(&Location) -> Result<M>,
) -> Result<M> {
    let spinner = progress.spinner("loading the model");
    let loaded = load(&found.location);
    spinner.finish();
    loaded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_model_is_a_folder_and_hashes_as_its_weights_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = Location::File(folder.path().join("x.safetensors"));
        let said = files(&file, "config.json").unwrap_err().to_string();
        assert!(said.ends_with(
            "x.safetensors: weights alone are no model: name the folder that holds them with config.json"
        ));
        let there = files(&Location::Dir(folder.path().into()), "").unwrap();
        assert!(identity(&there).is_err());
        std::fs::write(folder.path().join(PLACES[2]), r#"{"weight_map": {"a": "1.safetensors"}}"#).unwrap();
        assert!(identity(&there).is_err());
        std::fs::write(folder.path().join("1.safetensors"), "old").unwrap();
        let of_old = identity(&there).unwrap();
        std::fs::write(folder.path().join("1.safetensors"), "new").unwrap();
        let of_index = identity(&there).unwrap();
        assert_ne!(of_index, of_old);
        std::fs::write(folder.path().join(PLACES[0]), "more").unwrap();
        assert_ne!(identity(&there).unwrap(), of_index);
        const INSIDE: &[(&str, &[u8])] = &[(PLACES[0], b"more")];
        let inside = files(&Location::Embedded(INSIDE), "").unwrap();
        assert_eq!(identity(&inside).unwrap(), identity(&there).unwrap());
    }
}
