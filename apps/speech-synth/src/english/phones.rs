//! The sounds of American English: ARPABET with stress, as CMUdict writes it, and the same in IPA.

use std::fmt;
use std::str::FromStr;

/// Consonants: ARPABET and IPA.
const CONSONANTS: [(&str, &str); 24] = [
    ("B", "b"),
    ("CH", "tʃ"),
    ("D", "d"),
    ("DH", "ð"),
    ("F", "f"),
    ("G", "ɡ"),
    ("HH", "h"),
    ("JH", "dʒ"),
    ("K", "k"),
    ("L", "l"),
    ("M", "m"),
    ("N", "n"),
    ("NG", "ŋ"),
    ("P", "p"),
    ("R", "ɹ"),
    ("S", "s"),
    ("SH", "ʃ"),
    ("T", "t"),
    ("TH", "θ"),
    ("V", "v"),
    ("W", "w"),
    ("Y", "j"),
    ("Z", "z"),
    ("ZH", "ʒ"),
];

/// Vowels: ARPABET, IPA, and IPA without stress where that is another letter.
const VOWELS: [(&str, &str, &str); 15] = [
    ("AA", "ɑ", "ɑ"),
    ("AE", "æ", "æ"),
    ("AH", "ʌ", "ə"),
    ("AO", "ɔ", "ɔ"),
    ("AW", "aʊ", "aʊ"),
    ("AY", "aɪ", "aɪ"),
    ("EH", "ɛ", "ɛ"),
    ("ER", "ɝ", "ɚ"),
    ("EY", "eɪ", "eɪ"),
    ("IH", "ɪ", "ɪ"),
    ("IY", "i", "i"),
    ("OW", "oʊ", "oʊ"),
    ("OY", "ɔɪ", "ɔɪ"),
    ("UH", "ʊ", "ʊ"),
    ("UW", "u", "u"),
];

/// How many different phones there are: consonants, and each vowel without stress, with the main one and another one.
pub const COUNT: usize = CONSONANTS.len() + 3 * VOWELS.len();

/// A phone; a vowel knows its stress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Phone(u8);

impl Phone {
    /// By its number, below [`COUNT`].
    pub fn from_id(id: u8) -> Option<Self> {
        (usize::from(id) < COUNT).then_some(Self(id))
    }

    /// Its number: consonants come first, then the vowels, each with stress 0, 1 and 2.
    pub fn id(self) -> u8 {
        self.0
    }

    /// Whether it is a vowel.
    pub fn is_vowel(self) -> bool {
        usize::from(self.0) >= CONSONANTS.len()
    }

    /// Of a vowel: 0 without stress, 1 with the main one, 2 with another one.
    pub fn stress(self) -> Option<u8> {
        self.is_vowel().then(|| (self.0 - CONSONANTS.len() as u8) % 3)
    }

    /// The same vowel with another stress; a consonant stays as it is.
    pub fn with_stress(self, stress: u8) -> Self {
        match self.stress() {
            Some(old) => Self(self.0 - old + stress.min(2)),
            None => self,
        }
    }

