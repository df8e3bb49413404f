//! Whole folders as the hub has them give transformers' ids, scores and texts, through the binary.

use std::path::Path;

use serde_json::Value;

use crate::{done, folder, golden, lines, translate};

const LANGUAGES: [&str; 4] = ["--from", "en", "--to", "fr"];

fn ids(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect()
}

#[track_caller]
fn check(name: &str, first: &[u64], ends: u64) {
    check_model(&golden(name), name, first, ends);
}

/// A model that answers as the one of another name.
#[track_caller]
fn check_model(model: &str, name: &str, first: &[u64], ends: u64) {
    let folder = folder(&format!("parity-{}", Path::new(model).file_name().unwrap().to_string_lossy()));
    let text = std::fs::read_to_string(golden(&format!("{name}/expected.json"))).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&text).unwrap();
    for (beams, kind) in [("1", "greedy"), ("4", "beam")] {
        for row in &expected {
            let line = row["line"].as_str().unwrap();
            let words = [
                &[
                    "--model",
                    model,
                    "--dtype",
                    "f32",
                    "--on-loop",
                    "keep",
                    "--json",
                    "--max-tokens",
                    "19",
                    "--beam",
                    beams,
                ][..],
                &LANGUAGES,
            ];
            let found =
                lines(&done(&translate(&folder, &[&words.concat()[..], &["--text", line.trim()]].concat())));
            // this app cuts a text into sentences first
            if found.len() != 1 || line != line.trim() {
                continue;
            }
            let said: Vec<u64> = ids(&row[kind]["ids"]);
            let plain: Vec<u64> = said.strip_prefix(first).unwrap_or(&said).to_vec();
            let end = plain.iter().rposition(|id| *id != ends).map_or(0, |last| last + 1);
            assert_eq!(ids(&found[0]["ids"]), plain[..end], "{name} {kind}: {line}");
            assert_eq!(
                found[0]["target"].as_str().unwrap().trim(),
                row[kind]["text"].as_str().unwrap().trim()
            );
            if let Some(score) = row[kind]["score"].as_f64() {
                let ours = found[0]["score"].as_f64().unwrap();
                assert!((ours - score).abs() < 2e-4, "{name}: {line}: {ours} and {score}");
            }
        }
    }
}

#[test]
fn marian() {
    check("marian", &[], 0);
}

#[test]
fn m2m100() {
    let fr = std::fs::read_to_string(golden("m2m100/expected.json")).unwrap();
    let fr: Vec<Value> = serde_json::from_str(&fr).unwrap();
    check("m2m100", &ids(&fr[0]["beam"]["ids"])[..1], 2);
}

#[test]
fn madlad() {
    check("madlad", &[], 1);
}

#[test]
fn madlad_in_one_file() {
    check_model(&golden("madlad.gguf"), "madlad", &[], 1);
}
