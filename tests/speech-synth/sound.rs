//! What sound is written as, and what is left of it when something ends it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use speech_synth::loudness::Meter;

use crate::{done, folder, golden, program, said, wav};

/// Enough to be spoken in many pieces.
fn long() -> String {
    "The cat sat on the mat, and then it went away again. ".repeat(400)
}

#[test]
fn every_form_holds_the_same_sound() {
    let folder = folder("forms");
    let heard = |name: &str, more: &[&str]| {
        done(&said(&folder, &[&["-o", name, "Hello there, how are you?"], more].concat()));
        wav(&folder.join(name))
    };
    let (spec, exact) = heard("exact.wav", &["--bits", "32"]);
    assert_eq!((spec.sample_rate, spec.sample_format), (16_000, hound::SampleFormat::Float));
    for (bits, error) in [("16", 5e-5), ("24", 3e-7)] {
        let (spec, found) = heard(&format!("{bits}.wav"), &["--bits", bits]);
        assert_eq!((spec.bits_per_sample.to_string().as_str(), found.len()), (bits, exact.len()));
        assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() <= error), "{bits}");
    }
    // FLAC of a text in many pieces is the WAV of it
    let text = long()[..2000].to_string();
    let write = |name: &str| done(&said(&folder, &["-o", name, "--bits", "24", "--text", &text]));
    write("long.wav");
    let (_, whole) = wav(&folder.join("long.wav"));
    for name in ["long.flac", "again.FLAC"] {
        write(name);
        let found = media::audio::read(&folder.join(name), 16_000).unwrap();
        assert_eq!(found.len(), whole.len());
        assert!(found.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
    }
    let (spec, found) = heard("slow.wav", &["--sample-rate", "8000"]);
    assert_eq!((spec.sample_rate, found.len()), (8000, exact.len().div_ceil(2)));
    let (spec, found) = heard("fast.wav", &["--sample-rate", "44100"]);
    let expected = (exact.len() as f64 * 2.75625).round() as usize;
    assert_eq!((spec.sample_rate, found.len()), (44_100, expected));
}

#[test]
fn loudness_is_brought_to_its_target() {
    let folder = folder("loudness");
    let text = "Hello there, how are you today? ".repeat(8);
    let loudness = |name: &str, more: &[&str]| {
        done(&said(&folder, &[&["-o", name, "--bits", "32", &text], more].concat()));
        let (spec, samples) = wav(&folder.join(name));
        let mut meter = Meter::new(spec.sample_rate).unwrap();
        meter.take(&samples).unwrap();
        let gain = meter.gain(-60.).unwrap().unwrap();
        (-60. - 20. * f64::from(gain.factor).log10(), samples)
    };
    let (quiet, _) = loudness("quiet.wav", &["--lufs", "-33"]);
    assert!((quiet + 33.).abs() < 0.05, "{quiet}");
    let (loud, samples) = loudness("loud.wav", &["--lufs", "0"]);
    assert!(samples.iter().all(|sample| sample.abs() <= 1.) && loud < 0., "{loud}");
}

#[test]
fn sentences_and_paragraphs_have_their_pauses() {
    let folder = folder("pauses");
    std::fs::write(folder.join("a.txt"), "One two.\nThree four.\n\nFive six.\n").unwrap();
    let length = |name: &str, more: &[&str]| {
        done(&said(&folder, &[&["-o", name, "a.txt"], more].concat()));
        wav(&folder.join(name)).1
    };
    let (none, some) = (length("none.wav", &["--pause", "0"]), length("some.wav", &["--pause", "0.5"]));
    assert_eq!(some.len() - none.len(), 3 * 8000);
    // sound falls to each silence and rises from it: half a second between sentences, a second between paragraphs
    let mut at = 0;
    let mut silences = Vec::new();
    while let Some(start) = some[at..].iter().position(|sample| *sample == 0.).map(|start| at + start) {
        let length = some[start..].iter().take_while(|sample| **sample == 0.).count();
        at = start + length;
        if length > 100 {
            assert!(some[start - 1].abs() < 0.01 && some[at].abs() < 0.01);
            silences.push(length);
        }
    }
    assert_eq!(silences, [8000, 16_000]);
}

#[test]
fn what_was_spoken_before_the_disk_was_full_stays_whole() {
    let (folder, voice) = (folder("full"), golden("mms"));
    std::fs::write(folder.join("long.txt"), long()).unwrap();
    // a limit on the size of files stands for the disk: 64 blocks of 512 bytes, or of 1024
    let line = format!(
        "trap '' XFSZ; ulimit -f 64; exec '{}' --model '{voice}' --seed 7 long.txt -o long.wav",
        env!("CARGO_BIN_EXE_speech-synth")
    );
    let output = Command::new("sh").args(["-c", &line]).current_dir(&folder).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("stopped; long.wav holds"), "{told}");
    let (_, samples) = wav(&folder.join("long.wav"));
    let bytes = std::fs::metadata(folder.join("long.wav")).unwrap().len();
    assert_eq!(bytes, 44 + 2 * samples.len() as u64);
    assert!([32_768, 65_536].contains(&bytes), "{bytes}");
    assert!(samples.iter().any(|sample| sample.abs() > 0.01));
}

#[test]
fn a_device_that_is_full_is_told() {
    let output = said(&folder("device"), &["Hello there.", "-o", "/dev/full"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    assert!(told.contains("/dev/full") && told.contains("space"), "{told}");
}

#[test]
fn what_was_spoken_before_ctrl_c_stays_whole() {
    let (folder, voice) = (folder("stopped"), golden("mms"));
    std::fs::write(folder.join("long.txt"), long().repeat(20)).unwrap();
    let words = ["--model", &voice, "--seed", "7", "long.txt", "-o", "long.wav"];
    // tests that run in the background inherit an ignored SIGINT, which the app would respect
    let mut command = program(&folder, &[]);
    if cfg!(target_os = "linux") {
        let app = command;
        command = Command::new("env");
        command.arg("--default-signal=INT").arg(app.get_program()).current_dir(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = command.args(words).spawn().unwrap();
    // half of a sound lies beside its name, hidden
    let part = || {
        let files = std::fs::read_dir(&folder).unwrap().flatten();
        files
            .filter(|file| file.file_name().to_string_lossy().ends_with(".part"))
            .find_map(|file| file.metadata().ok())
    };
    let began = Instant::now();
    while part().is_none_or(|data| data.len() < 10_000) {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("stopped; long.wav holds"), "{told}");
    assert!(wav(&folder.join("long.wav")).1.len() > 4000);
    assert!(part().is_none());
}
