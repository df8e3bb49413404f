//! Samples to WAV files of 16 bits.

use std::io::{Cursor, Seek, Write};

/// Why samples cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Channels or rate of 0, or an incomplete frame.
    #[error("cannot write WAV: {samples} samples of {channels} channels at {rate} Hz make no whole frames")]
    Shape {
        /// Samples given, over all channels.
        samples: usize,
        /// Channels asked for.
        channels: u16,
        /// Frames a second asked for.
        rate: u32,
    },
    /// A sample that is no number.
    #[error("cannot write WAV: sample {index} is {value}, expected a finite number")]
    NotFinite {
        /// Which sample, over all channels.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// More than the format's 32-bit sizes can say.
    #[error("cannot write WAV: {samples} samples need more than 4 GB; write shorter pieces")]
    TooLong {
        /// Samples given, over all channels.
        samples: usize,
    },
    /// The writer failed.
    #[error("cannot write WAV: {0}")]
    Write(#[from] hound::Error),
}

/// Writes interleaved `samples` (full scale is -1 to 1) as 16-bit PCM: round(x * 32767), saturating, and
/// nothing else. Everything is checked before the first byte is written.
///
/// # Errors
/// Samples that are not finite or make no whole frames, more than 4 GB, and what the writer reports.
pub fn write<W: Write + Seek>(writer: W, samples: &[f32], channels: u16, rate: u32) -> Result<(), Error> {
    let frame = usize::from(channels);
    // hound puts bytes a second and bytes a frame into 32 and 16 bits
    let fits = rate.checked_mul(2 * u32::from(channels)).is_some() && channels <= u16::MAX / 2;
    if frame == 0 || rate == 0 || !fits || !samples.len().is_multiple_of(frame) {
        return Err(Error::Shape { samples: samples.len(), channels, rate });
    }
    if samples.len() > (u32::MAX as usize - 64) / 2 {
        return Err(Error::TooLong { samples: samples.len() });
    }
    if let Some((index, &value)) = samples.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        return Err(Error::NotFinite { index, value });
    }
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format };
    let mut wav = hound::WavWriter::new(writer, spec)?;
    for sample in samples {
        // the cast saturates
        wav.write_sample((sample * 32767.0).round() as i16)?;
    }
    Ok(wav.finalize()?)
}

/// [`write`] into memory.
///
/// # Errors
/// As [`write`].
pub fn encode(samples: &[f32], channels: u16, rate: u32) -> Result<Vec<u8>, Error> {
    let mut bytes = Cursor::new(Vec::with_capacity(samples.len() * 2 + 64));
    write(&mut bytes, samples, channels, rate)?;
    Ok(bytes.into_inner())
}
