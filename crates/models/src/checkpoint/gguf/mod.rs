//! GGUF files (versions 2 and 3 of ggml's format): a model's metadata and its tensors in one file.
//!
//! Nothing in the file is trusted: every count is held against the bytes that are left before anything is allocated,
//! and every tensor lies inside the file, whole, apart from all others.

mod metadata;
mod read;

pub use metadata::{List, Metadata, Value};

use super::Files;
use super::files::Bytes;
use candle_core::{DType, Device, Result, Tensor};
use kernels::quantised::{self, Kind};
use read::Reader;
use std::collections::BTreeMap;
use std::ops::Range;

/// A file with its metadata read and its tensors' places known.
pub struct Gguf {
    file: String,
    bytes: Bytes,
    metadata: Metadata,
    tensors: BTreeMap<String, Stored>,
}

/// A tensor as the file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Number format.
    pub format: Format,
    /// Sizes, outermost first, which is the reverse of the file's order.
    pub shape: Vec<usize>,
    bytes: Range<usize>,
}

/// How a tensor's values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain floats.
    Float(DType),
    /// Blocks of integers with scales.
    Blocks(Kind),
}

const MAGIC: &[u8] = b"GGUF";
/// Places of tensors are multiples of this where the metadata does not say otherwise.
const ALIGNMENT: usize = 32;
/// The most dimensions that ggml's tensors have.
const DIMENSIONS: u32 = 4;

impl Gguf {
    /// Reads metadata and places; the tensors are read when they are asked for.
    ///
    /// # Errors
    /// One line on a file that is missing, cut, of another version, or not what it says.
    pub fn open(files: &Files, name: &str) -> Result<Self> {
        let (file, bytes) = (files.describe(name), files.bytes(name)?);
        let (metadata, tensors) = parse(&bytes).map_err(|why| why.with(&file))?;
        Ok(Self { file, bytes, metadata, tensors })
    }

    /// The file's name for a message.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What the file says of the model.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Name and description of every tensor, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Stored)> {
        self.tensors.iter().map(|(name, stored)| (name.as_str(), stored))
    }

    /// A tensor's description.
    pub fn stored(&self, name: &str) -> Option<&Stored> {
        self.tensors.get(name)
    }

    /// Reads a tensor's bytes as they lie in the file, and then gives back the memory that this took.
    pub fn read<T>(&self, stored: &Stored, read: impl FnOnce(&[u8]) -> T) -> T {
        let result = read(&self.bytes[stored.bytes.clone()]);
        self.bytes.release(stored.bytes.clone());
        result
    }

    /// A tensor's values; blocks are computed exactly as ggml does.
    ///
    /// # Errors
    /// A tensor that is missing.
    pub fn tensor(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let Some(stored) = self.stored(name) else { refuse!("{}: no tensor `{name}`", self.file) };
        self.read(stored, |bytes| match stored.format {
            Format::Float(float) => super::weights::tensor(bytes, float, dtype, &stored.shape, device),
            Format::Blocks(kind) => {
                let inputs = stored.shape.last().copied().unwrap_or(1);
                let outputs = stored.shape[..stored.shape.len() - 1].iter().product();
                let values = quantised::Weight::new(bytes, kind, outputs, inputs)?.dequantise()?;
                values.reshape(stored.shape.as_slice())?.to_device(device)?.to_dtype(dtype)
            }
        })
    }
}

/// What is wrong with a file, without its name.
struct Wrong(String);

impl Wrong {
    fn with(self, file: &str) -> candle_core::Error {
        candle_core::Error::Msg(format!("{file}: {}", self.0))
    }
}

macro_rules! wrong {
    ($($words:tt)*) => { return Err(Wrong(format!($($words)*))) };
}
use wrong;

type Parsed = (Metadata, BTreeMap<String, Stored>);

fn parse(bytes: &[u8]) -> std::result::Result<Parsed, Wrong> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len()).ok() != Some(MAGIC) {
        wrong!("it does not begin with GGUF: not such a file");
    }
    match reader.u32()? {
        2 | 3 => {}
        swapped if swapped.swap_bytes() <= 3 && swapped != 0 => wrong!("big-endian files are not supported"),
        version => wrong!("version {version} of GGUF is not supported, only 2 and 3 are"),
    }
    let (tensors, entries) = (reader.u64()?, reader.u64()?);
    let metadata = Metadata::read(&mut reader, entries)?;
    let alignment = match metadata.get("general.alignment") {
        None => ALIGNMENT,
        Some(value) => match value.whole() {
            Some(value) if (8..=1 << 20).contains(&value) && value % 8 == 0 => value as usize,
            _ => wrong!("general.alignment is {value}, which is no multiple of 8 up to 1048576"),
        },
    };
    let described = describe(&mut reader, tensors)?;
    let first = reader.at().next_multiple_of(alignment);
    let found = place(described, first, alignment, bytes.len())?;
    Ok((metadata, found))
}

