//! Text to words, signs and spaces, and what of a target stands for what of its source.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// A word, a sign or white space of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    pub range: Range<usize>,
    pub sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Word,
    Sign,
    Space,
}

/// The units of a text; spans in `whole` (in order, apart) are not divided.
pub fn units(text: &str, whole: &[Range<usize>]) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut at = 0;
    for span in whole {
        divide(text, at..span.start, &mut units);
        units.push(Unit { range: span.clone(), sort: Sort::Word });
        at = span.end;
    }
    divide(text, at..text.len(), &mut units);
    units
}

fn divide(text: &str, span: Range<usize>, units: &mut Vec<Unit>) {
    for (at, word) in text[span.clone()].split_word_bound_indices() {
        let mut start = span.start + at;
        let sort = if word.chars().all(char::is_whitespace) {
            Sort::Space
        } else if word.chars().any(char::is_alphanumeric) {
            Sort::Word
        } else {
            Sort::Sign
        };
        // the number of a note stands at the end of its word
        let number = word.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        if number > 0 && number < word.len() && word[..number].ends_with(char::is_alphabetic) {
            units.push(Unit { range: start..start + number, sort });
            start += number;
        }
        units.push(Unit { range: start..span.start + at + word.len(), sort });
    }
}

/// For each unit of a target the bytes of its source: words for the same word or all words, signs for the same sign. Without an alignment
/// words stand for words in proportion.
pub fn links(
    source: (&str, &[Unit]),
    target: (&str, &[Unit]),
    alignment: &[(Range<usize>, Range<usize>)],
) -> Vec<Vec<Range<usize>>> {
    let mut links = vec![Vec::new(); target.1.len()];
    let proportional;
    let alignment = if alignment.is_empty() {
        proportional = in_proportion(source.1, target.1);
        &proportional
    } else {
        alignment
    };
    for (from, to) in alignment {
        let (from, to) = (within(source.1, from), within(target.1, to));
        let words: Vec<&Unit> =
            source.1[from.clone()].iter().filter(|unit| unit.sort == Sort::Word).collect();
        let words = words.first().zip(words.last()).map(|(first, last)| first.range.start..last.range.end);
        for at in to {
            let unit = &target.1[at];
            let same = |other: &&Unit| {
                other.sort == unit.sort && source.0[other.range.clone()] == target.0[unit.range.clone()]
            };
            let same = || source.1[from.clone()].iter().find(same).map(|same| same.range.clone());
            let link = match unit.sort {
                Sort::Word => same().or_else(|| words.clone()),
                Sort::Sign => same(),
                Sort::Space => None,
            };
            links[at].extend(link);
        }
    }
    links
}

/// Indices of the units that a range of bytes touches.
fn within(units: &[Unit], bytes: &Range<usize>) -> Range<usize> {
    let start = units.partition_point(|unit| unit.range.end <= bytes.start);
    let end = units.partition_point(|unit| unit.range.start < bytes.end);
    start..end.max(start)
}

fn in_proportion(source: &[Unit], target: &[Unit]) -> Vec<(Range<usize>, Range<usize>)> {
    let (from, to) = (chunks(source), chunks(target));
    if from.is_empty() {
        return Vec::new();
    }
    let pair = |(at, chunk): (usize, &Range<usize>)| {
        let middle = (2 * at + 1) * from.len() / (2 * to.len());
        (from[middle].clone(), chunk.clone())
    };
    to.iter().enumerate().map(pair).collect()
}

/// Words with the signs that stand by them.
fn chunks(units: &[Unit]) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let (mut open, mut has_word) = (false, false);
    for unit in units {
        let word = unit.sort == Sort::Word;
        match chunks.last_mut() {
            _ if unit.sort == Sort::Space => (open, has_word) = (false, false),
            Some(last) if open && !(word && has_word) => {
                last.end = unit.range.end;
                has_word |= word;
            }
            _ => {
                chunks.push(unit.range.clone());
                (open, has_word) = (true, word);
            }
        }
    }
    chunks
}
