//! Tones that last as long as the key is held: pipes, voices, bows, winds.
//!
//! A note is a few readers of wave tables, one for each pipe or player, each with a tuning, place, vibrato and
//! unsteadiness of its own; their sum goes through a low-pass that opens while the tone begins, and an envelope.

use super::instruments::Sustained;
use super::noise::{Band, Noise, scatter};
use super::playing::Played;
use super::tone::{Table, frequency};
use super::{RATE, Stereo, pan};

/// Frames between two looks at the slow movements.
const BLOCK: usize = 64;

/// One pipe or player.
struct Reader<'a> {
    table: &'a Table,
    phase: u32,
    /// Frequency in Hz without the slow movements.
    frequency: f32,
    /// Gain to the left and to the right.
    gain: (f32, f32),
    /// Frames before it starts, and that its start lasts.
    delay: f32,
    attack: f32,
    vibrato_rate: f32,
    vibrato_cents: f32,
    /// Its level at the end of the last block.
    level: f32,
    seed: u64,
}

/// The tables that a note of this pitch needs, one for each stop.
pub(super) fn tables(voice: &Sustained, pitch: u8) -> Vec<Table> {
    voice.stops.iter().map(|stop| Table::new(stop.spectrum, pitch, stop.ratio)).collect()
}

/// Frames that a note takes.
pub(super) fn frames(voice: &Sustained, note: &Played) -> usize {
    note.hold + (voice.release * RATE as f32) as usize
}

/// Sounds one note at `place` (-1 left to 1 right).
pub(super) fn sound(voice: &Sustained, note: &Played, tables: &[Table], place: f32) -> Stereo {
    let total = frames(voice, note);
    let mut out = Stereo::silent(total);
    let loudness = f32::from(note.velocity) / 127.0;
    let level = voice.gain * (1.0 - voice.dynamics + voice.dynamics * loudness * 1.3);
    let mut readers = readers(voice, note, tables, place, level);
    for begin in (0..total).step_by(BLOCK) {
        let end = (begin + BLOCK).min(total);
        let (left, right) = (&mut out.left[begin..end], &mut out.right[begin..end]);
        for reader in &mut readers {
            read(reader, voice, begin, left, right);
        }
    }
    breathe(voice, note, place, level, &mut out);
    shape(voice, note, loudness, &mut out);
    out
}

fn readers<'a>(
    voice: &Sustained,
    note: &Played,
    tables: &'a [Table],
    place: f32,
    level: f32,
) -> Vec<Reader<'a>> {
    let base = frequency(note.pitch);
    let mut readers = Vec::new();
    let loudest: f32 = voice.stops.iter().map(|stop| stop.gain * stop.gain).sum::<f32>().max(1e-6).sqrt();
    for (s, (stop, table)) in voice.stops.iter().zip(tables).enumerate() {
        let share = stop.gain * stop.share(note.pitch);
        if share <= 0.0 {
            continue;
        }
        for player in 0..voice.players {
            // the same pipe or singer every time it is heard, but another start
            let who =
                (s as u64) << 40 | (player as u64) << 32 | u64::from(note.pitch) << 16 | note.part as u64;
            let when = who ^ (note.start as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let across = spread(player, voice.players);
            let tuning = across * voice.detune + stop.cents + scatter(who ^ 1) * voice.scatter;
            let (left, right) = pan(place + across * voice.width + scatter(who ^ 2) * 0.12 * voice.width);
            // the one in the middle leads: among equals the sum would fade in and out
            let leads = if across == 0.0 { 1.9 } else { 1.0 };
            let gain = level * share * leads / loudest / (voice.players as f32 + 2.6).sqrt();
            let speed = 1.0 + 0.2 * scatter(who ^ 3);
            readers.push(Reader {
                table,
                phase: if across == 0.0 { 0 } else { ((scatter(when ^ 4) + 1.0) * 2147483648.0) as u32 },
                frequency: base * stop.ratio * (tuning / 1200.0).exp2(),
                gain: (gain * left, gain * right),
                delay: (scatter(when ^ 5) + 1.0) * 0.5 * voice.stagger * RATE as f32,
                attack: (voice.attack * stop.attack * speed * RATE as f32).max(32.0),
                vibrato_rate: voice.vibrato.0 * (1.0 + 0.08 * scatter(who ^ 6)),
                vibrato_cents: voice.vibrato.1 * (1.0 + 0.3 * scatter(who ^ 7)),
                level: 0.0,
                seed: when,
            });
        }
    }
    readers
}

/// Places of players from -1 to 1, even, and not in the order of their numbers.
fn spread(player: usize, players: usize) -> f32 {
    if players < 2 { 0.0 } else { 2.0 * player as f32 / (players - 1) as f32 - 1.0 }
}

