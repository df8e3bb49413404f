//! Short-time Fourier transforms and the way back: frames of a Hann window, spectra, and samples laid over each other.
//!
//! Frame `i` is centred in the `i`th hop, so that samples of `n` hops have `n` frames; beyond the ends is silence.

use std::f64::consts::PI;
use std::sync::Arc;

use candle_core::Result;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// A transform of one length. A clone shares its tables.
#[derive(Clone)]
pub struct Stft {
    hop: usize,
    window: Arc<[f32]>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

/// Below this sum of squared windows nothing can be told of a sample.
const LEAST: f32 = 1e-3;

impl Stft {
    /// Windows of so many samples, one every `hop`.
    ///
    /// # Errors
    /// An odd window, a hop of 0 or above half of the window.
    pub fn new(window: usize, hop: usize) -> Result<Self> {
        if window % 2 == 1 || hop == 0 || 2 * hop > window {
            refuse!("windows of {window} samples every {hop}: even ones, that overlap by half, are wanted");
        }
        let hann = |i: usize| (0.5 - 0.5 * (2.0 * PI * i as f64 / window as f64).cos()) as f32;
        let mut planner = RealFftPlanner::new();
        Ok(Self {
            hop,
            window: (0..window).map(hann).collect(),
            forward: planner.plan_fft_forward(window),
            inverse: planner.plan_fft_inverse(window),
        })
    }

    /// Values of a spectrum: half of the window, and one.
    pub fn bins(&self) -> usize {
        self.window.len() / 2 + 1
    }

    /// The sum of the squared window: the power of noise of variance one in a bin.
    pub fn power(&self) -> f32 {
        self.window.iter().map(|weight| weight * weight).sum()
    }

    /// Frames of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.hop)
    }

    /// Where a frame's window begins, which may be before the first sample.
    fn start(&self, frame: usize) -> isize {
        (frame * self.hop + self.hop / 2) as isize - (self.window.len() / 2) as isize
    }

    /// The spectra of samples, (frames, bins).
    pub fn spectra(&self, samples: &[f32]) -> Vec<Complex<f32>> {
        let bins = self.bins();
        let mut spectra = vec![Complex::default(); self.frames(samples.len()) * bins];
        let mut values = self.forward.make_input_vec();
        let mut scratch = self.forward.make_scratch_vec();
        for (i, spectrum) in spectra.chunks_exact_mut(bins).enumerate() {
            let start = self.start(i);
            for ((j, value), weight) in values.iter_mut().enumerate().zip(&*self.window) {
                let place = usize::try_from(start + j as isize).ok();
                *value = place.and_then(|place| samples.get(place)).map_or(0., |x| x * weight);
            }
            let transformed = self.forward.process_with_scratch(&mut values, spectrum, &mut scratch);
            debug_assert!(transformed.is_ok(), "the buffers are the transform's own");
        }
        spectra
    }

