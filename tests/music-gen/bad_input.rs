//! Bad input of every kind: one line, the right exit code, nothing written.

use std::path::Path;

use crate::{folder, refused, sample};

/// Runs in a folder, which must hold nothing new afterwards; the exit code and the one line must be right.
fn check(folder: &Path, words: &[&str], code: i32, part: &str) {
    let said = refused(folder, words, code);
    assert!(said.contains(part), "{words:?} says {said:?}, not {part:?}");
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

#[test]
fn what_a_model_that_makes_sound_cannot_do() {
    let folder = folder("sound-bad");
    let model = |name: &str| crate::playing::model(name).to_str().unwrap().to_string();
    let (mono, melody) = (model("mono"), model("melody"));
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/speech/digits.wav");
    let speech = speech.to_str().unwrap();
    let silence = media::wav::encode(&[0.0; 4000], 1, 2000).unwrap();
    std::fs::write(folder.join("silent.wav"), &silence).unwrap();
    std::fs::write(folder.join("empty.wav"), media::wav::encode(&[], 1, 2000).unwrap()).unwrap();
    std::fs::write(folder.join("noise.wav"), [0x55; 4000]).unwrap();
    for (words, part) in [
        (&["--seconds", "0"][..], "seconds"),
        (&["--seconds", "1e6"], "seconds"),
        (&["--seconds", "NaN"], "seconds"),
        (&["--seconds", "0.001"], "--seconds"),
        (&["--guidance", "0"], "guidance"),
        (&["--bits", "8"], "16, 24 or 32"),
        (&["--lufs", "3"], "lufs"),
        (&["--fade", "0"], "fade"),
        (&["--start", "1"], "--continue"),
        (&["--bars", "4"], "--bars"),
        (&["--style", "song"], "--style"),
        (&["--harmonise", speech], "--harmonise"),
        (&["--repetition-penalty", "2"], "--repetition-penalty"),
        (&["--melody", speech], "takes no melody"),
        (&["absent.txt"], "--text"),
        (&["-o", "x.mid"], ".mid"),
        (&["-o", "x.mp3"], ".mp3"),
        (&["waltz", "--from-codes", "x.json"], "--from-codes"),
        (&["--continue", "a.wav", "b.wav"], "-o DIR/"),
    ] {
        check(&folder, &[words, &["--model", mono.as_str()]].concat(), 2, part);
    }
    for (flag, value) in
        [("--seconds", "3"), ("--guidance", "2"), ("--melody", "x.wav"), ("--from-codes", "x.json")]
    {
        check(&folder, &[flag, value], 2, flag);
    }
    check(&folder, &["codes", speech], 2, "no codec");
    check(&folder, &["codes", "--model", &mono], 2, "FILE");
    check(&folder, &["codes", speech, "--model", &mono, "-o", "x.wav"], 2, "--from-codes");
    check(&folder, &["codes", speech, "--model", &mono, "--bandwidth", "7"], 2, "7 kilobits");
    let codec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/encodec/music");
    check(&folder, &["waltz", "--model", codec.to_str().unwrap()], 2, "codec");
    let sounds = [("absent.wav", "absent.wav"), ("noise.wav", "noise.wav"), ("empty.wav", "empty.wav")];
    for (file, part) in sounds {
        check(&folder, &["codes", file, "--model", &mono], 1, part);
        check(&folder, &["--continue", file, "--model", &mono, "-q", "-o", "x.wav", "waltz"], 1, part);
        check(&folder, &["--melody", file, "--model", &melody, "-q", "-o", "x.wav", "waltz"], 1, part);
    }
    check(
        &folder,
        &["--melody", "silent.wav", "--model", &melody, "-o", "x.wav", "waltz"],
        1,
        "without sound",
    );
    let go_on = ["--continue", "silent.wav", "--model", mono.as_str(), "-o", "x.wav", "waltz"];
    check(&folder, &[&go_on[..], &["--start", "2.5"]].concat(), 1, "past its end");
    check(&folder, &[&go_on[..], &["--start", "0.001"]].concat(), 1, "less than a frame");
    check(&folder, &[&go_on[..], &["--seconds", "1.5"]].concat(), 1, "silent.wav");
    for (text, part) in [
        ("{}", "no rows of codes"),
        ("nothing", "no JSON"),
        (r#"{"codes": []}"#, "no codes"),
        (r#"{"codes": [[]]}"#, "no codes"),
        (r#"{"codes": [[1, -2]]}"#, "no rows of codes"),
        (r#"{"codes": [[1, 2], [3]]}"#, "[2, 1]"),
        (r#"{"codes": [[1, 64]]}"#, "code 64"),
        (r#"{"codes": [[1], [1], [1], [1], [1]]}"#, "5 rows"),
    ] {
        std::fs::write(folder.join("codes.json"), text).unwrap();
        check(&folder, &["--from-codes", "codes.json", "--model", &mono, "-o", "x.wav"], 1, part);
    }
    check(&folder, &["--from-codes", "absent.json", "--model", &mono, "-o", "x.wav"], 1, "absent.json");
}

#[test]
fn models_that_make_no_sound() {
    let folder = folder("sound-models-bad");
    let whole = crate::playing::model("mono");
    let model = |name: &str, change: Change| {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for file in ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"] {
            if let Some(bytes) = change(file, std::fs::read(whole.join(file)).unwrap()) {
                std::fs::write(folder.join(name).join(file), bytes).unwrap();
            }
        }
    };
    let edited = |file: &str, bytes: Vec<u8>, from: &str, to: &str| {
        let text = || String::from_utf8(bytes.clone()).unwrap();
        Some(if file == "config.json" {
            assert!(text().contains(from), "{from}");
            text().replace(from, to).into_bytes()
        } else {
            bytes
        })
    };
    model("no-tokens", &|file, bytes| (file != "tokenizer.json").then_some(bytes));
    model("no-weights", &|file, bytes| (file != "model.safetensors").then_some(bytes));
    model("cut", &|file, bytes| {
        Some(if file == "model.safetensors" { bytes[..bytes.len() / 2].to_vec() } else { bytes })
    });
    model("bark", &|file, bytes| {
        edited(file, bytes, "\"model_type\": \"musicgen\"", "\"model_type\": \"bark\"")
    });
    model("wide", &|file, bytes| edited(file, bytes, "\"hidden_size\": 32", "\"hidden_size\": 64"));
    model("dac", &|file, bytes| {
        edited(file, bytes, "\"model_type\": \"encodec\"", "\"model_type\": \"dac\"")
    });
    for (name, part) in [
        ("no-tokens", "tokenizer.json"),
        ("no-weights", "model.safetensors"),
        ("cut", "model.safetensors"),
        ("bark", "`bark`"),
        ("wide", "64"),
        ("dac", "`dac`"),
    ] {
        check(&folder, &["waltz", "--model", &format!("./{name}"), "-o", "x.wav"], 1, part);
    }
    check(&folder, &["codes", "x.wav", "--model", "./cut"], 1, "model.safetensors");
}
