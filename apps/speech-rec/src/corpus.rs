//! Files -> recordings with what is said in them, to learn from, and some that are kept aside.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use batch::{Wanted, expand};
use media::audio::{self, Audio};
use media::subtitles::{Cue, parse_srt, parse_vtt};
use studio::learning::keep_aside;

use crate::sound::RATE;

/// Files of a folder that are taken for sound.
pub const EXTENSIONS: &[&str] = &[
    "wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "m4b", "mp4", "m4v", "mov", "aac", "mka", "mkv",
    "webm", "aif", "aiff", "caf",
];
/// What may lie beside a file of sound and say what is said in it.
const BESIDE: [&str; 3] = ["txt", "srt", "vtt"];
/// The largest text that is read.
const LARGEST: u64 = 1 << 30;
/// The longest recording that is kept to make many of it, in seconds.
const LONGEST: f64 = 4. * 3600.;

/// A stretch of sound and its words.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// The file.
    pub path: PathBuf,
    /// Its first moment in the file, in seconds.
    pub start: f64,
    /// Its length, in seconds.
    pub seconds: f64,
    /// The words.
    pub text: String,
    /// From which list or folder it comes: a voice, a style.
    pub list: usize,
}

impl Clip {
    /// The samples at 16 kHz.
    ///
    /// # Errors
    /// A file that is no longer what it was.
    pub fn samples(&self) -> Result<Vec<f32>, String> {
        let (first, count) = (at(self.start), at(self.seconds));
        let mono = Audio::open(&self.path).and_then(|audio| audio.mono(RATE));
        let (mut samples, mut passed) = (Vec::with_capacity(count), 0);
        for block in mono.map_err(|error| error.to_string())? {
            let block = block.map_err(|error| error.to_string())?;
            let from = first.saturating_sub(passed).min(block.len());
            samples.extend(&block[from..]);
            passed += block.len();
            if samples.len() >= count {
                break;
            }
        }
        samples.truncate(count);
        Ok(samples)
    }
}

