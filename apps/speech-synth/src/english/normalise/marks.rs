//! Punctuation as pauses, and signs as words.

use super::Pause;
use super::scan::Scan;
use crate::english::phones::{from_arpabet, from_ipa};

/// Signs that are words wherever they stand.
const SIGNS: [(char, &str); 27] = [
    ('%', "percent"),
    ('°', "degrees"),
    ('×', "times"),
    ('÷', "divided by"),
    ('±', "plus or minus"),
    ('≈', "is approximately"),
    ('≠', "is not equal to"),
    ('≤', "is less than or equal to"),
    ('≥', "is greater than or equal to"),
    ('∞', "infinity"),
    ('√', "the square root of"),
    ('²', "squared"),
    ('³', "cubed"),
    ('§', "section"),
    ('¶', "paragraph"),
    ('©', "copyright"),
    ('¢', "cents"),
    ('£', "pounds"),
    ('€', "euros"),
    ('¥', "yen"),
    ('∑', "the sum of"),
    ('∆', "delta"),
    ('∈', "in"),
    ('∩', "and"),
    ('∪', "or"),
    ('♀', "female"),
    ('♂', "male"),
];

/// Faces that are drawn, not said.
const FACES: [&str; 16] =
    [":-)", ":)", ";-)", ";)", ":-(", ":(", ":-D", ":D", ":-P", ":P", ":p", ":'(", "<3", "^_^", ":-/", ":o"];

/// Says the mark that stands here, or notes its pause.
pub fn say(scan: &mut Scan, mark: char) {
    let (before, next) = (scan.before(), scan.after(mark.len_utf8()));
    let free = before.is_none_or(char::is_whitespace);
    if let Some(face) =
        FACES.iter().find(|face| free && scan.rest().starts_with(**face) && scan.ends(face.len()))
    {
        scan.at += face.len();
        return;
    }
    // a line that is drawn with marks
    let run = scan.rest().chars().take_while(|other| *other == mark).count();
    if run > 2 && matches!(mark, '=' | '-' | '_' | '*' | '~' | '#' | '+' | '—' | '<' | '>') {
        scan.pause(Pause::Comma, 0..run * mark.len_utf8());
        scan.at += run * mark.len_utf8();
        return;
    }
    match mark {
        '\n' => line(scan),
        '.' => point(scan, run),
        '!' | '?' => {
            let end = scan.rest().find(|c| !matches!(c, '!' | '?')).unwrap_or(scan.rest().len());
            let question = scan.rest()[..end].contains('?');
            scan.pause(if question { Pause::Question } else { Pause::Exclamation }, 0..end);
            scan.at += end;
        }
        ',' | ';' | ':' | '—' | '―' | '(' | ')' | '[' | ']' | '|' => pause(scan, mark),
        '–' | '-' | '‒' => dash(scan, mark),
        '{' if arpabet(scan) => {}
        '/' if ipa(scan) => {}
        '&' => and(scan),
        '@' => word(scan, "at", 1),
        '#' => {
            let name = if next.is_some_and(char::is_alphabetic) { "hashtag" } else { "hash" };
            word(scan, name, 1);
        }
        '+' => word(scan, "plus", 1),
        '=' => word(scan, "equals", run),
        '<' if scan.rest().starts_with("<=") => word(scan, "is less than or equal to", 2),
        '>' if scan.rest().starts_with(">=") => word(scan, "is greater than or equal to", 2),
        '<' if compares(before, next) => word(scan, "is less than", 1),
        '>' if compares(before, next) => word(scan, "is greater than", 1),
        '*' if compares(before, next) && is_number(scan) => word(scan, "times", 1),
        '^' if before.is_some_and(char::is_alphanumeric) => word(scan, "to the power of", 1),
        '/' if before.is_some_and(char::is_alphanumeric) && next.is_some_and(char::is_alphanumeric) => {
            word(scan, "slash", 1)
        }
        '\\' if next.is_some_and(char::is_alphanumeric) => word(scan, "backslash", 1),
        '•' | '●' | '▪' | '‣' | '◦' => pause(scan, mark),
        _ => match SIGNS.iter().find(|(sign, _)| *sign == mark) {
            Some((_, name)) => word(scan, name, mark.len_utf8()),
            None => scan.at += mark.len_utf8(),
        },
    }
}

fn word(scan: &mut Scan, words: &str, length: usize) {
    scan.say(words, 0..length);
    scan.at += length;
}

fn pause(scan: &mut Scan, mark: char) {
    scan.pause(Pause::Comma, 0..mark.len_utf8());
    scan.at += mark.len_utf8();
}

/// Whether a sign stands between what it can compare: spaces, or figures.
fn compares(before: Option<char>, next: Option<char>) -> bool {
    let fits = |c: Option<char>| c.is_some_and(|c| c == ' ' || c.is_alphanumeric());
    fits(before) && fits(next) && (before == Some(' ')) == (next == Some(' '))
}

