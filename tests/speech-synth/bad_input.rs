//! Whatever is wrong gives one line and an exit code, and writes nothing.

use crate::{done, folder, golden, refused, run, said, wav};

#[test]
fn flags() {
    let (folder, voice) = (folder("wrong-flags"), golden("mms"));
    for words in [
        &["--speed", "0", "x y"][..],
        &["--speed", "1000", "x y"],
        &["--speed", "NaN", "x y"],
        &["--noise", "-1", "x y"],
        &["--noise-duration", "11", "x y"],
        &["--pause", "61", "x y"],
        &["--speaker", "first", "x y"],
        &["--bits", "8", "x y"],
        &["--format", "mp3", "x y"],
        &["-o", "x.mp3", "x y"],
        &["-o", "x.flac", "--bits", "32", "x y"],
        &["--ipa", "--arpabet", "x y"],
        &["--sample-rate", "10", "x y"],
        &["--lufs", "3", "x y"],
        &["--subtitles", "x.txt", "x y"],
        &["--subtitles", "x.srt", "x y", "z", "-o", "out/"],
        &["-o", "-", "--json", "x y"],
        &["-o", "-", "x y", "z"],
        &["-o", "x.wav", "x y", "z"],
        &["x", "y"],
        &["none.txt"],
        &["no/such/file"],
        &["-", "-"],
        &["--ipa"],
    ] {
        refused(&folder, &[words, &["--model", &voice]].concat(), 2);
    }
}

#[test]
fn texts() {
    let (folder, voice) = (folder("wrong-texts"), golden("mms"));
    let told = |text: &str| refused(&folder, &["--model", &voice, "--text", text], 1);
    assert!(told("").contains("is empty"));
    assert!(told(" \n\t").contains("is empty"));
    assert!(told("?!... -- ;").contains("no letter"));
    assert!(told("\u{1}\u{7f}").contains("no letter"));
    let greek = told("Καλημέρα κόσμε, abc");
    assert!(greek.contains("cannot read Greek") && greek.contains("knows Latin letters"), "{greek}");
    assert!(told("你好，世界").contains("Chinese"));
    assert!(told("12 345").contains("digits"));
    let speaker = refused(&folder, &["--model", &voice, "--speaker", "2", "x y"], 1);
    assert!(speaker.contains("one speaker"), "{speaker}");
    let speaker = refused(&folder, &["--model", &golden("speakers"), "--speaker", "5", "x y"], 1);
    assert!(speaker.contains("5 speakers, 0 to 4"), "{speaker}");
    let phonemes = refused(&folder, &["--model", &golden("phonemes"), "Hello there."], 1);
    assert!(phonemes.contains("--ipa"), "{phonemes}");
    std::fs::write(folder.join("latin.txt"), b"caf\xe9\n").unwrap();
    assert!(refused(&folder, &["--model", &voice, "latin.txt"], 1).contains("line 1"));
}

#[test]
fn what_cannot_be_said_in_a_text_that_can_is_told() {
    let folder = folder("left-out");
    let voice = golden("mms");
    let output = run(&folder, &["--model", &voice, "--seed", "7", "Hello\u{7} w\u{f6}rld in 2024, h\u{f6}!"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("ö (2)") && told.contains("2 (2)") && told.contains("0 (1)"), "{told}");
    assert!(wav(&folder.join("speech.wav")).1.len() > 100);
}

#[test]
fn a_long_text_is_spoken_piece_by_piece() {
    let folder = folder("long-text");
    let sentence = "It goes on. ";
    std::fs::write(folder.join("long.txt"), sentence.repeat((1 << 15) / sentence.len())).unwrap();
    let words = ["long.txt", "-o", "long.wav", "--speed", "10", "--noise-duration", "0"];
    done(&said(&folder, &words));
    let (_, samples) = wav(&folder.join("long.wav"));
    assert!(samples.len() > 1 << 15);
}

#[test]
fn models() {
    let folder = folder("wrong-models");
    for (name, text) in [("none", ""), ("odd", "{\"model_type\": \"bark\"}"), ("cut", "{\"model_type\":")] {
        std::fs::create_dir(folder.join(name)).unwrap();
        if !text.is_empty() {
            std::fs::write(folder.join(name).join("config.json"), text).unwrap();
        }
        refused(&folder, &["--model", &format!("./{name}"), "x y"], 1);
    }
    refused(&folder, &["--model", "./nowhere", "x y"], 1);
    // of two models
    std::fs::create_dir(folder.join("mixed")).unwrap();
    for (file, from) in [
        ("config.json", "mms"),
        ("model.safetensors", "mms"),
        ("vocab.json", "speakers"),
        ("tokenizer_config.json", "speakers"),
    ] {
        std::fs::copy(format!("{}/{file}", golden(from)), folder.join("mixed").join(file)).unwrap();
    }
    let told = refused(&folder, &["--model", "./mixed", "x y"], 1);
    assert!(told.contains("vocab_size"), "{told}");
    let text = folder.join("exists.wav");
    std::fs::write(&text, "mine").unwrap();
    let told = refused(&folder, &["--model", &golden("mms"), "x y", "-o", "exists.wav"], 1);
    assert!(told.contains("--force"), "{told}");
    assert_eq!(std::fs::read(text).unwrap(), b"mine");
}
