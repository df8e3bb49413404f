//! The figures on small scores whose answers can be told by eye.

use media::score::{Change, Key, Metre, Note, Part, Score};

use super::statistics::{Unit, cadence, closes, crossings, dissonant, in_scale, parallels};
use super::texture::{bars, chords, line, voices};
use super::{CopyIndex, Statistics, columns, copying_table, statistics, table, within};

const C_MAJOR: Key = Key { fifths: 0, minor: false };
const QUARTER: u32 = 4;

/// A voice from (pitch, length) pairs, sixteenths; pitch 0 is a rest.
fn part(notes: &[(u8, u32)]) -> Part {
    let mut start = 0;
    let mut part = Part::default();
    for &(pitch, length) in notes {
        if pitch > 0 {
            part.notes.push(Note { start, pitch, length, velocity: 80 });
        }
        start += length;
    }
    part
}

/// A score in C major and 4/4 from its voices.
fn score(voices: &[&[(u8, u32)]]) -> Score {
    Score {
        ticks_per_quarter: QUARTER,
        parts: voices.iter().map(|notes| part(notes)).collect(),
        keys: vec![Change { start: 0, value: C_MAJOR }],
        metres: vec![Change { start: 0, value: Metre { numerator: 4, denominator: 4 } }],
        ..Score::default()
    }
}

