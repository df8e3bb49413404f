//! The English front end: what is written becomes words, pauses and phones.
//!
//! [`speak`] does it for a short text, [`sentences`] for a long one, sentence by sentence.
//!
//! - `normalise`: words, pauses and where they stood
//! - `lexicon`: how words are said
//! - `g2p`: how words are said that no dictionary has
//! - `phones`: ARPABET and IPA

pub mod g2p;
pub mod lexicon;
pub mod normalise;
pub mod phones;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use anyhow::Result;

use lexicon::{Beside, Lexicon};
use normalise::{Normalised, Pause, Spoken, normalise};
use phones::Phone;

/// A word or a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// What is said.
    Word(Word),
    /// Silence.
    Pause {
        /// Of which kind.
        kind: Pause,
        /// The bytes of its mark.
        span: Range<usize>,
    },
}

/// A word with its phones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is said: in small letters, a letter that is said by its name as a capital.
    pub text: String,
    /// The bytes of the text that it was made from; words of one expression may share them.
    pub span: Range<usize>,
    /// None for a word in a script that the front end does not read.
    pub phones: Vec<Phone>,
}

/// The words and pauses of a whole text.
///
/// # Errors
/// None on the processor.
pub fn speak(text: &str, lexicon: &Lexicon) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for sentence in sentences(text, lexicon) {
        items.extend(sentence?);
    }
    Ok(items)
}

/// The sentences of a text, each with the pause that ends it; a paragraph's end stands behind its last sentence. Memory
/// does not grow with the text.
pub fn sentences<'a>(text: &'a str, lexicon: &'a Lexicon) -> Sentences<'a> {
    Sentences { text, lexicon, spoken: normalise(text), ready: VecDeque::new(), guessed: HashMap::new() }
}

/// The iterator of [`sentences`].
pub struct Sentences<'a> {
    text: &'a str,
    lexicon: &'a Lexicon,
    spoken: Normalised<'a>,
    ready: VecDeque<Item>,
    /// What the net made of words before.
    guessed: HashMap<String, Vec<Phone>>,
}

/// Words and pauses that are looked at together: the net says many words at once faster.
const BLOCK: usize = 512;
/// Words of a sentence that has no end at most.
const LONGEST: usize = 256;
/// Guesses that are kept.
const GUESSES: usize = 1 << 14;

impl Iterator for Sentences<'_> {
    type Item = Result<Vec<Item>>;

    fn next(&mut self) -> Option<Result<Vec<Item>>> {
        let mut sentence = Vec::new();
        loop {
            if self.ready.is_empty()
                && let Err(error) = self.fill()
            {
                return Some(Err(error));
            }
            match self.ready.pop_front() {
                None => return (!sentence.is_empty()).then_some(Ok(sentence)),
                Some(item) => {
                    let ends = matches!(item, Item::Pause { kind, .. } if kind.ends_sentence());
                    sentence.push(item);
                    if !(ends || sentence.len() >= LONGEST) {
                        continue;
                    }
                }
            }
            // a paragraph ends with its last sentence
            if self.ready.is_empty()
                && let Err(error) = self.fill()
            {
                return Some(Err(error));
            }
            if let Some(Item::Pause { kind: Pause::Paragraph, .. }) = self.ready.front() {
                sentence.extend(self.ready.pop_front());
            }
            return Some(Ok(sentence));
        }
    }
}

impl Sentences<'_> {
    /// Says the next block, which goes on to the end of its last sentence.
    fn fill(&mut self) -> Result<()> {
        let mut block = Vec::new();
        for spoken in self.spoken.by_ref() {
            let ends = matches!(spoken, Spoken::Pause { kind, .. } if kind.ends_sentence());
            block.push(spoken);
            if block.len() >= 2 * BLOCK || (ends && block.len() >= BLOCK) {
                break;
            }
        }
        let mut items: Vec<Item> = Vec::with_capacity(block.len());
        let mut unknown: Vec<(usize, String)> = Vec::new();
        for (place, spoken) in block.iter().enumerate() {
            items.push(match spoken {
                Spoken::Pause { kind, span } => Item::Pause { kind: *kind, span: span.clone() },
                Spoken::Word { text, span, phones } => {
                    let found =
                        phones.clone().or_else(|| self.lexicon.look_up(text, &self.beside(&block, place)));
                    let found = found.or_else(|| self.guessed.get(text).cloned());
                    if found.is_none() {
                        unknown.push((place, text.clone()));
                    }
                    Item::Word(Word {
                        text: text.clone(),
                        span: span.clone(),
                        phones: found.unwrap_or_default(),
                    })
                }
            });
        }
        self.guess(&unknown, &mut items)?;
        self.ready.extend(items);
        Ok(())
    }

    fn guess(&mut self, unknown: &[(usize, String)], items: &mut [Item]) -> Result<()> {
        if unknown.is_empty() {
            return Ok(());
        }
        if self.guessed.len() > GUESSES {
            self.guessed.clear();
        }
        let mut words: Vec<&str> = unknown.iter().map(|(_, word)| word.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        for (word, phones) in words.iter().zip(self.lexicon.guess(&words)?) {
            self.guessed.insert(word.to_string(), phones);
        }
        for (place, word) in unknown {
            if let (Item::Word(said), Some(phones)) = (&mut items[*place], self.guessed.get(word)) {
                said.phones.clone_from(phones);
            }
        }
        Ok(())
    }

    /// The words beside one; a pause hides what is behind it.
    fn beside<'b>(&self, block: &'b [Spoken], place: usize) -> Beside<'b> {
        let word = |place: Option<usize>| match place.and_then(|place| block.get(place)) {
            Some(Spoken::Word { text, .. }) => text.as_str(),
            _ => "",
        };
        let first = word(place.checked_sub(1));
        let second = if first.is_empty() { "" } else { word(place.checked_sub(2)) };
        let capital = match &block[place] {
            Spoken::Word { span, .. } => {
                self.text.get(span.clone()).is_some_and(|text| text.starts_with(char::is_uppercase))
            }
            Spoken::Pause { .. } => false,
        };
        Beside {
            before: [first, second],
            after: word(Some(place + 1)),
            capital: capital && !first.is_empty(),
        }
    }
}
