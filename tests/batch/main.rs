//! Batches: what is done stays done, nothing is half written, names never collide.

#![allow(clippy::unwrap_used)]

mod inputs;
mod killed;
mod names;
mod run;
mod write;

use std::path::Path;

/// The names in a folder, sorted, with those of folders inside it.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            names.extend(names_in(&entry.path()).iter().map(|inner| format!("{name}/{inner}")));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}
