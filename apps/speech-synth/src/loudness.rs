//! How loud sound is (EBU R128), and what brings it to a target.

use anyhow::{Result, anyhow};
use ebur128::{EbuR128, Mode};

/// The loudness of sound that comes in blocks.
pub struct Meter {
    state: EbuR128,
    peak: f32,
}

/// What sound is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gain {
    /// The factor.
    pub factor: f32,
    /// The loudness that comes, in LUFS: less than was asked for where sound would be clipped otherwise.
    pub reached: f64,
}

impl Meter {
    /// Of one channel at a rate.
    ///
    /// # Errors
    /// A rate at which loudness is not defined.
    pub fn new(rate: u32) -> Result<Self> {
        let state = EbuR128::new(1, rate, Mode::I);
        let state =
            state.map_err(|error| anyhow!("--lufs: loudness at {rate} Hz cannot be measured: {error}"))?;
        Ok(Self { state, peak: 0. })
    }

    /// Takes a block.
    ///
    /// # Errors
    /// None that is known.
    pub fn take(&mut self, samples: &[f32]) -> Result<()> {
        self.peak = samples.iter().fold(self.peak, |peak, sample| peak.max(sample.abs()));
        self.state.add_frames_f32(samples).map_err(|error| anyhow!("--lufs: {error}"))
    }

    /// What brings all that was taken to a loudness in LUFS without clipping; nothing where it is silent, or shorter than
    /// what loudness is measured over (0.4 s).
    ///
    /// # Errors
    /// None that is known.
    pub fn gain(&self, target: f64) -> Result<Option<Gain>> {
        let loudness = self.state.loudness_global().map_err(|error| anyhow!("--lufs: {error}"))?;
        if !loudness.is_finite() || self.peak == 0. {
            return Ok(None);
        }
        let wanted = 10f64.powf((target - loudness) / 20.);
        let factor = wanted.min(1. / f64::from(self.peak));
        Ok(Some(Gain { factor: factor as f32, reached: loudness + 20. * factor.log10() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f32, seconds: f32) -> Vec<f32> {
        let count = (48_000. * seconds) as usize;
        (0..count).map(|i| amplitude * (std::f32::consts::TAU * 997. * i as f32 / 48_000.).sin()).collect()
    }

    fn gain(samples: &[f32], target: f64) -> Option<Gain> {
        let mut meter = Meter::new(48_000).unwrap();
        samples.chunks(1000).for_each(|block| meter.take(block).unwrap());
        meter.gain(target).unwrap()
    }

    #[test]
    fn a_tone_of_known_loudness_is_brought_to_the_target() {
        // ITU-R BS.1770: 997 Hz at full scale in one channel has -3.01 LUFS
        let found = gain(&tone(0.1, 3.), -23.).unwrap();
        assert!((f64::from(found.factor) - 10f64.powf((-23. + 23.01) / 20.)).abs() < 5e-3, "{found:?}");
        assert!((found.reached + 23.).abs() < 1e-6);
        let loud = gain(&tone(0.5, 3.), -1.).unwrap();
        assert!((loud.factor - 2.).abs() < 1e-3 && (loud.reached + 3.01).abs() < 0.05, "{loud:?}");
        assert_eq!([gain(&tone(0., 3.), -23.), gain(&tone(0.5, 0.1), -23.)], [None, None]);
    }
}
