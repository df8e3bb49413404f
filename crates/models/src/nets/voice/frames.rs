//! Samples to frames, and amplitudes to samples: a source of pulses and noise, and what is done to their spectra.

use super::Config;
use crate::features::log_mel::{Filter, mel_filters};
use crate::features::pitch::Tracker;
use crate::features::stft::Stft;
use candle_core::Result;
use realfft::num_complex::Complex;

/// The tables of a configuration.
pub struct Analysis {
    stft: Stft,
    bands: Vec<Filter>,
    tracker: Tracker,
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

/// What a recording is to the nets.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// (frames, values): logarithms of the bands' power, that of the fundamental frequency, whether there is a voice.
    pub frames: Vec<f32>,
    /// The fundamental frequency of each frame in hertz, 0 without a voice.
    pub pitch: Vec<f32>,
}

/// The least power of a band.
const QUIET: f32 = 1e-8;
/// The least amplitude of a bin.
const FLOOR: f32 = 1e-4;
/// Samples to either side that a pulse between samples is spread over.
const REACH: isize = 8;
/// Half of the amplitudes of noise are below so much of their root mean square: a net that learns logarithms finds that.
const MEDIAN: f32 = 0.832_555;

impl Analysis {
    /// For a configuration that was validated.
    ///
    /// # Errors
    /// Windows that do not overlap.
    pub fn new(config: &Config) -> Result<Self> {
        let (rate, hop) = (config.sampling_rate, config.hop_length);
        let [low, high] = config.pitch_range;
        Ok(Self {
            stft: Stft::new(config.window_length, hop)?,
            bands: mel_filters(config.mel_bands, rate, config.window_length),
            tracker: Tracker { rate, hop, low, high },
            mean: config.mean.clone(),
            deviation: config.deviation.clone(),
        })
    }

    /// Values of a frame.
    fn size(&self) -> usize {
        self.bands.len() + 2
    }

    /// What samples are to the nets; the last frame may reach beyond them.
    ///
    /// # Errors
    /// A range of frequencies that cannot be.
    pub fn signal(&self, samples: &[f32]) -> Result<Signal> {
        let pitch = self.tracker.track(samples)?;
        let smooth = filled(&pitch, (self.tracker.low * self.tracker.high).sqrt());
        let spectra = self.stft.spectra(samples);
        let mut frames = Vec::with_capacity(pitch.len() * self.size());
        for ((spectrum, pitch), smooth) in spectra.chunks_exact(self.stft.bins()).zip(&pitch).zip(smooth) {
            let power: Vec<f32> = spectrum.iter().map(Complex::norm_sqr).collect();
            frames.extend(self.bands.iter().map(|band| band.energy(&power).max(QUIET).ln()));
            frames.extend([smooth, f32::from(*pitch > 0.)]);
        }
        Ok(Signal { frames, pitch })
    }

    /// Logarithms of the amplitudes of samples, (frames, bins).
    pub fn levels(&self, samples: &[f32]) -> Vec<f32> {
        self.stft.spectra(samples).iter().map(|bin| bin.norm().max(FLOOR).ln()).collect()
    }

    /// The pulses of a voice of these frequencies, a frame each, as samples.
    pub fn pulses(&self, pitch: &[f32]) -> Vec<f32> {
        pulses(pitch, self.tracker.hop, self.tracker.rate)
    }

    /// Frames as nets see them.
    pub fn normalised(&self, frames: &[f32]) -> Vec<f32> {
        let size = self.size();
        let value = |(i, x): (usize, &f32)| (x - self.mean[i % size]) / self.deviation[i % size];
        frames.iter().enumerate().map(value).collect()
    }

    /// The fundamental frequency of each of the frames as nets see them, 0 without a voice.
    pub fn pitch(&self, frames: &[f32]) -> Vec<f32> {
        let size = self.size();
        let value = |frame: &[f32], i: usize| frame[i] * self.deviation[i] + self.mean[i];
        let pitch = |frame: &[f32]| match value(frame, size - 1) > 0.5 {
            true => value(frame, size - 2).exp().clamp(self.tracker.low, self.tracker.high),
            false => 0.,
        };
        frames.chunks_exact(size).map(pitch).collect()
    }

