//! What the binary makes.

use std::path::Path;

use media::score::Score;
use serde_json::Value;

use crate::{folder, music_gen, must, sample};

fn read(path: &Path) -> Score {
    media::midi::read(&std::fs::read(path).unwrap()).unwrap()
}

fn assert_four_voices(score: &Score) {
    assert_eq!(score.parts.len(), 4);
    let names: Vec<&str> = score.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["Soprano", "Alto", "Tenor", "Bass"]);
    for part in &score.parts {
        assert!(part.notes.windows(2).all(|pair| pair[0].end() <= pair[1].start), "{} overlaps", part.name);
    }
}

#[test]
fn help_is_as_it_was() {
    let help = must(&folder("help"), &["--help"]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/music-gen/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    assert_eq!(
        help,
        std::fs::read_to_string(&path).unwrap(),
        "UPDATE=1 writes tests/music-gen/help.txt anew"
    );
}

#[test]
fn without_words_a_chorale_appears() {
    let folder = folder("plain");
    let paths = must(&folder, &["--bars", "4", "--seed", "7", "-q"]);
    assert_eq!(paths, "music.mid\nmusic.wav\nmusic.png\n");
    let score = read(&folder.join("music.mid"));
    assert_four_voices(&score);
    assert!(!score.keys.is_empty() && !score.metres.is_empty() && !score.tempos.is_empty());
    let wav = std::fs::read(folder.join("music.wav")).unwrap();
    assert_eq!(&wav[..4], b"RIFF");
    assert_eq!(u16::from_le_bytes([wav[22], wav[23]]), 2);
    assert_eq!(u32::from_le_bytes([wav[24], wav[25], wav[26], wav[27]]), 44_100);
    let peak = wav[44..].chunks(2).map(|s| i16::from_le_bytes([s[0], s[1]]).unsigned_abs()).max().unwrap();
    assert!(peak > 1000 && (peak as f64) < 32767.0 * 10f64.powf(-1.0 / 20.0), "peak {peak}");
    assert_eq!(&std::fs::read(folder.join("music.png")).unwrap()[1..4], b"PNG");
    // Playing again loses nothing.
    assert_eq!(
        must(&folder, &["--bars", "4", "--seed", "8", "-q"]),
        "music-2.mid\nmusic-2.wav\nmusic-2.png\n"
    );
}

#[test]
fn a_seed_gives_its_bytes_again() {
    let folder = folder("seed");
    for name in ["a", "b"] {
        must(&folder, &["--bars", "3", "--seed", "11", "-o", name, "--threads", "1"]);
    }
    must(&folder, &["--bars", "3", "--seed", "12", "-o", "c"]);
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    for kind in ["mid", "wav", "png"] {
        assert_eq!(bytes(&format!("a.{kind}")), bytes(&format!("b.{kind}")), "{kind}");
    }
    assert_ne!(bytes("a.mid"), bytes("c.mid"));
}

#[test]
fn what_is_asked_is_in_the_piece() {
    let folder = folder("asked");
    let words = [
        "--bars", "6", "--key", "F#m", "--metre", "3/4", "--tempo", "90", "--seed", "5", "--json", "-o",
        "x.mid",
    ];
    let line: Value = serde_json::from_str(&must(&folder, &words)).unwrap();
    assert_eq!(line["key"], "F# minor");
    assert_eq!(line["metre"], "3/4");
    assert_eq!(line["tempo"], 90.0);
    assert_eq!(line["seed"], 5);
    assert_eq!(line["outputs"][0], "x.mid");
    assert!(!folder.join("x.wav").exists(), "an extension asks for that kind alone");
    assert!(line["timings"]["first_note_s"].as_f64().unwrap() > 0.0);
    let score = read(&folder.join("x.mid"));
    assert_four_voices(&score);
    assert_eq!((score.keys[0].value.fifths, score.keys[0].value.minor), (3, true));
    assert!((score.tempos[0].value - 90.0).abs() < 0.01);
    let bars = score.end() as f64 / score.ticks_per_quarter as f64 / 3.0;
    assert!(bars > 4.9 && bars <= 7.0, "{bars} bars");
}

#[test]
fn a_song_has_a_voice_and_a_piano() {
    let folder = folder("song");
    must(&folder, &["--style", "song", "--bars", "3", "--seed", "3", "-o", "song.mid"]);
    let score = read(&folder.join("song.mid"));
    assert!(score.parts.len() >= 2, "{:?}", score.parts.iter().map(|part| &part.name).collect::<Vec<_>>());
}

#[test]
fn a_harmonised_melody_is_untouched() {
    let folder = folder("harmonise");
    let given = sample("phrase.mid");
    let melody = &read(&given).parts[0].notes;
    must(&folder, &["--harmonise", given.to_str().unwrap(), "--seed", "2", "-o", "choir.mid"]);
    let score = read(&folder.join("choir.mid"));
    assert_four_voices(&score);
    let ticks = read(&given).ticks_per_quarter as u64;
    let scaled = |notes: &[media::score::Note], from: u64| -> Vec<(u64, u8, u64)> {
        notes
            .iter()
            .map(|n| (n.start as u64 * 10_080 / from, n.pitch, n.length as u64 * 10_080 / from))
            .collect()
    };
    assert_eq!(scaled(&score.parts[0].notes, score.ticks_per_quarter as u64), scaled(melody, ticks));
    assert!(score.parts[1..].iter().all(|part| !part.notes.is_empty()));
}

/// A score of single lines (start, pitch, length) in ticks of which 24 make a quarter, as a MIDI file.
fn write(path: &Path, lines: &[&[(u32, u8, u32)]]) {
    use media::score::{Change, Metre, Note, Part};
    let part = |(index, line): (usize, &&[(u32, u8, u32)])| Part {
        name: format!("Line {index}"),
        notes: line
            .iter()
            .map(|&(start, pitch, length)| Note { start, pitch, length, velocity: 80 })
            .collect(),
        ..Part::default()
    };
    let score = Score {
        ticks_per_quarter: 24,
        parts: lines.iter().enumerate().map(part).collect(),
        metres: vec![Change { start: 0, value: Metre { numerator: 4, denominator: 4 } }],
        ..Score::default()
    };
    std::fs::write(path, media::midi::write(&score).unwrap()).unwrap();
}

/// Harmonises a melody and asserts that it comes back note for note, with notes in every other part.
fn harmonised(name: &str, line: &[(u32, u8, u32)], more: &[&str]) {
    let folder = folder(name);
    write(&folder.join("line.mid"), &[line]);
    let words = [&["--harmonise", "line.mid", "--seed", "4", "-o", "choir.mid"][..], more].concat();
    must(&folder, &words);
    let score = read(&folder.join("choir.mid"));
    let ticks = |ticks: u32| ticks * 24 / score.ticks_per_quarter;
    let melody: Vec<_> = score.parts[0]
        .notes
        .iter()
        .map(|n| (ticks(n.start), n.pitch, ticks(n.start + n.length) - ticks(n.start)))
        .collect();
    assert_eq!(melody, line, "{name}");
    assert!(score.parts.len() > 1 && score.parts[1..].iter().all(|part| !part.notes.is_empty()));
}

const SCALE: [(u32, u8, u32); 8] = [
    (0, 67, 24),
    (24, 69, 24),
    (48, 71, 24),
    (72, 72, 24),
    (96, 74, 24),
    (120, 71, 24),
    (144, 69, 24),
    (168, 67, 24),
];

#[test]
fn melodies_of_every_kind_are_harmonised() {
    harmonised("plain-line", &SCALE, &[]);
    harmonised("other-key", &SCALE, &["--key", "Em"]);
    harmonised("as-song", &SCALE, &["--style", "song"]);
    let late: Vec<_> = SCALE.iter().map(|&(start, pitch, length)| (start + 48, pitch, length)).collect();
    harmonised("late", &late, &[]);
    let later: Vec<_> = SCALE.iter().map(|&(start, pitch, length)| (start + 96, pitch, length)).collect();
    harmonised("empty-bar", &later, &[]);
    let gated: Vec<_> = SCALE.iter().map(|&(start, pitch, _)| (start, pitch, 23)).collect();
    harmonised("gated", &gated, &[]);
    let short = &SCALE[..3];
    harmonised("short", short, &[]);
}

#[test]
fn long_pieces_have_the_bars_that_are_asked() {
    let folder = folder("long");
    let line = must(&folder, &["--bars", "70", "--metre", "2/4", "--seed", "9", "--json", "-o", "long.mid"]);
    let line: Value = serde_json::from_str(&line).unwrap();
    let bars = line["bars"].as_u64().unwrap();
    assert!(bars == 70 || bars == 71, "{bars}");
    let score = read(&folder.join("long.mid"));
    let quarters = score.end() as f64 / score.ticks_per_quarter as f64;
    assert!(quarters > 138.0 && quarters <= 142.0, "{quarters} quarters");
}

#[test]
fn a_batch_without_a_seed_goes_on_too() {
    let folder = folder("seedless");
    must(&folder, &["--bars", "1", "--count", "2", "-o", "out/", "-q"]);
    let output = music_gen(&folder, &["--bars", "1", "--count", "2", "-o", "out/"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("0 composed, 2 done before"), "{said}");
}

#[test]
fn a_continued_piece_keeps_its_beginning() {
    let folder = folder("continue");
    let given = sample("phrase.mid");
    must(&folder, &["--continue", given.to_str().unwrap(), "--bars", "2", "--seed", "2", "-o", "more.mid"]);
    let (before, after) = (read(&given), read(&folder.join("more.mid")));
    assert!(
        after.end() as u64 * before.ticks_per_quarter as u64
            > before.end() as u64 * after.ticks_per_quarter as u64
    );
    for (before_part, after_part) in before.parts.iter().zip(&after.parts) {
        let ticks = |ticks: u32, score: &Score| ticks as u64 * 10_080 / score.ticks_per_quarter as u64;
        let notes = |part: &media::score::Part, score: &Score| -> Vec<(u64, u8, u64)> {
            part.notes.iter().map(|n| (ticks(n.start, score), n.pitch, ticks(n.length, score))).collect()
        };
        let (kept, given) = (notes(after_part, &after), notes(before_part, &before));
        assert_eq!(kept[..given.len().min(kept.len())], given);
        assert!(kept.len() > given.len(), "{} has nothing new", after_part.name);
    }
}

#[test]
fn a_folder_of_pieces_is_a_batch_that_goes_on() {
    let folder = folder("batch");
    let words = ["--bars", "1", "--count", "3", "--seed", "40", "-o", "out/"];
    must(&folder, &words);
    let first = std::fs::read(folder.join("out/music-41.mid")).unwrap();
    std::fs::remove_file(folder.join("out/music-42.mid")).unwrap();
    let output = music_gen(&folder, &words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("1 composed, 2 done before, 0 failed"), "{said}");
    assert_eq!(std::fs::read(folder.join("out/music-41.mid")).unwrap(), first);
    assert!(folder.join("out/music-42.mid").exists());
}

#[test]
fn some_inputs_that_fail_do_not_stop_the_others() {
    let folder = folder("some");
    std::fs::write(folder.join("bad.mid"), b"not music").unwrap();
    let good = sample("phrase.mid");
    let output =
        music_gen(&folder, &["--harmonise", good.to_str().unwrap(), "bad.mid", "-o", "out/", "--seed", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(folder.join("out/phrase.mid").exists());
    assert!(!folder.join("out/bad.mid").exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("bad: "));
}

#[test]
fn the_embedded_model_is_shown_with_its_licence() {
    let shown = must(&folder("models"), &["models", "show", "embedded"]);
    assert!(shown.contains("model.safetensors"), "{shown}");
    assert!(shown.contains("licence"), "{shown}");
    assert!(must(&folder("completions"), &["completions", "bash"]).contains("music-gen"));
}
