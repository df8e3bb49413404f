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

/// Metre (4/4 or 3/4) and length in ticks of an incomplete first bar, for a piece that begins with its
/// first note: the hypothesis under which long notes begin, many voices move and few notes are held over
/// at the bar lines, and that the whole length fits.
pub fn estimate_metre(score: &Score) -> (Metre, u32) {
    let beat = score.ticks_per_quarter.max(1);
    let beats = score.end().div_ceil(beat) as usize;
    let mut accent = vec![0f64; beats + 1];
    for note in score.parts.iter().flat_map(|part| &part.notes) {
        let length = (note.length as f64 / beat as f64).min(4.0);
        if note.start.is_multiple_of(beat) {
            accent[(note.start / beat) as usize] += length;
        }
        // A beat inside a note is a weak one.
        for held in note.start / beat + 1..note.end().div_ceil(beat) {
            accent[held as usize] -= 1.0;
        }
    }
    let average = accent[..beats].iter().sum::<f64>() / beats.max(1) as f64;
    let fit = |numerator: usize, pickup: usize| {
        let strong: Vec<f64> = (pickup..beats).step_by(numerator).map(|index| accent[index] - average).collect();
        let mean = strong.iter().sum::<f64>() / strong.len().max(1) as f64;
        let whole = (beats - pickup.min(beats)).is_multiple_of(numerator) || beats.is_multiple_of(numerator);
        // Hymns begin on the bar or one beat before it; two beats before it are rare, three hardly known.
        let upbeat = [1.0, 1.0, if numerator == 4 { 0.4 } else { 0.0 }, 0.0][pickup];
        mean + upbeat + 0.4 * whole as u8 as f64 + 0.3 * (numerator == 4) as u8 as f64
    };
    let hypotheses =
        [3, 4].into_iter().flat_map(|numerator| (0..numerator).map(move |pickup| (numerator, pickup)));
    let best = hypotheses.max_by(|a, b| fit(a.0, a.1).total_cmp(&fit(b.0, b.1)));
    let (numerator, pickup) = best.unwrap_or((4, 0));
    (Metre { numerator: numerator as u8, denominator: 4 }, pickup as u32 * beat)
}
