//! Words in, words out.

use std::path::Path;

use crate::{done, fed, folder, golden, lines, translate};

#[test]
fn help_is_as_it_was() {
    let help = done(&translate(&folder("help"), &["--help"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/translate/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    assert_eq!(
        help,
        std::fs::read_to_string(&path).unwrap(),
        "UPDATE=1 writes tests/translate/help.txt anew"
    );
}

#[test]
fn a_language_has_many_names() {
    let (folder, model) = (folder("names"), golden("m2m100"));
    let said = |to: &str| {
        let words = [
            "--model",
            &model,
            "--from",
            "en",
            "--to",
            to,
            "--max-tokens",
            "8",
            "-q",
            "--json",
            "The market",
        ];
        let found = lines(&done(&translate(&folder, &words))).remove(0);
        (found["to"].clone(), found["ids"].clone())
    };
    let french = said("fr");
    for to in ["fra", "fra_Latn", "French", ">>fra<<"] {
        assert_eq!(said(to), french, "{to}");
    }
    assert_eq!(french.0, "fr");
    assert_eq!(said("pt").0, "pt");
}

/// A golden model with some of its files changed.
fn changed(folder: &std::path::Path, name: &str, changes: &[(&str, &dyn Fn(String) -> String)]) {
    std::fs::create_dir(folder.join("model")).unwrap();
    for file in std::fs::read_dir(golden(name)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join("model").join(file.file_name())).unwrap();
    }
    for (file, change) in changes {
        let path = folder.join("model").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, change(text)).unwrap();
    }
}

#[test]
fn a_model_of_one_pair_needs_no_languages_and_refuses_others() {
    let folder = folder("pair");
    let tokens = |text: String| text.replace(">>fra<<", "<fra>").replace(">>por<<", "<por>");
    let pair = |text: String| text.replace("roa", "fra");
    changed(&folder, "marian", &[("vocab.json", &tokens), ("tokenizer_config.json", &pair)]);
    let said =
        |more: &[&str]| translate(&folder, &[&["--model", "./model", "-q", "The market"], more].concat());
    let french = done(&said(&["--from", "en", "--to", "fr"]));
    assert_eq!(done(&said(&[])), french);
    let output = said(&["--from", "en", "--to", "de"]);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(why.contains("--to de: this model translates eng into fra"), "{why}");
}

#[test]
fn a_model_that_is_told_by_words_has_its_prefix() {
    let folder = folder("prefix");
    let tasks = |text: String| {
        let task = r#""task_specific_params": {"translation_en_to_fr": {"prefix": "old market: "}},"#;
        text.replacen('{', &format!("{{{task}"), 1)
    };
    let plain = |text: String| text.replace("<2", "<x");
    changed(&folder, "madlad", &[("config.json", &tasks), ("tokenizer.json", &plain)]);
    let said = |more: &[&str]| {
        let words = [
            "--model",
            "./model",
            "--from",
            "en",
            "--to",
            "fr",
            "--max-tokens",
            "8",
            "--json",
            "-q",
            "The boat",
        ];
        lines(&done(&translate(&folder, &[&words, more].concat()))).remove(0)["ids"].clone()
    };
    assert_eq!(said(&[]), said(&["--prefix", "old market: "]));
    assert_ne!(said(&[]), said(&["--prefix", ""]));
}

#[test]
fn a_batch_is_as_its_members_alone() {
    let (folder, model) = (folder("batch-single"), golden("marian"));
    let text =
        "Where is the library?\nIt rains.\nMy sister reads three books a week in the old garden.\nNo.\n";
    std::fs::write(folder.join("a.txt"), text).unwrap();
    let words = ["--model", &model, "--to", "fra", "--dtype", "f32", "--json", "-q", "a.txt"];
    let ids = |batch: &str| -> Vec<serde_json::Value> {
        let found = lines(&done(&translate(&folder, &[&words[..], &["--batch", batch]].concat())));
        found.into_iter().map(|line| line["ids"].clone()).collect()
    };
    assert_eq!(ids("1"), ids("4"));
    assert_eq!(ids("1").len(), 4);
}

#[test]
fn the_next_best_are_told_too() {
    let (folder, model) = (folder("alternatives"), golden("marian"));
    let words = ["--model", &model, "--to", "fra", "--alternatives", "3", "-q", "The market"];
    assert_eq!(done(&translate(&folder, &words)).lines().count(), 3);
    let found = &lines(&done(&translate(&folder, &[&["--json"], &words[..]].concat())))[0];
    let others = found["alternatives"].as_array().unwrap();
    assert_eq!(others.len(), 2);
    let score = |value: &serde_json::Value| value["score"].as_f64().unwrap();
    assert!(score(found) >= score(&others[0]) && score(&others[0]) >= score(&others[1]));
    assert!((0. ..=1.).contains(&found["confidence"].as_f64().unwrap()));
}

#[test]
fn drawing_follows_its_seed() {
    let (folder, model) = (folder("drawn"), golden("marian"));
    let drawn = |seed: &str| {
        let words = [
            "--model",
            &model,
            "--to",
            "fra",
            "--temperature",
            "1",
            "--max-tokens",
            "12",
            "--on-loop",
            "keep",
        ];
        done(&translate(&folder, &[&words[..], &["--seed", seed, "-q", "The market"]].concat()))
    };
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
}

#[test]
fn words_that_go_round_are_said_again() {
    let (folder, model) = (folder("loops"), golden("marian"));
    let said = |how: &str| {
        let words = ["--model", &model, "--to", "fra", "--beam", "1", "--json", "-q", "--on-loop", how];
        lines(&done(&translate(&folder, &[&words[..], &["It is raining today"]].concat()))).remove(0)
    };
    let (kept, again) = (said("keep"), said("retry"));
    assert_eq!((&kept["loop"], &again["loop"]), (&"kept".into(), &"retried".into()));
    assert_ne!(kept["ids"], again["ids"]);
}

#[test]
fn a_second_model_goes_on() {
    let (folder, marian, madlad) = (folder("pivot"), golden("marian"), golden("madlad"));
    let words = ["--model", &marian, "--then", &madlad, "--via", "fra", "--to", "de", "--json", "-q"];
    let found = &lines(&done(&translate(&folder, &[&words[..], &["The market"]].concat())))[0];
    assert_eq!(found["source"], "The market");
    let first = ["--model", &marian, "--to", "fra", "-q", "The market"];
    let pivot = done(&translate(&folder, &first));
    assert_eq!(found["pivot"].as_str().unwrap().trim(), pivot.trim());
}

#[test]
fn a_text_in_another_language_is_told() {
    let (folder, model) = (folder("other"), golden("m2m100"));
    let text = "La bibliothèque se trouve derrière la vieille église, à gauche du marché, et elle ouvre à neuf heures.";
    let words = ["--model", &model, "--to", "de", "--beam", "1", "--max-tokens", "4", text];
    let output = translate(&folder, &[&["--from", "en"], &words[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("this looks like french, not english"), "{said}");
    let output = translate(&folder, &[&["--from", "auto"], &words[..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("this is french") && !said.contains("looks like"), "{said}");
    let piped = fed(&folder, &[&["--from", "auto"], &words[..words.len() - 1], &["-"]].concat(), text);
    assert_eq!(done(&piped).trim(), String::from_utf8_lossy(&output.stdout).trim());
}
