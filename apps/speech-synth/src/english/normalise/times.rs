//! Times of day, and spans of them.

use std::sync::LazyLock;

use regex::Captures;

use super::Pause;
use super::numerals::cardinal;
use super::scan::{Rules, Scan, group, place, rules};

/// Times that begin with a digit.
pub static RULES: Rules = LazyLock::new(|| {
    let hour = "(?:[01]?[0-9]|2[0-4])";
    let half = r"(a\.m\.|p\.m\.|A\.M\.|P\.M\.|am|pm|AM|PM|Am|Pm)";
    let from = format!("({hour}(?:[:.][0-5][0-9])?)( ?[-–] ?){hour}(?:[:.][0-5][0-9])? ?{half}");
    let minutes = format!("({hour}[:.][0-5][0-9])(:[0-5][0-9])?( ?){half}");
    let hours = format!("((?:1[0-2]|0?[1-9]))()( ?){half}");
    let clock = format!("({hour}:[0-5][0-9])(?::([0-5][0-9]))?");
    rules(&[(&from, span), (&minutes, half_day), (&hours, half_day), (&clock, plain)])
});

/// `9:05` as `nine oh five`, `9:00` as `nine o'clock`, `21:00` as `twenty one hundred`.
pub fn clock(written: &str) -> String {
    let (hour, minute) = written.split_once([':', '.']).unwrap_or((written, "00"));
    let value: u32 = hour.parse().unwrap_or(0);
    match minute {
        "00" if (1..=12).contains(&value) && !hour.starts_with('0') => format!("{} o'clock", cardinal(hour)),
        "00" => format!("{} hundred", cardinal(hour)),
        _ => format!("{} {}", cardinal(hour), after_the_hour(minute)),
    }
}

fn after_the_hour(minute: &str) -> String {
    if minute.starts_with('0') { format!("oh {}", cardinal(minute)) } else { cardinal(minute) }
}

/// The same before `A M` or `P M`.
fn half_clock(written: &str) -> String {
    match written.split_once([':', '.']) {
        Some((hour, "00")) => cardinal(hour),
        Some((hour, minute)) => format!("{} {}", cardinal(hour), after_the_hour(minute)),
        None => cardinal(written),
    }
}

/// `9-5 p.m.`: the first time, and what leads to the second.
fn span(scan: &mut Scan, found: &Captures) -> bool {
    scan.say(&half_clock(&found[1]), place(found, 1));
    scan.say("to", place(found, 2));
    scan.advance(place(found, 2).end);
    true
}

fn half_day(scan: &mut Scan, found: &Captures) -> bool {
    let length = found[0].len();
    if !scan.ends(length) {
        return false;
    }
    scan.say(&half_clock(&found[1]), place(found, 1));
    if !group(found, 2).is_empty() {
        scan.say(&format!("and {} seconds", cardinal(&found[2])), place(found, 2));
    }
    let letters = if found[4].to_ascii_lowercase().starts_with('a') { "A M" } else { "P M" };
    scan.say(letters, place(found, 4));
    scan.advance(length);
    if found[4].ends_with('.') && sentence_ends(scan.rest()) {
        scan.pause(Pause::Stop, 0..0);
    }
    until(scan);
    true
}

/// Whether a sentence ends with a point that belongs to `p.m.`.
pub fn sentence_ends(rest: &str) -> bool {
    // days and zones go on with the time
    const GOES_ON: [&str; 22] = [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "Ju", "Aug", "Sep",
        "Oct", "Nov", "Dec", "Eastern", "Pacific", "Central", "GMT", "UTC",
    ];
    let next = rest.trim_start_matches([' ', '"', '\'', ')']);
    let zone = next.get(1..3).is_some_and(|zone| matches!(zone, "ST" | "DT"));
    let goes_on = zone || GOES_ON.iter().any(|word| next.starts_with(word));
    next.is_empty() || next.starts_with('\n') || (next.starts_with(|c: char| c.is_uppercase()) && !goes_on)
}

fn plain(scan: &mut Scan, found: &Captures) -> bool {
    let length = found[0].len();
    if !scan.ends(length) {
        return false;
    }
    let seconds = group(found, 2);
    let words = if seconds.is_empty() { clock(&found[1]) } else { half_clock(&found[1]) };
    // `9:00 o'clock`
    let clock =
        words.strip_suffix(" o'clock").filter(|_| scan.rest()[length..].trim_start().starts_with("o'clock"));
    scan.say(clock.unwrap_or(&words), place(found, 1));
    if !seconds.is_empty() {
        let unit = if seconds == "01" { "second" } else { "seconds" };
        scan.say(&format!("and {} {unit}", cardinal(seconds)), place(found, 2));
    }
    scan.advance(length);
    until(scan);
    true
}

/// Between two times a dash is `to`.
fn until(scan: &mut Scan) {
    let rest = scan.rest();
    let dash = rest.trim_start_matches([' ', '-', '–']);
    let length = rest.len() - dash.len();
    let is_dash = rest[..length].trim().chars().count() == 1;
    let hour = dash.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = dash.len() - hour.len();
    let time = hour.trim_start();
    let is_time =
        time.starts_with(':') || ["am", "pm", "a.m", "p.m", "AM", "PM"].iter().any(|x| time.starts_with(x));
    if is_dash && (1..=2).contains(&digits) && is_time {
        scan.say("to", 0..length);
        scan.at += length;
    }
}
