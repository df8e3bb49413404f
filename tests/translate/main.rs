//! translate as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
mod bad_input;
mod binary;
mod documents;
mod embedded;
mod learning;
mod parity;
mod score;

use app::{done, fed, folder, program, refused, run as translate};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_translate");

/// What shared/golden holds for this app.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/translate");

/// A file of shared/golden.
fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}")
}

/// The lines of `--json`.
fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
