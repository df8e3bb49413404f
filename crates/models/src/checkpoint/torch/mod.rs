//! What `torch.save` writes (`.bin`, `.pt`, `.pth`, `.ckpt`), read for its tensors alone.
//!
//! Since PyTorch 1.6 it is a zip archive of a pickle and of one file a storage; before, a chain of pickles and the storages
//! after them (`torch/serialization.py`). Nothing in a pickle is executed: [`pickle`] says how.

mod pickle;

use super::header::Stored;
use candle_core::Result;
use pickle::{Id, Pickle, Value};
use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::ops::Range;
use zip::{CompressionMethod, ZipArchive};

/// The tensors of a file.
pub struct Torch {
    /// Those whose bytes lie in the file as they are wanted,
    pub tensors: BTreeMap<String, Stored>,
    /// those that lie there in another order,
    pub rearranged: BTreeMap<String, Stored>,
    /// and the bytes of these.
    pub bytes: Vec<u8>,
}

/// The largest pickle that is read; the largest ones known take a few megabytes.
const LIMIT: u64 = 256 << 20;
/// How deep dictionaries of tensors may lie in each other, and how many entries are looked at.
const DEPTH: usize = 16;
const ENTRIES: usize = 1 << 20;
/// Where trainers put what others save bare.
const STATE: [&str; 4] = ["state_dict", "model_state_dict", "model", "generator"];
/// What the oldest format begins with, `torch.serialization.MAGIC_NUMBER`.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Finds the tensors of a file; `file` is for messages.
///
/// # Errors
/// Other files, truncated ones, and tensors that are not plain numbers in a storage.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Torch> {
    let (pickle, storages) =
        if bytes.starts_with(b"PK") { archive(file, bytes)? } else { chain(file, bytes)? };
    let reader = Reader { file, pickle: &pickle, storages: &storages };
    let mut found = Vec::new();
    let root = reader.state();
    reader.collect(root, "", DEPTH, &mut ENTRIES.clone(), &mut found)?;
    if found.is_empty() {
        refuse!(
            "{file}: there are no tensors under names in it: a checkpoint is what torch.save(net.state_dict(), FILE) writes"
        );
    }
    let mut torch = Torch { tensors: BTreeMap::new(), rearranged: BTreeMap::new(), bytes: Vec::new() };
    for (name, tensor) in found {
        let (dtype, shape) = (tensor.dtype.name.to_owned(), tensor.shape.clone());
        if tensor.is_contiguous() {
            let stored = Stored { dtype, shape, bytes: tensor.place(tensor.count()) };
            torch.tensors.insert(name, stored);
        } else {
            let first = torch.bytes.len();
            tensor.gather(bytes, &mut torch.bytes);
            torch.rearranged.insert(name, Stored { dtype, shape, bytes: first..torch.bytes.len() });
        }
    }
    Ok(torch)
}

/// The bytes of storages in the file, by their keys.
type Storages = HashMap<String, Range<usize>>;

