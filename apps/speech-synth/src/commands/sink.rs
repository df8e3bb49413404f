//! Where samples go as they are made: a file or stdout, by way of another rate or another loudness.
//!
//! A file that grows is whole up to its last sample whenever it is closed, also when the disk is full before the text is
//! at its end.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result, anyhow, bail};
use media::audio::Resampler;
use media::flac::Encoder;
use media::wav::{self, Depth};
use speech_synth::loudness::{Gain, Meter};

use crate::cli::Format;

/// What sound is brought to.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Samples a second that the voice makes.
    pub from: u32,
    /// Samples a second that are written.
    pub rate: u32,
    /// With a header or without.
    pub format: Format,
    /// How a sample is stored.
    pub depth: Depth,
    /// The loudness that is asked for, in LUFS.
    pub lufs: Option<f64>,
}

/// Takes samples.
pub struct Sink<'a> {
    form: Form,
    place: Place<'a>,
    resampler: Option<Resampler>,
    levelling: Option<Levelling>,
    flac: Option<Encoder>,
    /// Bytes of samples that were written,
    bytes: u64,
    /// and how many samples those are.
    samples: u64,
}

/// Where bytes go.
pub enum Place<'a> {
    /// A file from its beginning; its header is written anew at the end.
    File(&'a File),
    /// A pipe: the header says that the sound ends where the stream does.
    Stdout,
}

/// Sound waits on disk until its loudness is known.
struct Levelling {
    target: f64,
    meter: Meter,
    file: File,
}

/// Samples that are read back at a time.
const BLOCK: usize = 1 << 16;

impl<'a> Sink<'a> {
    /// Begins sound of this form at a place.
    ///
    /// # Errors
    /// Rates that cannot be brought to one another, and a place that cannot be written.
    pub fn new(form: Form, place: Place<'a>) -> Result<Self> {
        let Form { from, rate, .. } = form;
        let resampler = (from != rate).then(|| Resampler::new(from, rate)).transpose();
        let resampler = resampler.map_err(|why| anyhow!("--sample-rate {rate}: {why}"))?;
        let levelling = |target| -> Result<Levelling> {
            let file =
                tempfile::tempfile().context("--lufs: sound has to wait on disk until all is known")?;
            Ok(Levelling { target, meter: Meter::new(rate)?, file })
        };
        let levelling = form.lufs.map(levelling).transpose()?;
        let flac = (form.format == Format::Flac).then(|| Encoder::new(1, rate, form.depth)).transpose();
        let flac = flac.map_err(|_| anyhow!("--sample-rate {rate}: beyond what FLAC holds"))?;
        let mut sink = Self { form, place, resampler, levelling, flac, bytes: 0, samples: 0 };
        sink.send(&sink.header(None))?;
        Ok(sink)
    }

    fn header(&self, bytes: Option<u64>) -> Vec<u8> {
        match (self.form.format, &self.flac) {
            (Format::Flac, Some(flac)) => flac.header(bytes.map_or(0, |_| self.samples)),
            (Format::Wav, _) => wav::header(self.form.depth, self.form.rate, bytes),
            _ => Vec::new(),
        }
    }

    /// Takes samples at the voice's rate.
    ///
    /// # Errors
    /// A place that cannot be written; what was written before stays.
    pub fn take(&mut self, samples: &[f32]) -> Result<()> {
        let Some(resampler) = &mut self.resampler else { return self.pass(samples) };
        let mut ready = Vec::new();
        resampler.push(samples, &mut ready).map_err(|why| anyhow!("--sample-rate: {why}"))?;
        self.pass(&ready)
    }

