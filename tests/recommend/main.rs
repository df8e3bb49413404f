//! recommend as its users meet it: the binary, and the library behind it.

#![allow(clippy::unwrap_used)]

#[path = "../app.rs"]
mod app;
mod bad_input;
mod binary;
#[cfg(feature = "embedded")]
mod embedded;
mod judging;
mod learning;
mod parity;

use std::path::Path;

use app::{done, fed, folder, program, refused, run as recommend};

/// The binary that is tested.
const PROGRAM: &str = env!("CARGO_BIN_EXE_recommend");

/// What shared/golden holds of SASRec.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/sasrec");

/// A model of shared/golden.
fn golden(name: &str) -> String {
    format!("{GOLDEN}/{name}")
}

/// The lines of `--json`.
fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ids of a line's items.
fn ids(line: &serde_json::Value) -> Vec<String> {
    let items = line["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_string()).collect()
}

/// A table of two tastes: people have runs of items of one of two rings, each item followed by the next of its ring.
fn rings(folder: &Path, people: usize) -> String {
    let mut table = String::from("user,item,time\n");
    for person in 0..people {
        let ring = if person % 2 == 0 { "red" } else { "blue" };
        for step in 0..8 {
            let item = (person / 2 * 5 + step) % 12;
            table += &format!("p{person},{ring}{item},{}\n", 1000 + step);
        }
    }
    std::fs::write(folder.join("rings.csv"), &table).unwrap();
    table
}
