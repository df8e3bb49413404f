//! What a set of four-part pieces is like, as numbers that can be set beside those of another set.
//!
//! A chord is the vertical slice at an onset of any voice. Every figure is taken over the whole set (a long piece
//! weighs more than a short one), except the entropy, which is a mean over pieces. Keys come from the score,
//! or from [`estimate_key`] where the score has none.

use media::score::{Key, Note, Score};

use super::texture::{Bar, Chord, VOICES, at, bars, chords, voices};
use crate::analysis::estimate_key;
use crate::vocabulary::tonic;

/// The lowest and the highest note of each voice in Bach's chorales (the training split).
pub const RANGES: [(u8, u8); VOICES] = [(60, 81), (52, 74), (46, 69), (36, 66)];

/// Degrees of the major scale, one bit a semitone above the tonic.
const MAJOR_SCALE: u16 = scale(&[0, 2, 4, 5, 7, 9, 11]);
/// Degrees of the natural, harmonic and melodic minor scales together.
const MINOR_SCALE: u16 = scale(&[0, 2, 3, 5, 7, 8, 9, 10, 11]);
/// Triads and seventh chords above their root: major, minor, diminished, augmented; dominant, minor, major,
/// half-diminished and diminished seventh.
const HARMONIES: [u16; 9] = [
    scale(&[0, 4, 7]),
    scale(&[0, 3, 7]),
    scale(&[0, 3, 6]),
    scale(&[0, 4, 8]),
    scale(&[0, 4, 7, 10]),
    scale(&[0, 3, 7, 10]),
    scale(&[0, 4, 7, 11]),
    scale(&[0, 3, 6, 10]),
    scale(&[0, 3, 6, 9]),
];

/// The figures of a set of pieces. Shares are between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Pieces in the set.
    pub pieces: usize,
    /// Chords in the set.
    pub chords: usize,
    /// Share of notes in the scale of the key (in minor, with both forms of the sixth and the seventh).
    pub in_key: f64,
    /// Share of notes inside their voice's [`RANGES`].
    pub in_range: f64,
    /// Neighbouring voices that stand crossed (the lower one strictly above), counted at every chord, per 100 chords.
    pub crossings: f64,
    /// Parallel perfect fifths per 100 chords: two voices both move, in the same direction, from one fifth
    /// (or twelfth, ...) to another.
    pub parallel_fifths: f64,
    /// Parallel unisons and octaves per 100 chords, counted in the same way.
    pub parallel_octaves: f64,
    /// Share of strong beats with a dissonance: among all sounding voices, some pair is a second, a seventh or a
    /// tritone apart (compound intervals included). Suspensions, accented passing notes and seventh chords all
    /// count. The fourth above the bass does not: six-four chords are a matter of grammar rather than of sound,
    /// and this definition needs no analysis that could err.
    pub dissonant: f64,
    /// Share of strong beats whose pitch classes fit into no triad and no seventh chord (on any root).
    pub no_chord: f64,
    /// Share of pieces that end with a cadence: the last chord is the tonic in root position (with either third
    /// or none), and within the quarter note before its bass note sounds a chord of V, vii or IV (see
    /// [`closes`]).
    pub cadence: f64,
    /// Share of complete bars that are the same in all voices as an earlier bar of their piece.
    pub repeated_bars: f64,
    /// Mean note length of each voice in quarter notes.
    pub note_length: [f64; VOICES],
    /// Mean melodic interval of each voice in semitones, repeated notes included.
    pub interval: [f64; VOICES],
    /// Melodic leaps over an octave, in any voice, per 100 chords.
    pub wide_leaps: f64,
    /// Entropy of the pitch classes in bits, a mean over pieces.
    pub entropy: f64,
    /// Chords per bar.
    pub chords_per_bar: f64,
    /// Notes per quarter note, all voices together.
    pub notes_per_beat: f64,
}

/// The unit of a [`Statistics::values`] entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Between 0 and 1, shown in per cent.
    Share,
    /// Events per 100 chords.
    PerHundred,
    /// A plain number.
    Plain,
}

