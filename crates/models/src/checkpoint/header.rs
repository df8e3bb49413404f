//! The header of a safetensors file: a length, then JSON that says where each tensor's bytes are.

use candle_core::{DType, Result};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A tensor as its file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Number format, in the file's spelling.
    pub dtype: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Place in the file.
    pub bytes: Range<usize>,
}

impl Stored {
    /// The number format, where it is a plain float.
    pub fn float(&self) -> Option<DType> {
        match self.dtype.as_str() {
            "F32" => Some(DType::F32),
            "F16" => Some(DType::F16),
            "BF16" => Some(DType::BF16),
            "F64" => Some(DType::F64),
            _ => None,
        }
    }
}

/// The largest header that is parsed, as in the reference implementation.
const HEADER_LIMIT: u64 = 100_000_000;

/// The tensors of a file. What it returns lies inside the file, does not overlap, and has the size that shape and
/// number format ask for; `file` is for messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<BTreeMap<String, Stored>> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        refuse!("{file}: {} bytes are too few for a safetensors file", bytes.len());
    };
    let length = u64::from_le_bytes(*length);
    if length > HEADER_LIMIT || length > rest.len() as u64 {
        let left = rest.len();
        refuse!(
            "{file}: a header of {length} bytes is announced where {left} follow: truncated, or not safetensors"
        );
    }
    let (header, data) = rest.split_at(length as usize);
    let Header(entries) = match serde_json::from_slice(header) {
        Ok(header) => header,
        Err(error) => refuse!("{file}: its header is not valid: {error}"),
    };
    let mut tensors = BTreeMap::new();
    for (name, entry) in entries {
        let stored = check(file, &name, entry, data.len(), 8 + header.len())?;
        if tensors.insert(name.clone(), stored).is_some() {
            refuse!("{file}: tensor {name:?} is described twice");
        }
    }
    check_cover(file, &tensors, bytes.len() - data.len(), bytes.len())?;
    Ok(tensors)
}

fn check(file: &str, name: &str, entry: Entry, data: usize, offset: usize) -> Result<Stored> {
    let Entry { dtype, shape, data_offsets: (begin, end) } = entry;
    if begin > end {
        refuse!("{file}: tensor {name:?} begins at byte {begin} and ends before it, at {end}");
    }
    if end > data {
        refuse!(
            "{file}: tensor {name:?} ends at byte {end} of the data, which has {data}: the file is truncated"
        );
    }
    let Some(width) = width(&dtype) else {
        refuse!("{file}: tensor {name:?} has the unknown dtype {dtype:?}")
    };
    let needed = shape.iter().try_fold(width, |product: usize, size| product.checked_mul(*size));
    if needed != Some(end - begin) {
        refuse!("{file}: tensor {name:?}, {dtype} {shape:?}, does not fit its {} bytes", end - begin);
    }
    Ok(Stored { dtype, shape, bytes: offset + begin..offset + end })
}

/// The bytes of a value of a number format.
pub fn width(dtype: &str) -> Option<usize> {
    match dtype {
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" => Some(1),
        "U16" | "I16" | "F16" | "BF16" => Some(2),
        "U32" | "I32" | "F32" => Some(4),
        "U64" | "I64" | "F64" | "C64" => Some(8),
        _ => None,
    }
}

fn check_cover(file: &str, tensors: &BTreeMap<String, Stored>, first: usize, last: usize) -> Result<()> {
    let mut places: Vec<_> = tensors.iter().map(|(name, stored)| (&stored.bytes, name)).collect();
    places.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
    let mut covered = first;
    for (bytes, name) in places {
        if bytes.start != covered {
            let what = if bytes.start < covered { "overlaps" } else { "leaves a hole after" };
            refuse!("{file}: tensor {name:?} {what} the one before it, at byte {}", bytes.start);
        }
        covered = bytes.end;
    }
    if covered != last {
        refuse!("{file}: {} bytes after the last tensor belong to none", last - covered);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The entries in their order, doubled names included, which a map would hide.
struct Header(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object with a tensor's description under each name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Header, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
