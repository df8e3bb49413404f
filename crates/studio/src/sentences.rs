//! Where sentences end, and where a long one may be cut.

use std::ops::Range;

use icu_segmenter::SentenceSegmenter;
use icu_segmenter::options::SentenceBreakInvariantOptions;

/// Words that end with a point in the middle of a sentence, small letters, of several languages at once: few of them are
/// words that end a sentence in another.
const ABBREVIATIONS: &[&str] = &[
    // English
    "mr", "mrs", "ms", "dr", "prof", "rev", "gen", "col", "capt", "lt", "sgt", "st", "jr", "sr", "vs", "e.g",
    "i.e", "cf", "no", "vol", "fig", "inc", "ltd", "co", "corp", "dept", "approx", "a.m", "p.m", "u.s",
    "ph.d", // French
    "m", "mm", "mme", "mlle", "mgr", "ste", "p", "pp", "av", "apr", "env", "éd", "chap", "art", "n.b",
    "c.-à-d", // German
    "hr", "fr", "z.b", "d.h", "u.a", "usw", "bzw", "ca", "nr", "str", "tel", "vgl", "s", "z", "b", "d", "h",
    // Portuguese and Spanish
    "sra", "srta", "dra", "exmo", "exma", "v.exa", "ud", "uds", "ee", "uu", "pág", "núm", "p.ej", "d.c",
    "a.c", // Italian
    "sig", "dott", "avv", "ing", "on", "ecc",
];

/// The sentences of a text, without the white space around them; none of a blank text.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let segmenter = SentenceSegmenter::new(SentenceBreakInvariantOptions::default());
    let breaks: Vec<usize> = segmenter.segment_str(text).collect();
    let (mut found, mut first): (Vec<Range<usize>>, _) = (Vec::new(), 0);
    for pair in breaks.windows(2) {
        let Some(end) = after_quote(text, pair[1]) else { continue };
        if end < text.len() && goes_on(text[first..end].trim_end(), text[end..].trim_start()) {
            continue;
        }
        let sentence = trimmed(text, first..end);
        if !sentence.is_empty() {
            found.push(sentence);
        }
        first = end;
    }
    found
}

/// Where a sentence ends whose closing quote stands apart, as in French; nowhere if it goes on after that.
fn after_quote(text: &str, end: usize) -> Option<usize> {
    let rest = &text[end..];
    let Some(after) = rest.strip_prefix('»') else { return Some(end) };
    let next = after.trim_start();
    let goes_on = next.starts_with(|c: char| c.is_lowercase() || c == ',');
    (!goes_on).then(|| text.len() - next.len())
}

/// Whether a point before `next` is not the end of a sentence.
fn goes_on(sentence: &str, next: &str) -> bool {
    let Some(before) = sentence.strip_suffix('.') else { return false };
    if next.chars().next().is_some_and(char::is_lowercase) {
        return true;
    }
    let word =
        before.rsplit(|c: char| c.is_whitespace() || "([«\"“'’".contains(c)).next().unwrap_or_default();
    let mut letters = word.chars();
    let initial = matches!((letters.next(), letters.next()), (Some(letter), None) if letter.is_uppercase());
    // "I" ends English sentences, and is no initial of many
    (initial && word != "I") || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// What a sentence may be cut at, the best first; the cut is after the mark.
const MARKS: [&[&str]; 4] =
    [&["; ", ": ", "；", "："], &[", ", " – ", " — ", " - ", "，", "、", "،"], &[" "], &[""]];

/// Cuts a text into parts that `fits` accepts, at clause marks before spaces, near the middle; the parts and the white
/// space between them are the text. A part of one character is never cut.
pub fn parts(text: &str, fits: &dyn Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    cut(text, 0..text.len(), fits, &mut parts);
    parts
}

fn cut(text: &str, range: Range<usize>, fits: &dyn Fn(&str) -> bool, parts: &mut Vec<Range<usize>>) {
    let range = trimmed(text, range);
    let part = &text[range.clone()];
    if part.is_empty() {
        return;
    }
    match MARKS.iter().find_map(|marks| nearest(part, marks)).filter(|_| !fits(part)) {
        Some(at) => {
            cut(text, range.start..range.start + at, fits, parts);
            cut(text, range.start + at..range.end, fits, parts);
        }
        None => parts.push(range),
    }
}

/// The place after a mark that is nearest to the middle, with something on both sides.
fn nearest(part: &str, marks: &[&str]) -> Option<usize> {
    let middle = part.len() / 2;
    let places = marks.iter().flat_map(|mark| part.match_indices(mark).map(|(at, mark)| at + mark.len()));
    let inside = places.filter(|at| !part[..*at].trim().is_empty() && !part[*at..].trim().is_empty());
    inside.min_by_key(|at| at.abs_diff(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = sentences(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn sentences_end_where_they_do() {
        check("One. Two!  Three?", &["One.", "Two!", "Three?"]);
        check("  Mr. Smith met Dr. J. K. Brown. He left. ", &["Mr. Smith met Dr. J. K. Brown.", "He left."]);
        check(
            "It cost 3.50 euros. So did I. Then we went.",
            &["It cost 3.50 euros.", "So did I.", "Then we went."],
        );
        check(
            "Il est 5 h. M. Dupont arrive. « Bon ! » dit-il.",
            &["Il est 5 h. M. Dupont arrive.", "« Bon ! » dit-il."],
        );
        check("« Bon ! » Il part. « Va ! »", &["« Bon ! »", "Il part.", "« Va ! »"]);
        check("これは本です。あれは？", &["これは本です。", "あれは？"]);
        check("", &[]);
        check(" \t ", &[]);
        check("no end", &["no end"]);
    }

    #[test]
    fn parts_fit_and_nothing_is_lost() {
        let text = "first of all; then, after a while, something else happened, and so on";
        let found: Vec<&str> =
            parts(text, &|part| part.len() <= 30).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found[0], "first of all;");
        assert!(found.iter().all(|part| part.len() <= 30), "{found:?}");
        assert_eq!(found.join(" "), text);
        let long = "x".repeat(100) + "é";
        let found = parts(&long, &|part| part.len() <= 7);
        assert_eq!(found.iter().map(|range| &long[range.clone()]).collect::<String>(), long);
        assert_eq!(parts("aé", &|_| false), [0..1, 1..3]);
        assert!(parts("  ", &|_| false).is_empty());
    }
}
