//! Learning at the terminal: a small language of numbers, both ways, killed and resumed, and from a base.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::{done, folder, lines, program, translate};

const ENGLISH: [&str; 6] = ["one", "two", "three", "four", "five", "six"];
const FRENCH: [&str; 6] = ["un", "deux", "trois", "quatre", "cinq", "six"];

/// All rows of three numbers, in both languages.
fn data(folder: &Path) {
    let mut table = String::new();
    for i in 0..216 {
        let row = |words: [&str; 6]| [i / 36, i / 6 % 6, i % 6].map(|n| words[n]).join(" ");
        table += &format!("{}\t{}\n", row(ENGLISH), row(FRENCH));
    }
    std::fs::write(folder.join("pairs.tsv"), table).unwrap();
}

fn train<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    let words = "train --data pairs.tsv --from en --to fr --layers 1 --decoder-layers 1 --width 64 --vocabulary 320 --batch 1000";
    let words = words.split(' ').chain([
        "--held-out",
        "0.1",
        "--learning-rate",
        "0.004",
        "--dropout",
        "0",
        "-q",
        "--seed",
        "3",
    ]);
    words.chain(["--out", out, "--steps", steps]).collect()
}

#[test]
fn numbers_are_learned_both_ways() {
    let folder = folder("numbers");
    data(&folder);
    let found = &lines(&done(&translate(&folder, &[train("model", "500"), vec!["--json"]].concat())))[0];
    for scores in found["scores"].as_array().unwrap() {
        assert!(scores["chrf"].as_f64().unwrap() > 90., "{found}");
    }
    assert_eq!(found["scores"].as_array().unwrap().len(), 2);
    let there = done(&translate(
        &folder,
        &["--model", "model", "--from", "en", "--to", "fr", "-q", "three one four"],
    ));
    assert_eq!(there, "trois un quatre\n");
    let back = done(&translate(
        &folder,
        &["--model", "model", "--from", "fr", "--to", "en", "-q", "trois un quatre"],
    ));
    assert_eq!(back, "three one four\n");
    // goes on from there
    let more = [train("more", "2"), vec!["--base", "model"]].concat();
    let kept: Vec<&str> = more
        .iter()
        .filter(|word| !["--layers", "--decoder-layers", "--width", "--vocabulary"].contains(word))
        .copied()
        .collect();
    let kept: Vec<&str> = kept.into_iter().filter(|word| !["64", "320"].contains(word)).collect();
    let mut words = Vec::new();
    for word in kept {
        // the two layer counts
        if word != "1" {
            words.push(word);
        }
    }
    done(&translate(&folder, &words));
    assert!(folder.join("more/model.safetensors").exists());
}

#[test]
fn a_training_that_is_killed_ends_with_the_same_weights() {
    let folder = folder("killed-training");
    data(&folder);
    done(&translate(&folder, &train("whole", "60")));
    let words = [train("cut", "60"), vec!["--checkpoint", "0.05"]].concat();
    let mut kills = 0;
    while kills < 3 && !folder.join("cut/model.safetensors").exists() {
        let mut child = program(&folder, &words).spawn().unwrap();
        let began = Instant::now();
        while !folder.join("cut/checkpoint.safetensors").exists() && began.elapsed() < Duration::from_secs(60)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(50));
        kills += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(kills > 0, "it was over before it could be killed");
    // on a quick machine the last kill may come too late
    if !folder.join("cut/model.safetensors").exists() {
        done(&translate(&folder, &words));
    }
    let weights = |name: &str| std::fs::read(folder.join(name).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("cut"));
}
