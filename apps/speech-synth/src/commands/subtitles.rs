//! The times of the words as a file.

use std::path::Path;

use anyhow::Result;
use cli::usage;
use media::subtitles::{Cue, Layout, lay_out, srt, vtt};
use serde::Serialize;
use speech_synth::Word;

/// Longest line of a cue, and most lines.
const WIDTH: usize = 42;
const LINES: usize = 2;

/// What times can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Srt,
    Vtt,
    Json,
}

impl Kind {
    /// By the end of a file's name, which may be all of it.
    ///
    /// # Errors
    /// Another end.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        match name.rsplit('.').next() {
            Some("srt") => Ok(Self::Srt),
            Some("vtt") => Ok(Self::Vtt),
            Some("json") => Ok(Self::Json),
            _ => Err(usage(format!(
                "--subtitles {}: only .srt, .vtt and .json can be written",
                path.display()
            ))),
        }
    }

    /// The end of such files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
        }
    }
}

/// A sentence of a JSON file.
#[derive(Serialize)]
struct Sentence<'a> {
    start: f64,
    end: f64,
    text: String,
    words: Vec<Timed<'a>>,
}

#[derive(Serialize)]
struct Timed<'a> {
    text: &'a str,
    start: f64,
    end: f64,
}

/// The bytes of a file, of sentences that have words.
pub fn bytes(kind: Kind, sentences: &[Vec<Word>]) -> Result<Vec<u8>> {
    if kind == Kind::Json {
        let sentences: Vec<Sentence> = sentences.iter().map(|words| sentence(words)).collect();
        let mut bytes = serde_json::to_vec_pretty(&serde_json::json!({ "sentences": sentences }))?;
        bytes.push(b'\n');
        return Ok(bytes);
    }
    let layout = Layout { max_line_width: Some(WIDTH), max_line_count: Some(LINES), ..Layout::default() };
    // sentence by sentence: laid out together, the end of one and the beginning of the next would share a cue
    let laid = sentences.iter().flat_map(|words| lay_out(&[cue(words)], &layout));
    let cues: Vec<Cue> = laid.map(|cue| Cue { words: Vec::new(), ..cue }).collect();
    let plain = Layout::default();
    let text = if kind == Kind::Srt { srt(&cues, &plain) } else { vtt(&cues, &plain) };
    Ok(text.into_bytes())
}

fn sentence(words: &[Word]) -> Sentence<'_> {
    let words: Vec<Timed> = words.iter().map(timed).collect();
    Sentence {
        start: words.first().map_or(0., |word| word.start),
        end: words.last().map_or(0., |word| word.end),
        text: words.iter().map(|word| word.text).collect::<Vec<_>>().join(" "),
        words,
    }
}

fn timed(word: &Word) -> Timed<'_> {
    Timed { text: &word.text, start: milliseconds(word.start), end: milliseconds(word.end) }
}

fn cue(words: &[Word]) -> Cue {
    let word = |word: &Word| media::subtitles::Word {
        start: word.start,
        end: word.end,
        text: format!(" {}", word.text),
    };
    let words: Vec<media::subtitles::Word> = words.iter().map(word).collect();
    Cue {
        start: words.first().map_or(0., |word| word.start),
        end: words.last().map_or(0., |word| word.end),
        text: words.iter().map(|word| word.text.as_str()).collect::<String>().trim().to_string(),
        words,
    }
}

fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.).round() / 1000.
}
