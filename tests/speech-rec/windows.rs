//! Silence costs nothing, windows follow speech, batches change nothing, and nothing goes round and round.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hub::Location;
use models::random::Generator;
use serde_json::Value;
use speech_rec::sound::{HOP, Raw, Reading};
use speech_rec::{Event, Frames, Model, Request, Search, Sound, Transcript, WordTimes, transcribe};

use crate::{done, folder, golden, speech_rec};

const SECOND: usize = 16_000;
const RAW: Reading = Reading { raw: Some(Raw { rate: 16_000, channels: 1 }), damaged: false };

fn model(name: &str) -> Model {
    Model::load(&Location::Dir(golden(name).into()), "cpu", "f32").unwrap()
}

/// The five seconds of shared/golden.
fn speech() -> Vec<i16> {
    let wav = std::fs::read(golden("sound.wav")).unwrap();
    wav[44..].chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect()
}

fn silence(seconds: usize) -> Vec<i16> {
    vec![0; seconds * SECOND]
}

fn noise(seconds: usize, level: f32) -> Vec<i16> {
    let mut generator = Generator::new(3);
    (0..seconds * SECOND).map(|_| (level * (2. * generator.uniform() - 1.)) as i16).collect()
}

fn written(folder: &Path, samples: &[i16]) -> PathBuf {
    let path = folder.join("a.raw");
    std::fs::write(&path, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>())
        .unwrap();
    path
}

