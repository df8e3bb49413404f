//! The times of the words.

use crate::{done, folder, said, wav};

#[test]
fn words_have_times_within_the_sound() {
    let folder = folder("times");
    let text = "The first sentence, as it is. And - then another one!";
    done(&said(&folder, &["-o", "x.wav", "--subtitles", "x.json", text]));
    let seconds = wav(&folder.join("x.wav")).1.len() as f64 / 16_000.;
    let told = std::fs::read_to_string(folder.join("x.json")).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let sentences = told["sentences"].as_array().unwrap();
    assert_eq!(sentences.len(), 2);
    assert_eq!(sentences[0]["text"], "The first sentence, as it is.");
    let words: Vec<&serde_json::Value> =
        sentences.iter().flat_map(|sentence| sentence["words"].as_array().unwrap()).collect();
    let texts: Vec<&str> = words.iter().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["The", "first", "sentence,", "as", "it", "is.", "And", "-", "then", "another", "one!"]
    );
    let mut last = 0.;
    for word in words {
        let (start, end) = (word["start"].as_f64().unwrap(), word["end"].as_f64().unwrap());
        assert!(last <= start && start < end && end <= seconds + 1e-3, "{word}");
        last = end;
    }
}

#[test]
fn sentence_by_sentence_the_times_go_on() {
    let folder = folder("goes-on");
    std::fs::write(folder.join("a.txt"), "One two three.\n\nFour five six.\n").unwrap();
    done(&said(&folder, &["-o", "a.wav", "--subtitles", ".srt", "--pause", "1", "a.txt"]));
    let cues = media::subtitles::parse_srt(&std::fs::read_to_string(folder.join("a.srt")).unwrap()).unwrap();
    let text: Vec<&str> = cues.iter().map(|cue| cue.text.as_str()).collect();
    assert_eq!(text, ["One two three.", "Four five six."]);
    // two pauses between paragraphs
    let (spec, samples) = wav(&folder.join("a.wav"));
    let silence =
        samples.iter().position(|sample| *sample == 0.).unwrap() as f64 / f64::from(spec.sample_rate);
    assert!(cues[0].end <= silence + 1e-3 && cues[1].start >= silence + 2. - 1e-3, "{cues:?}, {silence}");
    done(&said(&folder, &["-o", "b.wav", "--subtitles", "b.vtt", "--pause", "1", "a.txt"]));
    assert!(std::fs::read_to_string(folder.join("b.vtt")).unwrap().starts_with("WEBVTT\n"));
}
