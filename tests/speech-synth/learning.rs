//! `speech-synth train`: a voice from recordings, with labels and without, and what it says.

use std::path::Path;

use crate::{done, folder, golden, run, wav};

const TEXTS: [&str; 6] =
    ["A mouse.", "Go home now.", "No, it is so.", "See the moon.", "Are we there?", "All my own."];

/// A second and a half of something that hums, and labels that share it out evenly.
fn recordings(folder: &Path, labels: bool) {
    std::fs::create_dir_all(folder.join("wavs")).unwrap();
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut list = String::new();
    for (i, text) in TEXTS.iter().enumerate() {
        let mut file = hound::WavWriter::create(folder.join(format!("wavs/r{i}.wav")), spec).unwrap();
        for t in 0..12_000 {
            let phase = t as f64 * (110. + 7. * i as f64) / 8000.;
            let hum: f64 =
                (1..12).map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin() / f64::from(k)).sum();
            let loud = (std::f64::consts::PI * t as f64 / 12_000.).sin();
            file.write_sample((3000. * hum * loud) as i16).unwrap();
        }
        file.finalize().unwrap();
        list += &format!("r{i}|{text}\n");
    }
    std::fs::write(folder.join("metadata.csv"), list).unwrap();
    if labels {
        let phones = ["pau ax m aw s pau", "pau g ow hh ow m n aw pau"];
        for (i, phones) in phones.iter().enumerate() {
            let phones: Vec<&str> = phones.split(' ').collect();
            let ends = (1..).map(|end| 1.5 * f64::from(end) / phones.len() as f64);
            let lines: String = ends.zip(&phones).map(|(end, phone)| format!("{phone}:{end:.3} ")).collect();
            std::fs::write(folder.join(format!("wavs/r{i}.lab")), lines).unwrap();
        }
    }
}

const SMALL: [&str; 10] =
    ["--width", "16", "--sample-rate", "8000", "--batch", "300", "--seed", "3", "--held-out", "0.2"];

#[test]
fn a_voice_is_learned_and_speaks() {
    let folder = folder("learning");
    recordings(&folder.join("data"), true);
    let words = [&["train", "--data", "data", "--out", "voice", "--steps", "6", "-v"], &SMALL[..]].concat();
    let output = run(&folder, &words);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(done(&output).trim(), "voice");
    assert!(told.contains("5 recordings (0.00 hours, 2 with labels) to learn, 1 held out"), "{told}");
    for file in
        ["config.json", "model.safetensors", "curve.png", "sample.wav", "alignment.png", "g2p/words.bin"]
    {
        assert!(folder.join("voice").join(file).is_file(), "{file}");
    }
    let speak = |words: &[&str]| {
        let words = [&["--model", "./voice", "--seed", "1", "--json", "-q"], words].concat();
        let told: serde_json::Value = serde_json::from_str(&done(&run(&folder, &words))).unwrap();
        told
    };
    let told = speak(&["It cost $5.", "-o", "one.wav", "--subtitles", "one.json"]);
    let (spec, samples) = wav(&folder.join("one.wav"));
    assert_eq!((spec.sample_rate, told["samples"].as_u64().unwrap()), (8000, samples.len() as u64));
    assert!(samples.iter().any(|x| x.abs() > 1e-4));
    let times = std::fs::read_to_string(folder.join("one.json")).unwrap();
    let times: serde_json::Value = serde_json::from_str(&times).unwrap();
    let times = times["sentences"][0]["words"].as_array().unwrap();
    let texts: Vec<&str> = times.iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["It", "cost", "$5."]);
    let seconds = samples.len() as f64 / 8000.;
    let mut before = 0.;
    for word in times {
        let (start, end) = (word["start"].as_f64().unwrap(), word["end"].as_f64().unwrap());
        assert!(before <= start && start < end && end <= seconds + 1e-3, "{word}");
        before = end;
    }
    // phonemes in either spelling, and words of one's own
    let same = [
        &["--ipa", "həˈloʊ, wɝld!", "-o", "two.wav"][..],
        &["--arpabet", "HH AH0 L OW1, W ER1 L D!", "-o", "three.wav"],
        &["hello, world!", "-o", "four.wav"],
    ];
    let ids: Vec<serde_json::Value> = same.iter().map(|words| speak(words)["ids"].clone()).collect();
    assert!(ids[0].as_array().unwrap().len() == 11 && ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    std::fs::write(folder.join("own.tsv"), "hello\tW ER1 L D\n").unwrap();
    let own = speak(&["--lexicon", "own.tsv", "hello, world!", "-o", "five.wav"]);
    assert_eq!(own["ids"].as_array().unwrap().len(), 11);
    assert_ne!(own["ids"], ids[0]);
    // twice as fast is half as long
    let at = |speed: &str| speak(&["See the moon.", "--speed", speed, "-o", &format!("at-{speed}.wav")]);
    let part = at("0.4")["samples"].as_f64().unwrap() / at("0.2")["samples"].as_f64().unwrap();
    assert!((part - 0.5).abs() < 0.15, "{part}");
    let words = ["evaluate", "--model", "./voice", "--data", "data", "--count", "2", "--json", "-q"];
    let told: serde_json::Value = serde_json::from_str(&done(&run(&folder, &words))).unwrap();
    assert_eq!(told["distances"]["recordings"], 2);
    for name in ["copy_log_spectral_db", "mel_cepstral_db", "copy_mel_cepstral_db", "duration_ms"] {
        let value = told["distances"][name].as_f64().unwrap();
        assert!(value > 0. && value < 500., "{name}: {value}");
    }
    let words = ["evaluate", "--model", &golden("mms"), "--data", "data", "-q"];
    assert_eq!(run(&folder, &words).status.code(), Some(1));
    // and a further one begins where it ends
    let words = [
        "train", "--data", "data", "--base", "./voice", "--out", "further", "--steps", "2", "--batch", "300",
        "-q",
    ];
    done(&run(&folder, &words));
    assert!(folder.join("further/g2p/words.bin").is_file());
}