/// A slow wandering from -1 to 1: two sines whose rates and phases depend on `seed`.
fn wander(seed: u64, seconds: f32) -> f32 {
    let turn = |k: u64, rate: f32| {
        (scatter(seed ^ k) + seconds * rate * (1.0 + 0.3 * scatter(seed ^ (k + 1)))) * 3.1
    };
    0.6 * turn(11, 0.9).sin() + 0.4 * turn(13, 2.3).sin()
}

fn read(reader: &mut Reader, voice: &Sustained, begin: usize, left: &mut [f32], right: &mut [f32]) {
    let now = begin as f32 - reader.delay;
    let seconds = now.max(0.0) / RATE as f32;
    let late = ((seconds - voice.vibrato.2) / 0.5).clamp(0.0, 1.0);
    let turn = seconds * reader.vibrato_rate + scatter(reader.seed ^ 8);
    let cents = late * reader.vibrato_cents * (turn * std::f32::consts::TAU).sin()
        + voice.drift * wander(reader.seed, seconds)
        - voice.scoop * (-seconds * 22.0).exp();
    let step = reader.frequency * (cents / 1200.0).exp2() / RATE as f32;
    let step = (f64::from(step) * 4294967296.0) as u32;
    // the level moves so slowly that a straight line over a block is smooth
    let after = now + left.len() as f32;
    let x = (after / reader.attack).clamp(0.0, 1.0);
    let level = x * x * (3.0 - 2.0 * x) * (1.0 + voice.shimmer * wander(reader.seed ^ 99, seconds));
    let slope = (level - reader.level) / left.len() as f32;
    let (mut envelope, mut phase) = (reader.level, reader.phase);
    for (left, right) in left.iter_mut().zip(right) {
        let sample = reader.table.at(phase) * envelope;
        phase = phase.wrapping_add(step);
        *left += sample * reader.gain.0;
        *right += sample * reader.gain.1;
        envelope += slope;
    }
    (reader.level, reader.phase) = (level, phase);
}

/// The noise of air: a burst while a pipe begins to speak, and a breath as long as the tone.
fn breathe(voice: &Sustained, note: &Played, place: f32, level: f32, out: &mut Stereo) {
    if voice.chiff <= 0.0 && voice.breath <= 0.0 {
        return;
    }
    let base = frequency(note.pitch);
    let seed = (note.start as u64) << 20 ^ u64::from(note.pitch) << 8 ^ note.part as u64;
    let mut noise = Noise::new(seed);
    let mut speech = Band::new((base * 3.0).clamp(500.0, 6000.0), 2.2);
    let mut air = Band::new((base * 4.0).clamp(1200.0, 5000.0), 0.6);
    let (left, right) = pan(place);
    let decay = (-1.0 / (0.028 * RATE as f32)).exp();
    let rise = 1.0 / (0.012 * RATE as f32);
    let (mut burst, mut age) = (1.0f32, 0.0f32);
    let length = if voice.breath > 0.0 { out.left.len() } else { (0.3 * RATE as f32) as usize };
    for (l, r) in out.left.iter_mut().zip(&mut out.right).take(length) {
        age = (age + rise).min(1.0);
        burst *= decay;
        let white = noise.next();
        let sample = voice.chiff * burst * age * speech.next(white)
            + voice.breath * (0.7 + 1.2 * burst) * age * air.next(white);
        *l += sample * level * left;
        *r += sample * level * right;
    }
}

/// The opening low-pass and the release.
fn shape(voice: &Sustained, note: &Played, loudness: f32, out: &mut Stereo) {
    let open = (voice.brightness * (1.0 - voice.dynamics + voice.dynamics * loudness * 1.5)).max(1.5);
    let base = frequency(note.pitch);
    let target = (base * 2.0 + open * 1000.0).min(18_000.0);
    let pole = |cutoff: f32| 1.0 - (-std::f32::consts::TAU * cutoff / RATE as f32).exp();
    let (shut, open) = (pole((base * 1.5).min(target)), pole(target));
    let opening = ((voice.attack * 1.6 * RATE as f32) as usize).max(1);
    let total = out.left.len();
    let release = (total - note.hold).max(1) as f32;
    for channel in [&mut out.left, &mut out.right] {
        let mut held = 0f32;
        let (begin, steady) = channel.split_at_mut(opening.min(total));
        for (t, sample) in begin.iter_mut().enumerate() {
            let x = t as f32 / opening as f32;
            held += (shut + (open - shut) * x * (2.0 - x)) * (*sample - held);
            *sample = held;
        }
        for sample in steady {
            held += open * (*sample - held);
            *sample = held;
        }
        for (t, sample) in channel[note.hold..].iter_mut().enumerate() {
            // falls like an exponential and yet reaches zero
            let left = 1.0 - (t + 1) as f32 / release;
            *sample *= left * left * (0.5 + 0.5 * left);
        }
    }
}