/// The pickle and the storages of an archive.
fn archive(file: &str, bytes: &[u8]) -> Result<(Pickle, Storages)> {
    let broken =
        |error: zip::result::ZipError| candle_core::Error::Msg(format!("{file}: {error}: truncated?"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let (mut pickle, mut storages) = (None, Storages::new());
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        let Some((_, name)) = name.split_once('/') else { continue };
        if name == "constants.pkl" {
            refuse!("{file}: a TorchScript program; its net's state_dict(), saved, can be read");
        }
        if name == "data.pkl" {
            let mut text = Vec::new();
            entry.by_ref().take(LIMIT + 1).read_to_end(&mut text)?;
            if text.len() as u64 > LIMIT {
                refuse!("{file}: its pickle is larger than {LIMIT} bytes");
            }
            pickle = Some(Pickle::read(file, &text)?.0);
        } else if name == "byteorder" {
            let mut order = String::new();
            entry.by_ref().take(16).read_to_string(&mut order)?;
            if order.trim() != "little" {
                refuse!("{file}: its numbers are {}-endian, little-endian ones are read", order.trim());
            }
        } else if let Some(key) = name.strip_prefix("data/") {
            let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
            let end = start.and_then(|start| start.checked_add(usize::try_from(entry.size()).ok()?));
            match (start, end) {
                (Some(start), Some(end))
                    if end <= bytes.len() && entry.compression() == CompressionMethod::Stored =>
                {
                    storages.insert(key.to_owned(), start..end);
                }
                _ => refuse!("{file}: its storage {key:?} is compressed or reaches beyond the file"),
            }
        }
    }
    match pickle {
        Some(pickle) => Ok((pickle, storages)),
        None => refuse!("{file}: a zip archive without the data.pkl that torch.save writes"),
    }
}

/// The pickle and the storages of the format before archives.
fn chain(file: &str, bytes: &[u8]) -> Result<(Pickle, Storages)> {
    let mut at = 0;
    let mut next = || -> Result<Pickle> {
        let (pickle, length) = Pickle::read(file, &bytes[at..])?;
        at += length;
        Ok(pickle)
    };
    let is_magic = match next() {
        Ok(magic) => *magic.value(magic.root()) == Value::Long(MAGIC.to_vec()),
        Err(_) => false,
    };
    if !is_magic {
        refuse!("{file}: not what torch.save writes, nor safetensors");
    }
    let (_version, system, pickle, keys) = (next()?, next()?, next()?, next()?);
    little_endian(file, &system)?;
    let described = described(file, &pickle)?;
    let mut storages = Storages::new();
    for key in keys.items(keys.root()).unwrap_or_default() {
        let Some(key) = keys.text(*key) else { refuse!("{file}: a storage without a name") };
        let length = bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk::<8>())
            .map(|length| u64::from_le_bytes(*length));
        let size = length.and_then(|length| usize::try_from(length).ok()?.checked_mul(*described.get(key)?));
        let end = size.and_then(|size| size.checked_add(at + 8)).filter(|end| *end <= bytes.len());
        let Some(end) = end else {
            refuse!("{file}: its storage {key:?} reaches beyond the file: truncated?")
        };
        storages.insert(key.to_owned(), at + 8..end);
        at = end;
    }
    Ok((pickle, storages))
}

/// Refuses storages of machines that turn their numbers' bytes.
fn little_endian(file: &str, system: &Pickle) -> Result<()> {
    let told = |(key, _): &&(Id, Id)| system.text(*key) == Some("little_endian");
    let order = system.entries(system.root()).iter().find(told).map(|(_, value)| system.value(*value));
    if order != Some(&Value::Flag(true)) {
        refuse!("{file}: its numbers are not little-endian, as those that are read");
    }
    Ok(())
}

/// The bytes of a value of each storage that the pickle speaks of.
fn described(file: &str, pickle: &Pickle) -> Result<HashMap<String, usize>> {
    let reader = Reader { file, pickle, storages: &Storages::new() };
    let mut widths = HashMap::new();
    for id in pickle.elsewhere() {
        let storage = reader.described(id)?;
        widths.insert(storage.key.to_owned(), storage.dtype.width);
    }
    Ok(widths)
}

/// A number format: safetensors' name, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Format {
    name: &'static str,
    width: usize,
}

/// PyTorch's names of a number format, of its dtype and of its storages.
const FORMATS: [(&str, &str, Format); 15] = [
    ("float32", "FloatStorage", Format { name: "F32", width: 4 }),
    ("float16", "HalfStorage", Format { name: "F16", width: 2 }),
    ("bfloat16", "BFloat16Storage", Format { name: "BF16", width: 2 }),
    ("float64", "DoubleStorage", Format { name: "F64", width: 8 }),
    ("int64", "LongStorage", Format { name: "I64", width: 8 }),
    ("int32", "IntStorage", Format { name: "I32", width: 4 }),
    ("int16", "ShortStorage", Format { name: "I16", width: 2 }),
    ("int8", "CharStorage", Format { name: "I8", width: 1 }),
    ("uint8", "ByteStorage", Format { name: "U8", width: 1 }),
    ("bool", "BoolStorage", Format { name: "BOOL", width: 1 }),
    ("float8_e4m3fn", "", Format { name: "F8_E4M3", width: 1 }),
    ("float8_e5m2", "", Format { name: "F8_E5M2", width: 1 }),
    ("uint16", "", Format { name: "U16", width: 2 }),
    ("uint32", "", Format { name: "U32", width: 4 }),
    ("uint64", "", Format { name: "U64", width: 8 }),
];

