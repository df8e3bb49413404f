//! Documents that are to be translated: the texts in them, taken out in order and put back in another language, all
//! else byte for byte as it was.
//!
//! A document is a template with [`Segment`]s taken out: [`Document::parse`] finds them, [`Document::render`] writes the
//! file with a [`Target`] for each. A segment whose text comes back unchanged keeps its very bytes. Markup inside a
//! segment (tags, emphasis, links) is no part of its text: it is laid around the words of the target that are aligned
//! to those which it enclosed. What must not be translated (placeholders, addresses, code) is text, and marked as
//! [`Segment::keeps`]; [`inline`] finds it, checks it, and translates around it.
//!
//! `run` makes segments of tokens, `lay` puts marks into targets, `render` edits the source; the other files are the
//! formats.

mod captions;
mod html;
pub mod inline;
mod json;
mod lay;
mod markdown;
mod render;
mod run;
mod table;
mod text;
mod units;

use std::ops::Range;
use std::path::Path;

use render::Slot;
use run::Mark;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Plain text: a segment a line, or a paragraph.
    Text,
    /// CommonMark with tables, footnotes, front matter and the rest of GitHub's.
    Markdown,
    /// HTML, however untidy.
    Html,
    /// SubRip.
    Srt,
    /// WebVTT.
    Vtt,
    /// One JSON value.
    Json,
    /// JSON values one after the other.
    JsonLines,
    /// Comma-separated values (or semicolons, where the first line has those alone).
    Csv,
    /// Tab-separated values.
    Tsv,
}

impl Kind {
    /// By the extension of a file's name, in any case.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let kind = match extension.as_str() {
            "txt" => Self::Text,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" => Self::Html,
            "srt" => Self::Srt,
            "vtt" => Self::Vtt,
            "json" => Self::Json,
            "jsonl" => Self::JsonLines,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            _ => return None,
        };
        Some(kind)
    }
}

/// How a document is read and written.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Bytes that are not UTF-8 become U+FFFD instead of an error.
    pub lossy: bool,
    /// Text: a paragraph is a segment, its lines joined, and filled again to the longest of them.
    pub paragraphs: bool,
    /// HTML: the attributes `alt`, `title`, `placeholder` and `aria-label` too; Markdown: the texts of pictures.
    pub attributes: bool,
    /// JSON: which strings, by the name of their key (`title`) or its path (`menu.items.title`; lists are no part of it,
    /// `*` is any key). All where there is none.
    pub keys: Vec<String>,
    /// CSV, TSV: which columns, by name or number from 1. All where there is none.
    pub columns: Vec<String>,
    /// CSV, TSV: the first row names the columns and stays.
    pub header: bool,
    /// Subtitles: the most characters of a line. Where it is `None`, as many as the longest line has, and at least 42,
    /// or 32 where some cue has several lines.
    pub line_length: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lossy: false,
            paragraphs: false,
            attributes: false,
            keys: Vec::new(),
            columns: Vec::new(),
            header: true,
            line_length: None,
        }
    }
}

/// What cannot be read, where, and what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Bytes of another encoding, or damaged ones.
    #[error(
        "line {line}: byte {byte:#04x} at place {place} is not UTF-8; convert the file, or replace such bytes with --lossy"
    )]
    NotUtf8 {
        /// Its line, from 1.
        line: usize,
        /// Its place in the file, from 0.
        place: usize,
        /// The first that does not fit.
        byte: u8,
    },
    /// UTF-16 by its mark.
    #[error("the file is UTF-16; convert it to UTF-8")]
    Utf16,
    /// What does not have the form of its kind.
    #[error("line {line}: {reason}")]
    Form {
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A column that is not there.
    #[error("no column {name:?}; there are {columns}")]
    Column {
        /// As it was asked for.
        name: String,
        /// Those of the first row.
        columns: String,
    },
    /// Another number of targets than of segments.
    #[error("{given} translations for {wanted} segments")]
    Targets {
        /// How many came.
        given: usize,
        /// How many there are.
        wanted: usize,
    },
}

/// Bytes of a source text and the bytes of its translation that stand for them. Pairs may come in any order, overlap,
/// and leave words out.
pub type Alignment = Vec<(Range<usize>, Range<usize>)>;