fn at(seconds: f64) -> usize {
    (seconds * f64::from(RATE)).round() as usize
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Corpus {
    /// To learn from.
    pub train: Vec<Clip>,
    /// To measure on.
    pub held_out: Vec<Clip>,
    /// What could not be used, with the reason.
    pub skipped: Vec<String>,
}

/// Reads lists (`.tsv`: a file and its words a line, or columns named `path` and `sentence` or `text`) and folders of
/// sound, where the words lie beside each file as `.txt`, or with times as `.srt` or `.vtt`. A clip is at most `window`
/// seconds long. A share of the clips is kept aside, evenly spread.
///
/// # Errors
/// If nothing is left to learn from.
pub fn read(paths: &[PathBuf], window: f64, held_out: f64) -> Result<Corpus, String> {
    let mut corpus = Corpus::default();
    let mut clips = Vec::new();
    for (list, path) in paths.iter().enumerate() {
        let found = match path.extension().is_some_and(|extension| extension == "tsv") {
            true => listed(path).map_err(|why| format!("{}: {why}", path.display())),
            false => beside(path, &mut corpus.skipped),
        };
        let found = found?;
        for found in found {
            clips.extend(found.clips(list, window, &mut corpus.skipped));
        }
    }
    (corpus.train, corpus.held_out) = keep_aside(clips, held_out);
    match (corpus.train.is_empty(), corpus.skipped.first()) {
        (false, _) => Ok(corpus),
        (true, Some(why)) => Err(format!("there is nothing to learn from: {why}")),
        (true, None) => Err("there is nothing to learn from".to_string()),
    }
}

/// A file, and what is said in it.
struct Recording {
    path: PathBuf,
    words: Words,
}

enum Words {
    All(String),
    Timed(Vec<Cue>),
}

/// The lines of a list.
pub(crate) fn lines(path: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let text = text(path)?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).enumerate().peekable();
    let named = |names: &[&str]| {
        let head = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        head.split('\t').position(|column| names.contains(&column.trim().to_lowercase().as_str()))
    };
    let columns = match (named(&["path", "file", "audio"]), named(&["sentence", "text", "transcript"])) {
        (Some(path), Some(text)) => {
            lines.next();
            (path, text)
        }
        _ => (0, 1),
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let line = |(number, line): (usize, &str)| {
        let column = |at: usize| line.split('\t').nth(at).map(str::trim).filter(|text| !text.is_empty());
        match (column(columns.0), column(columns.1)) {
            (Some(file), Some(text)) => Ok((folder.join(file), text.to_string())),
            _ => Err(format!("line {} is not a file, a tab and its words", number + 1)),
        }
    };
    lines.map(line).collect()
}

fn listed(path: &Path) -> Result<Vec<Recording>, String> {
    let lines = lines(path)?;
    Ok(lines.into_iter().map(|(path, text)| Recording { path, words: Words::All(text) }).collect())
}

fn beside(path: &Path, skipped: &mut Vec<String>) -> Result<Vec<Recording>, String> {
    let found = expand(
        &[path.to_path_buf()],
        &Wanted { recursive: true, extensions: EXTENSIONS, ..Wanted::default() },
    );
    if let Some((path, why)) = found.problems.first() {
        return Err(format!("{}: {why}", path.display()));
    }
    let mut recordings = Vec::new();
    for input in found.inputs {
        let there = BESIDE.iter().map(|end| input.path.with_extension(end)).find(|path| path.exists());
        let Some(words) = there else {
            skipped.push(format!("{}: no .txt, .srt or .vtt lies beside it", input.path.display()));
            continue;
        };
        let read = text(&words).and_then(|text| match words.extension().and_then(|end| end.to_str()) {
            Some("srt") => parse_srt(&text).map(Words::Timed).map_err(|error| error.to_string()),
            Some("vtt") => parse_vtt(&text).map(Words::Timed).map_err(|error| error.to_string()),
            _ => Ok(Words::All(text)),
        });
        match read {
            Ok(words) => recordings.push(Recording { path: input.path, words }),
            Err(why) => skipped.push(format!("{}: {why}", words.display())),
        }
    }
    Ok(recordings)
}

impl Recording {
    fn clips(self, list: usize, window: f64, skipped: &mut Vec<String>) -> Vec<Clip> {
        let length = match seconds(&self.path) {
            Ok(length) => length,
            Err(why) => {
                skipped.push(why);
                return Vec::new();
            }
        };
        let mut clips = Vec::new();
        let mut take = |start: f64, end: f64, text: &str| {
            let text = plain(text);
            let (end, name) = (end.min(length), self.path.display());
            if text.is_empty() {
                skipped.push(format!("{name}: no words at {start:.1} s"));
            } else if end - start > window {
                skipped.push(format!(
                    "{name}: {:.1} s are more than the {window} that the net hears at once; with times (.srt, .vtt) it is cut",
                    end - start
                ));
            } else if end - start < 0.05 {
                skipped.push(format!("{name}: no sound at {start:.1} s"));
            } else {
                clips.push(Clip { path: self.path.clone(), start, seconds: end - start, text, list });
            }
        };
        match &self.words {
            Words::All(text) => take(0., length, text),
            Words::Timed(cues) => cues.iter().for_each(|cue| take(cue.start, cue.end, &cue.text)),
        }
        clips
    }
}

/// The length of a file; decoded where its header does not tell.
fn seconds(path: &Path) -> Result<f64, String> {
    let audio = Audio::open(path).map_err(|error| error.to_string())?;
    let length = match audio.seconds() {
        Some(seconds) => seconds,
        None => audio::read(path, RATE).map_err(|error| error.to_string())?.len() as f64 / f64::from(RATE),
    };
    match length <= LONGEST {
        true => Ok(length),
        false => Err(format!("{}: {:.1} hours are too many to learn from", path.display(), length / 3600.)),
    }
}

/// One line with single spaces, without a subtitle's tags.
fn plain(text: &str) -> String {
    let mut text = text.to_string();
    for tag in ["<b>", "</b>", "<i>", "</i>", "<u>", "</u>"] {
        text = text.replace(tag, "");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A file of text, without the mark that may begin it.
///
/// # Errors
/// What is too large, and no UTF-8.
pub fn text(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LARGEST {
        return Err(format!("{length} bytes are too many for one file"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8 text", error.utf8_error().valid_up_to()))?;
    Ok(text.trim_start_matches('\u{feff}').to_string())
}

/// The clips of each list, by their places.
pub(crate) fn by_list(clips: &[Clip]) -> HashMap<usize, Vec<usize>> {
    let mut lists: HashMap<usize, Vec<usize>> = HashMap::new();
    for (place, clip) in clips.iter().enumerate() {
        lists.entry(clip.list).or_default().push(place);
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_and_without_names_of_columns() -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = folder.path().join("list.tsv");
        let check = |text: &str| {
            std::fs::write(&path, text).map_err(|error| error.to_string())?;
            let lines = lines(&path)?;
            let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
            Ok(lines.iter().map(|(path, text)| (name(path), text.clone())).collect::<Vec<_>>())
        };
        let expected: Result<_, String> = Ok(vec![(Some("a.wav".into()), "One, two.".into())]);
        assert_eq!(check("a.wav\tOne, two.\n"), expected);
        assert_eq!(check("\u{feff}client\tpath\tsentence\n7\ta.wav\tOne, two.\tmore\r\n"), expected);
        assert_eq!(
            check("a.wav\tx\n\nno tab\n"),
            Err("line 2 is not a file, a tab and its words".to_string())
        );
        Ok(())
    }
}