/// A storage as the pickle speaks of it.
struct Described<'a> {
    key: &'a str,
    dtype: Format,
    /// Whether its numbers are bytes, and a tensor says of what.
    untyped: bool,
    /// Values before a view of it, in the format before archives.
    skipped: usize,
}

/// A tensor as it lies in the file.
struct Tensor {
    dtype: Format,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// Its storage's bytes, from its own first on.
    bytes: Range<usize>,
}

impl Tensor {
    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn place(&self, count: usize) -> Range<usize> {
        self.bytes.start..self.bytes.start + count * self.dtype.width
    }

    fn is_contiguous(&self) -> bool {
        // beside a size of nothing the others may be of any height
        if self.count() == 0 {
            return true;
        }
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == expected;
            expected *= size;
            fits
        })
    }

    /// Its values in the order of its sizes, added to `to`.
    fn gather(&self, file: &[u8], to: &mut Vec<u8>) {
        let mut place = vec![0; self.shape.len()];
        for _ in 0..self.count() {
            let offset = place.iter().zip(&self.strides).map(|(i, stride)| i * stride).sum::<usize>();
            let first = self.bytes.start + offset * self.dtype.width;
            to.extend(&file[first..first + self.dtype.width]);
            for (i, size) in place.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < *size {
                    break;
                }
                *i = 0;
            }
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    pickle: &'a Pickle,
    storages: &'a Storages,
}

impl<'a> Reader<'a> {
    /// What holds the net's tensors: the whole, or the part of a trainer's notes.
    fn state(&self) -> Id {
        let root = self.pickle.root();
        let entries = self.pickle.entries(root);
        let is_bare = entries.iter().any(|(_, value)| matches!(self.pickle.value(*value), Value::Call(..)));
        let part = |name: &&str| {
            let of_name = |(key, value): &&(Id, Id)| {
                self.pickle.text(*key) == Some(name) && !self.pickle.entries(*value).is_empty()
            };
            entries.iter().find(of_name).map(|(_, value)| *value)
        };
        if is_bare { root } else { STATE.iter().find_map(part).unwrap_or(root) }
    }

    /// The tensors below a dictionary or a list, by their names and places joined with dots.
    fn collect(
        &self,
        id: Id,
        path: &str,
        depth: usize,
        left: &mut usize,
        found: &mut Vec<(String, Tensor)>,
    ) -> Result<()> {
        let listed = match self.pickle.value(id) {
            Value::Tuple(items) | Value::List(items) => items.as_slice(),
            _ => &[],
        };
        let listed = listed.iter().enumerate().map(|(i, value)| (i.to_string(), *value));
        let named = self.pickle.entries(id).iter().filter_map(|(key, value)| {
            let key = match self.pickle.value(*key) {
                Value::Text(text) => text.clone(),
                Value::Whole(number) => number.to_string(),
                _ => return None,
            };
            Some((key, *value))
        });
        for (key, value) in named.chain(listed) {
            let Some(rest) = left.checked_sub(1).filter(|_| depth > 0) else {
                refuse!("{}: more than {ENTRIES} entries, or {DEPTH} dictionaries in each other", self.file);
            };
            *left = rest;
            let name = if path.is_empty() { key } else { format!("{path}.{key}") };
            match self.tensor(value, &name)? {
                Some(tensor) => found.push((name, tensor)),
                None => self.collect(value, &name, depth - 1, left, found)?,
            }
        }
        Ok(())
    }

    /// The tensor that a value stands for, where it stands for one.
    fn tensor(&self, id: Id, name: &str) -> Result<Option<Tensor>> {
        let (mut function, mut given) = match self.pickle.value(id) {
            Value::Call(function, given) => (*function, *given),
            _ => return Ok(None),
        };
        // a parameter wraps a tensor, a subclass's tensor wraps the call
        for _ in 0..DEPTH {
            let (Some(called), Some(items)) = (self.pickle.global(function), self.pickle.items(given)) else {
                return Ok(None);
            };
            let wrapped = match (called, items) {
                (
                    "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
                    [data, ..],
                ) => match self.pickle.value(*data) {
                    Value::Call(function, given) => Some((*function, *given)),
                    _ => None,
                },
                ("torch._tensor._rebuild_from_type_v2", [function, _, given, ..]) => {
                    Some((*function, *given))
                }
                (
                    "torch._utils._rebuild_tensor_v2"
                    | "torch._utils._rebuild_tensor"
                    | "torch._utils._rebuild_tensor_v3",
                    _,
                ) => {
                    return self.plain(items, name).map(Some);
                }
                _ => None,
            };
            match wrapped {
                Some(wrapped) => (function, given) = wrapped,
                None if called.starts_with("torch._utils._rebuild") => {
                    refuse!("{}: {name:?} is not a plain tensor ({called})", self.file)
                }
                None => return Ok(None),
            }
        }
        refuse!("{}: {name:?} is wrapped too often", self.file)
    }

