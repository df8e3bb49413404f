//! What the net is told of each letter of a word: the letters around it, one by one and in runs, and how far both ends
//! are.

/// Letters `a` to `z`, the apostrophe, and what stands before and after a word.
const SYMBOLS: usize = 28;
/// Letters to each side that are told one by one.
const REACH: isize = 4;
/// Where pairs begin that are told, from the letter on.
const PAIRS: [isize; 4] = [-2, -1, 0, 1];
/// Where longer runs begin, and how many letters they have.
const RUNS: [(isize, isize); 6] = [(-2, 3), (-1, 3), (0, 3), (-2, 4), (-1, 4), (-2, 5)];
/// Rows that the runs of one kind share.
const ROWS: usize = 2048;
/// Places from an end that are told apart.
const PLACES: usize = 32;

const SINGLE: usize = 2 * REACH as usize + 1;
const FIRST_PAIR: usize = SINGLE * SYMBOLS;
const FIRST_RUN: usize = FIRST_PAIR + PAIRS.len() * SYMBOLS * SYMBOLS;
const FIRST_PLACE: usize = FIRST_RUN + RUNS.len() * ROWS;

/// How many different things the net may be told.
pub const FACTS: usize = FIRST_PLACE + 2 * PLACES;
/// How many it is told of each letter.
pub const FACTS_OF_A_LETTER: usize = SINGLE + PAIRS.len() + RUNS.len() + 2;

/// A word's letters as numbers; nothing else is kept of it.
pub fn letters(word: &str) -> Vec<u8> {
    let number = |letter: char| match letter.to_ascii_lowercase() {
        letter @ 'a'..='z' => Some(letter as u8 - b'a' + 1),
        '\'' | '’' => Some(27),
        _ => None,
    };
    word.chars().filter_map(number).collect()
}

/// The numbers of what is told of each letter, [`FACTS_OF_A_LETTER`] of them a letter.
pub fn facts(letters: &[u8]) -> Vec<u32> {
    let at = |place: isize| {
        usize::try_from(place).ok().and_then(|i| letters.get(i)).map_or(0, |letter| usize::from(*letter))
    };
    let mut facts = Vec::with_capacity(letters.len() * FACTS_OF_A_LETTER);
    for place in 0..letters.len() {
        let i = place as isize;
        let mut tell = |fact: usize| facts.push(fact as u32);
        for (column, offset) in (-REACH..=REACH).enumerate() {
            tell(column * SYMBOLS + at(i + offset));
        }
        for (kind, first) in PAIRS.iter().enumerate() {
            tell(FIRST_PAIR + (kind * SYMBOLS + at(i + first)) * SYMBOLS + at(i + first + 1));
        }
        for (kind, (first, count)) in RUNS.iter().enumerate() {
            let run = (i + first..i + first + count)
                .fold(0, |run: u64, place| run * SYMBOLS as u64 + at(place) as u64);
            // a multiplication by the golden ratio spreads the runs over their rows
            let row = run.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - ROWS.trailing_zeros());
            tell(FIRST_RUN + kind * ROWS + row as usize);
        }
        tell(FIRST_PLACE + place.min(PLACES - 1));
        tell(FIRST_PLACE + PLACES + (letters.len() - 1 - place).min(PLACES - 1));
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_its_row() {
        let word = letters("Zzyzx’abcdefghijklmnopqrstuvwxyzzzzzzzzz9é-");
        assert_eq!(word.len(), 40);
        let facts = facts(&word);
        assert_eq!(facts.len(), word.len() * FACTS_OF_A_LETTER);
        assert!(facts.iter().all(|fact| (*fact as usize) < FACTS));
        // each column of facts has rows of its own
        assert_eq!(facts[FACTS_OF_A_LETTER - 2] as usize, FIRST_PLACE);
        assert_eq!(facts[facts.len() - 1] as usize, FIRST_PLACE + PLACES);
    }
}
