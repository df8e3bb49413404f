//! The fundamental frequency of a voice, frame by frame, and whether there is one.
//!
//! Candidates are peaks of the normalised cross-correlation of a frame with what follows it (Talkin, "A Robust Algorithm
//! for Pitch Tracking", 1995); the path among them that is good in all frames and jumps little is the result (Viterbi).

use candle_core::Result;
use rayon::prelude::*;

/// Where a voice is looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tracker {
    /// Samples a second.
    pub rate: u32,
    /// Samples from one frame to the next; frame `i` is centred in the `i`th hop.
    pub hop: usize,
    /// Lowest frequency, hertz.
    pub low: f32,
    /// Highest frequency, hertz.
    pub high: f32,
}

/// Candidates of a frame at most, beside that of no voice.
const MOST: usize = 8;
/// A peak that is lower is no candidate.
const LEAST: f32 = 0.3;
/// The correlation that voice and its lack are as likely at.
const VOICED: f32 = 0.55;
/// How much a low frequency is worth less than its octave: its correlation is as high.
const LOW: f32 = 0.06;
/// What a jump of an octave costs.
const OCTAVE: f32 = 0.7;
/// What a voice's beginning or end costs.
const TURN: f32 = 0.25;
/// Below this part of the loudest frame's amplitude there is no voice.
const SILENT: f32 = 2e-3;

/// A fundamental frequency in hertz, 0 for none, and its cost.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    frequency: f32,
    cost: f32,
}

impl Tracker {
    /// The frequency of each frame in hertz, 0 where there is no voice.
    ///
    /// # Errors
    /// Frequencies out of order, or above a quarter of the rate.
    pub fn track(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let Self { rate, hop, low, high } = *self;
        let most = rate as f32 / 4.;
        if !(low > 0. && low < high && high <= most) || hop == 0 {
            refuse!("a voice from {low} to {high} Hz at {rate} samples a second, every {hop}");
        }
        let count = samples.len().div_ceil(hop);
        let size = (rate as f32 / low).ceil() as usize;
        let loud = |i: usize| {
            let part = &samples[i * hop..samples.len().min((i + 1) * hop)];
            (part.iter().map(|x| x * x).sum::<f32>() / part.len().max(1) as f32).sqrt()
        };
        let loudness: Vec<f32> = (0..count).map(loud).collect();
        let floor = SILENT * loudness.iter().fold(0f32, |most, x| most.max(*x));
        let frames: Vec<Vec<Candidate>> = (0..count)
            .into_par_iter()
            .map(|i| {
                let none = Candidate { frequency: 0., cost: VOICED };
                if loudness[i] <= floor {
                    // nothing that is heard: no voice, whatever the shape
                    return vec![Candidate { cost: 0., ..none }];
                }
                let mut found = self.candidates(samples, i, size);
                found.push(none);
                found
            })
            .collect();
        Ok(best_path(&frames))
    }

    fn candidates(&self, samples: &[f32], frame: usize, size: usize) -> Vec<Candidate> {
        let rate = self.rate as f32;
        let (shortest, longest) = ((rate / self.high) as usize, size);
        // the frame and what follows by the longest lag lie around the centre
        let start = (frame * self.hop + self.hop / 2) as isize - (size + longest) as isize / 2;
        let at = |place: usize| {
            usize::try_from(start + place as isize).ok().and_then(|i| samples.get(i)).copied().unwrap_or(0.)
        };
        let values: Vec<f32> = (0..size + longest + 1).map(at).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let values: Vec<f32> = values.into_iter().map(|x| x - mean).collect();
        let own = &values[..size];
        let energy: f32 = own.iter().map(|x| x * x).sum();
        let mut other: f32 = values[shortest - 1..][..size].iter().map(|x| x * x).sum();
        let mut correlations = Vec::with_capacity(longest + 2 - shortest);
        for lag in shortest - 1..=longest + 1 {
            let shifted = &values[lag.min(longest + 1)..];
            let product: f32 = own.iter().zip(shifted).map(|(a, b)| a * b).sum();
            correlations.push(product / (energy * other).sqrt().max(1e-12));
            let (gone, comes) = (values[lag], values.get(lag + size).copied().unwrap_or(0.));
            other = (other - gone * gone + comes * comes).max(0.);
        }
        let mut found: Vec<Candidate> = correlations
            .windows(3)
            .enumerate()
            .filter(|(_, peak)| peak[1] > LEAST && peak[1] >= peak[0] && peak[1] > peak[2])
            .map(|(i, peak)| {
                // the top of the parabola through the three
                let curve = peak[0] - 2. * peak[1] + peak[2];
                let aside = if curve < 0. { 0.5 * (peak[0] - peak[2]) / curve } else { 0. };
                let height = peak[1] - 0.25 * (peak[0] - peak[2]) * aside;
                let lag = (shortest + i) as f32 + aside;
                let worth = height.min(1.) * (1. - LOW * lag / longest as f32);
                Candidate { frequency: rate / lag, cost: 1. - worth }
            })
            .collect();
        found.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        found.truncate(MOST);
        found
    }
}

