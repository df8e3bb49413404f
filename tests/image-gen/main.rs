//! image-gen as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
mod bad_input;
mod binary;
mod embedded;
mod learning;
mod parity;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use media::image_file::{Format, Pixels};

use app::{folder, must, refused, run as image_gen};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_image-gen");

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
