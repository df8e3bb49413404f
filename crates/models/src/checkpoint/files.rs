//! Where a model's files lie, and their bytes.

use candle_core::Result;
use memmap2::Mmap;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::PathBuf;

/// A folder, or files inside the program as (name, bytes).
#[derive(Debug, Clone)]
pub enum Files {
    /// A folder on disk.
    Dir(PathBuf),
    /// Embedded files.
    Static(Cow<'static, [(&'static str, &'static [u8])]>),
}

/// The largest JSON file that is read.
const JSON_LIMIT: u64 = 32 << 20;

impl Files {
    /// The files below a folder of these, under their names there.
    pub fn below(&self, folder: &str) -> Self {
        match self {
            Files::Dir(dir) => Files::Dir(dir.join(folder)),
            Files::Static(files) => {
                let name = |(file, bytes): &(&'static str, _)| {
                    Some((file.strip_prefix(folder)?.strip_prefix('/')?, *bytes))
                };
                Files::Static(files.iter().filter_map(name).collect())
            }
        }
    }

    /// The file's name for a message.
    pub fn describe(&self, name: &str) -> String {
        match self {
            Files::Dir(dir) => dir.join(name).display().to_string().escape_debug().to_string(),
            Files::Static(_) => format!("{name} (embedded)"),
        }
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Files::Dir(dir) => dir.join(name).is_file(),
            Files::Static(files) => files.iter().any(|(file, _)| *file == name),
        }
    }

    /// All bytes of a file of at most `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Files::Dir(_) => {
                let read = self.open(name)?.take(limit + 1).read_to_end(&mut bytes);
                read.map_err(|error| self.failed(name, error))?;
            }
            Files::Static(_) => bytes.extend(self.embedded(name)?.iter().take(limit as usize + 1)),
        }
        if bytes.len() as u64 > limit {
            refuse!("{}: larger than {limit} bytes, which is too large for such a file", self.describe(name));
        }
        Ok(bytes)
    }

    /// A JSON file, as `T`.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = self.read(name, JSON_LIMIT)?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(value),
            Err(error) => refuse!("{}: {error}", self.describe(name)),
        }
    }

    /// A large file's bytes, without reading them yet.
    pub(super) fn bytes(&self, name: &str) -> Result<Bytes> {
        match self {
            Files::Dir(_) => {
                let mapped = map(&self.open(name)?);
                Ok(Bytes::Mapped(mapped.map_err(|error| self.failed(name, error))?))
            }
            Files::Static(_) => Ok(Bytes::Static(self.embedded(name)?)),
        }
    }

    fn open(&self, name: &str) -> Result<File> {
        // a pipe would block the call that opens it, so what is no plain file is refused first
        if !self.has(name) {
            refuse!("{}: there is no such file", self.describe(name));
        }
        let Files::Dir(dir) = self else { refuse!("{}: not on disk", self.describe(name)) };
        File::open(dir.join(name)).map_err(|error| self.failed(name, error))
    }

    fn embedded(&self, name: &str) -> Result<&'static [u8]> {
        let Files::Static(files) = self else { refuse!("{}: not embedded", self.describe(name)) };
        match files.iter().find(|(file, _)| *file == name) {
            Some((_, bytes)) => Ok(bytes),
            None => refuse!("{}: there is no such file", self.describe(name)),
        }
    }

    fn failed(&self, name: &str, error: std::io::Error) -> candle_core::Error {
        candle_core::Error::Msg(format!("{}: {error}", self.describe(name)))
    }
}

/// The bytes of a weights file, at no particular alignment.
pub(super) enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
    Owned(Vec<u8>),
}

impl Bytes {
    /// Gives back the memory that a part of a mapped file took when it was read; it is read again from disk if need be.
    /// Otherwise a net's weights lie in memory twice until all are loaded.
    pub fn release(&self, part: Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(mapped) = self {
            // where the system does not do it, more memory is used and nothing else
            let _ = drop_pages(mapped, part);
        }
        #[cfg(not(unix))]
        let _ = part;
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(mapped) => mapped,
            Bytes::Static(bytes) => bytes,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn drop_pages(mapped: &Mmap, part: Range<usize>) -> std::io::Result<()> {
    // SAFETY: the map is read-only, so that its pages hold nothing but the file, from which they come back.
    unsafe { mapped.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, part.start, part.len()) }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only and lives no longer than its owner. The bytes could change under it only if
    // another process rewrote the file in place; ours replace files by renaming, and every value read is
    // valid as bytes, so the worst case is a wrong number or, if the file is cut short, the signal that ends
    // the process.
    unsafe { Mmap::map(file) }
}
