//! Text to ids letter by letter, as transformers' `VitsTokenizer` does it: lower case, letters that the voice has no sign
//! for left out, a blank around each.
//!
//! Two of its helpers are not here: espeak, which writes phonemes (they are taken as input instead), and uroman, which
//! writes other scripts in Latin letters.

use super::{ADDED, CONFIG, VOCABULARY};
use crate::checkpoint::Files;
use candle_core::Result;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

const SPECIAL: &str = "special_tokens_map.json";

/// A tokenizer of letters or phonemes.
#[derive(Debug)]
pub struct CharacterTokens {
    /// Ids of single characters.
    ids: HashMap<char, u32>,
    /// All words of the vocabulary by their first character, in its order: their letters keep their case.
    words: BTreeMap<char, Vec<String>>,
    /// Words that are one id and never cut, longest first.
    special: Vec<(String, u32)>,
    /// What stands for a character that has no id, where something does.
    unknown: Option<u32>,
    largest: u32,
    options: Options,
}

/// What `tokenizer_config.json` says, with transformers' defaults.
#[derive(Debug)]
struct Options {
    add_blank: bool,
    normalize: bool,
    phonemize: bool,
    is_uroman: bool,
    language: String,
}

/// The ids of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spelled {
    /// Ids, blanks among them.
    pub ids: Vec<u32>,
    /// For each id the byte of the text at which what it stands for begins; none for a blank.
    pub places: Vec<Option<usize>>,
    /// Characters that have no id, in their order.
    pub unknown: Vec<char>,
}

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// As people write.
    Letters,
    /// In phonemes: case counts, and white space is as good as one space.
    Phonemes,
}

impl CharacterTokens {
    /// Reads `vocab.json`, and what `tokenizer_config.json` and the files beside it say.
    ///
    /// # Errors
    /// Files that are missing or damaged, a tokenizer of another kind, and special words that change what stands beside
    /// them.
    pub fn open(files: &Files) -> Result<Self> {
        let read = |name: &str| -> Result<Map<String, Value>> {
            if files.has(name) { files.json(name) } else { Ok(Map::new()) }
        };
        let (config, special_map, added) = (read(CONFIG)?, read(SPECIAL)?, read(ADDED)?);
        let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("VitsTokenizer");
        if class != "VitsTokenizer" {
            refuse!(
                "{}: tokenizer_class `{class}` is not supported here, only VitsTokenizer is",
                files.describe(CONFIG)
            );
        }
        let vocabulary: BTreeMap<String, u32> = files.json(VOCABULARY)?;
        let order: Map<String, Value> = files.json(VOCABULARY)?;
        let flag = |name: &str, usual: bool| match config.get(name) {
            None | Some(Value::Null) => Ok(usual),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => refuse!("{}: {name} is {other}, not true or false", files.describe(CONFIG)),
        };
        let options = Options {
            add_blank: flag("add_blank", true)?,
            normalize: flag("normalize", true)?,
            phonemize: flag("phonemize", true)?,
            is_uroman: flag("is_uroman", false)?,
            language: config.get("language").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        if options.add_blank && !vocabulary.values().any(|id| *id == 0) {
            refuse!("{}: no id 0, which is the blank of add_blank", files.describe(VOCABULARY));
        }
        let named = |name: &str, usual: &str| {
            let found = config.get(name).or_else(|| special_map.get(name));
            let found = found.and_then(|value| value.as_str().or_else(|| value["content"].as_str()));
            found.unwrap_or(usual).to_owned()
        };
        let unknown = named("unk_token", "<unk>");
        let mut special = vec![named("pad_token", "<pad>"), unknown.clone()];
        special.extend(added.keys().cloned());
        for token in
            config.get("added_tokens_decoder").and_then(Value::as_object).into_iter().flat_map(Map::values)
        {
            let Some(word) = token["content"].as_str() else { continue };
            if let Some(what) = ["lstrip", "rstrip", "single_word"].iter().find(|what| token[**what] == true)
            {
                refuse!("{}: {what} of the token {word:?} is not supported", files.describe(CONFIG));
            }
            special.push(word.to_owned());
        }
        let mut special: Vec<(String, u32)> = special
            .into_iter()
            .filter_map(|word| Some((vocabulary.get(&word).copied()?, word)))
            .map(|(id, word)| (word, id))
            .collect();
        special.retain(|(word, _)| !word.is_empty());
        special.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then(a.cmp(b)));
        special.dedup();
        let mut words: BTreeMap<char, Vec<String>> = BTreeMap::new();
        for word in order.keys().chain(special.iter().map(|(word, _)| word)) {
            if let Some(first) = word.chars().next() {
                words.entry(first).or_default().push(word.clone());
            }
        }
        let single = |(word, id): (&String, &u32)| {
            let mut letters = word.chars();
            letters.next().filter(|_| letters.next().is_none()).map(|letter| (letter, *id))
        };
        Ok(Self {
            ids: vocabulary.iter().filter_map(single).collect(),
            words,
            special,
            unknown: vocabulary.get(&unknown).copied(),
            largest: vocabulary.values().copied().max().unwrap_or_default(),
            options,
        })
    }

