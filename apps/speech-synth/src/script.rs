//! What letters are written in, by name: for messages.

/// First letters of the blocks in which scripts have most of their letters, and what the script is called; what lies
/// before a first one belongs to the script before.
const SCRIPTS: &[(char, &str)] = &[
    ('\0', "Latin letters"),
    ('\u{370}', "Greek"),
    ('\u{400}', "Cyrillic"),
    ('\u{530}', "Armenian"),
    ('\u{590}', "Hebrew"),
    ('\u{600}', "Arabic"),
    ('\u{700}', "Syriac"),
    ('\u{780}', "Thaana"),
    ('\u{900}', "Devanagari"),
    ('\u{980}', "Bengali"),
    ('\u{a00}', "Gurmukhi"),
    ('\u{a80}', "Gujarati"),
    ('\u{b00}', "Odia"),
    ('\u{b80}', "Tamil"),
    ('\u{c00}', "Telugu"),
    ('\u{c80}', "Kannada"),
    ('\u{d00}', "Malayalam"),
    ('\u{d80}', "Sinhala"),
    ('\u{e00}', "Thai"),
    ('\u{e80}', "Lao"),
    ('\u{f00}', "Tibetan"),
    ('\u{1000}', "Burmese"),
    ('\u{10a0}', "Georgian"),
    ('\u{1100}', "Korean"),
    ('\u{1200}', "Ethiopic"),
    ('\u{13a0}', "Cherokee"),
    ('\u{1400}', "other letters"),
    ('\u{1780}', "Khmer"),
    ('\u{1800}', "Mongolian"),
    ('\u{18b0}', "other letters"),
    ('\u{1d00}', "Latin letters"),
    ('\u{1f00}', "Greek"),
    ('\u{2000}', "other letters"),
    ('\u{2c60}', "Latin letters"),
    ('\u{2c80}', "other letters"),
    ('\u{3040}', "Japanese"),
    ('\u{3100}', "Chinese"),
    ('\u{3130}', "Korean"),
    ('\u{3190}', "Chinese"),
    ('\u{a000}', "other letters"),
    ('\u{a720}', "Latin letters"),
    ('\u{a800}', "other letters"),
    ('\u{ac00}', "Korean"),
    ('\u{d7b0}', "other letters"),
    ('\u{f900}', "Chinese"),
    ('\u{fb00}', "other letters"),
    ('\u{20000}', "Chinese"),
    ('\u{32000}', "other letters"),
];

fn of(letter: char) -> &'static str {
    if letter.is_numeric() {
        return "digits";
    }
    let after = SCRIPTS.partition_point(|(first, _)| *first <= letter);
    SCRIPTS[after.max(1) - 1].1
}

/// The scripts of letters, the most frequent first, at most three.
pub fn names(letters: impl Iterator<Item = char>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in letters.map(of) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let names: Vec<&str> = counts.into_iter().take(3).map(|(name, _)| name).collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_by_their_letters() {
        for (text, expected) in [
            ("straße", "Latin letters"),
            ("λόγος", "Greek"),
            ("слово", "Cyrillic"),
            ("שלום", "Hebrew"),
            ("مرحبا", "Arabic"),
            ("नमस्ते", "Devanagari"),
            ("สวัสดี", "Thai"),
            ("한국어", "Korean"),
            ("ひらがな", "Japanese"),
            ("漢字", "Chinese"),
            ("1234 12 x", "digits, Latin letters"),
            ("", "nothing"),
        ] {
            assert_eq!(names(text.chars().filter(|letter| letter.is_alphanumeric())), expected, "{text}");
        }
        assert!(SCRIPTS.is_sorted_by_key(|(first, _)| first));
    }
}
