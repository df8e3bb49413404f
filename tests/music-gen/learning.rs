//! Learning from a user's folder, by the binary.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{folder, music_gen, must};

const TINY: [&str; 12] =
    ["--width", "64", "--layers", "1", "--context", "128", "--batch", "2", "--threads", "1", "--seed", "3"];

/// A folder of pieces that the embedded model composes.
fn pieces(folder: &Path, count: &str) {
    must(folder, &["--bars", "4", "--count", count, "--seed", "100", "-o", "data/", "-q"]);
}

fn train<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    [&["train", "--data", "choir=data", "--out", out, "--steps", steps, "-q"][..], &TINY].concat()
}

#[test]
fn a_folder_becomes_a_model_that_plays() {
    let folder = folder("learn");
    pieces(&folder, "12");
    let words = [&train("mine", "60")[..], &["--json", "--learning-rate", "0.01"]].concat();
    let line: Value = serde_json::from_str(&must(&folder, &words)).unwrap();
    let (first, last) = held_out(&folder.join("mine/curve.csv"));
    assert!(last < 0.75 * first, "held-out loss {first} -> {last}");
    assert!(line["held_out"].as_f64().unwrap() > 0.0);
    assert!(line["order_3_ngram"].as_f64().unwrap() > 0.0);
    for name in ["config.json", "music.json", "model.safetensors", "curve.csv", "curve.png"] {
        assert!(folder.join("mine").join(name).exists(), "{name}");
    }
    must(&folder, &["--model", "./mine", "--bars", "2", "--seed", "1", "-o", "own.mid"]);
    let score = media::midi::read(&std::fs::read(folder.join("own.mid")).unwrap()).unwrap();
    assert_eq!(score.parts.len(), 4);
    // A model is not replaced by accident, and is gone on from by name.
    let again = music_gen(&folder, &train("mine", "5"));
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
    must(
        &folder,
        &["train", "--data", "choir=data", "--base", "./mine", "--out", "further", "--steps", "3", "-q"],
    );
    must(&folder, &["--model", "./further", "--bars", "1", "-o", "further.mid"]);
}

/// The first and the last held-out loss of a curve.
fn held_out(curve: &Path) -> (f64, f64) {
    let text = std::fs::read_to_string(curve).unwrap();
    let column = text.lines().next().unwrap().split(',').position(|name| name.contains("held")).unwrap();
    let values: Vec<f64> =
        text.lines().skip(1).filter_map(|line| line.split(',').nth(column)?.parse().ok()).collect();
    (values[0], values[values.len() - 1])
}

#[test]
fn a_killed_training_ends_with_the_same_weights() {
    let folder = folder("killed");
    pieces(&folder, "4");
    must(&folder, &train("calm", "40"));
    let words = train("killed", "40");
    let mut kills = 0;
    for wait in [120, 250, 400, 330, 180] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_music-gen"))
            .args(&words)
            .current_dir(&folder)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_millis(wait);
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        kills += child.try_wait().unwrap().is_none() as u32;
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(kills >= 1, "the training was over before it could be killed");
    if !folder.join("killed/model.safetensors").exists() {
        must(&folder, &words);
    }
    let weights = |name: &str| std::fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert_eq!(weights("killed"), weights("calm"));
}

#[test]
fn nothing_to_learn_from_is_one_line() {
    let folder = folder("nothing");
    std::fs::create_dir(folder.join("data")).unwrap();
    std::fs::write(folder.join("data/bad.mid"), b"nothing").unwrap();
    let output = music_gen(&folder, &train("mine", "5"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.contains("no usable piece"), "{said}");
    assert!(!folder.join("mine").exists());
}
