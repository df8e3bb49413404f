//! MIDI files: what is written is read again, and what other programs write is understood.

use media::midi::{read, write};
use media::score::{Change, Key, Metre, Note, Part, Score};

use crate::notes;

fn part(name: &str, program: u8, notes: &[(u32, u8, u32)]) -> Part {
    let note = |&(start, pitch, length)| Note { start, pitch, length, velocity: 80 };
    Part { name: name.into(), program, percussion: false, notes: notes.iter().map(note).collect() }
}

fn metre(start: u32, numerator: u8, denominator: u8) -> Change<Metre> {
    Change { start, value: Metre { numerator, denominator } }
}

fn score(parts: Vec<Part>) -> Score {
    Score {
        title: Some("Évora".into()),
        ticks_per_quarter: 480,
        parts,
        tempos: vec![Change { start: 0, value: 110.0 }, Change { start: 960, value: 63.5 }],
        metres: vec![metre(0, 4, 4), metre(1920, 6, 8)],
        keys: vec![
            Change { start: 0, value: Key { fifths: -3, minor: true } },
            Change { start: 1920, value: Key { fifths: 7, minor: false } },
        ],
        pickup: 0,
    }
}

/// A type-1 file (or another type) with 96 ticks in a quarter note, of these track contents.
fn file(kind: u8, tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0".to_vec();
    bytes.extend([kind, 0, tracks.len() as u8, 0, 96]);
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend((track.len() as u32 + 4).to_be_bytes());
        bytes.extend(*track);
        bytes.extend(b"\0\xff\x2f\0");
    }
    bytes
}

fn check(tracks: &[&[u8]], expected: &[&[(u32, u8, u32)]]) {
    let score = read(&file(1, tracks)).unwrap();
    let parts: Vec<_> = score.parts.iter().map(notes).collect();
    assert_eq!(parts, expected);
}

fn refuse(bytes: &[u8], expected: &str) {
    assert_eq!(read(bytes).unwrap_err().to_string(), expected);
}

#[test]
fn what_is_written_is_read_again() {
    let mut drums = part("Drums", 0, &[(0, 35, 10), (480, 38, 10)]);
    drums.percussion = true;
    let voice = part("Voix élevée", 52, &[(0, 60, 480), (480, 60, 480), (960, 64, 1), (960, 67, 960)]);
    for pickup in [0, 240, 720] {
        let mut score =
            score(vec![voice.clone(), drums.clone(), part("", 127, &[(5, 0, 1), (5, 127, 70_000)])]);
        score.pickup = pickup;
        let bytes = write(&score).unwrap();
        assert_eq!(read(&bytes).unwrap(), score);
        assert_eq!(write(&score).unwrap(), bytes);
    }
}

#[test]
fn every_whole_tempo_survives() {
    for tempo in 4..=400 {
        let mut score = score(vec![part("a", 0, &[(0, 60, 1)])]);
        score.tempos = vec![Change { start: 0, value: f64::from(tempo) }];
        assert_eq!(read(&write(&score).unwrap()).unwrap().tempos, score.tempos);
    }
}

#[test]
fn many_parts_keep_their_programs_and_leave_the_drum_channel() {
    let parts: Vec<Part> =
        (0..40).map(|index| part(&format!("p{index}"), index % 12, &[(0, 60 + index, 9)])).collect();
    let score = score(parts);
    let bytes = write(&score).unwrap();
    assert_eq!(read(&bytes).unwrap(), score);
    assert!(bytes.iter().filter(|byte| **byte == 0x99).count() == 0);
}

