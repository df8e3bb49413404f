//! Output names: readable, stable, never two alike.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use batch::{Input, output_names};

fn named(paths: &[&str]) -> Vec<Input> {
    paths.iter().map(|path| Input { path: path.into(), root: None }).collect()
}

fn check(inputs: &[Input], expected: &[&str]) {
    assert_eq!(output_names(inputs), expected);
}

#[test]
fn a_name_is_the_stem_until_that_is_not_enough() {
    check(&named(&["/in/a.wav", "/in/b.tar.gz", "/in/.hidden"]), &["a", "b.tar", ".hidden"]);
    check(&named(&["/in/a.wav", "/in/a.mp3"]), &["a.wav", "a.mp3"]);
    check(&named(&["/x/a.wav", "/y/a.wav", "/y/b.wav"]), &["x/a", "y/a", "b"]);
    check(&named(&["/p/x/a.wav", "/q/x/a.wav"]), &["p/x/a", "q/x/a"]);
    check(&named(&["/x/a.wav", "/x/a.mp3", "/y/a.wav"]), &["x/a", "a.mp3", "y/a"]);
    check(&named(&["/in/A.wav", "/in/a.mp3"]), &["A.wav", "a.mp3"]);
    check(&named(&["/in/journal.txt", "/in/Failed.txt"]), &["journal.txt", "Failed.txt"]);
    check(&named(&["/in/journal"]), &["in/journal"]);
}

#[test]
fn folders_keep_their_shape() {
    let inside = |root: &str, path: &str| Input { path: Path::new(root).join(path), root: Some(root.into()) };
    check(
        &[inside("/in", "a.wav"), inside("/in", "x/a.wav"), inside("/in", "x/y/a.wav")],
        &["a", "x/a", "x/y/a"],
    );
    check(&[inside("/p", "x/a.wav"), inside("/q", "x/a.wav")], &["p/x/a", "q/x/a"]);
    check(&[inside("/p", "x/a.wav"), named(&["/x/a.wav"])[0].clone()], &["x/a", "a"]);
}

#[test]
fn no_name_leaves_the_folder() {
    for path in ["../../etc/passwd.wav", "/..", "..", "/", "a/../b.wav", ""] {
        for name in output_names(&named(&[path, path])) {
            let parts = Path::new(&name).components();
            let ordinary = |part| matches!(part, std::path::Component::Normal(_));
            assert!(parts.into_iter().all(ordinary), "{path} became {name}");
        }
    }
}

#[test]
fn every_input_has_a_name_of_its_own() {
    let mut paths = vec!["/in/x.wav".to_string(); 5];
    for index in 0..2000 {
        let letters = ["a", "A", "b", "a\n", "%0A", "journal"];
        let extensions = ["", ".wav", ".mp3", ".WAV"];
        let (letter, extension) = (letters[index % 6], extensions[index / 6 % 4]);
        paths.push(format!("/in/{}/{}/{letter}{extension}", index % 7, index % 3));
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let names = output_names(&named(&paths));
    let alike: HashSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(alike.len(), names.len());
    assert_eq!(names, output_names(&named(&paths)));
}

#[test]
fn names_hold_what_any_disk_and_terminal_can() {
    check(&named(&["/in/a\nb\u{1b}[2J.wav", "/in/emoji 🎵.wav"]), &["a%0Ab%1B[2J", "emoji 🎵"]);
    let long = "é".repeat(125);
    let names = output_names(&named(&[&format!("/in/{long}.wav"), &format!("/in/{long}1.wav")]));
    assert!(names[0] != names[1] && names.iter().all(|name| name.len() <= 200 && name.starts_with("éé")));
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_written_as_numbers() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let path = |bytes: &[u8]| Input { path: PathBuf::from(OsStr::from_bytes(bytes)), root: None };
    check(&[path(b"/in/caf\xe9.wav"), path(b"/in/caf\xe8.wav")], &["caf%E9", "caf%E8"]);
}
