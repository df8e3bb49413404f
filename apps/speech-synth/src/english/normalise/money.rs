//! Sums of money.

use std::sync::LazyLock;

use regex::Captures;

use super::numerals::{cardinal, decimal};
use super::scan::{Rules, Scan, group, place, rules};

/// A currency: its sign, its code, one and several of it, one and several of its hundredths.
struct Currency {
    sign: &'static str,
    code: &'static str,
    names: [&'static str; 2],
    parts: [&'static str; 2],
}

const fn currency(
    sign: &'static str,
    code: &'static str,
    names: [&'static str; 2],
    parts: [&'static str; 2],
) -> Currency {
    Currency { sign, code, names, parts }
}

const CENTS: [&str; 2] = ["cent", "cents"];

static CURRENCIES: [Currency; 17] = [
    currency("$", "", ["dollar", "dollars"], CENTS),
    currency("£", "GBP", ["pound", "pounds"], ["penny", "pence"]),
    currency("€", "EUR", ["euro", "euros"], CENTS),
    currency("¥", "JPY", ["yen", "yen"], ["sen", "sen"]),
    currency("₹", "INR", ["rupee", "rupees"], ["paisa", "paise"]),
    currency("₽", "RUB", ["ruble", "rubles"], ["kopeck", "kopecks"]),
    currency("₩", "KRW", ["won", "won"], ["jeon", "jeon"]),
    currency("₿", "BTC", ["bitcoin", "bitcoins"], CENTS),
    currency("₪", "ILS", ["shekel", "shekels"], ["agora", "agorot"]),
    currency("", "USD", ["U S dollar", "U S dollars"], CENTS),
    currency("", "CHF", ["swiss franc", "swiss francs"], ["centime", "centimes"]),
    currency("", "CAD", ["canadian dollar", "canadian dollars"], CENTS),
    currency("", "AUD", ["australian dollar", "australian dollars"], CENTS),
    currency("", "CNY", ["yuan", "yuan"], ["fen", "fen"]),
    currency("", "SEK", ["swedish krona", "swedish kronor"], ["ore", "ore"]),
    currency("", "BRL", ["brazilian real", "brazilian reals"], ["centavo", "centavos"]),
    currency("", "MXN", ["mexican peso", "mexican pesos"], ["centavo", "centavos"]),
];

/// Whether it is the sign of a currency that stands before a number.
pub fn is_sign(letter: char) -> bool {
    CURRENCIES.iter().any(|currency| currency.sign.chars().eq([letter]))
}

fn by_name(sign_or_code: &str) -> Option<&'static Currency> {
    let known = |currency: &&Currency| [currency.sign, currency.code].contains(&sign_or_code);
    CURRENCIES.iter().find(known).filter(|_| !sign_or_code.is_empty())
}

const NUMBER: &str = r"((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)";
const SIZE: &str = "(?:( ?)(hundred|thousand|million|billion|trillion|mn|bn|tn|mm|MM|[kKmMbBtT]))?";
const SIGN: &str = "([$£€¥₹₽₩₿₪])";
const CODE: &str = "(USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY|SEK|BRL|MXN|RUB|KRW|BTC|ILS)";

/// Sums that begin with a sign or a digit.
pub static RULES: Rules = LazyLock::new(|| {
    let before = format!("([-+~])?{SIGN} ?{NUMBER}{SIZE}(?:( ?[-–] ?){SIGN}?{NUMBER}{SIZE})?");
    let negative = format!(r"\({SIGN}{NUMBER}\)");
    let after = format!("(){NUMBER}{SIZE} ?([€£¥₹₽])");
    let code = format!("(){NUMBER}{SIZE} ?{CODE}");
    let cents = "([0-9]+)(¢|p)";
    rules(&[
        (&before, with_sign),
        (&negative, in_brackets),
        (&after, sign_last),
        (&code, sign_last),
        (cents, hundredths),
    ])
});

/// Sums that begin with a letter.
static NAMED: Rules = LazyLock::new(|| {
    let dollars = format!(r"(US|A|AU|C|CA|HK|NZ|S|R)([$]) ?{NUMBER}{SIZE}");
    let code = format!("(){CODE} ?{NUMBER}{SIZE}");
    rules(&[(&dollars, with_country), (&code, with_country)])
});

/// Says a sum that begins with the letters of a country or currency, if one stands here.
pub fn named(scan: &mut Scan) -> bool {
    let rest = scan.rest().as_bytes();
    let capital = rest.first().is_some_and(u8::is_ascii_uppercase);
    let dollar = rest.iter().take(3).any(|byte| *byte == b'$');
    let code = rest.iter().take(3).filter(|byte| byte.is_ascii_uppercase()).count() == 3;
    capital && (dollar || code) && scan.try_rules(&NAMED)
}

fn size(word: &str) -> &str {
    match word {
        "k" | "K" => "thousand",
        "m" | "M" | "mn" | "mm" | "MM" => "million",
        "b" | "B" | "bn" => "billion",
        "t" | "T" | "tn" => "trillion",
        word => word,
    }
}

/// An amount as words.
fn amount(currency: &Currency, number: &str, size_word: &str, single: bool) -> String {
    let name = |one: bool, names: [&str; 2]| names[usize::from(!one)].to_string();
    let is_one = |digits: &str| digits.trim_start_matches('0') == "1";
    if !size_word.is_empty() {
        return format!("{} {} {}", decimal(number), size(size_word), name(single, currency.names));
    }
    match number.split_once('.') {
        Some((whole, part)) if part.len() == 2 => {
            let whole_words =
                || format!("{} {}", cardinal(whole), name(is_one(whole) || single, currency.names));
            let part_words =
                || format!("{} {}", cardinal(part), name(is_one(part) || single, currency.parts));
            match (whole.trim_matches('0').is_empty(), part == "00") {
                (true, false) => part_words(),
                (_, true) => whole_words(),
                (false, false) => format!("{} and {}", whole_words(), part_words()),
            }
        }
        Some(_) => format!("{} {}", decimal(number), name(false, currency.names)),
        None => format!("{} {}", cardinal(number), name(is_one(number) || single, currency.names)),
    }
}

/// Where an amount ends whose number is a group, and its size; a letter that stands apart is none, nor is the beginning
/// of another word.
fn sized<'t>(scan: &Scan, found: &Captures<'t>, number: usize) -> (usize, &'t str) {
    let (apart, size) = (group(found, number + 1) == " ", group(found, number + 2));
    let end = place(found, number + 2).end;
    match size {
        "" => (place(found, number).end, ""),
        _ if !scan.ends(end) || (apart && size.len() < 3 && size != "bn") => (place(found, number).end, ""),
        size => (end, size),
    }
}

fn with_sign(scan: &mut Scan, found: &Captures) -> bool {
    let Some(currency) = by_name(&found[2]) else { return false };
    if found.get(1).is_some() && scan.before().is_some_and(|before| !before.is_whitespace() && before != '(')
    {
        return false;
    }
    let sign = match group(found, 1) {
        "" => "",
        "-" => "minus",
        "+" => "plus",
        _ => "about",
    };
    scan.say(sign, 0..1);
    let begin = place(found, 2).start;
    let (end, size_word) = sized(scan, found, 3);
    if found.get(8).is_some() && scan.ends(sized(scan, found, 8).0) {
        let (last, last_size) = sized(scan, found, 8);
        scan.say(&format!("{} {}", decimal(&found[3]), size(size_word)), begin..end);
        scan.say("to", place(found, 6));
        scan.say(&amount(currency, &found[8], last_size, false), place(found, 8).start..last);
        scan.advance(last);
    } else {
        scan.say(&amount(currency, &found[3], size_word, scan.is_kind(end)), begin..end);
        scan.advance(end);
    }
    per(scan);
    true
}

/// `/month` after a sum.
fn per(scan: &mut Scan) {
    let rest = scan.rest();
    let word: String = rest.chars().skip(1).take_while(char::is_ascii_lowercase).collect();
    if rest.starts_with('/') && !word.is_empty() {
        let word = match word.as_str() {
            "mo" => "month",
            "yr" | "y" => "year",
            "hr" | "h" => "hour",
            "wk" => "week",
            "lb" => "pound",
            "kg" => "kilogram",
            "oz" => "ounce",
            "gal" => "gallon",
            other => other,
        };
        let length = 1 + rest[1..].bytes().take_while(u8::is_ascii_lowercase).count();
        scan.say(&format!("per {word}"), 0..length);
        scan.advance(length);
    }
}

fn in_brackets(scan: &mut Scan, found: &Captures) -> bool {
    let Some(currency) = by_name(&found[1]) else { return false };
    let words = amount(currency, &found[2], "", false);
    // an account in the red, not a remark
    if scan.before().is_some_and(|before| before != ' ') || scan.previous(0).is_empty() {
        return false;
    }
    scan.pause(super::Pause::Comma, 0..1);
    scan.take(&words, found[0].len())
}

fn sign_last(scan: &mut Scan, found: &Captures) -> bool {
    let Some(currency) = by_name(&found[5]) else { return false };
    if !scan.ends(found[0].len()) {
        return false;
    }
    let words = amount(currency, &found[2], group(found, 4), false);
    scan.take(&words, found[0].len())
}

fn with_country(scan: &mut Scan, found: &Captures) -> bool {
    let (country, sign) = (group(found, 1), &found[2]);
    let Some(currency) = by_name(sign) else { return false };
    let (end, size_word) = sized(scan, found, 3);
    if !scan.ends(end) {
        return false;
    }
    let words = amount(currency, &found[3], size_word, false);
    let country = match country {
        "US" => "U S ",
        "A" | "AU" => "australian ",
        "C" | "CA" => "canadian ",
        "HK" => "hong kong ",
        "NZ" => "new zealand ",
        "S" => "singapore ",
        _ => "",
    };
    // the country stands before the name of the currency
    let words = match words.find("dollar") {
        Some(at) => format!("{}{country}{}", &words[..at], &words[at..]),
        None => words,
    };
    scan.take(&words, end)
}

fn hundredths(scan: &mut Scan, found: &Captures) -> bool {
    let parts = if &found[2] == "p" { ["penny", "pence"] } else { CENTS };
    // a picture of 720 lines is none
    if !scan.ends(found[0].len()) || (&found[2] == "p" && found[1].len() > 2) {
        return false;
    }
    let words = format!("{} {}", cardinal(&found[1]), parts[usize::from(&found[1] != "1")]);
    scan.take(&words, found[0].len())
}
