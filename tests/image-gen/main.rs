//! image-gen as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod binary;
mod embedded;
mod learning;
mod parity;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use media::image_file::{Format, Pixels};

/// A folder of its own for one test, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image-gen").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the binary in a folder.
fn image_gen(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_image-gen"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs the binary, which must do what it is asked, and gives its stdout.
fn must(folder: &Path, words: &[&str]) -> String {
    let output = image_gen(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the binary, which must refuse with one line, and gives that.
fn refused(folder: &Path, words: &[&str], code: i32) -> String {
    let output = image_gen(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about: Vec<String> = words.iter().map(|word| word.chars().take(40).collect()).collect();
    assert_eq!(output.status.code(), Some(code), "{about:?}: {said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{about:?}: {said}");
    assert!(said.starts_with("error: "), "{said}");
    said
}

/// A tiny random model of shared/golden.
fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/pipelines").join(name);
    path.to_str().unwrap().to_string()
}

fn read(path: PathBuf) -> Pixels {
    Pixels::decode(&std::fs::read(path).unwrap()).unwrap()
}

/// Pictures to learn from: squares and bars of several colours, named so.
fn pictures(folder: &Path) {
    let colours = [("red", [220, 30, 30, 255]), ("green", [30, 200, 60, 255]), ("blue", [40, 60, 230, 255])];
    for (name, colour) in colours {
        for (kind, wide, high) in [("square", 20, 20), ("bar", 28, 6)] {
            std::fs::create_dir_all(folder.join(kind)).unwrap();
            for number in 0..6u32 {
                let mut picture = Pixels::new(32, 32, [0; 4]);
                picture.put(&Pixels::new(wide, high, colour), number % 3 + 1, number + 3);
                let bytes = picture.encode(Format::Png, &[]).unwrap();
                std::fs::write(folder.join(kind).join(format!("{name}_{number}.png")), bytes).unwrap();
            }
        }
    }
}

/// A small model that one of the tests learned, for all of them.
fn model() -> &'static str {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = folder("model");
        pictures(&folder.join("data"));
        must(
            &folder,
            &[
                "train",
                "--data",
                "data",
                "--out",
                "mine",
                "--steps",
                "12",
                "--batch",
                "4",
                "--width",
                "16",
                "--held-out",
                "0.2",
                "--seed",
                "1",
                "--samples",
                "red square",
                "blue bar",
            ],
        );
        folder.join("mine").to_str().unwrap().to_string()
    })
}
