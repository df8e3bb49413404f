//! Where a track of an MP4 file begins: its edit list, which symphonia does not apply.

use std::io::{Read, Result, Seek, SeekFrom};

/// Most boxes that are looked at: a film has some hundreds of them.
const MOST_BOXES: usize = 20_000;

/// What the `moov` box says about beginnings.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Edits {
    /// Track and the media time at which its first edit begins, in the track's time units.
    starts: Vec<(u32, u64)>,
    /// Whether the samples stand in fragments, so that the `moov` box does not know how many there are.
    pub fragmented: bool,
    seen: usize,
    track: u32,
}

impl Edits {
    /// Reads the boxes of a file; what is damaged says nothing.
    ///
    /// # Errors
    /// What the source reports, an early end excepted.
    pub fn read(source: &mut (impl Read + Seek + ?Sized)) -> Result<Self> {
        let end = source.seek(SeekFrom::End(0))?;
        let mut edits = Self::default();
        match edits.boxes(source, 0, end) {
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(edits),
        }
    }

    /// Media time at which a track begins, in its time units, where it has an edit list.
    pub fn start(&self, track: u32) -> Option<u64> {
        self.starts.iter().find(|(id, _)| *id == track).map(|(_, start)| *start)
    }

    fn boxes(&mut self, source: &mut (impl Read + Seek + ?Sized), mut at: u64, end: u64) -> Result<()> {
        while at.saturating_add(8) <= end && self.seen < MOST_BOXES {
            self.seen += 1;
            source.seek(SeekFrom::Start(at))?;
            let size = u32::from_be_bytes(read(source)?);
            let kind: [u8; 4] = read(source)?;
            let (header, size) = match size {
                0 => (8, end - at),
                1 => (16, u64::from_be_bytes(read(source)?)),
                size => (8, size.into()),
            };
            let next = at.saturating_add(size);
            if size < header || next > end {
                return Ok(());
            }
            match &kind {
                b"moov" | b"trak" | b"edts" => self.boxes(source, at + header, next)?,
                b"mvex" => self.fragmented = true,
                b"tkhd" => self.track = track_id(source)?,
                b"elst" => self.edit_list(source)?,
                _ => {}
            }
            at = next;
        }
        Ok(())
    }

    /// The first edit that shows something; empty ones before it only say when.
    fn edit_list(&mut self, source: &mut (impl Read + ?Sized)) -> Result<()> {
        let long = read::<4>(source)?[0] == 1;
        let count = u32::from_be_bytes(read(source)?).min(100);
        for _ in 0..count {
            let start = if long {
                let _duration: [u8; 8] = read(source)?;
                i64::from_be_bytes(read(source)?)
            } else {
                let _duration: [u8; 4] = read(source)?;
                i32::from_be_bytes(read(source)?).into()
            };
            let _rate: [u8; 4] = read(source)?;
            if let Ok(start) = u64::try_from(start) {
                self.starts.push((self.track, start));
                return Ok(());
            }
        }
        Ok(())
    }
}

fn track_id(source: &mut (impl Read + ?Sized)) -> Result<u32> {
    let long = read::<4>(source)?[0] == 1;
    // created and modified, in seconds
    if long {
        read::<16>(source).map(drop)?
    } else {
        read::<8>(source).map(drop)?
    }
    Ok(u32::from_be_bytes(read(source)?))
}

fn read<const N: usize>(source: &mut (impl Read + ?Sized)) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}
