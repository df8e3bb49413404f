//! Music as sound, by tiny random MusicGens: codes and waves are transformers', and every flag does what it says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use media::wav::{Depth, encode_as};
use serde_json::Value;

use crate::{folder, music_gen, must};

const PROMPT: &str = "a slow piano waltz";
/// As the golden pieces: 60 frames, the most likely codes.
const GREEDY: [&str; 4] = ["--seconds", "1.2", "--temperature", "0"];
const DRAWN: [&str; 10] =
    ["--seconds", "1.2", "--temperature", "1.2", "--top-k", "20", "--top-p", "0.9", "--seed", "7"];

/// A golden model.
pub fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/musicgen").join(name)
}

fn golden(name: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(model(name).join("expected.safetensors"), &Device::Cpu).unwrap()
}

fn rows(tensor: &Tensor) -> Vec<Vec<u32>> {
    tensor.to_dtype(DType::U32).unwrap().to_vec2().unwrap()
}

/// Runs a model and reads its line.
fn line(folder: &Path, name: &str, words: &[&str]) -> Value {
    let model = model(name);
    let all = [&["--model", model.to_str().unwrap(), "--json"][..], words].concat();
    serde_json::from_str(&must(folder, &all)).unwrap()
}

fn codes(line: &Value) -> Vec<Vec<u32>> {
    serde_json::from_value(line["codes"].clone()).unwrap()
}

/// Writes channels as a WAV file of floats.
fn write(path: &Path, channels: &Tensor, rate: u32) {
    let count = channels.dim(0).unwrap();
    let samples: Vec<f32> =
        channels.t().unwrap().contiguous().unwrap().flatten_all().unwrap().to_vec1().unwrap();
    std::fs::write(path, encode_as(&samples, count as u16, rate, Depth::Float).unwrap()).unwrap();
}

/// Samples of a WAV file, a row a channel.
fn read(path: &Path) -> Vec<Vec<f32>> {
    media::audio::read_channels(path, 2000).unwrap()
}

fn assert_near(found: &[Vec<f32>], expected: &Tensor) {
    let expected: Vec<Vec<f32>> = expected.to_vec2().unwrap();
    let largest = expected.iter().flatten().fold(0f32, |most, x| most.max(x.abs()));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= 1e-4 * largest, "{a} for {b} at {i}");
        }
    }
}

#[test]
fn greedy_codes_and_waves_are_transformers() {
    for name in ["mono", "wide", "stereo"] {
        let (folder, golden) = (folder(&format!("greedy-{name}")), golden(name));
        let words = [&[PROMPT, "--bits", "32", "-o", "x.wav"][..], &GREEDY].concat();
        let line = line(&folder, name, &words);
        assert_eq!(codes(&line), rows(&golden["greedy"]), "{name}");
        assert_eq!(line["guidance"], 3.0);
        assert_eq!((line["sample_rate"].as_u64(), line["samples"].as_u64()), (Some(2000), Some(2400)));
        assert_eq!(line["prompt_ids"].as_array().unwrap().len(), golden["ids"].dim(0).unwrap());
        assert!(line["timings"]["steps_per_s"].as_f64().unwrap() > 0.);
        assert_near(&read(&folder.join("x.wav")), &golden["wave"]);
        let plain = [&[PROMPT, "--guidance", "1", "-o", "y.wav"][..], &GREEDY].concat();
        assert_eq!(codes(&self::line(&folder, name, &plain)), rows(&golden["plain"]), "{name}");
    }
}

#[test]
fn draws_are_transformers_from_the_same_seed() {
    for name in ["mono", "stereo"] {
        let (folder, golden) = (folder(&format!("drawn-{name}")), golden(name));
        let words = [&[PROMPT, "-o", "x.wav"][..], &DRAWN].concat();
        assert_eq!(codes(&line(&folder, name, &words)), rows(&golden["sampled"]), "{name}");
        let words = [&["-o", "y.wav"][..], &DRAWN].concat();
        assert_eq!(codes(&line(&folder, name, &words)), rows(&golden["free"]), "{name}");
    }
}

#[test]
fn music_without_a_prompt_is_said_to_be_so() {
    let (folder, model) = (folder("no-prompt"), model("mono"));
    for words in [&[][..], &["--text", ""]] {
        let all = [&["--model", model.to_str().unwrap(), "--seconds", "0.1"][..], words].concat();
        let output = music_gen(&folder, &all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("unconditional"), "{said}");
    }
    assert!(folder.join("music-2.wav").exists());
}