    /// Its ARPABET symbol, without stress.
    pub fn symbol(self) -> &'static str {
        match self.vowel() {
            Some((symbol, ..)) => symbol,
            None => CONSONANTS[usize::from(self.0)].0,
        }
    }

    /// Its IPA symbol, without a mark of stress.
    pub fn ipa(self) -> &'static str {
        match (self.vowel(), self.stress()) {
            (Some((.., reduced)), Some(0)) => reduced,
            (Some((_, full, _)), _) => full,
            (None, _) => CONSONANTS[usize::from(self.0)].1,
        }
    }

    fn vowel(self) -> Option<(&'static str, &'static str, &'static str)> {
        VOWELS.get(usize::from(self.0).checked_sub(CONSONANTS.len())? / 3).copied()
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.symbol())?;
        match self.stress() {
            Some(stress) => write!(f, "{stress}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Phone {
    type Err = String;

    /// `HH`, `AH0`; a vowel without a digit has no stress.
    fn from_str(text: &str) -> Result<Self, String> {
        let (symbol, stress) = match text.as_bytes() {
            [.., stress @ b'0'..=b'2'] => (&text[..text.len() - 1], Some(stress - b'0')),
            _ => (text, None),
        };
        if let Some(place) = VOWELS.iter().position(|(vowel, ..)| vowel.eq_ignore_ascii_case(symbol)) {
            return Ok(Self((CONSONANTS.len() + 3 * place) as u8 + stress.unwrap_or(0)));
        }
        match CONSONANTS.iter().position(|(consonant, _)| consonant.eq_ignore_ascii_case(symbol)) {
            Some(place) if stress.is_none() => Ok(Self(place as u8)),
            Some(_) => Err(format!("`{text}`: a consonant has no stress")),
            None => Err(format!("`{text}` is no phone of ARPABET")),
        }
    }
}

/// Phones in ARPABET, with spaces between them.
///
/// # Errors
/// A symbol that is none, named.
pub fn from_arpabet(text: &str) -> Result<Vec<Phone>, String> {
    text.split_whitespace().map(str::parse).collect()
}

/// Phones as ARPABET.
pub fn to_arpabet(phones: &[Phone]) -> String {
    phones.iter().map(Phone::to_string).collect::<Vec<_>>().join(" ")
}

/// What IPA may write for a phone, beside the symbols above; the longest that fits is read. British vowels become the
/// American ones that stand nearest.
const SPELLINGS: [(&str, &str); 57] = [
    ("t͡ʃ", "CH"),
    ("ʧ", "CH"),
    ("d͡ʒ", "JH"),
    ("ʤ", "JH"),
    ("g", "G"),
    ("r", "R"),
    ("ɾ", "D"),
    ("ʔ", "T"),
    ("ɫ", "L"),
    ("ʍ", "W"),
    ("x", "K"),
    ("ç", "HH"),
    ("a͡ʊ", "AW"),
    ("a͡ɪ", "AY"),
    ("e͡ɪ", "EY"),
    ("o͡ʊ", "OW"),
    ("ɔ͡ɪ", "OY"),
    ("əʊ", "OW"),
    ("ɑʊ", "AW"),
    ("ɑɪ", "AY"),
    ("ɛɪ", "EY"),
    ("eə", "EH R"),
    ("ɛə", "EH R"),
    ("ɪə", "IH R"),
    ("ʊə", "UH R"),
    ("ɜ", "ER"),
    ("ɜɹ", "ER"),
    ("ɜr", "ER"),
    ("əɹ", "ER"),
    ("ər", "ER"),
    ("ɝɹ", "ER"),
    ("ɚɹ", "ER"),
    ("ʌɹ", "ER"),
    ("ɐ", "AH"),
    ("ə", "AH"),
    ("ɘ", "AH"),
    ("ɵ", "AH"),
    ("ɚ", "ER"),
    ("ɒ", "AA"),
    ("a", "AA"),
    ("e", "EH"),
    ("o", "OW"),
    ("ɨ", "IH"),
    ("ᵻ", "IH"),
    ("ɪ̈", "IH"),
    ("ʉ", "UW"),
    ("y", "UW"),
    ("œ", "ER"),
    ("ø", "ER"),
    ("n̩", "AH N"),
    ("l̩", "AH L"),
    ("m̩", "AH M"),
    ("ɹ̩", "ER"),
    ("r̩", "ER"),
    ("ɬ", "L"),
    ("ɲ", "N Y"),
    ("ɱ", "M"),
];

/// Phones in IPA: `həˈləʊ`. Marks of length, of syllables and ties are passed over; a mark of stress falls on the next
/// vowel.
///
/// # Errors
/// A letter that is no sound of English, named.
pub fn from_ipa(text: &str) -> Result<Vec<Phone>, String> {
    let own = CONSONANTS.iter().map(|(arpabet, ipa)| (*ipa, *arpabet));
    let own = own.chain(VOWELS.iter().map(|(arpabet, ipa, _)| (*ipa, *arpabet)));
    let spellings: Vec<(&str, &str)> = own.chain(SPELLINGS).collect();
    // a long vowel is spelled like a short one, so that what follows it is seen beside it
    let text = text.replace(['ː', 'ˑ'], "");
    let (mut phones, mut rest, mut stress) = (Vec::new(), text.as_str(), 0);
    while let Some(letter) = rest.chars().next() {
        let found =
            spellings.iter().filter(|(ipa, _)| rest.starts_with(ipa)).max_by_key(|(ipa, _)| ipa.len());
        match found {
            Some((ipa, arpabet)) => {
                for phone in from_arpabet(arpabet)? {
                    phones.push(phone.with_stress(stress));
                    stress = if phone.is_vowel() { 0 } else { stress };
                }
                rest = &rest[ipa.len()..];
                continue;
            }
            None => match letter {
                'ˈ' | '\'' => stress = 1,
                'ˌ' => stress = 2,
                '.' | '‿' | '͡' | '\u{329}' | '\u{303}' | '\u{32a}' | 'ʰ' | 'ʲ' | ' ' | '(' | ')' => {}
                _ => return Err(format!("`{letter}` is no sound of English in IPA")),
            },
        }
        rest = &rest[letter.len_utf8()..];
    }
    Ok(phones)
}

/// Consonants that may stand together before a vowel, so that a mark of stress comes before all of them.
fn begins_syllable(consonants: &[Phone]) -> bool {
    let symbols: Vec<&str> = consonants.iter().map(|phone| phone.symbol()).collect();
    match symbols.as_slice() {
        [] => true,
        ["NG"] => false,
        [_] => true,
        ["S", "P" | "T" | "K" | "M" | "N" | "F" | "L" | "W"] => true,
        ["P" | "B" | "K" | "G" | "F", "L"] => true,
        ["P" | "B" | "T" | "D" | "K" | "G" | "F" | "TH" | "SH", "R"] => true,
        ["T" | "D" | "K" | "G" | "TH" | "HH", "W"] => true,
        ["P" | "B" | "K" | "F" | "V" | "M" | "HH", "Y"] => true,
        ["S", "P" | "T" | "K", "R"] | ["S", "P", "L"] | ["S", "K", "W"] => true,
        _ => false,
    }
}

/// Phones as IPA, with marks of stress before the syllables that have it.
pub fn to_ipa(phones: &[Phone]) -> String {
    let mut ipa = String::new();
    let vowels = phones.iter().filter(|phone| phone.is_vowel()).count();
    let mut begin = 0;
    for (place, phone) in phones.iter().enumerate().filter(|(_, phone)| phone.is_vowel()) {
        // of the consonants before the vowel, as many as can begin a syllable
        let onset = match begin {
            0 => 0,
            _ => (begin..=place).find(|from| begins_syllable(&phones[*from..place])).unwrap_or(place),
        };
        phones[begin..onset].iter().for_each(|phone| ipa.push_str(phone.ipa()));
        match phone.stress() {
            Some(1) if vowels > 1 => ipa.push('ˈ'),
            Some(2) => ipa.push('ˌ'),
            _ => {}
        }
        phones[onset..=place].iter().for_each(|phone| ipa.push_str(phone.ipa()));
        begin = place + 1;
    }
    phones[begin..].iter().for_each(|phone| ipa.push_str(phone.ipa()));
    ipa
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phone_is_read_back() {
        for id in 0..COUNT as u8 {
            let phone = Phone::from_id(id).unwrap();
            assert_eq!(phone.to_string().parse::<Phone>().unwrap(), phone);
            assert_eq!(from_ipa(phone.ipa()).unwrap(), [phone.with_stress(0)]);
            assert_eq!(phone.with_stress(1).stress(), phone.is_vowel().then_some(1));
        }
        assert_eq!(Phone::from_id(COUNT as u8), None);
    }

    #[test]
    fn ipa_is_read_and_written() {
        let check = |arpabet: &str, ipa: &str| {
            let phones = from_arpabet(arpabet).unwrap();
            assert_eq!(to_ipa(&phones), ipa);
        };
        check("HH AH0 L OW1", "həˈloʊ");
        check("K AE1 T", "kæt");
        check("EH2 K S T R AH0 AO1 R D AH0 N EH2 R IY0", "ˌɛkstɹəˈɔɹdəˌnɛɹi");
        check("S IH1 NG ER0", "ˈsɪŋɚ");
        let read = |ipa: &str| to_arpabet(&from_ipa(ipa).unwrap());
        assert_eq!(read("həˈləʊ"), "HH AH0 L OW1");
        assert_eq!(read("ˈtʃɜːtʃ"), "CH ER1 CH");
        assert_eq!(read("ˈbʌtn̩"), "B AH1 T AH0 N");
        assert_eq!(read("ˈwɔːtɚ"), "W AO1 T ER0");
        assert!(from_ipa("ʘ").unwrap_err().contains('ʘ'));
    }

    #[test]
    fn what_is_no_phone_is_named() {
        assert_eq!(from_arpabet("HH XX").unwrap_err(), "`XX` is no phone of ARPABET");
        assert_eq!("K1".parse::<Phone>().unwrap_err(), "`K1`: a consonant has no stress");
        assert_eq!("é1".parse::<Phone>().unwrap_err(), "`é1` is no phone of ARPABET");
    }
}
