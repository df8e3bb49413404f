//! A user's own lexicon: a word, a tab, its phones.

use std::collections::HashMap;

use anyhow::{Result, bail};

use crate::english::phones::{Phone, from_arpabet, from_ipa};

/// Reads a lexicon: on each line a word, a tab and its phones in ARPABET (`HH AH0 L OW1`) or IPA (`həˈloʊ`, also between
/// strokes). Blank lines and those that begin with `#` are passed over; of a word that comes twice the last line counts.
///
/// # Errors
/// The first line that is none of these, by its number.
pub fn read(text: &str) -> Result<HashMap<String, Vec<Phone>>> {
    let mut words = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end_matches('\r');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((word, said)) = line.split_once('\t') else {
            bail!("line {number}: `{line}` has no tab between a word and its phones")
        };
        let (word, said) = (word.trim().to_lowercase(), said.trim());
        if word.is_empty() || word.contains(char::is_whitespace) {
            bail!("line {number}: `{word}` is not one word")
        }
        let phones = match phones(said) {
            Ok(phones) if phones.is_empty() => bail!("line {number}: `{word}` has no phones"),
            Ok(phones) => phones,
            Err(error) => bail!("line {number}: {error}"),
        };
        words.insert(word.replace('’', "'"), phones);
    }
    Ok(words)
}

/// Phones in either alphabet: ARPABET is in capitals or has digits.
fn phones(said: &str) -> Result<Vec<Phone>, String> {
    if let Some(ipa) = said.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        return from_ipa(ipa);
    }
    match from_arpabet(said) {
        Err(error) if said.bytes().any(|byte| byte.is_ascii_uppercase()) => Err(error),
        Err(_) => from_ipa(said),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::phones::to_arpabet;

    #[test]
    fn both_alphabets_are_read() {
        let words =
            read("# mine\nGIF\tJH IH1 F\n\nhello\thəˈləʊ\r\nO’Neill\t/oʊˈnil/\ngif\tG IH1 F\n").unwrap();
        assert_eq!(words.len(), 3);
        assert_eq!(to_arpabet(&words["gif"]), "G IH1 F");
        assert_eq!(to_arpabet(&words["hello"]), "HH AH0 L OW1");
        assert_eq!(to_arpabet(&words["o'neill"]), "OW0 N IY1 L");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let check = |text: &str, expected: &str| assert_eq!(read(text).unwrap_err().to_string(), expected);
        check("\nhello HH", "line 2: `hello HH` has no tab between a word and its phones");
        check("two words\tT UW1", "line 1: `two words` is not one word");
        check("x\tHH XX", "line 1: `XX` is no phone of ARPABET");
        check("x\thʘ", "line 1: `ʘ` is no sound of English in IPA");
        check("x\t", "line 1: `x` has no phones");
    }
}
