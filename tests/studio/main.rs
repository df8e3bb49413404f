//! `convert-checkpoint`, as its users run it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use models::checkpoint::Checkpoint;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/torch").join(name)
}

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convert-checkpoint")).args(words).output().unwrap()
}

#[track_caller]
fn done(words: &[&str]) -> String {
    let output = run(words);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(words: &[&str], code: i32, part: &str) {
    let output = run(words);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert!(told.contains(part), "{part:?} is not in {told:?}");
}

fn names(path: &Path) -> Vec<String> {
    Checkpoint::open_file(path).unwrap().tensors().map(|(name, _)| name.to_string()).collect()
}

#[test]
fn a_file_and_a_folder_are_converted() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (golden("chain.bin"), folder.path().join("out.safetensors"));
    let (from, to) = (input.to_str().unwrap(), output.to_str().unwrap());
    assert_eq!(done(&[from, to]).trim(), to);
    assert_eq!(names(&output), names(&golden("tensors.safetensors")));
    refused(&[from, to], 1, "is there already");

    std::fs::copy(&input, folder.path().join("pytorch_model.bin")).unwrap();
    let told = done(&[folder.path().to_str().unwrap(), "--dtype", "bf16", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["tensors"], 13);
    let stored = Checkpoint::open_file(&folder.path().join("model.safetensors")).unwrap();
    let (_, weight) = stored.tensors().find(|(name, _)| *name == "a.weight").unwrap();
    assert_eq!(weight.dtype, "BF16");
}

#[test]
fn tensors_are_listed() {
    let told = done(&[golden("trainer.pt").to_str().unwrap(), "--list"]);
    assert_eq!(told.lines().count(), 13);
    assert!(told.lines().any(|line| line == "permuted\tF32\t[4, 2, 3]"), "{told}");
}

#[test]
fn what_cannot_be_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name).display().to_string();
    let whole = golden("archive.bin").display().to_string();
    refused(&[&here("nowhere.bin")], 1, "no such file");
    refused(&[&folder.path().display().to_string()], 1, "there is no such file");
    refused(&[&whole, &here("out.bin")], 2, "must end in .safetensors");
    refused(&[&whole, &here("nowhere/out.safetensors")], 1, "nowhere");
    refused(&[&golden("module.pt").display().to_string(), &here("out.safetensors")], 1, "state_dict()");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn it_has_a_manual_and_completions() {
    assert!(done(&["man"]).contains("convert-checkpoint"));
    assert!(done(&["completions", "bash"]).contains("--dtype"));
    refused(&[], 2, "INPUT");
}
