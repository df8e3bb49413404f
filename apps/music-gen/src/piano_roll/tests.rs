//! Rows, bars, names of keys, and scores that no one should draw.

use media::score::{Change, Key, Note, Part};

use super::*;

fn score(quarters: u32, parts: usize) -> Score {
    let note = |i: u32, part: usize| Note {
        start: i * 24,
        length: 24,
        pitch: 72 - 7 * (part as u8 % 8) + (i % 5) as u8,
        velocity: 80,
    };
    let parts = (0..parts).map(|part| Part {
        name: format!("Part {part}"),
        notes: (0..quarters).map(|i| note(i, part)).collect(),
        ..Part::default()
    });
    Score { ticks_per_quarter: 24, parts: parts.collect(), ..Score::default() }
}

fn rows(bars: u32, expected: &[u32]) {
    let score = score(bars * 4, 1);
    let found: Vec<u32> =
        layout(&score, &super::bars(&score), 148.0).rows.iter().map(|row| (row.1 - row.0) / 96).collect();
    assert_eq!(found, expected, "{bars} bars");
}

#[test]
fn bars_fold_into_even_rows() {
    rows(1, &[1]);
    rows(8, &[8]);
    rows(16, &[8, 8]);
    rows(24, &[12, 12]);
    rows(49, &[13, 13, 13, 10]);
}

#[test]
fn a_pickup_is_bar_zero_and_metres_change() {
    let metre = |start, numerator, denominator| Change { start, value: Metre { numerator, denominator } };
    let metres = vec![metre(0, 3, 4), metre(24 + 72, 2, 2)];
    let score = Score { pickup: 24, metres, ..score(1 + 3 + 4 + 1, 1) };
    let found: Vec<_> = bars(&score).iter().map(|bar| (bar.start, bar.end, bar.number)).collect();
    assert_eq!(found, [(0, 24, 0), (24, 96, 1), (96, 192, 2), (192, 288, 3)]);
}

#[test]
fn keys_have_names() {
    let check = |fifths, minor, expected: &str| assert_eq!(key_name(Key { fifths, minor }), expected);
    check(0, false, "C major");
    check(0, true, "A minor");
    check(-2, false, "B♭ major");
    check(-7, false, "C♭ major");
    check(3, true, "F♯ minor");
    check(-4, true, "F minor");
    check(7, true, "A♯ minor");
    check(7, false, "C♯ major");
}

#[test]
fn every_part_has_its_colour_even_in_unison() {
    let mut score = score(8, 4);
    let unison = score.parts[0].notes.clone();
    score.parts[3].notes = unison;
    let picture = draw(&score);
    for (part, color) in PARTS.iter().enumerate().take(4) {
        let near = |p: &[u8]| {
            [color.0, color.1, color.2].iter().zip(p).map(|(a, b)| a.abs_diff(*b) as u32).sum::<u32>() < 40
        };
        let count = picture.pixels.chunks(3).filter(|p| near(p)).count();
        assert!(count > 1000, "part {part} has {count} pixels");
    }
    assert_eq!(draw(&score), picture);
}

#[test]
fn size_is_bounded_whatever_the_score() {
    let wide = |score: &Score| {
        let picture = draw(score);
        assert!(picture.width <= 4096 && picture.height <= 10_000, "{} x {}", picture.width, picture.height);
    };
    wide(&Score::default());
    wide(&score(20_000, 4));
    wide(&score(4, 3000));
    let far = |start, length, pitch| {
        let notes = vec![Note { start, length, pitch, velocity: 0 }];
        Score { parts: vec![Part { notes, ..Part::default() }], ..Score::default() }
    };
    wide(&far(u32::MAX, u32::MAX, 255));
    wide(&far(0, u32::MAX, 0));
    let metre = Metre { numerator: 0, denominator: 0 };
    let odd = Score {
        ticks_per_quarter: u32::MAX,
        metres: (0..1000).map(|start| Change { start, value: metre }).collect(),
        keys: vec![Change { start: 0, value: Key { fifths: -128, minor: true } }],
        title: Some("x".repeat(10_000)),
        pickup: u32::MAX,
        ..far(0, u32::MAX, 64)
    };
    wide(&odd);
}
