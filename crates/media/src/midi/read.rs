//! Bytes of a MIDI file to a score.

use midly::{EventIter, Format, Fps, MetaMessage, MidiMessage, Timing, TrackEventKind};

use super::{Error, MAX_FILE_BYTES, PERCUSSION_CHANNEL};
use crate::score::{self, Change, Key, Metre, Note, Part, Score};

/// As many as a header can declare.
const MAX_TRACKS: usize = 65_535;

/// Reads a MIDI file of type 0 or 1.
///
/// # Errors
/// Files that are empty, larger than [`MAX_FILE_BYTES`], truncated, damaged, or of type 2.
pub fn read(bytes: &[u8]) -> Result<Score, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Error::TooLarge { size: bytes.len() });
    }
    let (header, tracks) = midly::parse(bytes).map_err(|_| {
        Error::Header(match bytes {
            [b'M', b'T', b'h', b'd', ..] => "its header is damaged",
            [b'R', b'I', b'F', b'F', ..] => "its RIFF container holds no MIDI data",
            _ => "it does not begin with MThd",
        })
    })?;
    if header.format == Format::Sequential {
        return Err(Error::Sequential);
    }
    let (ticks_per_quarter, fixed_tempo) = time_base(header.timing)?;
    let chunks = track_chunks(tracks.unread(), tracks.size_hint().0)?;

    let mut score = Score { ticks_per_quarter, ..Score::default() };
    let mut players = Vec::new();
    for (index, chunk) in chunks.into_iter().enumerate() {
        read_track(chunk, index, header.format == Format::SingleTrack, &mut score, &mut players)?;
    }
    if let Some(tempo) = fixed_tempo {
        score.tempos = vec![Change { start: 0, value: tempo }];
    }
    score.parts = parts(players);
    score::settle_changes(&mut score.tempos);
    score::settle_changes(&mut score.keys);
    find_pickup(&mut score);
    score::settle_metres(&mut score.metres, score.pickup, ticks_per_quarter);
    Ok(score)
}

/// Ticks in a quarter note, and the tempo where the file counts seconds.
fn time_base(timing: Timing) -> Result<(u32, Option<f64>), Error> {
    match timing {
        Timing::Metrical(ticks) if ticks.as_int() == 0 => Err(Error::NoTicks("quarter note")),
        Timing::Metrical(ticks) => Ok((u32::from(ticks.as_int()), None)),
        Timing::Timecode(_, 0) => Err(Error::NoTicks("frame")),
        Timing::Timecode(fps, subframes) => {
            let tempo = if fps == Fps::Fps29 { 60.0 / 1.001 } else { 60.0 };
            Ok((u32::from(fps.as_int()) * u32::from(subframes), Some(tempo)))
        }
    }
}

/// The contents of every whole track chunk; bytes after the declared tracks that make no chunk are ignored.
fn track_chunks(mut bytes: &[u8], declared: usize) -> Result<Vec<&[u8]>, Error> {
    let mut chunks = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let Some((content, rest)) = rest.split_at_checked(length as usize) else {
            if chunks.len() < declared {
                let track = chunks.len() + 1;
                return Err(Error::Truncated { track, declared: length, left: rest.len() });
            }
            break;
        };
        if head.starts_with(b"MTrk") {
            chunks.push(content);
        }
        bytes = rest;
    }
    if chunks.len() > MAX_TRACKS {
        return Err(Error::TooManyTracks { found: chunks.len() });
    }
    if chunks.len() < declared || chunks.is_empty() {
        return Err(Error::Tracks { declared, found: chunks.len() });
    }
    Ok(chunks)
}

/// What one track plays on one channel.
struct Player {
    name: String,
    channel: u8,
    programs: Vec<(u32, u8)>,
    notes: Vec<Note>,
}

/// A key held down on some channel.
#[derive(Clone, Copy)]
struct Held {
    start: u32,
    velocity: u8,
    /// Whether its onset ended another note, whose own note-off may still come at the same tick.
    cut_another: bool,
}

/// The keys of one channel.
type Keys = Vec<Option<Held>>;

fn read_track(
    chunk: &[u8],
    index: usize,
    single: bool,
    score: &mut Score,
    players: &mut Vec<Player>,
) -> Result<(), Error> {
    let mut channels: [Option<(Player, Keys)>; 16] = Default::default();
    let (mut tick, mut name, mut ended) = (0u32, String::new(), false);
    for event in EventIter::new(chunk) {
        let Ok(event) = event else { break };
        tick = tick.checked_add(event.delta.as_int()).ok_or(Error::TooLong { track: index + 1 })?;
        match event.kind {
            TrackEventKind::Meta(MetaMessage::EndOfTrack) => {
                ended = true;
                break;
            }
            TrackEventKind::Meta(MetaMessage::TrackName(text)) if name.is_empty() => name = decode(text),
            TrackEventKind::Meta(meta) => read_meta(meta, tick, score),
            TrackEventKind::Midi { channel, message } => {
                let channel = channel.as_int();
                let (player, keys) = channels[usize::from(channel)].get_or_insert_with(|| {
                    let (name, programs, notes) = (String::new(), Vec::new(), Vec::new());
                    (Player { name, channel, programs, notes }, vec![None; 128])
                });
                play(message, tick, player, keys);
            }
            TrackEventKind::SysEx(_) | TrackEventKind::Escape(_) => {}
        }
    }
    if !ended {
        return Err(Error::Damaged { track: index + 1, tick: u64::from(tick) });
    }
    let mut sounding = false;
    for (mut player, keys) in channels.into_iter().flatten() {
        for (key, held) in (0..128).zip(keys) {
            release(held, key, tick, &mut player.notes);
        }
        sounding |= !player.notes.is_empty();
        if !single {
            player.name.clone_from(&name);
        }
        players.push(player);
    }
    if index == 0 && (single || !sounding) && !name.is_empty() {
        score.title = Some(name);
    }
    Ok(())
}

