//! A score as sound: the built-in synthesiser, and players of soundfonts.
//!
//! The synthesiser has no samples. Sustained instruments (organ, choir, bowed strings, winds) read band-limited
//! wave tables ([`tone`], [`sustained`]), struck and plucked ones are sums of decaying modes ([`struck`]),
//! drums are falling sines and noise ([`drums`]); everything is placed between left and right and meets in one
//! room ([`room`]). Notes are rendered in parallel, each into its own buffer, and added in the order of the
//! score, so the result is the same bit for bit on any number of threads.
//!
//! Levels are fixed: an instrument's gain, divided by the root of the number of parts. Only if the whole then
//! peaks above [`CEILING`] is all of it turned down to that; nothing is ever turned up, limited or clipped.

mod drums;
mod instruments;
mod noise;
mod playing;
mod room;
pub mod soundfont;
mod struck;
mod sustained;
#[cfg(test)]
mod tests;
mod timeline;
mod tone;

use std::collections::HashMap;

use media::score::Score;
use rayon::prelude::*;

use instruments::{Instrument, instrument};
use playing::{GAP, Played, played};
use tone::Table;

pub use timeline::Clock;

/// Frames a second.
pub const RATE: u32 = 44_100;
/// Highest peak: -1.2 dBFS, so that rounding to 16 bits stays below -1 dBFS.
pub const CEILING: f32 = 0.871;
/// Frames of notes rendered before they are added up: bounds the memory.
const BATCH: usize = 1 << 22;

/// Sound as plain samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Audio {
    /// Frames a second.
    pub rate: u32,
    /// Samples in a frame: 2.
    pub channels: u16,
    /// Interleaved samples; full scale is -1 to 1.
    pub samples: Vec<f32>,
}

impl Audio {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.channels.max(1)) / f64::from(self.rate.max(1))
    }
}

/// How a score is rendered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How much room there is: 0 none, 1 as meant.
    pub room: f32,
}

impl Default for Options {
    fn default() -> Options {
        Options { room: 1.0 }
    }
}

/// Why a score cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// Longer than memory is meant to hold.
    #[error("the piece lasts {seconds:.0} s, more than the {limit:.0} s that can be rendered; cut it")]
    TooLong {
        /// Length of the piece.
        seconds: f64,
        /// Longest possible.
        limit: f64,
    },
    /// More sound than is meant to be computed.
    #[error(
        "the notes sound for {seconds:.0} s together, more than the {limit:.0} s that can be rendered; cut the piece"
    )]
    TooDense {
        /// Sum of the lengths of the notes.
        seconds: f64,
        /// Most possible.
        limit: f64,
    },
    /// A soundfont that is none, or is damaged.
    #[error("the soundfont cannot be used: {reason}")]
    SoundFont {
        /// What is wrong with it.
        reason: String,
    },
}

