//! speech-synth as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
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

use std::path::Path;
use std::process::Output;

use app::{done, fed, folder, program, refused, run};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_speech-synth");

/// A voice of shared/golden/vits.
fn golden(name: &str) -> String {
    format!("{}/../../shared/golden/vits/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs the binary in a folder with a voice of one speaker and a seed.
fn said(folder: &Path, words: &[&str]) -> Output {
    let voice = golden("mms");
    run(folder, &[&["--model", &voice, "--seed", "7", "-q"], words].concat())
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