#[test]
fn a_voice_without_labels_aligns_by_itself() {
    let folder = folder("learning-unlabelled");
    recordings(&folder.join("data"), false);
    let words = [&["train", "--data", "data", "--out", "voice", "--steps", "3", "-q"], &SMALL[..]].concat();
    done(&run(&folder, &words));
    assert!(folder.join("voice/alignment.png").is_file());
}

#[test]
fn what_cannot_be_learned_from_is_told() {
    let folder = folder("learning-wrong");
    let refused = |words: &[&str]| {
        let output = run(&folder, &[&["train", "--out", "voice", "--steps", "1", "-q"], words].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(!folder.join("voice/g2p").exists() && !folder.join("voice/config.json").exists());
        told
    };
    assert!(refused(&["--data", "nowhere"]).contains("nowhere"));
    std::fs::create_dir(folder.join("data")).unwrap();
    let list = |text: &str| std::fs::write(folder.join("data/metadata.csv"), text).unwrap();
    list("");
    assert!(refused(&["--data", "data"]).contains("the list is empty"));
    list("one\n");
    assert!(refused(&["--data", "data"]).contains("line 1"));
    list("../one|A text.\n");
    assert!(refused(&["--data", "data"]).contains("line 1"));
    list("one|A text.\n");
    assert!(refused(&["--data", "data"]).contains("no wavs/one.wav"));
    recordings(&folder.join("data"), false);
    std::fs::write(folder.join("data/wavs/r0.lab"), "pau:1 k:0.5").unwrap();
    list("r0|A mouse.\n");
    assert!(refused(&["--data", "data"]).contains("no time behind"));
    std::fs::write(folder.join("data/wavs/r0.lab"), "pau:0.2 k:0.5 ae:0.7 t:0.8 s:1").unwrap();
    list("r0|Oranges and lemons are quite another thing.\n");
    assert!(refused(&["--data", "data"]).contains("another text"));
    list("r1|文.\n");
    assert!(refused(&["--data", "data"]).contains("文"));
}
