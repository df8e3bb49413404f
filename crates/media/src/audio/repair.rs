//! WAV files whose sizes were never filled in or do not fit into 32 bits, made readable on the way.

use std::io::{Read, Result, Seek, SeekFrom};

use symphonia::core::io::MediaSource;

/// What a size says where the file's end decides.
const OPEN_END: [u8; 4] = [0xff; 4];
/// Sizes from here on stand in what was written into a pipe, whose writer could not know them (sox, ffmpeg).
const PIPED: u32 = 0x7fff_0000;

/// What the header of a WAV file says of how much it holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// What can be believed.
    Told,
    /// Nothing.
    Unknown,
    /// More than there is; only where the reader is told otherwise.
    Short,
}

/// A source that ends early and has other bytes at some places.
struct Patched {
    source: Box<dyn MediaSource>,
    at: u64,
    end: u64,
    /// Place and bytes, each four.
    patches: Vec<Patch>,
}

/// Gives a WAV file that was cut off before its sizes were written (they are 0), and one of more than 4 GB (RF64,
/// BW64: EBU Tech 3306, ITU-R BS.2088), the form that is read until it ends; everything else stays as it is.
///
/// # Errors
/// What the source reports.
pub(super) fn wav(mut source: Box<dyn MediaSource>) -> Result<(Box<dyn MediaSource>, Length)> {
    let length = source.seek(SeekFrom::End(0))?;
    let found = patches(&mut source, length)?;
    source.seek(SeekFrom::Start(0))?;
    Ok(match found {
        Some((patches, end, told)) => (Box::new(Patched { source, at: 0, end, patches }), told),
        None => (source, Length::Told),
    })
}

/// Four bytes in the place of those that stand there.
type Patch = (u64, [u8; 4]);

/// The places to change, where the samples end and what was said of that, if anything is to be changed.
fn patches(source: &mut Box<dyn MediaSource>, length: u64) -> Result<Option<(Vec<Patch>, u64, Length)>> {
    let (mut at, mut long) = (12, None);
    while at + 8 <= length {
        let (kind, size) = chunk(source, at)?;
        if &kind == b"ds64" && size >= 16 {
            let mut sizes = [0; 16];
            source.read_exact(&mut sizes)?;
            long = sizes.last_chunk().map(|size| u64::from_le_bytes(*size));
        }
        if &kind == b"data" {
            let start = at + 8;
            let (end, told) = match (long, size) {
                (Some(size), _) if size > length - start => (length, Length::Short),
                (Some(size), _) if size > 0 => (start + size, Length::Unknown),
                (Some(_), _) => (length, Length::Unknown),
                (None, PIPED..) if u64::from(size) > length - start => (length, Length::Unknown),
                (None, 0) if length > start && !ends_in_chunks(source, start, length)? => {
                    (length, Length::Unknown)
                }
                _ => return Ok(None),
            };
            return Ok(Some((vec![(0, *b"RIFF"), (4, OPEN_END), (at + 4, OPEN_END)], end, told)));
        }
        at = after(at, size);
    }
    Ok(None)
}

/// Whether there are only whole chunks from here on, so that a size of 0 before them is the truth.
fn ends_in_chunks(source: &mut Box<dyn MediaSource>, mut at: u64, length: u64) -> Result<bool> {
    for _ in 0..100 {
        if at + 8 > length {
            break;
        }
        at = after(at, chunk(source, at)?.1);
    }
    Ok(at == length || at == length + 1)
}

fn chunk(source: &mut Box<dyn MediaSource>, at: u64) -> Result<([u8; 4], u32)> {
    let (mut kind, mut size) = ([0; 4], [0; 4]);
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(&mut kind)?;
    source.read_exact(&mut size)?;
    Ok((kind, u32::from_le_bytes(size)))
}

/// The next chunk begins at an even place.
fn after(at: u64, size: u32) -> u64 {
    at + 8 + u64::from(size) + u64::from(size % 2)
}

impl Read for Patched {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let count = self.source.read(&mut buffer[..most])?;
        for (place, bytes) in &self.patches {
            for (place, byte) in (*place..).zip(bytes) {
                if (self.at..self.at + count as u64).contains(&place) {
                    buffer[(place - self.at) as usize] = *byte;
                }
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Patched {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let to = match to {
            SeekFrom::End(offset) => SeekFrom::Start(self.end.saturating_add_signed(offset)),
            other => other,
        };
        self.at = self.source.seek(to)?;
        Ok(self.at)
    }
}

impl MediaSource for Patched {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.end)
    }
}
