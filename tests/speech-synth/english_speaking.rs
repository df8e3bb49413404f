//! English as words with phones, by the dictionary and the net that are built in.

use std::path::Path;

use models::checkpoint::Files;
use speech_synth::english::lexicon::Lexicon;
use speech_synth::english::normalise::Pause;
use speech_synth::english::phones::{to_arpabet, to_ipa};
use speech_synth::english::{Item, sentences, speak};

fn lexicon() -> Lexicon {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/speech-synth/g2p");
    Lexicon::open(Files::Dir(folder)).unwrap()
}

/// Phones of the words, with `|` between them and pauses by their names.
fn said(text: &str, lexicon: &Lexicon) -> String {
    let item = |item: Item| match item {
        Item::Word(word) => to_arpabet(&word.phones),
        Item::Pause { kind, .. } => format!("{kind:?}"),
    };
    speak(text, lexicon).unwrap().into_iter().map(item).collect::<Vec<_>>().join(" | ")
}

#[test]
fn text_becomes_phones() {
    let lexicon = lexicon();
    let check = |text: &str, expected: &str| assert_eq!(said(text, &lexicon), expected, "{text}");
    check("Hello, world.", "HH AH0 L OW1 | Comma | W ER1 L D | Stop");
    check("It is 9:30.", "IH1 T | IH1 Z | N AY1 N | TH ER1 D IY2 | Stop");
    check("the FBI", "DH IY0 | EH1 F | B IY1 | AY1");
    check("I read a live record", "AY1 | R IY1 D | AH0 | L AY1 V | R EH1 K ER0 D");
    check("She has read it", "SH IY1 | HH AE1 Z | R EH1 D | IH1 T");
    check("{HH AH0 L OW1} /həˈləʊ/", "HH AH0 L OW1 | HH AH0 L OW1");
    check("two PCs", "T UW1 | P IY1 | S IY1 Z");
    check("文", "");
    check("", "");
}

#[test]
fn a_users_lexicon_comes_first() {
    let lexicon = lexicon().with_user("gif\tJH IH1 F\nrecord\tR EH0 K AO1 R\nzyxt\tzɪkst\n").unwrap();
    assert_eq!(said("a GIF record", &lexicon), "AH0 | JH IH1 F | R EH0 K AO1 R");
    assert_eq!(said("Zyxt zyxts", &lexicon), "Z IH0 K S T | Z IH0 K S T S");
    assert!(self::lexicon().with_user("gif JH\n").is_err());
}

#[test]
fn words_that_no_dictionary_has_are_said() {
    let lexicon = lexicon();
    let text = "Blorptastic wugs frambled the quizzerly snorfulator.";
    let words: Vec<_> = speak(text, &lexicon)
        .unwrap()
        .into_iter()
        .filter_map(|item| match item {
            Item::Word(word) => Some(word),
            Item::Pause { .. } => None,
        })
        .collect();
    assert_eq!(words.len(), 6);
    for word in &words {
        let stresses = word.phones.iter().filter(|phone| phone.stress() == Some(1)).count();
        assert!(word.text == "the" || stresses == 1, "{}: {}", word.text, to_ipa(&word.phones));
    }
}

#[test]
fn a_long_text_comes_sentence_by_sentence() {
    let lexicon = lexicon();
    let text = "One, two. Three?\n\nFour! Dr. Smith left".repeat(300);
    let whole = speak(&text, &lexicon).unwrap();
    let parts: Vec<Vec<Item>> = sentences(&text, &lexicon).map(Result::unwrap).collect();
    assert_eq!(whole, parts.concat());
    assert!(parts.len() > 900);
    for sentence in &parts {
        let ends = |item: &Item| matches!(item, Item::Pause { kind, .. } if kind.ends_sentence());
        let paragraph = |item: &Item| matches!(item, Item::Pause { kind: Pause::Paragraph, .. });
        let count = sentence.iter().filter(|item| ends(item) && !paragraph(item)).count();
        assert!(count <= 1 && sentence.iter().any(|item| matches!(item, Item::Word(_))), "{sentence:?}");
    }
    let endless = "word ".repeat(2000);
    assert!(sentences(&endless, &lexicon).all(|sentence| sentence.unwrap().len() <= 257));
}

#[test]
fn any_text_is_spoken() {
    let lexicon = lexicon();
    let mut state = 1u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..2000 {
        let text: String = (0..next() % 50)
            .map(|_| match next() % 4 {
                0 => char::from_u32((next() % 0x11_0000) as u32).unwrap_or(' '),
                1 => char::from(b' ' + (next() % 95) as u8),
                2 => ' ',
                _ => char::from(b'a' + (next() % 26) as u8),
            })
            .collect();
        let items = speak(&text, &lexicon).unwrap();
        assert_eq!(items, speak(&text, &lexicon).unwrap(), "{text:?}");
        for item in items {
            let span = match &item {
                Item::Word(word) => &word.span,
                Item::Pause { span, .. } => span,
            };
            assert!(text.get(span.clone()).is_some(), "{text:?}: {item:?}");
        }
    }
}

#[test]
fn a_megabyte_is_spoken() {
    let lexicon = lexicon();
    let sentence =
        "On 5 March 2024, Dr. Smith paid $1,250.50 for 3.5 kg of flumpish grobbles (see www.example.com)! ";
    let text = sentence.repeat((1 << 20) / sentence.len());
    let words = sentences(&text, &lexicon)
        .flat_map(Result::unwrap)
        .filter(|item| matches!(item, Item::Word(_)))
        .count();
    assert!(words > 300_000, "{words}");
}
