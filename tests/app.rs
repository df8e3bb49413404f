//! How the tests of an app run it: its binary, [`crate::PROGRAM`], in a folder, and what it must have said.

// no app's tests use all of it
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::PROGRAM;

/// A folder of its own for one test, empty at the start.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_PKG_NAME")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The binary, to be run in a folder.
pub fn program(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary in a folder.
pub fn run(folder: &Path, words: &[&str]) -> Output {
    program(folder, words).output().unwrap()
}

/// Runs the binary in a folder, with something to read.
pub fn fed(folder: &Path, words: &[&str], stdin: impl AsRef<[u8]>) -> Output {
    let mut child = program(folder, words).stdin(Stdio::piped()).spawn().unwrap();
    // a program that refuses its flags reads nothing
    let _ = child.stdin.take().unwrap().write_all(stdin.as_ref());
    child.wait_with_output().unwrap()
}

/// Its stdout; it must have done what it was asked.
#[track_caller]
pub fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs the binary, which must do what it is asked, and gives its stdout.
#[track_caller]
pub fn must(folder: &Path, words: &[&str]) -> String {
    done(&run(folder, words))
}

/// Runs the binary, which must refuse with one line and write nothing, and gives that line.
#[track_caller]
pub fn refused(folder: &Path, words: &[&str], code: i32) -> String {
    let before = names(folder);
    let output = run(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about: Vec<String> = words.iter().map(|word| word.chars().take(40).collect()).collect();
    assert_eq!(output.status.code(), Some(code), "{about:?}: {said}");
    assert!(output.stdout.is_empty(), "{about:?}");
    assert_eq!(said.trim_end().lines().count(), 1, "{about:?}: {said}");
    assert!(said.starts_with("error: "), "{about:?}: {said}");
    assert_eq!(before, names(folder), "{about:?}");
    said
}

fn names(folder: &Path) -> BTreeSet<OsString> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}
