//! Learning at the terminal: words of tones, killed and resumed, from a base, from folders and lists, and scored.

use std::f64::consts::TAU;
use std::path::Path;
use std::process::Stdio;

use crate::{done, folder, golden, program, speech_rec};

/// Words of a language of vowels: each has two formants, in Hz, at its beginning and at its end, and a length.
type Word = (&'static str, [f64; 2], [f64; 2], f64);
const WORDS: [Word; 3] = [
    ("low", [500., 900.], [350., 700.], 0.4),
    ("high", [600., 1200.], [300., 2300.], 0.3),
    ("fall", [700., 1700.], [700., 1000.], 0.5),
];

/// Samples of 16 bits as a WAV file.
pub fn wav(samples: &[f64]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|x| ((x * 32767.) as i16).to_le_bytes()).collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

/// A word, a little different each time.
fn word(number: usize, take: usize) -> Vec<f64> {
    let (_, first, last, seconds) = WORDS[number];
    let (voice, count) = (110. + 8. * take as f64, (seconds * 16_000.) as usize);
    let sample = |i: usize| {
        let part = i as f64 / count as f64;
        let formant = |n: usize| first[n] + (last[n] - first[n]) * part;
        let overtone = |k: usize| {
            let hertz = voice * k as f64;
            let near = |n: usize| 1. / (1. + ((hertz - formant(n)) / 90.).powi(2));
            (near(0) + 0.5 * near(1)) * (TAU * hertz * i as f64 / 16_000.).sin()
        };
        0.2 * (1..=25).map(overtone).sum::<f64>() * (part * (1. - part) * 4.).sqrt()
    };
    (0..count).map(sample).collect()
}

/// A list of eight takes of each word.
fn data(folder: &Path) {
    let mut list = String::new();
    for take in 0..8 {
        for (number, (name, ..)) in WORDS.iter().enumerate() {
            let file = format!("{name}{take}.wav");
            std::fs::write(folder.join(&file), wav(&word(number, take))).unwrap();
            list += &format!("{file}\t{name}\n");
        }
    }
    std::fs::write(folder.join("list.tsv"), list).unwrap();
}

fn train<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    let words =
        "train --data list.tsv --layers 1 --decoder-layers 1 --width 64 --window 2 --batch 8 --seed 2";
    let words =
        words.split(' ').chain(["--held-out", "0.2", "--learning-rate", "0.0015", "--dropout", "0", "-q"]);
    words.chain(["--out", out, "--steps", steps]).collect()
}

fn object(text: &str) -> serde_json::Value {
    serde_json::from_str(text.trim()).unwrap()
}

#[test]
fn words_of_tones_are_learned_and_written_down() {
    let folder = folder("tones");
    data(&folder);
    let found = object(&done(&speech_rec(&folder, &[train("model", "600"), vec!["--json"]].concat())));
    let wer = found["wer"].as_f64().unwrap();
    assert!(wer <= 0.2, "{wer}");
    // several in a row, in a file that was never seen
    let pause = vec![0.; 2000];
    let said = [0, 2, 1].map(|number| [word(number, 3), pause.clone()].concat()).concat();
    std::fs::write(folder.join("row.wav"), wav(&said)).unwrap();
    let heard = done(&speech_rec(&folder, &["--model", "model", "--temperature", "0", "row.wav"]));
    std::fs::write(folder.join("right.txt"), "Low, fall: high!\n").unwrap();
    let words = ["score", "--reference", "right.txt", "--model", "model", "row.wav", "--json"];
    let words = object(&done(&speech_rec(&folder, &words)));
    assert_eq!(words["words"]["count"], 3);
    assert!(words["wer"].as_f64().unwrap() < 1., "{words}");
    assert_eq!(heard.split_whitespace().next(), Some("low"), "{heard}");
    let list = ["score", "--reference", "list.tsv", "--model", "model", "--json"];
    assert!(object(&done(&speech_rec(&folder, &list)))["wer"].as_f64().unwrap() < 0.2);
    // nobody speaks
    std::fs::write(folder.join("silence.wav"), wav(&vec![0.; 80_000])).unwrap();
    let nothing = done(&speech_rec(&folder, &["--model", "model", "silence.wav"]));
    assert_eq!(nothing.trim(), "");
    let config = object(&std::fs::read_to_string(folder.join("model/config.json")).unwrap());
    assert_eq!((&config["model_type"], &config["dtype"]), (&"whisper".into(), &"float16".into()));
    assert_eq!(config["max_source_positions"], 100);
    let table = std::fs::read_to_string(folder.join("model/held-out.tsv")).unwrap();
    assert!(table.starts_with("path\ttext\theard\n") && table.lines().count() == 6, "{table}");
    for file in ["curve.csv", "curve.png", "generation_config.json", "preprocessor_config.json"] {
        assert!(folder.join("model").join(file).exists(), "{file}");
    }
    // and on from there, with its tokens
    let words = "train --data list.tsv --out on --base model --steps 3 --batch 4 --held-out 0.2 -q";
    done(&speech_rec(&folder, &words.split(' ').collect::<Vec<_>>()));
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(read("model/tokenizer.json") == read("on/tokenizer.json"));
    assert!(read("model/model.safetensors") != read("on/model.safetensors"));
}

