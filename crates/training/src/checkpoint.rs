//! A whole run in one safetensors file: weights, average, moments, best weights, and in its metadata the
//! checksum and the state as JSON. It is written beside its place and renamed over it, so that a kill at any moment leaves
//! either the file before or the file after, whole.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, View, serialize_to_file};
use serde::{Deserialize, Serialize};

use crate::curve::Curve;
use crate::error::{Error, Result, io};
use crate::options::Options;

const METADATA: &str = "training";

/// Where the checkpoint of a folder is.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("checkpoint.safetensors")
}

/// Removes the checkpoint of a folder, if there is one: the next run there starts anew.
pub fn remove(folder: &Path) -> Result<()> {
    let path = path(folder);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(path)(error)),
        _ => Ok(()),
    }
}

/// All of a run that is not a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub options: Options,
    pub task: String,
    /// Steps done.
    pub step: u64,
    /// Where the run ends, once that is known.
    pub total: Option<u64>,
    pub updates: u64,
    /// Steps without an update, because loss or gradient were not finite.
    pub skipped: u64,
    pub skipped_in_row: u64,
    /// Losses since the last point of the curve.
    pub loss_sum: f64,
    pub loss_count: u64,
    pub curve: Curve,
    /// The last evaluation.
    pub held_out: Option<f64>,
    /// Step and held-out loss of the best evaluation.
    pub best: Option<(u64, f64)>,
    pub without_gain: u64,
    /// Patience has run out.
    pub stopped: bool,
}

/// A named tensor of a checkpoint.
pub(crate) struct Part<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Cow<'a, [f32]>,
}

impl View for Part<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        for (bytes, value) in bytes.chunks_exact_mut(4).zip(self.values.iter()) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

/// The folder of a run, held against other processes until it is dropped.
pub(crate) struct Place {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes the folder, takes its lock, and clears what a killed run left half written.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(io(folder))?;
        let lock_path = folder.join(".training.lock");
        let lock = OpenOptions::new().create(true).append(true).open(&lock_path).map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: lock_path }),
            Err(TryLockError::Error(error)) => return Err(io(lock_path)(error)),
        }
        let place = Self { path: path(folder), lock_path, _lock: lock };
        let temporary = place.temporary();
        if temporary.exists() {
            fs::remove_file(&temporary).map_err(io(temporary))?;
        }
        Ok(place)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn temporary(&self) -> PathBuf {
        self.path.with_file_name(".checkpoint.safetensors.tmp")
    }

    pub fn write(&self, state: &State, mut parts: Vec<Part>) -> Result<()> {
        let temporary = self.temporary();
        let unwritable = |reason: String| io(&temporary)(std::io::Error::other(reason));
        let json = serde_json::to_string(state).map_err(|error| unwritable(error.to_string()))?;
        // the order in which safetensors lays out tensors of one type
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        let words = parts.iter().flat_map(|part| part.values.iter().map(|value| value.to_bits()));
        let metadata =
            HashMap::from([(METADATA.to_string(), format!("{:016x} {json}", checksum(&json, words)))]);
        let parts = parts.into_iter().map(|part| (part.name.clone(), part));
        serialize_to_file(parts, Some(metadata), &temporary).map_err(|error| match error {
            SafeTensorError::IoError(error) => io(&temporary)(error),
            other => unwritable(other.to_string()),
        })?;
        let file = OpenOptions::new().write(true).open(&temporary).map_err(io(&temporary))?;
        file.sync_all().map_err(io(&temporary))?;
        drop(file);
        fs::rename(&temporary, &self.path).map_err(io(&self.path))?;
        self.sync_folder()
    }

    // without this a power cut could forget the rename
    #[cfg(unix)]
    fn sync_folder(&self) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
    }

    #[cfg(not(unix))]
    fn sync_folder(&self) -> Result<()> {
        Ok(())
    }

    /// What stands in the folder, if anything.
    pub fn read(&self) -> Result<Option<(State, Tensors)>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&self.path)(error)),
        };
        parse(&self.path, bytes).map(Some)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // an empty file is all that stays if this fails
        let _ = fs::remove_file(&self.lock_path);
    }
}

