//! Dates in figures and with the names of months.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Captures;

use super::Pause;
use super::numerals::{ordinal, year};
use super::scan::{Rules, Scan, group, place, rules};
use super::times;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const MONTH: &str = "(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|\
                     Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)";
const DAY: &str = "([0-9]{1,2})(?:st|nd|rd|th)?";

/// Dates that begin with a digit.
pub static RULES: Rules = LazyLock::new(|| {
    let range = format!("{DAY}(?: ?[-–] ?{DAY})?(?: of)? {MONTH}\\.?(?:,? ([0-9]{{4}}))?");
    rules(&[
        (
            r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:(T| )([0-9]{2}:[0-9]{2})(?::[0-9]{2}(?:\.[0-9]+)?)?(Z)?)?",
            iso,
        ),
        (r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}|[0-9]{2})", slashed),
        (r"([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})", slashed),
        (r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", dotted),
        (&range, day_first),
    ])
});

/// Dates that begin with the name of a month or a day of the week.
pub static NAMED: Rules = LazyLock::new(|| {
    let date = format!("{MONTH}(?:\\.|) {DAY}(?: ?[-–] ?{DAY})?(?:(?:,|) ([0-9]{{4}}))?");
    let month = "(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\\.? ([0-9]{4}|'[0-9]{2})";
    let day = "(Mon|Tues?|Wed|Thurs?|Thu|Fri|Sat|Sun)(\\.,|\\.|,) ?(?:[0-9]|Jan|Feb|Mar|Apr|May|Ju[nl]|Aug|Sep|Oct|Nov|Dec)";
    rules(&[(&date, month_first), (month, month_alone), (day, day_of_week)])
});

/// Says a date that begins with a letter, if one stands here.
pub fn named(scan: &mut Scan) -> bool {
    const BEGINNINGS: [&str; 19] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon", "Tue",
        "Wed", "Thu", "Fri", "Sat", "Sun",
    ];
    let rest = scan.rest();
    let possible = BEGINNINGS.iter().any(|begin| rest.starts_with(begin));
    possible && scan.try_rules(&NAMED)
}

fn month(name: &str) -> &'static str {
    let name = name.to_ascii_lowercase();
    MONTHS.into_iter().find(|month| month.starts_with(&name[..name.len().min(3)])).unwrap_or_default()
}

/// The month of a number, if the day fits it.
fn month_of(number: &str, day: &str) -> Option<&'static str> {
    let (month, day): (usize, usize) = (number.parse().ok()?, day.parse().ok()?);
    (1..=31).contains(&day).then(|| MONTHS.get(month.checked_sub(1)?).copied())?
}

fn is_day(day: &str) -> bool {
    matches!(day.parse(), Ok(1..=31))
}

fn full_year(written: &str) -> String {
    match written.parse::<u32>() {
        Ok(short @ 0..50) if written.len() == 2 => year(&(2000 + short).to_string()),
        Ok(short @ 50..100) if written.len() == 2 => year(&(1900 + short).to_string()),
        _ => year(written),
    }
}

/// Says parts, each for the bytes that it was written in; for all bytes where it is said in another order than written.
fn parts(scan: &mut Scan, all: &[(String, Range<usize>)], length: usize) -> bool {
    let sorted = all.is_sorted_by_key(|(_, range)| range.start);
    for (words, range) in all {
        scan.say(words, if sorted { range.clone() } else { 0..length });
    }
    scan.advance(length);
    true
}

fn iso(scan: &mut Scan, found: &Captures) -> bool {
    let Some(month) = month_of(&found[2], &found[3]) else { return false };
    if !scan.ends(found[0].len()) {
        return false;
    }
    let mut all = vec![
        (month.to_string(), place(found, 2)),
        (ordinal(&found[3]), place(found, 3)),
        (year(&found[1]), place(found, 1)),
    ];
    if found.get(5).is_some() {
        all.push((times::clock(&found[5]), place(found, 5)));
    }
    if found.get(6).is_some() {
        all.push(("U T C".into(), place(found, 6)));
    }
    parts(scan, &all, found[0].len())
}

/// Month, day and year, as Americans write it; the day first where there is no such month.
fn slashed(scan: &mut Scan, found: &Captures) -> bool {
    let american = month_of(&found[1], &found[2]).map(|month| (month, 1, 2));
    let other = || month_of(&found[2], &found[1]).map(|month| (month, 2, 1));
    match american.or_else(other) {
        Some((month, of, day)) if scan.ends(found[0].len()) => {
            let all = [
                (month.to_string(), place(found, of)),
                (ordinal(&found[day]), place(found, day)),
                (full_year(&found[3]), place(found, 3)),
            ];
            parts(scan, &all, found[0].len())
        }
        _ => false,
    }
}

/// Day, month and year.
fn dotted(scan: &mut Scan, found: &Captures) -> bool {
    match month_of(&found[2], &found[1]) {
        Some(month) if scan.ends(found[0].len()) && scan.after(found[0].len()) != Some('.') => {
            let day = (format!("the {} of", ordinal(&found[1])), place(found, 1));
            let all = [day, (month.to_string(), place(found, 2)), (year(&found[3]), place(found, 3))];
            parts(scan, &all, found[0].len())
        }
        _ => false,
    }
}

fn day_first(scan: &mut Scan, found: &Captures) -> bool {
    if !is_day(&found[1]) || !scan.ends(found[0].len()) {
        return false;
    }
    let the = if scan.previous(0).eq_ignore_ascii_case("the") { "" } else { "the " };
    let mut all = vec![(format!("{the}{}", ordinal(&found[1])), place(found, 1))];
    if found.get(2).is_some() {
        all.push((format!("to {}", ordinal(&found[2])), place(found, 2)));
    }
    all.push((format!("of {}", month(&found[3])), place(found, 3)));
    if found.get(4).is_some() {
        all.push((year(&found[4]), place(found, 4)));
    }
    parts(scan, &all, found[0].len())
}

fn month_first(scan: &mut Scan, found: &Captures) -> bool {
    let length = found[0].len();
    let time = scan.after(length) == Some(':') || scan.rest()[length..].starts_with(" p.m");
    if !is_day(&found[2]) || !scan.ends(length) || time {
        return false;
    }
    let mut all =
        vec![(month(&found[1]).to_string(), place(found, 1)), (ordinal(&found[2]), place(found, 2))];
    if found.get(3).is_some() {
        all.push((format!("to {}", ordinal(&found[3])), place(found, 3)));
    }
    if found.get(4).is_some() {
        all.push((year(&found[4]), place(found, 4)));
    }
    parts(scan, &all, length)
}

fn month_alone(scan: &mut Scan, found: &Captures) -> bool {
    let written = found[2].trim_start_matches('\'');
    let all = [(month(&found[1]).to_string(), place(found, 1)), (full_year(written), place(found, 2))];
    scan.ends(found[0].len()) && parts(scan, &all, found[0].len())
}

fn day_of_week(scan: &mut Scan, found: &Captures) -> bool {
    let name = found[1].to_ascii_lowercase();
    let day = DAYS.into_iter().find(|day| day.starts_with(&name)).unwrap_or_default();
    scan.say(day, place(found, 1));
    if group(found, 2).ends_with(',') {
        scan.pause(Pause::Comma, place(found, 2));
    }
    scan.advance(place(found, 2).end);
    true
}