/// Two channels of one length.
#[derive(Debug, Clone, Default)]
struct Stereo {
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Stereo {
    fn silent(frames: usize) -> Stereo {
        Stereo { left: vec![0.0; frames], right: vec![0.0; frames] }
    }

    /// Adds a sound in the middle of the room to both sides.
    fn add(&mut self, samples: &[f32], gain: (f32, f32)) {
        for ((left, right), sample) in self.left.iter_mut().zip(&mut self.right).zip(samples) {
            *left += sample * gain.0;
            *right += sample * gain.1;
        }
    }

    /// Adds another sound that begins at `start`.
    fn lay(&mut self, start: usize, other: &Stereo, gain: f32) {
        for (mine, theirs) in [(&mut self.left, &other.left), (&mut self.right, &other.right)] {
            for (a, b) in mine.iter_mut().skip(start).zip(theirs) {
                *a += b * gain;
            }
        }
    }
}

/// Gains to the left and right for a place from -1 to 1, of constant power.
fn pan(place: f32) -> (f32, f32) {
    let angle = (place.clamp(-1.0, 1.0) + 1.0) * std::f32::consts::FRAC_PI_4;
    (angle.cos() * std::f32::consts::SQRT_2, angle.sin() * std::f32::consts::SQRT_2)
}

/// A part's instrument and its place.
struct Seat {
    instrument: Instrument,
    place: f32,
    room: f32,
}

/// Renders `score` with the built-in synthesiser, 44.1 kHz stereo, with the room's tail at the end. A score
/// without notes gives no samples.
///
/// # Errors
/// A piece of more than an hour, or with more than 150,000 seconds of sounding notes.
pub fn render(score: &Score, options: &Options) -> Result<Audio, SoundError> {
    let notes = played(score, GAP)?;
    if notes.is_empty() {
        return Ok(Audio { rate: RATE, channels: 2, samples: Vec::new() });
    }
    let seats = seats(score);
    let tables = tables(&notes, &seats);
    let ends = |note: &Played| note.start + frames(&seats[note.part], note);
    let tail = if options.room > 0.0 { room::DECAY * 1.05 } else { 0.05 };
    let total = notes.iter().map(ends).max().unwrap_or(0) + (tail * RATE as f32) as usize;
    let (mut dry, mut send) = (Stereo::silent(total), Stereo::silent(total));
    let mut rest = &notes[..];
    while !rest.is_empty() {
        let mut size = 0;
        let fits = |note: &&Played| {
            size += frames(&seats[note.part], note);
            size < BATCH
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let batch: Vec<Stereo> =
            rest[..count].par_iter().map(|note| sound(&seats[note.part], note, &tables)).collect();
        for (note, stereo) in rest.iter().zip(&batch) {
            dry.lay(note.start, stereo, 1.0);
            send.lay(note.start, stereo, seats[note.part].room * options.room);
        }
        rest = &rest[count..];
    }
    if options.room > 0.0 {
        room::reverberate((&send.left, &send.right), &mut dry.left, &mut dry.right);
    }
    let playing = score.parts.iter().filter(|part| !part.notes.is_empty()).count().max(1);
    Ok(master(dry, 1.7 / (playing as f32).sqrt()))
}

/// Everybody's instrument; the parts sit from left to right in the order of the score.
fn seats(score: &Score) -> Vec<Seat> {
    let playing = score.parts.iter().filter(|part| !part.notes.is_empty() && !part.percussion).count();
    let mut taken = 0;
    score
        .parts
        .iter()
        .map(|part| {
            let instrument = instrument(part.program, part.percussion);
            let (room, width) = match instrument {
                Instrument::Sustained(voice) => (voice.room, 0.5),
                Instrument::Struck(voice) => (voice.room, 0.35),
                Instrument::Drums => (0.12, 0.0),
            };
            let mut place = 0.0;
            if !part.notes.is_empty() && !part.percussion {
                if playing > 1 {
                    place = width * (2.0 * taken as f32 / (playing - 1) as f32 - 1.0);
                }
                taken += 1;
            }
            Seat { instrument, place, room }
        })
        .collect()
}

/// The wave tables of every (instrument, pitch) that is played.
type Tables = HashMap<(usize, u8), Vec<Table>>;

/// A sustained instrument's identity.
fn key(voice: &'static instruments::Sustained) -> usize {
    std::ptr::from_ref(voice) as usize
}

fn tables(notes: &[Played], seats: &[Seat]) -> Tables {
    let mut needed = HashMap::new();
    for note in notes {
        if let Instrument::Sustained(voice) = seats[note.part].instrument {
            needed.insert((key(voice), note.pitch), voice);
        }
    }
    let needed: Vec<_> = needed.into_iter().collect();
    needed.into_par_iter().map(|(key, voice)| (key, sustained::tables(voice, key.1))).collect()
}

fn frames(seat: &Seat, note: &Played) -> usize {
    match seat.instrument {
        Instrument::Sustained(voice) => sustained::frames(voice, note),
        Instrument::Struck(voice) => struck::frames(voice, note),
        Instrument::Drums => 3 * RATE as usize,
    }
}

fn sound(seat: &Seat, note: &Played, tables: &Tables) -> Stereo {
    match seat.instrument {
        Instrument::Sustained(voice) => match tables.get(&(key(voice), note.pitch)) {
            Some(tables) => sustained::sound(voice, note, tables, seat.place),
            None => Stereo::default(),
        },
        Instrument::Struck(voice) => struck::sound(voice, note, seat.place),
        Instrument::Drums => drums::sound(note, seat.place),
    }
}

/// The last steps: level, no offset, a smooth end, the ceiling.
fn master(mut mix: Stereo, level: f32) -> Audio {
    for channel in [&mut mix.left, &mut mix.right] {
        room::without_offset(channel);
        channel.iter_mut().for_each(|sample| *sample *= level);
        let length = channel.len();
        let fade = (RATE as usize / 4).min(length);
        for (t, sample) in channel[length - fade..].iter_mut().enumerate() {
            let left = 1.0 - (t + 1) as f32 / fade as f32;
            *sample *= left * left;
        }
    }
    let peak = mix.left.iter().chain(&mix.right).fold(0f32, |peak, sample| peak.max(sample.abs()));
    let turn = if peak > CEILING { CEILING / peak } else { 1.0 };
    let frames = mix.left.iter().zip(&mix.right);
    let samples = frames.flat_map(|(left, right)| [left * turn, right * turn]).collect();
    Audio { rate: RATE, channels: 2, samples }
}