fn is_number(scan: &Scan) -> bool {
    scan.previous(0).ends_with(|c: char| c.is_ascii_digit())
}

/// The end of a line is only a space, unless an item of a list follows.
fn line(scan: &mut Scan) {
    let next = scan.rest()[1..].trim_start_matches(' ');
    let bullet =
        next.strip_prefix(['-', '*', '•', '–', '●', '▪', '◦', '‣']).is_some_and(|rest| rest.starts_with(' '));
    let digits = next.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let numbered = (1..4).contains(&digits)
        && next[digits..].starts_with(['.', ')'])
        && next[digits + 1..].starts_with(' ');
    if bullet || numbered {
        scan.pause(Pause::Stop, 0..1);
    }
    scan.at += 1;
    if bullet {
        let space = scan.rest().len() - scan.rest().trim_start_matches(' ').len();
        scan.at += space + scan.after(space).map_or(0, char::len_utf8);
    }
}

/// The end of a sentence, an ellipsis, or the point of an address.
fn point(scan: &mut Scan, run: usize) {
    let rest = &scan.rest()[run..];
    if run > 1 {
        let next = rest.trim_start_matches([' ', '"', '\'', ')']);
        let goes_on = next.starts_with(|c: char| c.is_lowercase() || ",;:".contains(c));
        scan.pause(if goes_on { Pause::Comma } else { Pause::Stop }, 0..run);
        scan.at += run;
        return;
    }
    let word_before = scan.before().is_some_and(char::is_alphanumeric);
    match rest.chars().next() {
        Some(next) if word_before && next.is_lowercase() => return word(scan, "dot", 1),
        Some(next) if word_before && next.is_ascii_digit() => {}
        Some(next) if next.is_alphanumeric() && !word_before => {}
        _ => scan.pause(Pause::Stop, 0..1),
    }
    scan.at += 1;
}

/// Between words that are apart a dash is a pause, between numbers it is `to`, inside a word it is nothing.
fn dash(scan: &mut Scan, mark: char) {
    let length = mark.len_utf8();
    let double = mark == '-' && scan.rest().starts_with("--");
    let (before, next) = (scan.before(), scan.after(length));
    let digit_word = |word: &str| word.starts_with(|c: char| c.is_ascii_digit() || "$£€".contains(c));
    if double {
        scan.pause(Pause::Comma, 0..2);
        scan.at += 2;
        return;
    }
    let inside =
        before.is_some_and(|c| c.is_alphanumeric() || c == '.') && next.is_some_and(char::is_alphanumeric);
    if inside && digit_word(scan.previous(0)) && next.is_some_and(|c| c.is_ascii_digit()) {
        return word(scan, "to", length);
    }
    if !inside && before.is_none_or(|c| !c.is_alphanumeric()) && !next.is_some_and(char::is_alphanumeric) {
        scan.pause(Pause::Comma, 0..length);
    }
    scan.at += length;
}

fn and(scan: &mut Scan) {
    if scan.rest().starts_with("&c.") {
        return word(scan, "et cetera", 3);
    }
    const NAMES: [(&str, &str); 4] =
        [("&amp;", "and"), ("&nbsp;", ""), ("&lt;", "less than"), ("&gt;", "greater than")];
    match NAMES.iter().find(|(name, _)| scan.rest().starts_with(name)) {
        Some((name, words)) => word(scan, words, name.len()),
        None => word(scan, "and", 1),
    }
}

/// Bytes of given phones at most.
const LONGEST: usize = 256;

/// `{HH AH0 L OW1}`
fn arpabet(scan: &mut Scan) -> bool {
    let rest = scan.rest();
    let Some(end) = rest.bytes().take(LONGEST).position(|byte| byte == b'}') else { return false };
    match from_arpabet(&rest[1..end]) {
        Ok(phones) if !phones.is_empty() => {
            scan.say_phones(phones, end + 1);
            scan.advance(end + 1);
            true
        }
        _ => false,
    }
}

/// `/həˈloʊ/`: between strokes, without spaces, with a letter or a mark that English does not have.
fn ipa(scan: &mut Scan) -> bool {
    let rest = scan.rest();
    if scan.before().is_some_and(char::is_alphanumeric) {
        return false;
    }
    let Some(end) = rest.bytes().take(LONGEST).skip(1).position(|byte| byte == b'/').map(|end| end + 1)
    else {
        return false;
    };
    // folding has made plain letters of some of them
    let source = scan.source(end + 1).trim_matches('/');
    if source.is_ascii() || source.contains(char::is_whitespace) || !scan.ends(end + 1) {
        return false;
    }
    match from_ipa(source) {
        Ok(phones) if !phones.is_empty() => {
            scan.say_phones(phones, end + 1);
            scan.advance(end + 1);
            true
        }
        _ => false,
    }
}
