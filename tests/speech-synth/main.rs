//! speech-synth as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod binary;
mod english_learning;
mod english_lexicon;
mod english_normalisation;
mod english_speaking;
mod learning;
mod parity;
mod sound;
mod subtitles;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder of its own for one test, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("speech-synth").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A voice of shared/golden/vits.
fn golden(name: &str) -> String {
    format!("{}/../../shared/golden/vits/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The binary, to be run in a folder.
fn program(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_speech-synth"));
    command
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary in a folder.
fn run(folder: &Path, words: &[&str]) -> Output {
    program(folder, words).output().unwrap()
}

/// Runs the binary in a folder with a voice of one speaker and a seed.
fn said(folder: &Path, words: &[&str]) -> Output {
    let voice = golden("mms");
    run(folder, &[&["--model", &voice, "--seed", "7", "-q"], words].concat())
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
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A WAV file of one channel: its form, and its samples with full scale at 1.
#[track_caller]
fn wav(path: &Path) -> (hound::WavSpec, Vec<f32>) {
    let mut wav = hound::WavReader::open(path).unwrap();
    let spec = wav.spec();
    assert_eq!(spec.channels, 1);
    let scale = 2f32.powi(i32::from(spec.bits_per_sample) - 1);
    let samples = match spec.sample_format {
        hound::SampleFormat::Float => wav.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => wav.samples::<i32>().map(|x| x.unwrap() as f32 / scale).collect(),
    };
    (spec, samples)
}
