//! Recordings and what is said in them, in the form of LJ Speech: `metadata.csv` of lines `id|text` or
//! `id|text|text without abbreviations`, and `wavs/ID.wav` beside it. `wavs/ID.lab` may say when each phone ends.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use studio::learning::keep_aside;

use super::labels::{self, Label, Sound};
use super::{Spelling, Symbols};
use crate::english::lexicon::Lexicon;
use crate::english::phones::Phone;
use crate::english::{Item, speak};
use models::nets::voice::Analysis;

/// A recording, as the nets are taught it.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Its name.
    pub id: String,
    /// What is said.
    pub text: String,
    /// The same in symbols.
    pub spelling: Spelling,
    /// Frames of each symbol, where labels say so.
    pub durations: Option<Vec<usize>>,
    /// The samples, a whole number of frames.
    pub samples: Vec<f32>,
    /// (frames, values), not yet normalised.
    pub frames: Vec<f32>,
    /// Fundamental frequency of each frame.
    pub pitch: Vec<f32>,
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

/// What reads a recording.
pub struct Reader<'a> {
    /// How samples become frames.
    pub analysis: &'a Analysis,
    /// Samples a second.
    pub rate: u32,
    /// Samples of a frame.
    pub hop: usize,
    /// What spells English.
    pub lexicon: &'a Lexicon,
    /// The voice's symbols.
    pub symbols: &'a Symbols,
}

/// Extensions of recordings, the best first.
const SOUNDS: [&str; 4] = ["wav", "flac", "ogg", "mp3"];
/// Seconds of a recording at least, and at most: longer ones would fill the memory of a step.
const SHORTEST: f64 = 0.3;
const LONGEST: f64 = 30.;

/// Reads folders, or their `metadata.csv`. A share of the recordings is kept aside, evenly spread.
///
/// # Errors
/// A list that cannot be read, and nothing to learn from.
pub fn read(paths: &[PathBuf], reader: &Reader, held_out: f64) -> Result<Corpus> {
    let mut lines = Vec::new();
    for path in paths {
        lines.extend(listed(path)?);
    }
    let made: Vec<Result<Clip, String>> = lines
        .par_iter()
        .map(|line| reader.clip(line).map_err(|why| format!("{}: {why:#}", line.id)))
        .collect();
    let (mut clips, mut skipped) = (Vec::new(), Vec::new());
    for clip in made {
        match clip {
            Ok(clip) => clips.push(clip),
            Err(why) => skipped.push(why),
        }
    }
    let (train, held_out) = keep_aside(clips, held_out);
    let corpus = Corpus { train, held_out, skipped };
    match (corpus.train.is_empty(), corpus.skipped.first()) {
        (false, _) => Ok(corpus),
        (true, Some(why)) => bail!("there is nothing to learn from: {why}"),
        (true, None) => bail!("there is nothing to learn from: the list is empty"),
    }
}

/// A line of a list.
struct Line {
    id: String,
    text: String,
    folder: PathBuf,
}

fn listed(path: &Path) -> Result<Vec<Line>> {
    let list = if path.is_dir() { path.join("metadata.csv") } else { path.to_path_buf() };
    let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let folder = list.parent().unwrap_or(Path::new("")).to_path_buf();
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut columns = line.split('|').map(str::trim);
        let (id, plain) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        let text = columns.next().filter(|text| !text.is_empty()).unwrap_or(plain);
        let odd = id.is_empty() || text.is_empty() || Path::new(id).is_absolute() || id.contains("..");
        if odd {
            bail!("{}: line {} is not `id|text`", list.display(), number + 1);
        }
        lines.push(Line { id: id.to_string(), text: text.to_string(), folder: folder.clone() });
    }
    Ok(lines)
}

impl Reader<'_> {
    fn clip(&self, line: &Line) -> Result<Clip> {
        let at = |end: &str| {
            let name = format!("{}.{end}", line.id.trim_end_matches(".wav"));
            [line.folder.join("wavs").join(&name), line.folder.join(&name)]
                .into_iter()
                .find(|path| path.is_file())
        };
        let Some(path) = SOUNDS.into_iter().find_map(at) else { bail!("no wavs/{}.wav", line.id) };
        let mut samples = media::audio::read(&path, self.rate)?;
        let seconds = samples.len() as f64 / f64::from(self.rate);
        if !(SHORTEST..=LONGEST).contains(&seconds) {
            bail!("lasts {seconds:.1} s, not {SHORTEST} to {LONGEST}");
        }
        samples.truncate(samples.len() / self.hop * self.hop);
        let signal = self.analysis.signal(&samples)?;
        let items = speak(&line.text, self.lexicon)?;
        let spelling = self.symbols.spell(&line.text, &items);
        if !spelling.unknown.is_empty() {
            let letters: String = spelling.unknown.iter().collect();
            bail!("`{letters}` cannot be said in English");
        }
        let count = signal.pitch.len();
        if spelling.signs.len() < 2 || spelling.signs.len() > count {
            bail!("{} sounds do not fit into {seconds:.1} s", spelling.signs.len());
        }
        let durations = match at("lab") {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                let labels: Vec<Label> = labels::read(&text).map_err(|why| anyhow::anyhow!(why))?;
                let frame_s = self.hop as f64 / f64::from(self.rate);
                let found = labels::durations(&self.sounds(&spelling, &items), &labels, count, frame_s);
                Some(found.with_context(|| "its labels are of another text")?)
            }
        };
        Ok(Clip {
            id: line.id.clone(),
            text: line.text.clone(),
            spelling,
            durations,
            samples,
            frames: signal.frames,
            pitch: signal.pitch,
        })
    }

    /// The phone of each symbol, none for a pause.
    fn sounds(&self, spelling: &Spelling, items: &[Item]) -> Vec<Sound> {
        let mut phones = items.iter().flat_map(|item| match item {
            Item::Word(word) => word.phones.clone(),
            Item::Pause { .. } => Vec::<Phone>::new(),
        });
        let silent = |symbol: u32| self.symbols.is_silent(symbol);
        spelling.signs.iter().map(|sign| if silent(sign.symbol) { None } else { phones.next() }).collect()
    }
}
