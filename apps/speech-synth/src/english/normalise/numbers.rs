//! Numbers, with what stands around them: signs, ranges, fractions, parts of a hundred, units.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numerals::{cardinal, decade, decimal, digits, fraction, ordinal, year};
use super::scan::{Rules, Scan, group, place, rules};
use super::units;

/// Expressions that are more than a number.
pub static RULES: Rules = LazyLock::new(|| {
    rules(&[
        (r"'?([0-9]{2}|[0-9]{4}|[0-9]00)('?s)", years),
        (r"'([0-9]{2})", short_year),
        (r"(24)/(7)|(9)/(11)|(50)[/-](50)|(20)/(20)", pair),
        (r#"([0-9]+)'(?: ?([0-9]{1,2})(?:"|''))?"#, feet),
        (r#"([0-9]+(?:\.[0-9]+)?)(?:"|'')"#, inches),
        (r#"([0-9]{1,3})° ?([0-9]{1,2})'(?: ?([0-9.]+)(?:"|''))?( ?[NSEW])?"#, degrees),
        (r"([0-9]+(?:\.[0-9]+){2,})", dotted),
        (r"([0-9]+):([0-9]+)", ratio),
        (r"(#) ?([0-9]+)", number_sign),
        (r"([0-9,]*[0-9])(st|nd|rd|th|ST|ND|RD|TH)", ordinal_number),
        (r"([0-9]+(?:\.[0-9]+)?) ?[xX] ?([0-9])", by),
    ])
});

/// Decades: `1990s`, `'60s`; of two digits and no apostrophe, only round ones.
fn years(scan: &mut Scan, found: &Captures) -> bool {
    let round = found[1].ends_with('0') && (found[1].len() > 2 || !found[1].starts_with(['0', '1']));
    if !round || !scan.ends(found[0].len()) {
        return false;
    }
    scan.take(&decade(&found[1]), found[0].len())
}

fn short_year(scan: &mut Scan, found: &Captures) -> bool {
    let opens = scan.rest()[found[0].len()..].starts_with('\'');
    if opens || !scan.ends(found[0].len()) {
        return false;
    }
    let words = match &found[1] {
        oh if oh.starts_with('0') => format!("oh {}", cardinal(oh)),
        plain => cardinal(plain),
    };
    scan.take(&words, found[0].len())
}

fn pair(scan: &mut Scan, found: &Captures) -> bool {
    let both: Vec<Range<usize>> = found.iter().skip(1).flatten().map(|group| group.range()).collect();
    let next = scan.after(found[0].len());
    if !scan.ends(found[0].len()) || next == Some('/') || next == Some('-') {
        return false;
    }
    for range in both {
        let words = cardinal(&found[0][range.clone()]);
        scan.say(&words, range);
    }
    scan.advance(found[0].len());
    true
}

/// `6'2"`
fn feet(scan: &mut Scan, found: &Captures) -> bool {
    let quoted = scan.before() == Some('\'');
    if quoted || (found.get(2).is_none() && found[1].len() > 3) || !scan.ends(found[0].len()) {
        return false;
    }
    let one = |number: &str| number == "1";
    let of =
        |number: &str, names: [&str; 2]| format!("{} {}", cardinal(number), names[usize::from(!one(number))]);
    scan.say(&of(&found[1], ["foot", "feet"]), place(found, 1));
    if found.get(2).is_some() {
        scan.say(&of(&found[2], ["inch", "inches"]), place(found, 2));
    }
    scan.advance(found[0].len());
    true
}

/// `15"`, where no quotation ends.
fn inches(scan: &mut Scan, found: &Captures) -> bool {
    let line = scan.text[..scan.at].rsplit('\n').next().unwrap_or_default();
    let open = line.matches('"').count() % 2 == 1;
    if open || !scan.ends(found[0].len()) {
        return false;
    }
    let one = &found[1] == "1" || scan.is_kind(found[0].len());
    let name = if one { "inch" } else { "inches" };
    scan.take(&format!("{} {name}", decimal(&found[1])), found[0].len())
}

/// Degrees, minutes and seconds.
fn degrees(scan: &mut Scan, found: &Captures) -> bool {
    let of = |number: &str, name: &str| {
        format!("{} {name}{}", decimal(number), if number == "1" { "" } else { "s" })
    };
    for (number, name) in [(1, "degree"), (2, "minute"), (3, "second")] {
        if found.get(number).is_some() {
            scan.say(&of(&found[number], name), place(found, number));
        }
    }
    let side = match group(found, 4).trim() {
        "N" => "north",
        "S" => "south",
        "E" => "east",
        "W" => "west",
        _ => "",
    };
    scan.say(side, place(found, 4));
    scan.advance(found[0].len());
    true
}

/// Versions, sections, addresses of the Internet.
fn dotted(scan: &mut Scan, found: &Captures) -> bool {
    if !scan.ends(found[0].len()) {
        return false;
    }
    let parts = found[0].split('.').count();
    let point = if parts > 3 { "dot" } else { "point" };
    let mut at = 0;
    for part in found[0].split('.') {
        if at > 0 {
            scan.say(point, at - 1..at);
        }
        scan.say(&cardinal(part), at..at + part.len());
        at += part.len() + 1;
    }
    scan.advance(found[0].len());
    true
}

/// `16:9`; a verse: `John 3:16`.
fn ratio(scan: &mut Scan, found: &Captures) -> bool {
    if !scan.ends(found[0].len()) {
        return false;
    }
    scan.say(&cardinal(&found[1]), place(found, 1));
    let verse = found[2].len() > 1 && scan.previous(0).starts_with(|c: char| c.is_uppercase());
    if !verse {
        scan.say("to", found[1].len()..found[1].len() + 1);
    }
    scan.say(&cardinal(&found[2]), place(found, 2));
    scan.advance(found[0].len());
    true
}

fn number_sign(scan: &mut Scan, found: &Captures) -> bool {
    scan.say("number", 0..1);
    scan.at += place(found, 2).start;
    quantity(scan)
}

fn ordinal_number(scan: &mut Scan, found: &Captures) -> bool {
    scan.ends(found[0].len()) && scan.take(&ordinal(&found[1]), found[0].len())
}

/// `3 x 4`
fn by(scan: &mut Scan, found: &Captures) -> bool {
    scan.say(&decimal(&found[1]), place(found, 1));
    scan.say("by", found[1].len()..place(found, 2).start);
    scan.advance(place(found, 2).start);
    true
}

const SIGNS: &str = "[½⅓⅔¼¾⅕-⅞⅐⅑⅒]";

/// What a number looks like.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let whole = "[0-9]{1,3}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?: [0-9]{3}){2,}|[1-9][0-9]{0,2} 000|[0-9]+";
    Regex::new(&format!(
        "^(?:([0-9]+)(?:[ -]([0-9]{{1,2}})/([0-9]{{1,3}})| ?({SIGNS}))|([0-9]+)/([0-9]+)|({SIGNS})\
         |((?:{whole})(?:\\.[0-9]+)?|\\.[0-9]+))"
    ))
    .ok()
});

/// A number that was read.
struct Number {
    words: String,
    length: usize,
    /// Whether one thing is counted, or less.
    one: bool,
    /// The figures, where it is whole and has no commas.
    figures: Option<String>,
    /// Whether it is a fraction.
    fraction: bool,
}

fn sign_of_fraction(sign: &str) -> [&'static str; 2] {
    const SIGNS: [(&str, [&str; 2]); 18] = [
        ("½", ["1", "2"]),
        ("⅓", ["1", "3"]),
        ("⅔", ["2", "3"]),
        ("¼", ["1", "4"]),
        ("¾", ["3", "4"]),
        ("⅕", ["1", "5"]),
        ("⅖", ["2", "5"]),
        ("⅗", ["3", "5"]),
        ("⅘", ["4", "5"]),
        ("⅙", ["1", "6"]),
        ("⅚", ["5", "6"]),
        ("⅛", ["1", "8"]),
        ("⅜", ["3", "8"]),
        ("⅝", ["5", "8"]),
        ("⅞", ["7", "8"]),
        ("⅐", ["1", "7"]),
        ("⅑", ["1", "9"]),
        ("⅒", ["1", "10"]),
    ];
    SIGNS.iter().find(|(known, _)| *known == sign).map_or(["1", "2"], |(_, parts)| *parts)
}

fn number(text: &str) -> Option<Number> {
    let found = NUMBER.as_ref()?.captures(text)?;
    let length = found[0].len();
    let part = |words: String, one| Number { words, length, one, figures: None, fraction: true };
    if found.get(1).is_some() {
        let [over, under] = match group(&found, 4) {
            "" => [group(&found, 2), group(&found, 3)],
            sign => sign_of_fraction(sign),
        };
        if over.parse::<u32>().ok()? < under.parse::<u32>().ok()? {
            let fraction = match fraction(over, under).strip_prefix("one ") {
                Some(one) if one == "half" || one == "quarter" => format!("a {one}"),
                _ => fraction(over, under),
            };
            return Some(part(format!("{} and {fraction}", cardinal(&found[1])), false));
        }
        return number(&text[..found[1].len()]);
    }
    if let (Some(over), Some(under)) = (found.get(5), found.get(6)) {
        let (over, under) = (over.as_str(), under.as_str());
        let (a, b): (u64, u64) = (over.parse().ok()?, under.parse().ok()?);
        let small = matches!(b, 2..=12 | 16 | 20 | 32 | 64 | 100 | 1000);
        return Some(match () {
            _ if a == b && b >= 5 => part(format!("{} out of {}", cardinal(over), cardinal(under)), false),
            _ if over.len() == 4 && under.len() == 2 => {
                part(format!("{} {}", year(over), cardinal(under)), false)
            }
            _ if small && a <= 10 * b => part(fraction(over, under), a <= b),
            _ => part(format!("{} over {}", cardinal(over), cardinal(under)), false),
        });
    }
    if let Some(sign) = found.get(7) {
        let [over, under] = sign_of_fraction(sign.as_str());
        return Some(part(fraction(over, under), true));
    }
    let written = &found[8];
    let plain = written.bytes().all(|byte| byte.is_ascii_digit());
    let words = match () {
        _ if plain && written.len() > 1 && written.starts_with('0') => digits(written),
        _ if plain && written.len() > 15 => digits(written),
        _ => decimal(written),
    };
    let figures = plain.then(|| written.to_string());
    Some(Number { words, length, one: written == "1", figures, fraction: false })
}

/// A number in pairs of figures, as rooms, flights and roads are called: `one oh one`, `seven forty seven`.
fn in_pairs(figures: &str) -> String {
    let (high, low) = figures.split_at(figures.len().saturating_sub(2));
    match (high, low) {
        ("", _) => cardinal(low),
        (_, "00") => format!("{} hundred", cardinal(high)),
        _ if low.starts_with('0') => format!("{} oh {}", cardinal(high), cardinal(low)),
        _ => format!("{} {}", cardinal(high), cardinal(low)),
    }
}

/// How a whole number is said behind a word.
fn after_word(before: &str, figures: &str) -> Option<String> {
    let state =
        before.len() == 2 && figures.len() == 5 && before.bytes().all(|byte| byte.is_ascii_uppercase());
    let before = before.to_ascii_lowercase();
    let called =
        ["call", "dial", "dialed", "calling", "pin", "code", "zip", "extension", "ext", "isbn", "password"];
    if called.contains(&before.as_str()) && figures.len() > 2 {
        return Some(digits(figures));
    }
    let places =
        ["room", "flight", "route", "highway", "apartment", "apt", "suite", "gate", "boeing", "bus", "unit"];
    if places.contains(&before.as_str()) && matches!(figures.len(), 3 | 4) {
        return Some(in_pairs(figures));
    }
    state.then(|| digits(figures))
}

/// Says a number with its sign, the end of its range and what it counts; false if there is none.
pub fn quantity(scan: &mut Scan) -> bool {
    let rest = scan.rest();
    let sign: &[(&str, &str)] = &[("-", "minus"), ("+", "plus"), ("±", "plus or minus"), ("~", "about")];
    let sign = sign.iter().find(|(sign, _)| rest.starts_with(sign));
    let start = sign.map_or(0, |(sign, _)| sign.len());
    let free = scan.before().is_none_or(|before| before.is_whitespace() || "([\"'=<>≈/".contains(before));
    let Some(first) = number(&rest[start..]) else { return false };
    if start > 0 && !free && rest.starts_with(['-', '~']) {
        return false;
    }
    // `.` before a digit is a point only where a word could begin
    if rest.starts_with('.') && !free {
        return false;
    }
    let before = scan.previous(0);
    if let Some((_, word)) = sign {
        scan.say(word, 0..start);
    }
    let end = start + first.length;
    let second = range(&rest[end..]);
    let last = second.as_ref().map_or(end, |(skipped, number)| end + skipped + number.length);
    let suffix = Suffix::find(scan, last);
    let kind = suffix.as_ref().is_some_and(|suffix| scan.is_kind(last + suffix.length));
    let counted = suffix.is_some();
    let figures = |number: &Number| number.figures.clone().unwrap_or_default();
    let said = |number: &Number, first: &str| match &number.figures {
        Some(figures) if !counted => match after_word(before, figures) {
            Some(words) => words,
            None if is_year(first) && (figures.len() == 4 || first == figures) => year(figures),
            None => number.words.clone(),
        },
        _ => number.words.clone(),
    };
    let first_words = if !counted && before_year(before) && figures(&first).len() == 4 {
        year(&figures(&first))
    } else {
        said(&first, &figures(&first))
    };
    scan.say(&first_words, start..end);
    let mut one = first.one;
    if let Some((skipped, number)) = &second {
        if figures(number) != figures(&first) {
            scan.say("to", end..end + skipped);
        }
        scan.say(&said(number, &figures(&first)), end + skipped..last);
        one = false;
    }
    scan.advance(last);
    if let Some(suffix) = suffix {
        scan.say(&suffix.names[usize::from(!one && !kind)], 0..suffix.length);
        scan.at += suffix.length;
    }
    true
}

/// The second number of a range, and the bytes before it.
fn range(rest: &str) -> Option<(usize, Number)> {
    let dash = [" - ", " – ", "-", "–", "—"].into_iter().find(|dash| rest.starts_with(dash))?;
    let after = &rest[dash.len()..];
    let number = number(after).filter(|_| after.starts_with(|c: char| c.is_ascii_digit()))?;
    let next = &after[number.length..];
    let more = next.strip_prefix('-').is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()));
    let ends = !next.starts_with(|c: char| c.is_alphabetic()) || units::find(next).is_some();
    (!more && ends && !(dash.starts_with(' ') && number.fraction)).then_some((dash.len(), number))
}