    /// So many samples whose spectra, (frames, bins), are the nearest to those given (Griffin and Lim, 1984).
    pub fn samples(&self, spectra: &[Complex<f32>], count: usize) -> Vec<f32> {
        let (mut sums, mut weights) = (vec![0f32; count], vec![0f32; count]);
        let mut spectrum = self.inverse.make_input_vec();
        let mut values = self.inverse.make_output_vec();
        let mut scratch = self.inverse.make_scratch_vec();
        let scale = 1. / self.window.len() as f32;
        for (i, given) in spectra.chunks_exact(self.bins()).enumerate() {
            spectrum.copy_from_slice(given);
            // a real signal has nothing there
            let last = spectrum.len() - 1;
            (spectrum[0].im, spectrum[last].im) = (0., 0.);
            let transformed = self.inverse.process_with_scratch(&mut spectrum, &mut values, &mut scratch);
            debug_assert!(transformed.is_ok(), "the buffers are the transform's own");
            let start = self.start(i);
            for ((j, value), weight) in values.iter().enumerate().zip(&*self.window) {
                if let Some(place) = usize::try_from(start + j as isize).ok().filter(|place| *place < count) {
                    sums[place] += value * scale * weight;
                    weights[place] += weight * weight;
                }
            }
        }
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum /= weight.max(LEAST));
        sums
    }

    /// The spectrum (bins) of least delay whose logarithmic amplitudes, in nats, are these (bins): its phase follows from
    /// them (Oppenheim and Schafer, "Discrete-Time Signal Processing", on the cepstrum).
    pub fn minimum_phase(&self, amplitudes: &[f32], out: &mut [Complex<f32>]) {
        let size = self.window.len();
        let mut spectrum: Vec<Complex<f32>> = amplitudes.iter().map(|x| Complex::new(*x, 0.)).collect();
        let mut cepstrum = self.inverse.make_output_vec();
        let transformed = self.inverse.process(&mut spectrum, &mut cepstrum);
        debug_assert!(transformed.is_ok(), "the amplitudes of all bins");
        // what lies before time zero is laid upon what lies after it
        cepstrum[1..size / 2].iter_mut().for_each(|x| *x *= 2.);
        cepstrum[size / 2 + 1..].fill(0.);
        cepstrum.iter_mut().for_each(|x| *x /= size as f32);
        let transformed = self.forward.process(&mut cepstrum, out);
        debug_assert!(transformed.is_ok(), "a place for each bin");
        out.iter_mut().for_each(|value| *value = value.exp());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tone(count: usize, cycles: f64) -> Vec<f32> {
        (0..count).map(|i| (2. * PI * cycles * i as f64).sin() as f32).collect()
    }

    #[test]
    fn samples_come_back() {
        for (window, hop) in [(800, 200), (64, 16), (10, 5)] {
            let stft = Stft::new(window, hop).unwrap();
            for count in [1, hop, 20 * hop, 20 * hop + 3] {
                let samples = tone(count, 0.013);
                let spectra = stft.spectra(&samples);
                assert_eq!(spectra.len(), stft.frames(count) * stft.bins());
                let back = stft.samples(&spectra, count);
                // with half a window at the ends there may be a single frame, whose window is small there
                let inside = hop.min(count / 2)..count - hop.min(count / 2);
                for (a, b) in samples[inside.clone()].iter().zip(&back[inside]) {
                    assert!((a - b).abs() < 1e-4, "{window} {hop} {count}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_tone_is_in_its_bin() {
        let stft = Stft::new(800, 200).unwrap();
        let spectra = stft.spectra(&tone(4000, 50. / 800.));
        let middle: Vec<f32> =
            spectra.chunks(stft.bins()).nth(10).unwrap().iter().map(|bin| bin.norm()).collect();
        let loudest = (0..middle.len()).max_by(|a, b| middle[*a].total_cmp(&middle[*b]));
        // half of the window's sum
        assert_eq!(loudest, Some(50));
        assert!((middle[50] - 200.).abs() < 0.1, "{}", middle[50]);
    }

    #[test]
    fn least_delay_keeps_amplitudes_and_begins_at_once() {
        let stft = Stft::new(256, 64).unwrap();
        // a resonance: the amplitudes of 1 / (1 - 2 r cos(w) z + r² z²), whose response is known
        let (r, w) = (0.9f64, 0.8f64);
        let amplitude = |bin: usize| {
            let angle = PI * bin as f64 / 128.;
            let z = Complex::from_polar(1., -angle);
            (Complex::from(1.) - z * (2. * r * w.cos()) + z * z * (r * r)).norm().recip().ln() as f32
        };
        let amplitudes: Vec<f32> = (0..stft.bins()).map(amplitude).collect();
        let mut spectrum = vec![Complex::default(); stft.bins()];
        stft.minimum_phase(&amplitudes, &mut spectrum);
        for (value, amplitude) in spectrum.iter().zip(&amplitudes) {
            assert!((value.norm().ln() - amplitude).abs() < 1e-3);
        }
        let mut response = stft.inverse.make_output_vec();
        stft.inverse.process(&mut spectrum, &mut response).unwrap();
        let (mut before, mut last) = (0f64, 0f64);
        for (i, found) in response.iter().take(40).enumerate() {
            let expected = if i == 0 { 1. } else { 2. * r * w.cos() * last - r * r * before };
            assert!((f64::from(found / 256.) - expected).abs() < 1e-3, "{i}: {} {expected}", found / 256.);
            (before, last) = (last, expected);
        }
    }

    #[test]
    fn windows_that_do_not_overlap_are_refused() {
        assert!(Stft::new(7, 2).is_err() && Stft::new(8, 0).is_err() && Stft::new(8, 5).is_err());
    }
}