#[test]
fn what_midi_cannot_hold_is_refused() {
    let check = |change: fn(&mut Score), expected: &str| {
        let mut score = score(vec![part("a", 0, &[(0, 60, 1)])]);
        change(&mut score);
        assert_eq!(
            write(&score).unwrap_err().to_string(),
            format!("cannot write this score as MIDI: {expected}")
        );
    };
    check(|s| s.ticks_per_quarter = 0, "0 ticks in a quarter note, expected 1 to 32767");
    check(|s| s.ticks_per_quarter = 32768, "32768 ticks in a quarter note, expected 1 to 32767");
    check(|s| s.tempos[0].value = 0.0, "tempo 0 at tick 0, expected 3.58 to 60000000 quarters a minute");
    check(
        |s| s.tempos[0].value = f64::NAN,
        "tempo NaN at tick 0, expected 3.58 to 60000000 quarters a minute",
    );
    check(|s| s.metres[1].value.denominator = 3, "time signature 6/3 at tick 1920");
    check(|s| s.keys[0].value.fifths = 8, "key signature of 8 fifths at tick 0");
    check(|s| s.parts[0].program = 128, "program 128 of part \"a\", expected 0 to 127");
    check(|s| s.parts[0].notes[0].velocity = 0, "pitch 60, velocity 0 of part \"a\" at tick 0");
    check(|s| s.parts[0].notes[0].pitch = 128, "pitch 128, velocity 80 of part \"a\" at tick 0");
    check(|s| s.parts[0].notes[0].start = u32::MAX, "pitch 60, velocity 80 of part \"a\" at tick 4294967295");
    check(|s| s.parts[0].notes[0].start = 1 << 30, "a rest of 1073741824 ticks, expected at most 268435455");
}

#[test]
fn running_status_and_silent_note_ons_end_notes() {
    check(&[b"\0\x90\x3c\x40\x60\x3e\x40\0\x3c\0\x60\x3e\0"], &[&[(0, 60, 96), (96, 62, 96)]]);
}

#[test]
fn a_second_onset_ends_the_sounding_note() {
    check(&[b"\0\x90\x3c\x40\x10\x3c\x40\x10\x80\x3c\x40\x10\x3c\x40"], &[&[(0, 60, 16), (16, 60, 16)]]);
    // the first note's own end comes after the onset that cut it, at the same tick
    check(&[b"\0\x90\x3c\x40\x10\x3c\x40\0\x80\x3c\x40\x10\x3c\x40"], &[&[(0, 60, 16), (16, 60, 16)]]);
}

#[test]
fn hanging_notes_last_to_the_end_of_their_track_and_empty_ones_are_dropped() {
    check(&[b"\0\x90\x3c\x40\x10\x90\x3e\x40\0\x80\x3e\0\x20\xb0\x40\x7f"], &[&[(0, 60, 48)]]);
    check(&[b"\0\x90\x3c\x40\0\x80\x3c\x40"], &[]);
}

#[test]
fn parts_are_what_a_track_plays_on_a_channel() {
    let track = b"\0\xff\x03\x03abc\0\xc1\x05\0\x90\x3c\x40\0\x91\x3e\x40\0\x99\x23\x40\x10\x80\x3c\0\0\x81\x3e\0\0\x89\x23\0";
    let other = b"\0\xc0\x07";
    let score = read(&file(1, &[track, other])).unwrap();
    let parts: Vec<_> =
        score.parts.iter().map(|p| (p.name.as_str(), p.program, p.percussion, p.notes[0].pitch)).collect();
    // channel 1 has its program in another track
    assert_eq!(parts, [("abc", 7, false, 60), ("abc", 5, false, 62), ("abc", 0, true, 35)]);
    assert_eq!(score.title, None);
    let single = read(&file(0, &[track])).unwrap();
    assert_eq!(single.title.as_deref(), Some("abc"));
    assert_eq!(single.parts.len(), 3);
    assert_eq!(single.parts[0].name, "");
}

#[test]
fn names_are_utf8_or_latin1() {
    let score =
        read(&file(1, &[b"\0\xff\x03\x04caf\xe9", b"\0\xff\x03\x05caf\xc3\xa9\0\x90\x3c\x40\x10\x3c\0"]))
            .unwrap();
    assert_eq!((score.title.as_deref(), score.parts[0].name.as_str()), (Some("café"), "café"));
}