/// Whether figures alone are rather a year than a number.
fn is_year(figures: &str) -> bool {
    figures.len() == 4 && figures.parse().is_ok_and(|value: u32| (1100..2100).contains(&value))
}

fn before_year(word: &str) -> bool {
    matches!(
        word.to_ascii_lowercase().as_str(),
        "in" | "since"
            | "year"
            | "circa"
            | "until"
            | "ad"
            | "spring"
            | "summer"
            | "autumn"
            | "fall"
            | "winter"
    )
}

/// What is counted: of a hundred, or units.
struct Suffix {
    length: usize,
    names: [String; 2],
}

impl Suffix {
    fn find(scan: &Scan, at: usize) -> Option<Self> {
        let rest = &scan.rest()[at..];
        let both = |length, name: &str| Some(Self { length, names: [name.to_string(), name.to_string()] });
        let near = rest.strip_prefix(' ').unwrap_or(rest);
        let space = rest.len() - near.len();
        match near.chars().next()? {
            '%' => return both(space + 1, "percent"),
            '‰' => return both(space + '‰'.len_utf8(), "per thousand"),
            _ => {}
        }
        let size =
            [("bn", "billion"), ("tn", "trillion"), ("mn", "million"), ("M", "million"), ("B", "billion")];
        let ends = |length: usize| !rest[length..].starts_with(|c: char| c.is_alphanumeric());
        if let Some((written, word)) =
            size.iter().find(|(size, _)| rest.starts_with(size) && ends(size.len()))
        {
            return both(written.len(), word);
        }
        if rest.starts_with('x') && ends(1) {
            return both(1, "times");
        }
        let unit = units::find(rest)?;
        let mut names = unit.names;
        let mut length = unit.length;
        // `40° N`
        if names[0] == "degree" {
            const SIDES: [(&str, &str); 4] = [("N", "north"), ("S", "south"), ("E", "east"), ("W", "west")];
            let after = &rest[length..];
            let near = after.strip_prefix(' ').unwrap_or(after);
            if let Some((side, word)) = SIDES.iter().find(|(side, _)| near.starts_with(side)) {
                let end = length + after.len() - near.len() + side.len();
                if ends(end) {
                    length = end;
                    names = names.map(|name| format!("{name} {word}"));
                }
            }
        }
        Some(Self { length, names })
    }
}

/// Figures in the middle or at the end of something that has letters: `MP3`, `A380`.
pub fn beside_letters(scan: &mut Scan) {
    let rest = scan.rest();
    let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let figures = &rest[..length];
    let words = match length {
        _ if length > 1 && figures.starts_with('0') => digits(figures),
        1 | 2 => cardinal(figures),
        3 | 4 => in_pairs(figures),
        _ => digits(figures),
    };
    scan.take(&words, length);
}