#[test]
fn a_killed_run_ends_with_the_same_weights() {
    let folder = folder("killed");
    data(&folder);
    let run = |out| [train(out, "60"), vec!["--checkpoint", "0.01", "--threads", "2"]].concat();
    let began = std::time::Instant::now();
    done(&speech_rec(&folder, &run("once")));
    let whole = began.elapsed();
    let mut kills = 0;
    for part in [0.4, 0.5, 0.6] {
        let mut child =
            program(&folder, &run("cut")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(part));
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if !folder.join("cut/config.json").exists() {
        done(&speech_rec(&folder, &run("cut")));
    }
    assert!(kills > 0, "every run ended before it was killed");
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        let read = |run: &str| std::fs::read(folder.join(run).join(file)).unwrap();
        assert!(read("once") == read("cut"), "{file}");
    }
}

#[test]
fn folders_with_texts_and_subtitles_are_read() {
    let folder = folder("folders");
    std::fs::create_dir_all(folder.join("in/deep")).unwrap();
    let both: Vec<f64> = [word(0, 0), word(1, 0)].concat();
    std::fs::write(folder.join("in/a.wav"), wav(&word(0, 0))).unwrap();
    std::fs::write(folder.join("in/a.txt"), "low\n").unwrap();
    std::fs::write(folder.join("in/deep/b.wav"), wav(&both.repeat(8))).unwrap();
    let cues = "1\n00:00:00,000 --> 00:00:00,400\n<i>low</i>\n\n2\n00:00:00,400 --> 00:00:00,650\nhigh\n";
    std::fs::write(folder.join("in/deep/b.srt"), cues).unwrap();
    std::fs::write(folder.join("in/alone.wav"), wav(&word(1, 0))).unwrap();
    std::fs::write(folder.join("in/long.wav"), wav(&both.repeat(8))).unwrap();
    std::fs::write(folder.join("in/long.txt"), "low high and so on").unwrap();
    let corpus = speech_rec::corpus::read(&[folder.join("in")], 2., 0.).unwrap();
    let clips: Vec<_> = corpus
        .train
        .iter()
        .map(|clip| (clip.text.as_str(), clip.start, clip.samples().unwrap().len()))
        .collect();
    assert_eq!(clips, [("low", 0., 6400), ("low", 0., 6400), ("high", 0.4, 4000)]);
    let high = corpus.train[2].samples().unwrap();
    let worst = high.iter().zip(word(1, 0)).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0., f64::max);
    assert!(worst < 1e-4, "{worst}");
    assert_eq!(corpus.skipped.len(), 2);
    assert!(corpus.skipped[0].contains("alone.wav: no .txt, .srt or .vtt"), "{:?}", corpus.skipped);
    assert!(corpus.skipped[1].contains("5.6 s are more than the 2"), "{:?}", corpus.skipped);
}

#[test]
fn what_nothing_is_learned_from_is_refused_and_leaves_no_folder() {
    let folder = folder("refused");
    std::fs::create_dir_all(folder.join("empty")).unwrap();
    std::fs::write(folder.join("bad.tsv"), "no tab here\n").unwrap();
    std::fs::write(folder.join("gone.tsv"), "gone.wav\twords\n").unwrap();
    let english = golden("english");
    let check = |words: &[&str], code: i32, expected: &str| {
        let words = [&["train", "--out", "model", "--steps", "2"], words].concat();
        let output = speech_rec(&folder, &words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!folder.join("model").exists());
    };
    check(&["--data", "missing"], 1, "missing");
    check(&["--data", "empty"], 1, "no file in it that ends in .wav");
    check(&["--data", "bad.tsv"], 1, "bad.tsv: line 1 is not a file, a tab and its words");
    check(&["--data", "gone.tsv"], 1, "gone.wav");
    check(&["--data", "gone.tsv", "--window", "31"], 2, "31");
    check(&["--data", "gone.tsv", "--base", "x", "--width", "64"], 2, "--base");
    check(&["--data", "gone.tsv", "--dtype", "q8"], 2, "q8");
    data(&folder);
    check(&["--data", "list.tsv", "--base", &english, "--language", "de"], 1, "no token for the language de");
}

#[test]
fn texts_are_scored_against_texts() {
    let folder = folder("score");
    std::fs::write(folder.join("right.txt"), "The old house\nby the sea.").unwrap();
    let cues =
        "1\n00:00:00,000 --> 00:00:01,000\nthe cold house\n\n2\n00:00:01,000 --> 00:00:02,000\nby sea\n";
    std::fs::write(folder.join("found.srt"), cues).unwrap();
    let found = done(&speech_rec(&folder, &["score", "--reference", "right.txt", "found.srt"]));
    assert_eq!(found.lines().next().unwrap(), "WER 33.33%: 1 wrong, 1 missing, 0 too many, of 6");
    std::fs::write(folder.join("found.json"), r#"{"text": " The old house by the sea."}"#).unwrap();
    let found =
        object(&done(&speech_rec(&folder, &["score", "--reference", "right.txt", "found.json", "--json"])));
    assert_eq!((&found["wer"], &found["words"]["count"]), (&0.0.into(), &6.into()));
    let refused = speech_rec(&folder, &["score", "--reference", "right.txt"]);
    assert_eq!(refused.status.code(), Some(2));
    let refused = speech_rec(&folder, &["score", "--reference", "right.txt", "missing.txt"]);
    assert_eq!(refused.status.code(), Some(1));
}
