//! Files in, words out.

use std::path::Path;

use serde_json::Value;

use crate::{done, fed, folder, golden, speech_rec};

fn expected(case: &str) -> Value {
    let all: Value =
        serde_json::from_str(&std::fs::read_to_string(golden("many/expected.json")).unwrap()).unwrap();
    all[case]["result"].clone()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn help_is_as_it_was() {
    let help = done(&speech_rec(&folder("help"), &["--help"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/speech-rec/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    assert_eq!(
        help,
        std::fs::read_to_string(&path).unwrap(),
        "UPDATE=1 writes tests/speech-rec/help.txt anew"
    );
}

#[test]
fn a_file_becomes_the_references_ids_and_times() {
    let folder = folder("ids");
    let (model, sound) = (golden("many"), golden("sound.wav"));
    let words = ["--model", &model, "--dtype", "f32", "--temperature", "0", "--json", &sound];
    for (more, case) in [(&[][..], "greedy"), (&["--beam", "5"], "beam"), (&["--word-times=raw"], "words")] {
        let found = json(&done(&speech_rec(&folder, &[&words, more].concat())));
        let expected = expected(case);
        assert_eq!(found["language"], expected["language"]);
        assert_eq!(found["text"], expected["text"]);
        let of = |one: &Value, name: &str| {
            one["segments"].as_array().unwrap().iter().map(|one| one[name].clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(&found, "tokens"), of(&expected, "tokens"), "{case}");
        assert_eq!(of(&found, "seek"), of(&expected, "seek"), "{case}");
        assert_eq!(found["segments"][0]["words"].is_array(), case == "words");
        assert_eq!(found["language_probs"].as_array().map(Vec::len), Some(4));
        assert!(found["timings"]["times_as_fast"].as_f64().unwrap() > 0.);
    }
}

#[test]
fn a_tokenizer_in_parts_and_weights_in_bytes_are_read() {
    let folder = folder("parts");
    let tokenizer: Value =
        serde_json::from_str(&std::fs::read_to_string(golden("many/tokenizer.json")).unwrap()).unwrap();
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        std::fs::copy(golden(&format!("many/{name}")), folder.join(name)).unwrap();
    }
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("vocab.json", tokenizer["model"]["vocab"].to_string());
    let pair = |pair: &Value| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    let pairs = tokenizer["model"]["merges"].as_array().unwrap().iter().map(pair).collect::<String>();
    write("merges.txt", format!("#version: 0.2\n{pairs}"));
    let added = tokenizer["added_tokens"].as_array().unwrap().iter();
    let added = added.map(|one| (one["content"].as_str().unwrap().to_string(), one["id"].clone()));
    write("added_tokens.json", Value::Object(added.collect()).to_string());
    write("tokenizer_config.json", r#"{"tokenizer_class": "WhisperTokenizer"}"#.to_string());
    let sound = golden("sound.wav");
    let words = ["--model", ".", "--temperature", "0", "--json", &sound];
    let found = json(&done(&speech_rec(&folder, &[&words[..], &["--dtype", "f32"]].concat())));
    assert_eq!(found["text"], expected("greedy")["text"]);
    let bytes = json(&done(&speech_rec(&folder, &[&words[..], &["--dtype", "q8"]].concat())));
    assert!(!bytes["segments"].as_array().unwrap().is_empty());
}

#[test]
fn the_same_comes_through_stdin_with_and_without_a_header() {
    let folder = folder("stdin");
    let model = golden("many");
    let words = ["--model", &model, "--dtype", "f32", "--temperature", "0", "-"];
    let wav = std::fs::read(golden("sound.wav")).unwrap();
    let file = done(&speech_rec(&folder, &[&words[..6], &[&golden("sound.wav")]].concat()));
    assert_eq!(done(&fed(&folder, &words, &wav)), file);
    let raw = [&["--raw-rate", "16000"], &words[..]].concat();
    assert_eq!(done(&fed(&folder, &raw, &wav[44..])), file);
    assert!(!file.trim().is_empty());
    // into a folder it is done once, and again where it is another sound
    let into = [&words[..], &["-o", "out/"]].concat();
    let said = |wav: &[u8]| {
        let output = fed(&folder, &into, wav);
        done(&output);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&wav).contains("1 written, 0 done before"));
    assert_eq!(std::fs::read_to_string(folder.join("out/text-1.txt")).unwrap().trim(), file.trim());
    assert!(said(&wav).contains("0 written, 1 done before"));
    assert!(said(&[&wav[..wav.len() - 2], &[1, 0]].concat()).contains("1 written, 0 done before"));
}

#[test]
fn several_formats_lie_in_a_folder_and_are_not_made_twice() {
    let folder = folder("formats");
    let (model, sound) = (golden("many"), golden("sound.wav"));
    let words = [
        "--model",
        &model,
        "--temperature",
        "0",
        "--word-times",
        "--format",
        "txt,srt,vtt,tsv,lrc,json",
        "-o",
        "out/",
        &sound,
    ];
    let listed = done(&speech_rec(&folder, &words));
    assert_eq!(listed.lines().count(), 6, "{listed}");
    let read = |end: &str| std::fs::read_to_string(folder.join("out").join(format!("sound.{end}"))).unwrap();
    assert!(read("srt").starts_with("1\n00:00:0") && read("vtt").starts_with("WEBVTT\n\n"));
    assert!(read("tsv").starts_with("start\tend\ttext\n") && read("lrc").starts_with("[00:0"));
    assert!(json(&read("json"))["segments"][0]["words"].is_array());
    assert!(!read("srt").contains("\n\n\n"));
    let again = speech_rec(&folder, &words);
    assert!(done(&again).is_empty());
    assert!(String::from_utf8_lossy(&again.stderr).contains("1 done before"));
}

#[test]
fn of_many_files_the_good_ones_are_done() {
    let folder = folder("some");
    let (model, sound) = (golden("many"), golden("sound.wav"));
    std::fs::create_dir_all(folder.join("in/deeper")).unwrap();
    std::fs::copy(&sound, folder.join("in/a.wav")).unwrap();
    std::fs::copy(&sound, folder.join("in/deeper/a.wav")).unwrap();
    std::fs::write(folder.join("in/b.wav"), b"not a sound").unwrap();
    let output =
        speech_rec(&folder, &["--model", &model, "--temperature", "0", "in/", "--recursive", "-o", "out/"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("b.wav"));
}

#[test]
fn subtitles_go_where_they_are_named() {
    let folder = folder("named");
    let (model, sound) = (golden("english"), golden("sound.wav"));
    let words = ["--model", &model, "--temperature", "0", &sound, "-o", "a.srt"];
    assert_eq!(done(&speech_rec(&folder, &words)), "a.srt\n");
    let text = std::fs::read_to_string(folder.join("a.srt")).unwrap();
    assert!(text.contains(" --> "), "{text}");
    assert_eq!(speech_rec(&folder, &words).status.code(), Some(1));
    assert_eq!(text, std::fs::read_to_string(folder.join("a.srt")).unwrap());
    let short = ["--word-times", "--max-words", "3", "--force"];
    done(&speech_rec(&folder, &[&words[..], &short].concat()));
    assert_ne!(text, std::fs::read_to_string(folder.join("a.srt")).unwrap());
}
