//! From the packets of a track to blocks of one channel.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use symphonia::core::errors::Error;
use symphonia::core::formats::FormatReader;
use symphonia::core::io::MediaSource;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase};

use super::container::{self, Chosen, Codec};
use super::edits::Edits;
use super::error::AudioError;
use super::repair::Length;
use super::{MAX_CHANNELS, RATES, opus};

/// Samples from here on are damage; smaller ones can be added up without overflow.
const LOUDEST: f32 = 1e9;
/// Longest silence that stands for one lost packet, in seconds.
const LONGEST_GAP: f64 = 1.0;

/// A track that is being decoded.
pub(super) struct Decoder {
    path: PathBuf,
    reader: Box<dyn FormatReader>,
    chosen: Chosen,
    /// Frames a second.
    pub rate: u32,
    /// Samples a frame, in the first packet that could be decoded.
    pub channels: usize,
    /// Frames that are still to be dropped, and that may still be given.
    delay: u64,
    left: u64,
    /// Frames given, and those among them that stand for damaged packets.
    given: u64,
    pub lost: u64,
    /// Frames of the packet before.
    usual: u64,
    /// It ended in the middle of a packet.
    cut: bool,
    /// The channel that is given; the mean of all where it is `None`.
    channel: Option<usize>,
    samples: Vec<f32>,
    ready: VecDeque<Vec<f32>>,
}

impl Decoder {
    /// Opens a source and decodes it as far as the first frame, so that what it is is certain.
    ///
    /// # Errors
    /// What is no audio, not supported, or has no frame that can be decoded.
    pub fn open(
        source: Box<dyn MediaSource>,
        path: &Path,
        channel: Option<usize>,
    ) -> Result<Self, AudioError> {
        let (reader, chosen) = container::open(source, path)?;
        let path = path.to_owned();
        let (rate, channels) = (chosen.rate.unwrap_or(0), 0);
        let (samples, ready) = (Vec::new(), VecDeque::new());
        let (delay, left, given, lost, usual, cut) = (0, u64::MAX, 0, 0, 0, false);
        let mut decoder = Self {
            path,
            reader,
            chosen,
            rate,
            channels,
            delay,
            left,
            given,
            lost,
            usual,
            cut,
            channel,
            samples,
            ready,
        };
        decoder.first()?;
        Ok(decoder)
    }

    /// Length of the sound as the container tells it, in seconds.
    pub fn seconds(&self) -> Option<f64> {
        let track = &self.chosen.track;
        let delayed = match &self.chosen.codec {
            Codec::Opus(_) => self.chosen.delay,
            Codec::Symphonia(_) if self.chosen.total.is_some() => self.chosen.delay,
            Codec::Symphonia(_) => 0.0,
        };
        let frames = track.num_frames.filter(|frames| *frames > 0).map(|frames| frames as f64);
        let ticks =
            |(base, ticks): (TimeBase, Duration)| base.calc_duration(ticks).map(|time| time.as_secs_f64());
        let media = self.reader.media_info();
        let seconds = (frames.map(|frames| frames / f64::from(self.chosen.rate.unwrap_or(self.rate))))
            .or_else(|| track.time_base.zip(track.duration).and_then(ticks))
            .or_else(|| media.time_base.zip(media.duration).and_then(ticks))?;
        Some(seconds - delayed).filter(|seconds| seconds.is_finite() && *seconds > 0.0)
    }

    /// The next samples of the channel, or of the mean of all; never an empty block, `None` at the end.
    ///
    /// # Errors
    /// A container that cannot be followed or ends early, another rate than before, samples that are no numbers.
    pub fn next(&mut self) -> Result<Option<Vec<f32>>, AudioError> {
        loop {
            if let Some(block) = self.ready.pop_front() {
                return Ok(Some(block));
            }
            let Some(packet) = self.packet()? else { return self.end() };
            let (frames, rate, channels) = match self.decode(&packet) {
                Ok(shape) => shape,
                Err(_) => {
                    self.silence(&packet);
                    continue;
                }
            };
            if rate != self.rate {
                let (path, seconds) = (self.path.clone(), self.seconds_given());
                return Err(AudioError::Changed { path, seconds, from: self.rate, to: rate });
            }
            self.usual = frames as u64;
            self.mix(channels)?;
        }
    }

    /// Decodes until there is a frame, which tells rate and channels.
    fn first(&mut self) -> Result<(), AudioError> {
        let (mut reason, mut gap) = (None, 0.0);
        while let Some(packet) = self.packet()? {
            match self.decode(&packet) {
                Ok((0, ..)) => {}
                Ok((frames, rate, channels)) => {
                    self.rate = rate;
                    self.channels = channels;
                    let supported = RATES.contains(&rate) && (1..=MAX_CHANNELS).contains(&channels);
                    if !supported {
                        return Err(AudioError::Shape { path: self.path.clone(), rate, channels });
                    }
                    self.usual = frames as u64;
                    let frames = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
                    self.delay = frames(self.chosen.delay);
                    self.left = self.chosen.total.map_or(u64::MAX, frames).saturating_sub(self.delay);
                    self.give_silence(frames(gap));
                    return self.mix(channels);
                }
                Err(error) => {
                    gap += self.duration(&packet).min(LONGEST_GAP);
                    reason = reason.or(Some(error));
                }
            }
        }
        let path = self.path.clone();
        Err(reason.map_or(AudioError::Empty { path: path.clone() }, |reason| AudioError::Unreadable {
            path,
            reason,
        }))
    }

