//! How words are said: the packed dictionary, rules, neighbours, a user's own words.

use std::path::Path;

use models::checkpoint::Files;
use speech_synth::english::lexicon::{Beside, Lexicon};
use speech_synth::english::phones::to_arpabet;

fn lexicon() -> Lexicon {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/speech-synth/g2p");
    Lexicon::open(Files::Dir(folder)).unwrap()
}

fn said(lexicon: &Lexicon, word: &str) -> String {
    to_arpabet(&lexicon.look_up(word, &Beside::default()).unwrap_or_default())
}

#[test]
fn words_are_looked_up_or_made() {
    let lexicon = lexicon();
    let check = |word: &str, phones: &str| assert_eq!(said(&lexicon, word), phones, "{word}");
    check("hello", "HH AH0 L OW1");
    check("zygote", "Z AY1 G OW0 T");
    check("a", "AH0");
    check("A", "EY1");
    check("W", "D AH1 B AH0 L Y UW0");
    check("C's", "S IY1 Z");
    check("covid", "K OW1 V IH0 D");
    check("zygote's", "Z AY1 G OW0 T S");
    check("blockchains", "B L AA1 K CH EY2 N Z");
    check("breadboards", "B R EH1 D B AO2 R D Z");
    check("frumious", "");
}

#[test]
fn every_word_that_numbers_and_signs_become_is_known() {
    let lexicon = lexicon();
    let mut unknown = Vec::new();
    for line in include_str!("normalisation.tsv").lines().filter(|line| !line.starts_with("# ")) {
        let (_, spoken) = line.split_once('\t').unwrap();
        for word in spoken.split(' ').filter(|word| word.chars().any(char::is_alphabetic)) {
            if said(&lexicon, word).is_empty() {
                unknown.push(word);
            }
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    assert!(unknown.len() <= 20, "{unknown:?}");
}

#[test]
fn a_user_is_right() {
    let lexicon = lexicon().with_user("# mine\nzygote\tZ IH1 G\nQ\tkwɛ\n").unwrap();
    assert_eq!(said(&lexicon, "zygote"), "Z IH1 G");
    assert_eq!(said(&lexicon, "zygotes"), "Z IH1 G Z");
    assert_eq!(said(&lexicon, "Q"), "K W EH0");
    let wrong = self::lexicon().with_user("one\tW AH1 N\ntwo T UW1\n").err().unwrap();
    assert_eq!(wrong.to_string(), "line 2: `two T UW1` has no tab between a word and its phones");
}
