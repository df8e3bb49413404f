//! The invariants of ARCHITECTURE.md as tests: who may depend on whom, and the form of every file.
//!
//! Each check is a function over strings that returns what is wrong, so that a counter-test can show
//! that it fails where it must.

#![allow(clippy::unwrap_used)]

mod code;

use std::path::{Path, PathBuf};
use std::process::Command;

use code::{code_only, without_tests};

const LONGEST_FILE: usize = 600;
const LONGEST_MAIN: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every `.rs` file of the house with its path relative to the root, `/` between its parts.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["crates", "apps", "tests"].iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "only {} files found", found.len());
    found
}

/// Runs one check over every file and fails with all that it found.
fn over_sources(check: fn(&str, &str) -> Vec<String>) {
    let wrong: Vec<String> = sources().iter().flat_map(|(path, text)| check(path, text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Edges between packages of the workspace that the picture does not have.
fn forbidden_edges(metadata: &str) -> Vec<String> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |package: &serde_json::Value| package["name"].as_str().unwrap().to_string();
    let is_app = |wanted: &str| {
        let package = packages.iter().find(|package| name(package) == wanted).unwrap();
        package["manifest_path"].as_str().unwrap().replace('\\', "/").contains("/apps/")
    };
    let ours: Vec<String> = packages.iter().map(name).collect();
    let mut wrong = Vec::new();
    for package in packages {
        let from = name(package);
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = name(dependency);
            if ours.contains(&to) && !may_depend(&from, is_app(&from), &to, is_app(&to)) {
                wrong.push(format!("{from} -> {to} is no edge of ARCHITECTURE.md"));
            }
        }
    }
    wrong
}

fn may_depend(from: &str, from_app: bool, to: &str, to_app: bool) -> bool {
    match (from, to) {
        // An app is a library too (a server, a dubbing chain), but only for other apps.
        _ if from_app => true,
        _ if to_app => false,
        ("studio", _) => to != "kernels",
        ("training", "models") | ("models", "kernels") | ("cli", "hub" | "batch") => true,
        _ => false,
    }
}

#[test]
fn only_the_edges_of_the_picture() {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let wrong = forbidden_edges(&String::from_utf8(out.stdout).unwrap());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_forbidden_edge_is_found() {
    let package = |path: &str, dependencies: &[&str]| {
        let dependencies: Vec<_> =
            dependencies.iter().map(|name| serde_json::json!({ "name": name, "kind": "dev" })).collect();
        let name = path.rsplit('/').next().unwrap();
        serde_json::json!({
            "name": name, "manifest_path": format!("/x/{path}/Cargo.toml"), "dependencies": dependencies
        })
    };
    let check = |edges: &[(&str, &[&str])], expected: &[&str]| {
        let mut packages: Vec<_> = edges.iter().map(|(path, to)| package(path, to)).collect();
        for name in ["crates/kernels", "crates/hub", "crates/batch", "crates/media", "apps/other"] {
            packages.push(package(name, &[]));
        }
        let metadata = serde_json::json!({ "packages": packages }).to_string();
        let wrong = forbidden_edges(&metadata);
        let edges: Vec<&str> = wrong.iter().map(|line| line.split(" is no").next().unwrap()).collect();
        assert_eq!(edges, expected);
    };
    let models = ("crates/models", &["kernels", "serde"][..]);
    check(&[("crates/training", &["models"]), models, ("crates/cli", &["hub", "batch", "clap"])], &[]);
    check(&[("apps/music-gen", &["hub", "kernels", "media", "other"])], &[]);
    check(&[("crates/training", &["models", "kernels"]), models], &["training -> kernels"]);
    check(&[("crates/cli", &["media", "hub"])], &["cli -> media"]);
    check(&[("crates/studio", &["media", "hub", "kernels"])], &["studio -> kernels"]);
    check(&[("crates/models", &["hub"])], &["models -> hub"]);
    check(&[("crates/cli", &["other"])], &["cli -> other"]);
}

/// Every file says what it is.
fn no_first_words(path: &str, text: &str) -> Vec<String> {
    if text.starts_with("//! ") { vec![] } else { vec![format!("{path}: its first line is no `//! `")] }
}

/// Libraries don't talk: only `cli` writes to the terminal.
fn printing(path: &str, text: &str) -> Vec<String> {
    const WORDS: [&str; 7] =
        ["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout()", "io::stderr()"];
    let is_library = path.starts_with("crates/") && !path.starts_with("crates/cli/");
    let is_program = ["/tests/", "/examples/", "/tests.rs"].iter().any(|part| path.contains(part));
    if !is_library || is_program {
        return vec![];
    }
    let code = without_tests(&code_only(text));
    found(path, &code, &WORDS)
}

/// One crate and one file may tell the compiler that they know better.
fn unsafe_code(path: &str, text: &str) -> Vec<String> {
    if path.starts_with("crates/kernels/") || path.starts_with("crates/models/src/checkpoint") {
        return vec![];
    }
    found(path, &code_only(text), &["unsafe"])
}

fn too_long(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > LONGEST_FILE { vec![format!("{path}: {lines} lines, at most {LONGEST_FILE}")] } else { vec![] }
}

/// Where whole words stand in code.
fn found(path: &str, code: &str, words: &[&str]) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for word in words {
            let stands = |(at, _): (usize, &str)| {
                !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
            };
            if line.match_indices(word).any(stands) {
                places.push(format!("{path}:{}: {word}", number + 1));
            }
        }
    }
    places
}

