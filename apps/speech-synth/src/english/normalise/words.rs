//! What begins with a letter: words, initials, abbreviations, acronyms, names.

use super::Pause;
use super::abbreviations::{self, starts_sentence};
use super::capitals::{self, has_no_vowel, is_one_name, pieces, spelled};
use super::scan::Scan;
use super::times::sentence_ends;

/// Words that begin with an apostrophe.
const CUT: [&str; 11] = ["tis", "twas", "em", "til", "cause", "bout", "round", "n", "cuz", "tween", "twill"];

/// Whether an apostrophe here is part of a word, and not the beginning of a quotation.
pub fn begins_with_apostrophe(scan: &Scan) -> bool {
    let rest = &scan.rest()[1..];
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let free = !scan.before().is_some_and(char::is_alphanumeric);
    free && CUT.contains(&rest[..end].to_ascii_lowercase().as_str())
}

/// The letters from here on, with the apostrophes between them.
fn word<'a>(scan: &Scan<'a>) -> &'a str {
    let rest = scan.rest();
    let mut end = 0;
    let mut letters = rest.char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        let inner = letter == '\'' && letters.peek().is_some_and(|(_, next)| next.is_alphabetic());
        if !letter.is_alphabetic() && !inner {
            break;
        }
        end = place + letter.len_utf8();
    }
    &rest[..end]
}

/// Letters with a point behind each: `e.g.`, `U.S.`, `J.R.R.`; false if there are none.
pub fn dotted(scan: &mut Scan) -> bool {
    const LONG: [(&str, &str); 6] = [
        ("Ph.D.", "P H D"),
        ("Ph.D", "P H D"),
        ("M.Sc.", "M S C"),
        ("B.Sc.", "B S C"),
        ("Ed.D.", "E D D"),
        ("Ph. D.", "P H D"),
    ];
    let rest = scan.rest();
    if let Some((written, words)) = LONG.iter().find(|(written, _)| rest.starts_with(written)) {
        scan.take(words, written.len());
        return ending(scan, written.ends_with('.'));
    }
    let bytes = rest.as_bytes();
    let mut pairs = 0;
    while bytes.get(2 * pairs).is_some_and(u8::is_ascii_alphabetic) && bytes.get(2 * pairs + 1) == Some(&b'.')
    {
        pairs += 1;
    }
    // the last letter may have no point
    let open = bytes.get(2 * pairs).is_some_and(u8::is_ascii_alphabetic);
    let next_is_letter = bytes.get(2 * pairs + 1).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let tail = usize::from(open && !next_is_letter && bytes.get(2 * pairs + 1) != Some(&b'\''));
    if pairs == 0 || pairs + tail < 2 || (open && next_is_letter) {
        return initial(scan, pairs == 1 && !open);
    }
    let length = 2 * pairs + tail;
    let written = rest[..length].to_ascii_lowercase();
    let closed = tail == 0;
    match written.trim_end_matches('.') {
        "e.g" => scan.take("for example", length),
        "i.e" => scan.take("that is", length),
        "a.m" | "p.m" => {
            scan.take(&spelled(&written), length);
            if closed && sentence_ends(scan.rest()) {
                scan.pause(Pause::Stop, 0..0);
            }
            true
        }
        _ => {
            scan.take(&spelled(&written), length);
            ending(scan, closed)
        }
    }
}

/// A sentence may end with the point of letters that was just passed.
fn ending(scan: &mut Scan, closed: bool) -> bool {
    if closed && starts_sentence(scan.rest()) && !scan.rest().starts_with(|c: char| c.is_alphanumeric()) {
        scan.pause(Pause::Stop, 0..0);
    }
    true
}

/// The initial of a name: a capital with a point, before another capital.
fn initial(scan: &mut Scan, alone: bool) -> bool {
    let rest = scan.rest();
    if !alone || !rest.starts_with(|c: char| c.is_ascii_uppercase()) {
        return false;
    }
    let name = rest[2..].trim_start_matches(' ');
    let follows = name.len() < rest.len() - 2 && name.starts_with(|c: char| c.is_uppercase());
    let another = name.chars().nth(1) == Some('.');
    let before = scan.previous(0).starts_with(|c: char| c.is_uppercase()) && scan.before() == Some(' ');
    let is_name = before || another || scan.begins;
    // `So did I. Then`
    if !follows
        || !is_name
        || (rest.starts_with("I.") && !another && !scan.begins)
        || (before && starts_sentence(name))
    {
        return false;
    }
    scan.take(&rest[..1], 2)
}

/// Says the word that stands here.
pub fn say(scan: &mut Scan) {
    let rest = scan.rest();
    let word = match rest.strip_prefix('\'') {
        Some(_) => return cut(scan),
        None => word(scan),
    };
    if short(scan) || abbreviations::say(scan, word) {
        return;
    }
    let length = word.len();
    if !word.is_ascii() {
        foreign(scan, word);
    } else if word.len() == 1 {
        if !capitals::numeral(scan, word) {
            let words = letter(scan, word);
            scan.take(&words, length);
        }
    } else if special(scan, word) || capitals::say(scan, word) {
    } else if word.chars().skip(1).any(char::is_uppercase) && !is_one_name(word) && !is_loud(word) {
        scan.take(&pieces(word), length);
    } else if has_no_vowel(word) && word.len() < 6 {
        scan.take(&spelled(word), length);
    } else {
        scan.take(&word.to_lowercase(), length);
    }
}

