//! How near a voice comes to recordings: its sound of their frames, and its frames of their texts.

use std::f64::consts::{LN_10, PI};

use anyhow::Result;
use candle_core::Tensor;
use models::nets::voice::{Phone, align};
use models::random::Generator;
use serde::Serialize;

use super::corpus::Clip;
use super::{NOISE, Own};

/// What was measured, each a mean over frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Distances {
    /// Recordings.
    pub recordings: usize,
    /// Between the spectra of a recording and of what becomes of its frames, decibels (root of the mean square over bins).
    pub copy_log_spectral_db: f64,
    /// Mel-cepstral distortion of what is made of a text with the recording's durations, decibels.
    pub mel_cepstral_db: f64,
    /// The same of frames that became sound and frames again: what is lost without any text.
    pub copy_mel_cepstral_db: f64,
    /// Cents by which the fundamental frequency is off where both have a voice (root of the mean square).
    pub pitch_cents: f64,
    /// Frames of which one has a voice and the other has none.
    pub voicing_errors: f64,
    /// Milliseconds by which durations of phones are off (mean).
    pub duration_ms: f64,
}

/// Cepstral coefficients that are compared, without the first, which is loudness.
const COEFFICIENTS: usize = 24;
/// What is so much below the loudest bin of a recording is silence, in nats.
const RANGE: f32 = 6.9;

/// What was made of a recording.
pub struct Made<'a> {
    /// The recording.
    pub clip: &'a Clip,
    /// Sound of its frames.
    pub copy: &'a [f32],
    /// Sound of its text, with its durations.
    pub spoken: &'a [f32],
}

/// Measures on recordings; `on_made` gets what was made of each.
///
/// # Errors
/// Recordings that the voice's net cannot take, and what `on_made` refuses.
pub fn evaluate(
    own: &Own,
    clips: &[Clip],
    seed: u64,
    on_made: &mut dyn FnMut(&Made) -> Result<()>,
) -> Result<Distances> {
    let mut sums = Sums::default();
    for clip in clips {
        let mut random = Generator::new(seed);
        let (copy, spoken) = one(own, clip, &mut random, &mut sums)?;
        on_made(&Made { clip, copy: &copy, spoken: &spoken })?;
    }
    Ok(sums.means(clips.len()))
}

#[derive(Default)]
struct Sums {
    copy: Mean,
    cepstral: Mean,
    copy_cepstral: Mean,
    cents: Mean,
    voicing: Mean,
    durations: Mean,
}

#[derive(Default)]
struct Mean(f64, usize);

impl Mean {
    fn add(&mut self, value: f64) {
        self.0 += value;
        self.1 += 1;
    }

    fn value(&self) -> f64 {
        self.0 / self.1.max(1) as f64
    }
}

impl Sums {
    fn means(&self, recordings: usize) -> Distances {
        Distances {
            recordings,
            copy_log_spectral_db: self.copy.value(),
            mel_cepstral_db: self.cepstral.value(),
            copy_mel_cepstral_db: self.copy_cepstral.value(),
            pitch_cents: self.cents.value().sqrt(),
            voicing_errors: self.voicing.value(),
            duration_ms: self.durations.value(),
        }
    }
}

