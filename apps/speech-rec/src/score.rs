//! How far a text is from what was said: errors in words and in characters, after the usual normalisation.

use serde::Serialize;

/// Errors against a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Errors {
    /// Units of the reference.
    pub count: usize,
    /// Other ones in their place.
    pub substitutions: usize,
    /// Ones that are missing.
    pub deletions: usize,
    /// Ones too many.
    pub insertions: usize,
}

impl Errors {
    /// All errors, over the units of the reference: above 1 where there is much too much.
    pub fn rate(self) -> f64 {
        (self.substitutions + self.deletions + self.insertions) as f64 / self.count.max(1) as f64
    }

    /// These and others.
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            substitutions: self.substitutions + other.substitutions,
            deletions: self.deletions + other.deletions,
            insertions: self.insertions + other.insertions,
        }
    }

    /// The fewest that turn one row of units into another (Levenshtein, 1966).
    pub fn between<T: PartialEq>(reference: &[T], found: &[T]) -> Self {
        // for each length of what was found: the errors so far
        let mut row: Vec<Self> =
            (0..=found.len()).map(|insertions| Self { insertions, ..Self::default() }).collect();
        for unit in reference {
            let mut before = row[0];
            row[0].deletions += 1;
            for (at, other) in found.iter().enumerate() {
                let mut best = before;
                best.substitutions += usize::from(unit != other);
                let (mut missing, mut extra) = (row[at + 1], row[at]);
                missing.deletions += 1;
                extra.insertions += 1;
                before = row[at + 1];
                row[at + 1] =
                    [missing, extra].into_iter().fold(best, |a, b| if b.sum() < a.sum() { b } else { a });
            }
        }
        Self { count: reference.len(), ..row[found.len()] }
    }

    fn sum(self) -> usize {
        self.substitutions + self.deletions + self.insertions
    }
}

/// Errors in words, and in characters.
pub fn errors(reference: &str, found: &str) -> (Errors, Errors) {
    let (reference, found) = (normalised(reference), normalised(found));
    let words =
        |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(String::from).collect::<Vec<_>>();
    let characters = |text: &str| text.chars().collect::<Vec<_>>();
    (
        Errors::between(&words(&reference), &words(&found)),
        Errors::between(&characters(&reference), &characters(&found)),
    )
}

/// Small letters and figures with single spaces between words; what stands in brackets is not said. As openai/whisper's
/// `BasicTextNormalizer`, but an apostrophe joins what it stands between.
pub fn normalised(text: &str) -> String {
    let (mut plain, mut open) = (String::new(), 0usize);
    for c in text.chars() {
        match c {
            '[' | '<' | '(' => open += 1,
            ']' | '>' | ')' => open = open.saturating_sub(1),
            _ if open > 0 => {}
            c if c.is_alphanumeric() => plain.extend(c.to_lowercase()),
            // within words and after letters
            '\'' | '’' => {}
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_the_fewest() {
        let (words, characters) = errors("the old house by the sea", "The cold house, by sea!");
        assert_eq!((words.count, words.substitutions, words.deletions, words.insertions), (6, 1, 1, 0));
        assert!((words.rate() - 2. / 6.).abs() < 1e-9);
        assert_eq!(characters.sum(), 5);
        let (nothing, _) = errors("one two", "");
        assert_eq!((nothing.deletions, nothing.rate()), (2, 1.));
        assert_eq!(errors("", "three").0.rate(), 1.);
        assert_eq!(errors("", "").0.rate(), 0.);
    }

    #[test]
    fn what_is_not_said_does_not_count() {
        assert_eq!(normalised("It's [laughs] 9 O’Clock -- (sic)!"), "its 9 oclock");
    }
}
