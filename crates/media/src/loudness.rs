//! How loud a sound is to the ear: integrated loudness in LUFS, by ITU-R BS.1770-4.
//!
//! Each channel is filtered as the head and the ear do, its power taken over blocks of 400 ms, three quarters of which
//! overlap; blocks of silence, and then those far below the rest, do not count.

use std::f64::consts::PI;

/// Blocks below this do not count at all.
const SILENCE: f64 = -70.0;
/// Blocks this far below the mean of the others do not count either.
const QUIET: f64 = -10.0;

/// Loudness in LUFS of interleaved samples (full scale is -1 to 1) of one or two channels; `None` for silence and for
/// less than 400 ms.
pub fn integrated(samples: &[f32], channels: u16, rate: u32) -> Option<f64> {
    let channels = usize::from(channels.max(1));
    let (step, frames) = ((rate as usize / 10).max(1), samples.len() / channels);
    // power of each tenth of a second, of all channels together
    let mut powers = vec![0f64; frames / step];
    for channel in 0..channels {
        let mut filters = [Filter::head(rate), Filter::ear(rate)];
        let heard = samples.iter().skip(channel).step_by(channels);
        for (frame, sample) in heard.take(powers.len() * step).enumerate() {
            let x = filters.iter_mut().fold(f64::from(*sample), |x, filter| filter.next(x));
            powers[frame / step] += x * x;
        }
    }
    let blocks: Vec<f64> =
        powers.windows(4).map(|four| four.iter().sum::<f64>() / (4 * step) as f64).collect();
    let mean = |least: f64| {
        let loud: Vec<f64> = blocks.iter().copied().filter(|power| lufs(*power) > least).collect();
        (!loud.is_empty()).then(|| lufs(loud.iter().sum::<f64>() / loud.len() as f64))
    };
    mean((mean(SILENCE)? + QUIET).max(SILENCE))
}

fn lufs(power: f64) -> f64 {
    -0.691 + 10.0 * power.log10()
}

/// A filter of second order.
struct Filter {
    /// Of the input, and of the output one and two steps before.
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Filter {
    /// A shelf: the head makes high tones louder.
    fn head(rate: u32) -> Self {
        let (gain, q) = (10f64.powf(3.999_843_853_973_347 / 20.0), 0.707_175_236_955_419_6);
        // where a rate cannot say so high a tone, the highest that it can
        let k = (PI * (1_681.974_450_955_533 / f64::from(rate)).min(0.45)).tan();
        let (middle, norm) = (gain.powf(0.499_666_774_154_541_6), 1.0 + k / q + k * k);
        let b = [gain + middle * k / q + k * k, 2.0 * (k * k - gain), gain - middle * k / q + k * k];
        Self { b: b.map(|b| b / norm), a: poles(k, q, norm), state: [0.0; 2] }
    }

    /// What is too low to be heard is taken away.
    fn ear(rate: u32) -> Self {
        let q = 0.500_327_037_323_877_3;
        let k = (PI * 38.135_470_876_024_44 / f64::from(rate)).tan();
        Self { b: [1.0, -2.0, 1.0], a: poles(k, q, 1.0 + k / q + k * k), state: [0.0; 2] }
    }

    fn next(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.state[0];
        self.state = [self.b[1] * x - self.a[0] * y + self.state[1], self.b[2] * x - self.a[1] * y];
        y
    }
}

fn poles(k: f64, q: f64, norm: f64) -> [f64; 2] {
    [2.0 * (k * k - 1.0) / norm, (1.0 - k / q + k * k) / norm]
}

#[cfg(test)]
mod tests {
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
        assert!(
            integrated(&sine(300.0, 0.5, 2000, 1.0), 1, 2000)
                .is_some_and(|found| (-20.0..0.0).contains(&found))
        );
    }
}
