//! English items -> the symbols of a voice, and where in the text they come from.

use std::collections::HashMap;

use anyhow::{Result, anyhow};
use models::nets::voice::Phone as Sign;

use crate::english::normalise::Pause;
use crate::english::phones::{COUNT, Phone, from_arpabet, from_ipa};
use crate::english::{Item, Word};

/// The silence that a text begins with.
const SILENCE: &str = "pau";

/// What the symbols of a new voice are called: pauses, then phones, each vowel with its three stresses.
pub fn names() -> Vec<String> {
    let pauses = [SILENCE, ",", ".", "!", "?"].map(String::from);
    let phones = (0..COUNT as u8).filter_map(Phone::from_id).map(|phone| phone.to_string());
    pauses.into_iter().chain(phones).collect()
}

fn pause(kind: Pause) -> &'static str {
    match kind {
        Pause::Comma => ",",
        Pause::Stop | Pause::Paragraph => ".",
        Pause::Exclamation => "!",
        Pause::Question => "?",
    }
}

/// The numbers of a voice's symbols.
pub struct Symbols {
    silence: u32,
    pauses: HashMap<&'static str, u32>,
    phones: Vec<u32>,
}

/// A text in symbols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The symbols.
    pub signs: Vec<Sign>,
    /// The byte of the text that each comes from; none for a pause.
    pub places: Vec<Option<usize>>,
    /// Letters of words that cannot be said.
    pub unknown: Vec<char>,
}

impl Spelling {
    fn push(&mut self, symbol: u32, begins: bool, place: Option<usize>) {
        self.signs.push(Sign { symbol, begins });
        self.places.push(place);
    }
}

impl Symbols {
    /// Of a voice whose symbols have these names.
    ///
    /// # Errors
    /// A phone or a pause that is not among them.
    pub fn new(names: &[String]) -> Result<Self> {
        let find = |name: &str| {
            let place = names.iter().position(|known| known == name);
            place.map(|place| place as u32).ok_or_else(|| anyhow!("config.json: no symbol `{name}`"))
        };
        let phones = (0..COUNT as u8).filter_map(Phone::from_id).map(|phone| find(&phone.to_string()));
        Ok(Self {
            silence: find(SILENCE)?,
            pauses: [",", ".", "!", "?"]
                .into_iter()
                .map(|mark| Ok((mark, find(mark)?)))
                .collect::<Result<_>>()?,
            phones: phones.collect::<Result<_>>()?,
        })
    }

    /// Silence, words and pauses, and a pause at the end.
    pub fn spell(&self, text: &str, items: &[Item]) -> Spelling {
        let mut spelling = Spelling::default();
        spelling.push(self.silence, false, None);
        let mut silent = true;
        for item in items {
            match item {
                // a silence lasts once
                Item::Pause { .. } if silent => {}
                Item::Pause { kind, .. } => {
                    spelling.push(self.pauses[pause(*kind)], false, None);
                    silent = true;
                }
                Item::Word(Word { phones, span, .. }) if phones.is_empty() => {
                    let letters = text.get(span.clone()).unwrap_or_default().chars();
                    spelling.unknown.extend(letters.filter(|letter| letter.is_alphanumeric()));
                }
                Item::Word(Word { phones, span, .. }) => {
                    for (i, phone) in phones.iter().enumerate() {
                        let symbol = self.phones[usize::from(phone.id())];
                        spelling.push(symbol, i == 0, Some(span.start));
                    }
                    silent = false;
                }
            }
        }
        if !silent {
            spelling.push(self.pauses["."], false, None);
        }
        spelling
    }

    /// Whether a symbol is silent.
    pub fn is_silent(&self, symbol: u32) -> bool {
        symbol == self.silence || self.pauses.values().any(|pause| *pause == symbol)
    }
}

/// Words that are given in IPA, with white space between them and marks behind.
///
/// # Errors
/// A letter that is no sound of English.
pub fn ipa(text: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for word in text.split_whitespace() {
        let phones = |core: &str| from_ipa(core).map(stressed).map_err(|why| anyhow!("--ipa: {why}"));
        push(&mut items, text, word, phones)?;
    }
    Ok(items)
}