impl Statistics {
    /// Every figure with its name, always in the same order.
    pub fn values(&self) -> Vec<(&'static str, Unit, f64)> {
        use Unit::{PerHundred, Plain, Share};
        vec![
            ("Notes in key", Share, self.in_key),
            ("Notes in their voice's range", Share, self.in_range),
            ("Voice crossings per 100 chords", PerHundred, self.crossings),
            ("Parallel fifths per 100 chords", PerHundred, self.parallel_fifths),
            ("Parallel octaves per 100 chords", PerHundred, self.parallel_octaves),
            ("Dissonant strong beats", Share, self.dissonant),
            ("Strong beats that are no triad or seventh chord", Share, self.no_chord),
            ("Cadence at the end", Share, self.cadence),
            ("Repeated bars", Share, self.repeated_bars),
            ("Soprano note length (quarters)", Plain, self.note_length[0]),
            ("Alto note length (quarters)", Plain, self.note_length[1]),
            ("Tenor note length (quarters)", Plain, self.note_length[2]),
            ("Bass note length (quarters)", Plain, self.note_length[3]),
            ("Soprano interval (semitones)", Plain, self.interval[0]),
            ("Alto interval (semitones)", Plain, self.interval[1]),
            ("Tenor interval (semitones)", Plain, self.interval[2]),
            ("Bass interval (semitones)", Plain, self.interval[3]),
            ("Leaps over an octave per 100 chords", PerHundred, self.wide_leaps),
            ("Pitch-class entropy (bits)", Plain, self.entropy),
            ("Chords per bar", Plain, self.chords_per_bar),
            ("Notes per quarter", Plain, self.notes_per_beat),
        ]
    }
}

/// Sums over a set, before they are divided.
#[derive(Default)]
struct Counts {
    notes: usize,
    in_key: usize,
    in_range: usize,
    chords: usize,
    crossings: usize,
    fifths: usize,
    octaves: usize,
    strong: usize,
    dissonant: usize,
    no_chord: usize,
    cadences: usize,
    bars: usize,
    repeated: usize,
    lengths: [f64; VOICES],
    voice_notes: [usize; VOICES],
    semitones: [u32; VOICES],
    intervals: [usize; VOICES],
    wide: usize,
    entropy: f64,
    bar_lengths: f64,
    quarters: f64,
}

/// The figures of a set of pieces whose parts stand in the order soprano, alto, tenor, bass.
///
/// Pieces without notes are left out; a figure that nothing was counted for is 0.
pub fn statistics(scores: &[Score]) -> Statistics {
    let mut counts = Counts::default();
    let mut pieces = 0;
    for score in scores {
        let chords = chords(score);
        if !chords.is_empty() {
            pieces += 1;
            count(score, &chords, &mut counts);
        }
    }
    let Counts { notes, chords, strong, .. } = counts;
    Statistics {
        pieces,
        chords,
        in_key: share(counts.in_key, notes),
        in_range: share(counts.in_range, notes),
        crossings: 100.0 * share(counts.crossings, chords),
        parallel_fifths: 100.0 * share(counts.fifths, chords),
        parallel_octaves: 100.0 * share(counts.octaves, chords),
        dissonant: share(counts.dissonant, strong),
        no_chord: share(counts.no_chord, strong),
        cadence: share(counts.cadences, pieces),
        repeated_bars: share(counts.repeated, counts.bars),
        note_length: std::array::from_fn(|v| ratio(counts.lengths[v], counts.voice_notes[v] as f64)),
        interval: std::array::from_fn(|v| ratio(f64::from(counts.semitones[v]), counts.intervals[v] as f64)),
        wide_leaps: 100.0 * share(counts.wide, chords),
        entropy: ratio(counts.entropy, pieces as f64),
        chords_per_bar: ratio(chords as f64, counts.bar_lengths),
        notes_per_beat: ratio(notes as f64, counts.quarters),
    }
}

