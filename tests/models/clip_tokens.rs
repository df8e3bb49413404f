//! CLIP's tokenizer with its real vocabulary: the ids that transformers gives.

use models::checkpoint::Files;
use models::tokens::{ClipTokens, learn_clip};
use std::path::Path;

use super::golden::folder;

/// The bytes' characters in the vocabulary's order: those that are printed, then the others.
fn letters() -> Vec<String> {
    let printed = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let same = (0..=255u8).filter(printed).map(char::from);
    let others = (0..=255u8).filter(|byte| !printed(byte)).zip('\u{100}'..).map(|(_, character)| character);
    same.chain(others).map(String::from).collect()
}

fn write(folder: &Path, files: &[(&str, String)]) -> Files {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    Files::Dir(folder.to_path_buf())
}

#[test]
fn ids_are_those_of_transformers() {
    let merges = std::fs::read_to_string(folder("../samples/clip").join("merges.txt")).unwrap();
    let letters = letters();
    let ends = letters.iter().map(|letter| format!("{letter}</w>"));
    let pairs = merges.lines().skip(1).map(|line| line.replace(' ', ""));
    let words = letters.iter().cloned().chain(ends).chain(pairs);
    let words = words.chain(["<|startoftext|>", "<|endoftext|>"].map(String::from));
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        words.zip(0..).map(|(word, id): (String, u32)| (word, id.into())).collect();
    assert_eq!(vocabulary.len(), 49408);
    let place = tempfile::tempdir().unwrap();
    let vocabulary = serde_json::to_string(&vocabulary).unwrap();
    let tokens =
        ClipTokens::open(&write(place.path(), &[("vocab.json", vocabulary), ("merges.txt", merges)]))
            .unwrap();
    assert_eq!((tokens.first, tokens.last, tokens.pad, tokens.length), (49406, 49407, 49407, 77));
    let text = std::fs::read_to_string(folder("clip_tokens.json")).unwrap();
    let expected: Vec<(String, Vec<u32>)> = serde_json::from_str(&text).unwrap();
    assert!(expected.len() > 150);
    for (text, ids) in expected {
        let words = tokens.words(&text).unwrap();
        let framed: Vec<u32> = [tokens.first].into_iter().chain(words).chain([tokens.last]).collect();
        assert_eq!(framed, ids, "{text:?}");
    }
}

#[test]
fn what_is_learned_reads_every_text_and_fills_up() {
    let texts = ["a red cat", "a blue cat", "the red dog", "a red dog and a blue dog"];
    let files = learn_clip(&texts, 540, 12).unwrap();
    let files: Vec<(&str, String)> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), String::from_utf8(bytes.clone()).unwrap()))
        .collect();
    let place = tempfile::tempdir().unwrap();
    let tokens = ClipTokens::open(&write(place.path(), &files)).unwrap();
    assert!(tokens.tokens.len() > 514 && tokens.tokens.len() <= 540);
    assert_eq!(tokens.words("red").unwrap().len(), 1);
    let strange = tokens.words("Ünknown 猫").unwrap();
    assert!(strange.len() > 8);
    let framed = tokens.framed(&tokens.words("a red dog").unwrap());
    assert_eq!((framed.len(), framed[0], framed[11]), (12, tokens.first, tokens.pad));
    assert_eq!(framed.iter().filter(|id| **id != tokens.pad).count(), 4);
    assert_eq!(tokens.framed(&strange).len(), 12);
    assert!(learn_clip(&texts, 100, 12).is_err());
}
