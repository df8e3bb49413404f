//! Where a text is cut into cues, and broken into lines.

use std::ops::Range;

use crate::document::inline;
use crate::document::units::{Sort, units};

/// How much nearer the end of a clause seems when a sentence is cut, in characters.
const CLAUSE: usize = 6;

/// Cuts a text into as many parts as there are lengths, in proportion to them, between words, rather behind a clause.
pub fn parts(text: &str, lengths: &[usize]) -> Vec<Range<usize>> {
    let places = places(text);
    let total: usize = lengths.iter().sum();
    let characters = places.last().map_or(0, |place| place.before);
    let mut parts = Vec::new();
    let (mut start, mut used, mut first) = (0, 0, 0);
    for (at, length) in lengths.iter().enumerate() {
        used += length;
        let rest = lengths.len() - at - 1;
        // each part that follows has a word, if there are enough
        let most = places.len().saturating_sub(rest).max(first + 1).min(places.len());
        let ideal = used * characters / total.max(1);
        let far = |place: &Place| place.before.abs_diff(ideal) + if place.clause { 0 } else { CLAUSE };
        let best = (first..most).min_by_key(|at| far(&places[*at]));
        let end = if rest == 0 { places.len().checked_sub(1) } else { best };
        match end.filter(|end| *end >= first) {
            Some(end) => {
                parts.push(start..places[end].end);
                (start, first) = (places[end].next, end + 1);
            }
            None => parts.push(text.len()..text.len()),
        }
    }
    parts
}

/// Where a text may be cut, or ends.
struct Place {
    /// Behind the last word, and before the next.
    end: usize,
    next: usize,
    /// Characters before.
    before: usize,
    clause: bool,
}

fn places(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let whole = inline::placeholders(text);
    let units = units(text, &whole);
    let mut before = 0;
    for (at, unit) in units.iter().enumerate() {
        let here = &text[unit.range.clone()];
        let length = here.chars().count();
        let next = units.get(at + 1);
        let clause = |end: usize| text[..end].ends_with(|c: char| ".,;:!?…。、，；：！？—".contains(c));
        // scripts without spaces are cut between words, but not before signs
        let dense = |text: &str| text.chars().next().is_some_and(|c| c >= '\u{e00}' && c.is_alphanumeric());
        if unit.sort == Sort::Space && at > 0 && next.is_some() {
            places.push(Place {
                end: unit.range.start,
                next: unit.range.end,
                before,
                clause: clause(unit.range.start),
            });
        } else if next.is_some_and(|next| next.sort == Sort::Word && dense(&text[next.range.clone()]))
            && unit.sort != Sort::Space
        {
            let end = unit.range.end;
            let opens = here.ends_with(|c: char| "(「『《（“‘[".contains(c));
            if !opens {
                places.push(Place { end, next: end, before: before + length, clause: clause(end) });
            }
        }
        before += length;
    }
    if !text.is_empty() {
        places.push(Place { end: text.len(), next: text.len(), before, clause: true });
    }
    places
}

/// The gaps of a text that become breaks, so that it has no line beyond the width, if words allow that, as many lines
/// as before, if it has the words, and lines of about the same length.
pub fn breaks(text: &str, width: usize, lines: usize) -> Vec<Range<usize>> {
    let places = places(text);
    let most = filled(&places, width).len().max(lines.saturating_sub(1));
    let (mut low, mut high) = (1, width);
    while low < high {
        let middle = low.midpoint(high);
        if filled(&places, middle).len() <= most { high = middle } else { low = middle + 1 }
    }
    filled(&places, low).into_iter().map(|at| places[at].end..places[at].next).collect()
}

/// Which places become breaks when lines are filled up to a width.
fn filled(places: &[Place], width: usize) -> Vec<usize> {
    let mut breaks = Vec::new();
    let mut start = 0;
    let mut last: Option<usize> = None;
    for (at, place) in places.iter().enumerate() {
        if place.before.saturating_sub(start) > width
            && let Some(end) = last.take()
        {
            breaks.push(end);
            start = places[end].before + usize::from(places[end].next > places[end].end);
        }
        last = Some(at);
    }
    breaks
}