/// Adds what a recording tells; returns the sound of its frames and of its text.
fn one(own: &Own, clip: &Clip, random: &mut Generator, sums: &mut Sums) -> Result<(Vec<f32>, Vec<f32>)> {
    let (config, analysis, net) = (&own.config, &own.analysis, &own.net);
    let (size, hop, count) = (config.frame_size(), config.hop_length, clip.pitch.len());
    let signs: &[Phone] = &clip.spelling.signs;
    let sound = |frames: &[f32], random: &mut Generator| -> Result<Vec<f32>> {
        let normalised = Tensor::from_vec(frames.to_vec(), (count, size), own.device())?;
        let amplitudes = net.filters.forward(&normalised, &[count])?;
        let values = |xs: &Tensor| xs.flatten_all()?.to_vec1::<f32>();
        let (harmonic, noise) = (values(&amplitudes.harmonic)?, values(&amplitudes.noise)?);
        Ok(analysis.samples(&analysis.pitch(frames), &harmonic, &noise, &random.randn(count * hop)))
    };

    let normalised = analysis.normalised(&clip.frames);
    let copy = sound(&normalised, random)?;
    let bins = config.bins();
    let (levels, copied) = (analysis.levels(&clip.samples), analysis.levels(&copy));
    let loudest = levels.iter().copied().fold(f32::MIN, f32::max);
    let is_heard =
        |frame: usize| levels[frame * bins..(frame + 1) * bins].iter().any(|level| *level > loudest - RANGE);
    let decibels = |level: f32| f64::from(level.max(loudest - RANGE)) * 20. / LN_10;
    for frame in (0..count).filter(|frame| is_heard(*frame)) {
        let row = frame * bins..(frame + 1) * bins;
        let pairs = levels[row.clone()].iter().zip(&copied[row]);
        let squares: f64 = pairs.map(|(a, b)| (decibels(*a) - decibels(*b)).powi(2)).sum();
        sums.copy.add((squares / bins as f64).sqrt());
    }

    let states = net.acoustic.encode(&[signs])?;
    let durations = match &clip.durations {
        Some(durations) => durations.clone(),
        None => {
            let guess = net.acoustic.guess(&states)?.flatten_all()?.to_vec1::<f32>()?;
            align(&guess, &normalised, size)?
        }
    };
    let logarithms = net.acoustic.durations(&states, &[signs.len()])?.flatten_all()?.to_vec1::<f32>()?;
    let frame_ms = 1000. * hop as f64 / f64::from(config.sampling_rate);
    for (logarithm, frames) in logarithms.iter().zip(&durations) {
        sums.durations.add((f64::from(*logarithm).exp() - *frames as f64).abs() * frame_ms);
    }
    let noise: Vec<f32> = random.randn(count * size).iter().map(|x| x * NOISE as f32).collect();
    let noise = Tensor::from_vec(noise, (count, size), own.device())?;
    let spread = net.acoustic.spread(&states, &durations)?;
    let made = net.acoustic.sound(&noise, &spread, &[count], config.steps)?;
    let spoken = sound(&made.flatten_all()?.to_vec1::<f32>()?, random)?;
    let made = analysis.signal(&spoken)?;
    let copied = analysis.signal(&copy)?;
    for frame in (0..count).filter(|frame| is_heard(*frame)) {
        let bands = |frames: &[f32]| cepstrum(&frames[frame * size..][..config.mel_bands]);
        let real = bands(&clip.frames);
        sums.cepstral.add(distortion(&real, &bands(&made.frames)));
        sums.copy_cepstral.add(distortion(&real, &bands(&copied.frames)));
        let (a, b) = (clip.pitch[frame], made.pitch[frame]);
        sums.voicing.add(f64::from((a > 0.) != (b > 0.)));
        if a > 0. && b > 0. {
            sums.cents.add((1200. * f64::from(a / b).log2()).powi(2));
        }
    }
    Ok((copy, spoken))
}

/// The first coefficients of the cosine series of a logarithmic spectrum, given as logarithms of its power at bands.
fn cepstrum(bands: &[f32]) -> Vec<f64> {
    let count = bands.len() as f64;
    let coefficient = |k: usize| {
        let terms = bands
            .iter()
            .enumerate()
            .map(|(n, level)| 0.5 * f64::from(*level) * (PI * k as f64 * (n as f64 + 0.5) / count).cos());
        2. / count * terms.sum::<f64>()
    };
    (1..=COEFFICIENTS).map(coefficient).collect()
}

/// Mel-cepstral distortion (Kubichek, 1993).
fn distortion(a: &[f64], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    10. / LN_10 * (2. * squares).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_told_from_none() {
        // a logarithmic amplitude that falls by a cosine of height 1: its first coefficient is 1, all others are 0
        let bands: Vec<f32> = (0..80).map(|n| 2. * (PI * (f64::from(n) + 0.5) / 80.).cos() as f32).collect();
        let found = cepstrum(&bands);
        assert!((found[0] - 1.).abs() < 1e-6 && found[1..].iter().all(|x| x.abs() < 1e-6), "{found:?}");
        let expected = 10. / LN_10 * 2f64.sqrt();
        assert!((distortion(&found, &[0.; COEFFICIENTS]) - expected).abs() < 1e-6);
    }
}
