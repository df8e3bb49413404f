//! Memorisation: the longest run of a piece that stands, in some transposition, in the training set.
//!
//! Three views of a piece, each a line of events:
//!
//! - the texture: an event for every chord (an onset of any voice), with the sounding pitches above the bass,
//!   which of them are struck and which held, the time to the next chord, and the step of the bass from the chord
//!   before. Voice names play no part, so that a copy with two voices exchanged is found too;
//! - the soprano, against the sopranos of the training set, and every voice against every voice: an event for
//!   each note, with its length, the time to the next note, and the interval from the note before.
//!
//! A run is copied when all its events are equal, exactly, to consecutive events of one training piece; the step
//! into its first event may differ, which is what makes it independent of the key. Nothing is approximate: one
//! passing note more, one other length, and the run ends. This is the strictest sense of copying, and
//! it means the same for a real piece as for a generated one. The texture is the figure to judge by. Chorales
//! share their melodies (one tune was set many times), so that for single voices the real pieces themselves
//! have long runs; a generated piece may do what they do.
//!
//! The training set is kept as a suffix array; a query is a binary search for each of its events.

use std::collections::HashMap;

use media::score::{Note, Score};

use super::texture::{VOICES, chords, voices};

/// Divisions of a quarter note in which times are compared.
const GRID: u64 = 48;
/// Stands after every training piece and matches nothing.
const BORDER: u32 = u32::MAX;
/// What a query has and the training set never had; matches nothing either.
const UNKNOWN: u32 = u32::MAX - 1;

/// The longest copied runs of one view: by time and by notes, which need not be the same run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Run {
    /// Quarter notes from the run's first onset to the end of its last event.
    pub beats: f64,
    /// Notes that begin in the run.
    pub notes: f64,
}

/// The longest copied runs of one piece (or, in a report, of a set of pieces).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Copying {
    /// All voices together.
    pub texture: Run,
    /// The soprano's line, looked for in the sopranos of the training set.
    pub soprano: Run,
    /// The longest of any voice's line, looked for in all voices of the training set.
    pub any_voice: Run,
}

/// What a set of pieces has of copied runs; each figure is taken on its own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CopyReport {
    /// Pieces looked at.
    pub pieces: usize,
    /// The longest run in any of the pieces.
    pub longest: Copying,
    /// The length that 95 of 100 pieces do not pass: unlike the longest run it does not grow with the size of
    /// the set, and one doubled piece does not decide it.
    pub high: Copying,
    /// The mean over pieces of the longest run of each.
    pub mean: Copying,
}

/// A training set, ready to be searched.
#[derive(Debug, Clone)]
pub struct CopyIndex {
    texture: Corpus,
    soprano: Corpus,
    any_voice: Corpus,
}

impl CopyIndex {
    /// Takes in the training pieces. Transposed copies of a piece add nothing but time.
    pub fn new(training: &[Score]) -> Self {
        let lines = |count| {
            let lines = training.iter().enumerate().flat_map(move |(piece, score)| {
                melodies(score).into_iter().take(count).map(move |line| (piece, line))
            });
            Corpus::new(lines)
        };
        Self {
            texture: Corpus::new(training.iter().map(texture).enumerate()),
            soprano: lines(1),
            any_voice: lines(VOICES),
        }
    }

    /// The longest runs of `piece` that are copied.
    pub fn measure(&self, piece: &Score) -> Copying {
        self.search(piece, None)
    }

    /// The figures of a set of pieces.
    pub fn report(&self, pieces: &[Score]) -> CopyReport {
        summary(pieces.iter().map(|piece| self.search(piece, None)).collect())
    }

    /// How much the training pieces have of each other: each one is looked for in all the others. `training` is
    /// what the index was made of.
    pub fn report_within(&self, training: &[Score]) -> CopyReport {
        let each = training.iter().enumerate();
        summary(each.map(|(own, piece)| self.search(piece, Some(own as u32))).collect())
    }

    fn search(&self, piece: &Score, without: Option<u32>) -> Copying {
        let lines = melodies(piece);
        let any_voice = lines.iter().map(|line| self.any_voice.longest(line, without));
        Copying {
            texture: self.texture.longest(&texture(piece), without),
            soprano: self.soprano.longest(&lines[0], without),
            any_voice: any_voice.fold(Run::default(), longer),
        }
    }
}

