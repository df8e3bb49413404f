//! Words in, sound out.

use std::path::Path;

use crate::{done, fed, folder, golden, run, said, wav};

#[test]
fn help_is_as_it_was() {
    let help = done(&run(&folder("help"), &["--help"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/speech-synth/help.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &help).unwrap();
    }
    assert_eq!(
        help,
        std::fs::read_to_string(&path).unwrap(),
        "UPDATE=1 writes tests/speech-synth/help.txt anew"
    );
}

#[test]
fn the_built_in_voice_speaks_at_once() {
    let folder = folder("built in");
    let text = "Hello, world. It is half past nine.";
    let words = [text, "--seed", "3", "--subtitles", "speech.json"];
    assert_eq!(done(&run(&folder, &words)), "speech.wav\nspeech.json\n");
    let (spec, sound) = wav(&folder.join("speech.wav"));
    let seconds = sound.len() as f32 / spec.sample_rate as f32;
    assert!((1.5..4.5).contains(&seconds), "{seconds} s");
    let peak = sound.iter().fold(0f32, |most, x| most.max(x.abs()));
    let power = sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32;
    assert!(peak < 0.999 && power.sqrt() > 0.02, "peak {peak}, power {power}");
    // it begins and ends in silence
    assert!(sound[0].abs() < 0.01 && sound[sound.len() - 1].abs() < 0.01);
    let told = std::fs::read_to_string(folder.join("speech.json")).unwrap();
    for word in ["Hello", "world", "half", "past", "nine"] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
    done(&run(&folder, &[text, "--seed", "3", "-o", "again.wav"]));
    assert!(sound == wav(&folder.join("again.wav")).1, "the same text, another sound");
}

#[test]
fn speaking_again_loses_nothing_and_a_seed_repeats() {
    let folder = folder("again");
    assert_eq!(done(&said(&folder, &["Hello there."])), "speech.wav\n");
    assert_eq!(done(&said(&folder, &["Hello there."])), "speech-2.wav\n");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert_eq!(bytes("speech.wav"), bytes("speech-2.wav"));
    let voice = golden("mms");
    done(&run(
        &folder,
        &["--model", &voice, "--seed", "8", "-q", "Hello there.", "-o", "speech-2.wav", "--force"],
    ));
    assert_ne!(bytes("speech.wav"), bytes("speech-2.wav"));
}

#[test]
fn nothing_asked_is_a_greeting_and_a_verb_can_be_spoken() {
    let folder = folder("greeting");
    assert_eq!(done(&said(&folder, &[])), "speech.wav\n");
    assert_eq!(done(&said(&folder, &["--text", "models", "-o", "verb.wav"])), "verb.wav\n");
    let listed = done(&run(&folder, &["models", "list"]));
    assert!(listed.contains("mms-tts-eng"), "{listed}");
}

#[test]
fn stdin_is_read_and_stdout_written() {
    let (folder, voice) = (folder("pipes"), golden("mms"));
    let words = ["--model", &voice, "--seed", "7", "-q", "-o", "-"];
    let wav = fed(&folder, &[&words[..], &["-"]].concat(), b"Hello there.\n");
    assert_eq!(wav.status.code(), Some(0));
    let raw = fed(&folder, &[&words[..], &["--format", "raw"]].concat(), b"Hello there.\n");
    // the header of a stream says that its length is not known
    assert_eq!((&wav.stdout[..4], &wav.stdout[40..44]), (&b"RIFF"[..], &[0xff; 4][..]));
    assert_eq!(wav.stdout[44..], raw.stdout);
    done(&said(&folder, &["Hello there.", "-o", "same.raw"]));
    assert_eq!(std::fs::read(folder.join("same.raw")).unwrap(), raw.stdout);
    assert!(raw.stdout.len() > 100);
}

#[test]
fn speakers_speed_and_noise_change_what_is_heard() {
    let (folder, voice) = (folder("flags"), golden("speakers"));
    let heard = |name: &str, more: &[&str]| {
        let file = format!("{name}.wav");
        let words = ["--model", &voice, "--seed", "7", "-q", "-o", &file, "hello there"];
        done(&run(&folder, &[&words[..], more].concat()));
        wav(&folder.join(file)).1
    };
    let first = heard("first", &[]);
    assert_eq!(first, heard("zero", &["--speaker", "0"]));
    assert_ne!(first, heard("four", &["--speaker", "4"]));
    assert!(heard("slow", &["--speed", "0.5"]).len() > first.len());
    let calm = heard("calm", &["--noise", "0"]);
    assert_eq!((calm.len(), calm != first), (first.len(), true));
    let drawn = |name: &str, more: &[&str]| {
        let file = format!("{name}.wav");
        done(&said(&folder, &[&["-o", &file, "hello there"], more].concat()));
        wav(&folder.join(file)).1.len()
    };
    assert_ne!(drawn("even", &["--noise-duration", "0"]), drawn("uneven", &["--noise-duration", "5"]));
}

#[test]
fn a_folder_is_one_batch_that_goes_on() {
    let (folder, voice) = (folder("batch"), golden("mms"));
    std::fs::create_dir_all(folder.join("texts/more")).unwrap();
    std::fs::write(folder.join("texts/one.txt"), "The first\ntext.\n\nIts end.\n").unwrap();
    std::fs::write(folder.join("texts/more/two.md"), "# Heading\n\nThe *second* text.\n").unwrap();
    std::fs::write(folder.join("texts/none.txt"), "...\n").unwrap();
    let words =
        ["--model", &voice, "--seed", "7", "texts", "--recursive", "-o", "sound/", "--subtitles", ".srt"];
    let output = run(&folder, &words);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("none") && told.contains("no letter") && told.contains("2 spoken"), "{told}");
    for name in ["sound/one.wav", "sound/more/two.wav"] {
        assert!(wav(&folder.join(name)).1.len() > 100);
        assert!(folder.join(name).with_extension("srt").exists());
    }
    std::fs::write(folder.join("texts/none.txt"), "Now it says something.").unwrap();
    let output = run(&folder, &words);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("1 spoken, 2 done before"), "{told}");
}

