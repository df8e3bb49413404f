//! PCM without a header.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::error::AudioError;
use super::{MAX_CHANNELS, RATES};

/// Interleaved 16-bit little-endian samples.
pub(super) struct Raw {
    path: PathBuf,
    reader: BufReader<File>,
    pub rate: u32,
    pub channels: usize,
    /// Size in bytes, of a regular file.
    size: Option<u64>,
}

impl Raw {
    pub fn open(file: File, path: &Path, rate: u32, channels: usize) -> Result<Self, AudioError> {
        let path = path.to_owned();
        if !RATES.contains(&rate) || !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(AudioError::Shape { path, rate, channels });
        }
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
        if size.is_some_and(|size| size < 2 * channels as u64) {
            return Err(AudioError::Empty { path });
        }
        Ok(Self { path, reader: BufReader::new(file), rate, channels, size })
    }

    pub fn seconds(&self) -> Option<f64> {
        let frame = 2 * self.channels as u64;
        self.size.map(|size| (size / frame) as f64 / f64::from(self.rate))
    }

    /// The next samples of the mean of all channels, a quarter of a second.
    pub fn next(&mut self) -> Result<Option<Vec<f32>>, AudioError> {
        let frame = 2 * self.channels;
        let mut bytes = Vec::new();
        let size = (self.rate / 4) as usize * frame;
        let read = self.reader.by_ref().take(size as u64).read_to_end(&mut bytes);
        read.map_err(|error| AudioError::Open { path: self.path.clone(), error })?;
        let scale = 1.0 / (32768.0 * self.channels as f32);
        let sample = |bytes: &[u8; 2]| f32::from(i16::from_le_bytes(*bytes));
        let mean = |frame: &[u8]| frame.as_chunks::<2>().0.iter().map(sample).sum::<f32>() * scale;
        let block: Vec<f32> = bytes.chunks_exact(frame).map(mean).collect();
        Ok(Some(block).filter(|block| !block.is_empty()))
    }
}
