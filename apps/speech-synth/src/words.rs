//! When words are spoken: the durations of their letters, added up.

use models::tokens::Spelled;

/// A word and when it is spoken, in seconds from the beginning of its piece.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// As it stands in the text, with marks that belong to it.
    pub text: String,
    /// When its first letter begins.
    pub start: f64,
    /// When its last one ends.
    pub end: f64,
    /// Where it begins in the text of its piece, in bytes.
    pub place: usize,
}

/// The words of a text between white space, with the frames of its ids. What is not spoken (a dash, a word without a
/// known letter) belongs to the word before.
pub fn words(text: &str, spelled: &Spelled, frames: &[u32], frame_s: f64) -> Vec<Word> {
    let mut spoken = spelled.places.iter().zip(frames).peekable();
    let (mut now, mut words): (u64, Vec<Word>) = (0, Vec::new());
    let mut waiting = String::new();
    for (place, word) in split(text) {
        let end = place + word.len();
        let (mut first, mut last) = (None, 0);
        while let Some((at, count)) = spoken.next_if(|(at, _)| at.is_none_or(|at| at < end)) {
            let begin = now;
            now += u64::from(*count);
            if at.is_some_and(|at| at >= place) {
                first.get_or_insert(begin);
                last = now;
            }
        }
        let seconds = |frames: u64| frames as f64 * frame_s;
        match (first, words.last_mut()) {
            (Some(first), _) => {
                let text = std::mem::take(&mut waiting) + word;
                words.push(Word { text, start: seconds(first), end: seconds(last), place });
            }
            (None, Some(before)) => before.text += &format!(" {word}"),
            (None, None) => waiting = format!("{waiting}{word} "),
        }
    }
    words
}

/// What stands between white space, and where.
fn split(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_lasts_from_its_first_letter_to_its_last() {
        // the text of ids: blanks of one frame around letters of two
        let text = "- Hi you, - .";
        let letters = [(2, 'h'), (3, 'i'), (4, ' '), (5, 'y'), (6, 'o'), (7, 'u')];
        let mut spelled = Spelled { ids: vec![0], places: vec![None], unknown: Vec::new() };
        for (place, _) in letters {
            spelled.ids.extend([1, 0]);
            spelled.places.extend([Some(place), None]);
        }
        let frames: Vec<u32> =
            spelled.places.iter().map(|place| if place.is_some() { 2 } else { 1 }).collect();
        let found = words(text, &spelled, &frames, 0.5);
        let told: Vec<(&str, f64, f64, usize)> =
            found.iter().map(|word| (word.text.as_str(), word.start, word.end, word.place)).collect();
        assert_eq!(told, [("- Hi", 0.5, 3., 2), ("you, - .", 5., 9., 5)]);
    }
}
