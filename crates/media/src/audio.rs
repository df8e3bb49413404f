//! Any audio file to samples at the rate that is asked for: of one channel, in constant memory, or of both.
//!
//! What a file is, its content decides: WAV (PCM, float, A-law, mu-law, ADPCM; RF64), AIFF, CAF, FLAC, ALAC, MP1 to
//! MP3, AAC (LC, and the lower half of HE's band), Ogg Vorbis, Opus, and the sound of MP4, Matroska and WebM. Delay and padding that an encoder
//! added are taken off, so that a sample stands at the time at which it was recorded.

mod aac;
mod container;
mod decode;
mod edits;
mod error;
mod opus;
mod raw;
mod repair;
mod resample;

use std::fs::File;
use std::io::Cursor;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use symphonia::core::io::MediaSource;

use decode::Decoder;
pub use error::AudioError;
use raw::Raw;
pub use resample::Resampler;

/// Rates that are read and resampled to, in Hz.
const RATES: RangeInclusive<u32> = 1_000..=768_000;
const MAX_CHANNELS: usize = 255;

/// A file whose kind, rate and channels are known, and whose first samples could be decoded.
pub struct Audio {
    path: PathBuf,
    source: Source,
}

enum Source {
    File(Box<Decoder>),
    Raw(Raw),
}

impl Audio {
    /// Opens a file of any kind above; a pipe works where its format can be read forwards.
    ///
    /// # Errors
    /// Files that are no audio, hold none, or use a codec that is not supported, by name.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        Self::from_source(Box::new(open(path)?), path, None)
    }

    /// Opens the bytes of a file; `path` is its name in messages.
    ///
    /// # Errors
    /// As [`Audio::open`].
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self, AudioError> {
        Self::from_source(Box::new(Cursor::new(bytes)), path, None)
    }

    /// Opens interleaved 16-bit little-endian PCM without a header; half a frame at the end is dropped.
    ///
    /// # Errors
    /// Files that cannot be read or hold no frame, rates outside 1000 to 768000 Hz, 0 channels.
    pub fn raw(path: &Path, rate: u32, channels: usize) -> Result<Self, AudioError> {
        let raw = Raw::open(open(path)?, path, rate, channels)?;
        Ok(Self { path: path.to_owned(), source: Source::Raw(raw) })
    }

    fn from_source(
        source: Box<dyn MediaSource>,
        path: &Path,
        channel: Option<usize>,
    ) -> Result<Self, AudioError> {
        let decoder = Decoder::open(source, path, channel)?;
        Ok(Self { path: path.to_owned(), source: Source::File(Box::new(decoder)) })
    }

    /// Frames a second in the file.
    pub fn rate(&self) -> u32 {
        match &self.source {
            Source::File(decoder) => decoder.rate,
            Source::Raw(raw) => raw.rate,
        }
    }

    /// Samples a frame in the file.
    pub fn channels(&self) -> usize {
        match &self.source {
            Source::File(decoder) => decoder.channels,
            Source::Raw(raw) => raw.channels,
        }
    }

    /// Length as the header tells it, which a damaged or unfinished file need not keep; `None` where it says nothing.
    pub fn seconds(&self) -> Option<f64> {
        match &self.source {
            Source::File(decoder) => decoder.seconds(),
            Source::Raw(raw) => raw.seconds(),
        }
    }

    /// The samples at `rate`, block by block. Channels are mixed by their mean, (left + right) / 2 for stereo;
    /// full scale is -1 to 1, which lossy codecs may exceed a little, and nothing is clipped.
    ///
    /// # Errors
    /// Rates outside 1000 to 768000 Hz.
    pub fn mono(self, rate: u32) -> Result<Mono, AudioError> {
        if !RATES.contains(&rate) {
            return Err(AudioError::Rate { rate });
        }
        let from = self.rate();
        let resampler = (from != rate).then(|| Resampler::new(from, rate)).transpose();
        let resampler = resampler.map_err(|_| AudioError::Rate { rate })?;
        let Self { path, source } = self;
        Ok(Mono { path, source, resampler, rate, ready: Vec::new(), given: 0, end: None })
    }
}

fn open(path: &Path) -> Result<File, AudioError> {
    let failed = |error| AudioError::Open { path: path.to_owned(), error };
    // before opening, which some systems refuse in words about permissions
    if path.metadata().map_err(failed)?.is_dir() {
        return Err(AudioError::Folder { path: path.to_owned() });
    }
    File::open(path).map_err(failed)
}

