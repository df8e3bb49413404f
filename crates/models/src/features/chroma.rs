//! The loudest pitch class of each moment, as transformers' `MusicgenMelodyFeatureExtractor` finds it: power of a
//! short-time Fourier transform, gathered into pitch classes by librosa's filters (Ellis, 2007).

use candle_core::Result;
use rayon::prelude::*;
use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The fields of `preprocessor_config.json` that shape the features, under their names there. The defaults are
/// musicgen-melody's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chroma {
    /// Samples a second.
    pub sampling_rate: usize,
    /// Samples that a frame is computed from.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_length: usize,
    /// Seconds that are listened to.
    pub chunk_length: usize,
    /// Pitch classes.
    pub num_chroma: usize,
}

impl Default for Chroma {
    fn default() -> Self {
        Self { sampling_rate: 32_000, n_fft: 16_384, hop_length: 4096, chunk_length: 30, num_chroma: 12 }
    }
}

impl Chroma {
    /// The loudest pitch class of each frame, C first: one more than whole hops. Silence is C.
    ///
    /// # Errors
    /// Sizes that no such features have.
    pub fn classes(&self, samples: &[f32]) -> Result<Vec<u32>> {
        for (name, size, most) in [
            ("sampling_rate", self.sampling_rate, 768_000),
            ("n_fft", self.n_fft, 1 << 20),
            ("hop_length", self.hop_length, 1 << 20),
            ("chunk_length", self.chunk_length, 3600),
            ("num_chroma", self.num_chroma, 1 << 10),
        ] {
            if !(1..=most).contains(&size) {
                refuse!("preprocessor_config.json: {name} {size} is not in 1 to {most}");
            }
        }
        if !self.n_fft.is_multiple_of(2) || self.n_fft < 4 {
            refuse!("preprocessor_config.json: n_fft {} is not an even number of 4 or more", self.n_fft);
        }
        let samples = &samples[..samples.len().min(self.chunk_length * self.sampling_rate)];
        let padded = self.padded(samples);
        let (size, filters) = (self.n_fft, self.filters());
        let window: Vec<f32> =
            (0..size).map(|i| (0.5 - 0.5 * (2. * PI * i as f64 / size as f64).cos()) as f32).collect();
        let transform = RealFftPlanner::<f32>::new().plan_fft_forward(size);
        let frames = (padded.len() - size) / self.hop_length + 1;
        let class = |frame: usize| {
            let mut windowed = transform.make_input_vec();
            let part = &padded[frame * self.hop_length..][..size];
            windowed.iter_mut().zip(part).zip(&window).for_each(|((to, x), w)| *to = x * w);
            let mut spectrum = transform.make_output_vec();
            let transformed = transform.process(&mut windowed, &mut spectrum);
            debug_assert!(transformed.is_ok(), "the buffers are the transform's own");
            let sums = filters.iter().map(|filter| {
                filter
                    .iter()
                    .zip(&spectrum)
                    .map(|(weight, bin)| weight * f64::from(bin.norm_sqr()))
                    .sum::<f64>()
            });
            // the first of those that are alike
            let largest = |best: (usize, f64), (i, sum)| if sum > best.1 { (i, sum) } else { best };
            sums.enumerate().fold((0, f64::MIN), largest).0 as u32
        };
        Ok((0..frames).into_par_iter().map(class).collect())
    }

    /// At least as many samples as a frame needs, with zeros on both sides, and half a frame of them in a mirror beside
    /// each end.
    fn padded(&self, samples: &[f32]) -> Vec<f32> {
        let missing = self.n_fft.saturating_sub(samples.len());
        let mut whole = vec![0.; missing / 2];
        whole.extend_from_slice(samples);
        whole.resize(whole.len() + missing.div_ceil(2), 0.);
        let (half, last) = (self.n_fft / 2, whole.len() - 1);
        let before = (1..=half).rev().map(|i| whole[i]);
        let after = (1..=half).map(|i| whole[last - i]);
        before.chain(whole.iter().copied()).chain(after).collect()
    }

    /// How much each bin counts for each pitch class, in f32 as the reference rounds them.
    fn filters(&self) -> Vec<Vec<f64>> {
        let (size, classes) = (self.n_fft, self.num_chroma);
        // in octaves above the A of 27.5 Hz, times the classes
        let place = |bin: usize| {
            let frequency = bin as f64 * self.sampling_rate as f64 / size as f64;
            classes as f64 * (frequency / 27.5).log2()
        };
        let places: Vec<f64> =
            std::iter::once(place(1) - 1.5 * classes as f64).chain((1..size).map(place)).collect();
        let half = (classes as f64 / 2.).round_ties_even();
        let bins = size / 2 + 1;
        let mut filters = vec![vec![0.; bins]; classes];
        for bin in 0..bins {
            let width = places.get(bin + 1).map_or(1., |next| (next - places[bin]).max(1.));
            let bump = |class: usize| {
                let away = (places[bin] - class as f64 + half + 10. * classes as f64)
                    .rem_euclid(classes as f64)
                    - half;
                (-0.5 * (2. * away / width).powi(2)).exp()
            };
            let column: Vec<f64> = (0..classes).map(bump).collect();
            let norm = column.iter().map(|x| x * x).sum::<f64>().sqrt();
            // the ear hears best around 880 Hz, five octaves above
            let heard = (-0.5 * ((places[bin] / classes as f64 - 5.) / 2.).powi(2)).exp();
            for (class, filter) in filters.iter_mut().enumerate() {
                // from A to C
                let from = (class + 3 * (classes / 12)) % classes;
                filter[bin] = f64::from((column[from] / norm * heard) as f32);
            }
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_heard_note_by_note() -> Result<()> {
        let chroma = Chroma::default();
        // C to B above middle C, a second each
        for class in 0..12 {
            let frequency = 261.625_565 * 2f64.powf(f64::from(class) / 12.);
            let wave = |i: usize| (2. * PI * frequency * i as f64 / 32_000.).sin() as f32;
            let samples: Vec<f32> = (0..32_000).map(wave).collect();
            let classes = chroma.classes(&samples)?;
            assert_eq!(classes.len(), 1 + 32_000 / 4096);
            assert!(classes.iter().all(|found| *found == class), "{class}: {classes:?}");
        }
        Ok(())
    }

    #[test]
    fn short_long_and_silent_sounds_have_their_frames() -> Result<()> {
        let chroma = Chroma { chunk_length: 1, ..Chroma::default() };
        assert_eq!(chroma.classes(&[])?, [0; 5]);
        assert_eq!(chroma.classes(&[0.; 100_000])?, [0; 8]);
        assert!(Chroma { n_fft: 0, ..Chroma::default() }.classes(&[0.]).is_err());
        assert!(Chroma { hop_length: 0, ..Chroma::default() }.classes(&[0.]).is_err());
        Ok(())
    }
}
