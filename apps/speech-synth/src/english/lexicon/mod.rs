//! How words are said: a user's lexicon, the words beside, CMUdict, rules, and a net for what is left.
//!
//! - `user`: a user's own words
//! - `heteronyms`: words that are said by what stands beside them
//! - `dictionary`: CMUdict in few bytes
//! - `inflection`: words made from others

mod dictionary;
mod heteronyms;
mod inflection;
mod user;

use std::collections::HashMap;

use anyhow::{Context, Result};
use models::checkpoint::Files;

use super::g2p::LettersToPhones;
use super::phones::{Phone, from_arpabet};

pub use dictionary::Dictionary;
pub use heteronyms::Beside;
pub use user::read as read_user_lexicon;

/// The file of the dictionary in a model's folder.
pub const DICTIONARY: &str = "words.bin";
/// Bytes of that file at most.
const LARGEST: u64 = 64 << 20;

/// The names of the letters `A` to `Z`.
const LETTERS: [&str; 26] = [
    "EY1",
    "B IY1",
    "S IY1",
    "D IY1",
    "IY1",
    "EH1 F",
    "JH IY1",
    "EY1 CH",
    "AY1",
    "JH EY1",
    "K EY1",
    "EH1 L",
    "EH1 M",
    "EH1 N",
    "OW1",
    "P IY1",
    "K Y UW1",
    "AA1 R",
    "EH1 S",
    "T IY1",
    "Y UW1",
    "V IY1",
    "D AH1 B AH0 L Y UW0",
    "EH1 K S",
    "W AY1",
    "Z IY1",
];

/// Everything that is known of how words are said.
pub struct Lexicon {
    user: HashMap<String, Vec<Phone>>,
    dictionary: Dictionary,
    letters_to_phones: LettersToPhones,
}

impl inflection::Known for Lexicon {
    fn known(&self, word: &str) -> Option<Vec<Phone>> {
        self.user.get(word).cloned().or_else(|| self.dictionary.get(word).map(<[Phone]>::to_vec))
    }
}

impl Lexicon {
    /// Reads `words.bin`, `config.json` and `model.safetensors` from a folder.
    ///
    /// # Errors
    /// Files that are missing or something else.
    pub fn open(files: Files) -> Result<Self> {
        let dictionary = Dictionary::unpack(&files.read(DICTIONARY, LARGEST)?)
            .with_context(|| files.describe(DICTIONARY))?;
        Ok(Self { user: HashMap::new(), dictionary, letters_to_phones: LettersToPhones::open(files)? })
    }

    /// The same, where a user's words come first: the text of a `--lexicon` file, on each line a word, a tab and its
    /// phones in ARPABET or IPA.
    ///
    /// # Errors
    /// The first line that is none, by its number.
    pub fn with_user(self, text: &str) -> Result<Self> {
        Ok(Self { user: user::read(text)?, ..self })
    }

    /// The phones of a word as `normalise` gives it, by everything but the net.
    pub fn look_up(&self, word: &str, beside: &Beside) -> Option<Vec<Phone>> {
        if let Some(phones) = self.user.get(word) {
            return Some(phones.clone());
        }
        if let Some(phones) = letter(word) {
            // a user's letter is in small letters
            return Some(self.user.get(&word.to_lowercase()).cloned().unwrap_or(phones));
        }
        let word = word.to_lowercase();
        heteronyms::choose(&word, beside)
            .or_else(|| heteronyms::choose_plural(&word, beside))
            .or_else(|| self.dictionary.get(&word).map(<[Phone]>::to_vec))
            .or_else(|| inflection::derived(&word, self))
    }

    /// The phones of words by the net; none of a word in another script. It has learned no apostrophes: possessives are
    /// those of their stems.
    ///
    /// # Errors
    /// None on the processor.
    pub fn guess(&self, words: &[&str]) -> Result<Vec<Vec<Phone>>> {
        let stem = |word: &&str| word.strip_suffix("'s").unwrap_or(word).replace('\'', "");
        let stems: Vec<String> = words.iter().map(stem).collect();
        let stems: Vec<&str> = stems.iter().map(String::as_str).collect();
        let mut said = self.letters_to_phones.say(&stems)?;
        for (word, phones) in words.iter().zip(&mut said) {
            if word.ends_with("'s") && !phones.is_empty() {
                *phones = inflection::with_s(std::mem::take(phones));
            }
        }
        Ok(said)
    }
}

/// The name of a letter in a capital, also of several (`B's`).
fn letter(word: &str) -> Option<Vec<Phone>> {
    let (letter, plural) = match word.strip_suffix("'s") {
        Some(letter) => (letter, true),
        None => (word, false),
    };
    let &[capital @ b'A'..=b'Z'] = letter.as_bytes() else { return None };
    let name = from_arpabet(LETTERS[usize::from(capital - b'A')]).ok()?;
    Some(if plural { inflection::with_s(name) } else { name })
}
