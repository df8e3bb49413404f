//! recommend as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod binary;
#[cfg(feature = "embedded")]
mod embedded;
mod judging;
mod learning;
mod parity;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What shared/golden holds of SASRec.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/sasrec");

/// A folder of its own for one test, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recommend").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A model of shared/golden.
fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}")
}

/// The binary, to be run in a folder.
fn program(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recommend"));
    command
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary in a folder.
fn recommend(folder: &Path, words: &[&str]) -> Output {
    program(folder, words).output().unwrap()
}

/// Runs the binary in a folder, with something to read.
fn fed(folder: &Path, words: &[&str], stdin: &[u8]) -> Output {
    let mut child = program(folder, words).stdin(Stdio::piped()).spawn().unwrap();
    // a program that refuses its flags reads nothing
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

/// Its stdout; it must have done what it was asked.
#[track_caller]
fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The lines of `--json`.
fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ids of a line's items.
fn ids(line: &serde_json::Value) -> Vec<String> {
    let items = line["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_string()).collect()
}

/// A table of two tastes: people have runs of items of one of two rings, each item followed by the next of its ring.
fn rings(folder: &Path, people: usize) -> String {
    let mut table = String::from("user,item,time\n");
    for person in 0..people {
        let ring = if person % 2 == 0 { "red" } else { "blue" };
        for step in 0..8 {
            let item = (person / 2 * 5 + step) % 12;
            table += &format!("p{person},{ring}{item},{}\n", 1000 + step);
        }
    }
    std::fs::write(folder.join("rings.csv"), &table).unwrap();
    table
}
