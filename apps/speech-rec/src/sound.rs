//! A file's log-mel frames, window by window, in constant memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use media::audio::{Audio, Mono};
use models::features::log_mel::{LogMel, Stream, scale};

use crate::Frames;
use crate::vad::Detector;

/// Samples a second, as all of Whisper's models were trained.
pub const RATE: u32 = 16_000;
/// Samples from one frame to the next.
pub const HOP: usize = 160;
/// Values that are kept so that a short file need not be decoded twice: 2 minutes in 80 bands, 4 MiB.
const KEPT: usize = 1 << 20;

/// Samples without a container: whole numbers of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw {
    /// Samples a second and channel.
    pub rate: u32,
    /// Channels, sample by sample.
    pub channels: u16,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// What it holds, where it has no container that says so.
    pub raw: Option<Raw>,
    /// What stands before damage is heard; without, a damaged file is refused.
    pub damaged: bool,
}

/// A file as frames. Its loudest value decides what counts as silence, so all of it is heard once before the first window.
pub struct Sound {
    path: PathBuf,
    reading: Reading,
    mel: LogMel,
    bands: usize,
    /// Frames of sound.
    count: usize,
    /// Samples of silence after them.
    silence: usize,
    largest: f32,
    /// Where somebody speaks.
    speech: Vec<Range<usize>>,
    /// Frames that lie ready, one after the other.
    ready: Vec<f32>,
    /// The number of the first of them.
    first: usize,
    /// Where more come from; nothing where all are ready.
    source: Option<Source>,
    damage: Option<String>,
}

struct Source {
    samples: Option<Mono>,
    stream: Option<Stream>,
}

impl Sound {
    /// Opens a file for a model of so many bands, with windows of so many frames.
    ///
    /// # Errors
    /// One line on what is not sound, or damaged.
    pub fn open(path: &Path, reading: Reading, bands: usize, frames: usize) -> Result<Self> {
        let mut sound = Self {
            path: path.to_path_buf(),
            reading,
            mel: LogMel::new(bands)?,
            bands,
            count: 0,
            silence: frames * HOP,
            largest: f32::NEG_INFINITY,
            speech: Vec::new(),
            ready: Vec::new(),
            first: 0,
            source: None,
            damage: None,
        };
        sound.hear()?;
        Ok(sound)
    }

    /// Samples at 16 kHz as such.
    ///
    /// # Errors
    /// Bands that there are not.
    pub fn of(samples: &[f32], bands: usize, frames: usize) -> Result<Self> {
        let mel = LogMel::new(bands)?;
        let silence = frames * HOP;
        let mut stream = mel.stream();
        let mut ready = stream.push(samples);
        let mut detector = Detector::new(bands);
        detector.push(&ready);
        ready.extend(stream.push(&vec![0.; silence]));
        let (rest, largest) = stream.finish()?;
        ready.extend(rest);
        Ok(Self {
            path: PathBuf::new(),
            reading: Reading::default(),
            mel,
            bands,
            count: samples.len() / HOP,
            silence,
            largest,
            speech: detector.finish(),
            ready,
            first: 0,
            source: None,
            damage: None,
        })
    }

    /// Why it ends where it does, if that is not its own end.
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> f64 {
        (self.count * HOP) as f64 / f64::from(RATE)
    }

    fn samples(&self) -> Result<Mono> {
        let audio = match self.reading.raw {
            Some(Raw { rate, channels }) => Audio::raw(&self.path, rate, channels.into())?,
            None => Audio::open(&self.path)?,
        };
        Ok(audio.mono(RATE)?)
    }

    /// All of it once, for its length, its loudest value, and where somebody speaks.
    fn hear(&mut self) -> Result<()> {
        let (mut stream, mut heard, mut keep) = (self.mel.stream(), 0, true);
        let mut detector = Detector::new(self.bands);
        let mut source = self.samples()?;
        while let Some(samples) = self.next(&mut source)? {
            heard += samples.len();
            let frames = stream.push(&samples);
            detector.push(&frames);
            self.take(&frames, &mut keep);
        }
        if heard == 0 {
            bail!("{}: holds no sound", self.path.display());
        }
        self.take(&stream.push(&vec![0.; self.silence]), &mut keep);
        let (rest, largest) = stream.finish()?;
        self.take(&rest, &mut keep);
        self.largest = largest;
        self.speech = detector.finish();
        self.count = heard / HOP;
        Ok(())
    }

    /// The next block; at damage that is put up with, the end.
    fn next(&mut self, source: &mut Mono) -> Result<Option<Vec<f32>>> {
        match source.next().transpose() {
            Err(error) if self.reading.damaged && error.is_partial() => {
                self.damage = Some(error.to_string());
                Ok(None)
            }
            Err(error) if error.is_partial() => Err(anyhow!("{error}; --damaged listens to what is there")),
            block => Ok(block?),
        }
    }

    fn take(&mut self, frames: &[f32], keep: &mut bool) {
        *keep &= self.ready.len() + frames.len() <= KEPT;
        if *keep {
            self.ready.extend(frames);
        } else {
            self.ready = Vec::new();
            self.source.get_or_insert(Source { samples: None, stream: None });
        }
    }

    /// Decodes on until frames are ready, and lets go of those before them.
    fn reach(&mut self, from: usize, end: usize) -> Result<()> {
        loop {
            let passed = ((from - self.first) * self.bands).min(self.ready.len());
            self.ready.drain(..passed);
            self.first += passed / self.bands;
            if self.ready.len() >= end.saturating_sub(self.first) * self.bands {
                return Ok(());
            }
            let Some(source) = self.source.take() else { return Ok(()) };
            let mut samples = match source.samples {
                Some(samples) => samples,
                None => self.samples()?,
            };
            let mut stream = source.stream.unwrap_or_else(|| self.mel.stream());
            match self.next(&mut samples)? {
                Some(block) => {
                    self.ready.extend(stream.push(&block));
                    self.source = Some(Source { samples: Some(samples), stream: Some(stream) });
                }
                None => {
                    self.ready.extend(stream.push(&vec![0.; self.silence]));
                    self.ready.extend(stream.finish()?.0);
                }
            }
        }
    }
}

impl Frames for Sound {
    fn count(&self) -> usize {
        self.count
    }

    fn speech(&self) -> Option<&[Range<usize>]> {
        Some(&self.speech)
    }

    fn window(&mut self, from: usize, count: usize) -> Result<Vec<f32>> {
        if from < self.first {
            bail!("frame {from} was asked for after frame {}", self.first);
        }
        if self.source.is_some() {
            self.reach(from, from + count)?;
        }
        let start = (from - self.first) * self.bands;
        let Some(frames) = self.ready.get(start..start + count * self.bands) else {
            bail!("{}: changed while it was read", self.path.display());
        };
        let mut window = vec![0.; frames.len()];
        for (frame, values) in frames.chunks(self.bands).enumerate() {
            for (band, value) in values.iter().enumerate() {
                window[band * count + frame] = *value;
            }
        }
        scale(&mut window, self.largest);
        Ok(window)
    }
}
