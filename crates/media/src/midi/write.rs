//! A score to the bytes of a type-1 MIDI file.

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, Track, TrackEvent, TrackEventKind};

use super::{Error, PERCUSSION_CHANNEL};
use crate::score::{self, Change, Metre, Part, Score};

const RELEASE_VELOCITY: u8 = 64;

/// Writes a MIDI file of type 1: a conductor track with title, tempo, time and key signatures, then a named
/// track a part. Equal scores give equal bytes.
///
/// Up to 15 pitched parts have a channel each; where there are more, those of one program share a channel.
/// A pickup is written as a bar of its own metre.
///
/// # Errors
/// A score with values that MIDI cannot hold, by name.
pub fn write(score: &Score) -> Result<Vec<u8>, Error> {
    let ticks = u16::try_from(score.ticks_per_quarter).ok().filter(|ticks| (1..1 << 15).contains(ticks));
    let Some(ticks) = ticks else {
        return refuse(format!("{} ticks in a quarter note, expected 1 to 32767", score.ticks_per_quarter));
    };
    let mut smf = Smf::new(Header::new(Format::Parallel, Timing::Metrical(u15::new(ticks))));
    smf.tracks.push(conductor(score)?);
    for (part, channel) in score.parts.iter().zip(channels(&score.parts)) {
        smf.tracks.push(part_track(part, channel)?);
    }
    let mut bytes = Vec::new();
    smf.write_std(&mut bytes).map_err(|error| Error::Unwritable(error.to_string()))?;
    Ok(bytes)
}

fn refuse<T>(why: String) -> Result<T, Error> {
    Err(Error::Unwritable(why))
}

fn channels(parts: &[Part]) -> Vec<u8> {
    let pitched: Vec<u8> = (0..16).filter(|&channel| channel != PERCUSSION_CHANNEL).collect();
    let crowded = parts.iter().filter(|part| !part.percussion).count() > pitched.len();
    let (mut programs, mut next) = (Vec::new(), 0);
    let mut channel_of = |part: &Part| {
        if part.percussion {
            return PERCUSSION_CHANNEL;
        }
        let mut index = next;
        next += 1;
        if crowded {
            let known = programs.iter().position(|&program| program == part.program);
            index = known.unwrap_or(programs.len());
            if known.is_none() {
                programs.push(part.program);
            }
        }
        pitched[index % pitched.len()]
    };
    parts.iter().map(&mut channel_of).collect()
}

fn conductor(score: &Score) -> Result<Track<'_>, Error> {
    let mut events = Vec::new();
    let mut put = |tick, meta| events.push((tick, TrackEventKind::Meta(meta)));
    if let Some(title) = score.title.as_deref().filter(|title| !title.is_empty()) {
        put(0, MetaMessage::TrackName(title.as_bytes()));
    }
    for &Change { start, value } in &score.tempos {
        let micros = (60e6 / value).round();
        if !(1.0..16_777_216.0).contains(&micros) {
            return refuse(format!(
                "tempo {value} at tick {start}, expected 3.58 to 60000000 quarters a minute"
            ));
        }
        put(start, MetaMessage::Tempo(u24::new(micros as u32)));
    }
    for Change { start, value } in metres(score) {
        let Metre { numerator, denominator } = value;
        if numerator == 0 || !denominator.is_power_of_two() || denominator > 64 {
            return refuse(format!("time signature {numerator}/{denominator} at tick {start}"));
        }
        let power = denominator.trailing_zeros() as u8;
        put(start, MetaMessage::TimeSignature(numerator, power, (96 / denominator).max(1), 8));
    }
    for &Change { start, value } in &score.keys {
        if !(-7..=7).contains(&value.fifths) {
            return refuse(format!("key signature of {} fifths at tick {start}", value.fifths));
        }
        put(start, MetaMessage::KeySignature(value.fifths, value.minor));
    }
    events.sort_by_key(|&(tick, _)| tick);
    track(events)
}

/// The metres as MIDI writes them: with the pickup as a bar of its own where one metre can name it.
fn metres(score: &Score) -> Vec<Change<Metre>> {
    let mut metres = score.metres.clone();
    let starts_so = metres.first().is_some_and(|first| first.start == 0)
        && metres.get(1).is_none_or(|second| second.start > score.pickup);
    if score.pickup > 0
        && starts_so
        && let Some(value) = metre_of(score.pickup, score.ticks_per_quarter)
    {
        metres[0].start = score.pickup;
        metres.insert(0, Change { start: 0, value });
    }
    metres
}

fn metre_of(ticks: u32, ticks_per_quarter: u32) -> Option<Metre> {
    [4u8, 8, 16, 32, 64].into_iter().find_map(|denominator| {
        let (beats, whole) = (u64::from(ticks) * u64::from(denominator), u64::from(ticks_per_quarter) * 4);
        let numerator = u8::try_from(beats / whole).ok()?;
        (beats % whole == 0 && numerator > 0).then_some(Metre { numerator, denominator })
    })
}

fn part_track(part: &Part, channel: u8) -> Result<Track<'_>, Error> {
    let Some(program) = u7::try_from(part.program) else {
        return refuse(format!("program {} of part {:?}, expected 0 to 127", part.program, part.name));
    };
    let midi = |message| TrackEventKind::Midi { channel: u4::new(channel), message };
    let mut notes = part.notes.clone();
    score::settle_notes(&mut notes);
    let mut timed = Vec::with_capacity(notes.len() * 2);
    for note in &notes {
        let (Some(key), Some(vel), Some(end)) = (
            u7::try_from(note.pitch),
            u7::try_from(note.velocity).filter(|vel| *vel > 0),
            note.start.checked_add(note.length),
        ) else {
            let (pitch, velocity) = (note.pitch, note.velocity);
            let (name, start) = (&part.name, note.start);
            return refuse(format!("pitch {pitch}, velocity {velocity} of part {name:?} at tick {start}"));
        };
        timed.push((note.start, true, key, midi(MidiMessage::NoteOn { key, vel })));
        let vel = u7::new(RELEASE_VELOCITY);
        timed.push((end, false, key, midi(MidiMessage::NoteOff { key, vel })));
    }
    timed.sort_by_key(|&(tick, on, key, _)| (tick, on, key));

    let mut events = Vec::with_capacity(timed.len() + 2);
    if !part.name.is_empty() {
        events.push((0, TrackEventKind::Meta(MetaMessage::TrackName(part.name.as_bytes()))));
    }
    events.push((0, midi(MidiMessage::ProgramChange { program })));
    events.extend(timed.into_iter().map(|(tick, _, _, kind)| (tick, kind)));
    track(events)
}

/// Ticks to delta times; the end of track stands at the last event.
fn track(events: Vec<(u32, TrackEventKind<'_>)>) -> Result<Track<'_>, Error> {
    let (mut track, mut now) = (Vec::with_capacity(events.len() + 1), 0);
    for (tick, kind) in events {
        let Some(delta) = u28::try_from(tick - now) else {
            return refuse(format!("a rest of {} ticks, expected at most 268435455", tick - now));
        };
        track.push(TrackEvent { delta, kind });
        now = tick;
    }
    track.push(TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(MetaMessage::EndOfTrack) });
    Ok(track)
}