    /// What the tokenizer takes: [`Writing::Phonemes`] where transformers would ask espeak for them.
    pub fn writing(&self) -> Writing {
        if self.options.phonemize { Writing::Phonemes } else { Writing::Letters }
    }

    /// The largest id of the vocabulary.
    pub fn largest(&self) -> u32 {
        self.largest
    }

    /// Whether a character has an id, in the case in which it comes or in lower case.
    pub fn knows(&self, character: char) -> bool {
        self.ids.contains_key(&character)
            || character.to_lowercase().all(|lower| self.ids.contains_key(&lower))
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Letters where the voice takes phonemes, and letters that uroman would have to write in Latin ones.
    pub fn encode(&self, text: &str, writing: Writing) -> Result<Spelled> {
        if writing == Writing::Letters && self.options.phonemize {
            refuse!(
                "this voice reads phonemes (its tokenizer says phonemize), and what is given are letters"
            );
        }
        let mut found = Spelled::default();
        let mut letters: Vec<(char, usize)> =
            text.char_indices().map(|(place, letter)| (letter, place)).collect();
        if writing == Writing::Phonemes {
            letters = single_spaces(letters);
        } else {
            if self.options.normalize {
                letters = self.lower_case(text);
            }
            if self.options.language == "ron" {
                letters.iter_mut().filter(|(letter, _)| *letter == 'ț').for_each(|(letter, _)| *letter = 'ţ');
            }
            if let Some((letter, _)) =
                letters.iter().find(|(letter, _)| self.options.is_uroman && !letter.is_ascii())
            {
                refuse!(
                    "this voice reads Latin letters that uroman writes, which is not built in: {letter:?} is none; \
                     write the text in Latin letters first"
                );
            }
        }
        let is_known = |letter: &char| self.ids.contains_key(letter);
        if self.options.normalize && writing == Writing::Letters {
            found.unknown =
                letters.iter().map(|(letter, _)| *letter).filter(|letter| !is_known(letter)).collect();
            letters.retain(|(letter, _)| is_known(letter));
            letters = trimmed(letters);
        }
        let text: Vec<char> = letters.iter().map(|(letter, _)| *letter).collect();
        let (mut at, mut open) = (0, false);
        while at < text.len() {
            if let Some((word, id)) = self.special.iter().find(|(word, _)| starts_with(&text[at..], word)) {
                found.push(*id, Some(letters[at].1));
                at += word.chars().count();
                open = false;
                continue;
            }
            let (letter, place) = letters[at];
            at += 1;
            if !is_known(&letter) {
                found.unknown.push(letter);
            }
            let Some(id) = self.ids.get(&letter).copied().or(self.unknown) else { continue };
            if self.options.add_blank && !open {
                found.push(0, None);
            }
            found.push(id, Some(place));
            if self.options.add_blank {
                found.push(0, None);
            }
            open = true;
        }
        Ok(found)
    }

    /// Small letters, but for the words of the vocabulary.
    fn lower_case(&self, text: &str) -> Vec<(char, usize)> {
        let mut letters = Vec::with_capacity(text.len());
        let mut place = 0;
        while let Some(letter) = text[place..].chars().next() {
            let word = self
                .words
                .get(&letter)
                .into_iter()
                .flatten()
                .find(|word| text[place..].starts_with(word.as_str()));
            match word {
                Some(word) => {
                    letters.extend(word.char_indices().map(|(offset, letter)| (letter, place + offset)));
                    place += word.len();
                }
                None => {
                    letters.extend(letter.to_lowercase().map(|lower| (lower, place)));
                    place += letter.len_utf8();
                }
            }
        }
        letters
    }
}

impl Spelled {
    fn push(&mut self, id: u32, place: Option<usize>) {
        self.ids.push(id);
        self.places.push(place);
    }
}

fn starts_with(text: &[char], word: &str) -> bool {
    let mut text = text.iter();
    word.chars().all(|letter| text.next() == Some(&letter))
}

fn trimmed(mut letters: Vec<(char, usize)>) -> Vec<(char, usize)> {
    let is_space = |(letter, _): &(char, usize)| letter.is_whitespace();
    let end = letters.iter().rposition(|letter| !is_space(letter)).map_or(0, |last| last + 1);
    letters.truncate(end);
    let start = letters.iter().position(|letter| !is_space(letter)).unwrap_or(0);
    letters.split_off(start)
}

/// Runs of white space as one space, none at either end.
fn single_spaces(letters: Vec<(char, usize)>) -> Vec<(char, usize)> {
    let mut single: Vec<(char, usize)> = Vec::with_capacity(letters.len());
    for (letter, place) in letters {
        match letter.is_whitespace() {
            true if single.last().is_some_and(|(last, _)| *last == ' ') => {}
            true => single.push((' ', place)),
            false => single.push((letter, place)),
        }
    }
    trimmed(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(vocabulary: &str, config: &str) -> CharacterTokens {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(VOCABULARY), vocabulary).unwrap();
        std::fs::write(folder.path().join(CONFIG), config).unwrap();
        CharacterTokens::open(&Files::Dir(folder.path().into())).unwrap()
    }

    #[test]
    fn each_id_knows_where_its_letter_stands() {
        let tokens =
            tokens(r#"{"_": 0, "a": 1, "é": 2, " ": 3}"#, r#"{"phonemize": false, "pad_token": "_"}"#);
        let found = tokens.encode(" É?  a", Writing::Letters).unwrap();
        assert_eq!(found.ids, [0, 2, 0, 3, 0, 3, 0, 1, 0]);
        let places = [None, Some(1), None, Some(4), None, Some(5), None, Some(6), None];
        assert_eq!((&found.places[..], &found.unknown[..]), (&places[..], &['?'][..]));
        assert!(tokens.encode("?!", Writing::Letters).unwrap().ids.is_empty());
    }

    #[test]
    fn what_needs_a_helper_says_so() {
        let tokens_of = |config| tokens(r#"{"_": 0, "a": 1}"#, config);
        let refused = |config, writing| tokens_of(config).encode("ä", writing).unwrap_err().to_string();
        assert!(refused("{}", Writing::Letters).contains("phonemes"));
        assert!(refused(r#"{"phonemize": false, "is_uroman": true}"#, Writing::Letters).contains("uroman"));
        assert!(
            tokens_of(r#"{"phonemize": false, "is_uroman": true}"#).encode("A", Writing::Letters).is_ok()
        );
        assert_eq!(tokens_of("{}").encode("a", Writing::Phonemes).unwrap().ids, [0, 1, 0]);
    }
}
