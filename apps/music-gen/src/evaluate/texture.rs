//! The common view of a score: single-line voices, chords (one at every onset of any voice) and bars.

use media::score::{Metre, Note, Part, Score};

/// Voices of a chorale, from the top: soprano, alto, tenor, bass.
pub const VOICES: usize = 4;

/// What sounds from one onset to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chord {
    /// Onset in ticks.
    pub start: u32,
    /// The next onset in any voice, or the end of the piece.
    pub end: u32,
    /// The pitch of each voice; `None` where it rests.
    pub pitches: [Option<u8>; VOICES],
    /// Whether the voice begins a note here (rather than holding one).
    pub struck: [bool; VOICES],
}

impl Chord {
    /// The sounding pitches, soprano first.
    pub fn sounding(&self) -> impl Iterator<Item = u8> + '_ {
        self.pitches.iter().flatten().copied()
    }

    /// The lowest sounding pitch, whichever voice has it.
    pub fn lowest(&self) -> Option<u8> {
        self.sounding().min()
    }

    /// The sounding pitch classes relative to `tonic`, as a set of twelve bits.
    pub fn classes(&self, tonic: u8) -> u16 {
        self.sounding().fold(0, |set, pitch| set | 1 << ((pitch + 12 - tonic % 12) % 12))
    }
}

/// One bar, as the metre changes and the pickup lay it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// First tick.
    pub start: u32,
    /// Tick after the last one that the score has.
    pub end: u32,
    /// Ticks in a whole bar of this metre; longer than `end - start` for a pickup and for a cut bar.
    pub full: u32,
    /// Ticks that a pickup lacks before its first one.
    pub missing: u32,
    /// The metre.
    pub metre: Metre,
}

impl Bar {
    /// Whether the bar has all its beats.
    pub fn complete(&self) -> bool {
        self.end - self.start == self.full
    }

    /// The strong beats that lie inside the bar.
    ///
    /// The first beat, and the middle of the bar where the metre has more than two beats and halves (4/4, 6/8,
    /// 12/8). A pickup is the tail of a bar, so its beats are counted from the end.
    pub fn strong_beats(&self) -> impl Iterator<Item = u32> + use<> {
        let Bar { start, end, full, missing, metre } = *self;
        let halves = metre.numerator > 2 && metre.numerator % 2 == 0;
        [Some(0), halves.then_some(full / 2)]
            .into_iter()
            .flatten()
            .filter_map(move |beat| (start + beat).checked_sub(missing))
            .filter(move |&beat| beat >= start && beat < end)
    }
}

/// The first [`VOICES`] parts as single lines, without unpitched percussion.
///
/// Where a part has several notes at one onset the top one is kept; a note is cut where the next one begins.
/// A score with fewer parts leaves the last voices empty.
pub fn voices(score: &Score) -> [Vec<Note>; VOICES] {
    let mut parts = score.parts.iter().filter(|part| !part.percussion);
    std::array::from_fn(|_| parts.next().map(line).unwrap_or_default())
}

/// The top line of a part.
pub fn line(part: &Part) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::with_capacity(part.notes.len());
    let mut sorted = part.notes.clone();
    sorted.sort_by_key(|note| (note.start, note.pitch));
    for note in sorted {
        match notes.last_mut() {
            Some(last) if last.start == note.start => *last = note,
            Some(last) => {
                last.length = last.length.min(note.start - last.start);
                notes.push(note);
            }
            None => notes.push(note),
        }
    }
    notes
}

/// The chords of a piece: one at every onset of any voice.
pub fn chords(score: &Score) -> Vec<Chord> {
    let voices = voices(score);
    let mut onsets: Vec<u32> = voices.iter().flatten().map(|note| note.start).collect();
    onsets.sort_unstable();
    onsets.dedup();
    let end = voices.iter().flatten().map(Note::end).max().unwrap_or(0);
    let mut next = [0; VOICES];
    let mut out = Vec::with_capacity(onsets.len());
    for (index, &start) in onsets.iter().enumerate() {
        let mut chord = Chord {
            start,
            end: onsets.get(index + 1).copied().unwrap_or(end),
            pitches: [None; VOICES],
            struck: [false; VOICES],
        };
        for (voice, notes) in voices.iter().enumerate() {
            while next[voice] < notes.len() && notes[next[voice]].start <= start {
                next[voice] += 1;
            }
            let Some(note) = next[voice].checked_sub(1).map(|last| notes[last]) else { continue };
            if note.end() > start {
                chord.pitches[voice] = Some(note.pitch);
                chord.struck[voice] = note.start == start;
            }
        }
        out.push(chord);
    }
    out
}

/// The bars from the first tick to the last sounding one; 4/4 where the score names no metre.
pub fn bars(score: &Score) -> Vec<Bar> {
    let end = score.end();
    let mut out = Vec::new();
    let mut start = 0;
    while start < end {
        let metre = metre_at(score, start);
        let full = bar_ticks(metre, score.ticks_per_quarter);
        let pickup = if start == 0 && score.pickup < full { score.pickup } else { 0 };
        let missing = if pickup > 0 { full - pickup } else { 0 };
        let change = score.metres.iter().map(|change| change.start).find(|&tick| tick > start);
        let stop = start.saturating_add(full - missing).min(end).min(change.unwrap_or(u32::MAX));
        out.push(Bar { start, end: stop, full, missing, metre });
        start = stop;
    }
    out
}

/// Ticks in a whole bar of `metre`.
pub fn bar_ticks(metre: Metre, ticks_per_quarter: u32) -> u32 {
    let ticks =
        u64::from(ticks_per_quarter) * 4 * u64::from(metre.numerator) / u64::from(metre.denominator.max(1));
    u32::try_from(ticks.max(1)).unwrap_or(u32::MAX)
}

/// The value of the last change at or before `tick`, or the first one where all come later.
pub fn at<T: Copy>(changes: &[media::score::Change<T>], tick: u32) -> Option<T> {
    changes.iter().rfind(|change| change.start <= tick).or(changes.first()).map(|change| change.value)
}

fn metre_at(score: &Score, tick: u32) -> Metre {
    at(&score.metres, tick).unwrap_or(Metre { numerator: 4, denominator: 4 })
}