#[test]
fn metres_that_restart_a_bar_stay() {
    let signature = b"\xff\x58\x04\x04\x02\x18\x08";
    let with = |delta: &[u8]| {
        let track = [b"\0", &signature[..], delta, &signature[..]].concat();
        read(&file(1, &[&track])).unwrap().metres
    };
    assert_eq!(with(b"\x83\x00"), [metre(0, 4, 4)]);
    assert_eq!(with(b"\x60"), [metre(0, 4, 4), metre(96, 4, 4)]);
}

#[test]
fn smpte_time_becomes_a_quarter_a_second() {
    let mut bytes = file(0, &[b"\0\x90\x3c\x40\x64\x3c\0"]);
    bytes[12..14].copy_from_slice(&[0xe7, 40]);
    let score = read(&bytes).unwrap();
    assert_eq!(
        (score.ticks_per_quarter, score.tempos[0].value, score.parts[0].notes[0].length),
        (1000, 60.0, 100)
    );
    bytes[13] = 0;
    refuse(&bytes, "the MIDI header declares 0 ticks in a frame");
}

#[test]
fn damage_is_one_clear_line() {
    let good = file(1, &[b"\0\x90\x3c\x40\x60\x3c\0"]);
    refuse(b"", "the file is empty; expected a MIDI file");
    refuse(b"RIFF", "not a MIDI file: its RIFF container holds no MIDI data");
    refuse(b"hello", "not a MIDI file: it does not begin with MThd");
    refuse(&good[..10], "not a MIDI file: its header is damaged");
    refuse(&good[..25], "the file is truncated: MIDI track 1 declares 11 bytes, but only 3 are left");
    let mut many = good.clone();
    many[10..12].copy_from_slice(&[0xff, 0xff]);
    refuse(&many, "the MIDI header declares 65535 tracks, but the file holds 1; it is damaged or truncated");
    refuse(&file(2, &[b""]), "MIDI type 2 (independent patterns) is not read; save the file as type 0 or 1");
    let mut timeless = good.clone();
    timeless[12..14].copy_from_slice(&[0, 0]);
    refuse(&timeless, "the MIDI header declares 0 ticks in a quarter note");
    let mut wild = good.clone();
    wild[27] = 0xf4;
    refuse(&wild, "MIDI track 1 is damaged near tick 0: no readable event and no end of track follow");
    let long = b"\xff\xff\xff\x7f\xff\x01\0".repeat(17);
    refuse(&file(1, &[b"", &long]), "MIDI track 2 runs past tick 4294967295; its delta times are damaged");
    let size = media::midi::MAX_FILE_BYTES + 1;
    refuse(&vec![0; size], "the file has 33554433 bytes; MIDI files are read up to 33554432");
}

#[test]
fn a_riff_container_is_unwrapped() {
    let inner = file(1, &[b"\0\x90\x3c\x40\x60\x3c\0"]);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((inner.len() as u32 + 12).to_le_bytes());
    bytes.extend(b"RMIDdata");
    bytes.extend((inner.len() as u32).to_le_bytes());
    bytes.extend(&inner);
    assert_eq!(read(&bytes).unwrap(), read(&inner).unwrap());
}

#[test]
fn the_worst_files_of_full_size_are_quick() {
    let start = std::time::Instant::now();
    let tiny = file(0, &[b""]);
    let tracks: Vec<u8> = tiny[14..].repeat((32 << 20) / (tiny.len() - 14) - 2);
    let error = read(&[&tiny[..14], &tracks].concat()).unwrap_err().to_string();
    assert!(error.contains("expected at most 65535"), "{error}");
    let dense = [&b"\0\x90\x3c\x40"[..], &b"\x01\x3c\x40".repeat(10 << 20)].concat();
    assert_eq!(read(&file(0, &[&dense])).unwrap().parts[0].notes.len(), 10 << 20);
    assert!(start.elapsed().as_secs() < 20);
}
