//! What is said when: cues as plain values, written and read as SRT and WebVTT, written as TSV, LRC and text.
//!
//! Text is plain but for the tags `<b>`, `<i>` and `<u>`, which both formats have; `\n` breaks lines. Times are seconds
//! and written to the millisecond, half to even, as openai/whisper does; negative ones and NaN count as 0.

mod layout;
pub(crate) mod read;
mod write;

pub use layout::{Layout, lay_out};
pub use read::{ParseError, parse_srt, parse_vtt};
pub use write::{lrc, srt, tsv, txt, vtt};

/// Text that is shown from one time to another, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cue {
    /// When it appears.
    pub start: f64,
    /// When it goes.
    pub end: f64,
    /// What it says.
    pub text: String,
    /// The same word by word, where that is known.
    pub words: Vec<Word>,
}

/// A word and when it is spoken, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// When it begins.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// The word with the space before it, if its language writes one.
    pub text: String,
}

/// Tags that SRT and WebVTT share.
const TAGS: [&str; 6] = ["<b>", "</b>", "<i>", "</i>", "<u>", "</u>"];

fn milliseconds(seconds: f64) -> u64 {
    // the cast saturates, and makes 0 of NaN
    (seconds * 1000.0).round_ties_even() as u64
}
