//! Little-endian numbers and strings, taken from bytes that may end anywhere.

use super::{Wrong, wrong};

/// The bytes of a file, and how far they are read.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, Wrong>;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes are read.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        match self.bytes[self.at..].get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => wrong!("it ends at byte {}, within its description: truncated", self.bytes.len()),
        }
    }

    /// A count of things of at least `size` bytes each, if as many can follow.
    pub fn fits(&self, count: u64, size: usize, what: &str) -> Read<usize> {
        let left = self.bytes.len() - self.at;
        match usize::try_from(count).ok().filter(|&count| count <= left / size.max(1)) {
            Some(count) => Ok(count),
            None => {
                wrong!("{count} {what} are announced where {left} bytes follow: truncated, or no such file")
            }
        }
    }

    pub fn string(&mut self) -> Read<String> {
        let length = self.u64()?;
        let length = self.fits(length, 1, "bytes of a string")?;
        // some vocabularies hold tokens that are no whole characters
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

macro_rules! numbers {
    ($($kind:ident)*) => {
        impl Reader<'_> {
            $(
                #[allow(missing_docs)]
                pub fn $kind(&mut self) -> Read<$kind> {
                    Ok($kind::from_le_bytes(self.array()?))
                }
            )*
        }
    };
}

numbers!(u8 i8 u16 i16 u32 i32 u64 i64 f32 f64);