fn count(score: &Score, chords: &[Chord], counts: &mut Counts) {
    let voices = voices(score);
    let estimate = if score.keys.is_empty() { Some(estimate_key(score)) } else { None };
    let key_at = |tick| estimate.or(at(&score.keys, tick)).unwrap_or(Key { fifths: 0, minor: false });
    let quarter = f64::from(score.ticks_per_quarter.max(1));
    let mut classes = [0usize; 12];
    for (voice, notes) in voices.iter().enumerate() {
        for note in notes {
            counts.notes += 1;
            counts.in_key += usize::from(in_scale(note.pitch, key_at(note.start)));
            counts.in_range += usize::from((RANGES[voice].0..=RANGES[voice].1).contains(&note.pitch));
            counts.lengths[voice] += f64::from(note.length) / quarter;
            classes[usize::from(note.pitch % 12)] += 1;
        }
        counts.voice_notes[voice] += notes.len();
        for pair in notes.windows(2) {
            let interval = pair[0].pitch.abs_diff(pair[1].pitch);
            counts.semitones[voice] += u32::from(interval);
            counts.intervals[voice] += 1;
            counts.wide += usize::from(interval > 12);
        }
    }
    counts.chords += chords.len();
    counts.crossings += chords.iter().map(crossings).sum::<usize>();
    for pair in chords.windows(2) {
        counts.fifths += parallels(&pair[0], &pair[1], 7);
        counts.octaves += parallels(&pair[0], &pair[1], 0);
    }
    let bars = bars(score);
    count_strong_beats(&bars, chords, counts);
    let end = chords.last().map_or(0, |chord| chord.start);
    counts.cadences += usize::from(cadence(chords, tonic(key_at(end)), score.ticks_per_quarter));
    let (complete, repeated) = repeated_bars(&voices, &bars);
    counts.bars += complete;
    counts.repeated += repeated;
    counts.entropy += entropy(&classes);
    counts.bar_lengths +=
        bars.iter().map(|bar| f64::from(bar.end - bar.start) / f64::from(bar.full)).sum::<f64>();
    counts.quarters += f64::from(score.end()) / quarter;
}

/// Whether the pitch belongs to the scale of the key.
pub fn in_scale(pitch: u8, key: Key) -> bool {
    let degree = (pitch + 12 - tonic(key)) % 12;
    let scale = if key.minor { MINOR_SCALE } else { MAJOR_SCALE };
    scale >> degree & 1 == 1
}

/// Pairs of neighbouring voices whose lower one sounds above the upper one.
pub fn crossings(chord: &Chord) -> usize {
    chord
        .pitches
        .windows(2)
        .filter(|pair| matches!(pair, [Some(upper), Some(lower)] if lower > upper))
        .count()
}

/// Pairs of voices that move in parallel from one chord to the next, `interval` semitones (and any octaves) apart.
pub fn parallels(before: &Chord, after: &Chord, interval: u8) -> usize {
    let mut found = 0;
    for upper in 0..VOICES {
        for lower in upper + 1..VOICES {
            let (Some(a), Some(b)) = (before.pitches[upper], before.pitches[lower]) else { continue };
            let (Some(c), Some(d)) = (after.pitches[upper], after.pitches[lower]) else { continue };
            let same = a.abs_diff(b) % 12 == interval && c.abs_diff(d) % 12 == interval;
            let together = (c > a && d > b) || (c < a && d < b);
            found += usize::from(same && together);
        }
    }
    found
}

fn count_strong_beats(bars: &[Bar], chords: &[Chord], counts: &mut Counts) {
    for beat in bars.iter().flat_map(Bar::strong_beats) {
        let index = chords.partition_point(|chord| chord.start <= beat);
        let Some(chord) = index.checked_sub(1).map(|index| &chords[index]) else { continue };
        if beat >= chord.end || chord.sounding().count() < 2 {
            continue;
        }
        counts.strong += 1;
        counts.dissonant += usize::from(dissonant(chord));
        counts.no_chord += usize::from(!is_harmony(chord.classes(0)));
    }
}

/// Whether some pair of sounding voices is a second, a seventh or a tritone apart.
pub fn dissonant(chord: &Chord) -> bool {
    let clash = |a: u8, b: u8| matches!(a.abs_diff(b) % 12, 1 | 2 | 6 | 10 | 11);
    chord.sounding().any(|a| chord.sounding().any(|b| clash(a, b)))
}

