//! A tiny SoundFont made by hand, whole and damaged.

use media::score::{Note, Part, Score};
use rayon::prelude::*;

use super::super::noise::Noise;
use super::*;

fn chunk(id: &[u8; 4], data: &[u8]) -> Vec<u8> {
    [id.as_slice(), &(data.len() as u32).to_le_bytes(), data].concat()
}

fn list(kind: &[u8; 4], chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"LIST", &[kind.to_vec(), chunks.concat()].concat())
}

fn words(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn named(name: &str, rest: &[u8]) -> Vec<u8> {
    let mut record = name.as_bytes().to_vec();
    record.resize(20, 0);
    [record, rest.to_vec()].concat()
}

/// One preset of one instrument of one looped sample: ten periods of 441 Hz at 44.1 kHz, played as A4 less a
/// little.
fn font() -> Vec<u8> {
    let sine = |i: usize| (20_000.0 * (i as f32 / 100.0 * std::f32::consts::TAU).sin()) as i16;
    let samples: Vec<u8> =
        (0..1046).map(|i| if i < 1000 { sine(i) } else { 0 }).flat_map(i16::to_le_bytes).collect();
    let preset = |name, bag: u16| named(name, &[words(&[0, 0, bag]), vec![0; 12]].concat());
    let header = |name, numbers: [u32; 5], pitch: u8| {
        let numbers: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        named(name, &[numbers, vec![pitch, 0], words(&[0, 1])].concat())
    };
    let info = list(b"INFO", &[chunk(b"ifil", &words(&[2, 1])), chunk(b"INAM", b"tiny\0\0")]);
    let data = list(b"sdta", &[chunk(b"smpl", &samples)]);
    let parameters = list(
        b"pdta",
        &[
            chunk(b"phdr", &[preset("sine", 0), preset("EOP", 1)].concat()),
            chunk(b"pbag", &words(&[0, 0, 1, 0])),
            chunk(b"pmod", &[0; 10]),
            chunk(b"pgen", &words(&[41, 0, 0, 0])),
            chunk(b"inst", &[named("sine", &words(&[0])), named("EOI", &words(&[1]))].concat()),
            chunk(b"ibag", &words(&[0, 0, 4, 0])),
            chunk(b"imod", &[0; 10]),
            // release of 0.1 s, loop, 4 cents lower, the sample
            chunk(b"igen", &words(&[38, (-3986i16) as u16, 54, 1, 52, (-4i16) as u16, 53, 0, 0, 0])),
            chunk(
                b"shdr",
                &[header("sine", [0, 1000, 100, 900, 44_100], 69), header("EOS", [0; 5], 0)].concat(),
            ),
        ],
    );
    chunk(b"RIFF", &[b"sfbk".to_vec(), info, data, parameters].concat())
}

fn score(notes: &[(u32, u32, u8)]) -> Score {
    let note = |&(start, length, pitch)| Note { start, length, pitch, velocity: 100 };
    let part = |program| Part { program, notes: notes.iter().map(note).collect(), ..Part::default() };
    // a tick is a millisecond
    Score { ticks_per_quarter: 500, parts: vec![part(0), part(77)], ..Score::default() }
}

#[test]
fn plays_the_sample_in_tune() {
    let score = score(&[(100, 1000, 69)]);
    let dry = Options { room: 0.0 };
    let loaded = Font::read(font()).unwrap().font;
    let audio = play(&score, &loaded, &dry, LONGEST_TAIL).unwrap();
    assert_eq!(audio, play(&score, &loaded, &dry, LONGEST_TAIL).unwrap());
    let left: Vec<f32> = audio.samples.chunks(2).map(|frame| frame[0]).collect();
    assert!(left[..4300].iter().all(|x| x.abs() < 1e-4), "sounds before its time");
    let heard = crate::sound::tests::pitch(&left[10_000..40_000], 440.0);
    assert!((heard / 440.0).log2().abs() * 1200.0 < 2.0, "{heard} Hz");
    let seconds = audio.seconds();
    assert!((1.15..1.7).contains(&seconds), "{seconds} s");
    assert!(Font::read(font()).unwrap().render(&score).unwrap().seconds() > seconds);
}

#[test]
fn bad_files_are_one_line() {
    let check = |bytes: &[u8], expected: &str| {
        let played = Font::read(bytes.to_vec()).and_then(|font| font.render(&score(&[(0, 100, 60)])));
        let error = played.unwrap_err().to_string();
        assert_eq!(error, format!("the soundfont cannot be used: {expected}"));
    };
    let good = font();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let find = |id: &[u8]| good.windows(4).position(|w| w == id).unwrap();
    check(&[], "it is empty; give a SoundFont 2 file (.sf2)");
    check(b"MThd\0\0\0\x06", "it does not begin as one (RIFF, sfbk); give a SoundFont 2 file (.sf2)");
    check(&good[..12], "it ends before its INFO list");
    check(&good[..good.len() - 1], "its pdta list is cut off: 352 bytes from byte 2162 on");
    check(&with(find(b"smpl") + 6, 9), "the chunk at byte 62 does not fit in its sdta list");
    check(&with(find(b"pbag") + 8, 7), "record 0 of its pbag table points at 7 of 1 in pgen");
    check(&with(find(b"inst") + 8 + 20, 2), "record 0 of its inst table points at 2 of 1 in ibag");
    check(&with(find(b"shdr") + 8 + 31, 200), "sample 0 lies at 3355443300, beyond what can be read");
    check(
        &with(find(b"shdr") + 8 + 39, 128),
        "a sample of its instrument 'sine' has a rate of -2147439548 Hz",
    );
    let tiny_loop = with(find(b"shdr") + 8 + 32, 101).into_iter().enumerate();
    let tiny_loop: Vec<u8> =
        tiny_loop.map(|(i, b)| if i == find(b"shdr") + 8 + 33 { 0 } else { b }).collect();
    let high = score(&[(0, 100, 81)]);
    let error = Font::read(tiny_loop).and_then(|font| font.render(&high)).unwrap_err().to_string();
    assert!(
        error.ends_with("key 81 of its preset 'sine' steps 2.0 samples at once in a loop of 1"),
        "{error}"
    );
}

/// Damages a file in one to four places: bytes, small numbers, lengths, cuts.
fn damage(good: &[u8], seed: u64) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let mut noise = Noise::new(seed);
    let mut below = |most: usize| ((noise.next() * 0.5 + 0.5) * most as f32) as usize % most.max(1);
    // most of the file is samples, so most damage goes to the tables behind them
    let tables = good.len() - 360;
    for _ in 0..1 + below(4) {
        if bytes.len() < 8 {
            break;
        }
        let at = if below(4) == 0 { below(bytes.len()) } else { (tables + below(360)).min(bytes.len() - 1) };
        match below(8) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << below(8),
            2 => bytes[at] = [0, 1, 127, 128, 255][below(5)],
            3 if at + 4 <= bytes.len() => {
                bytes[at..at + 4].copy_from_slice(&[255, 255, 255, [127, 255][below(2)]])
            }
            4 => drop(bytes.drain(at..(at + 1 + below(40)).min(bytes.len()))),
            5 => bytes.insert(at, below(256) as u8),
            _ => bytes[at] = below(256) as u8,
        }
    }
    bytes
}

#[test]
fn damaged_files_never_panic() {
    let count: u64 = std::env::var("FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let good = font();
    let score = score(&[(0, 20, 40), (10, 20, 69), (30, 5, 127)]);
    let played = (0..count)
        .into_par_iter()
        .filter(|&seed| {
            let bytes = damage(&good, seed);
            let dry = Options { room: if seed % 64 == 0 { 1.0 } else { 0.0 } };
            let font = Font::read(bytes);
            let whole = font.is_ok();
            let result = font.and_then(|font| play(&score, &font.font, &dry, 0.05));
            match result {
                Ok(audio) => assert!(audio.samples.iter().all(|x| x.is_finite() && x.abs() <= 1.0)),
                Err(error) => {
                    let line = error.to_string();
                    assert!(!line.contains('\n') && line.len() < 300, "{line}");
                }
            }
            whole
        })
        .count() as u64;
    // the damage is light enough to get past the checks, and heavy enough to be caught
    assert!((count / 20..count * 19 / 20).contains(&played), "{played} of {count} were played");
}
