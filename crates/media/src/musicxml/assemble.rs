//! Measures in the order of performance to a score: one clock for all parts, ties joined, ticks chosen.

use std::collections::HashMap;

use super::Error;
use super::document::{Document, MAX_NOTES, WrittenPart};
use super::frame::Frame;
use super::measure::{UNIT, WrittenNote};
use super::order::Marks;
use crate::score::{self, Change, Note, Part, Score};

/// Ticks in a quarter note wherever they suffice; a multiple where tuplets need it.
const USUAL_TICKS: u64 = 480;
/// Divided by all numbers to 10, for lengths that no grid within MIDI's 15 bits holds; these are rounded.
const ROUNDING_TICKS: u64 = 10_080;
const MAX_TICKS: u64 = 32_767;
/// Notes of one pitch that end at one moment and are looked through for the one to tie.
const MAX_TIE_CANDIDATES: usize = 16;

/// The repeat signs of every measure, in whichever part they stand.
pub fn marks(document: &Document) -> Vec<Marks> {
    let measures = document.parts.iter().map(|part| part.measures.len()).max().unwrap_or(0);
    let mut marks = vec![Marks::default(); measures];
    for part in &document.parts {
        for (mark, measure) in marks.iter_mut().zip(&part.measures) {
            mark.forward |= measure.marks.forward;
            mark.backward = mark.backward.max(measure.marks.backward);
            mark.ending_stop |= measure.marks.ending_stop;
            if mark.ending_start.is_empty() {
                mark.ending_start.clone_from(&measure.marks.ending_start);
            }
        }
    }
    marks
}

/// The score that comes of playing the measures in the given order.
pub fn score(document: &Document, order: &[usize]) -> Result<Score, Error> {
    let frame = Frame::new(document);
    let mut starts = Vec::with_capacity(order.len());
    let mut now = 0;
    for &measure in order {
        starts.push(now);
        now += frame.lengths[measure];
    }
    let mut parts = Vec::new();
    let mut notes = 0;
    for part in &document.parts {
        let measures = order.iter().filter_map(|&measure| part.measures.get(measure));
        notes += measures.map(|measure| measure.notes.len()).sum::<usize>();
        if notes > MAX_NOTES {
            return Err(Error::Limit(format!("more than {MAX_NOTES} notes when repeats are played")));
        }
        parts.push(play(part, order, &starts));
    }
    let events = frame.perform(order, &starts)?;

    // a tempo may stand beside the grid: it is rounded
    let moments = parts.iter().flatten().flat_map(|note| [note.start, note.length]);
    let moments = moments.chain(events.metres.iter().map(|change| change.0));
    let ticks_per_quarter =
        grid(moments.chain(events.keys.iter().map(|change| change.0)).chain([frame.pickup]));
    let ticks = |units: u64| {
        let ticks =
            (u128::from(units) * u128::from(ticks_per_quarter) + u128::from(UNIT) / 2) / u128::from(UNIT);
        u32::try_from(ticks).unwrap_or(u32::MAX)
    };
    let end = parts.iter().flatten().map(|note| note.start + note.length).max().unwrap_or(0).max(now);
    if ticks(end) == u32::MAX {
        return Err(Error::Limit(format!("it lasts {} quarter notes", end / UNIT)));
    }

    let mut score = Score {
        title: document.title.clone(),
        ticks_per_quarter: ticks_per_quarter as u32,
        pickup: ticks(frame.pickup),
        tempos: changes(&events.tempos, ticks),
        metres: changes(&events.metres, ticks),
        keys: changes(&events.keys, ticks),
        parts: Vec::new(),
    };
    for (part, notes) in document.parts.iter().zip(&parts) {
        score.parts.extend(staves(part, notes, ticks));
    }
    score::settle_changes(&mut score.tempos);
    score::settle_changes(&mut score.keys);
    score::settle_metres(&mut score.metres, score.pickup, score.ticks_per_quarter);
    Ok(score)
}

fn changes<T: Copy>(events: &[(u64, T)], ticks: impl Fn(u64) -> u32) -> Vec<Change<T>> {
    events.iter().map(|&(at, value)| Change { start: ticks(at), value }).collect()
}

/// A part's measures one after the other, with ties joined. Starts count from the beginning of the piece.
fn play(part: &WrittenPart, order: &[usize], starts: &[u64]) -> Vec<WrittenNote> {
    let mut played: Vec<WrittenNote> = Vec::new();
    // notes that are tied onward, by pitch and end
    let mut open: HashMap<(u8, u64), Vec<usize>> = HashMap::new();
    for (&measure, &begin) in order.iter().zip(starts) {
        for note in part.measures.get(measure).map_or(&[][..], |measure| &measure.notes) {
            let mut note = *note;
            note.start += begin;
            let mut index = played.len();
            let tied = open.get_mut(&(note.pitch, note.start)).filter(|_| note.tie_stop);
            if let Some(candidates) = tied.filter(|candidates| !candidates.is_empty()) {
                let likeness = |&index: &usize| {
                    let other: &WrittenNote = &played[index];
                    2 * u8::from(other.voice == note.voice) + u8::from(other.staff == note.staff)
                };
                let looked_at = candidates.len().min(MAX_TIE_CANDIDATES);
                let best = (0..looked_at).max_by_key(|&at| (likeness(&candidates[at]), looked_at - at));
                index = candidates.swap_remove(best.unwrap_or(0));
                played[index].length += note.length;
            } else {
                played.push(note);
            }
            if note.tie_start {
                let end = played[index].start + played[index].length;
                open.entry((note.pitch, end)).or_default().push(index);
            }
        }
    }
    played
}

/// A part's staves as parts of their own.
fn staves(part: &WrittenPart, played: &[WrittenNote], ticks: impl Fn(u64) -> u32) -> Vec<Part> {
    let name = &part.info.name;
    let names: Vec<String> = match part.staves {
        0 | 1 => vec![name.clone()],
        2 => vec![format!("{name} RH"), format!("{name} LH")],
        staves => (1..=staves).map(|staff| format!("{name} {staff}")).collect(),
    };
    let mut parts: Vec<Part> = names
        .into_iter()
        .map(|name| Part {
            name: name.trim().to_owned(),
            program: part.info.program,
            percussion: part.info.percussion,
            notes: Vec::new(),
        })
        .collect();
    for note in played {
        let (start, end) = (ticks(note.start), ticks(note.start + note.length));
        let length = (end - start).max(1);
        if let Some(part) = parts.get_mut(usize::from(note.staff)) {
            part.notes.push(Note { start, pitch: note.pitch, length, velocity: note.velocity });
        }
    }
    for part in &mut parts {
        score::settle_notes(&mut part.notes);
    }
    parts
}

/// Ticks in a quarter note that hold every moment exactly, where there are such.
fn grid(moments: impl Iterator<Item = u64>) -> u64 {
    let finest = moments.fold(UNIT, gcd);
    let needed = UNIT / finest;
    let usual = needed / gcd(needed, USUAL_TICKS) * USUAL_TICKS;
    [usual, needed].into_iter().find(|ticks| *ticks <= MAX_TICKS).unwrap_or(ROUNDING_TICKS)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
