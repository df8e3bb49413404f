//! The built-in model: digits and read sentences, without a network, and nothing where nobody speaks.

use std::f64::consts::TAU;

use serde_json::Value;

use crate::learning::wav;
use crate::{done, folder, speech_rec};

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/samples/speech/digits.wav");
const SAID: &str = "3 1 4 1 5 9 2 6";

fn object(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}

#[test]
fn digits_are_written_down_with_their_times() {
    let folder = folder("digits");
    let text = done(&speech_rec(&folder, &[DIGITS]));
    assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), SAID);
    let found = object(&done(&speech_rec(&folder, &["--word-times", "--json", DIGITS])));
    assert_eq!(found["language"], "en");
    let segments = found["segments"].as_array().unwrap();
    let words: Vec<&Value> =
        segments.iter().flat_map(|segment| segment["words"].as_array().unwrap()).collect();
    assert_eq!(words.len(), 8);
    let times: Vec<f64> = words.iter().map(|word| word["start"].as_f64().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{times:?}");
    assert!((0. ..1.2).contains(&times[0]) && (4. ..6.2).contains(&times[7]), "{times:?}");
    std::fs::write(folder.join("right.txt"), SAID).unwrap();
    let score = done(&speech_rec(&folder, &["score", "--reference", "right.txt", DIGITS]));
    assert!(score.starts_with("WER 0.00%"), "{score}");
}

#[test]
fn what_goes_on_for_a_minute_is_heard_to_its_end() {
    let folder = folder("minute");
    let bytes = std::fs::read(DIGITS).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap() + 8;
    let long = bytes[data..].repeat(10);
    let size = |header: usize| ((long.len() + header) as u32).to_le_bytes();
    let parts = [&bytes[..4], &size(data - 8), &bytes[8..data - 4], &size(0), &long];
    std::fs::write(folder.join("minute.wav"), parts.concat()).unwrap();
    let text = done(&speech_rec(&folder, &["--max-repeats", "0", "minute.wav"]));
    assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), [SAID; 10].join(" "));
}

#[test]
fn nobody_who_speaks_says_nothing() {
    let folder = folder("nobody");
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 30) as f64 - 1.
    };
    let count = 16_000 * 20;
    let hum = |i: usize| (TAU * 220. * i as f64 / 16_000.).sin() + (TAU * 330. * i as f64 / 16_000.).sin();
    let sounds: [(&str, Vec<f64>); 4] = [
        ("silence", vec![0.; count]),
        ("faint", (0..count).map(|_| 0.001 * noise()).collect()),
        ("noise", (0..count).map(|_| 0.1 * noise()).collect()),
        ("hum", (0..count).map(|i| 0.1 * hum(i)).collect()),
    ];
    for (name, samples) in sounds {
        std::fs::write(folder.join("sound.wav"), wav(&samples)).unwrap();
        let text = done(&speech_rec(&folder, &["sound.wav"]));
        assert_eq!(text.trim(), "", "{name}");
    }
}

#[test]
fn the_model_is_listed_with_its_licence_and_can_be_learned_on_from() {
    let folder = folder("listed");
    let shown = done(&speech_rec(&folder, &["models", "show", "embedded"]));
    assert!(shown.contains("cc-by-sa-4.0"), "{shown}");
}
