//! Addresses of mail and of pages, names of files.

use std::sync::LazyLock;

use regex::Captures;

use super::capitals::{pieces, spelled};
use super::numerals::{cardinal, digits, year};
use super::scan::{Rules, Scan, rules};

/// Endings of names on the Internet, but for those that are English words.
const ENDINGS: &str = "com|org|net|edu|gov|mil|int|info|biz|io|ai|tv|co|uk|eu|ca|de|fr|es|it|nl|ch|au|nz|jp|cn|in|br|ru|\
                       pt|se|pl|ie|app|dev|xyz|online|museum";
/// Endings of names of files that nothing else ends with.
const FILES: &str = "pdf|txt|docx?|xlsx?|pptx?|csv|html?|css|js|json|xml|zip|tar|gz|jpe?g|png|gif|svg|mp3|mp4|wav|exe|py|\
                     rs|md|toml|yaml|cpp|java|php|sh|ini|cfg|log|bak|iso";

static RULES: Rules = LazyLock::new(|| {
    let name = "[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*";
    let page = format!("(?:{name})\\.(?:{ENDINGS})(?::[0-9]+)?(?:/[A-Za-z0-9._~%?=&#+/-]*)?");
    let file = format!("[A-Za-z0-9_-]+(?:\\.[A-Za-z0-9_-]+)*\\.(?:{FILES})");
    rules(&[
        (&format!("(?:mailto:)?[A-Za-z0-9._%+-]+@{name}\\.[A-Za-z]{{2,}}"), address),
        ("(?:https?|ftp)://[A-Za-z0-9._~%?=&#+/:@!$,;*-]+", address),
        ("www\\.[A-Za-z0-9._~%?=&#+/:@!$,;*-]+", address),
        (&page, address),
        (&file, address),
    ])
});

/// Says an address, if one stands here.
pub fn say(scan: &mut Scan) -> bool {
    let rest = scan.rest().as_bytes();
    let chunk = &rest
        [..rest.iter().take(256).position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len().min(256))];
    // where a point or a colon is the last character, it ends a sentence
    let inner = &chunk[..chunk.len().saturating_sub(2)];
    let possible = inner.iter().any(|byte| matches!(byte, b'@' | b'.' | b':'));
    possible && scan.try_rules(&RULES)
}

fn address(scan: &mut Scan, found: &Captures) -> bool {
    let text = found[0].trim_end_matches(['.', ',', ';', ':', '!', '?', '-', '*', '/']);
    if !scan.ends(text.len()) {
        return false;
    }
    let begin =
        ["https://", "http://", "ftp://", "mailto:"].into_iter().find(|scheme| text.starts_with(scheme));
    let begin = begin.map_or(0, str::len);
    say_parts(scan, &text[begin..], begin);
    scan.advance(text.len());
    true
}

/// Runs of letters, runs of digits and signs, one after the other.
fn say_parts(scan: &mut Scan, text: &str, begin: usize) {
    let kind = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' => 1,
        '0'..='9' => 2,
        _ => 0,
    };
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let same = |letter: &char| kind(*letter) == kind(first);
        let length = match kind(first) {
            0 => first.len_utf8(),
            _ => text[at..].chars().take_while(same).count(),
        };
        let part = &text[at..at + length];
        let words = match kind(first) {
            1 => letters(part),
            2 => figures(part),
            _ => sign(first).into(),
        };
        scan.say(&words, begin + at..begin + at + length);
        at += length;
    }
}

fn letters(part: &str) -> String {
    match part {
        "www" | "uk" | "us" | "eu" | "io" | "ai" | "tv" | "ca" | "de" | "fr" | "au" | "nz" | "edu" | "ie" => {
            spelled(part)
        }
        _ => pieces(part),
    }
}

fn figures(part: &str) -> String {
    match part.len() {
        _ if part.starts_with('0') && part.len() > 1 => digits(part),
        1..=3 => cardinal(part),
        4 => year(part),
        _ => digits(part),
    }
}

fn sign(letter: char) -> &'static str {
    match letter {
        '.' => "dot",
        '/' => "slash",
        '-' => "dash",
        '_' => "underscore",
        '@' => "at",
        '?' => "question mark",
        '=' => "equals",
        '&' => "and",
        '%' => "percent",
        '#' => "hash",
        '+' => "plus",
        ':' => "colon",
        '~' => "tilde",
        '*' => "star",
        _ => "",
    }
}
