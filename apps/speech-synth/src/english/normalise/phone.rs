//! Telephone numbers, and other numbers that are read digit by digit.

use std::sync::LazyLock;

use regex::Captures;

use super::Pause;
use super::numerals::digits;
use super::scan::{Rules, Scan, rules};

/// Numbers of telephones, cards and the like.
pub static RULES: Rules = LazyLock::new(|| {
    rules(&[
        (r"\+[0-9]{1,3}(?:[ .-]\(?[0-9]{2,5}\)?){2,6}|\+[0-9]{7,15}", grouped),
        (r"(?:1[ .-])?\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}", grouped),
        (r"(?:1[ .-])?[0-9]{3}([-. ])[0-9]{3}[-. ][0-9]{4}", grouped),
        (r"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}", grouped),
        (r"\(?0[0-9]{2,4}\)?[ -][0-9]{3,4}[ -][0-9]{3,4}", grouped),
        (r"0[0-9]{3,4} [0-9]{6}", grouped),
        (r"[0-9]{3}-[0-9]{2}-[0-9]{4}", grouped),
        (r"[0-9]+(?:-[0-9]+){3,}", grouped),
        (r"[2-9][0-9]{2}-[0-9]{4}", local),
    ])
});

/// Digit by digit, with pauses between groups.
fn grouped(scan: &mut Scan, found: &Captures) -> bool {
    let text = &found[0];
    if !scan.ends(text.len()) || scan.after(text.len()) == Some('%') {
        return false;
    }
    if text.starts_with('+') {
        scan.say("plus", 0..1);
    }
    let (mut at, mut said, mut country) = (0, false, false);
    for group in text.split(|letter: char| !letter.is_ascii_digit()) {
        if !group.is_empty() {
            if said && !country {
                scan.pause(Pause::Comma, at..at);
            }
            // numbers that cost the caller nothing
            let free = country && matches!(group, "800" | "900");
            let words = if free { digits(&group[..1]) + " hundred" } else { digits(group) };
            scan.say(&words, at..at + group.len());
            country = !said && group == "1";
            said = true;
        }
        at += group.len() + 1;
    }
    scan.advance(text.len());
    true
}

/// Seven digits; a range of numbers rather ends with round ones.
fn local(scan: &mut Scan, found: &Captures) -> bool {
    let pages =
        matches!(scan.previous(0).to_ascii_lowercase().as_str(), "pages" | "pp" | "lines" | "between");
    !pages && !found[0].ends_with("00") && scan.after(found[0].len()) != Some('-') && grouped(scan, found)
}
