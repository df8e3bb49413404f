//! Damaged files by the thousand: a reader answers or refuses, quickly and within bounds.
//!
//! `FUZZ=1000000 cargo test -p media fuzz -- --nocapture` tries more than the default of 20,000 a reader.

use std::path::Path;
use std::time::{Duration, Instant};

use media::audio::Audio;
use media::subtitles::{Layout, parse_srt, parse_vtt, srt, vtt};
use media::{midi, musicxml};

use crate::{audio, sample};

/// Longest time for one input of a few kilobytes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most that the process may ever hold.
const MAX_RESIDENT_KB: u64 = 1 << 20;
const EXTREMES: [&str; 10] =
    ["0", "-1", "1", "255", "65536", "2147483647", "4294967296", "1e308", "NaN", "99999999999999999999"];

/// A small deterministic generator (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn span(&mut self, length: usize, longest: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let size = self.below(longest + 1).min(length - start);
        start..start + size
    }
}

/// Changes that leave the file's frame alone, so that the deeper parts of a reader see them.
fn mutate_gently(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 if bytes[at] != b'<' && bytes[at] != b'>' => bytes[at] ^= 1 << dice.below(3),
            1 => change_number(bytes, at, dice),
            2 => {
                if let Some(span) = element(bytes, at) {
                    let copy = bytes[span.clone()].to_vec();
                    let at = element(bytes, dice.below(bytes.len())).map_or(span.end, |other| other.start);
                    bytes.splice(at..at, copy);
                }
            }
            _ => {
                if let Some(span) = element(bytes, at) {
                    bytes.drain(span);
                }
            }
        }
    }
}

/// The first whole XML element after `at`.
fn element(bytes: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let opens = |pair: &[u8]| pair[0] == b'<' && pair[1].is_ascii_alphabetic();
    let start = at + bytes[at..].windows(2).position(opens)?;
    let name = bytes[start + 1..].split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').next()?;
    let end = [b"</", name, b">"].concat();
    let length = bytes[start..].windows(end.len()).position(|window| window == end)?;
    Some(start..start + length + end.len())
}

fn change_number(bytes: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let digits = bytes[at..].iter().position(u8::is_ascii_digit).map(|skip| at + skip);
    let start = digits.unwrap_or(at);
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let extreme = EXTREMES[dice.below(EXTREMES.len())];
    bytes.splice(start..start + length, extreme.bytes());
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = dice.next() as u8,
            2 => bytes.truncate(at),
            // a length or another number to an extreme
            3 => {
                let extreme =
                    [[0; 4], [0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0, 0, 0xff, 0xff]][dice.below(4)];
                for (byte, value) in bytes.iter_mut().skip(at).zip(extreme) {
                    *byte = value;
                }
            }
            4 => change_number(bytes, at, dice),
            5 => {
                let span = dice.span(bytes.len(), 400);
                let copy = bytes[span].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let span = dice.span(other.len(), 400);
                bytes.splice(at..at, other[span].iter().copied());
            }
            7 => {
                let span = dice.span(bytes.len(), 200);
                bytes.drain(span);
            }
            // a whole chunk or element once more, somewhere else
            _ => {
                let marks: Vec<usize> = (0..bytes.len())
                    .filter(|at| bytes[*at] == b'<' || bytes[*at..].starts_with(b"MTrk"))
                    .collect();
                if marks.len() > 1 {
                    let first = dice.below(marks.len() - 1);
                    let last = (first + 1 + dice.below(20)).min(marks.len() - 1);
                    let copy = bytes[marks[first]..marks[last]].to_vec();
                    let target = marks[dice.below(marks.len())];
                    bytes.splice(target..target, copy);
                }
            }
        }
    }
}

