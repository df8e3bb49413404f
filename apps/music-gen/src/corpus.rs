//! Files of music as training examples: pieces as tokens, split into those to learn and those held out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use media::score::{Change, Score};
use rayon::prelude::*;

use crate::analysis::{estimate_key, estimate_metre};
use crate::chorales;
use crate::encode::{self, Encoded, encode};
use crate::grammar::Range;
use crate::style::{REPRESENTATION, Style, StylePart, Styles};
use crate::vocabulary::{PERCUSSION, STYLES, Token, key_of, tonic};

/// A folder or file to learn from, and the style that its pieces are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The style's name.
    pub style: String,
    /// A file, or a folder that is searched to its depth.
    pub path: PathBuf,
}

/// A piece to learn from or to be judged by.
#[derive(Debug, Clone)]
pub struct Example {
    /// File, and number in the file where it holds several.
    pub name: String,
    /// Index into [`Styles::styles`].
    pub style: usize,
    /// The piece as values.
    pub score: Score,
    /// The piece as tokens.
    pub piece: Encoded,
    /// [`Encoded::choices`] of the piece.
    pub choices: Vec<bool>,
    /// Tokens that the net is shown of it.
    pub length: usize,
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The styles as counted in the training pieces.
    pub styles: Styles,
    /// Pieces to learn.
    pub train: Vec<Example>,
    /// Pieces kept back to judge by.
    pub held_out: Vec<Example>,
    /// Files and pieces that could not be used, and why, a line each.
    pub skipped: Vec<String>,
}

