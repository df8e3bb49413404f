//! What a translation must hold as it is: placeholders, tags and addresses in a text.
//!
//! A translation that lost one is made again part by part: [`parts`] between what is kept are translated for themselves,
//! and [`joined`] puts them together.

use std::collections::HashMap;
use std::ops::Range;

use super::{Target, has_letter};

/// Longest placeholder, in bytes.
const LONGEST: usize = 300;

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its bytes.
    pub range: Range<usize>,
    /// Whether it is kept as it is.
    pub keep: bool,
}

/// Placeholders of a text, in order and apart: `{name}`, `{0}`, `{{x}}`, `{% x %}`, `${x}`, `$x`, `%s`, `%1$d`, `%.2f`,
/// `%(name)s`, `%name%`, `%@`, `:name:`, tags and character references of HTML, addresses of pages and of mail.
pub fn placeholders(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while let Some(skip) = text[at..].find(['{', '$', '%', ':', '<', '&', '@', '#', 'w', 'W']) {
        let start = at + skip;
        let from = found.last().map_or(0, |range| range.end);
        match placeholder(text, start, from) {
            Some(range) => {
                at = range.end;
                found.push(range);
            }
            None => at = start + 1,
        }
    }
    found
}

/// The placeholder that has its first telling character at a place; nothing before `from` belongs to it.
fn placeholder(text: &str, at: usize, from: usize) -> Option<Range<usize>> {
    let rest = bounded(&text[at..]);
    let before = text[from..at].chars().next_back();
    let after_word = before.is_some_and(char::is_alphanumeric);
    let length = match rest.as_bytes()[0] {
        b'{' => braces(rest),
        b'#' if rest.starts_with("#{") => braces(&rest[1..]).map(|length| length + 1),
        b'$' if rest.starts_with("${") => braces(&rest[1..]).map(|length| length + 1),
        b'$' if !after_word => name(&rest[1..]).map(|length| length + 1),
        b'%' => percent(rest),
        b':' if rest.starts_with("://") => return address(text, at, from),
        b':' if !after_word => between_colons(rest),
        b'<' => tag(rest),
        b'&' => reference(rest),
        b'@' => return mail(text, at, from),
        b'w' | b'W' if !after_word && rest.get(..4).is_some_and(|www| www.eq_ignore_ascii_case("www.")) => {
            let length = address_length(&text[at..]);
            (length > 6).then_some(length)
        }
        _ => None,
    }?;
    Some(at..at + length)
}

/// The last place up to one where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn bounded(text: &str) -> &str {
    &text[..floor(text, LONGEST)]
}

/// Letters, digits, `_` and inner points, beginning with a letter or `_`.
fn name(text: &str) -> Option<usize> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return None;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    Some(text[..text.find(|c| !is_part(c)).unwrap_or(text.len())].trim_end_matches('.').len())
}

/// `{...}` with what is in it: a name and how it is written, but no prose.
fn braces(text: &str) -> Option<usize> {
    let mut depth = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '\n' => return Some(0),
            _ => {}
        }
        (depth == 0).then_some(at + 1)
    })?;
    let inside = text.get(1..end.checked_sub(1)?)?;
    let template = (inside.starts_with('{') && inside.ends_with('}'))
        || (inside.starts_with('%') && inside.ends_with('%') && inside.len() > 1);
    // {count, plural, one {# file} other {# files}}
    let message = name(inside).is_some_and(|length| inside[length..].trim_start().starts_with(','));
    (template || message || !inside.contains(char::is_whitespace)).then_some(end)
}

