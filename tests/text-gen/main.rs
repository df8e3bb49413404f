//! text-gen as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod binary;
mod embedded;
mod families;
mod learning;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A folder of its own for one test, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("text-gen").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the binary in a folder, with something to read.
fn fed(folder: &Path, words: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_text-gen"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a program that refuses its flags reads nothing
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

/// Runs the binary in a folder.
fn text_gen(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_text-gen"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs the binary, which must do what it is asked, and gives its stdout.
fn must(folder: &Path, words: &[&str]) -> String {
    done(&text_gen(folder, words), words)
}

fn done(output: &Output, words: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A file of shared/golden.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden").join(name)
}

/// A text to learn from: the longer of the project's licences.
fn licence() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../LICENSE-APACHE")
}

/// A small model that one of the tests learned, for all of them.
fn model() -> &'static str {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = folder("model");
        let data = licence();
        let words = [
            "--steps",
            "60",
            "--batch",
            "4",
            "--context",
            "64",
            "--layers",
            "1",
            "--width",
            "64",
            "--held-out",
            "0.2",
        ];
        let words =
            [&["train", "--data", data.to_str().unwrap(), "--out", "m", "--seed", "1", "-q"], &words[..]]
                .concat();
        assert_eq!(must(&folder, &words), "m\n");
        folder.join("m").to_str().unwrap().to_string()
    })
}

/// The objects of `--json`.
fn objects(stdout: &str) -> Vec<serde_json::Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
