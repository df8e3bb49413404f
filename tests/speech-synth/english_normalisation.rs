//! Written English as it is said: a table of expressions, and what holds for any text.

use speech_synth::english::normalise::{Pause, Spoken, normalise, normalised};

const TABLE: &str = include_str!("normalisation.tsv");

/// `\n` and `\u{...}` as what they stand for.
fn unescaped(text: &str) -> String {
    let mut parts = text.replace("\\n", "\n");
    while let Some((before, rest)) = parts.split_once("\\u{") {
        let (code, after) = rest.split_once('}').unwrap();
        let letter = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
        parts = format!("{before}{letter}{after}");
    }
    parts
}

#[test]
fn every_expression_of_the_table_is_said_as_it_stands_there() {
    let mut wrong = Vec::new();
    let lines: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with("# ")).collect();
    for line in &lines {
        let (written, expected) = line.split_once('\t').unwrap();
        let said = normalised(&unescaped(written));
        if said != expected {
            wrong.push(format!("{written}\n    expected: {expected}\n    said:     {said}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    assert!(lines.len() >= 300, "only {} expressions", lines.len());
}

#[test]
fn words_know_where_they_stood() {
    let check = |text: &str, expected: &[(&str, &str)]| {
        let found: Vec<(String, &str)> = normalise(text)
            .filter_map(|spoken| match spoken {
                Spoken::Word { text: word, span, .. } => Some((word, &text[span])),
                Spoken::Pause { .. } => None,
            })
            .collect();
        let found: Vec<(&str, &str)> =
            found.iter().map(|(word, written)| (word.as_str(), *written)).collect();
        assert_eq!(found, expected);
    };
    check("“Café”, at 9:30", &[("cafe", "Café"), ("at", "at"), ("nine", "9:30"), ("thirty", "9:30")]);
    check(
        "On March 5, 2024…",
        &[
            ("on", "On"),
            ("march", "March"),
            ("fifth", "5"),
            ("twenty", "2024"),
            ("twenty", "2024"),
            ("four", "2024"),
        ],
    );
    check(
        "a well-known $5",
        &[("a", "a"), ("well", "well"), ("known", "known"), ("five", "$5"), ("dollars", "$5")],
    );
    check("the FBI's", &[("the", "the"), ("F", "FBI's"), ("B", "FBI's"), ("I's", "FBI's")]);
}

/// Texts that are made of bits which are likely to meet badly.
fn texts(count: u64) -> impl Iterator<Item = String> {
    const BITS: [&str; 64] = [
        "a", "I", "Dr.", "St.", "U.S.", "e.g.", "1", "0", "9", "2024", "31", "1/2", "½", "$", "€", "£", ".",
        ",", "-", "–", "—", ":", ";", "'", "’", "\"", "“", "(", ")", "[", "{", "}", "/", "\\", "%", "°", "C",
        "km", "m²", "@", "#", "&", "+", "=", "<", ">", " ", " ", " ", "\n", "\n\n", "\t", "é", "ß", "ŋ",
        "\u{301}", "😀", "文", "Ж", "π", "\u{200d}", "am", "p.m.", "XIV",
    ];
    (0..count).map(|seed| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        (0..next() % 60)
            .map(|_| match next() % 8 {
                0 => char::from_u32((next() % 0x11_0000) as u32).unwrap_or('x').to_string(),
                _ => BITS[(next() % BITS.len() as u64) as usize].to_string(),
            })
            .collect()
    })
}

#[test]
fn any_text_is_said_without_a_panic_and_in_order() {
    for text in texts(20_000) {
        let mut last = 0;
        let mut paused = true;
        for spoken in normalise(&text) {
            let (span, pause) = match spoken {
                Spoken::Word { text: word, span, .. } => {
                    assert!(!word.is_empty() && !word.contains(char::is_whitespace), "{text:?}: {word:?}");
                    (span, None)
                }
                Spoken::Pause { kind, span } => (span, Some(kind)),
            };
            assert!(text.get(span.clone()).is_some(), "{text:?}: {span:?}");
            assert!(span.start >= last || pause.is_some(), "{text:?}: {span:?} comes after {last}");
            last = last.max(span.start);
            // two pauses meet only where a paragraph ends
            assert!(!paused || pause.is_none() || pause == Some(Pause::Paragraph), "{text:?}");
            paused = pause.is_some();
        }
    }
}

#[test]
fn a_long_text_without_spaces_is_said_too() {
    for unit in ["a", "1", "1,", "1-", "é", ".", "A.", "$1", "(", "{", "/", "\n\n", "x@", "IV "] {
        let text = unit.repeat(100_000 / unit.len());
        normalise(&text).count();
    }
}