/// What printf, Python and Windows put in for values.
fn percent(text: &str) -> Option<usize> {
    let rest = &text[1..];
    if rest.starts_with('%') {
        return Some(2);
    }
    if let Some(length) = name(rest).filter(|length| rest[*length..].starts_with('%')) {
        return Some(length + 2);
    }
    let skip = |text: &str, set: &str| text.find(|c| !set.contains(c)).unwrap_or(text.len());
    let mut at = 0;
    let mut named = false;
    if let Some(inside) = rest.strip_prefix('(') {
        at = inside.find(')')? + 2;
        named = true;
    }
    let digits = skip(&rest[at..], "0123456789");
    if digits > 0 && rest[at + digits..].starts_with('$') {
        at += digits + 1;
        named = true;
    }
    at += skip(&rest[at..], "-+#0");
    at += skip(&rest[at..], "0123456789*");
    if rest[at..].starts_with('.') {
        at += 1 + skip(&rest[at + 1..], "0123456789*");
    }
    at += skip(&rest[at..], "hlLqjzt");
    if !rest[at..].starts_with(|c| "diouxXeEfFgGaAcspn@".contains(c)) {
        return None;
    }
    at += 1;
    // "50%discount" has none
    (named || !rest[at..].starts_with(char::is_alphanumeric)).then_some(at + 1)
}

fn between_colons(text: &str) -> Option<usize> {
    let inside = &text[1..];
    let length = inside.find(|c: char| !(c.is_ascii_alphanumeric() || "_+-".contains(c)))?;
    let letters = inside[..length].contains(|c: char| c.is_ascii_alphabetic());
    let ends = inside[length..].starts_with(':') && !inside[length + 1..].starts_with(char::is_alphanumeric);
    (letters && ends).then_some(length + 2)
}

fn tag(text: &str) -> Option<usize> {
    let inside = text[1..].strip_prefix('/').unwrap_or(&text[1..]);
    let begins = inside.starts_with(|c: char| c.is_ascii_alphanumeric());
    let end = text[1..].find(['<', '>'])? + 1;
    (begins && text[end..].starts_with('>')).then_some(end + 1)
}

fn reference(text: &str) -> Option<usize> {
    let inside = text[1..].strip_prefix('#').unwrap_or(&text[1..]);
    let length = inside.find(|c: char| !c.is_ascii_alphanumeric())?;
    let fits = (1..=31).contains(&length) && inside[length..].starts_with(';');
    fits.then(|| text.len() - inside.len() + length + 1)
}

/// An address around its `://`.
fn address(text: &str, at: usize, from: usize) -> Option<Range<usize>> {
    let scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let before = &text[from.max(floor(text, at.saturating_sub(20)))..at];
    let start = at - before.bytes().rev().take_while(|byte| scheme(*byte as char)).count();
    let start = start + text[start..at].find(|c: char| c.is_ascii_alphabetic())?;
    let length = address_length(&text[at..]);
    (length > 3).then_some(start..at + length)
}

/// Up to white space, brackets and quotes, without the signs that end a sentence.
fn address_length(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "<>\"`«»“”|\\^。、，".contains(c);
    let mut found = &text[..text.find(ends).unwrap_or(text.len())];
    let mut round = found.matches(')').count().saturating_sub(found.matches('(').count());
    loop {
        let shorter = match found.chars().next_back() {
            Some(c) if ".,;:!?'*_]}…’".contains(c) => &found[..found.len() - c.len_utf8()],
            Some(')') if round > 0 => {
                round -= 1;
                &found[..found.len() - 1]
            }
            _ => return found.len(),
        };
        found = shorter;
    }
}

/// An address of mail around its `@`.
fn mail(text: &str, at: usize, from: usize) -> Option<Range<usize>> {
    let local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let before = &text[from.max(floor(text, at.saturating_sub(64)))..at];
    let start = at - before.bytes().rev().take_while(local).count();
    let rest = bounded(&text[at + 1..]);
    let domain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    let domain = rest[..rest.find(|c| !domain(c)).unwrap_or(rest.len())].trim_end_matches(['.', '-']);
    let (_, last) = domain.rsplit_once('.')?;
    let whole = last.len() > 1 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    (start < at && whole).then(|| start..at + 1 + domain.len())
}

