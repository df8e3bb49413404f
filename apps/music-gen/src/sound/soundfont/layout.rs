//! The sizes and indices of a SoundFont 2 file, proved before it is loaded.
//!
//! The walk is rustysynth's own: three lists in order, their chunks one after another without padding. rustysynth
//! 1.3 allocates what a size field says before it reads, and indexes with the numbers of the bags and headers
//! unseen, so a size must fit in what surrounds it, and an index must rise and stay within its table.

use super::{SoundError, refused};

/// Largest file; sample positions are 32-bit with offsets of up to 2^30.
const MOST_BYTES: usize = 1 << 31;
/// Largest position in the samples.
const MOST_SAMPLES: u32 = 1 << 30;

/// A table of the parameter list: its name, the bytes of a record, and where in a record the index into the
/// next table stands.
struct Index {
    name: &'static [u8; 4],
    record: usize,
    at: usize,
    into: &'static [u8; 4],
    into_record: usize,
}

const INDICES: [Index; 4] = [
    Index { name: b"phdr", record: 38, at: 24, into: b"pbag", into_record: 4 },
    Index { name: b"pbag", record: 4, at: 0, into: b"pgen", into_record: 4 },
    Index { name: b"inst", record: 22, at: 20, into: b"ibag", into_record: 4 },
    Index { name: b"ibag", record: 4, at: 0, into: b"igen", into_record: 4 },
];

/// The four bytes and the little-endian number at `at`.
fn header(bytes: &[u8], at: usize) -> Option<([u8; 4], usize)> {
    let id: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    let size: [u8; 4] = bytes.get(at + 4..at + 8)?.try_into().ok()?;
    Some((id, u32::from_le_bytes(size) as usize))
}

fn name(id: &[u8]) -> String {
    id.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '?' }).collect()
}

/// Says what is wrong with the layout of a SoundFont 2 file.
pub(super) fn check(bytes: &[u8]) -> Result<(), SoundError> {
    if bytes.len() > MOST_BYTES {
        return Err(refused(format!(
            "it has {} bytes, more than the {MOST_BYTES} that can be read",
            bytes.len()
        )));
    }
    let is = |at: usize, id: &[u8]| bytes.get(at..at + 4) == Some(id);
    if !is(0, b"RIFF") || !is(8, b"sfbk") {
        let what = if bytes.is_empty() { "it is empty" } else { "it does not begin as one (RIFF, sfbk)" };
        return Err(refused(format!("{what}; give a SoundFont 2 file (.sf2)")));
    }
    let mut at = 12;
    let mut tables: Vec<([u8; 4], &[u8])> = Vec::new();
    for kind in [b"INFO", b"sdta", b"pdta"] {
        let (id, size) =
            header(bytes, at).ok_or_else(|| refused(format!("it ends before its {} list", name(kind))))?;
        let end = at + 8 + size;
        if &id != b"LIST" || !is(at + 8, kind) || size < 4 {
            return Err(refused(format!("its {} list is not where it belongs", name(kind))));
        }
        if end > bytes.len() {
            return Err(refused(format!(
                "its {} list is cut off: {size} bytes from byte {at} on",
                name(kind)
            )));
        }
        at += 12;
        while at < end {
            let (id, size) =
                header(&bytes[..end], at).filter(|(_, size)| at + 8 + size <= end).ok_or_else(|| {
                    refused(format!("the chunk at byte {at} does not fit in its {} list", name(kind)))
                })?;
            // versions are read as four bytes whatever their size says
            if (&id == b"ifil" || &id == b"iver") && size != 4 {
                return Err(refused(format!("its {} chunk has {size} bytes, expected 4", name(&id))));
            }
            if kind == b"pdta" {
                tables.push((id, &bytes[at + 8..at + 8 + size]));
            }
            at += 8 + size;
        }
    }
    // where a table is given twice, rustysynth takes the last
    let table = |wanted: &[u8; 4]| tables.iter().rev().find(|(id, _)| id == wanted).map_or(&[][..], |t| t.1);
    for index in &INDICES {
        // the last record of every table is its end mark
        let most = (table(index.into).len() / index.into_record).saturating_sub(1);
        let mut before = 0;
        for (i, record) in table(index.name).chunks_exact(index.record).enumerate() {
            let to = usize::from(u16::from_le_bytes([record[index.at], record[index.at + 1]]));
            if to < before || to > most {
                let (from, into) = (name(index.name), name(index.into));
                return Err(refused(format!(
                    "record {i} of its {from} table points at {to} of {most} in {into}"
                )));
            }
            before = to;
        }
    }
    for (i, record) in table(b"shdr").chunks_exact(46).enumerate() {
        let positions = record[20..36].chunks_exact(4).map(|p| u32::from_le_bytes([p[0], p[1], p[2], p[3]]));
        if let Some(position) = positions.into_iter().find(|&position| position > MOST_SAMPLES) {
            return Err(refused(format!("sample {i} lies at {position}, beyond what can be read")));
        }
    }
    Ok(())
}