    /// Ends the sound, and says how many samples were written and what they were multiplied with.
    ///
    /// # Errors
    /// As [`Sink::take`].
    pub fn finish(&mut self) -> Result<Option<Gain>> {
        if let Some(mut resampler) = self.resampler.take() {
            let mut ready = Vec::new();
            resampler.finish(&mut ready).map_err(|why| anyhow!("--sample-rate: {why}"))?;
            self.pass(&ready)?;
        }
        let mut gain = None;
        if let Some(levelling) = self.levelling.take() {
            gain = levelling.meter.gain(levelling.target)?;
            self.level(levelling.file, gain.map_or(1., |gain| gain.factor))?;
        }
        if let Some(flac) = &mut self.flac {
            let waiting = flac.waiting() as u64;
            let last = flac.finish();
            self.put(&last, waiting)?;
        }
        self.close()?;
        Ok(gain)
    }

    /// Makes a file of what was written: whole samples, and a header that knows their number. Also after an error.
    ///
    /// # Errors
    /// A file that cannot be written at all.
    pub fn close(&mut self) -> Result<()> {
        let Place::File(mut file) = self.place else { return Ok(()) };
        let header = self.header(Some(self.bytes));
        // a disk that was full may have taken a part of a block
        file.set_len(header.len() as u64 + self.bytes)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header)?;
        if self.form.format == Format::Wav && !self.bytes.is_multiple_of(2) {
            file.seek(SeekFrom::End(0))?;
            file.write_all(&[0])?;
        }
        Ok(())
    }

    /// Samples that were written.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    fn pass(&mut self, samples: &[f32]) -> Result<()> {
        let Some(levelling) = &mut self.levelling else { return self.write(samples) };
        levelling.meter.take(samples)?;
        levelling.file.write_all(&Depth::Float.stored(samples)).context("--lufs: sound that waits on disk")
    }

    fn level(&mut self, mut file: File, factor: f32) -> Result<()> {
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = vec![0; BLOCK * usize::from(Depth::Float.bytes())];
        loop {
            let mut filled = 0;
            while filled < bytes.len() {
                match file.read(&mut bytes[filled..])? {
                    0 => break,
                    count => filled += count,
                }
            }
            if filled == 0 {
                return Ok(());
            }
            let (samples, _) = bytes[..filled].as_chunks::<4>();
            let samples: Vec<f32> = samples.iter().map(|bytes| f32::from_le_bytes(*bytes) * factor).collect();
            self.write(&samples)?;
        }
    }

    fn write(&mut self, samples: &[f32]) -> Result<()> {
        if let Some(flac) = &mut self.flac {
            let before = flac.waiting();
            let bytes = flac.take(samples)?;
            let whole = before + samples.len() - flac.waiting();
            return self.put(&bytes, whole as u64);
        }
        let bytes = self.form.depth.stored(samples);
        if self.form.format == Format::Wav
            && matches!(self.place, Place::File(_))
            && self.bytes + bytes.len() as u64 > wav::MOST
        {
            bail!("a WAV file holds 4 GB at most: write --format flac or raw, or a text in parts");
        }
        self.put(&bytes, samples.len() as u64)
    }

    /// Writes bytes of so many samples. Where that fails, whole samples of what was taken before the error count, and of
    /// FLAC, none: a block is nothing without its end.
    fn put(&mut self, bytes: &[u8], samples: u64) -> Result<()> {
        let before = self.place_of_file()?;
        match self.send(bytes) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                self.samples += samples;
                Ok(())
            }
            Err(error) => {
                let size = u64::from(self.form.depth.bytes());
                let taken =
                    if self.flac.is_some() { 0 } else { self.place_of_file()?.saturating_sub(before) };
                self.bytes += taken / size * size;
                self.samples += taken / size;
                if let Place::File(mut file) = self.place {
                    file.seek(SeekFrom::Start(before + taken / size * size))?;
                }
                Err(error)
            }
        }
    }

    fn place_of_file(&self) -> Result<u64> {
        match self.place {
            Place::File(mut file) => Ok(file.stream_position()?),
            Place::Stdout => Ok(0),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match self.place {
            Place::File(mut file) => file.write_all(bytes).context("cannot write the sound"),
            Place::Stdout => cli::print_bytes(bytes),
        }
    }
}