fn play(message: MidiMessage, tick: u32, player: &mut Player, keys: &mut Keys) {
    match message {
        MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
            let slot = &mut keys[usize::from(key.as_int())];
            let (mut velocity, mut cut_another) = (vel.as_int(), false);
            if let Some(sounding) = *slot {
                cut_another = true;
                if sounding.start == tick {
                    velocity = velocity.max(sounding.velocity);
                }
            }
            release(slot.take(), key.as_int(), tick, &mut player.notes);
            *slot = Some(Held { start: tick, velocity, cut_another });
        }
        MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
            let slot = &mut keys[usize::from(key.as_int())];
            match slot {
                Some(sounding) if sounding.start == tick && sounding.cut_another => {
                    sounding.cut_another = false;
                }
                _ => release(slot.take(), key.as_int(), tick, &mut player.notes),
            }
        }
        MidiMessage::ProgramChange { program } => player.programs.push((tick, program.as_int())),
        _ => {}
    }
}

fn release(held: Option<Held>, pitch: u8, tick: u32, notes: &mut Vec<Note>) {
    if let Some(Held { start, velocity, .. }) = held
        && tick > start
    {
        notes.push(Note { start, pitch, length: tick - start, velocity });
    }
}

/// Tempo, metre and key; values that no score can have are ignored.
fn read_meta(meta: MetaMessage, start: u32, score: &mut Score) {
    match meta {
        MetaMessage::Tempo(micros) if micros.as_int() > 0 => {
            score.tempos.push(Change { start, value: tempo(micros.as_int()) });
        }
        MetaMessage::TimeSignature(numerator, power @ 0..=6, _, _) if numerator > 0 => {
            score.metres.push(Change { start, value: Metre { numerator, denominator: 1 << power } });
        }
        MetaMessage::KeySignature(fifths @ -7..=7, minor) => {
            score.keys.push(Change { start, value: Key { fifths, minor } });
        }
        _ => {}
    }
}

/// Quarter notes per minute, as the roundest number that MIDI's whole microseconds stand for.
fn tempo(micros: u32) -> f64 {
    let exact = 60e6 / f64::from(micros);
    (0..6)
        .map(|decimals| {
            let scale = 10f64.powi(decimals);
            (exact * scale).round() / scale
        })
        .find(|rounded| (60e6 / rounded).round() == f64::from(micros))
        .unwrap_or(exact)
}

/// UTF-8 where it is, else Latin-1.
fn decode(text: &[u8]) -> String {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => text.iter().copied().map(char::from).collect(),
    };
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

/// The players that play something. A player without a program change takes that of its channel, which
/// another track may set.
fn parts(players: Vec<Player>) -> Vec<Part> {
    let mut of_channel = [None; 16];
    for player in &players {
        let slot = &mut of_channel[usize::from(player.channel)];
        *slot = slot.or(player.programs.first().map(|&(_, program)| program));
    }
    let mut parts = Vec::new();
    for mut player in players {
        score::settle_notes(&mut player.notes);
        let Some(first) = player.notes.first() else { continue };
        let before = player.programs.iter().rev().find(|&&(tick, _)| tick <= first.start);
        let program = before.or(player.programs.first()).map(|&(_, program)| program);
        parts.push(Part {
            name: player.name,
            program: program.or(of_channel[usize::from(player.channel)]).unwrap_or(0),
            percussion: player.channel == PERCUSSION_CHANNEL,
            notes: player.notes,
        });
    }
    parts
}

/// MIDI has no pickup: notation programs write one as a bar of its own, shorter metre.
fn find_pickup(score: &mut Score) {
    let mut metres = score.metres.clone();
    score::settle_changes(&mut metres);
    let [first, second, ..] = metres[..] else { return };
    let bar = |metre: Metre| {
        let ticks = u64::from(score.ticks_per_quarter) * 4 * u64::from(metre.numerator);
        (ticks, u64::from(metre.denominator))
    };
    let ((short, short_unit), (full, full_unit)) = (bar(first.value), bar(second.value));
    let shorter = short * full_unit < full * short_unit;
    if first.start == 0 && shorter && u64::from(second.start) * short_unit == short {
        score.pickup = second.start;
        score.metres.retain(|change| change.start >= second.start);
        for change in score.metres.iter_mut().filter(|change| change.start == second.start) {
            change.start = 0;
        }
    }
}