impl Source {
    fn next(&mut self) -> Result<Option<Vec<f32>>, AudioError> {
        match self {
            Source::File(decoder) => decoder.next(),
            Source::Raw(raw) => raw.next(),
        }
    }
}

/// Samples of one channel in blocks of half a second, the last one shorter; round(frames * to / from) in all,
/// the same whatever the packets of the file.
///
/// A packet that cannot be decoded becomes silence of its length ([`Mono::lost`]). Where a file
/// ends early, or is damaged otherwise, comes what could be decoded, then an error, then nothing.
pub struct Mono {
    path: PathBuf,
    source: Source,
    resampler: Option<Resampler>,
    rate: u32,
    ready: Vec<f32>,
    given: u64,
    /// Set at the end: what is still to be reported.
    end: Option<Option<AudioError>>,
}

impl Mono {
    /// Time so far that silence stands for damaged packets, in seconds.
    pub fn lost(&self) -> f64 {
        match &self.source {
            Source::File(decoder) => decoder.lost as f64 / f64::from(decoder.rate),
            Source::Raw(_) => 0.0,
        }
    }

    /// Takes one block of the source into `ready`, or what ends it.
    fn take(&mut self) {
        let (block, end) = match self.source.next() {
            Ok(Some(block)) => (block, None),
            Ok(None) => (Vec::new(), Some(None)),
            Err(error) => (Vec::new(), Some(Some(error))),
        };
        let resampled = match &mut self.resampler {
            None => {
                self.ready.extend(block);
                Ok(())
            }
            Some(resampler) if end.is_none() => resampler.push(&block, &mut self.ready),
            Some(resampler) => resampler.finish(&mut self.ready),
        };
        self.end = match resampled {
            Ok(()) => end,
            Err(reason) => {
                let seconds = self.given as f64 / f64::from(self.rate);
                Some(Some(AudioError::Damaged { path: self.path.clone(), seconds, reason }))
            }
        };
    }
}

impl Iterator for Mono {
    type Item = Result<Vec<f32>, AudioError>;

    fn next(&mut self) -> Option<Self::Item> {
        let size = (self.rate / 2) as usize;
        while self.end.is_none() && self.ready.len() < size {
            self.take();
        }
        if self.ready.is_empty() {
            return self.end.as_mut()?.take().map(Err);
        }
        let rest = self.ready.split_off(size.min(self.ready.len()));
        let block = std::mem::replace(&mut self.ready, rest);
        self.given += block.len() as u64;
        Some(Ok(block))
    }
}

/// All samples of a file at `rate`, mixed to one channel.
///
/// # Errors
/// As [`Audio::open`] and [`Audio::mono`], and damage that ends the file early.
pub fn read(path: &Path, rate: u32) -> Result<Vec<f32>, AudioError> {
    let mut samples = Vec::new();
    for block in Audio::open(path)?.mono(rate)? {
        samples.extend(block?);
    }
    Ok(samples)
}

/// All samples of either channel of a file at `rate`; of a file with more than two channels, their mean.
///
/// # Errors
/// As [`read`].
pub fn read_channels(path: &Path, rate: u32) -> Result<Vec<Vec<f32>>, AudioError> {
    channels(path, rate, || Ok(Box::new(open(path)?)))
}

/// [`read_channels`] of the bytes of a file; `path` is its name in messages.
///
/// # Errors
/// As there.
pub fn channels_of(bytes: &[u8], path: &Path, rate: u32) -> Result<Vec<Vec<f32>>, AudioError> {
    channels(path, rate, || Ok(Box::new(Cursor::new(bytes.to_vec()))))
}

fn channels(
    path: &Path,
    rate: u32,
    open: impl Fn() -> Result<Box<dyn MediaSource>, AudioError>,
) -> Result<Vec<Vec<f32>>, AudioError> {
    let all = |audio: Audio| {
        let mut samples = Vec::new();
        for block in audio.mono(rate)? {
            samples.extend(block?);
        }
        Ok(samples)
    };
    let audio = Audio::from_source(open()?, path, None)?;
    match audio.channels() {
        // one after the other, so that each is resampled as a file of its own would be
        2 => (0..2).map(|channel| all(Audio::from_source(open()?, path, Some(channel))?)).collect(),
        _ => Ok(vec![all(audio)?]),
    }
}
