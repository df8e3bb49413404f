//! How wrong phones are: edits against the nearest of the ways to say a word.

use crate::english::phones::Phone;

/// Errors in the phones of words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Errors {
    /// Words.
    pub words: usize,
    /// Words that are not said in any of the ways.
    pub wrong_words: usize,
    /// Phones of the nearest ways.
    pub phones: usize,
    /// Phones put in, left out or taken for another.
    pub wrong_phones: usize,
}

impl Errors {
    /// Wrong phones in a hundred.
    pub fn phone_rate(&self) -> f64 {
        100. * self.wrong_phones as f64 / self.phones.max(1) as f64
    }

    /// Wrong words in a hundred.
    pub fn word_rate(&self) -> f64 {
        100. * self.wrong_words as f64 / self.words.max(1) as f64
    }

    /// Counts a word.
    pub fn add(&mut self, said: &[Phone], variants: &[Vec<Phone>]) {
        let nearest = variants.iter().map(|phones| (distance(said, phones), phones.len())).min();
        let Some((wrong, phones)) = nearest else { return };
        self.words += 1;
        self.wrong_words += usize::from(wrong > 0);
        self.phones += phones;
        self.wrong_phones += wrong;
    }
}

/// Phones without their stress.
pub fn unstressed(phones: &[Phone]) -> Vec<Phone> {
    phones.iter().map(|phone| phone.with_stress(0)).collect()
}

/// The fewest phones to put in, leave out or exchange (Levenshtein).
pub fn distance(a: &[Phone], b: &[Phone]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::english::phones::from_arpabet;

    #[test]
    fn the_nearest_way_counts() {
        let phones = |text| from_arpabet(text).unwrap();
        let mut errors = Errors::default();
        errors.add(&phones("K AE1 T"), &[phones("K AA1 T S"), phones("K AE1 T")]);
        errors.add(&phones("K AE1"), &[phones("K AA1 T S")]);
        assert_eq!(errors, Errors { words: 2, wrong_words: 1, phones: 7, wrong_phones: 3 });
        assert_eq!(errors.word_rate(), 50.);
        assert_eq!(distance(&[], &phones("B IY1")), 2);
        assert_eq!(unstressed(&phones("B IY1")), phones("B IY0"));
    }
}