    /// The samples of a voice of these frequencies, a frame each, whose pulses and whose noise, as many samples of a normal
    /// distribution, have these logarithms of amplitudes, (frames, bins).
    pub fn samples(&self, pitch: &[f32], harmonic: &[f32], noise_levels: &[f32], noise: &[f32]) -> Vec<f32> {
        let bins = self.stft.bins();
        let pulses = self.pulses(pitch);
        let mut spectra = self.stft.spectra(&pulses);
        let noise_spectra = self.stft.spectra(noise);
        // the power of a bin of noise is the sum of the squared window
        let flat = (self.stft.power()).sqrt() * MEDIAN;
        let mut response = vec![Complex::default(); bins];
        for (i, spectrum) in spectra.chunks_exact_mut(bins).enumerate() {
            let row = i * bins..(i + 1) * bins;
            self.stft.minimum_phase(&harmonic[row.clone()], &mut response);
            let noise = noise_spectra[row.clone()].iter().zip(&noise_levels[row]);
            for ((bin, response), (noise, level)) in spectrum.iter_mut().zip(&response).zip(noise) {
                *bin = *bin * response + noise * (level.exp() / flat);
            }
        }
        self.stft.samples(&spectra, pulses.len())
    }
}

/// How far the logarithm of a bin of noise is from that of its median, for a number that is drawn evenly from 0 to 1: what a net
/// must reckon with that calls something noise.
pub fn fluctuation(drawn: f64) -> f32 {
    let power = -drawn.clamp(1e-12, 1. - 1e-12).ln();
    (0.5 * power.ln()) as f32 - MEDIAN.ln()
}

/// Logarithms of frequencies, with straight lines where there are none; `middle` where there are none at all.
fn filled(pitch: &[f32], middle: f32) -> Vec<f32> {
    let voiced: Vec<(usize, f32)> =
        pitch.iter().enumerate().filter(|(_, x)| **x > 0.).map(|(i, x)| (i, x.ln())).collect();
    let at = |i: usize| {
        let next = voiced.partition_point(|(place, _)| *place < i);
        match (next.checked_sub(1).map(|last| voiced[last]), voiced.get(next)) {
            (Some((a, x)), Some((b, y))) => x + (y - x) * (i - a) as f32 / (b - a) as f32,
            (Some((_, x)), None) | (None, Some(&(_, x))) => x,
            (None, None) => middle.ln(),
        }
    };
    (0..pitch.len()).map(at).collect()
}