/// Capitals with an apostrophe: `DON'T`
fn is_loud(word: &str) -> bool {
    word.contains('\'') && !word.contains(|c: char| c.is_lowercase())
}

/// A word that lost its beginning: `'tis`, `'em`.
fn cut(scan: &mut Scan) {
    let rest = scan.rest();
    let end = rest[1..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |end| end + 1);
    let words = match rest[1..end].to_ascii_lowercase().as_str() {
        "n" => "and".to_string(),
        "cause" | "cuz" => "cause".to_string(),
        "round" => "round".to_string(),
        "twill" => "it will".to_string(),
        "tween" => "between".to_string(),
        word => format!("'{word}"),
    };
    // `'n'` has an apostrophe at both ends
    let end = end + usize::from(rest[end..].starts_with('\''));
    scan.take(&words, end);
}

/// Words that are written with a stroke.
fn short(scan: &mut Scan) -> bool {
    const STROKES: [(&str, &str); 9] = [
        ("w/o", "without"),
        ("w/", "with"),
        ("b/c", "because"),
        ("c/o", "care of"),
        ("n/a", "not applicable"),
        ("N/A", "not applicable"),
        ("and/or", "and or"),
        ("a/c", "air conditioning"),
        ("km/h", "kilometers per hour"),
    ];
    let rest = scan.rest();
    let found = STROKES
        .iter()
        .find(|(written, _)| rest.starts_with(written) && (scan.ends(written.len()) || *written == "w/"));
    match found {
        Some((written, words)) => scan.take(words, written.len()),
        None => false,
    }
}

/// Names whose capitals tell nothing.
fn special(scan: &mut Scan, word: &str) -> bool {
    const NAMES: [(&str, &str); 12] = [
        ("PhD", "P H D"),
        ("PhDs", "P H D's"),
        ("BSc", "B S C"),
        ("MSc", "M S C"),
        ("iOS", "I O S"),
        ("macOS", "mac O S"),
        ("WiFi", "wifi"),
        ("LaTeX", "latex"),
        ("pH", "P H"),
        ("SaaS", "sass"),
        ("WWI", "world war one"),
        ("WWII", "world war two"),
    ];
    // `Wi-Fi`
    let fi = scan.rest()[word.len()..].get(..3).is_some_and(|rest| rest.eq_ignore_ascii_case("-fi"));
    if fi && word.eq_ignore_ascii_case("wi") && scan.ends(word.len() + 3) {
        return scan.take("wifi", word.len() + 3);
    }
    let found = NAMES.iter().find(|(name, _)| *name == word);
    found.is_some_and(|(_, words)| scan.take(words, word.len()))
}

/// A letter alone: the article, or its name.
fn letter(scan: &Scan, letter: &str) -> String {
    const LETTERED: [&str; 18] = [
        "grade",
        "vitamin",
        "plan",
        "hepatitis",
        "type",
        "group",
        "section",
        "class",
        "team",
        "option",
        "appendix",
        "level",
        "point",
        "letter",
        "exhibit",
        "figure",
        "part",
        "an",
    ];
    let next = scan.after(1);
    let hyphen = next == Some('-') && scan.after(2).is_some_and(char::is_alphanumeric);
    match letter {
        "I" => "i".into(),
        "i" if !hyphen => "i".into(),
        "a" | "A" => {
            let word_follows = next == Some(' ')
                && scan.after(2).is_some_and(|c| c.is_alphanumeric() || "\"'$£€(".contains(c));
            let lettered = LETTERED.contains(&scan.previous(0).to_ascii_lowercase().as_str());
            let joined = next.is_some_and(char::is_alphanumeric);
            let is_article = !joined
                && (word_follows || letter == "a" || scan.begins)
                && !(letter == "A" && lettered)
                && !hyphen;
            if is_article && !scan.before().is_some_and(char::is_alphanumeric) {
                "a".into()
            } else {
                "A".into()
            }
        }
        // what an apostrophe has left over
        "s" if scan.before() == Some('\'') => "'s".into(),
        other => other.to_ascii_uppercase(),
    }
}

/// Letters of other scripts; those of Greek by their names where they stand alone.
fn foreign(scan: &mut Scan, word: &str) {
    const GREEK: [(&str, &str); 24] = [
        ("αΑ", "alpha"),
        ("βΒ", "beta"),
        ("γΓ", "gamma"),
        ("δΔ", "delta"),
        ("εΕ", "epsilon"),
        ("ζΖ", "zeta"),
        ("ηΗ", "eta"),
        ("θΘ", "theta"),
        ("ιΙ", "iota"),
        ("κΚ", "kappa"),
        ("λΛ", "lambda"),
        ("μΜ", "mu"),
        ("νΝ", "nu"),
        ("ξΞ", "xi"),
        ("οΟ", "omicron"),
        ("πΠ", "pi"),
        ("ρΡ", "rho"),
        ("σΣς", "sigma"),
        ("τΤ", "tau"),
        ("υΥ", "upsilon"),
        ("φΦ", "phi"),
        ("χΧ", "chi"),
        ("ψΨ", "psi"),
        ("ωΩ", "omega"),
    ];
    let mut letters = word.chars();
    let name = match (letters.next(), letters.next()) {
        (Some(letter), None) => {
            GREEK.iter().find(|(letters, _)| letters.contains(letter)).map(|(_, name)| *name)
        }
        _ => None,
    };
    match name {
        Some(name) => scan.take(name, word.len()),
        None => scan.take(&word.to_lowercase(), word.len()),
    };
}
