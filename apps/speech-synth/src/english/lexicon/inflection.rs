//! Words that a dictionary does not have, made from those that it has: possessives, plurals, other endings, words that
//! two others are joined to.

use crate::english::phones::{Phone, from_arpabet};

/// What knows the phones of words.
pub trait Known {
    /// The phones of a word in small letters.
    fn known(&self, word: &str) -> Option<Vec<Phone>>;
}

fn phones(arpabet: &str) -> Vec<Phone> {
    from_arpabet(arpabet).unwrap_or_default()
}

/// Phones with the ending of a plural or possessive.
pub fn with_s(mut stem: Vec<Phone>) -> Vec<Phone> {
    let ending = match stem.last().map_or("", |phone| phone.symbol()) {
        "S" | "Z" | "SH" | "ZH" | "CH" | "JH" => "AH0 Z",
        "P" | "T" | "K" | "F" | "TH" => "S",
        _ => "Z",
    };
    stem.extend(phones(ending));
    stem
}

/// Phones with the ending of the past.
pub fn with_ed(mut stem: Vec<Phone>) -> Vec<Phone> {
    let ending = match stem.last().map_or("", |phone| phone.symbol()) {
        "T" | "D" => "AH0 D",
        "P" | "K" | "F" | "TH" | "S" | "SH" | "CH" => "T",
        _ => "D",
    };
    stem.extend(phones(ending));
    stem
}