#[test]
fn a_melody_leads() {
    for name in ["melody", "stereo-melody"] {
        let (folder, golden) = (folder(&format!("melody-{name}")), golden(name));
        write(&folder.join("sung.wav"), &golden["sung"].unsqueeze(0).unwrap(), 2000);
        let words = [&[PROMPT, "--melody", "sung.wav", "-o", "x.wav"][..], &GREEDY].concat();
        assert_eq!(codes(&line(&folder, name, &words)), rows(&golden["greedy"]), "{name}");
        let words = [&[PROMPT, "--melody", "sung.wav", "-o", "y.wav"][..], &DRAWN].concat();
        assert_eq!(codes(&line(&folder, name, &words)), rows(&golden["sampled"]), "{name}");
        // without one, and one alone, there is other music
        let bare = codes(&line(&folder, name, &[&[PROMPT, "-o", "z.wav"][..], &GREEDY].concat()));
        let alone =
            codes(&line(&folder, name, &[&["--melody", "sung.wav", "-o", "w.wav"][..], &GREEDY].concat()));
        assert!(bare != rows(&golden["greedy"]) && alone != bare);
    }
}

#[test]
fn a_sound_goes_on() {
    for name in ["mono", "stereo"] {
        let (folder, golden) = (folder(&format!("goes-on-{name}")), golden(name));
        write(&folder.join("begun.wav"), &golden["sound"], 2000);
        let words = [&[PROMPT, "--continue", "begun.wav", "-o", "x.wav"][..], &GREEDY].concat();
        let line = line(&folder, name, &words);
        assert_eq!(codes(&line), rows(&golden["goes_on"]), "{name}");
        let known = golden["heard"].dim(1).unwrap();
        assert_eq!(line["given_frames"], known);
        // from its middle on, for ten seconds more where nobody says
        let words = [PROMPT, "--continue", "begun.wav", "--start", "0.2", "-o", "y.wav"];
        let line = self::line(&folder, name, &words);
        assert_eq!((line["given_frames"].as_u64(), codes(&line)[0].len()), (Some(10), 510));
    }
}

#[test]
fn long_music_is_made_by_windows() {
    let folder = folder("windows");
    let line = line(&folder, "mono", &[PROMPT, "--seconds", "65", "--seed", "3", "-o", "x.wav"]);
    assert_eq!(codes(&line).iter().map(Vec::len).collect::<Vec<_>>(), [3250; 4]);
    assert_eq!(read(&folder.join("x.wav"))[0].len(), 3250 * 40);
    // the first window is what a piece of its length is
    let first = self::line(&folder, "mono", &[PROMPT, "--seconds", "30", "--seed", "3", "-o", "y.wav"]);
    for (long, short) in codes(&line).iter().zip(codes(&first)) {
        assert_eq!(long[..1500], short);
    }
    // the joins of windows and of decoded pieces are as smooth as what lies between
    let (x, y) = (read(&folder.join("x.wav")), read(&folder.join("y.wav")));
    let apart = x[0].iter().zip(&y[0]).take(1490 * 40).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= 1.01 / 32767., "{apart}");
}

#[test]
fn sounds_become_codes_and_codes_sounds() {
    for name in ["mono", "stereo"] {
        let (folder, golden, model) = (folder(&format!("codes-{name}")), golden(name), model(name));
        let model = model.to_str().unwrap();
        write(&folder.join("begun.wav"), &golden["sound"], 2000);
        let printed = must(&folder, &["codes", "begun.wav", "--model", model, "--json"]);
        let line: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(codes(&line), rows(&golden["heard"]), "{name}");
        let plain = must(&folder, &["codes", "begun.wav", "--model", model]);
        assert_eq!(plain.lines().count(), golden["heard"].dim(0).unwrap());
        // a piece's own line is a file of codes too
        let words =
            [&["--model", model, "--json", "--bits", "32", "-o", "x.wav", PROMPT][..], &GREEDY].concat();
        std::fs::write(folder.join("piece.json"), must(&folder, &words)).unwrap();
        std::fs::write(folder.join("rows.json"), serde_json::to_vec(&rows(&golden["greedy"])).unwrap())
            .unwrap();
        let again =
            |words: &[&str]| must(&folder, &[words, &["--model", model, "--bits", "32", "-q"]].concat());
        assert_eq!(again(&["--from-codes", "piece.json", "-o", "y.wav"]), "y.wav\n");
        assert_eq!(again(&["codes", "--from-codes", "rows.json", "-o", "z.wav"]), "z.wav\n");
        let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
        assert!(bytes("x.wav") == bytes("y.wav") && bytes("x.wav") == bytes("z.wav"));
        assert_near(&read(&folder.join("z.wav")), &golden["wave"]);
    }
}

#[test]
fn a_codec_alone_makes_codes_too() {
    let folder = folder("codec");
    let codec =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/encodec").join(name);
    for name in ["music", "speech"] {
        let expected =
            candle_core::safetensors::load(codec(name).join("expected.safetensors"), &Device::Cpu).unwrap();
        write(&folder.join("x.wav"), &expected["samples"].get(1).unwrap(), 8000);
        let words = ["codes", "x.wav", "--json", "--model", codec(name).to_str().unwrap()].map(String::from);
        let more = if name == "speech" { vec!["--bandwidth".to_string(), "5.4".into()] } else { vec![] };
        let words: Vec<&str> = words.iter().chain(&more).map(String::as_str).collect();
        let line: Value = serde_json::from_str(&must(&folder, &words)).unwrap();
        assert_eq!(codes(&line), rows(&expected["codes"].get(1).unwrap()), "{name}");
        assert_eq!(line["sample_rate"], 8000);
    }
}

