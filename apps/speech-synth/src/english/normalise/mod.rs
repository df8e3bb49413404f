//! Written English as words that can be said: numbers, dates, times, money, units, abbreviations, addresses and signs are
//! spelled out, punctuation becomes pauses, and each word knows where it stood.
//!
//! A word is in lower case; a letter that is said by its name is a capital (`F B I`). Text in other scripts stays as it is.
//!
//! - `fold`: Unicode's many quotes, dashes, spaces and accents as ASCII's, part by part
//! - `scan`: where the next expression is looked for, and what is said so far
//! - `numerals`: numbers as words
//! - `numbers`, `money`, `units`, `dates`, `times`, `phone`: expressions that begin with a digit or a sign before one
//! - `words`, `capitals`, `abbreviations`: those that begin with a letter
//! - `web`: addresses of mail and pages, file names
//! - `marks`: punctuation and signs

mod abbreviations;
mod capitals;
mod dates;
mod fold;
mod marks;
mod money;
mod numbers;
mod numerals;
mod phone;
mod scan;
mod times;
mod units;
mod web;
mod words;

use std::collections::VecDeque;
use std::ops::Range;

use super::phones::Phone;
use fold::{Folded, part};
use scan::Scan;

/// What stands between words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pause {
    /// A comma, a semicolon, a colon, a dash, a bracket.
    Comma,
    /// The end of a statement.
    Stop,
    /// The end of an exclamation.
    Exclamation,
    /// The end of a question.
    Question,
    /// The end of a paragraph, after the pause of its last sentence if that had one.
    Paragraph,
}

impl Pause {
    /// Whether a sentence ends there.
    pub fn ends_sentence(self) -> bool {
        self != Self::Comma
    }
}

/// What is said, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// A word.
    Word {
        /// In lower case, or a capital letter that is said by its name.
        text: String,
        /// The bytes of the text that it was made from; words of one expression may share them.
        span: Range<usize>,
        /// Its phones, where the text gave them.
        phones: Option<Vec<Phone>>,
    },
    /// Silence.
    Pause {
        /// Of which kind.
        kind: Pause,
        /// The mark that stands for it.
        span: Range<usize>,
    },
}

/// Normalises a text, part by part: whatever its length, no more than a few kilobytes of it are looked at together.
pub fn normalise(text: &str) -> Normalised<'_> {
    Normalised { text, at: 0, ready: VecDeque::new(), said: false }
}

/// The iterator of [`normalise`].
pub struct Normalised<'a> {
    text: &'a str,
    at: usize,
    ready: VecDeque<Spoken>,
    /// Whether a word came since the last paragraph.
    said: bool,
}

impl Iterator for Normalised<'_> {
    type Item = Spoken;

    fn next(&mut self) -> Option<Spoken> {
        while self.ready.is_empty() && self.at < self.text.len() {
            let (end, paragraph) = part(self.text, self.at);
            let folded = Folded::new(&self.text[self.at..end], self.at);
            let spoken = Scan::new(&folded).run();
            self.said |= !spoken.is_empty();
            self.ready.extend(spoken);
            if paragraph && self.said {
                self.ready.push_back(Spoken::Pause { kind: Pause::Paragraph, span: end..end });
                self.said = false;
            }
            self.at = end;
        }
        let next = self.ready.pop_front();
        // a paragraph ends only where another begins
        match next {
            Some(Spoken::Pause { kind: Pause::Paragraph, .. }) if self.ready.is_empty() => {
                let after = self.next()?;
                self.ready.push_front(after);
                next
            }
            next => next,
        }
    }
}

/// The words and pauses of a short text as one line: pauses as `,` `.` `!` `?` and `¶`.
pub fn normalised(text: &str) -> String {
    let mut words = Vec::new();
    for spoken in normalise(text) {
        words.push(match spoken {
            Spoken::Word { text, .. } => text,
            Spoken::Pause { kind, .. } => match kind {
                Pause::Comma => ",".into(),
                Pause::Stop => ".".into(),
                Pause::Exclamation => "!".into(),
                Pause::Question => "?".into(),
                Pause::Paragraph => "¶".into(),
            },
        });
    }
    words.join(" ")
}