/// Reads all sources. A file that holds its own split (`train`, `valid`) keeps it; of other files about
/// `held_out` (0 to 0.9) are kept back, chosen by their name alone so that a further run chooses alike.
/// `base` are the styles of a model that is to learn on: its styles keep their numbers, and where the
/// line-up is the same their ranges only widen.
///
/// # Errors
/// A source that does not exist or holds no usable piece, more styles than a model can have; in one line.
pub fn read(sources: &[Source], held_out: f64, base: Option<&Styles>) -> Result<Corpus, String> {
    let mut names: Vec<String> =
        base.map(|base| base.styles.iter().map(|style| style.name.clone()).collect()).unwrap_or_default();
    let mut corpus = Corpus {
        styles: Styles { representation: REPRESENTATION.into(), styles: Vec::new() },
        train: Vec::new(),
        held_out: Vec::new(),
        skipped: Vec::new(),
    };
    for source in sources {
        let style = names.iter().position(|name| *name == source.style).unwrap_or_else(|| {
            names.push(source.style.clone());
            names.len() - 1
        });
        if names.len() > STYLES {
            return Err(format!("{} styles are too many, a model holds {STYLES}", names.len()));
        }
        read_source(source, style, held_out, &mut corpus)?;
    }
    if corpus.train.is_empty() {
        return Err("every piece was held back, none is left to learn from: give more files".into());
    }
    corpus.styles.styles = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let known = base.and_then(|base| base.styles.get(index));
            let examples: Vec<&Example> = corpus.train.iter().filter(|e| e.style == index).collect();
            match (known, count_style(name, &examples)) {
                (Some(known), Some(counted)) => Ok(widen(known, &counted)),
                (Some(known), None) => Ok(known.clone()),
                (None, Some(counted)) => Ok(counted),
                (None, None) => Err(format!("style {name:?} has no piece to learn from")),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(corpus)
}

fn read_source(source: &Source, style: usize, share: f64, corpus: &mut Corpus) -> Result<(), String> {
    let files = files_below(&source.path)?;
    let read: Vec<Result<Vec<Found>, String>> = files.par_iter().map(|file| pieces_of(file)).collect();
    let mut found = Vec::new();
    for pieces in read {
        match pieces {
            Ok(pieces) => found.extend(pieces),
            Err(why) => corpus.skipped.push(why),
        }
    }
    let encoded: Vec<_> = found
        .into_par_iter()
        .map(|Found { name, held, score }| match encode(&score, style, 0) {
            Ok(piece) => {
                let choices = piece.choices();
                let length = piece.view(&choices).len();
                Ok((held, Example { name, style, score, piece, choices, length }))
            }
            Err(why) => Err(format!("{name}: {why}")),
        })
        .collect();
    let mut undecided = Vec::new();
    let mut usable = 0;
    for piece in encoded {
        match piece {
            Ok((held, example)) => {
                usable += 1;
                match held {
                    Some(true) => corpus.held_out.push(example),
                    Some(false) => corpus.train.push(example),
                    None => undecided.push(example),
                }
            }
            Err(why) => corpus.skipped.push(why),
        }
    }
    if usable == 0 {
        let why = corpus.skipped.last().map(|why| format!(", the last because {why}")).unwrap_or_default();
        return Err(format!(
            "{}: no usable piece of music in {} files{why}; .mid, .mxl, .musicxml and .xml are read",
            source.path.display(),
            files.len()
        ));
    }
    // The names' hashes order the pieces; the first share of that order is held back.
    undecided.sort_by_key(|example| hash(&example.name));
    let back = if undecided.len() < 2 {
        0
    } else {
        ((undecided.len() as f64 * share).ceil() as usize).min(undecided.len())
    };
    let train = undecided.split_off(back);
    corpus.held_out.extend(undecided);
    corpus.train.extend(train);
    Ok(())
}

/// The file's own name as a number, so that a moved folder is split alike.
fn hash(name: &str) -> u64 {
    training::hash(name.rsplit(['/', '\\']).next().unwrap_or(name).bytes())
}

fn files_below(path: &Path) -> Result<Vec<PathBuf>, String> {
    let fail = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    if !std::fs::metadata(path).map_err(|error| fail(path, error))?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| fail(&folder, error))? {
            let entry = entry.map_err(|error| fail(&folder, error))?;
            // The kind of the entry itself: a link to a folder is not followed, so there is no loop.
            let kind = entry.file_type().map_err(|error| fail(&entry.path(), error))?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if is_music(&entry.path()) {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_music(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(extension.as_str(), "mid" | "midi" | "mxl" | "musicxml" | "xml" | "json")
}

/// A piece in a file.
struct Found {
    name: String,
    /// Whether it is to be held out, where the file decides it.
    held: Option<bool>,
    score: Score,
}

/// The pieces of a file.
fn pieces_of(file: &Path) -> Result<Vec<Found>, String> {
    let name = file.display().to_string();
    if file.extension().is_some_and(|extension| extension == "json") {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        let splits = chorales::read(&text).map_err(|error| format!("{name}: {error}"))?;
        let pieces = splits.into_iter().flat_map(|(split, scores)| {
            let held = split != "train";
            let name = name.clone();
            let named = move |(index, score)| Found {
                name: format!("{name} {split} {}", index + 1),
                held: Some(held),
                score,
            };
            scores.into_iter().enumerate().map(named)
        });
        return Ok(pieces.collect());
    }
    let mut score = media::score_file::read_score(file).map_err(|error| error.to_string())?;
    complete(&mut score).map_err(|error| format!("{name}: {error}"))?;
    Ok(vec![Found { name, held: None, score }])
}

/// Fills in what a file leaves out: key and metre by analysis. A signature without a mode is read as major
/// by all readers, so the mode is estimated where the estimate has the same signature.
///
/// # Errors
/// A piece longer than music is.
pub fn complete(score: &mut Score) -> Result<(), encode::Error> {
    encode::check_length(score)?;
    if score.metres.is_empty() {
        let (metre, pickup) = estimate_metre(score);
        score.metres = vec![Change { start: 0, value: metre }];
        score.pickup = pickup;
    }
    if score.keys.is_empty() {
        score.keys = vec![Change { start: 0, value: estimate_key(score) }];
    } else if let Some(key) = score.keys.first().map(|key| key.value).filter(|key| !key.minor) {
        let estimate = estimate_key(score);
        if estimate.minor && estimate.fifths == key_of(tonic(key), false).fifths {
            score.keys[0].value.minor = true;
        }
    }
    Ok(())
}

/// What the pieces of a style have in common; `None` without a piece. The line-up is the most frequent
/// one, and the ranges are what it uses.
fn count_style(name: &str, examples: &[&Example]) -> Option<Style> {
    let line_up = most_frequent(examples.iter().map(|example| example.piece.programs()))?;
    let alike: Vec<&&Example> =
        examples.iter().filter(|example| example.piece.programs() == line_up).collect();
    let voices = alike.iter().filter(|e| e.piece.header.contains(&Token::Voices)).count() * 2 > alike.len();
    let sounding = |example: &Example, index: usize| {
        example
            .score
            .parts
            .iter()
            .filter(|part| !part.notes.is_empty())
            .nth(index)
            .map(|part| part.name.clone())
    };
    let parts = line_up.iter().enumerate().map(|(index, &program)| {
        let extremes: Vec<Range> =
            alike.iter().filter_map(|e| e.piece.extremes().get(index).copied().flatten()).collect();
        let range = Range {
            low: extremes.iter().map(|range| range.low).min().unwrap_or(0),
            high: extremes.iter().map(|range| range.high).max().unwrap_or(127),
        };
        let name = most_frequent(alike.iter().filter_map(|example| sounding(example, index)))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("Part {}", index + 1));
        StylePart { name, program, range: if program == PERCUSSION { Range::ALL } else { range } }
    });
    let metres = alike.iter().filter_map(|example| example.piece.metre());
    let metres = metres.map(|metre| (metre.numerator, metre.denominator));
    let tempo = alike.iter().map(|e| e.score.tempos.first().map_or(100, |tempo| tempo.value.round() as u32));
    Some(Style {
        name: name.to_string(),
        voices,
        parts: parts.collect(),
        metre: most_frequent(metres).unwrap_or((4, 4)),
        tempo: median(tempo.collect()),
        bars: median(alike.iter().map(|example| example.piece.bars.len() as u32).collect()),
        pieces: examples.len(),
    })
}

fn widen(known: &Style, counted: &Style) -> Style {
    let mut style = counted.clone();
    style.pieces += known.pieces;
    if known.parts.len() == style.parts.len() {
        for (part, known) in style.parts.iter_mut().zip(&known.parts) {
            part.range.low = part.range.low.min(known.range.low);
            part.range.high = part.range.high.max(known.range.high);
        }
    }
    style
}

fn median(mut values: Vec<u32>) -> u32 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// The value that occurs most often; among equals the smallest.
fn most_frequent<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(value, _)| value)
}

impl std::str::FromStr for Source {
    type Err = String;

    /// `STYLE=PATH`, or a path alone for the style `own`. What stands before `=` is a style only if it is
    /// one word of letters, digits and hyphens.
    fn from_str(text: &str) -> Result<Self, String> {
        let is_style = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        let (style, path) = match text.split_once('=') {
            Some((style, path)) if is_style(style) && !Path::new(text).exists() => (style, path),
            _ => ("own", text),
        };
        if path.is_empty() {
            return Err("no path is given".into());
        }
        Ok(Source { style: style.to_string(), path: path.into() })
    }
}
