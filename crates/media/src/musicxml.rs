//! MusicXML to a [`Score`](crate::score::Score): plain (`.musicxml`, `.xml`) and packed (`.mxl`), told apart
//! by content.
//!
//! A part is a staff: an instrument with two staves gives "Name RH" and "Name LH", one with more "Name 1",
//! "Name 2" and so on. Pitches are those that sound (`<transpose>` is applied, to key signatures too), tied
//! notes are one note, grace and cue notes are left out, unpitched notes are read where the file says which
//! drum they are. Measures begin together in all parts; a measure is as long as its longest part. Metre,
//! key and tempo are the score's: where parts differ, the first part's hold. [`read`] plays repeats and
//! first and second endings; jumps (da capo, dal segno, coda) are not followed. Key signatures without a
//! mode count as major.

mod assemble;
mod document;
mod frame;
mod measure;
mod order;
mod package;
mod signs;
mod tree;

use crate::score::Score;

/// Larger files are refused, in bytes; also as what a `.mxl` unpacks to, twice as large.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No bytes at all.
    #[error("the file is empty; expected MusicXML")]
    Empty,
    /// More than [`MAX_FILE_BYTES`].
    #[error("the file has {size} bytes; MusicXML files are read up to {MAX_FILE_BYTES}")]
    TooLarge {
        /// Bytes in the file.
        size: usize,
    },
    /// A damaged or hostile `.mxl`.
    #[error("cannot unpack the .mxl (zip) file: {0}")]
    Package(String),
    /// Bytes that are not the text they claim to be.
    #[error("cannot decode the XML: {0}")]
    Encoding(String),
    /// XML that is not well-formed, or hostile.
    #[error("the XML is damaged at byte {at}: {what}")]
    Xml {
        /// Where reading stopped, in the decoded text.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// XML of another kind.
    #[error("not a score: the XML's root is <{0}>, expected <score-partwise>")]
    NotScore(String),
    /// The rare form with measures outside and parts inside.
    #[error("score-timewise MusicXML is not read; export the file as score-partwise, the usual form")]
    Timewise,
    /// Music that makes no sense.
    #[error("part {part:?}, measure {measure:?}: {what}")]
    Measure {
        /// The part's id.
        part: String,
        /// The measure's number as printed.
        measure: String,
        /// What is wrong.
        what: String,
    },
    /// No music at all.
    #[error("the score has no measures; nothing to read")]
    NoMeasures,
    /// A score beyond all bounds.
    #[error("the score is too large: {0}")]
    Limit(String),
}

/// Reads a score as it is performed: repeats and their endings are played out. Where the repeat signs
/// contradict each other, the measures are read as they are written.
///
/// # Errors
/// Files that are empty, too large, damaged, or not partwise MusicXML.
pub fn read(bytes: &[u8]) -> Result<Score, Error> {
    let written = document::parse(&package::text(bytes)?)?;
    let marks = assemble::marks(&written);
    assemble::score(&written, &order::performed(&marks))
}

/// Reads a score as it is written, each measure once.
///
/// # Errors
/// As [`read`].
pub fn read_written(bytes: &[u8]) -> Result<Score, Error> {
    let written = document::parse(&package::text(bytes)?)?;
    let measures = assemble::marks(&written).len();
    assemble::score(&written, &(0..measures).collect::<Vec<_>>())
}

/// Foreign text for an error: on one line and short.
fn one_line(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