/// A pulse a period, each of the power that a period of ones has.
fn pulses(pitch: &[f32], hop: usize, rate: u32) -> Vec<f32> {
    let mut samples = vec![0f32; pitch.len() * hop];
    let mut phase = 0f32;
    for i in 0..samples.len() {
        let frame = i / hop;
        if pitch[frame] == 0. {
            phase = 0.5;
            continue;
        }
        // between the centres of two frames the frequency moves evenly
        let place = (i as f32 - (hop / 2) as f32) / hop as f32;
        let (before, part) = (place.floor(), place - place.floor());
        let of = |frame: f32| pitch.get(frame.max(0.) as usize).copied().filter(|x| *x > 0.);
        let (a, b) = (of(before).unwrap_or(pitch[frame]), of(before + 1.).unwrap_or(pitch[frame]));
        let step = (a + (b - a) * part) / rate as f32;
        phase += step;
        if phase >= 1. {
            phase -= 1.;
            let late = phase / step;
            for offset in -REACH..=REACH {
                let Some(sample) = usize::try_from(i as isize + offset).ok().and_then(|i| samples.get_mut(i))
                else {
                    continue;
                };
                let x = offset as f32 + late;
                let window = 0.5 + 0.5 * (std::f32::consts::PI * x / (REACH + 1) as f32).cos();
                let angle = std::f32::consts::PI * x;
                let sinc = if angle.abs() < 1e-4 { 1. } else { angle.sin() / angle };
                *sample += sinc * window * step.recip().sqrt();
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config() -> Config {
        Config {
            model_type: Config::TYPE.into(),
            symbols: vec!["a".into()],
            sampling_rate: 16_000,
            hop_length: 200,
            window_length: 800,
            mel_bands: 20,
            pitch_range: [60., 400.],
            mean: vec![0.; 22],
            deviation: vec![1.; 22],
            width: 8,
            taps: 3,
            encoder_blocks: 1,
            duration_blocks: 1,
            flow_blocks: 1,
            filter_blocks: 1,
            text_expansion: 1,
            sound_expansion: 1,
            steps: 1,
        }
    }

    #[test]
    fn pulses_come_at_the_frequency_and_have_the_power_of_ones() {
        for frequency in [70., 123.4, 399.] {
            let samples = pulses(&[frequency; 80], 200, 16_000);
            let power = samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32;
            // a pulse between two samples lacks what is highest
            assert!((power - 1.).abs() < 0.1, "{frequency}: {power}");
            let found = Tracker { rate: 16_000, hop: 200, low: 60., high: 400. }.track(&samples).unwrap();
            assert!(found[5..75].iter().all(|x| (x / frequency - 1.).abs() < 0.01), "{frequency}: {found:?}");
        }
        assert!(pulses(&[0.; 9], 200, 16_000).iter().all(|x| *x == 0.));
    }

    #[test]
    fn frames_say_what_is_heard() {
        let analysis = Analysis::new(&config()).unwrap();
        let samples = [pulses(&[150.; 40], 200, 16_000), vec![0.; 4000]].concat();
        let signal = analysis.signal(&samples).unwrap();
        assert_eq!((signal.pitch.len(), signal.frames.len()), (60, 60 * 22));
        let frame = |i: usize| &signal.frames[i * 22..][..22];
        assert!((frame(20)[20] - 150f32.ln()).abs() < 0.01 && frame(20)[21] == 1.);
        // silence: the frequency goes on, the voice does not
        assert!((frame(55)[20] - 150f32.ln()).abs() < 0.05 && frame(55)[21] == 0.);
        assert!(frame(55)[..20].iter().all(|x| *x == QUIET.ln()));
        assert_eq!(analysis.pitch(&analysis.normalised(&signal.frames)).len(), 60);
    }

    #[test]
    fn what_is_made_has_the_levels_asked_for() {
        let analysis = Analysis::new(&config()).unwrap();
        let bins = config().bins();
        // a slope for the pulses, noise that is far below, then noise alone
        let slope: Vec<f32> = (0..60 * bins).map(|i| -0.01 * (i % bins) as f32).collect();
        let pitch = [vec![120.; 30], vec![0.; 30]].concat();
        let noise_levels: Vec<f32> =
            (0..60).flat_map(|i| vec![if i < 30 { -9. } else { 1. }; bins]).collect();
        let mut state = 7u32;
        let mut uniform = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        let noise: Vec<f32> = (0..12_000).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.).collect();
        let samples = analysis.samples(&pitch, &slope, &noise_levels, &noise);
        let (found, pulses) = (analysis.levels(&samples), analysis.levels(&analysis.pulses(&pitch)));
        // at the harmonics, 6 bins apart
        for frame in 8..22 {
            for bin in (12..300).step_by(6) {
                let i = frame * bins + bin;
                assert!((found[i] - (pulses[i] + slope[i])).abs() < 0.2, "frame {frame}, bin {bin}");
            }
        }
        let mut noisy: Vec<f32> =
            (38..55).flat_map(|frame| found[frame * bins + 5..][..380].to_vec()).collect();
        noisy.sort_by(f32::total_cmp);
        let median = noisy[noisy.len() / 2];
        assert!((median - 1.).abs() < 0.1, "{median}");
    }

    #[test]
    fn noise_fluctuates_about_its_median() {
        let mut drawn: Vec<f32> = (1..1000).map(|i| fluctuation(f64::from(i) / 1000.)).collect();
        assert!(fluctuation(0.5).abs() < 1e-6);
        let power = drawn.iter().map(|x| (2. * x).exp()).sum::<f32>() / 999.;
        assert!((power * MEDIAN * MEDIAN - 1.).abs() < 0.02, "{power}");
        drawn.sort_by(f32::total_cmp);
        assert!(
            drawn[0] < -2.5 && drawn[998] > 1. && fluctuation(0.).is_finite() && fluctuation(1.).is_finite()
        );
    }

    #[test]
    fn gaps_are_bridged() {
        let found = filled(&[0., 100., 0., 0., 200., 0.], 50.);
        let expected = [100f32, 100., 125.99, 158.74, 200., 200.].map(f32::ln);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{found:?}");
        assert_eq!(filled(&[0.; 2], 50.), [50f32.ln(); 2]);
    }
}
