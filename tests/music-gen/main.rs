//! music-gen as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
mod bad_input;
mod binary;
mod grammar;
mod learning;
mod playing;

use std::path::{Path, PathBuf};

use app::{folder, must, program, refused, run as music_gen};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_music-gen");

/// A file of the shared samples.
fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/music").join(name)
}
