//! CMUdict as data to learn from: which words, which of them are held out.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail};

use super::letters::letters;
use super::net::FRAMES;
use crate::english::phones::{Phone, from_arpabet};

/// A word and how it may be said, the first way first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In lower case, as CMUdict writes it.
    pub word: String,
    /// At least one.
    pub variants: Vec<Vec<Phone>>,
}

/// The entries of `cmudict.dict`, in its order: `word PHONES`, `word(2) PHONES` for another way to say it, comments after
/// `#`.
///
/// # Errors
/// A line that is none of these.
pub fn read_cmudict(text: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(";;;") {
            continue;
        }
        let Some((word, phones)) = line.split_once(char::is_whitespace) else {
            bail!("line {number}: `{line}` is not a word and its phones")
        };
        let word = word.split('(').next().unwrap_or_default();
        let phones = match from_arpabet(phones) {
            Ok(phones) if !phones.is_empty() => phones,
            Ok(_) => bail!("line {number}: `{word}` has no phones"),
            Err(error) => bail!("line {number}: {error}"),
        };
        let place = *places.entry(word).or_insert(entries.len());
        match entries.get_mut(place) {
            Some(entry) => entry.variants.push(phones),
            None => entries.push(Entry { word: word.into(), variants: vec![phones] }),
        }
    }
    Ok(entries)
}

/// Words to learn from, and words that are not seen while learning.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// To learn from.
    pub train: Vec<Entry>,
    /// To measure with.
    pub held_out: Vec<Entry>,
}

/// Endings that do not make another word of a word, the longest first.
const ENDINGS: [&str; 17] = [
    "nesses", "lessly", "ingly", "ness", "edly", "ings", "ment", "less", "ies", "ied", "ers", "ing", "est",
    "es", "ed", "er", "ly",
];

/// The word that a word is an inflection of, as far as endings tell and the dictionary has it; else the word itself.
fn stem(word: &str, known: &HashSet<&str>) -> String {
    let mut stem = word.to_string();
    'again: loop {
        for ending in ENDINGS.iter().chain(&["s", "y"]) {
            let Some(rest) = stem.strip_suffix(ending).filter(|rest| rest.len() >= 2) else { continue };
            let doubled = rest.as_bytes().windows(2).last().is_some_and(|pair| pair[0] == pair[1]);
            let single = if doubled { &rest[..rest.len() - 1] } else { rest };
            let candidates = [rest.to_string(), format!("{rest}e"), format!("{rest}y"), single.to_string()];
            if let Some(found) = candidates.into_iter().find(|word| known.contains(word.as_str()))
                && (3..stem.len()).contains(&found.len())
            {
                stem = found;
                continue 'again;
            }
        }
        return stem;
    }
}

/// Splits the words that have letters alone and two at least, possessives left out. A tenth is held out, by a hash of
/// the stem: a word and its inflections come to one side.
pub fn split(entries: &[Entry]) -> Split {
    let usable = |entry: &&Entry| {
        let (word, count) = (&entry.word, letters(&entry.word).len());
        let plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
        plain && count >= 2 && entry.variants.iter().all(|phones| fits(phones, count))
    };
    let known: HashSet<&str> = entries.iter().map(|entry| entry.word.as_str()).collect();
    let mut split = Split::default();
    for entry in entries.iter().filter(usable) {
        let hash = training::hash(stem(&entry.word, &known).bytes());
        // the upper bits depend on all letters
        let side = if (hash >> 32) % 10 == 0 { &mut split.held_out } else { &mut split.train };
        side.push(entry.clone());
    }
    split
}

/// Whether the net has room to say the phones: equal neighbours need a blank between them.
fn fits(phones: &[Phone], letters: usize) -> bool {
    let repeated = phones.windows(2).filter(|pair| pair[0] == pair[1]).count();
    phones.len() + repeated <= FRAMES * letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_entries_and_inflections_stay_together() {
        let text =
            "a AH0\na(2) EY1\nwalk W AO1 K # a comment\nwalked W AO1 K T\nwalk's W AO1 K S\n\n;;; no\n";
        let entries = read_cmudict(text).unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[0].variants.len(), 2);
        let split = split(&entries);
        let sides = [&split.train, &split.held_out];
        // one letter and possessives are left out
        assert!(sides.iter().any(|side| side.len() == 2) && sides.iter().any(|side| side.is_empty()));
        assert!(read_cmudict("word\n").unwrap_err().to_string().contains("line 1"));
        assert!(read_cmudict("word W XX\n").unwrap_err().to_string().contains("`XX`"));
    }

    #[test]
    fn stems_are_found() {
        let known = ["make", "stop", "try", "nation", "happy", "use"].into();
        let check = |word: &str, expected: &str| assert_eq!(stem(word, &known), expected);
        check("making", "make");
        check("stopped", "stop");
        check("tried", "try");
        check("tries", "try");
        check("makers", "make");
        check("uses", "use");
        check("nations", "nation");
        check("thing", "thing");
    }
}
