//! Samples to WAV files of 16, 24 or 32 bits: whole ones, and the header and bytes of files that grow while sound is made.

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

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// 16-bit PCM: round(x * 32767), saturating.
    #[default]
    Sixteen,
    /// 24-bit PCM: round(x * 8388607), saturating.
    TwentyFour,
    /// 32-bit floats as they are.
    Float,
}

impl Depth {
    /// Bytes of a sample.
    pub fn bytes(self) -> u16 {
        match self {
            Depth::Sixteen => 2,
            Depth::TwentyFour => 3,
            Depth::Float => 4,
        }
    }

    /// A sample as the whole number that is written, saturating; floats are not rounded, and have none.
    pub(crate) fn round(self, sample: f32) -> i32 {
        match self {
            // the cast saturates
            Depth::Sixteen => i32::from((sample * 32767.0).round() as i16),
            _ => (f64::from(sample) * 8_388_607.0).round().clamp(-8_388_608.0, 8_388_607.0) as i32,
        }
    }

    /// Samples as they lie in a file, little end first; one that is no number becomes 0 where the format has none.
    pub fn stored(self, samples: &[f32]) -> Vec<u8> {
        let whole = |x: &f32| self.round(*x).to_le_bytes().into_iter().take(usize::from(self.bytes()));
        match self {
            Depth::Sixteen | Depth::TwentyFour => samples.iter().flat_map(whole).collect(),
            Depth::Float => samples.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }
}

/// Writes interleaved `samples` (full scale is -1 to 1) as 16-bit PCM, and nothing else. Everything is checked before
/// the first byte is written.
///
/// # Errors
/// Samples that are not finite or make no whole frames, more than 4 GB, and what the writer reports.
pub fn write<W: Write + Seek>(writer: W, samples: &[f32], channels: u16, rate: u32) -> Result<(), Error> {
    write_as(writer, samples, channels, rate, Depth::Sixteen)
}

/// [`write()`] in another depth.
///
/// # Errors
/// As there.
pub fn write_as<W: Write + Seek>(
    writer: W,
    samples: &[f32],
    channels: u16,
    rate: u32,
    depth: Depth,
) -> Result<(), Error> {
    let (frame, bytes) = (usize::from(channels), depth.bytes());
    // hound puts bytes a second and bytes a frame into 32 and 16 bits
    let fits =
        rate.checked_mul(u32::from(bytes) * u32::from(channels)).is_some() && channels <= u16::MAX / bytes;
    if frame == 0 || rate == 0 || !fits || !samples.len().is_multiple_of(frame) {
        return Err(Error::Shape { samples: samples.len(), channels, rate });
    }
    if samples.len() > (u32::MAX as usize - 128) / usize::from(bytes) {
        return Err(Error::TooLong { samples: samples.len() });
    }
    if let Some((index, &value)) = samples.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        return Err(Error::NotFinite { index, value });
    }
    let sample_format =
        if depth == Depth::Float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 8 * bytes, sample_format };
    let mut wav = hound::WavWriter::new(writer, spec)?;
    for &sample in samples {
        match depth {
            Depth::Float => wav.write_sample(sample)?,
            depth => wav.write_sample(depth.round(sample))?,
        }
    }
    Ok(wav.finalize()?)
}

/// Bytes of samples that a file holds at most.
pub const MOST: u64 = u32::MAX as u64 - 128;

/// What stands before the samples of one channel. Where it is not known how many bytes of them follow, as many as can be,
/// which readers of a stream take to mean until its end. Its length depends on the depth alone.
pub fn header(depth: Depth, rate: u32, bytes: Option<u64>) -> Vec<u8> {
    let size = depth.bytes();
    let (tag, more) = if depth == Depth::Float { (3u16, 2u32) } else { (1, 0) };
    let data = bytes.map_or(u32::MAX, |bytes| bytes.min(MOST) as u32);
    let mut fact = Vec::new();
    if more > 0 {
        fact.extend(b"fact\x04\0\0\0");
        fact.extend((data / u32::from(size)).to_le_bytes());
    }
    // an odd number of bytes is followed by one more
    let rest = 20 + 16 + more + fact.len() as u32;
    let riff = if bytes.is_some() { rest.saturating_add(data).saturating_add(data % 2) } else { u32::MAX };
    let mut header = Vec::with_capacity(8 + rest as usize);
    header.extend(b"RIFF");
    header.extend(riff.to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend((16 + more).to_le_bytes());
    header.extend([tag, 1].iter().flat_map(|x| x.to_le_bytes()));
    header.extend([rate, rate.saturating_mul(u32::from(size))].iter().flat_map(|x| x.to_le_bytes()));
    header.extend([size, 8 * size].iter().flat_map(|x| x.to_le_bytes()));
    header.extend(std::iter::repeat_n(0, more as usize));
    header.extend(fact);
    header.extend(b"data");
    header.extend(data.to_le_bytes());
    header
}

/// [`write()`] into memory.
///
/// # Errors
/// As [`write()`].
pub fn encode(samples: &[f32], channels: u16, rate: u32) -> Result<Vec<u8>, Error> {
    encode_as(samples, channels, rate, Depth::Sixteen)
}

/// [`write_as`] into memory.
///
/// # Errors
/// As [`write()`].
pub fn encode_as(samples: &[f32], channels: u16, rate: u32, depth: Depth) -> Result<Vec<u8>, Error> {
    let mut bytes = Cursor::new(Vec::with_capacity(samples.len() * usize::from(depth.bytes()) + 128));
    write_as(&mut bytes, samples, channels, rate, depth)?;
    Ok(bytes.into_inner())
}
