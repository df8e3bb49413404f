//! Bad input of every kind: one line, the right exit code, nothing written.

use std::path::Path;

use crate::{folder, music_gen, sample};

/// Runs in a folder, which must hold nothing new afterwards; the exit code and the one line must be right.
fn check(folder: &Path, words: &[&str], code: i32, part: &str) {
    let list = || -> Vec<String> {
        let names =
            std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let before = list();
    let output = music_gen(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{words:?}: {said}");
    assert!(said.contains(part), "{words:?} says {said:?}, not {part:?}");
    assert!(output.stdout.is_empty());
    assert_eq!(list(), before, "{words:?} wrote something");
}

#[test]
fn wrong_words_are_exit_2() {
    let folder = folder("words");
    std::fs::write(folder.join("there.mid"), b"").unwrap();
    for (words, part) in [
        (&["--bars", "0"][..], "bars"),
        (&["--bars", "513"], "bars"),
        (&["--key", "H#"], "no key"),
        (&["--metre", "5/0"], "no time signature"),
        (&["--metre", "99/4"], "no time signature"),
        (&["--tempo", "0"], "tempo"),
        (&["--tempo", "NaN"], "tempo"),
        (&["--count", "0"], "count"),
        (&["--temperature=-1"], "temperature"),
        (&["--top-p", "1.5"], "top-p"),
        (&["--seed=-1"], "seed"),
        (&["--seed", "18446744073709551616"], "seed"),
        (&["--style", "polka"], "polka"),
        (&["a happy tune"], "without words"),
        (&["--text", "train"], "without words"),
        (&["--", "train"], "without words"),
        (&["-o", "tune.mp3"], ".mp3"),
        (&["--count", "2", "-o", "-"], "-o DIR/"),
        (&["--harmonise", "a.mid", "b.mid"], "-o DIR/"),
        (&["--harmonise", "a.mid", "--metre", "3/4"], "--metre"),
        (&["--harmonise", "a.mid", "--bars", "4"], "--bars"),
        (&["--continue", "a.mid", "--key", "C"], "--key"),
        (&["-o", "-", "--json"], "--json"),
        (&["--dtype", "q8"], "q8"),
        (&["evaluate", "--data", "x", "--held-out", "2"], "held-out"),
        (&["train", "--data", "a", "--out", "b", "--shares", "1,2"], "--shares"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--device", "tpu"], "tpu"),
        (&["train"], "--data"),
    ] {
        check(&folder, words, 2, part);
    }
}

/// One note that lasts 2^28 - 1 quarters.
const ENDLESS: &[u8] =
    b"MThd\0\0\0\x06\0\0\0\x01\0\x01MTrk\0\0\0\x0f\0\x90\x3c\x40\xff\xff\xff\x7f\x80\x3c\x40\0\xff\x2f\0";

#[test]
fn wrong_files_are_exit_1() {
    let folder = folder("files");
    let chorale = std::fs::read(sample("phrase.mid")).unwrap();
    let packed = std::fs::read(sample("song.mxl")).unwrap();
    let mut crowded = chorale.clone();
    crowded[10..12].copy_from_slice(&[0xff, 0xff]);
    for (name, bytes) in [
        ("empty.mid", &b""[..]),
        ("cut.mid", &chorale[..30]),
        ("endless.mid", ENDLESS),
        ("crowded.mid", &crowded[..40]),
        ("noise.mid", &[0x55; 4000]),
        ("empty.mxl", b""),
        ("cut.mxl", &packed[..packed.len() / 2]),
        ("noise.musicxml", b"<score-partwise><part>"),
        ("page.xml", b"<html><body/></html>"),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
        check(&folder, &["--harmonise", name, "-o", "x"], 1, name);
        check(&folder, &["--continue", name, "-o", "x"], 1, name);
    }
    check(&folder, &["--harmonise", "absent.mid", "-o", "x"], 1, "absent.mid");
    check(&folder, &["--harmonise", ".", "-o", "x"], 1, ".");
    std::fs::write(folder.join("bad.sf2"), b"RIFF").unwrap();
    check(&folder, &["--soundfont", "bad.sf2", "--bars", "1", "-o", "x.wav"], 1, "soundfont");
    check(&folder, &["--soundfont", "absent.sf2", "--bars", "1", "-o", "x.wav"], 1, "absent.sf2");
}

/// What becomes of a file of the embedded model's folder; `None` leaves it out.
type Change<'a> = &'a dyn Fn(&str, Vec<u8>) -> Option<Vec<u8>>;

#[test]
fn wrong_models_are_exit_1() {
    let folder = folder("models-bad");
    let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/music-gen");
    let names = ["config.json", "music.json", "model.safetensors"];
    let model = |name: &str, change: Change| {
        let to = folder.join(name);
        std::fs::create_dir_all(&to).unwrap();
        for file in names {
            if let Some(bytes) = change(file, std::fs::read(card.join(file)).unwrap()) {
                std::fs::write(to.join(file), bytes).unwrap();
            }
        }
    };
    model("no-config", &|file, bytes| (file != "config.json").then_some(bytes));
    model("no-music", &|file, bytes| (file != "music.json").then_some(bytes));
    model("no-weights", &|file, bytes| (file != "model.safetensors").then_some(bytes));
    model("cut", &|file, bytes| {
        Some(if file == "model.safetensors" { bytes[..bytes.len() / 2].to_vec() } else { bytes })
    });
    model("wide", &|file, bytes| {
        let text = || {
            String::from_utf8(bytes.clone()).unwrap().replace("\"hidden_size\": 256", "\"hidden_size\": 512")
        };
        Some(if file == "config.json" { text().into_bytes() } else { bytes })
    });
    model("other", &|file, bytes| {
        let text = || String::from_utf8(bytes.clone()).unwrap().replace("\"llama\"", "\"mamba\"");
        Some(if file == "config.json" { text().into_bytes() } else { bytes })
    });
    for (name, part) in [
        ("no-config", "config.json"),
        ("no-music", "music.json"),
        ("no-weights", "model.safetensors"),
        ("cut", "model.safetensors"),
        ("wide", ", 512]"),
        ("other", "mamba"),
    ] {
        check(&folder, &["--model", &format!("./{name}"), "-o", "x"], 1, part);
    }
    check(&folder, &["--model", "./absent", "-o", "x"], 1, "absent");
    check(&folder, &["--model", "owner/absent", "--offline", "-o", "x"], 1, "owner/absent");
}

#[test]
fn what_exists_is_not_overwritten() {
    let folder = folder("exists");
    std::fs::write(folder.join("x.mid"), b"mine").unwrap();
    check(&folder, &["-o", "x.mid", "--bars", "1"], 1, "--force");
    check(&folder, &["-o", "x", "--bars", "1"], 1, "--force");
    assert_eq!(std::fs::read(folder.join("x.mid")).unwrap(), b"mine");
}