/// Both lists as one, in order and apart; of two that overlap the one of `first` stays.
pub(super) fn united(mut first: Vec<Range<usize>>, second: Vec<Range<usize>>) -> Vec<Range<usize>> {
    first.retain(|range| !range.is_empty());
    first.sort_by_key(|range| range.start);
    let is_free = |range: &Range<usize>| {
        let after = first.partition_point(|other| other.end <= range.start);
        first.get(after).is_none_or(|other| other.start >= range.end)
    };
    let second: Vec<Range<usize>> = second.into_iter().filter(is_free).collect();
    first.extend(second);
    first.sort_by_key(|range| range.start);
    first
}

/// A text as what is kept and what is not, in order; `keeps` must be in order and apart.
pub fn runs(text: &str, keeps: &[Range<usize>]) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut at = 0;
    for range in keeps {
        runs.push(Run { range: at..range.start, keep: false });
        runs.push(Run { range: range.clone(), keep: true });
        at = range.end;
    }
    runs.push(Run { range: at..text.len(), keep: false });
    runs.retain(|run| !run.range.is_empty());
    runs
}

/// Whether a translation holds each kept part of its source, as often as the source does.
pub fn held(source: &str, keeps: &[Range<usize>], target: &str) -> bool {
    let mut work = 0usize;
    let mut checked: HashMap<&str, ()> = HashMap::new();
    keeps.iter().all(|range| {
        let kept = &source[range.clone()];
        if checked.insert(kept, ()).is_some() {
            return true;
        }
        // so many different ones are not worth the search: part by part is always right
        work = work.saturating_add(source.len() + target.len());
        work < 1 << 30 && occurrences(source, kept).len() == occurrences(target, kept).len()
    })
}

/// Where a text stands in another, not within a longer word.
pub(super) fn occurrences(text: &str, wanted: &str) -> Vec<Range<usize>> {
    // scripts from Thai on put words together without spaces
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && c < '\u{e00}');
    let (starts, ends) = (joins(wanted.chars().next()), joins(wanted.chars().next_back()));
    let whole = |(at, found): &(usize, &str)| {
        let before = text[..*at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !(starts && joins(before) || ends && joins(after))
    };
    text.match_indices(wanted).filter(whole).map(|(at, found)| at..at + found.len()).collect()
}

/// The parts of a text between what is kept that have a letter, without the white space around them.
pub fn parts(text: &str, keeps: &[Range<usize>]) -> Vec<Range<usize>> {
    let part = |run: Run| {
        let inside = &text[run.range.clone()];
        let start = run.range.end - inside.trim_start().len();
        let end = start + inside.trim().len();
        (!run.keep && has_letter(inside)).then_some(start..end)
    };
    runs(text, keeps).into_iter().filter_map(part).collect()
}

/// A translation of a text from those of its [`parts`]; of a missing one the part itself stays.
pub fn joined(text: &str, keeps: &[Range<usize>], translations: &[Target]) -> Target {
    let mut target = Target::default();
    let mut kept = keeps.iter().peekable();
    let mut at = 0;
    let parts = parts(text, keeps);
    for (number, part) in parts.iter().chain([&(text.len()..text.len())]).enumerate() {
        let offset = target.text.len();
        target.text.push_str(&text[at..part.start]);
        while let Some(range) = kept.next_if(|range| range.end <= part.start) {
            target.alignment.push((range.clone(), range.start - at + offset..range.end - at + offset));
        }
        let offset = target.text.len();
        match translations.get(number).filter(|_| number < parts.len()) {
            Some(translation) => {
                target.text.push_str(&translation.text);
                let moved = |range: &Range<usize>, by: usize| range.start + by..range.end + by;
                let pairs = translation.alignment.iter();
                target.alignment.extend(pairs.map(|(from, to)| (moved(from, part.start), moved(to, offset))));
            }
            None => target.text.push_str(&text[part.clone()]),
        }
        at = part.end;
    }
    target
}