#[test]
fn a_recording_comes_back_through_the_codec() {
    let (folder, model) = (folder("recording"), model("mono"));
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/speech/digits.wav");
    let (speech, model) = (speech.to_str().unwrap(), model.to_str().unwrap());
    let printed = must(&folder, &["codes", speech, "--model", model, "--json"]);
    let line: Value = serde_json::from_str(&printed).unwrap();
    let samples = line["samples"].as_u64().unwrap();
    assert_eq!(codes(&line)[0].len() as u64, samples.div_ceil(40));
    std::fs::write(folder.join("codes.json"), printed).unwrap();
    must(&folder, &["--from-codes", "codes.json", "--model", model, "-o", "again.wav"]);
    assert_eq!(read(&folder.join("again.wav"))[0].len() as u64, samples.div_ceil(40) * 40);
}

#[test]
fn a_sound_is_finished_as_asked() {
    let folder = folder("finish");
    let make = |words: &[&str]| {
        line(&folder, "stereo", &[&[PROMPT, "--seconds", "3", "--seed", "1"][..], words].concat())
    };
    make(&["-o", "plain.wav", "--bits", "32"]);
    make(&["-o", "loud.wav", "--bits", "32", "--lufs", "-20"]);
    make(&["-o", "fade.wav", "--bits", "24", "--fade", "1"]);
    let line = make(&["-o", "seen", "--picture"]);
    assert_eq!(line["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(&std::fs::read(folder.join("seen.png")).unwrap()[1..4], b"PNG");
    let (plain, loud, fade) =
        (read(&folder.join("plain.wav")), read(&folder.join("loud.wav")), read(&folder.join("fade.wav")));
    let factor = loud[0][100] / plain[0][100];
    assert!(loud[1].iter().zip(&plain[1]).all(|(a, b)| (a - b * factor).abs() <= 1e-5 * factor.max(1.)));
    let interleaved: Vec<f32> = (0..loud[0].len()).flat_map(|i| [loud[0][i], loud[1][i]]).collect();
    let found = media::loudness::integrated(&interleaved, 2, 2000).unwrap();
    assert!((found + 20.).abs() < 0.05, "{found}");
    let held = plain[0][..3000].iter().zip(&fade[0]).all(|(a, b)| (a.clamp(-1., 1.) - b).abs() < 1e-6);
    assert!(held && fade[0].last().unwrap().abs() < 1e-4);
    let bits = |name: &str| std::fs::read(folder.join(name)).unwrap()[34];
    assert_eq!([bits("plain.wav"), bits("fade.wav"), bits("seen.wav")], [32, 24, 16]);
}

#[test]
fn seeds_counts_and_prompts_have_their_files() {
    let (folder, model) = (folder("many"), model("mono"));
    let model = ["--model", model.to_str().unwrap(), "--seconds", "0.2", "-q"];
    let run = |words: &[&str]| must(&folder, &[words, &model].concat());
    assert_eq!(run(&[PROMPT, "--count", "2", "--seed", "5", "-o", "a.wav"]), "a-1.wav\na-2.wav\n");
    assert_eq!(run(&[PROMPT, "--seed", "6", "-o", "b.wav"]), "b.wav\n");
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(bytes("a-2.wav") == bytes("b.wav") && bytes("a-1.wav") != bytes("b.wav"));
    std::fs::write(folder.join("prompts.txt"), "drums\n\na fast guitar\n").unwrap();
    run(&["prompts.txt", "--text", "prompts.txt", "-o", "out/"]);
    for name in ["music-1.wav", "music-2.wav", "music-3.wav"] {
        assert!(folder.join("out").join(name).exists(), "{name}");
    }
    let loud = &model[..4];
    let output =
        music_gen(&folder, &[&["prompts.txt", "--text", "prompts.txt", "-o", "out/"][..], loud].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("0 played, 3 done before"), "{said}");
    // the same bytes on any run
    run(&[PROMPT, "--seed", "6", "--threads", "1", "-o", "c.wav"]);
    run(&[PROMPT, "--seed", "6", "--threads", "1", "-o", "d.wav"]);
    assert_eq!(bytes("c.wav"), bytes("d.wav"));
}

#[test]
fn number_formats_are_taken() {
    let folder = folder("formats");
    for dtype in ["f32", "bf16", "q8"] {
        let line = line(
            &folder,
            "mono",
            &[PROMPT, "--seconds", "0.5", "--dtype", dtype, "-o", &format!("{dtype}.wav")],
        );
        assert_eq!(codes(&line)[0].len(), 25, "{dtype}");
    }
}