    /// A tensor of (storage, offset, sizes, strides, ..., dtype).
    fn plain(&self, items: &[Id], name: &str) -> Result<Tensor> {
        let sizes = |id: Id| {
            let items = self.pickle.items(id)?;
            items.iter().map(|id| self.pickle.count(*id)).collect::<Option<Vec<_>>>()
        };
        let read = match items {
            [storage, offset, shape, strides, ..] => self
                .pickle
                .count(*offset)
                .zip(sizes(*shape))
                .zip(sizes(*strides))
                .map(|rest| (*storage, rest)),
            _ => None,
        };
        let Some((storage, ((offset, shape), strides))) = read.filter(|(_, ((_, a), b))| a.len() == b.len())
        else {
            refuse!("{}: {name:?} is described in a way that is not known", self.file);
        };
        let Described { key, mut dtype, untyped, skipped } = self.described(storage)?;
        if untyped {
            let named = items.get(6).and_then(|id| self.pickle.global(*id)).unwrap_or_default();
            let format = FORMATS.iter().find(|(dtype, ..)| named.strip_prefix("torch.") == Some(dtype));
            match format {
                Some((.., format)) => dtype = *format,
                None => refuse!("{}: {name:?} is of {named:?}, which is not read", self.file),
            }
        }
        let Some(all) = self.storages.get(key) else {
            refuse!("{}: {name:?} lies in the storage {key:?}, which is not there", self.file);
        };
        self.checked(dtype, shape, strides, offset.saturating_add(skipped), all)
            .map_or_else(|| refuse!("{}: {name:?} reaches beyond its storage: truncated?", self.file), Ok)
    }

    /// Nothing, where a value of the tensor lies outside of the storage, or the same value stands for several.
    fn checked(
        &self,
        dtype: Format,
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        all: &Range<usize>,
    ) -> Option<Tensor> {
        let first = all.start.checked_add(offset.checked_mul(dtype.width)?)?;
        let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size))?;
        let last = shape.iter().zip(&strides).try_fold(0usize, |last, (size, stride)| {
            last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)
        })?;
        let size = last.max(count.saturating_sub(1)).checked_add(1)?.checked_mul(dtype.width)?;
        let end = if count == 0 { first } else { first.checked_add(size)? };
        let fits = end <= all.end;
        fits.then_some(Tensor { dtype, shape, strides, bytes: first..all.end })
    }

    /// ("storage", class, key, device, length), and in the format before archives the view of it.
    fn described(&self, id: Id) -> Result<Described<'a>> {
        let read = || {
            let Value::Elsewhere(told) = self.pickle.value(id) else { return None };
            let [kind, class, key, _, _, rest @ ..] = self.pickle.items(*told)? else { return None };
            let skipped = match rest.first().and_then(|view| self.pickle.items(*view)) {
                Some([_, offset, ..]) => self.pickle.count(*offset)?,
                _ => 0,
            };
            let class = self.pickle.global(*class)?.rsplit('.').next()?;
            let format = FORMATS.iter().find(|(_, storage, _)| *storage == class);
            let untyped = class == "UntypedStorage";
            let dtype = match format {
                Some((.., format)) => *format,
                None if untyped => Format { name: "U8", width: 1 },
                None => return None,
            };
            let key = self.pickle.text(*key).filter(|_| self.pickle.text(*kind) == Some("storage"))?;
            Some(Described { key, dtype, untyped, skipped })
        };
        read().map_or_else(|| refuse!("{}: a storage of a kind that is not read", self.file), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beside_nothing_may_be_of_any_height() {
        let format = FORMATS[0].2;
        let tensor =
            Tensor { dtype: format, shape: vec![0, 1 << 40, 1 << 40], strides: vec![1; 3], bytes: 0..0 };
        assert!(tensor.is_contiguous() && tensor.place(tensor.count()).is_empty());
    }
}
