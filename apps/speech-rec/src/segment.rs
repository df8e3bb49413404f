//! A window's ids cut into segments at their times, and where the next window begins.

use serde::Serialize;

use crate::decode::Decoded;
use crate::vocabulary::{TICK, Vocabulary};
use crate::words::Word;

/// A stretch of speech, with openai/whisper's fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Its number.
    pub id: usize,
    /// The frame (10 ms) at which its window begins.
    pub seek: usize,
    /// Its first moment, in seconds.
    pub start: f64,
    /// Its last.
    pub end: f64,
    /// What was said.
    pub text: String,
    /// Its ids, times included.
    pub tokens: Vec<u32>,
    /// At which its window was decoded.
    pub temperature: f64,
    /// The mean log-probability of its window's ids.
    pub avg_logprob: f64,
    /// Bytes of its window's text by bytes of it compressed.
    pub compression_ratio: f64,
    /// The probability that nobody spoke in its window.
    pub no_speech_prob: f64,
    /// Its words, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
    /// When each of its text ids begins, in seconds, where words were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_times: Option<Vec<f64>>,
}

impl Segment {
    /// Leaves out text ids that are not kept; `kept` says so of each.
    pub fn thin(&mut self, vocabulary: &Vocabulary, kept: &mut impl Iterator<Item = bool>) {
        let before = self.tokens.len();
        self.tokens.retain(|id| *id >= vocabulary.end || kept.next().unwrap_or(true));
        if self.tokens.len() < before {
            self.text = vocabulary.decode(&self.text_ids(vocabulary).collect::<Vec<_>>());
        }
    }

    /// The ids that are text.
    pub fn text_ids<'a>(&'a self, vocabulary: &Vocabulary) -> impl Iterator<Item = u32> + use<'a> {
        let end = vocabulary.end;
        self.tokens.iter().copied().filter(move |id| *id < end)
    }

    /// Takes away what a segment of no length, or of no words, says.
    pub fn clear_if_empty(&mut self) {
        if self.start == self.end || self.text.trim().is_empty() {
            self.clear();
        }
    }

    /// Takes away what it says.
    pub fn clear(&mut self) {
        self.text.clear();
        self.tokens.clear();
        self.words.iter_mut().for_each(Vec::clear);
        self.token_times.iter_mut().for_each(Vec::clear);
    }
}

/// A window: its first frame, and how many of sound it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first frame (10 ms).
    pub seek: usize,
    /// Frames of sound in it.
    pub size: usize,
}

impl Window {
    /// Where it begins, in seconds.
    pub fn start(self) -> f64 {
        self.seek as f64 / 100.
    }
}

/// A window's segments, and what is known about its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The segments.
    pub segments: Vec<Segment>,
    /// The frame from which to go on.
    pub next: usize,
    /// Whether the last time says that nobody speaks after it.
    pub closed: bool,
}

/// Cuts at each pair of times. A text that was cut off after the last pair is left to the next window, or where `whole`
/// says that none will hear it again, ends with this one.
pub fn cut(vocabulary: &Vocabulary, window: Window, decoded: &Decoded, whole: bool) -> Cut {
    let ids = &decoded.ids;
    let is_time = |at: usize| vocabulary.is_time(ids[at]);
    let tick = |id: u32| (id - vocabulary.zero) as usize;
    let segment = |start: f64, end: f64, ids: &[u32]| Segment {
        id: 0,
        seek: window.seek,
        start,
        end,
        text: vocabulary.decode(&ids.iter().copied().filter(|id| *id < vocabulary.end).collect::<Vec<_>>()),
        tokens: ids.to_vec(),
        temperature: decoded.temperature,
        avg_logprob: decoded.average,
        compression_ratio: decoded.compression,
        no_speech_prob: decoded.no_speech,
        words: None,
        token_times: None,
    };
    let count = ids.len();
    let closed = count >= 2 && !is_time(count - 2) && is_time(count - 1);
    let mut ends: Vec<usize> = (1..count).filter(|at| is_time(at - 1) && is_time(*at)).collect();
    let offset = window.start();
    if ends.is_empty() {
        let last = ids.iter().rev().find(|id| vocabulary.is_time(**id)).map(|id| tick(*id));
        let length = match last {
            Some(1..) => last.unwrap_or(0) as f64 * TICK,
            _ => window.size as f64 / 100.,
        };
        let whole = segment(offset, offset + length, ids);
        return Cut { segments: vec![whole], next: window.seek + window.size, closed };
    }
    if closed {
        ends.push(count);
    }
    let (mut segments, mut first) = (Vec::new(), 0);
    for end in ends {
        let ids = &ids[first..end];
        // a segment that does not begin with a time begins with the window
        let time = |id: u32| offset + id.saturating_sub(vocabulary.zero) as f64 * TICK;
        segments.push(segment(time(ids[0]), time(ids[ids.len() - 1]), ids));
        first = end;
    }
    let next = window.seek + if closed { window.size } else { 2 * tick(ids[first - 1]) };
    if whole && ids[first..].iter().any(|id| *id < vocabulary.end) {
        let start = offset + tick(ids[first]) as f64 * TICK;
        segments.push(segment(start, start.max(offset + window.size as f64 / 100.), &ids[first..]));
    }
    Cut { segments, next, closed }
}