/// A score of quarter-note chords, soprano first; 0 rests.
fn hymn(chords: &[[u8; 4]]) -> Score {
    let voices: Vec<Vec<(u8, u32)>> =
        (0..4).map(|voice| chords.iter().map(|chord| (chord[voice], QUARTER)).collect()).collect();
    score(&voices.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn transposed(score: &Score, by: i16) -> Score {
    let mut score = score.clone();
    for note in score.parts.iter_mut().flat_map(|part| &mut part.notes) {
        note.pitch = (i16::from(note.pitch) + by) as u8;
    }
    score
}

/// Quarter-note chords without a pattern, the same for the same seed.
fn wander(length: usize, mut seed: u64) -> Score {
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((seed >> 33) % below) as u8
    };
    let chords: Vec<[u8; 4]> =
        (0..length).map(|_| [70 + draw(9), 60 + draw(9), 50 + draw(9), 40 + draw(9)]).collect();
    hymn(&chords)
}

#[test]
fn chords_stand_at_every_onset_and_rests_are_silent() {
    let score = score(&[&[(72, 8)], &[(0, 4), (67, 4)], &[(64, 2), (65, 6)]]);
    let found: Vec<_> = chords(&score).iter().map(|c| (c.start, c.end, c.pitches, c.struck)).collect();
    let expected = [
        (0, 2, [Some(72), None, Some(64), None], [true, false, true, false]),
        (2, 4, [Some(72), None, Some(65), None], [false, false, true, false]),
        (4, 8, [Some(72), Some(67), Some(65), None], [false, true, false, false]),
    ];
    assert_eq!(found, expected);
    assert!(chords(&Score::default()).is_empty());
}

#[test]
fn a_part_with_chords_gives_its_top_line() {
    let note = |start, pitch, length| Note { start, pitch, length, velocity: 80 };
    let part = Part { notes: vec![note(0, 60, 8), note(0, 64, 8), note(4, 62, 4)], ..Part::default() };
    assert_eq!(line(&part), [note(0, 64, 4), note(4, 62, 4)]);
    let drums = Part { percussion: true, ..part.clone() };
    let voices = voices(&Score { parts: vec![drums, part], ..Score::default() });
    assert_eq!(voices.map(|notes| notes.len()), [2, 0, 0, 0]);
}

#[test]
fn strong_beats_follow_metre_and_pickup() {
    let check = |numerator, denominator, pickup, length, expected: &[u32]| {
        let mut score = score(&[&[(60, length)]]);
        score.metres[0].value = Metre { numerator, denominator };
        score.pickup = pickup;
        let found: Vec<u32> = bars(&score).iter().flat_map(|bar| bar.strong_beats()).collect();
        assert_eq!(found, expected, "{numerator}/{denominator}, pickup {pickup}");
    };
    check(4, 4, 0, 32, &[0, 8, 16, 24]);
    check(4, 4, 4, 36, &[4, 12, 20, 28]);
    check(4, 4, 12, 28, &[4, 12, 20]);
    check(3, 4, 0, 24, &[0, 12]);
    check(3, 4, 4, 16, &[4]);
    check(2, 4, 0, 16, &[0, 8]);
    check(6, 8, 0, 12, &[0, 6]);
}

#[test]
fn bars_follow_metre_changes_and_end_with_the_piece() {
    let mut score = score(&[&[(60, 45)]]);
    score.pickup = 4;
    score.metres.push(Change { start: 20, value: Metre { numerator: 3, denominator: 4 } });
    let found: Vec<_> = bars(&score).iter().map(|bar| (bar.start, bar.end, bar.complete())).collect();
    assert_eq!(found, [(0, 4, false), (4, 20, true), (20, 32, true), (32, 44, true), (44, 45, false)]);
}

#[test]
fn minor_has_both_sixths_and_sevenths() {
    let check = |key, outside: &[u8]| {
        let found: Vec<u8> =
            (60..72).filter(|&pitch| !in_scale(pitch, key)).map(|pitch| pitch % 12).collect();
        assert_eq!(found, outside, "{key:?}");
    };
    check(C_MAJOR, &[1, 3, 6, 8, 10]);
    check(Key { fifths: 2, minor: false }, &[0, 3, 5, 8, 10]);
    check(Key { fifths: 0, minor: true }, &[1, 3, 10]);
    check(Key { fifths: -3, minor: true }, &[1, 4, 6]);
}

#[test]
fn parallels_need_both_voices_to_move_together() {
    let check = |before, after, expected: (usize, usize)| {
        let chords = chords(&hymn(&[before, after]));
        let [before, after] = chords[..] else { panic!("{} chords", chords.len()) };
        assert_eq!(
            (parallels(&before, &after, 7), parallels(&before, &after, 0)),
            expected,
            "{before:?} {after:?}"
        );
    };
    check([0, 0, 55, 48], [0, 0, 57, 50], (1, 0));
    // a twelfth to a twelfth, a fifth to a twelfth, an octave to a fifteenth, a unison to a unison
    check([0, 67, 0, 48], [0, 69, 0, 50], (1, 0));
    check([0, 67, 0, 60], [0, 81, 0, 62], (1, 0));
    check([72, 0, 0, 60], [86, 0, 0, 62], (0, 1));
    check([60, 0, 0, 60], [62, 0, 0, 62], (0, 1));
    // contrary motion, repeated notes, one voice at rest, a diminished fifth
    check([67, 0, 0, 48], [62, 0, 0, 55], (0, 0));
    check([67, 0, 0, 48], [67, 0, 0, 48], (0, 0));
    check([67, 64, 0, 48], [69, 65, 0, 0], (0, 0));
    check([67, 0, 0, 60], [71, 0, 0, 65], (0, 0));
    // C E G C to D F A D: one pair of fifths, one of octaves
    check([72, 67, 64, 48], [74, 69, 65, 50], (1, 1));
}

#[test]
fn crossings_and_dissonances_are_seen_in_one_chord() {
    let check = |pitches: [u8; 4], crossed, clashing| {
        let chord = chords(&hymn(&[pitches]))[0];
        assert_eq!((crossings(&chord), dissonant(&chord)), (crossed, clashing), "{pitches:?}");
    };
    check([72, 67, 64, 48], 0, false);
    check([64, 67, 55, 48], 1, false);
    check([60, 64, 67, 48], 2, false);
    check([67, 67, 55, 60], 1, false);
    check([72, 67, 65, 48], 0, true);
    check([71, 65, 62, 55], 0, true);
    // a six-four chord has no such pair; a minor ninth does
    check([76, 72, 60, 55], 0, false);
    check([61, 0, 0, 48], 0, true);
}

#[test]
fn cadences() {
    let check = |pieces: &[[u8; 4]], expected| {
        assert_eq!(cadence(&chords(&hymn(pieces)), 0, QUARTER), expected, "{pieces:?}");
    };
    let (one, five, four) = ([72, 67, 64, 48], [71, 67, 62, 55], [72, 69, 65, 53]);
    check(&[one, five, one], true);
    check(&[one, four, one], true);
    check(&[one, [74, 68, 65, 47], one], true);
    check(&[five, [72, 67, 63, 48]], true);
    // an open fifth; a tonic that an octave leap of the bass repeats; V without its third
    check(&[five, [72, 67, 60, 48]], true);
    check(&[five, [72, 67, 64, 60], one], true);
    check(&[[74, 67, 65, 43], one], true);
    // no step into the tonic, an inverted tonic, another chord, V two chords before
    check(&[one], false);
    check(&[[76, 69, 64, 57], one], false);
    check(&[five, [72, 67, 60, 52]], false);
    check(&[one, five], false);
    check(&[five, [76, 69, 64, 57], one], false);
    check(&[five, [74, 67, 64, 48]], false);
    assert!(!cadence(&[], 0, QUARTER));
    assert!(!closes(0));
}

#[test]
fn a_set_is_counted_over_all_its_pieces() {
    let one = [72, 67, 64, 48];
    let first = hymn(&[one, [74, 69, 65, 50], [71, 67, 62, 55], one]);
    let found = statistics(&[first, Score::default(), hymn(&[[73, 67, 64, 35]])]);
    assert_eq!((found.pieces, found.chords), (2, 5));
    let near = |name: &str, value: f64, expected: f64| {
        assert!((value - expected).abs() < 1e-9, "{name}: {value}, not {expected}");
    };
    near("in key", found.in_key, 19.0 / 20.0);
    near("in range", found.in_range, 19.0 / 20.0);
    near("fifths", found.parallel_fifths, 20.0);
    near("octaves", found.parallel_octaves, 20.0);
    // strong beats: C major, G major; the lonely chord C#-G-E-B
    near("dissonant", found.dissonant, 1.0 / 3.0);
    near("no chord", found.no_chord, 0.0);
    near("cadence", found.cadence, 0.5);
    near("soprano interval", found.interval[0], 2.0);
    near("bass note", found.note_length[3], 1.0);
    near("chords per bar", found.chords_per_bar, 4.0);
    near("notes per quarter", found.notes_per_beat, 4.0);
    assert_eq!(statistics(&[]), Statistics::default());
}

#[test]
fn bars_repeat_only_when_every_voice_does() {
    let check = |voices: &[&[(u8, u32)]], expected: f64| {
        let found = statistics(&[score(voices)]).repeated_bars;
        assert!((found - expected).abs() < 1e-9, "{voices:?}: {found}");
    };
    check(&[&[(60, 16), (60, 16)], &[(50, 16), (50, 16)]], 0.5);
    check(&[&[(60, 16), (60, 16)], &[(50, 16), (51, 16)]], 0.0);
    // struck as halves the second time; held over from the first bar; silence is no bar
    check(&[&[(60, 16), (60, 8), (60, 8)]], 0.0);
    check(&[&[(60, 32)]], 0.0);
    check(&[&[(60, 16), (0, 32), (60, 16)]], 0.5);
}

#[test]
fn verdicts_are_relative_but_absolute_for_rare_events() {
    for (unit, reference, value, expected) in [
        (Unit::Share, 0.5, 0.6, true),
        (Unit::Share, 0.5, 0.61, false),
        (Unit::Share, 0.0, 0.0, true),
        (Unit::PerHundred, 0.1, 0.6, true),
        (Unit::PerHundred, 0.1, 0.61, false),
        (Unit::PerHundred, 3.0, 3.5, true),
        (Unit::PerHundred, 3.0, 3.7, false),
        (Unit::Plain, 0.4, 0.5, false),
        (Unit::Plain, 2.0, f64::NAN, false),
    ] {
        assert_eq!(within(unit, reference, value), expected, "{unit:?} {reference} {value}");
    }
}

#[test]
fn tables_have_a_column_for_each_set() {
    let set = statistics(&[wander(16, 1)]);
    let table = table(&set, &set);
    assert!(
        table.starts_with("| Statistic | Bach (valid) | generated | within 20% |\n|---|---:|---:|:---:|\n")
    );
    assert_eq!(table.lines().count(), 4 + set.values().len());
    assert!(!table.contains("| no |"), "{table}");
    let wide = columns(&[("a", &set), ("b", &Statistics::default()), ("c", &set)]);
    assert!(wide.lines().all(|line| line.matches('|').count() == 6), "{wide}");
}

#[test]
fn copies_are_found_in_any_key_and_end_where_the_music_differs() {
    let training: Vec<Score> = (1..6).map(|seed| wander(40, seed)).collect();
    let index = CopyIndex::new(&training);
    let whole = index.measure(&transposed(&training[2], 5));
    assert_eq!((whole.texture.beats, whole.texture.notes), (40.0, 160.0));
    assert_eq!((whole.soprano.notes, whole.any_voice.notes), (40.0, 40.0));

    // one note of the twelfth chord is another: 28 chords are left, and 40 notes of the other voices
    let mut changed = training[2].clone();
    changed.parts[1].notes[11].pitch += 3;
    let found = index.measure(&changed);
    assert_eq!((found.texture.beats, found.texture.notes), (28.0, 112.0));
    assert_eq!(found.soprano.notes, 40.0);

    let strange = index.measure(&wander(40, 99));
    assert!(strange.texture.beats <= 2.0, "{strange:?}");
    assert_eq!(index.measure(&Score::default()), Default::default());
    assert_eq!(CopyIndex::new(&[]).measure(&training[0]), Default::default());
}

#[test]
fn search_agrees_with_trying_every_pair() {
    // few pitches, so that runs are many and long
    let tune = |length: usize, mut seed: u64| -> Vec<(u8, u32)> {
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        (0..length).map(|_| (60 + draw(3) as u8, 1 + draw(2) as u32)).collect()
    };
    let tunes: Vec<_> = (1..8).map(|seed| tune(60, seed)).collect();
    let training: Vec<Score> = tunes.iter().map(|tune| score(&[tune])).collect();
    let index = CopyIndex::new(&training);
    for seed in 20..40 {
        let query = tune(50, seed);
        let mut longest = 0;
        for tune in &tunes {
            for (i, j) in (0..query.len()).flat_map(|i| (0..tune.len()).map(move |j| (i, j))) {
                let same = |k: usize| {
                    let step = |t: &[(u8, u32)], i: usize| i16::from(t[i + k].0) - i16::from(t[i].0);
                    query[i + k].1 == tune[j + k].1 && step(&query, i) == step(tune, j)
                };
                let room = (query.len() - i).min(tune.len() - j);
                longest = longest.max((0..room).take_while(|&k| same(k)).count());
            }
        }
        assert_eq!(index.measure(&score(&[&query])).soprano.notes, longest as f64, "seed {seed}");
    }
}

#[test]
fn a_training_piece_is_not_its_own_copy() {
    let mut training: Vec<Score> = (1..5).map(|seed| wander(30, seed)).collect();
    let alone = CopyIndex::new(&training).report_within(&training);
    assert!(alone.longest.texture.beats <= 2.0, "{alone:?}");
    training.push(transposed(&training[0], -2));
    let doubled = CopyIndex::new(&training).report_within(&training);
    assert_eq!((doubled.pieces, doubled.longest.texture.beats), (5, 30.0));
    assert!(doubled.mean.texture.beats >= 12.0 && doubled.mean.texture.beats < 14.0, "{doubled:?}");
}

#[test]
fn the_ninety_fifth_percentile_leaves_out_the_last_of_twenty() {
    let training = vec![wander(30, 1)];
    let mut pieces: Vec<Score> = (2..21).map(|seed| wander(30, seed)).collect();
    pieces.push(training[0].clone());
    let report = CopyIndex::new(&training).report(&pieces);
    assert_eq!(report.longest.texture.beats, 30.0);
    assert!(report.high.texture.beats <= 2.0, "{report:?}");
    let table = copying_table(&[("real", &report), ("generated", &report)]);
    assert_eq!(table.lines().count(), 8);
    assert!(table.contains("| All voices, quarters | 30.0 /") && !table.contains("| no |"), "{table}");
}