fn summary(found: Vec<Copying>) -> CopyReport {
    let over = |fold: &dyn Fn(Vec<f64>) -> f64| {
        let figure = |of: &dyn Fn(&Copying) -> f64| fold(found.iter().map(of).collect());
        let run = |view: fn(&Copying) -> Run| Run {
            beats: figure(&|copying| view(copying).beats),
            notes: figure(&|copying| view(copying).notes),
        };
        Copying { texture: run(|c| c.texture), soprano: run(|c| c.soprano), any_voice: run(|c| c.any_voice) }
    };
    CopyReport {
        pieces: found.len(),
        longest: over(&|values| values.into_iter().fold(0.0, f64::max)),
        high: over(&|mut values| {
            values.sort_by(f64::total_cmp);
            let rank = (values.len() * 95).div_ceil(100);
            rank.checked_sub(1).map_or(0.0, |rank| values[rank])
        }),
        mean: over(&|values| values.iter().sum::<f64>() / values.len().max(1) as f64),
    }
}

/// Reports side by side, as Markdown: the longest run, the 95th percentile and the mean of each set, and whether
/// the last set's longest run is within the first one's.
pub fn copying_table(sets: &[(&str, &CopyReport)]) -> String {
    let (Some((_, reference)), Some((_, judged))) = (sets.first(), sets.last()) else { return String::new() };
    let mut out = String::from("| Longest copied run: maximum / 95% of pieces / mean |");
    for (name, report) in sets {
        out.push_str(&format!(" {name}, {} pieces |", report.pieces));
    }
    out.push_str(" no longer |\n|---|");
    out.push_str(&"---:|".repeat(sets.len()));
    out.push_str(":---:|\n");
    for view in ["All voices", "Soprano", "Any single voice"] {
        for unit in ["quarters", "notes"] {
            let figure = |copying: &Copying| {
                let run = match view {
                    "All voices" => copying.texture,
                    "Soprano" => copying.soprano,
                    _ => copying.any_voice,
                };
                if unit == "notes" { run.notes } else { run.beats }
            };
            out.push_str(&format!("| {view}, {unit} |"));
            for (_, CopyReport { longest, high, mean, .. }) in sets {
                out.push_str(&format!(
                    " {:.1} / {:.1} / {:.1} |",
                    figure(longest),
                    figure(high),
                    figure(mean)
                ));
            }
            let within = figure(&judged.longest) <= figure(&reference.longest);
            out.push_str(if within { " yes |\n" } else { " no |\n" });
        }
    }
    out
}

/// One step of a line: what it is, and how it is reached from the step before.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    content: Vec<i32>,
    motion: Vec<i32>,
    /// Time to the next event, in [`GRID`]ths of a quarter.
    time: u32,
    notes: u32,
}

/// The chords of a piece.
fn texture(score: &Score) -> Vec<Event> {
    let mut events = Vec::new();
    let mut last_bass = 0;
    for chord in chords(score) {
        let bass = i32::from(chord.lowest().unwrap_or(0));
        let time = grid(chord.end - chord.start, score.ticks_per_quarter);
        let sounding = chord.pitches.iter().zip(chord.struck);
        let mut content: Vec<i32> = sounding
            .filter_map(|(pitch, struck)| {
                pitch.map(|pitch| (i32::from(pitch) - bass) * 2 + i32::from(struck))
            })
            .collect();
        content.sort_unstable();
        content.push(time as i32);
        let notes = chord.struck.iter().filter(|struck| **struck).count() as u32;
        events.push(Event { content, motion: vec![bass - last_bass], time, notes });
        last_bass = bass;
    }
    events
}

/// The lines of all voices.
fn melodies(score: &Score) -> Vec<Vec<Event>> {
    voices(score).iter().map(|notes| melody(notes, score.ticks_per_quarter)).collect()
}

fn melody(notes: &[Note], ticks_per_quarter: u32) -> Vec<Event> {
    let mut events = Vec::with_capacity(notes.len());
    let mut last_pitch = 0;
    for (index, note) in notes.iter().enumerate() {
        let next = notes.get(index + 1).map_or(note.end(), |next| next.start);
        let time = grid(next - note.start, ticks_per_quarter);
        let length = grid(note.length, ticks_per_quarter);
        let pitch = i32::from(note.pitch);
        let content = vec![length as i32, time as i32];
        events.push(Event { content, motion: vec![pitch - last_pitch], time, notes: 1 });
        last_pitch = pitch;
    }
    events
}

