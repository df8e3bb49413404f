//! Where marks come to stand: around the words that are aligned to theirs, or in their order.

use std::collections::HashMap;
use std::ops::Range;

use super::{Marked, Place};
use crate::document::run::Mark;
use crate::document::units::{Sort, Unit};

/// What speaks against a range that holds what is kept outside of it, in words.
const FOREIGN: f32 = -1000.0;
/// What a sign weighs, in words.
const SIGN: f32 = 0.25;
/// What a word weighs that nothing is aligned to.
const UNALIGNED: f32 = -0.1;

/// Marks that come to stand by alignment.
pub struct Laying<'a> {
    pub source: &'a Marked<'a>,
    /// The target and its units.
    pub text: &'a str,
    pub target: &'a [Unit],
    pub links: &'a [Vec<Range<usize>>],
    pub anchors: &'a [Option<Range<usize>>],
    /// The kept texts of the source by where they begin in the target.
    pub kept: HashMap<usize, Range<usize>>,
    /// The innermost mark around each unit.
    pub owners: Vec<Option<usize>>,
}

impl Laying<'_> {
    /// Where each mark comes to stand.
    pub fn places(mut self) -> Vec<Place> {
        let mut regions: Vec<Range<usize>> = Vec::new();
        let mut found = Vec::new();
        for (at, mark) in self.source.marks.iter().enumerate() {
            let region = mark.parent.map_or(0..self.target.len(), |parent| regions[parent].clone());
            let run = if mark.range.is_empty() {
                None
            } else if mark.keep {
                self.kept(at, &region)
            } else {
                self.best_run(at, &region).or_else(|| self.nearest_word(at, &region))
            };
            found.push(run.is_some());
            let run = run.unwrap_or_else(|| {
                let place = self.boundary(mark, &region);
                place..place
            });
            self.owners[run.clone()].fill(Some(at));
            regions.push(run);
        }
        let bytes = |(run, found): (Range<usize>, bool)| Place { range: bytes(self.target, &run), found };
        regions.into_iter().zip(found).map(bytes).collect()
    }

    fn is_free(&self, unit: usize, mark: usize) -> bool {
        self.owners[unit] == self.source.marks[mark].parent
    }

    /// The unit of a kept text, if it stands where its mark may.
    fn kept(&self, mark: usize, region: &Range<usize>) -> Option<Range<usize>> {
        let anchor = self.anchors[mark].as_ref()?;
        let unit = self.target.binary_search_by_key(&anchor.start, |unit| unit.range.start).ok()?;
        (region.contains(&unit) && self.is_free(unit, mark)).then(|| unit..unit + 1)
    }

    /// How much of what a unit stands for is in a range, from 0 to 1; `None` where it stands for nothing.
    fn share(&self, unit: usize, range: &Range<usize>) -> Option<f32> {
        let links = &self.links[unit];
        let share = |link: &Range<usize>| {
            let common = link.end.min(range.end).saturating_sub(link.start.max(range.start));
            common as f32 / link.len().max(1) as f32
        };
        (!links.is_empty()).then(|| links.iter().map(share).sum::<f32>() / links.len() as f32)
    }

    /// How much a unit belongs into a mark, from -1 to 1 for words.
    fn weight(&self, unit: usize, range: &Range<usize>) -> f32 {
        if let Some(from) = self.kept.get(&self.target[unit].range.start) {
            let inside = range.start <= from.start && from.end <= range.end;
            return if inside { 1.0 } else { FOREIGN };
        }
        let share = self.share(unit, range).map(|share| 2.0 * share - 1.0);
        match self.target[unit].sort {
            Sort::Word => share.unwrap_or(UNALIGNED),
            _ => SIGN * share.unwrap_or(0.0),
        }
    }

    /// The run of free units with most of what is aligned into the mark and least of what is not.
    fn best_run(&self, mark: usize, region: &Range<usize>) -> Option<Range<usize>> {
        let range = &self.source.marks[mark].range;
        let (mut sum, mut start) = (0.0, region.start);
        let mut best: Option<(f32, Range<usize>)> = None;
        for unit in region.clone() {
            if !self.is_free(unit, mark) {
                (sum, start) = (0.0, unit + 1);
                continue;
            }
            sum += self.weight(unit, range);
            if sum <= 0.0 {
                (sum, start) = (0.0, unit + 1);
            } else if best.as_ref().is_none_or(|(most, _)| sum > *most) {
                best = Some((sum, start..unit + 1));
            }
        }
        best.map(|(_, run)| run)
    }

    /// The free word with the mark's own text, or that stands for most of it, or else that is nearest to its place.
    fn nearest_word(&self, mark: usize, region: &Range<usize>) -> Option<Range<usize>> {
        let mark_at = &self.source.marks[mark];
        let range = &mark_at.range;
        let may = |unit: &usize| {
            let here = &self.target[*unit];
            here.sort == Sort::Word && self.is_free(*unit, mark) && !self.kept.contains_key(&here.range.start)
        };
        let place = self.boundary(mark_at, region);
        let far = |unit: usize| 2 * unit.abs_diff(place) + usize::from(unit < place);
        let text = &self.source.text[range.clone()];
        let score = |unit: usize| {
            let same = self.text[self.target[unit].range.clone()] == *text;
            (if same { 2.0 } else { self.share(unit, range).unwrap_or(0.0) }, far(unit))
        };
        let better = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let units = region.clone().filter(may);
        units.min_by(|a, b| better(&score(*a), &score(*b))).map(|unit| unit..unit + 1)
    }

    /// Where what encloses nothing goes: by the word that it stood at.
    fn boundary(&self, mark: &Mark, region: &Range<usize>) -> usize {
        let (text, at) = (self.source.text, mark.range.start);
        let aligned = |at: usize| move |unit: &usize| self.links[*unit].iter().any(|link| link.contains(&at));
        let before = text[..at].trim_end().char_indices().next_back().map(|(place, _)| place);
        let after = at + text[at..].len() - text[at..].trim_start().len();
        let behind = || before.and_then(|before| region.clone().rfind(aligned(before))).map(|unit| unit + 1);
        let ahead = || (after < text.len()).then(|| region.clone().find(aligned(after))).flatten();
        let place = if leans_back(text, at) { behind().or_else(ahead) } else { ahead().or_else(behind) };
        place.unwrap_or_else(|| {
            if at == 0 {
                return region.start;
            }
            let length = self.target.last().map_or(0, |unit| unit.range.end);
            let wanted = scaled(at, text.len(), length);
            self.target.partition_point(|unit| unit.range.start < wanted).clamp(region.start, region.end)
        })
    }
}

