//! A file's log-mel frames, window by window, in constant memory.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use media::audio::{Audio, Mono};
use models::features::log_mel::{LogMel, Stream, scale};

use crate::Frames;

/// Samples a second, as all of Whisper's models were trained.
pub const RATE: u32 = 16_000;
/// Samples from one frame to the next.
pub const HOP: usize = 160;
/// Values that are kept so that a file need not be decoded twice: an hour and a half in 80 bands is more.
const KEPT: usize = 1 << 25;

/// Samples without a container: whole numbers of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw {
    /// Samples a second and channel.
    pub rate: u32,
    /// Channels, sample by sample.
    pub channels: u16,
}

/// A file as frames. Its loudest value decides what counts as silence, so all of it is heard once before the first window.
pub struct Sound {
    path: PathBuf,
    raw: Option<Raw>,
    mel: LogMel,
    bands: usize,
    /// Frames of sound.
    count: usize,
    /// Samples of silence after them.
    silence: usize,
    largest: f32,
    /// Frames that lie ready, one after the other.
    ready: Vec<f32>,
    /// The number of the first of them.
    first: usize,
    /// Where more come from; nothing where all are ready.
    source: Option<Source>,
}

struct Source {
    samples: Option<Mono>,
    stream: Option<Stream>,
}

impl Sound {
    /// Opens a file for a model of so many bands, with windows of so many frames.
    ///
    /// # Errors
    /// One line on what is not sound.
    pub fn open(path: &Path, raw: Option<Raw>, bands: usize, frames: usize) -> Result<Self> {
        let mut sound = Self {
            path: path.to_path_buf(),
            raw,
            mel: LogMel::new(bands)?,
            bands,
            count: 0,
            silence: frames * HOP,
            largest: f32::NEG_INFINITY,
            ready: Vec::new(),
            first: 0,
            source: None,
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
        ready.extend(stream.push(&vec![0.; silence]));
        let (rest, largest) = stream.finish()?;
        ready.extend(rest);
        Ok(Self {
            path: PathBuf::new(),
            raw: None,
            mel,
            bands,
            count: samples.len() / HOP,
            silence,
            largest,
            ready,
            first: 0,
            source: None,
        })
    }

    /// How long it is, in seconds.
    pub fn seconds(&self) -> f64 {
        (self.count * HOP) as f64 / f64::from(RATE)
    }

    fn samples(&self) -> Result<Mono> {
        let audio = match self.raw {
            Some(Raw { rate, channels }) => Audio::raw(&self.path, rate, channels.into())?,
            None => Audio::open(&self.path)?,
        };
        Ok(audio.mono(RATE)?)
    }

    /// All of it once, for its length and its loudest value.
    fn hear(&mut self) -> Result<()> {
        let (mut stream, mut heard, mut keep) = (self.mel.stream(), 0, true);
        for samples in self.samples()? {
            let samples = samples?;
            heard += samples.len();
            self.take(&stream.push(&samples), &mut keep);
        }
        if heard == 0 {
            bail!("{}: holds no sound", self.path.display());
        }
        self.take(&stream.push(&vec![0.; self.silence]), &mut keep);
        let (rest, largest) = stream.finish()?;
        self.take(&rest, &mut keep);
        self.largest = largest;
        self.count = heard / HOP;
        Ok(())
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

    /// Decodes on until so many frames are ready.
    fn reach(&mut self, end: usize) -> Result<()> {
        let wanted = |sound: &Self| end.saturating_sub(sound.first) * sound.bands;
        while self.ready.len() < wanted(self) {
            let Some(mut source) = self.source.take() else { break };
            let samples = match source.samples.take() {
                Some(samples) => samples,
                None => self.samples()?,
            };
            let mut stream = source.stream.take().unwrap_or_else(|| self.mel.stream());
            let mut samples = samples;
            match samples.next() {
                Some(block) => {
                    self.ready.extend(stream.push(&block?));
                    self.source = Some(Source { samples: Some(samples), stream: Some(stream) });
                }
                None => {
                    self.ready.extend(stream.push(&vec![0.; self.silence]));
                    self.ready.extend(stream.finish()?.0);
                }
            }
        }
        Ok(())
    }
}

impl Frames for Sound {
    fn count(&self) -> usize {
        self.count
    }

    fn window(&mut self, from: usize, count: usize) -> Result<Vec<f32>> {
        if from < self.first {
            bail!("frame {from} was asked for after frame {}", self.first);
        }
        if self.source.is_some() {
            self.reach(from)?;
            let passed = ((from - self.first) * self.bands).min(self.ready.len());
            self.ready.drain(..passed);
            self.first += passed / self.bands;
            self.reach(from + count)?;
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
