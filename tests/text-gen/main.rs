//! text-gen as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
mod bad_input;
mod binary;
mod embedded;
mod families;
mod learning;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use app::{done, fed, folder, must, program, refused, run as text_gen};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_text-gen");

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
