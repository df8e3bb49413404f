//! Texts -> what is spoken at once: a short text as it is, a long one sentence by sentence.

use studio::sentences::{parts, sentences};

/// Letters that are spoken at once at most.
const MOST: usize = 400;

/// What is spoken at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// As it is.
    pub text: String,
    /// Pauses before it: none within a sentence, one between sentences, two between paragraphs.
    pub pauses: u32,
}

/// Cuts paragraphs; `each` asks for every sentence by itself.
pub fn pieces(paragraphs: &[String], each: bool) -> Vec<Piece> {
    let letters: usize = paragraphs.iter().map(|paragraph| paragraph.chars().count() + 1).sum();
    if letters <= MOST + 1 && !each {
        let text = paragraphs.join(" ");
        let says = !text.trim().is_empty();
        return if says { vec![Piece { text, pauses: 0 }] } else { Vec::new() };
    }
    let fits = |part: &str| part.chars().nth(MOST).is_none();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut due = 0;
    for paragraph in paragraphs {
        for range in sentences(paragraph) {
            let sentence = &paragraph[range];
            for part in parts(sentence, &fits) {
                pieces.push(Piece { text: sentence[part].to_string(), pauses: std::mem::take(&mut due) });
            }
            due = 1;
        }
        due = 2 * due.min(1);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paragraphs: &[&str], each: bool, expected: &[(&str, u32)]) {
        let paragraphs: Vec<String> = paragraphs.iter().map(|text| (*text).to_string()).collect();
        let found = pieces(&paragraphs, each);
        let found: Vec<(&str, u32)> = found.iter().map(|piece| (piece.text.as_str(), piece.pauses)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_short_text_is_spoken_as_it_is() {
        check(&[" One.  Two! "], false, &[(" One.  Two! ", 0)]);
        check(&["One.", "Two!"], false, &[("One. Two!", 0)]);
        check(&["", " "], false, &[]);
        check(&["One. Two!", "Three?"], true, &[("One.", 0), ("Two!", 1), ("Three?", 2)]);
    }

    #[test]
    fn a_long_one_sentence_by_sentence() {
        let long = "Word, ".repeat(100);
        let found = pieces(&[format!("First. {long}"), "Last.".into()], false);
        assert!(found.iter().all(|piece| piece.text.chars().count() <= MOST));
        let pauses: Vec<u32> = found.iter().map(|piece| piece.pauses).collect();
        assert_eq!(pauses, [0, 1, 0, 2]);
        let joined: Vec<&str> = found.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(joined.join(" "), format!("First. {} Last.", long.trim()));
    }
}