fn parse(path: &Path, bytes: Vec<u8>) -> Result<(State, Tensors)> {
    let refuse = |reason: String| Error::Checkpoint { path: path.into(), reason };
    let broken = |reason: String| refuse(format!("not a whole checkpoint ({reason})"));
    let (length, header) = SafeTensors::read_metadata(&bytes).map_err(|error| broken(error.to_string()))?;
    let entry = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA));
    let entry = entry.ok_or_else(|| refuse("a safetensors file, but not of a training".into()))?;
    let (sum, json) = entry.split_once(' ').ok_or_else(|| broken("no checksum".into()))?;
    let words = words(bytes.get(8 + length..).unwrap_or_default());
    if u64::from_str_radix(sum, 16) != Ok(checksum(json, words)) {
        return Err(broken("its checksum is wrong".into()));
    }
    let state = serde_json::from_str(json).map_err(|error| broken(error.to_string()))?;
    Ok((state, Tensors { bytes, path: path.into() }))
}

/// The tensors of a checkpoint that was read.
pub(crate) struct Tensors {
    bytes: Vec<u8>,
    path: PathBuf,
}

impl Tensors {
    /// Gives `take` a reader of tensors by name and shape.
    pub fn with<R>(
        &self,
        take: impl FnOnce(&dyn Fn(&str, &[usize]) -> Result<Vec<f32>>) -> Result<R>,
    ) -> Result<R> {
        let wrong = |reason: String| Error::Checkpoint { path: self.path.clone(), reason };
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|error| wrong(error.to_string()))?;
        take(&|name, shape| {
            let view = tensors.tensor(name).map_err(|_| wrong(format!("has no tensor {name}")))?;
            if view.shape() != shape || view.dtype() != Dtype::F32 {
                let (there, theirs) = (view.dtype(), view.shape());
                return Err(wrong(format!("tensor {name} is {there} {theirs:?}, the net has F32 {shape:?}")));
            }
            Ok(words(view.data()).map(f32::from_bits).collect())
        })
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}

/// Each word goes through a bijection of the sum so far, so that one wrong word always shows.
fn checksum(json: &str, words: impl Iterator<Item = u32>) -> u64 {
    let add = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let sum = json.bytes().fold(0, |sum, byte| add(sum, u64::from(byte)));
    words.fold(sum, |sum, word| add(sum, u64::from(word)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    fn state() -> State {
        State {
            options: Options { steps: Some(9), ..Options::default() },
            task: "nothing".into(),
            step: 5,
            total: Some(9),
            updates: 5,
            skipped: 0,
            skipped_in_row: 0,
            loss_sum: 0.1 + 0.2,
            loss_count: 1,
            curve: Curve::default(),
            held_out: Some(1.0 / 3.0),
            best: None,
            without_gain: 0,
            stopped: false,
        }
    }

    /// State and tensor of these bytes, or none where they are refused in one line.
    fn contents(bytes: Vec<u8>) -> Option<(State, Vec<f32>)> {
        let read = parse(Path::new("file"), bytes)
            .and_then(|(state, tensors)| Ok((state, tensors.with(|get| get("weights/w", &[2, 3]))?)));
        read.map_err(|error| assert!(!error.to_string().contains('\n'), "{error}")).ok()
    }

    #[test]
    fn damage_is_refused() -> Result<()> {
        let folder = tempfile::tempdir().map_err(io("temporary"))?;
        let place = Place::open(folder.path())?;
        let values = vec![0.5, -1.0, 1e-30, 3.0, f32::MAX, 0.0];
        let part = |name: &str| Part { name: name.into(), shape: vec![2, 3], values: Cow::Borrowed(&values) };
        place.write(&state(), vec![part("weights/w"), part("best/w")])?;
        let whole = fs::read(place.path()).map_err(io(place.path()))?;
        let good = contents(whole.clone());
        assert_eq!(good, Some((state(), values.clone())));

        for length in 0..whole.len() {
            assert_eq!(contents(whole[..length].to_vec()), None, "cut to {length} bytes");
        }
        // what is not refused changes nothing: the spaces that fill up the header, a name that nobody asks for
        let tries = std::env::var("FUZZ").map_or(20_000, |tries| tries.parse().unwrap());
        let mut rng = Rng::new(1);
        for _ in 0..tries {
            let mut bytes = whole.clone();
            for _ in 0..=rng.below(3) {
                let place = rng.below(bytes.len());
                bytes[place] = rng.next_u64() as u8;
            }
            let got = contents(bytes);
            assert!(got.is_none() || got == good);
        }
        Ok(())
    }
}
