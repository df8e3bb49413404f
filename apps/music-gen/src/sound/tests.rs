//! What a listener would notice.

use media::score::{Change, Note, Part, Score};

use super::*;

/// The frequency near `guess` (within a semitone) at which `samples` are strongest.
pub(super) fn pitch(samples: &[f32], guess: f64) -> f64 {
    let power = |frequency: f64| {
        let turn = frequency * std::f64::consts::TAU / f64::from(RATE);
        let (mut re, mut im) = (0.0, 0.0);
        for (t, &x) in samples.iter().enumerate() {
            let window = 0.5 - 0.5 * (t as f64 / samples.len() as f64 * std::f64::consts::TAU).cos();
            re += window * f64::from(x) * (t as f64 * turn).cos();
            im += window * f64::from(x) * (t as f64 * turn).sin();
        }
        re * re + im * im
    };
    // coarse, then fine
    let mut best = guess;
    for step in [10.0, 1.0, 0.2f64] {
        let around = (-10..=10).map(|i| best * (f64::from(i) * step / 1200.0).exp2());
        best = around.max_by(|a, b| power(*a).total_cmp(&power(*b))).unwrap_or(best);
    }
    best
}

fn note(start: u32, length: u32, pitch: u8) -> Note {
    Note { start, length, pitch, velocity: 90 }
}

/// A tick is a millisecond.
fn score(parts: &[(u8, Vec<Note>)]) -> Score {
    let part = |(program, notes): &(u8, Vec<Note>)| Part {
        program: *program,
        notes: notes.clone(),
        ..Part::default()
    };
    let tempos = vec![Change { start: 0, value: 60.0 }];
    Score { ticks_per_quarter: 1000, parts: parts.iter().map(part).collect(), tempos, ..Score::default() }
}

/// Chords in four parts.
fn piece(program: u8) -> Score {
    let line = |pitches: [u8; 4]| (0..4).map(|i| note(i * 400, 400, pitches[i as usize])).collect();
    score(&[
        (program, line([67, 69, 71, 72])),
        (program, line([62, 65, 67, 67])),
        (program, line([59, 60, 62, 64])),
        (program, line([43, 41, 43, 36])),
    ])
}

fn left(audio: &Audio) -> Vec<f32> {
    audio.samples.chunks(2).map(|frame| frame[0]).collect()
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, x| peak.max(x.abs()))
}

/// -1 dBFS.
const LOUD: f32 = 0.8912;
const DRY: Options = Options { room: 0.0 };

#[test]
fn every_program_is_clean() {
    for program in 0..128 {
        let audio = render(&piece(program), &Options::default()).unwrap();
        let (first, last) = (audio.samples[0].abs(), audio.samples[audio.samples.len() - 1].abs());
        assert!(first < 1e-3 && last < 1e-4, "program {program} begins at {first}, ends at {last}");
        let loudest = peak(&audio.samples);
        assert!((0.1..LOUD).contains(&loudest), "program {program} peaks at {loudest}");
        for side in 0..2 {
            let channel: Vec<f32> = audio.samples.iter().skip(side).step_by(2).copied().collect();
            let offset = channel.iter().map(|x| f64::from(*x)).sum::<f64>() / channel.len() as f64;
            assert!(offset.abs() < 1e-3, "program {program} has an offset of {offset}");
            let jump = channel.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            assert!(jump < 0.45 * loudest, "program {program} jumps by {jump} of {loudest}");
        }
    }
}

#[test]
fn nothing_clicks_where_notes_meet() {
    // the second difference of a click stands out from the rest of the same sound
    for program in [0, 19, 52] {
        let audio = render(&piece(program), &DRY).unwrap();
        let curve: Vec<f32> = left(&audio).windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).collect();
        let mut sorted = curve.clone();
        sorted.sort_by(f32::total_cmp);
        let usual = sorted[sorted.len() * 99 / 100];
        let worst = peak(&curve);
        assert!(worst < 8.0 * usual, "program {program}: {worst} over {usual}");
    }
}