/// Whether what stands at a place belongs to the word before it.
fn leans_back(text: &str, at: usize) -> bool {
    let touches = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
    let word = text[at..].chars().next().is_some_and(char::is_alphanumeric);
    (touches(text[..at].chars().next_back()) && !word) || at == text.len()
}

fn scaled(at: usize, from: usize, to: usize) -> usize {
    (at as u128 * to as u128 / from.max(1) as u128) as usize
}

/// Units to bytes.
fn bytes(units: &[Unit], run: &Range<usize>) -> Range<usize> {
    let end = units.last().map_or(0, |unit| unit.range.end);
    let start = units.get(run.start).map_or(end, |unit| unit.range.start);
    if run.is_empty() { start..start } else { start..units[run.end - 1].range.end }
}

/// Marks in the order of the source, in proportion to the words; of each text with what is kept in it.
pub fn in_order(
    source: &Marked<'_>,
    (from, kept): (&[Unit], &[Range<usize>]),
    (to, found): (&[Unit], &[Range<usize>]),
) -> Vec<Place> {
    // what is kept is no word: it goes where its mark does
    let words = |units: &[Unit], kept: &[Range<usize>]| -> Vec<Range<usize>> {
        let is_kept = |unit: &Unit| kept.binary_search_by_key(&unit.range.start, |kept| kept.start).is_ok();
        let words = units.iter().filter(|unit| unit.sort == Sort::Word && !is_kept(unit));
        words.map(|unit| unit.range.clone()).collect()
    };
    let (from, to_words) = (words(from, kept), words(to, found));
    let length = to.last().map_or(0, |unit| unit.range.end);
    let index = |words: usize| scaled(words, from.len(), to_words.len());
    let start = |at: usize| {
        let before = from.partition_point(|word| word.end <= at);
        to_words.get(index(before)).map_or(length, |word| word.start)
    };
    let end = |at: usize| {
        if at == source.text.len() {
            return length;
        }
        let before = index(from.partition_point(|word| word.start < at));
        before.checked_sub(1).and_then(|last| to_words.get(last)).map_or(0, |word| word.end)
    };
    let mut places: Vec<Place> = Vec::new();
    // how far the marks in each, and those in none, have come
    let mut taken = vec![0; source.marks.len() + 1];
    for mark in source.marks {
        let region = mark.parent.map_or(0..length, |parent| places[parent].range.clone());
        let range = &mark.range;
        let is_point = range.is_empty() || mark.keep;
        let (start, end) = match is_point {
            true if leans_back(source.text, range.start) => (end(range.start), end(range.start)),
            true => (start(range.start), start(range.start)),
            false => (start(range.start), end(range.end)),
        };
        let taken = &mut taken[mark.parent.unwrap_or(source.marks.len())];
        let mut start = start.max(*taken).clamp(region.start, region.end);
        let mut end = end.clamp(start, region.end);
        if !is_point {
            // each has a word while there are some
            let word = to_words.get(to_words.partition_point(|word| word.start < start));
            if let Some(word) = word.filter(|word| end <= start && word.end <= region.end) {
                (start, end) = (word.start, word.end);
            }
            *taken = end;
        }
        places.push(Place { range: start..end, found: mark.keep });
    }
    places
}

/// Takes signs and spaces from the ends of ranges.
pub fn tighten(marks: &[Mark], units: &[Unit], places: &mut [Place]) {
    for (mark, place) in marks.iter().zip(places) {
        if mark.keep || place.range.is_empty() {
            continue;
        }
        let first = units.partition_point(|unit| unit.range.end <= place.range.start);
        let end = units.partition_point(|unit| unit.range.start < place.range.end);
        let inside = &units[first..end];
        let word = |unit: &&Unit| unit.sort == Sort::Word;
        if let (Some(first), Some(last)) = (inside.iter().find(word), inside.iter().rfind(word)) {
            place.range = first.range.start..last.range.end;
        }
    }
}