/// Whether a set of pitch classes fits into a triad or a seventh chord.
fn is_harmony(classes: u16) -> bool {
    (0..12).any(|root| {
        let turned = (classes >> root | classes << (12 - root)) & 0xfff;
        HARMONIES.iter().any(|chord| turned & !chord == 0)
    })
}

/// Whether the piece ends with a cadence on `tonic` (a pitch class); see [`Statistics::cadence`].
///
/// The final chord reaches back from the last one over all chords that keep the tonic in the bass, so that a
/// resolving suspension or an octave leap of the bass does not hide the step into it.
pub fn cadence(chords: &[Chord], tonic: u8, ticks_per_quarter: u32) -> bool {
    let home = |chord: &Chord| chord.lowest().is_some_and(|pitch| pitch % 12 == tonic);
    let Some(last) = chords.last() else { return false };
    let set = last.classes(tonic);
    let triad = set & !scale(&[0, 4, 7]) == 0 || set & !scale(&[0, 3, 7]) == 0;
    if !triad || !home(last) {
        return false;
    }
    let first = chords.iter().rposition(|chord| !home(chord)).map_or(0, |index| index + 1);
    let arrival = chords[first].start;
    let window = arrival.saturating_sub(ticks_per_quarter);
    let mut before = chords[..first].iter().rev().take_while(|chord| chord.end > window);
    before.any(|chord| closes(chord.classes(tonic)))
}

/// Whether pitch classes above the tonic are a chord that closes. With C as the tonic: V, V7 or vii (B with
/// another note of D-F-G, or G with D where the third is missing, and nothing else but A flat, the diminished
/// seventh), or IV, iv, ii or ii6/5 (F with A or A flat, and nothing else but C and D).
pub fn closes(set: u16) -> bool {
    let has = |degrees: &[u8]| set & scale(degrees) == scale(degrees);
    let within = |degrees: &[u8]| set & !scale(degrees) == 0;
    let leading = has(&[11]) && set & scale(&[2, 5, 7]) != 0;
    let dominant = within(&[11, 2, 5, 7, 8]) && (leading || has(&[7, 2]));
    let plagal = (within(&[5, 9, 0, 2]) && has(&[5, 9])) || (within(&[5, 8, 0, 2]) && has(&[5, 8]));
    dominant || plagal
}

/// Complete bars with a note in them, and how many of these repeat an earlier one.
fn repeated_bars(voices: &[Vec<Note>; VOICES], bars: &[Bar]) -> (usize, usize) {
    let mut seen = std::collections::HashSet::new();
    let (mut complete, mut repeated) = (0, 0);
    for bar in bars.iter().filter(|bar| bar.complete()) {
        // every note that sounds in the bar: voice, begin (-1: held over from before), end (clipped), pitch
        let mut content = Vec::new();
        for (voice, notes) in voices.iter().enumerate() {
            let first = notes.partition_point(|note| note.end() <= bar.start);
            for note in notes[first..].iter().take_while(|note| note.start < bar.end) {
                let begin = i64::from(note.start) - i64::from(bar.start);
                content.push((voice, begin.max(-1), note.end().min(bar.end) - bar.start, note.pitch));
            }
        }
        if !content.is_empty() {
            complete += 1;
            repeated += usize::from(!seen.insert((bar.full, content)));
        }
    }
    (complete, repeated)
}

fn entropy(classes: &[usize; 12]) -> f64 {
    let total = classes.iter().sum::<usize>() as f64;
    let terms = classes.iter().filter(|count| **count > 0).map(|count| *count as f64 / total);
    terms.map(|p| -p * p.log2()).sum()
}

const fn scale(degrees: &[u8]) -> u16 {
    let (mut set, mut index) = (0, 0);
    while index < degrees.len() {
        set |= 1 << degrees[index];
        index += 1;
    }
    set
}

fn share(part: usize, whole: usize) -> f64 {
    ratio(part as f64, whole as f64)
}

fn ratio(sum: f64, count: f64) -> f64 {
    if count == 0.0 { 0.0 } else { sum / count }
}
