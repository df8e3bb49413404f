//! The conversion scripts, on shared/samples, as their users run them.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A folder of its own for one test, empty at the start.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scripts").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Where cargo puts the apps: the folder above that of this test.
fn apps() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().to_path_buf();
    for app in ["speech-rec", "translate", "speech-synth", "image-gen", "music-gen"] {
        assert!(folder.join(app).exists(), "{app} is not built: run `cargo test --workspace`");
    }
    folder
}

fn run_with(folder: &Path, script: &str, words: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(root().join("scripts").join(script));
    command.args(words).current_dir(folder).env("ATELIER_BIN", apps()).envs(env.iter().copied());
    command.output().unwrap()
}

#[track_caller]
fn done(folder: &Path, script: &str, words: &[&str]) -> String {
    let output = run_with(folder, script, words, &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{script}: {told}");
    told
}

fn text(path: PathBuf) -> String {
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

fn copy(sample: &str, to: PathBuf) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(root().join("shared/samples").join(sample), to).unwrap();
}

/// A tiny voice of random weights.
fn voice() -> String {
    root().join("shared/golden/vits/mms").display().to_string()
}

const ALL: [&str; 8] = [
    "transcribe-folder",
    "subtitle-videos",
    "translate-documents",
    "audiobook",
    "sprite-sheet",
    "music-library",
    "say-in-french",
    "convert-checkpoint",
];

#[test]
fn every_script_explains_itself_and_refuses_nothing_at_all() {
    let folder = folder("help");
    for script in ALL {
        let help = run_with(&folder, script, &["--help"], &[]);
        let told = String::from_utf8(help.stdout).unwrap();
        assert_eq!(help.status.code(), Some(0));
        assert!(told.contains(&format!("  {script} ")) && !told.contains("set -eu"), "{told}");
        assert_eq!(run_with(&folder, script, &[], &[]).status.code(), Some(2), "{script}");
        let (nowhere, end) =
            (["nowhere/x", "y.png", "en", "fr"], if script == "say-in-french" { 2 } else { 4 });
        let missing = run_with(&folder, script, &nowhere[..end], &[("ATELIER_BIN", "/nowhere")]);
        assert_ne!(missing.status.code(), Some(0), "{script}");
        let told = String::from_utf8(missing.stderr).unwrap();
        assert_eq!(told.lines().count(), 1, "{script}: {told}");
    }
}

#[test]
fn a_script_is_found_through_a_link_and_beside_its_program() {
    let folder = folder("linked");
    // the first on the PATH is the script itself
    let link = folder.join("convert-checkpoint");
    std::os::unix::fs::symlink(root().join("scripts/convert-checkpoint"), &link).unwrap();
    let target = apps().parent().unwrap().to_path_buf();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let kind = apps().file_name().unwrap().to_string_lossy().into_owned();
    // where the checkout's target folder is looked into, the program is found
    let mut command = Command::new(&link);
    command.arg("nowhere.bin").env_remove("ATELIER_BIN").env("PATH", path).env("CARGO_TARGET_DIR", target);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let is_built = ["debug", "release"].contains(&kind.as_str());
    assert!(!is_built || told.contains("nowhere.bin"), "{told}");
    assert_ne!(output.status.code(), Some(0));
}

#[test]
fn a_folder_of_sound_becomes_text() {
    let folder = folder("transcribe");
    copy("speech/digits.wav", folder.join("in/a b/digits.wav"));
    done(&folder, "transcribe-folder", &["in", "out"]);
    assert!(text(folder.join("out/a b/digits.txt")).contains("3 1 4 1"));
    assert!(text(folder.join("out/a b/digits.srt")).contains("-->"));
    assert!(done(&folder, "transcribe-folder", &["in", "out"]).contains("1 done before"));
}

#[test]
fn films_get_subtitles_beside_them() {
    let folder = folder("subtitles");
    copy("audio/film.mp4", folder.join("films/one/film.mp4"));
    done(&folder, "subtitle-videos", &["films"]);
    assert!(folder.join("films/one/film.srt").is_file());
}

#[test]
fn documents_are_translated() {
    let folder = folder("translate");
    std::fs::create_dir_all(folder.join("in")).unwrap();
    std::fs::write(folder.join("in/note.md"), "# The cat\\n\\nI am *happy*.\\n".replace("\\n", "\n"))
        .unwrap();
    done(&folder, "translate-documents", &["in", "out", "en", "fr"]);
    let found = text(folder.join("out/note.md"));
    assert!(found.starts_with("# ") && found.contains("chat") && found.contains("suis"), "{found}");
}

#[test]
fn a_book_becomes_a_sound_a_chapter() {
    let folder = folder("audiobook");
    let book = "A title\n\nCHAPTER I\n\nHello there.\n\nCHAPTER II. The end\n\nIt ends here.\n";
    std::fs::write(folder.join("book.txt"), book).unwrap();
    let words = ["book.txt", "out", "--model", &voice(), "--seed", "1"];
    done(&folder, "audiobook", &words);
    for chapter in ["00", "01", "02"] {
        assert!(folder.join(format!("out/{chapter}.flac")).is_file(), "{chapter}");
    }
    assert!(text(folder.join("out/02.srt")).contains("ends"));
    assert_eq!(text(folder.join("out/text/02.txt")), "CHAPTER II. The end.\n\n\nIt ends here.\n");
    // one chapter changes: the others are not read again
    std::fs::write(folder.join("book.txt"), book.replace("Hello", "Good bye")).unwrap();
    assert!(done(&folder, "audiobook", &words).contains("1 spoken, 2 done before"));
    assert!(
        std::fs::read_dir(folder.join("out"))
            .unwrap()
            .flatten()
            .all(|entry| { !entry.file_name().to_string_lossy().starts_with('.') })
    );
    // a name that awk would take for more than a name; a chapter that is no more is not read again
    std::fs::write(folder.join("a=b.txt"), &book[..book.find("CHAPTER II").unwrap()]).unwrap();
    let words = words.map(|word| if word == "book.txt" { "a=b.txt" } else { word });
    assert!(done(&folder, "audiobook", &words).contains("1 spoken, 1 done before"));
    assert!(!folder.join("out/text/02.txt").exists() && folder.join("out/02.flac").exists());
    std::fs::write(folder.join("empty.txt"), "\n").unwrap();
    assert_eq!(run_with(&folder, "audiobook", &["empty.txt", "none"], &[]).status.code(), Some(1));
}

#[test]
fn a_library_is_composed() {
    let folder = folder("library");
    let env = [("STYLES", "chorale"), ("KEYS", "C Am")];
    let output = run_with(&folder, "music-library", &["tunes", "1", "--bars", "2", "-q"], &env);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for key in ["C", "Am"] {
        let names: Vec<String> = std::fs::read_dir(folder.join("tunes/chorale").join(key))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for end in [".mid", ".wav", ".png"] {
            assert!(names.iter().any(|name| name.ends_with(end)), "{key}: {names:?}");
        }
    }
    assert_eq!(run_with(&folder, "music-library", &["tunes", "0"], &[]).status.code(), Some(2));
}

#[test]
fn english_is_said_in_french() {
    let folder = folder("french");
    copy("speech/digits.wav", folder.join("digits.wav"));
    // a voice that knows figures: which id stands for what does not matter
    std::fs::create_dir(folder.join("voice")).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer_config.json"] {
        std::fs::copy(Path::new(&voice()).join(file), folder.join("voice").join(file)).unwrap();
    }
    let ids = "k0123456789abcdeilmnoprstu '".char_indices();
    let ids: serde_json::Map<String, serde_json::Value> =
        ids.map(|(id, letter)| (letter.to_string(), id.into())).collect();
    std::fs::write(folder.join("voice/vocab.json"), serde_json::to_vec(&ids).unwrap()).unwrap();
    done(&folder, "say-in-french", &["digits.wav", "said.wav", "./voice"]);
    assert!(std::fs::read(folder.join("said.wav")).unwrap().starts_with(b"RIFF"));
    assert!(text(folder.join("said.fr.srt")).contains("-->"));
    assert!(!text(folder.join("said.fr.txt")).contains("-->"));
    assert_eq!(run_with(&folder, "say-in-french", &["digits.wav", "said.mp3"], &[]).status.code(), Some(2));
}

#[test]
fn prompts_become_one_picture() {
    let folder = folder("sprites");
    std::fs::write(folder.join("prompts.txt"), "a red dragon\na book\n").unwrap();
    done(&folder, "sprite-sheet", &["prompts.txt", "sheet.png", "--seed", "1", "--steps", "2", "-q"]);
    assert!(std::fs::read(folder.join("sheet.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(folder.join("sheet.d/journal.jsonl").is_file());
    assert_eq!(run_with(&folder, "sprite-sheet", &["prompts.txt", "sheet.jpg"], &[]).status.code(), Some(2));
}

#[test]
fn what_one_app_says_another_writes_down() {
    let (folder, apps) = (folder("heard"), apps());
    let run = |app: &str, words: &[&str]| {
        let output = Command::new(apps.join(app)).args(words).current_dir(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run("speech-synth", &["three one four one five", "-o", "digits.wav", "--seed", "1"]);
    let heard = run("speech-rec", &["digits.wav", "--language", "en"]);
    assert_eq!(heard.trim(), "3 1 4 1 5");
}
