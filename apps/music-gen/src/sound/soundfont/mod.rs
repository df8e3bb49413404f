//! A score played by the samples of a SoundFont 2 file, through rustysynth.
//!
//! Every part has a synthesiser of its own, so there may be more than sixteen of them and they render in
//! parallel; it gets plain events from the score, each at the block nearest to its time. rustysynth trusts what
//! it reads: [`layout`] proves the file's sizes and indices before it is given over, and [`regions`] proves of
//! every key, before it is struck, that its samples can be read without leaving them.

mod layout;
mod regions;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use media::score::Score;
use rayon::prelude::*;
use rustysynth::{SoundFont, Synthesizer, SynthesizerSettings};

use super::playing::{Played, played};
use super::{Audio, Options, RATE, Seat, SoundError, Stereo, master, seats};

/// Frames between two looks at the events: 0.7 ms.
const BLOCK: usize = 32;
/// Channel of melodic parts, and of percussion.
const MELODY: i32 = 0;
const PERCUSSION: i32 = Synthesizer::PERCUSSION_CHANNEL as i32;
/// Seconds after the last key is let go at which a part is cut, if it has not died away before.
const LONGEST_TAIL: f32 = 8.0;
/// Seconds without sound after which a part without pressed keys is over.
const SILENCE: f32 = 0.25;

/// A SoundFont 2 file, read once for all pieces.
pub struct Font {
    bytes: Vec<u8>,
    font: Arc<SoundFont>,
}

impl Font {
    /// Reads a file's bytes, after its sizes and indices have been proved.
    ///
    /// # Errors
    /// Bytes that are no SoundFont 2, are damaged, or would have to be read outside of their samples.
    pub fn read(bytes: Vec<u8>) -> Result<Font, SoundError> {
        layout::check(&bytes)?;
        let font = SoundFont::new(&mut Cursor::new(&bytes)).map_err(|error| refused(error.to_string()))?;
        regions::check(&font)?;
        Ok(Font { bytes, font: Arc::new(font) })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Renders `score` with the instruments, 44.1 kHz stereo, until the last note has died away, in
    /// rustysynth's reverberation.
    ///
    /// # Errors
    /// A key that the font could not play; a piece that is too long.
    pub fn render(&self, score: &Score) -> Result<Audio, SoundError> {
        play(score, &self.font, &Options::default(), LONGEST_TAIL)
    }
}

/// The error for a file that cannot be used.
fn refused(reason: impl Into<String>) -> SoundError {
    SoundError::SoundFont { reason: reason.into() }
}

fn play(score: &Score, font: &Arc<SoundFont>, options: &Options, tail: f32) -> Result<Audio, SoundError> {
    let notes = played(score, 0.0)?;
    if notes.is_empty() {
        return Ok(Audio { rate: RATE, channels: 2, samples: Vec::new() });
    }
    let seats = seats(score);
    let mut by_part: HashMap<usize, Vec<Played>> = HashMap::new();
    for note in notes {
        by_part.entry(note.part).or_default().push(note);
    }
    let mut parts: Vec<_> = by_part.into_iter().collect();
    parts.sort_by_key(|(part, _)| *part);
    let mut mix = Stereo::default();
    // a few at a time bound the memory; the order of the sum stays that of the parts
    for few in parts.chunks(rayon::current_num_threads().clamp(1, 16)) {
        let voice = |(part, notes): &(usize, Vec<Played>)| {
            let program = score.parts[*part].program;
            let percussion = score.parts[*part].percussion;
            render_part(font, notes, program, percussion, &seats[*part], options, tail)
        };
        let rendered: Vec<_> = few.par_iter().map(voice).collect();
        for part in rendered {
            let part = part?;
            let length = mix.left.len().max(part.left.len());
            mix.left.resize(length, 0.0);
            mix.right.resize(length, 0.0);
            mix.lay(0, &part, 1.0);
        }
    }
    if mix.left.iter().chain(&mix.right).any(|sample| !sample.is_finite()) {
        return Err(refused("its filters or levels give sounds that are no numbers"));
    }
    Ok(master(mix, 1.0))
}

/// A key goes down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    block: usize,
    /// Keys go up before others go down.
    down: bool,
    key: u8,
    velocity: u8,
}

fn events(notes: &[Played]) -> Vec<Event> {
    let mut events = Vec::with_capacity(2 * notes.len());
    for note in notes {
        let first = (note.start + BLOCK / 2) / BLOCK;
        let last = ((note.start + note.hold + BLOCK / 2) / BLOCK).max(first + 1);
        events.push(Event { block: first, down: true, key: note.pitch, velocity: note.velocity });
        events.push(Event { block: last, down: false, key: note.pitch, velocity: 0 });
    }
    events.sort_unstable();
    events
}

fn render_part(
    font: &Arc<SoundFont>,
    notes: &[Played],
    program: u8,
    percussion: bool,
    seat: &Seat,
    options: &Options,
    tail: f32,
) -> Result<Stereo, SoundError> {
    let channel = if percussion { PERCUSSION } else { MELODY };
    let preset = regions::preset(font, if percussion { 128 } else { 0 }, i32::from(program));
    let mut keys: Vec<_> = notes.iter().map(|note| (note.pitch, note.velocity)).collect();
    keys.sort_unstable();
    keys.dedup();
    for (key, velocity) in keys {
        regions::check_key(font, preset, i32::from(key), i32::from(velocity))?;
    }
    let mut settings = SynthesizerSettings::new(RATE as i32);
    settings.block_size = BLOCK;
    settings.maximum_polyphony = 128;
    settings.enable_reverb_and_chorus = options.room > 0.0;
    let mut synth = Synthesizer::new(font, &settings).map_err(|error| refused(error.to_string()))?;
    let send = (40.0 * options.room).clamp(0.0, 127.0) as i32;
    synth.process_midi_message(channel, 0xc0, i32::from(program), 0);
    synth.process_midi_message(channel, 0xb0, 10, (64.0 + 45.0 * seat.place) as i32);
    synth.process_midi_message(channel, 0xb0, 91, send);

    let events = events(notes);
    let mut out = Stereo::default();
    let (mut pressed, mut quiet, mut block) = (0usize, 0usize, 0usize);
    let mut rest = events.as_slice();
    let most_quiet = (SILENCE * RATE as f32) as usize / BLOCK;
    let last = events.last().map_or(0, |event| event.block) + (tail * RATE as f32) as usize / BLOCK;
    while block < last {
        while let Some((event, others)) = rest.split_first().filter(|(event, _)| event.block <= block) {
            if event.down {
                synth.note_on(channel, i32::from(event.key), i32::from(event.velocity));
                (pressed, quiet) = (pressed + 1, 0);
            } else {
                synth.note_off(channel, i32::from(event.key));
                pressed = pressed.saturating_sub(1);
            }
            rest = others;
        }
        // nothing sounds and nothing is held: go on at the next event
        if pressed == 0 && (quiet > most_quiet || (out.left.is_empty() && quiet == 0)) {
            let Some(next) = rest.first() else { break };
            (block, quiet) = (next.block, 0);
            continue;
        }
        let begin = block * BLOCK;
        out.left.resize(begin + BLOCK, 0.0);
        out.right.resize(begin + BLOCK, 0.0);
        let (left, right) = (&mut out.left[begin..], &mut out.right[begin..]);
        synth.render(left, right);
        let silent = left.iter().chain(right.iter()).all(|sample| sample.abs() < 1e-5);
        quiet = if silent { quiet + 1 } else { 0 };
        block += 1;
    }
    Ok(out)
}
