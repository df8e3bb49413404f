//! Words with their times, as openai/whisper's `timing.py` makes them of an alignment.

use serde::Serialize;

use crate::align::Alignment;
use crate::vocabulary::{TICK, Vocabulary};

/// Marks that belong to the word after them.
const PREPENDED: &str = "\"'“¿([{-";
/// Marks that belong to the word before them.
const APPENDED: &str = "\"'.。,，!！?？:：”)]}、";
/// Marks that end sentences.
const ENDS: &str = ".。!！?？";

/// A word and when it was said, in seconds from the beginning of the sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Word {
    /// As it is written, the space before it included.
    pub word: String,
    /// Its first moment.
    pub start: f64,
    /// Its last.
    pub end: f64,
    /// The mean of its tokens' probabilities.
    pub probability: f64,
}

/// A segment's times, which its words may move.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its first moment, in seconds.
    pub start: f64,
    /// Its last.
    pub end: f64,
    /// How many text ids it has.
    pub ids: usize,
}

#[derive(Debug, Clone)]
struct Timing {
    word: String,
    ids: usize,
    start: f64,
    end: f64,
    probability: f64,
}

/// The words of a window's segments. `ids` are the text ids of all of them, `offset` is where the window begins, and
/// `last` where the speech before it ended, in seconds.
pub fn words(
    vocabulary: &Vocabulary,
    language: &str,
    alignment: &Alignment,
    ids: &[u32],
    spans: &mut [Span],
    (offset, last): (f64, f64),
) -> Vec<Vec<Word>> {
    let mut timings = timings(vocabulary, language, alignment, ids);
    let typical = typical(&timings).min(0.7);
    shorten(&mut timings, 2. * typical);
    merge(&mut timings);
    let (mut rest, mut last, mut all) = (timings.into_iter(), last, Vec::new());
    for span in spans {
        let (mut words, mut taken) = (Vec::new(), 0);
        while taken < span.ids {
            let Some(timing) = rest.next() else { break };
            taken += timing.ids;
            if !timing.word.is_empty() {
                words.push(Word {
                    word: timing.word,
                    start: hundredths(offset + timing.start),
                    end: hundredths(offset + timing.end),
                    probability: timing.probability,
                });
            }
        }
        fit(&mut words, span, typical, last);
        if !words.is_empty() {
            last = span.end;
        }
        all.push(words);
    }
    all
}

/// Seconds to two decimal places.
fn hundredths(seconds: f64) -> f64 {
    format!("{seconds:.2}").parse().unwrap_or(seconds)
}

fn timings(vocabulary: &Vocabulary, language: &str, alignment: &Alignment, ids: &[u32]) -> Vec<Timing> {
    if alignment.ticks.is_empty() {
        return Vec::new();
    }
    let time = |id: usize| alignment.ticks[id] as f64 * TICK;
    let timing = |(word, range): (String, std::ops::Range<usize>)| Timing {
        word,
        ids: range.len(),
        start: time(range.start),
        end: time(range.end),
        probability: alignment.probabilities[range.clone()].iter().sum::<f64>() / range.len() as f64,
    };
    vocabulary.words(ids, language).into_iter().map(timing).collect()
}

/// The median of the words' lengths, those of no length left out.
fn typical(timings: &[Timing]) -> f64 {
    let lengths = timings.iter().map(|timing| timing.end - timing.start).filter(|length| *length != 0.);
    let mut lengths: Vec<f64> = lengths.collect();
    lengths.sort_by(f64::total_cmp);
    match (lengths.len(), lengths.len() / 2) {
        (0, _) => 0.,
        (count, half) if count % 2 == 0 => (lengths[half - 1] + lengths[half]) / 2.,
        (_, half) => lengths[half],
    }
}

/// Words at the ends of sentences are not longer than `most`: what is beyond is a pause.
fn shorten(timings: &mut [Timing], most: f64) {
    for i in 1..timings.len() {
        let ends_before = ENDS.contains(&timings[i - 1].word);
        let timing = &mut timings[i];
        if timing.end - timing.start > most {
            if ENDS.contains(&timing.word) {
                timing.end = timing.start + most;
            } else if ends_before {
                timing.start = timing.end - most;
            }
        }
    }
}

