//! Where what is kept stands in a target.

use std::collections::HashMap;
use std::ops::Range;

use super::{MOST_WORK, Marked};
use crate::document::inline;
use crate::document::run::Mark;

/// For each mark of a kept text its place in the target, if it has one.
pub fn anchors(
    source: &Marked<'_>,
    target: &str,
    alignment: &[(Range<usize>, Range<usize>)],
) -> Vec<Option<Range<usize>>> {
    let pairs: HashMap<&Range<usize>, &Range<usize>> =
        alignment.iter().map(|(from, to)| (from, to)).collect();
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut occurrences: HashMap<&str, Vec<Range<usize>>> = HashMap::new();
    let mut work = 0;
    let mut anchors: Vec<Option<Range<usize>>> = vec![None; source.marks.len()];
    let kept = |mark: &Mark| source.text[mark.range.clone()].to_owned();
    for (mark, anchor) in source.marks.iter().zip(&mut anchors).filter(|(mark, _)| mark.keep) {
        let aligned = pairs.get(&mark.range).filter(|to| target[(**to).clone()] == kept(mark));
        *anchor = aligned.map(|to| (*to).clone());
    }
    taken.extend(anchors.iter().flatten().cloned());
    taken.sort_by_key(|range| range.start);
    let first_taken = taken.clone();
    let is_free = |range: &Range<usize>| {
        let after = first_taken.partition_point(|other| other.end <= range.start);
        first_taken.get(after).is_none_or(|other| other.start >= range.end)
    };
    for (mark, anchor) in source.marks.iter().zip(&mut anchors).filter(|(mark, _)| mark.keep) {
        let text = &source.text[mark.range.clone()];
        if anchor.is_some() || text.is_empty() {
            continue;
        }
        if !occurrences.contains_key(text) {
            work += target.len() + source.text.len();
            if work > 8 * MOST_WORK {
                continue;
            }
            let (mut here, mut found) =
                (inline::occurrences(source.text, text), inline::occurrences(target, text));
            if found.is_empty() {
                // part of a word, in both
                let all = |whole: &str| -> Vec<Range<usize>> {
                    whole.match_indices(text).map(|(at, _)| at..at + text.len()).collect()
                };
                (here, found) = (all(source.text), all(target));
                found.truncate(if here.len() == found.len() { found.len() } else { 0 });
            }
            // as often in both: those that are no marks keep their places
            found.retain(is_free);
            let is_mark = |range: &Range<usize>| {
                let at = source.marks.partition_point(|mark| mark.range.start < range.start);
                let same = source.marks[at..].iter().take_while(|mark| mark.range.start == range.start);
                same.into_iter().any(|mark| mark.keep && mark.range == *range)
            };
            if here.len() == found.len() && source.marks.len() < 1000 {
                let mut places = here.iter();
                found.retain(|_| places.next().is_some_and(is_mark));
            }
            found.reverse();
            occurrences.insert(text, found);
        }
        *anchor = occurrences.get_mut(text).and_then(Vec::pop);
    }
    without_overlaps(&mut anchors);
    anchors
}

/// Drops anchors that overlap others, which occurrences of different texts may.
fn without_overlaps(anchors: &mut [Option<Range<usize>>]) {
    let mut order: Vec<usize> = (0..anchors.len()).filter(|at| anchors[*at].is_some()).collect();
    order.sort_by_key(|at| anchors[*at].as_ref().map(|range| (range.start, usize::MAX - range.end)));
    let mut end = 0;
    for at in order {
        match &anchors[at] {
            Some(range) if range.start < end => anchors[at] = None,
            Some(range) => end = range.end,
            None => {}
        }
    }
}
