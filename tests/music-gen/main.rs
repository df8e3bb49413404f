//! music-gen as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod binary;
mod grammar;
mod learning;
mod playing;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for one test, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("music-gen").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the binary in a folder.
fn music_gen(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_music-gen")).args(words).current_dir(folder).output().unwrap()
}

/// Runs the binary, which must do what it is asked, and gives its stdout.
fn must(folder: &Path, words: &[&str]) -> String {
    let output = music_gen(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A file of the shared samples.
fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/music").join(name)
}