/// Gives marks to the words that they belong to; nothing is left of their own.
fn merge(timings: &mut [Timing]) {
    let mut next = timings.len().saturating_sub(1);
    for i in (0..timings.len().saturating_sub(1)).rev() {
        let mark = timings[i].word.clone();
        if mark.starts_with(' ') && PREPENDED.contains(mark.trim()) {
            timings[next].word.insert_str(0, &mark);
            timings[next].ids += std::mem::take(&mut timings[i].ids);
            timings[i].word.clear();
        } else {
            next = i;
        }
    }
    let mut before = 0;
    for i in 1..timings.len() {
        let mark = timings[i].word.clone();
        if !timings[before].word.ends_with(' ') && APPENDED.contains(&mark) {
            timings[before].word.push_str(&mark);
            timings[before].ids += std::mem::take(&mut timings[i].ids);
            timings[i].word.clear();
        } else {
            before = i;
        }
    }
}

/// Makes words and segment agree: words after a pause are not long, and where both are near the words decide.
fn fit(words: &mut [Word], span: &mut Span, typical: f64, last: f64) {
    let most = 2. * typical;
    let second = words.get(1).cloned();
    let Some(first) = words.first_mut() else { return };
    let long = first.end - first.start > most;
    let long = long || second.as_ref().is_some_and(|second| second.end - first.start > 2. * most);
    if first.end - last > 4. * typical && long {
        if let Some(second) = second.filter(|second| second.end - second.start > most) {
            let boundary = (second.end / 2.).max(second.end - most);
            words[0].end = boundary;
            words[1].start = boundary;
        }
        words[0].start = (words[0].end - most).max(0.);
    }
    let first = &mut words[0];
    if span.start < first.end && span.start - 0.5 > first.start {
        first.start = (first.end - typical).min(span.start).max(0.);
    } else {
        span.start = first.start;
    }
    let Some(last) = words.last_mut() else { return };
    if span.end > last.start && span.end + 0.5 < last.end {
        last.end = (last.start + typical).max(span.end);
    } else {
        span.end = last.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(word: &str, start: f64, end: f64) -> Timing {
        Timing { word: word.into(), ids: 1, start, end, probability: 1. }
    }

    #[test]
    fn marks_go_to_their_words() {
        let mut timings: Vec<Timing> =
            [" He", " said", ",", " \"", "go", "!", "\""].map(|word| timing(word, 0., 1.)).to_vec();
        merge(&mut timings);
        let words: Vec<&str> = timings.iter().map(|timing| &timing.word[..]).collect();
        assert_eq!(words, [" He", " said,", "", "", " \"go!\"", "", ""]);
        assert_eq!(timings.iter().map(|timing| timing.ids).collect::<Vec<_>>(), [1, 2, 0, 0, 4, 0, 0]);
    }

    #[test]
    fn pauses_are_not_words() {
        let mut timings = vec![timing(" late", 0., 0.4), timing(".", 0.4, 3.), timing(" Then", 3., 6.)];
        shorten(&mut timings, 0.8);
        assert_eq!((timings[1].end, timings[2].start), (1.2000000000000002, 5.2));
        let word = |start, end| Word { word: " so".into(), start, end, probability: 1. };
        let (mut words, mut span) = ([word(2., 9.), word(9., 9.4)], Span { start: 2., end: 9.4, ids: 2 });
        fit(&mut words, &mut span, 0.4, 0.);
        assert_eq!((words[0].start, span.start), (8.2, 8.2));
    }

    #[test]
    fn the_typical_length_is_the_median() {
        let some =
            |lengths: &[f64]| typical(&lengths.iter().map(|x| timing("a", 1., 1. + x)).collect::<Vec<_>>());
        assert_eq!((some(&[]), some(&[0., 2.]), some(&[4., 2.]), some(&[1., 9., 3.])), (0., 2., 3., 3.));
    }
}
