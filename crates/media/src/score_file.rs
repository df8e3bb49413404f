//! A file of any kind that holds a score to a [`Score`].

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::score::Score;
use crate::{midi, musicxml};

/// File name extensions of scores, in lower case.
pub const EXTENSIONS: [&str; 5] = ["mid", "midi", "mxl", "musicxml", "xml"];

const MAX_FILE_BYTES: usize = if midi::MAX_FILE_BYTES > musicxml::MAX_FILE_BYTES {
    midi::MAX_FILE_BYTES
} else {
    musicxml::MAX_FILE_BYTES
};

/// Why a score cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Neither MIDI nor MusicXML.
    #[error("{}: neither MIDI nor MusicXML; scores are read from .mid, .midi, .mxl, .musicxml and .xml", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A MIDI file that cannot be read.
    #[error("{}: {error}", path.display())]
    Midi {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: midi::Error,
    },
    /// A MusicXML file that cannot be read.
    #[error("{}: {error}", path.display())]
    MusicXml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: musicxml::Error,
    },
}

/// Reads a MIDI or MusicXML file. What it begins with decides, and its extension where that says nothing.
///
/// # Errors
/// Files that cannot be read, by name.
pub fn read_score(path: &Path) -> Result<Score, Error> {
    let open = |error| Error::Open { path: path.to_owned(), error };
    let file = File::open(path).map_err(open)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(open)?;
    from_bytes(&bytes, path)
}

/// Reads the bytes of a MIDI or MusicXML file; `path` is its name in messages.
///
/// # Errors
/// Bytes that cannot be read, by name.
pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Score, Error> {
    let path = path.to_owned();
    match kind(bytes, &path) {
        Some(Kind::Midi) => midi::read(bytes).map_err(|error| Error::Midi { path, error }),
        Some(Kind::MusicXml) => musicxml::read(bytes).map_err(|error| Error::MusicXml { path, error }),
        None => Err(Error::Kind { path }),
    }
}

enum Kind {
    Midi,
    MusicXml,
}

fn kind(bytes: &[u8], path: &Path) -> Option<Kind> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match bytes {
        [b'M', b'T', b'h', b'd', ..] => Some(Kind::Midi),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'R', b'M', b'I', b'D', ..] => Some(Kind::Midi),
        [b'P', b'K', 3 | 5, ..] | [b'<', ..] | [0xef, 0xbb, 0xbf, ..] => Some(Kind::MusicXml),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'<', ..] => Some(Kind::MusicXml),
        _ => match extension.to_ascii_lowercase().as_str() {
            "mid" | "midi" => Some(Kind::Midi),
            "mxl" | "musicxml" | "xml" => Some(Kind::MusicXml),
            _ => None,
        },
    }
}