/// How an ending is said.
#[derive(Clone, Copy)]
enum Ending {
    S,
    Ed,
    /// Phones that are added.
    Added(&'static str),
    /// Phones that are added to a stem that loses its last vowel: `happy`, `happily`.
    Instead(&'static str),
}

/// Endings, what the stem ends with instead of them, and how they are said; in the order in which they are tried.
const ENDINGS: [(&str, &str, Ending); 31] = [
    ("'s", "", Ending::S),
    ("s'", "s", Ending::Added("")),
    ("'d", "", Ending::Ed),
    ("'ll", "", Ending::Added("AH0 L")),
    ("'ve", "", Ending::Added("AH0 V")),
    ("'re", "", Ending::Added("ER0")),
    ("in'", "ing", Ending::Instead("AH0 N")),
    ("in'", "", Ending::Added("AH0 N")),
    ("ies", "y", Ending::S),
    ("es", "e", Ending::S),
    ("es", "", Ending::S),
    ("s", "", Ending::S),
    ("ied", "y", Ending::Ed),
    ("ed", "e", Ending::Ed),
    ("ed", "", Ending::Ed),
    ("ings", "e", Ending::Added("IH0 NG Z")),
    ("ings", "", Ending::Added("IH0 NG Z")),
    ("ing", "e", Ending::Added("IH0 NG")),
    ("ing", "", Ending::Added("IH0 NG")),
    ("iest", "y", Ending::Added("AH0 S T")),
    ("est", "e", Ending::Added("AH0 S T")),
    ("est", "", Ending::Added("AH0 S T")),
    ("ier", "y", Ending::Added("ER0")),
    ("er", "e", Ending::Added("ER0")),
    ("er", "", Ending::Added("ER0")),
    ("ily", "y", Ending::Instead("AH0 L IY0")),
    ("ly", "", Ending::Added("L IY0")),
    ("ness", "", Ending::Added("N AH0 S")),
    ("less", "", Ending::Added("L AH0 S")),
    ("ful", "", Ending::Added("F AH0 L")),
    ("ment", "", Ending::Added("M AH0 N T")),
];

/// Beginnings that leave the rest as it is.
const BEGINNINGS: [(&str, &str); 12] = [
    ("un", "AH0 N"),
    ("re", "R IY0"),
    ("non", "N AA0 N"),
    ("pre", "P R IY0"),
    ("mis", "M IH0 S"),
    ("dis", "D IH0 S"),
    ("over", "OW2 V ER0"),
    ("under", "AH2 N D ER0"),
    ("anti", "AE2 N T IY0"),
    ("inter", "IH2 N T ER0"),
    ("super", "S UW2 P ER0"),
    ("micro", "M AY2 K R OW0"),
];

/// Letters of a stem at least.
const SHORTEST: usize = 3;
/// Letters of each part of a joined word at least.
const PART: usize = 4;

/// The phones of a word by the rules, or nothing where none fits.
pub fn derived(word: &str, lexicon: &impl Known) -> Option<Vec<Phone>> {
    by_ending(word, lexicon)
        .or_else(|| british(word, lexicon))
        .or_else(|| by_beginning(word, lexicon))
        .or_else(|| joined(word, lexicon))
}

/// Endings as they are written in Britain, and in America.
const BRITISH: [(&str, &str); 17] = [
    ("our", "or"),
    ("oured", "ored"),
    ("ouring", "oring"),
    ("ourable", "orable"),
    ("ourless", "orless"),
    ("ise", "ize"),
    ("ised", "ized"),
    ("ising", "izing"),
    ("iser", "izer"),
    ("isation", "ization"),
    ("yse", "yze"),
    ("ysed", "yzed"),
    ("tre", "ter"),
    ("bre", "ber"),
    ("lled", "led"),
    ("lling", "ling"),
    ("ller", "ler"),
];

fn british(word: &str, lexicon: &impl Known) -> Option<Vec<Phone>> {
    let (single, plural) = match word.strip_suffix('s') {
        Some(single) => (single, true),
        None => (word, false),
    };
    BRITISH.iter().find_map(|(there, here)| {
        let american = format!("{}{here}", single.strip_suffix(there)?);
        let found = lexicon.known(&american).or_else(|| by_ending(&american, lexicon))?;
        Some(if plural { with_s(found) } else { found })
    })
}

fn by_ending(word: &str, lexicon: &impl Known) -> Option<Vec<Phone>> {
    ENDINGS.iter().find_map(|(ending, instead, said)| {
        let rest = word.strip_suffix(ending)?;
        let possessive = ending.contains('\'');
        if rest.is_empty() || (!possessive && rest.chars().count() < SHORTEST) {
            return None;
        }
        // `ss` and `us` are no plurals
        if *ending == "s" && rest.ends_with(['s', 'u', 'i']) {
            return None;
        }
        let stem = format!("{rest}{instead}");
        let found = lexicon.known(&stem).or_else(|| {
            // `stopping` has its consonant twice
            let single = undoubled(rest)
                .filter(|_| instead.is_empty() && !possessive && ending.starts_with(['e', 'i']))?;
            lexicon.known(single)
        });
        // what a possessive belongs to may be an ending's too
        let found = found.or_else(|| if possessive { by_ending(&stem, lexicon) } else { None })?;
        Some(match said {
            Ending::S => with_s(found),
            Ending::Ed => with_ed(found),
            Ending::Added(added) => [found, phones(added)].concat(),
            Ending::Instead(added) => {
                let last = found.iter().rposition(|phone| phone.is_vowel())?;
                [&found[..last], &phones(added)].concat()
            }
        })
    })
}

fn undoubled(word: &str) -> Option<&str> {
    let [.., a, b] = word.as_bytes() else { return None };
    (a == b && b.is_ascii_lowercase()).then(|| &word[..word.len() - 1])
}

fn by_beginning(word: &str, lexicon: &impl Known) -> Option<Vec<Phone>> {
    BEGINNINGS.iter().find_map(|(beginning, said)| {
        let rest = word.strip_prefix(beginning).filter(|rest| rest.chars().count() >= PART)?;
        let stem = lexicon.known(rest).or_else(|| by_ending(rest, lexicon))?;
        Some([phones(said), stem].concat())
    })
}

/// A word that two words make, the main stress on the first.
fn joined(word: &str, lexicon: &impl Known) -> Option<Vec<Phone>> {
    let length = word.len();
    if !word.bytes().all(|byte| byte.is_ascii_lowercase()) || length > 30 {
        return None;
    }
    // the longest first part that leaves a word
    (PART..=length.saturating_sub(PART)).rev().find_map(|place| {
        let (first, second) = word.split_at(place);
        let first = lexicon.known(first)?;
        let second = lexicon.known(second).or_else(|| by_ending(second, lexicon))?;
        let lighter = |phone: Phone| if phone.stress() == Some(1) { phone.with_stress(2) } else { phone };
        Some(first.into_iter().chain(second.into_iter().map(lighter)).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::phones::to_arpabet;

    struct Some;

    impl Known for Some {
        fn known(&self, word: &str) -> Option<Vec<Phone>> {
            const WORDS: [(&str, &str); 13] = [
                ("vapor", "V EY1 P ER0"),
                ("cat", "K AE1 T"),
                ("dog", "D AO1 G"),
                ("box", "B AA1 K S"),
                ("stop", "S T AA1 P"),
                ("need", "N IY1 D"),
                ("bake", "B EY1 K"),
                ("carry", "K EH1 R IY0"),
                ("happy", "HH AE1 P IY0"),
                ("going", "G OW1 IH0 NG"),
                ("fire", "F AY1 ER0"),
                ("wall", "W AO1 L"),
                ("tie", "T AY1"),
            ];
            let found = WORDS.iter().find(|(known, _)| *known == word)?;
            from_arpabet(found.1).ok()
        }
    }

    #[test]
    fn words_are_made_from_others() {
        let check = |word: &str, expected: &str| {
            assert_eq!(
                derived(word, &Some).map(|phones| to_arpabet(&phones)).unwrap_or_default(),
                expected,
                "{word}"
            );
        };
        check("cats", "K AE1 T S");
        check("cat's", "K AE1 T S");
        check("dogs'", "D AO1 G Z");
        check("boxes", "B AA1 K S AH0 Z");
        check("stopped", "S T AA1 P T");
        check("stopping", "S T AA1 P IH0 NG");
        check("needed", "N IY1 D AH0 D");
        check("baker", "B EY1 K ER0");
        check("bakers'", "");
        check("carries", "K EH1 R IY0 Z");
        check("happily", "HH AE1 P AH0 L IY0");
        check("goin'", "G OW1 AH0 N");
        check("uncarried", "AH0 N K EH1 R IY0 D");
        check("firewall", "F AY1 ER0 W AO2 L");
        check("firewalls", "F AY1 ER0 W AO2 L Z");
        check("ties", "T AY1 Z");
        check("vapours", "V EY1 P ER0 Z");
        check("xyz", "");
        check("s", "");
        check("'s", "");
    }
}
