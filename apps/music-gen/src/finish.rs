//! What is done to a sound before it is written: nothing, unless it is asked for.

use anyhow::{Context, Result};
use media::loudness::integrated;
use media::wav::Depth;
use serde::Serialize;

use crate::Kind;
use crate::sound::Audio;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Finish {
    /// Loudness that the whole is brought to, in LUFS.
    pub lufs: Option<f64>,
    /// Seconds at the end over which it fades away.
    pub fade: Option<f64>,
    /// Bits of a sample: 16, 24, or 32 for floats.
    pub bits: u16,
}

impl Finish {
    /// How samples are written.
    pub fn depth(&self) -> Depth {
        match self.bits {
            24 => Depth::TwentyFour,
            32 => Depth::Float,
            _ => Depth::Sixteen,
        }
    }

    /// Does what is asked: the fade, then the loudness, to which silence has no answer.
    pub fn apply(&self, audio: &mut Audio) {
        if let Some(seconds) = self.fade {
            fade(audio, seconds);
        }
        if let Some(lufs) = self.lufs
            && let Some(found) = integrated(&audio.samples, audio.channels, audio.rate)
        {
            let gain = 10f64.powf((lufs - found) / 20.0) as f32;
            audio.samples.iter_mut().for_each(|sample| *sample *= gain);
        }
    }

    /// A sound, finished, as the bytes of a file: of a WAV file, unless `kind` is FLAC.
    ///
    /// # Errors
    /// Samples that are no numbers, more than 4 GB, and floats in FLAC.
    pub fn bytes(&self, mut audio: Audio, kind: Kind) -> Result<Vec<u8>> {
        self.apply(&mut audio);
        self.encode(&audio, kind)
    }

    /// A sound that is finished as the bytes of a file.
    ///
    /// # Errors
    /// As [`Finish::bytes`].
    pub fn encode(&self, audio: &Audio, kind: Kind) -> Result<Vec<u8>> {
        let Audio { rate, channels, samples } = audio;
        let bytes = match kind {
            Kind::Flac => media::flac::encode(samples, *channels, *rate, self.depth()),
            _ => media::wav::encode_as(samples, *channels, *rate, self.depth()),
        };
        bytes.context("the sound cannot be written")
    }
}

/// How far the highest peak lies above full scale, in decibels, where it does.
pub fn excess(audio: &Audio) -> Option<f64> {
    let peak = audio.samples.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    (peak > 1.0).then(|| 20.0 * f64::from(peak).log10())
}

/// Half a cosine from full to nothing.
fn fade(audio: &mut Audio, seconds: f64) {
    let channels = usize::from(audio.channels.max(1));
    let frames = audio.samples.len() / channels;
    let length = ((seconds * f64::from(audio.rate)).round() as usize).min(frames);
    for (frame, samples) in audio.samples.chunks_mut(channels).skip(frames - length).enumerate() {
        let gone = (frame + 1) as f64 / length as f64;
        let gain = (0.5 + 0.5 * (std::f64::consts::PI * gone).cos()) as f32;
        samples.iter_mut().for_each(|sample| *sample *= gain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Audio {
        let sample = |i: usize| ((i / 2) as f32 * 0.3).sin() * 0.4;
        Audio { rate: 8000, channels: 2, samples: (0..2 * 16_000).map(sample).collect() }
    }

    #[test]
    fn the_end_fades_and_nothing_else() {
        let (before, mut audio) = (tone(), tone());
        Finish { fade: Some(0.5), bits: 16, ..Finish::default() }.apply(&mut audio);
        assert_eq!(audio.samples[..2 * 12_000], before.samples[..2 * 12_000]);
        assert!(
            audio.samples[2 * 12_001..]
                .iter()
                .zip(&before.samples[2 * 12_001..])
                .all(|(a, b)| a.abs() <= b.abs())
        );
        assert!(audio.samples[2 * 16_000 - 2..].iter().all(|sample| sample.abs() < 1e-6));
        // longer than the sound
        Finish { fade: Some(100.0), bits: 16, ..Finish::default() }.apply(&mut audio);
        assert!(audio.samples.iter().all(|sample| sample.is_finite()));
    }

    #[test]
    fn loudness_is_what_was_asked_for() {
        for lufs in [-14.0, -30.0] {
            let mut audio = tone();
            Finish { lufs: Some(lufs), bits: 16, ..Finish::default() }.apply(&mut audio);
            let found = integrated(&audio.samples, 2, 8000).unwrap();
            assert!((found - lufs).abs() < 0.01, "{found} for {lufs}");
        }
        let mut silence = Audio { samples: vec![0.0; 32_000], ..tone() };
        Finish { lufs: Some(-14.0), bits: 16, ..Finish::default() }.apply(&mut silence);
        assert!(silence.samples.iter().all(|sample| *sample == 0.0));
        let mut loud = tone();
        Finish { lufs: Some(0.0), bits: 16, ..Finish::default() }.apply(&mut loud);
        assert!(excess(&loud).unwrap() > 0.0 && excess(&tone()).is_none());
    }
}
