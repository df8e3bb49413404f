//! What the words on the command line stand for.

use std::path::{Path, PathBuf};

use batch::{Expanded, Input, Wanted, expand};

/// `*` before a path: found in the folder, not named.
fn check(found: &Expanded, root: &Path, expected: &[&str], problems: &[&str]) {
    let short = |path: &Path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let inputs: Vec<String> = found
        .inputs
        .iter()
        .map(|input| format!("{}{}", if input.root.is_some() { "*" } else { "" }, short(&input.path)))
        .collect();
    assert_eq!(inputs, expected);
    let told: Vec<String> =
        found.problems.iter().map(|(path, reason)| format!("{}: {reason}", short(path))).collect();
    assert_eq!(told, problems);
}

fn folder_with(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    folder
}

fn look(root: &Path, words: &[&str], recursive: bool, extensions: &[&str]) -> Expanded {
    let words: Vec<PathBuf> = words.iter().map(|word| root.join(word)).collect();
    expand(&words, &Wanted { recursive, extensions, without: None })
}

#[test]
fn folders_are_sorted_and_filtered_and_files_are_taken_as_they_are() {
    let folder = folder_with(&["b.wav", "a.WAV", "c.txt", ".hidden.wav", "x/d.wav", "x/y/e.wav", "z.wav"]);
    let root = folder.path();
    check(&look(root, &[""], false, &["wav"]), root, &["*a.WAV", "*b.wav", "*z.wav"], &[]);
    let all = ["*a.WAV", "*b.wav", "*x/d.wav", "*x/y/e.wav", "*z.wav"];
    check(&look(root, &[""], true, &["wav"]), root, &all, &[]);
    check(&look(root, &["x"], true, &[]), root, &["*x/d.wav", "*x/y/e.wav"], &[]);
    // The order of the words counts, and each file once.
    let found = look(root, &["z.wav", "c.txt", "z.wav", "", "x/../b.wav"], false, &["wav"]);
    check(&found, root, &["z.wav", "c.txt", "*a.WAV", "*b.wav"], &[]);
}

#[test]
fn results_and_journals_are_no_inputs() {
    let folder = folder_with(&["a.jsonl", "failed.jsonl", "journal.jsonl", "fr/b.jsonl", "x/fr/c.jsonl"]);
    let root = folder.path();
    let inside = |recursive, without: &Path| {
        expand(&[root.into()], &Wanted { recursive, extensions: &[], without: Some(without) })
    };
    let all = ["*a.jsonl", "*failed.jsonl", "*journal.jsonl", "*x/fr/c.jsonl"];
    check(&inside(true, &root.join("fr")), root, &all, &[]);
    check(&inside(false, root), root, &all[..3], &[]);
    // a journal of ours, and what failed
    std::fs::remove_file(root.join("journal.jsonl")).unwrap();
    std::fs::remove_file(root.join("failed.jsonl")).unwrap();
    drop(batch::Journal::open(root, None).unwrap());
    std::fs::write(root.join("failed.jsonl"), "x").unwrap();
    check(&inside(true, &root.join("fr")), root, &["*a.jsonl", "*x/fr/c.jsonl"], &[]);
}

#[test]
fn what_is_not_there_is_told() {
    let folder = folder_with(&["a.txt", "x/b.wav"]);
    let root = folder.path();
    let missing = "gone.wav: No such file or directory (os error 2)";
    check(&look(root, &["gone.wav", "a.txt"], false, &[]), root, &["a.txt"], &[missing]);
    let hint = ": no file in it that ends in .wav, .mp3; --recursive looks into its folders too";
    check(&look(root, &[""], false, &["wav", "mp3"]), root, &[], &[hint]);
    check(&look(root, &["x"], true, &["mid"]), root, &[], &["x: no file in it that ends in .mid"]);
}

#[cfg(unix)]
#[test]
fn links_pipes_and_strange_names_are_met_calmly() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let folder = folder_with(&["x/a.wav", "x/line\nbreak.wav", "outside.wav"]);
    let root = folder.path();
    symlink("..", root.join("x/up")).unwrap();
    symlink("x", root.join("again")).unwrap();
    symlink("../outside.wav", root.join("x/link.wav")).unwrap();
    symlink("nowhere.wav", root.join("x/broken.wav")).unwrap();
    symlink("nowhere.txt", root.join("x/broken.txt")).unwrap();
    symlink("self.wav", root.join("x/self.wav")).unwrap();
    std::fs::write(root.join("x").join(OsStr::from_bytes(b"\xff.wav")), "x").unwrap();
    let made = std::process::Command::new("mkfifo").arg(root.join("x/pipe.wav")).status();
    assert!(made.unwrap().success());

    let found = look(root, &["x"], true, &["wav"]);
    check(
        &found,
        root,
        &["*x/a.wav", "*x/line\nbreak.wav", "*x/link.wav", "*x/\u{fffd}.wav"],
        &[
            "x/broken.wav: No such file or directory (os error 2)",
            "x/self.wav: Too many levels of symbolic links (os error 40)",
        ],
    );

    // in a batch they fail alone
    let words = [root.join("x")];
    let inputs = found.for_batch(&words).unwrap();
    assert_eq!(inputs.len(), 6);
    assert_eq!(inputs[4], Input { path: root.join("x/broken.wav"), root: Some(root.join("x")) });
    let gone = [root.join("x"), root.join("gone.wav")];
    let refused = look(root, &["x", "gone.wav"], true, &["wav"]).for_batch(&gone).unwrap_err();
    assert_eq!(refused.0, root.join("gone.wav"));
}

#[test]
fn patterns_are_for_what_no_file_is_called() {
    let folder = folder_with(&["x/a.wav", "x/b.WAV", "x/c.mp3", "x/y/d.wav", "x/[e].wav"]);
    let root = folder.path();
    check(&look(root, &["x/*.wav"], false, &["mp3"]), root, &["x/[e].wav", "x/a.wav"], &[]);
    check(
        &look(root, &["x/[e].wav", "x/?.*"], false, &[]),
        root,
        &["x/[e].wav", "x/a.wav", "x/b.WAV", "x/c.mp3"],
        &[],
    );
    check(&look(root, &["x/**/d.wav"], false, &[]), root, &["x/y/d.wav"], &[]);
    check(
        &look(root, &["x/*.ogg"], false, &[]),
        root,
        &[],
        &["x/*.ogg: No such file or directory (os error 2)"],
    );
}