#[test]
fn every_file_says_what_it_is() {
    over_sources(no_first_words);
}

#[test]
fn libraries_do_not_print() {
    over_sources(printing);
}

#[test]
fn unsafe_stands_where_it_may() {
    over_sources(unsafe_code);
}

#[test]
fn no_file_is_too_long() {
    over_sources(too_long);
}

#[test]
fn what_is_wrong_in_a_file_is_found() {
    let check = |rule: fn(&str, &str) -> Vec<String>, path: &str, text: &str, expected: &[&str]| {
        assert_eq!(rule(path, text), expected, "{path}: {text}");
    };
    let library = "crates/hub/src/x.rs";
    check(no_first_words, library, "//! x\n", &[]);
    check(no_first_words, library, "/// x\n", &["crates/hub/src/x.rs: its first line is no `//! `"]);
    check(no_first_words, library, "", &["crates/hub/src/x.rs: its first line is no `//! `"]);

    check(printing, library, "\nfn f() { println!(\"x\") }", &["crates/hub/src/x.rs:2: println!"]);
    check(printing, library, "let x = dbg! (y);", &["crates/hub/src/x.rs:1: dbg!"]);
    check(printing, library, "std::io::stderr().lock()", &["crates/hub/src/x.rs:1: io::stderr()"]);
    check(printing, library, "// println!()\nlet x = \"println!()\"; sprint!()", &[]);
    check(printing, library, "#[cfg(test)]\nmod tests { fn f() { println!(\"}\") } }", &[]);
    check(printing, library, "#[cfg(test)]\nmod tests { } print!()", &["crates/hub/src/x.rs:2: print!"]);
    check(printing, library, "#[cfg(test)]\nmod tests;\nprint!()", &["crates/hub/src/x.rs:3: print!"]);
    check(printing, "crates/cli/src/x.rs", "println!()", &[]);
    check(printing, "crates/hub/examples/x.rs", "println!()", &[]);
    check(printing, "apps/a/src/main.rs", "println!()", &[]);

    check(unsafe_code, library, "let x = unsafe { y };", &["crates/hub/src/x.rs:1: unsafe"]);
    check(unsafe_code, "tests/hub/main.rs", "unsafe fn f() {}", &["tests/hub/main.rs:1: unsafe"]);
    check(unsafe_code, library, "#![deny(unsafe_code)] // unsafe", &[]);
    check(unsafe_code, "crates/models/src/checkpoint.rs", "unsafe {}", &[]);
    check(unsafe_code, "crates/models/src/checkpoint/mmap.rs", "unsafe {}", &[]);
    check(
        unsafe_code,
        "crates/models/src/nets/llama.rs",
        "unsafe {}",
        &["crates/models/src/nets/llama.rs:1: unsafe"],
    );

    check(too_long, library, &"x\n".repeat(600), &[]);
    check(too_long, library, &"x\n".repeat(601), &["crates/hub/src/x.rs: 601 lines, at most 600"]);
}

/// What an app's folder lacks; `files` are its files with their number of lines.
fn missing_in_app(app: &str, files: &[(String, usize)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in ["README.md", "src/main.rs", "src/cli.rs", "src/lib.rs"] {
        match files.iter().find(|(file, _)| file == name) {
            None => wrong.push(format!("{app} has no {name}")),
            Some((_, lines)) if name == "src/main.rs" && *lines > LONGEST_MAIN => {
                wrong.push(format!("{app}: {name} has {lines} lines, one screen is at most {LONGEST_MAIN}"));
            }
            Some(_) => {}
        }
    }
    wrong
}

#[test]
fn every_app_has_the_same_shape() {
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root().join("apps")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("Cargo.toml").exists() {
            continue;
        }
        let files: Vec<(String, usize)> = ["README.md", "src/main.rs", "src/cli.rs", "src/lib.rs"]
            .iter()
            .filter_map(|name| {
                let text = std::fs::read_to_string(folder.join(name)).ok()?;
                Some((name.to_string(), text.lines().count()))
            })
            .collect();
        wrong.extend(missing_in_app(&folder.file_name().unwrap().to_string_lossy(), &files));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_app_of_another_shape_is_found() {
    let files = |lines| {
        ["README.md", "src/main.rs", "src/cli.rs", "src/lib.rs"]
            .map(|name| (name.to_string(), lines))
            .to_vec()
    };
    assert!(missing_in_app("a", &files(100)).is_empty());
    assert_eq!(missing_in_app("a", &files(101)), ["a: src/main.rs has 101 lines, one screen is at most 100"]);
    for missing in 0..4 {
        let mut files = files(1);
        let (name, _) = files.remove(missing);
        assert_eq!(missing_in_app("a", &files), [format!("a has no {name}")]);
    }
}