    /// The next packet of the track; `None` where the file ends, in the middle of a packet too.
    fn packet(&mut self) -> Result<Option<Packet>, AudioError> {
        while self.left > 0 {
            match self.reader.next_packet() {
                Ok(Some(mut packet)) if packet.track_id == self.chosen.track.id => {
                    if packet.pts.get() >= self.chosen.padded {
                        packet.trim_end = Duration::ZERO;
                    }
                    return Ok(Some(packet));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                // another stream follows in the same file, as in Ogg
                Err(Error::ResetRequired) => {
                    self.chosen = container::choose(&*self.reader, &Edits::default(), &self.path)?;
                    self.delay = (self.chosen.delay * f64::from(self.rate)).round() as u64;
                }
                Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    // an end that nobody knew of is met so too
                    self.cut = self.chosen.length != Length::Unknown;
                    break;
                }
                Err(Error::IoError(error)) => {
                    return Err(AudioError::Open { path: self.path.clone(), error });
                }
                Err(error) => {
                    let (path, seconds) = (self.path.clone(), self.seconds_given());
                    return Err(AudioError::Damaged { path, seconds, reason: error.to_string() });
                }
            }
        }
        Ok(None)
    }

    /// The end, if it is where it ought to be.
    fn end(&self) -> Result<Option<Vec<f32>>, AudioError> {
        let seconds = |frames: u64| frames as f64 / f64::from(self.rate.max(1));
        let promised = self.chosen.frames.filter(|frames| *frames > self.given).map(seconds);
        if promised.is_none() && !self.cut && self.chosen.length != Length::Short {
            return Ok(None);
        }
        Err(AudioError::Cut { path: self.path.clone(), seconds: self.seconds_given(), promised })
    }

    /// Decodes a packet into `samples`: frames, their rate, and samples a frame.
    fn decode(&mut self, packet: &Packet) -> Result<(usize, u32, usize), String> {
        match &mut self.chosen.codec {
            Codec::Symphonia(decoder) => {
                let buffer = decoder.decode(packet).map_err(|error| error.to_string())?;
                buffer.copy_to_vec_interleaved(&mut self.samples);
                Ok((buffer.frames(), buffer.spec().rate(), buffer.spec().channels().count()))
            }
            Codec::Opus(decoder) => {
                let frames = decoder.decode(&packet.data, &mut self.samples)?;
                let extra = usize::try_from(packet.trim_end.get()).unwrap_or(frames).min(frames);
                self.samples.truncate((frames - extra) * decoder.channels);
                Ok((frames - extra, opus::RATE, decoder.channels))
            }
        }
    }

    /// The channel, or the mean of all, within the bounds of the sound.
    fn mix(&mut self, channels: usize) -> Result<(), AudioError> {
        if !(1..=MAX_CHANNELS).contains(&channels) {
            let (path, rate) = (self.path.clone(), self.rate);
            return Err(AudioError::Shape { path, rate, channels });
        }
        let frames = (self.samples.len() / channels) as u64;
        let dropped = self.delay.min(frames);
        let kept = (frames - dropped).min(self.left);
        self.delay -= dropped;
        let block = self.samples.chunks_exact(channels).skip(dropped as usize).take(kept as usize);
        let heard = |frame: &[f32]| match self.channel {
            Some(channel) => frame[channel.min(channels - 1)],
            None => frame.iter().sum::<f32>() / channels as f32,
        };
        let block: Vec<f32> = block.map(heard).collect();
        if let Some((at, &value)) =
            block.iter().enumerate().find(|(_, value)| value.is_nan() || value.abs() >= LOUDEST)
        {
            let seconds = (self.given + at as u64) as f64 / f64::from(self.rate);
            return Err(AudioError::Sample { path: self.path.clone(), seconds, value });
        }
        self.give(block);
        Ok(())
    }

    fn give(&mut self, block: Vec<f32>) {
        self.left -= block.len() as u64;
        self.given += block.len() as u64;
        if !block.is_empty() {
            self.ready.push_back(block);
        }
    }

    /// Stands silence in for a packet that cannot be decoded, so that what follows keeps its time.
    fn silence(&mut self, packet: &Packet) {
        let seconds = self.duration(packet).min(LONGEST_GAP);
        let frames = (seconds * f64::from(self.rate)).round() as u64;
        self.give_silence(if frames > 0 { frames } else { self.usual });
    }

    fn give_silence(&mut self, frames: u64) {
        let dropped = self.delay.min(frames);
        self.delay -= dropped;
        let frames = (frames - dropped).min(self.left).min(u64::from(self.rate) * 60);
        self.lost += frames;
        self.give(vec![0.0; frames as usize]);
    }

    /// Time that a packet says it lasts, in seconds.
    fn duration(&self, packet: &Packet) -> f64 {
        let time = self.chosen.track.time_base.and_then(|base| base.calc_duration(packet.dur));
        time.map_or(0.0, |time| time.as_secs_f64().max(0.0))
    }

    fn seconds_given(&self) -> f64 {
        self.given as f64 / f64::from(self.rate.max(1))
    }
}
