//! Learning from a user's folder, by the binary.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{folder, music_gen, must, program};

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
fn a_training_killed_five_times_ends_with_the_same_weights() {
    let folder = folder("killed");
    pieces(&folder, "4");
    let words = |out| [&train(out, "400")[..], &["--checkpoint", "0.05"]].concat();
    must(&folder, &words("calm"));
    let (mut kills, mut tries) = (0, 0);
    while kills < 5 {
        let mut child =
            program(&folder, &words("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Not before there is something to go on from, and then at any moment.
        let until = Instant::now() + Duration::from_secs(20);
        while !folder.join("killed/checkpoint.safetensors").exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(60 + 37 * tries % 150));
        tries += 1;
        kills += child.try_wait().unwrap().is_none() as u32;
        let _ = child.kill();
        child.wait().unwrap();
        assert!(tries < 8, "the training was over before it could be killed {kills} times");
    }
    must(&folder, &words("killed"));
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