#[test]
fn a4_is_440_hz() {
    for program in [0, 4, 6, 19, 24, 32, 40, 46, 48, 52, 53, 56, 68, 71, 73, 80] {
        let audio = render(&score(&[(program, vec![note(0, 3000, 69)])]), &DRY).unwrap();
        let left = left(&audio);
        let sounding = &left[RATE as usize / 5..2 * RATE as usize];
        let heard = pitch(sounding, 440.0);
        // sections of several players are as wide as they are, their middle is what counts
        let limit = if [48, 52, 53].contains(&program) { 12.0 } else { 2.0 };
        let cents = 1200.0 * (heard / 440.0).log2();
        assert!(cents.abs() < limit, "program {program}: {cents} cents");
        let below = pitch(sounding, 220.0);
        let strength = |frequency: f64| {
            let turn = frequency * std::f64::consts::TAU / f64::from(RATE);
            let sum = |wave: fn(f64) -> f64| {
                sounding.iter().enumerate().map(|(t, x)| f64::from(*x) * wave(t as f64 * turn)).sum::<f64>()
            };
            sum(f64::cos).hypot(sum(f64::sin))
        };
        assert!(strength(heard) > 20.0 * strength(below), "program {program} sounds an octave lower");
    }
}

#[test]
fn lasts_as_long_as_the_piece_and_its_tail() {
    let mut score = score(&[(19, vec![note(0, 1000, 60), note(1000, 1000, 62)])]);
    score.tempos.push(Change { start: 1000, value: 30.0 });
    let seconds = render(&score, &DRY).unwrap().seconds();
    assert!((3.1..3.4).contains(&seconds), "{seconds}");
    let seconds = render(&score, &Options::default()).unwrap().seconds();
    assert!((4.9..5.5).contains(&seconds), "{seconds}");
}

#[test]
fn the_same_on_any_number_of_threads() {
    let score = piece(52);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| render(&score, &Options::default()).unwrap())
    };
    let one = on(1);
    assert!(one.samples.iter().zip(&on(3).samples).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(one, render(&score, &Options::default()).unwrap());
}

#[test]
fn silence_gives_nothing() {
    for empty in [Score::default(), score(&[(0, vec![])])] {
        assert!(render(&empty, &Options::default()).unwrap().samples.is_empty());
    }
}

#[test]
fn all_keys_at_once_do_not_clip() {
    for program in [0, 19, 47] {
        let keys = (0..128).map(|pitch| Note { velocity: 127, ..note(0, 400, pitch) }).collect();
        let audio = render(&score(&[(program, keys)]), &Options::default()).unwrap();
        let loudest = peak(&audio.samples);
        assert!(loudest < LOUD, "program {program} peaks at {loudest}");
    }
}

#[test]
fn a_repeated_note_speaks_again() {
    for (program, depth) in [(19, 0.7), (52, 0.85), (0, 1.0)] {
        let audio = render(&score(&[(program, vec![note(0, 600, 67), note(600, 600, 67)])]), &DRY).unwrap();
        let left = left(&audio);
        let level = |from: f32, to: f32| {
            let frames = (from * RATE as f32) as usize..(to * RATE as f32) as usize;
            (left[frames.clone()].iter().map(|x| x * x).sum::<f32>() / frames.len() as f32).sqrt()
        };
        let (before, between, after) = (level(0.4, 0.5), level(0.58, 0.605), level(0.7, 0.8));
        assert!(between < depth * before && between < after, "program {program}: {before} {between} {after}");
    }
}

#[test]
fn drums_and_all_keys_sound() {
    let keys = (27..88).map(|pitch| note(u32::from(pitch - 27) * 50, 50, pitch)).collect();
    let part = Part { percussion: true, notes: keys, ..Part::default() };
    let audio = render(&Score { parts: vec![part], ..score(&[]) }, &DRY).unwrap();
    for blow in 0..61 {
        let from = (blow * RATE as usize / 20) * 2;
        assert!(peak(&audio.samples[from..from + 4000]) > 0.01, "key {}", blow + 27);
    }
}