#[test]
fn json_says_what_was_made() {
    let folder = folder("json");
    let told = done(&said(&folder, &["--json", "--speed", "2", "-o", "x.wav", "Hello there."]));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["seed"], &told["speed"], &told["input"]),
        (&7.into(), &2.0.into(), &"Hello there.".into())
    );
    assert_eq!((&told["outputs"][0], &told["sample_rate"]), (&"x.wav".into(), &16_000.into()));
    assert_eq!(told["samples"], wav(&folder.join("x.wav")).1.len());
    for name in ["load_s", "generate_s", "first_sound_s", "real_time_factor"] {
        assert!(told["timings"][name].as_f64().unwrap() > 0., "{name}");
    }
    assert!(told["noise"].as_f64().unwrap() > 0. && told["noise_duration"].as_f64().unwrap() > 0.);
}

#[test]
fn parts_of_many_texts_and_those_that_failed() {
    let folder = folder("shares");
    std::fs::create_dir(folder.join("in")).unwrap();
    for (name, text) in [("a", "Hello."), ("b", "你好，世界"), ("c", "Good bye."), ("d", "And so on.")] {
        std::fs::write(folder.join(format!("in/{name}.txt")), text).unwrap();
    }
    let part = |words: &[&str]| said(&folder, &[&["in", "-o", "out/"], words].concat()).status.code();
    assert_eq!(part(&["--shard", "1/2"]), Some(0));
    assert!(folder.join("out/a.wav").exists() && !folder.join("out/d.wav").exists());
    assert_eq!(part(&["--shard", "2/2"]), Some(3));
    let status = || -> serde_json::Value {
        serde_json::from_str(&done(&run(&folder, &["status", "out", "--json"]))).unwrap()
    };
    let told = status();
    assert_eq!((&told["items"], &told["done"], &told["failed"]), (&4.into(), &3.into(), &1.into()));
    assert!(told["failures"][0][1].as_str().unwrap().contains("Chinese"), "{told}");
    std::fs::write(folder.join("in/b.txt"), "How are you?").unwrap();
    std::fs::remove_file(folder.join("out/d.wav")).unwrap();
    assert_eq!(part(&["--shard", "2/2", "--retry-failed"]), Some(0));
    assert!(folder.join("out/b.wav").exists() && !folder.join("out/d.wav").exists());
    assert_eq!(status()["gone"], 1);
    for words in
        [&["--shard", "3/2", "in", "-o", "out/"][..], &["--shard", "1/2", "x y"], &["--retry-failed", "x y"]]
    {
        assert_eq!(said(&folder, words).status.code(), Some(2), "{words:?}");
    }
    assert_eq!(run(&folder, &["status", "in"]).status.code(), Some(1));
}