/// Name, shape, format and offset of each tensor.
type Described = Vec<(String, Vec<usize>, Format, u64)>;

fn describe(reader: &mut Reader, count: u64) -> std::result::Result<Described, Wrong> {
    // a name's length, the number of dimensions, one of them, a format and an offset
    let count = reader.fits(count, 8 + 4 + 8 + 4 + 8, "tensors")?;
    let mut described = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.string()?;
        let dimensions = reader.u32()?;
        if !(1..=DIMENSIONS).contains(&dimensions) {
            wrong!("tensor {name:?} has {dimensions} dimensions");
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            match usize::try_from(reader.u64()?) {
                Ok(size @ 1..) => shape.insert(0, size),
                _ => wrong!("tensor {name:?} has a dimension of no possible size"),
            }
        }
        let format = format(reader.u32()?, &name)?;
        described.push((name, shape, format, reader.u64()?));
    }
    Ok(described)
}

fn format(number: u32, name: &str) -> std::result::Result<Format, Wrong> {
    Ok(match number {
        0 => Format::Float(DType::F32),
        1 => Format::Float(DType::F16),
        28 => Format::Float(DType::F64),
        30 => Format::Float(DType::BF16),
        2 => Format::Blocks(Kind::Q4_0),
        3 => Format::Blocks(Kind::Q4_1),
        6 => Format::Blocks(Kind::Q5_0),
        7 => Format::Blocks(Kind::Q5_1),
        8 => Format::Blocks(Kind::Q8_0),
        10 => Format::Blocks(Kind::Q2_K),
        11 => Format::Blocks(Kind::Q3_K),
        12 => Format::Blocks(Kind::Q4_K),
        13 => Format::Blocks(Kind::Q5_K),
        14 => Format::Blocks(Kind::Q6_K),
        _ => {
            let word = match number {
                16 => "IQ2_XXS",
                17 => "IQ2_XS",
                18 => "IQ3_XXS",
                19 => "IQ1_S",
                20 => "IQ4_NL",
                21 => "IQ3_S",
                22 => "IQ2_S",
                23 => "IQ4_XS",
                29 => "IQ1_M",
                34 => "TQ1_0",
                35 => "TQ2_0",
                39 => "MXFP4",
                _ => "unknown",
            };
            wrong!(
                "tensor {name:?} has the format {number} ({word}), which is not supported: F32, F16, BF16, Q4_0, Q4_1, \
                 Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K are"
            )
        }
    })
}

fn place(
    described: Described,
    first: usize,
    alignment: usize,
    end: usize,
) -> std::result::Result<BTreeMap<String, Stored>, Wrong> {
    let mut tensors = BTreeMap::new();
    for (name, shape, format, offset) in described {
        let (block, bytes) = match format {
            Format::Float(dtype) => (1, dtype.size_in_bytes()),
            Format::Blocks(kind) => (kind.block(), kind.bytes()),
        };
        let count = shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size));
        if shape.last().is_none_or(|row| row % block != 0) {
            wrong!("tensor {name:?}, {shape:?}, has rows that are not whole blocks of {block}");
        }
        if offset % alignment as u64 != 0 {
            wrong!("tensor {name:?} begins at {offset}, which is no multiple of {alignment}");
        }
        let size = count.and_then(|count| (count / block).checked_mul(bytes));
        let begin = usize::try_from(offset).ok().and_then(|offset| first.checked_add(offset));
        let place = begin.zip(size).and_then(|(begin, size)| Some(begin..begin.checked_add(size)?));
        let Some(place) = place.filter(|place| place.end <= end) else {
            wrong!("tensor {name:?}, {shape:?}, ends beyond the file's {end} bytes: the file is truncated");
        };
        if tensors.contains_key(&name) {
            wrong!("tensor {name:?} is described twice");
        }
        tensors.insert(name, Stored { format, shape, bytes: place });
    }
    let mut places: Vec<_> = tensors.iter().map(|(name, stored)| (&stored.bytes, name)).collect();
    places.sort_by_key(|(place, _)| place.start);
    if let Some(pair) = places.windows(2).find(|pair| pair[1].0.start < pair[0].0.end) {
        wrong!("tensor {:?} overlaps {:?}", pair[1].1, pair[0].1);
    }
    Ok(tensors)
}
