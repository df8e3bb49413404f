//! Whatever is wrong gives one line and an exit code, and writes nothing.

use crate::{fed, folder, golden, refused, speech_rec};

#[test]
fn flags() {
    let folder = folder("flags");
    let model = golden("many");
    for words in [
        &["--beam", "0", "a.wav"][..],
        &["--language", "klingon", "a.wav"],
        &["--task", "sing", "a.wav"],
        &["--temperature", "-1", "a.wav"],
        &["--temperature", "0.001", "a.wav"],
        &["--length-penalty", "2", "a.wav"],
        &["--max-words", "3", "a.wav"],
        &["--word-times", "--no-timestamps", "a.wav"],
        &["--raw-rate", "16000", "a.wav"],
        &["--raw-channels", "2", "-"],
        &["--format", "docx", "a.wav"],
        &["--format", "srt,vtt", "a.wav"],
        &["-o", "a.docx", "a.wav"],
        &["-", "a.wav"],
        &[],
    ] {
        std::fs::copy(golden("sound.wav"), folder.join("a.wav")).unwrap();
        refused(&folder, &[words, &["--model", &model]].concat(), 2);
    }
    assert!(refused(&folder, &["--language", "germany", "a.wav"], 2).contains("did you mean german"));
}

#[test]
fn sound_that_is_none() {
    let folder = folder("sound");
    let model = golden("many");
    let wav = std::fs::read(golden("sound.wav")).unwrap();
    let mut silent = wav[..44].to_vec();
    silent.truncate(44);
    for (name, bytes) in [
        ("empty.wav", &[][..]),
        ("text.mp3", b"this is a text and no sound at all, whatever its name says"),
        ("header.wav", &wav[..20]),
        ("nothing.wav", &silent),
        ("zeros.flac", &[0; 4000]),
        ("cut.wav", &wav[..wav.len() - 1001]),
        ("one.wav", &wav[..46]),
    ] {
        std::fs::write(folder.join(name), bytes).unwrap();
        let said = refused(&folder, &["--model", &model, name], 1);
        assert!(said.contains(name), "{said}");
    }
    refused(&folder, &["--model", &model, "missing.wav"], 1);
    let output = fed(&folder, &["--model", &model, "-"], b"");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_whole_of_a_damaged_sound_is_heard_if_asked_for() {
    let folder = folder("damaged");
    let model = golden("many");
    let wav = std::fs::read(golden("sound.wav")).unwrap();
    for (name, end) in [("cut.wav", wav.len() - 1001), ("one.wav", 46)] {
        std::fs::write(folder.join(name), &wav[..end]).unwrap();
        let output = speech_rec(&folder, &["--damaged", "--model", &model, "--temperature", "0", name]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("cut off after"), "{said}");
    }
    let said = refused(&folder, &["--model", &model, "cut.wav"], 1);
    assert!(said.contains("cut off after") && said.contains("--damaged"), "{said}");
    let output = fed(&folder, &["--damaged", "--model", &model, "--raw-rate", "16000", "-"], [0, 1]);
    assert_eq!(output.status.code(), Some(0), "one sample");
}

#[test]
fn models_that_are_none() {
    let folder = folder("models");
    let copy = |name: &str, without: &str| {
        let to = folder.join(name);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(golden("many")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != without {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        to
    };
    let sound = golden("sound.wav");
    for without in ["config.json", "model.safetensors", "tokenizer.json"] {
        copy(without, without);
        refused(&folder, &["--model", without, &sound], 1);
    }
    let change = |name: &str, file: &str, from: &str, to: &str| {
        let path = copy(name, "").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        refused(&folder, &["--model", name, &sound], 1)
    };
    change("negative", "config.json", "\"d_model\": 32", "\"d_model\": -32");
    change("other", "config.json", "\"model_type\": \"whisper\"", "\"model_type\": \"bart\"");
    let said = change("heads", "generation_config.json", "1", "7");
    assert!(said.contains("alignment_heads"), "{said}");
    change("words", "tokenizer.json", "<|startoftranscript|>", "<|start|>");
}
