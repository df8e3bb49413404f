//! speech-rec as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
mod bad_input;
mod binary;
mod embedded;
mod learning;
mod parity;
mod windows;

use app::{done, fed, folder, program, refused, run as speech_rec};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_speech-rec");

/// What shared/golden holds for this app.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/speech");

/// A file of shared/golden.
fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}")
}