fn fuzz(name: &str, seeds: &[Vec<u8>], read: impl Fn(&[u8]) -> Result<usize, String>) {
    let count = std::env::var("FUZZ").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000u64);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut longest) = (0u64, Duration::ZERO);
    for number in 0..count {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        if number % 2 == 0 {
            mutate_gently(&mut bytes, &mut dice);
        } else {
            mutate(&mut bytes, &seeds[dice.below(seeds.len())], &mut dice);
        }
        let start = Instant::now();
        match read(&bytes) {
            Ok(_) => accepted += 1,
            Err(line) => assert!(!line.contains('\n') && line.len() < 400, "input {number}: {line:?}"),
        }
        longest = longest.max(start.elapsed());
        assert!(longest < PATIENCE, "input {number} took {longest:?}");
    }
    let peak = peak_resident_kb();
    println!("{name}: {count} inputs, {accepted} read, longest {longest:?}, peak memory {peak:?} kB");
    assert!(accepted > 0 && accepted < count);
    assert!(peak.is_none_or(|peak| peak < MAX_RESIDENT_KB), "peak memory {peak:?} kB");
}

/// The most memory that this process has held, where the system tells.
fn peak_resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn midi_reader_survives_damage() {
    let single = {
        let score = midi::read(&sample("phrase.mid")).unwrap();
        let mut bytes = midi::write(&score).unwrap();
        bytes[9] = 0;
        bytes
    };
    fuzz("midi", &[sample("phrase.mid"), single], |bytes| {
        let score = midi::read(bytes).map_err(|error| error.to_string())?;
        // what was read can be written, unless it rests longer than MIDI can say, and is the same again
        if let Ok(written) = midi::write(&score) {
            let again = midi::read(&written).map_err(|error| error.to_string())?;
            assert_eq!(again.parts, score.parts);
        }
        Ok(score.parts.len())
    });
}

#[test]
fn musicxml_reader_survives_damage() {
    let seeds = [sample("song.musicxml"), sample("phrase.musicxml"), sample("song.mxl")];
    fuzz("musicxml", &seeds, |bytes| {
        let score = musicxml::read(bytes).map_err(|error| error.to_string())?;
        Ok(score.parts.len())
    });
}

#[test]
fn audio_reader_survives_damage() {
    let names = [
        "tone.flac",
        "tone.mp3",
        "tone.ogg",
        "tone.m4a",
        "tone-alac.m4a",
        "tone.mka",
        "tone.opus",
        "tone.webm",
    ];
    let mut seeds: Vec<Vec<u8>> =
        names.iter().map(|name| std::fs::read(audio::folder().join(name)).unwrap()).collect();
    seeds.extend([8, 16, 32].map(|bits| audio::wav(&[0.25; 1000], 2, 44_100, bits)));
    fuzz("audio", &seeds, |bytes| {
        let audio = Audio::from_bytes(bytes.to_vec(), Path::new("x")).map_err(|error| error.to_string())?;
        let mut count = 0;
        for block in audio.mono(16_000).map_err(|error| error.to_string())? {
            let block = block.map_err(|error| error.to_string())?;
            assert!(!block.is_empty() && block.iter().all(|sample| sample.is_finite()));
            count += block.len();
        }
        Ok(count)
    });
}

#[test]
fn subtitle_readers_survive_damage() {
    let seeds =
        ["1\n00:00:01,000 --> 00:00:02,500\na <i>b</i>\nc\n\n2\n00:00:03,000 --> 100:00:04,000\nd & e\n\n";
            2]
            .map(|file| file.as_bytes().to_vec());
    fuzz("subtitles", &seeds, |bytes| {
        let file = String::from_utf8_lossy(bytes);
        let cues = parse_srt(&file).map_err(|error| error.to_string())?;
        // what was read is written in a form that stays
        let written = srt(&cues, &Layout::default());
        assert_eq!(srt(&parse_srt(&written).unwrap(), &Layout::default()), written);
        assert!(parse_vtt(&vtt(&cues, &Layout::default())).is_ok());
        Ok(cues.len())
    });
}
