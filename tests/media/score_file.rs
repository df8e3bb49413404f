//! Scores by file: the kind is told by content, and errors name the file.

use std::fs;

use media::score_file::read_score;

use crate::{sample, sample_path};

#[test]
fn kinds_are_told_by_content() {
    let packed = read_score(&sample_path("song.mxl")).unwrap();
    assert_eq!(packed, read_score(&sample_path("song.musicxml")).unwrap());
    assert_eq!(
        read_score(&sample_path("phrase.mid")).unwrap(),
        read_score(&sample_path("phrase.musicxml")).unwrap()
    );
    let folder = scratch("kinds");
    let disguised = folder.join("song.mid");
    fs::write(&disguised, sample("song.mxl")).unwrap();
    assert_eq!(read_score(&disguised).unwrap(), packed);
}

#[test]
fn errors_name_the_file() {
    let folder = scratch("errors");
    let check = |name: &str, content: &[u8], expected: &str| {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        let error = read_score(&path).unwrap_err().to_string();
        let text = error.strip_prefix(&path.display().to_string()).expect("the path comes first");
        assert_eq!(text, expected);
    };
    let kinds = ": neither MIDI nor MusicXML; scores are read from .mid, .midi, .mxl, .musicxml and .xml";
    check("tune.txt", b"abc", kinds);
    check("empty", b"", kinds);
    check("empty.mid", b"", ": the file is empty; expected a MIDI file");
    check("empty.mxl", b"", ": the file is empty; expected MusicXML");
    check("a.mid", b"abc", ": not a MIDI file: it does not begin with MThd");
    check("page.xml", b"<html></html>", ": not a score: the XML's root is <html>, expected <score-partwise>");
    let missing = folder.join("missing.mid");
    let error = read_score(&missing).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", missing.display())), "{error}");
}

fn scratch(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("score_file").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}
