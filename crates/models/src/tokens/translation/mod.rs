//! Texts of two languages to ids and back, as translators were taught them: with the tokens that name languages where
//! each family has them. As transformers' tokenizers do it, MarianTokenizer without sacremoses.
//!
//! | family | a source's ids | a target's | begins decoding |
//! |---|---|---|---|
//! | Marian (also with one `tokenizer.json`) | `>>xxx<<` if there are several targets, text, `</s>` | text, `</s>` | |
//! | M2M100, NLLB-200, mBART-50 | language, text, `</s>` | language, text, `</s>` | the target's language |
//! | T5, Flan, MADLAD-400 | `<2xx>` if there is such, text, `</s>` | text, `</s>` | |
//!
//! - `codes`: languages that stand in no file
//! - `open`: the families' files
//! - `side`: one language's pieces

mod codes;
mod open;
mod side;

use candle_core::Result;
use side::Side;

/// A translator's tokenizer.
pub struct TranslationTokens {
    source: Side,
    /// Where it is another.
    target: Option<Side>,
    family: Family,
    end: u32,
    /// Codes, as they stand within a token's marks, with the tokens' ids, sorted.
    languages: Vec<(String, u32)>,
    /// Whether spaces before marks of punctuation are taken out of what is decoded.
    tidies: bool,
}

/// How ids of a text are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// The target's language first, where one is named.
    Named,
    /// The text's own language first.
    Own,
    /// The text's own language last, as NLLB once had it.
    OwnLast,
}

impl TranslationTokens {
    /// The ids of a text to be translated, with all that a net expects around it. A family that puts the text's own
    /// language there needs `source_language`, others put `target_language` there if it is given.
    ///
    /// # Errors
    /// One line on a language that is needed, or that the model has no token for, and if there is no id for a part of the
    /// text.
    pub fn encode_source(
        &self,
        text: &str,
        source_language: Option<&str>,
        target_language: Option<&str>,
    ) -> Result<Vec<u32>> {
        let language = match self.family {
            Family::Named => target_language,
            Family::Own | Family::OwnLast => Some(needed(source_language, "source")?),
        };
        self.framed(language, self.source.encode(text)?)
    }

    /// The ids of a translation, as a decoder is to say them. A family that begins with the language needs it.
    ///
    /// # Errors
    /// As [`TranslationTokens::encode_source`].
    pub fn encode_target(&self, text: &str, target_language: Option<&str>) -> Result<Vec<u32>> {
        let language = match self.family {
            Family::Named => None,
            Family::Own | Family::OwnLast => Some(needed(target_language, "target")?),
        };
        self.framed(language, self.target().encode(text)?)
    }

    fn framed(&self, language: Option<&str>, mut text: Vec<u32>) -> Result<Vec<u32>> {
        let language = language.map(|code| self.language(code)).transpose()?;
        if self.family == Family::OwnLast {
            text.push(self.end);
            text.extend(language);
            return Ok(text);
        }
        text.splice(0..0, language);
        text.push(self.end);
        Ok(text)
    }

    /// The text of a decoder's ids, without special tokens and languages.
    ///
    /// # Errors
    /// If the tokenizer cannot put them together.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let is_language = |id: &u32| self.languages.iter().any(|(_, language)| language == id);
        // a Marian that says the mark of a language says it as text, as in transformers
        let skipped = |id: &&u32| **id != self.end && (self.family == Family::Named || !is_language(id));
        let ids: Vec<u32> = ids.iter().filter(skipped).copied().collect();
        let text = self.target().decode(&ids, &self.source)?;
        Ok(if self.tidies { tidied(text) } else { text })
    }

    /// The languages that the model has a token for, by their codes (`fra` of `>>fra<<`, `fr` of `__fr__` and `<2fr>`,
    /// `fra_Latn`, `fr_XX`), sorted, with the tokens' ids. None where the model knows one pair of languages alone, and
    /// where it is told by words.
    pub fn languages(&self) -> &[(String, u32)] {
        &self.languages
    }

    /// What a decoder is made to say first, for a translation to be in this language; nothing in families where the source
    /// tells it.
    ///
    /// # Errors
    /// One line on a language that the model has no token for.
    pub fn forced_first(&self, target_language: &str) -> Result<Option<u32>> {
        let language = self.language(target_language)?;
        Ok(Some(language).filter(|_| self.family != Family::Named))
    }

    /// The id that ends every text.
    pub fn end(&self) -> u32 {
        self.end
    }

    fn target(&self) -> &Side {
        self.target.as_ref().unwrap_or(&self.source)
    }

    fn language(&self, code: &str) -> Result<u32> {
        if let Ok(place) = self.languages.binary_search_by(|(one, _)| one.as_str().cmp(code)) {
            return Ok(self.languages[place].1);
        }
        let some: Vec<&str> = self.languages.iter().take(5).map(|(code, _)| code.as_str()).collect();
        match self.languages.len() {
            0 => {
                refuse!("the model has no tokens that name a language, so none can be chosen ({code:?} was)")
            }
            count => {
                refuse!(
                    "the model has no token for the language {code:?}: {count} are there, as {}",
                    some.join(", ")
                )
            }
        }
    }
}

fn needed<'a>(language: Option<&'a str>, which: &str) -> Result<&'a str> {
    match language {
        Some(code) => Ok(code),
        None => refuse!("this model must be told the {which}'s language"),
    }
}

// transformers' clean_up_tokenization
fn tidied(mut text: String) -> String {
    let marks = [" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"];
    for mark in marks {
        if text.contains(mark) {
            text = text.replace(mark, mark.trim());
        }
    }
    text
}