/// A text to translate: a line, paragraph, heading, list item, cell, string or sentence of subtitles, without markup.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The text; it has a letter (or is a line of plain text), no line break, and no spaces at its ends.
    pub text: String,
    /// The line where it begins, from 1.
    pub line: usize,
    marks: Vec<Mark>,
    /// Some tag has no partner, so that marks must stay in their order.
    loose: bool,
}

impl Segment {
    /// Whether it matters which words of a translation stand for which of the text: something encloses some of them.
    pub fn is_marked(&self) -> bool {
        !self.loose && !self.marks.is_empty()
    }

    /// What a translation must hold as it is: code and the like, and [`inline::placeholders`]; in order, apart.
    pub fn keeps(&self) -> Vec<Range<usize>> {
        let marked = self.marks.iter().filter(|mark| mark.keep).map(|mark| mark.range.clone());
        inline::united(marked.collect(), inline::placeholders(&self.text))
    }
}

/// The translation of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// The text; line breaks in it count as spaces.
    pub text: String,
    /// Which of its bytes stand for which of the segment's. Without any, marks are laid in proportion to the words.
    pub alignment: Alignment,
}

impl From<String> for Target {
    fn from(text: String) -> Self {
        Self { text, alignment: Vec::new() }
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A document whose texts are taken out.
#[derive(Clone, Debug)]
pub struct Document {
    /// Without its byte order mark.
    source: String,
    bom: bool,
    segments: Vec<Segment>,
    slots: Vec<Slot>,
}

/// What a format finds in a text; segments do not have their lines yet.
#[derive(Debug, Default)]
struct Found {
    segments: Vec<Segment>,
    slots: Vec<Slot>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// Another encoding than UTF-8, JSON that is none, times of subtitles that are none, an open quote in CSV, a column
    /// that is not there.
    pub fn parse(kind: Kind, bytes: &[u8], options: &Options) -> Result<Self, Error> {
        let (source, bom) = decoded(bytes, options.lossy)?;
        let mut found = match kind {
            Kind::Text => text::find(&source, options),
            Kind::Markdown => markdown::find(&source, options),
            Kind::Html => html::find(&source, options),
            Kind::Srt => captions::find(&source, false, options)?,
            Kind::Vtt => captions::find(&source, true, options)?,
            Kind::Json => json::find(&source, false, options)?,
            Kind::JsonLines => json::find(&source, true, options)?,
            Kind::Csv => table::find(&source, false, options)?,
            Kind::Tsv => table::find(&source, true, options)?,
        };
        let lines = Lines::new(&source);
        for slot in &found.slots {
            for (segment, at) in slot.places() {
                found.segments[segment].line = lines.of(at);
            }
        }
        Ok(Self { source, bom, segments: found.segments, slots: found.slots })
    }

    /// What is to be translated, in the order of the document.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The document with a target for each segment.
    ///
    /// # Errors
    /// Another number of targets than of segments.
    pub fn render(&self, targets: &[Target]) -> Result<Vec<u8>, Error> {
        let (given, wanted) = (targets.len(), self.segments.len());
        if given != wanted {
            return Err(Error::Targets { given, wanted });
        }
        let mark = if self.bom { "\u{feff}" } else { "" };
        Ok((mark.to_owned() + &render::document(self, targets)).into_bytes())
    }
}

/// Bytes as text, and whether a byte order mark stood before it.
fn decoded(bytes: &[u8], lossy: bool) -> Result<(String, bool), Error> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Error::Utf16);
    }
    let bom = bytes.starts_with(&[0xef, 0xbb, 0xbf]);
    let text = &bytes[if bom { 3 } else { 0 }..];
    match std::str::from_utf8(text) {
        Ok(text) => Ok((text.to_owned(), bom)),
        Err(_) if lossy => Ok((String::from_utf8_lossy(text).into_owned(), bom)),
        Err(error) => {
            let at = error.valid_up_to();
            let line = 1 + text[..at].iter().filter(|byte| **byte == b'\n').count();
            Err(Error::NotUtf8 { line, place: at + bytes.len() - text.len(), byte: text[at] })
        }
    }
}

/// Where lines end, to tell lines of places.
struct Lines(Vec<usize>);

impl Lines {
    fn new(source: &str) -> Self {
        Self(source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line of a byte, from 1.
    fn of(&self, at: usize) -> usize {
        1 + self.0.partition_point(|end| *end < at)
    }
}

/// Whether there is something to translate.
fn has_letter(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}