/// A full vowel that is the only one of its word has the stress, though nobody marks it.
fn stressed(mut phones: Vec<Phone>) -> Vec<Phone> {
    let mut vowels = phones.iter_mut().filter(|phone| phone.is_vowel());
    if let (Some(vowel), None) = (vowels.next(), vowels.next())
        && vowel.stress() == Some(0)
        && vowel.symbol() != "AH"
    {
        *vowel = vowel.with_stress(1);
    }
    phones
}

/// Words that are given in ARPABET, with `|` or a mark between them.
///
/// # Errors
/// A symbol that is no phone.
pub fn arpabet(text: &str) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for word in text.split('|').flat_map(|words| words.split_inclusive(MARKS)) {
        push(&mut items, text, word, |core| from_arpabet(core).map_err(|why| anyhow!("--arpabet: {why}")))?;
    }
    Ok(items)
}

const MARKS: [char; 6] = [',', ';', ':', '.', '!', '?'];

fn push(
    items: &mut Vec<Item>,
    text: &str,
    word: &str,
    phones: impl Fn(&str) -> Result<Vec<Phone>>,
) -> Result<()> {
    let word = word.trim();
    let core = word.trim_matches(MARKS).trim();
    let start = core.as_ptr() as usize - text.as_ptr() as usize;
    if !core.is_empty() {
        let span = start..start + core.len();
        items.push(Item::Word(Word { text: core.to_string(), span, phones: phones(core)? }));
    }
    let kind = match word.chars().last() {
        Some(',' | ';' | ':') => Pause::Comma,
        Some('.') => Pause::Stop,
        Some('!') => Pause::Exclamation,
        Some('?') => Pause::Question,
        _ => return Ok(()),
    };
    let end = word.as_ptr() as usize - text.as_ptr() as usize + word.len();
    items.push(Item::Pause { kind, span: end - 1..end });
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(text: &str, items: &[Item]) -> String {
        let names = names();
        let spelling = Symbols::new(&names).unwrap().spell(text, items);
        let sign = |(sign, place): (&Sign, &Option<usize>)| {
            let begins = if sign.begins { "_" } else { "" };
            let place = place.map_or(String::new(), |place| format!("@{place}"));
            format!("{begins}{}{place}", names[sign.symbol as usize])
        };
        spelling.signs.iter().zip(&spelling.places).map(sign).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn phonemes_become_symbols() {
        let text = "həˈləʊ, kæt?";
        let expected = "pau _HH@0 AH0@0 L@0 OW1@0 , _K@12 AE1@12 T@12 ?";
        assert_eq!(told(text, &ipa(text).unwrap()), expected);
        let text = "HH AH0 L OW1, K AE1 T | AH0";
        let expected = "pau _HH@0 AH0@0 L@0 OW1@0 , _K@14 AE1@14 T@14 _AH0@24 .";
        assert_eq!(told(text, &arpabet(text).unwrap()), expected);
        assert!(ipa("ʘ").unwrap_err().to_string().contains('ʘ'));
        assert!(arpabet("XX").unwrap_err().to_string().contains("XX"));
    }

    #[test]
    fn silences_come_once_and_what_cannot_be_said_is_told() {
        let word = |text: &str, span, phones: &str| {
            Item::Word(Word { text: text.into(), span, phones: from_arpabet(phones).unwrap() })
        };
        let pause = |kind| Item::Pause { kind, span: 0..0 };
        let text = "a 文.";
        let items = [
            pause(Pause::Comma),
            word("a", 0..1, "AH0"),
            word("文", 2..5, ""),
            pause(Pause::Stop),
            pause(Pause::Paragraph),
        ];
        assert_eq!(told(text, &items), "pau _AH0@0 .");
        let symbols = Symbols::new(&names()).unwrap();
        assert_eq!(symbols.spell(text, &items).unknown, ['文']);
        assert_eq!(symbols.spell("", &[]).signs.len(), 1);
        assert!(Symbols::new(&names()[1..]).is_err());
    }
}
