//! Whole transcripts equal openai/whisper's, whichever way they are decoded.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use hub::Location;
use serde_json::Value;
use speech_rec::sound::{Reading, Sound};
use speech_rec::{Model, Request, Search, Transcript, WordTimes, languages, transcribe};

fn request(options: &Value) -> Request {
    let number = |name: &str| options[name].as_f64();
    let text = |name: &str| options[name].as_str().map(String::from);
    let flag = |name: &str, default: bool| options[name].as_bool().unwrap_or(default);
    let temperatures = match &options["temperature"] {
        Value::Array(list) => list.iter().filter_map(Value::as_f64).collect(),
        one => vec![one.as_f64().unwrap()],
    };
    let usual = Request::default();
    Request {
        language: options["language"].as_str().and_then(languages::code),
        translate: options["task"] == "translate",
        times: !flag("without_timestamps", false),
        words: flag("word_timestamps", false).then_some(WordTimes::Raw),
        search: Search {
            best_of: number("best_of").unwrap_or(1.) as usize,
            beam: number("beam_size").unwrap_or(1.) as usize,
            patience: number("patience").unwrap_or(1.) as f32,
            length_penalty: number("length_penalty").map(|power| power as f32),
            ..usual.search.clone()
        },
        temperatures,
        most_compression: number("compression_ratio_threshold").or(usual.most_compression),
        least_average: number("logprob_threshold").or(usual.least_average),
        condition: flag("condition_on_previous_text", true),
        prompt: text("initial_prompt"),
        prefix: text("prefix"),
        skip_silence: number("hallucination_silence_threshold"),
        seed: 5,
        ..usual
    }
}

fn near(what: &str, found: &Value, expected: &Value, bound: f64) {
    match (found.as_f64(), expected.as_f64()) {
        (Some(found), Some(expected)) => {
            assert!((found - expected).abs() <= bound, "{what}: {found} {expected}")
        }
        _ => panic!("{what}: {found} {expected}"),
    }
}

fn compare(what: &str, found: &Transcript, expected: &Value) {
    let found = serde_json::to_value(found).unwrap();
    assert_eq!(found["language"], expected["language"], "{what}");
    let (found, expected) = (&found["segments"], &expected["segments"]);
    let segments = |all: &Value| all.as_array().unwrap().clone();
    let ids = |all: &Value| segments(all).iter().map(|one| one["tokens"].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(found), ids(expected), "{what}");
    for (i, (found, expected)) in segments(found).iter().zip(&segments(expected)).enumerate() {
        let what = format!("{what}, segment {i}");
        for name in ["id", "seek", "text", "temperature"] {
            assert_eq!(found[name], expected[name], "{what}: {name}");
        }
        // where a model that was told to say no times says some, the reference may begin before its window does
        let begin = expected["start"].as_f64().unwrap().max(expected["seek"].as_f64().unwrap() / 100.);
        near(&format!("{what}: start"), &found["start"], &begin.into(), 0.0201);
        near(&format!("{what}: end"), &found["end"], &expected["end"], 0.0201);
        near(&what, &found["avg_logprob"], &expected["avg_logprob"], 1e-3);
        near(&what, &found["no_speech_prob"], &expected["no_speech_prob"], 1e-4);
        let ratio = expected["compression_ratio"].as_f64().unwrap();
        near(&what, &found["compression_ratio"], &expected["compression_ratio"], 0.2 * ratio);
        let words = |one: &Value| one["words"].as_array().cloned().unwrap_or_default();
        let (found, expected) = (words(found), words(expected));
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found["word"], expected["word"], "{what}");
            for name in ["start", "end"] {
                near(&format!("{what}: {found} {expected}"), &found[name], &expected[name], 0.0201);
            }
            near(&what, &found["probability"], &expected["probability"], 1e-3);
        }
    }
}

fn check(name: &str) {
    let folder: PathBuf = Path::new(crate::GOLDEN).join(name);
    let model = Model::load(&Location::Dir(folder.clone()), "cpu", "f32").unwrap();
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    for (case, one) in expected.as_object().unwrap() {
        let mut sound =
            Sound::open(crate::golden("sound.wav").as_ref(), Reading::default(), 80, model.frames()).unwrap();
        let request = request(&one["options"]);
        let found = transcribe(&model, &mut sound, &request, &mut |_| ControlFlow::Continue(())).unwrap();
        compare(&format!("{name}, {case}"), &found, &one["result"]);
    }
}

#[test]
fn a_model_of_many_languages_writes_what_the_reference_does() {
    check("many");
}

#[test]
fn a_model_of_english_alone_does_too() {
    check("english");
}