/// A file with a header.
fn wav(folder: &Path, samples: &[i16]) {
    let data = samples.len() as u32 * 2;
    let mut bytes = std::fs::read(golden("sound.wav")).unwrap()[..44].to_vec();
    bytes[4..8].copy_from_slice(&(data + 36).to_le_bytes());
    bytes[40..44].copy_from_slice(&data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(folder.join("a.wav"), bytes).unwrap();
}

/// What is said, and how many windows there were.
fn heard(model: &Model, path: &Path, request: &Request) -> (Transcript, usize) {
    let mut sound = Sound::open(path, RAW, model.config.num_mel_bins, model.frames()).unwrap();
    let mut windows = 0;
    let transcript = transcribe(model, &mut sound, request, &mut |event| {
        windows += usize::from(matches!(event, Event::Frames(_)));
        ControlFlow::Continue(())
    });
    (transcript.unwrap(), windows)
}

#[test]
fn batches_of_any_size_give_the_same() {
    let folder = folder("batches");
    let mut samples = Vec::new();
    for pause in [1, 2, 4] {
        samples.extend(speech());
        samples.extend(noise(pause, 20.));
    }
    let path = written(&folder, &samples);
    let usual = Request::default();
    let beam = Search { beam: 3, ..usual.search.clone() };
    for (name, request) in [
        ("many", Request { words: Some(WordTimes::Trimmed), temperatures: vec![0.], ..usual.clone() }),
        ("many", Request { search: beam.clone(), most_repeats: Some(3), ..usual.clone() }),
        ("english", Request { most_repeats: Some(2), prompt: Some("the old house".into()), ..usual.clone() }),
        ("english", Request { search: beam, times: false, temperatures: vec![0.], ..usual.clone() }),
        ("english", Request { temperatures: vec![0.7], seed: 4, ..usual.clone() }),
    ] {
        let model = model(name);
        let of = |batch| heard(&model, &path, &Request { batch: Some(batch), ..request.clone() });
        let (one, windows) = of(1);
        assert!(windows > 6 && one.segments.iter().any(|segment| !segment.tokens.is_empty()), "{windows}");
        for batch in [2, 3, 64] {
            let (other, fewer) = of(batch);
            assert!(fewer < windows);
            let ids =
                |one: &Transcript| one.segments.iter().map(|one| one.tokens.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&other), ids(&one), "{name} by {batch}: {request:?}");
            for (other, one) in other.segments.iter().zip(&one.segments) {
                assert_eq!((other.seek, other.start, other.end), (one.seek, one.start, one.end));
                assert_eq!(other.words.is_some(), one.words.is_some());
                assert!((other.avg_logprob - one.avg_logprob).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn windows_hold_speech_and_times_are_those_of_the_file() {
    let folder = folder("speech");
    let samples = [noise(10, 20.), speech(), noise(20, 20.), speech(), noise(10, 20.)].concat();
    let path = written(&folder, &samples);
    let model = model("english");
    let usual = Request { temperatures: vec![0.], words: Some(WordTimes::Raw), ..Request::default() };
    let (all, without) = heard(&model, &path, &usual);
    assert!(without >= 25 && all.segments.iter().any(|segment| segment.seek > 4000), "{without}");
    for request in [Request { vad: true, ..usual.clone() }, Request { batch: Some(1), ..usual }] {
        let (found, windows) = heard(&model, &path, &request);
        assert!((4..16).contains(&windows), "{windows}");
        let spoken = |seconds: f64| (9.5..15.5).contains(&seconds) || (34.5..40.5).contains(&seconds);
        for segment in &found.segments {
            assert!(spoken(segment.seek as f64 / 100.) && spoken(segment.start), "{segment:?}");
            for word in segment.words.iter().flatten() {
                assert!(word.start >= segment.seek as f64 / 100. && word.end < 41.6, "{word:?}");
            }
        }
        let seeks = |from: usize| found.segments.iter().any(|segment| segment.seek / 1000 == from);
        assert!(seeks(1) && (seeks(3) || seeks(4)));
    }
}

#[test]
fn silence_has_no_words() {
    let folder = folder("silence");
    let path = written(&folder, &silence(60));
    let model = model("english");
    for request in [
        Request::default(),
        Request { vad: true, ..Request::default() },
        Request { batch: Some(4), ..Request::default() },
    ] {
        let (found, _) = heard(&model, &path, &request);
        assert_eq!((found.text.as_str(), found.segments.len()), ("", 0));
    }
    // beside speech too, whose loudness decides on what is cut off
    let path = written(&folder, &[speech(), silence(20)].concat());
    let (found, _) = heard(&model, &path, &Request { temperatures: vec![0.], ..Request::default() });
    assert!(!found.segments.is_empty() && found.segments.iter().all(|segment| segment.seek < 520));
    wav(&folder, &silence(30));
    let words = ["--model", &golden("english"), "a.wav"];
    assert_eq!(done(&speech_rec(&folder, &words)), "");
    let noisy = [silence(2), noise(6, 3000.)].concat();
    wav(&folder, &noisy);
    assert_ne!(done(&speech_rec(&folder, &words)), "");
    assert_eq!(done(&speech_rec(&folder, &[&words[..], &["--vad"]].concat())), "");
}

#[test]
fn nothing_comes_more_than_three_times_in_a_row() {
    let folder = folder("loops");
    wav(&folder, &[speech(), noise(10, 3000.)].concat());
    let model = golden("english");
    let most = |more: &[&str]| {
        let words = ["--model", &model, "--json", "a.wav"];
        let line = done(&speech_rec(&folder, &[&words[..], more].concat()));
        let found: Value = serde_json::from_str(&line).unwrap();
        let segments = found["segments"].as_array().unwrap();
        let ids = segments.iter().flat_map(|one| one["tokens"].as_array().unwrap());
        let ids: Vec<u64> = ids.filter_map(Value::as_u64).filter(|id| *id < 320).collect();
        assert!(!ids.is_empty(), "{more:?}");
        (1..=32).map(|size| repeats(&ids, size)).max().unwrap()
    };
    assert!(most(&["--temperature", "0"]) > 3);
    assert!(most(&["--max-repeats", "0"]) > 3);
    for more in [
        &[][..],
        &["--word-times"],
        &["--beam", "3"],
        &["--batch", "4"],
        &["--no-timestamps"],
        &["--max-repeats", "3", "--temperature", "0"],
    ] {
        assert!(most(more) <= 3, "{more:?}");
    }
    assert!(most(&["--max-repeats", "1", "--temperature", "0"]) <= 1);
}

/// How often phrases of so many ids come in a row.
fn repeats(ids: &[u64], size: usize) -> usize {
    let (mut most, mut same) = (1, 0);
    for at in size..ids.len() {
        same = if ids[at] == ids[at - size] { same + 1 } else { 0 };
        most = most.max(same / size + 1);
    }
    most
}

#[test]
fn a_long_sound_is_heard_again_and_passed_over() {
    let folder = folder("long");
    // more than is kept
    let samples = [silence(160), speech(), silence(3)].concat();
    let path = written(&folder, &samples);
    let mut sound = Sound::open(&path, RAW, 80, 200).unwrap();
    let spans = sound.speech().unwrap().to_vec();
    assert!(
        !spans.is_empty() && spans.iter().all(|span| span.start > 15_900 && span.end < 16_600),
        "{spans:?}"
    );
    let samples: Vec<f32> = samples[150 * SECOND..].iter().map(|x| f32::from(*x) / 32_768.).collect();
    let expected = models::features::log_mel::LogMel::new(80).unwrap().compute(&samples, 200 * HOP).unwrap();
    for from in [10, 1_000, 16_100, 16_790] {
        let window = sound.window(from, 20).unwrap();
        for (place, value) in window.iter().enumerate() {
            let (band, frame) = (place / 20, from + place % 20);
            // frames of silence are all alike
            let frame = frame.checked_sub(15_000).unwrap_or(100);
            assert_eq!(*value, expected.values[frame * 80 + band], "{from} {place}");
        }
    }
    assert!(sound.window(16_000, 20).is_err());
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = folder("refused");
    let model = golden("many");
    for words in [
        &["--batch", "0"][..],
        &["--batch", "2", "--word-times", "--skip-silence", "2"],
        &["--max-repeats", "-1"],
    ] {
        let output = speech_rec(&folder, &[words, &["--model", &model, &golden("sound.wav")]].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
}
