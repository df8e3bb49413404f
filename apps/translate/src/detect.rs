//! In which language a text is.

use crate::languages::{self, Language};

/// Characters that are looked at: more do not change the answer.
const ENOUGH: usize = 4000;

/// What a text seems to be in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detected {
    /// The language.
    pub language: &'static Language,
    /// Whether the text is long and clear enough to be sure.
    pub sure: bool,
}

/// The language of a text by its letters and their neighbours (trigrams); nothing where it has too few.
pub fn detect(texts: &[&str]) -> Option<Detected> {
    let mut sample = String::new();
    for text in texts {
        sample.push_str(text);
        sample.push('\n');
        if sample.chars().count() > ENOUGH {
            break;
        }
    }
    let found = whatlang::detect(&sample)?;
    let code = match found.lang().code() {
        // the names of groups
        "cmn" => "zh",
        "pes" => "fa",
        other => other,
    };
    Some(Detected { language: languages::find(code)?, sure: found.is_reliable() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        let check = |text: &str, expected: &str| {
            assert_eq!(detect(&[text]).unwrap().language.long, expected, "{text}");
        };
        check("The library is behind the church, on the left side of the old market.", "eng");
        check("La bibliothèque se trouve derrière l'église, à gauche du vieux marché.", "fra");
        check("Die Bücherei liegt hinter der Kirche, links vom alten Markt.", "deu");
        check("図書館は教会の裏にあります。", "jpn");
        assert_eq!(detect(&["12 34"]), None);
    }

    #[test]
    fn every_answer_is_a_language_that_is_known() {
        let unknown: Vec<&str> = whatlang::Lang::all()
            .iter()
            .map(|lang| lang.code())
            .filter(|code| !matches!(*code, "cmn" | "pes") && languages::find(code).is_none())
            .collect();
        assert_eq!(unknown, ["lat"], "Latin is in no table of the models");
    }
}