fn grid(ticks: u32, ticks_per_quarter: u32) -> u32 {
    let quarter = u64::from(ticks_per_quarter.max(1));
    ((u64::from(ticks) * GRID + quarter / 2) / quarter).min(i32::MAX as u64) as u32
}

fn longer(a: Run, b: Run) -> Run {
    Run { beats: a.beats.max(b.beats), notes: a.notes.max(b.notes) }
}

/// Lines of events, one after the other, and their beginnings in alphabetical order.
#[derive(Debug, Clone, Default)]
struct Corpus {
    contents: HashMap<Vec<i32>, u32>,
    motions: HashMap<Vec<i32>, u32>,
    /// (content, motion into it) of every event; a border after every line.
    symbols: Vec<(u32, u32)>,
    /// The piece of every symbol.
    pieces: Vec<u32>,
    suffixes: Vec<u32>,
}

impl Corpus {
    /// From lines with the number of their piece.
    fn new(lines: impl Iterator<Item = (usize, Vec<Event>)>) -> Self {
        let mut corpus = Self::default();
        for (piece, line) in lines {
            for event in line {
                let content = intern(&mut corpus.contents, event.content);
                let motion = intern(&mut corpus.motions, event.motion);
                corpus.symbols.push((content, motion));
            }
            corpus.symbols.push((BORDER, BORDER));
            corpus.pieces.resize(corpus.symbols.len(), piece as u32);
        }
        let symbols = &corpus.symbols;
        let begins = (0..symbols.len() as u32).filter(|&start| symbols[start as usize].0 != BORDER);
        let mut suffixes: Vec<u32> = begins.collect();
        suffixes.sort_by(|&a, &b| order(&symbols[a as usize..], &symbols[b as usize..]));
        corpus.suffixes = suffixes;
        corpus
    }

    /// The longest runs of `line` that stand in the corpus, the piece `without` left out.
    fn longest(&self, line: &[Event], without: Option<u32>) -> Run {
        let symbol = |map: &HashMap<Vec<i32>, u32>, value| map.get(value).copied().unwrap_or(UNKNOWN);
        let query: Vec<_> = line
            .iter()
            .map(|event| (symbol(&self.contents, &event.content), symbol(&self.motions, &event.motion)))
            .collect();
        let allowed = |suffix: &&u32| without.is_none_or(|piece| self.pieces[**suffix as usize] != piece);
        let mut best = Run::default();
        for start in 0..query.len() {
            let query = &query[start..];
            let at = |suffix: u32| &self.symbols[suffix as usize..];
            // the longest common beginning is that of a neighbour in the alphabet
            let (before, after) = self
                .suffixes
                .split_at(self.suffixes.partition_point(|&suffix| order(at(suffix), query).is_lt()));
            let neighbours = [before.iter().rev().find(allowed), after.iter().find(allowed)];
            let same = neighbours.into_iter().flatten().map(|&suffix| common(at(suffix), query)).max();
            let run = &line[start..start + same.unwrap_or(0)];
            let beats = run.iter().map(|event| u64::from(event.time)).sum::<u64>() as f64 / GRID as f64;
            let notes = run.iter().map(|event| event.notes).sum::<u32>();
            best = longer(best, Run { beats, notes: f64::from(notes) });
        }
        best
    }
}

/// How many events two lines have in common from their beginnings; the motion into the first one is free.
fn common(a: &[(u32, u32)], b: &[(u32, u32)]) -> usize {
    let equal = |index: usize| {
        let (a, b) = (a[index], b[index]);
        a.0 == b.0 && (index == 0 || a.1 == b.1) && a.0 < UNKNOWN && a.1 < UNKNOWN
    };
    (0..a.len().min(b.len())).take_while(|&index| equal(index)).count()
}

/// The alphabetical order of two lines; the motion into the first event plays no part.
fn order(a: &[(u32, u32)], b: &[(u32, u32)]) -> std::cmp::Ordering {
    let same = common(a, b);
    let next = |line: &[(u32, u32)]| {
        let (content, motion) = line.get(same).copied().unwrap_or((BORDER, BORDER));
        (if same == 0 { 0 } else { motion }, content)
    };
    next(a).cmp(&next(b))
}

fn intern(map: &mut HashMap<Vec<i32>, u32>, value: Vec<i32>) -> u32 {
    let fresh = map.len() as u32;
    *map.entry(value).or_insert(fresh)
}