fn step(from: Candidate, to: Candidate) -> f32 {
    match (from.frequency > 0., to.frequency > 0.) {
        (true, true) => OCTAVE * (from.frequency / to.frequency).log2().abs(),
        (false, false) => 0.,
        _ => TURN,
    }
}

fn best_path(frames: &[Vec<Candidate>]) -> Vec<f32> {
    let Some(first) = frames.first() else { return Vec::new() };
    let mut costs: Vec<f32> = first.iter().map(|candidate| candidate.cost).collect();
    let mut came: Vec<Vec<usize>> = vec![vec![0; first.len()]];
    for pair in frames.windows(2) {
        let reach = |to: &Candidate| {
            let ways = pair[0].iter().zip(&costs).map(|(from, cost)| cost + step(*from, *to));
            let (from, cost) = ways.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.));
            (from, cost + to.cost)
        };
        let (from, reached): (Vec<usize>, Vec<f32>) = pair[1].iter().map(reach).unzip();
        costs = reached;
        came.push(from);
    }
    let mut at = (0..costs.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).unwrap_or(0);
    let mut path: Vec<f32> = Vec::with_capacity(frames.len());
    for (candidates, from) in frames.iter().zip(&came).rev() {
        path.push(candidates[at].frequency);
        at = from[at];
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TRACKER: Tracker = Tracker { rate: 16_000, hop: 200, low: 60., high: 400. };

    /// Harmonics up to 4 kHz of a frequency that moves from one to the other, and the frequency of each frame.
    fn voice(seconds: f32, from: f32, to: f32) -> (Vec<f32>, Vec<f32>) {
        let count = (seconds * 16_000.) as usize;
        let frequency = |i: f32| from * (to / from).powf(i / count as f32);
        let mut phase = 0f32;
        let samples = (0..count).map(|i| {
            phase = (phase + frequency(i as f32) / 16_000.).fract();
            let harmonics = (4000. / frequency(i as f32)) as usize;
            (1..=harmonics).map(|k| (std::f32::consts::TAU * k as f32 * phase).sin() / k as f32).sum::<f32>()
        });
        let samples = samples.collect();
        (samples, (0..count / 200).map(|i| frequency((i * 200 + 100) as f32)).collect())
    }

    fn noise(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn a_voice_is_followed() {
        for (from, to) in [(100., 100.), (90., 180.), (300., 150.), (70., 65.)] {
            let (samples, expected) = voice(1., from, to);
            let found = TRACKER.track(&samples).unwrap();
            assert_eq!(found.len(), expected.len());
            for (i, (found, expected)) in
                found.iter().zip(&expected).enumerate().skip(3).take(expected.len() - 6)
            {
                assert!(
                    (found / expected - 1.).abs() < 0.02,
                    "{from} to {to}, frame {i}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn noise_and_silence_have_none() {
        let found = TRACKER.track(&noise(16_000)).unwrap();
        let voiced = found.iter().filter(|frequency| **frequency > 0.).count();
        assert!(voiced < found.len() / 20, "{voiced} of {}", found.len());
        assert!(TRACKER.track(&[0.; 3000]).unwrap().iter().all(|frequency| *frequency == 0.));
        assert!(TRACKER.track(&[]).unwrap().is_empty());
    }

    #[test]
    fn beginnings_and_ends_are_where_they_are() {
        let (spoken, _) = voice(0.5, 120., 140.);
        let quiet: Vec<f32> = noise(8000).into_iter().map(|x| 0.01 * x).collect();
        let samples = [quiet.clone(), spoken, quiet].concat();
        let found = TRACKER.track(&samples).unwrap();
        let first = found.iter().position(|frequency| *frequency > 0.).unwrap();
        let last = found.iter().rposition(|frequency| *frequency > 0.).unwrap();
        assert!(first.abs_diff(40) <= 2 && last.abs_diff(79) <= 2, "{first} {last}");
    }

    #[test]
    fn frequencies_out_of_order_are_refused() {
        assert!(Tracker { low: 500., ..TRACKER }.track(&[]).is_err());
        assert!(Tracker { high: 5000., ..TRACKER }.track(&[]).is_err());
    }
}
