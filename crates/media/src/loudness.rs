//! How loud a sound is to the ear: integrated loudness in LUFS, by ITU-R BS.1770-4 and EBU R128.

use ebur128::{EbuR128, Mode};

/// Loudness that cannot be measured.
#[derive(Debug, thiserror::Error)]
#[error("loudness of {channels} channels at {rate} Hz cannot be measured: {source}")]
pub struct Error {
    channels: u16,
    rate: u32,
    source: ebur128::Error,
}

/// The loudness of sound that comes in blocks.
pub struct Meter(EbuR128);

impl Meter {
    /// Of so many channels at a rate.
    ///
    /// # Errors
    /// A rate, or a number of channels, that loudness is not defined for.
    pub fn new(channels: u16, rate: u32) -> Result<Self, Error> {
        let state = EbuR128::new(u32::from(channels), rate, Mode::I);
        state.map(Self).map_err(|source| Error { channels, rate, source })
    }

    /// Takes whole frames of interleaved samples, full scale -1 to 1; what is left over is not heard.
    pub fn take(&mut self, samples: &[f32]) {
        let channels = self.0.channels() as usize;
        let whole = samples.len() / channels * channels;
        let taken = self.0.add_frames_f32(&samples[..whole]);
        debug_assert!(taken.is_ok(), "whole frames");
    }

    /// Loudness in LUFS of all that was taken; `None` for silence and for less than 400 ms.
    pub fn integrated(&self) -> Option<f64> {
        self.0.loudness_global().ok().filter(|loudness| loudness.is_finite())
    }
}

/// Loudness in LUFS of interleaved samples (full scale is -1 to 1); `None` for silence, for less than 400 ms, and where it
/// cannot be measured.
pub fn integrated(samples: &[f32], channels: u16, rate: u32) -> Option<f64> {
    let mut meter = Meter::new(channels, rate).ok()?;
    meter.take(samples);
    meter.integrated()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    fn sine(frequency: f64, peak: f64, rate: u32, seconds: f64) -> Vec<f32> {
        let sample = |i: usize| (peak * (2.0 * PI * frequency * i as f64 / f64::from(rate)).sin()) as f32;
        (0..(f64::from(rate) * seconds) as usize).map(sample).collect()
    }

    #[test]
    fn a_sine_of_997_hertz_is_as_loud_as_the_standard_says() {
        for rate in [32_000, 44_100, 48_000] {
            let found = integrated(&sine(997.0, 1.0, rate, 3.0), 1, rate).unwrap();
            assert!((found + 3.01).abs() < 0.02, "{rate}: {found}");
            let stereo: Vec<f32> = sine(997.0, 0.1, rate, 3.0).into_iter().flat_map(|x| [x, x]).collect();
            let found = integrated(&stereo, 2, rate).unwrap();
            assert!((found + 20.0).abs() < 0.02, "{rate}: {found}");
        }
    }

    #[test]
    fn pauses_do_not_count() {
        let mut sound = sine(997.0, 0.5, 48_000, 4.0);
        let alone = integrated(&sound, 1, 48_000).unwrap();
        sound.extend(vec![0.0; 48_000 * 20]);
        let paused = integrated(&sound, 1, 48_000).unwrap();
        assert!((alone - paused).abs() < 0.2, "{alone} {paused}");
        assert_eq!(integrated(&[0.0; 96_000], 1, 48_000), None);
        assert_eq!(integrated(&sine(997.0, 1.0, 48_000, 0.3), 1, 48_000), None);
        assert_eq!(integrated(&[], 2, 48_000), None);
        assert!(Meter::new(0, 48_000).is_err() && Meter::new(1, 0).is_err());
    }
}
