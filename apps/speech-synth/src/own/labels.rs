//! When the symbols of a text are spoken, from labels in phones of another kind: both are laid side by side.

use crate::english::phones::Phone;

/// A phone that was spoken, and when it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// ARPABET without stress, in capitals; `PAU` for silence.
    pub phone: String,
    /// Seconds from the beginning.
    pub end: f64,
}

/// Reads a file of labels: a line each, its end in seconds and its phone, or as flite prints them, `phone:end` with white
/// space between.
///
/// # Errors
/// The first label that is none, and times that go back.
pub fn read(text: &str) -> Result<Vec<Label>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs: Vec<(&str, &str)> = match words.first() {
        Some(first) if first.contains(':') => words
            .iter()
            .map(|word| word.rsplit_once(':').map(|(phone, end)| (end, phone)).unwrap_or(("", *word)))
            .collect(),
        _ => words.chunks(2).map(|pair| (pair[0], pair.get(1).copied().unwrap_or_default())).collect(),
    };
    let mut labels: Vec<Label> = Vec::new();
    for (end, phone) in pairs {
        let before = labels.last().map_or(0., |label| label.end);
        let end =
            end.parse::<f64>().ok().filter(|end| end.is_finite() && *end >= before && !phone.is_empty());
        let Some(end) = end else { return Err(format!("`{phone}` has no time behind the one before")) };
        labels.push(Label { phone: plain(phone), end });
    }
    if labels.is_empty() { Err("no labels".into()) } else { Ok(labels) }
}

/// Without stress; the reduced vowels of other lexicons are AH and IH here.
fn plain(phone: &str) -> String {
    let phone = phone.trim_end_matches(|c: char| c.is_ascii_digit()).to_uppercase();
    match phone.as_str() {
        "AX" => "AH".into(),
        "AXR" => "ER".into(),
        "IX" => "IH".into(),
        "SIL" | "H#" | "SP" | "BRTH" => SILENT.into(),
        _ => phone,
    }
}

const SILENT: &str = "PAU";

/// A symbol to be timed: a phone, or a pause.
pub type Sound = Option<Phone>;

/// What it costs that a label stands for another phone, for another vowel or another consonant, or that one is missing.
const OTHER: f64 = 1.5;
const ALIKE: f64 = 0.8;
const MISSING: f64 = 1.;
/// Symbols with a label of their own, at least: below that the label's words are others than the text's.
const LEAST: f64 = 0.85;

fn cost(sound: Sound, label: &str) -> f64 {
    match sound {
        None if label == SILENT => 0.,
        Some(phone) if phone.symbol() == label => 0.,
        Some(phone) if label != SILENT => {
            let vowel = label.starts_with(['A', 'E', 'I', 'O', 'U']);
            if phone.is_vowel() == vowel { ALIKE } else { OTHER }
        }
        _ => 2. * MISSING + 0.1,
    }
}

/// How many of `count` frames, each of so many seconds, each of the sounds lasts, one at least; nothing where too many of
/// them are not what the labels say, or there are fewer frames than sounds.
pub fn durations(sounds: &[Sound], labels: &[Label], count: usize, frame_s: f64) -> Option<Vec<usize>> {
    let (rows, columns) = (sounds.len() + 1, labels.len() + 1);
    let mut costs = vec![f64::INFINITY; rows * columns];
    for i in 0..rows {
        for j in 0..columns {
            let mut least = if i + j == 0 { 0. } else { f64::INFINITY };
            if i > 0 {
                least = least.min(costs[(i - 1) * columns + j] + MISSING);
            }
            if j > 0 {
                least = least.min(costs[i * columns + j - 1] + MISSING);
            }
            if i > 0 && j > 0 {
                let pair = cost(sounds[i - 1], &labels[j - 1].phone);
                least = least.min(costs[(i - 1) * columns + j - 1] + pair);
            }
            costs[i * columns + j] = least;
        }
    }
    // the label of each sound, from the end
    let mut own: Vec<Option<usize>> = vec![None; sounds.len()];
    let (mut i, mut j) = (sounds.len(), labels.len());
    while i > 0 || j > 0 {
        let here = costs[i * columns + j];
        let pair = i > 0 && j > 0 && {
            let step = cost(sounds[i - 1], &labels[j - 1].phone);
            (costs[(i - 1) * columns + j - 1] + step - here).abs() < 1e-9
        };
        if pair {
            (i, j) = (i - 1, j - 1);
            own[i] = Some(j);
        } else if i > 0 && (costs[(i - 1) * columns + j] + MISSING - here).abs() < 1e-9 {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    let known = own.iter().filter(|label| label.is_some()).count();
    if (known as f64) < LEAST * sounds.len() as f64 || count < sounds.len() {
        return None;
    }
    // a sound ends with its label, and with those after it that are nobody's
    let ends: Vec<Option<f64>> = own
        .iter()
        .enumerate()
        .map(|(i, label)| {
            let label = (*label)?;
            let next = own[i + 1..].iter().flatten().next().copied().unwrap_or(labels.len());
            let last = if own.get(i + 1).is_some_and(Option::is_some) || i + 1 == own.len() {
                next.max(label + 1) - 1
            } else {
                label
            };
            Some(labels[last].end / frame_s)
        })
        .collect();
    Some(whole(&ends, count))
}

/// Whole frames from ends in frames: unknown ones share what is between those that are known; each lasts one at least.
fn whole(ends: &[Option<f64>], count: usize) -> Vec<usize> {
    let mut filled = Vec::with_capacity(ends.len());
    let mut before = 0.;
    let mut i = 0;
    while i < ends.len() {
        let next = (i..ends.len()).find(|j| ends[*j].is_some());
        let (last, end) = match next {
            Some(j) => (j, ends[j].unwrap_or(before)),
            None => (ends.len() - 1, count as f64),
        };
        let end = f64::max(end, before);
        for part in i..=last {
            filled.push(before + (end - before) * (part - i + 1) as f64 / (last - i + 1) as f64);
        }
        before = end;
        i = last + 1;
    }
    let total = ends.len();
    let (mut durations, mut done) = (Vec::with_capacity(total), 0usize);
    for (i, end) in filled.iter().enumerate() {
        let most = count - (total - 1 - i);
        let end = if i + 1 == total { count } else { (end.round() as usize).clamp(done + 1, most) };
        durations.push(end - done);
        done = end;
    }
    durations
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::english::phones::from_arpabet;

    fn sounds(text: &str) -> Vec<Sound> {
        let sound = |word: &str| (word != "-").then(|| from_arpabet(word).unwrap()[0]);
        text.split_whitespace().map(sound).collect()
    }

    #[test]
    fn labels_are_read_in_both_forms() {
        let expected =
            [("PAU", 0.5), ("HH", 1.), ("AH", 1.25)].map(|(phone, end)| Label { phone: phone.into(), end });
        assert_eq!(read("pau:0.5 hh:1 ax:1.25 \n").unwrap(), expected);
        assert_eq!(read("0.5 pau\n1.0\thh\n1.25 ah0\n").unwrap(), expected);
        assert!(read("").is_err() && read("pau:x").is_err() && read("0.5 pau 0.4 hh").is_err());
        assert!(read("0.5").is_err());
    }

    #[test]
    fn each_sound_gets_the_frames_of_its_label() {
        let labels = read("pau:0.2 hh:0.3 ax:0.4 l:0.6 ow:0.9 pau:1.0").unwrap();
        let check = |text: &str, expected: &[usize]| {
            let found = durations(&sounds(text), &labels, 10, 0.1).unwrap();
            assert_eq!(found, expected, "{text}");
            assert_eq!(found.iter().sum::<usize>(), 10);
        };
        check("- HH AH0 L OW1 -", &[2, 1, 1, 2, 3, 1]);
        // another vowel
        check("- HH EH0 L OW1 -", &[2, 1, 1, 2, 3, 1]);
        // a pause that nobody made has a frame all the same, and a phone that is not in the text goes to the one before
        check("- HH AH0 L OW1 - -", &[2, 1, 1, 2, 2, 1, 1]);
        check("- HH AH0 OW1 -", &[2, 1, 3, 3, 1]);
    }

    #[test]
    fn other_words_and_too_few_frames_are_nothing() {
        let labels = read("pau:0.2 hh:0.3 ax:0.4 l:0.6 ow:0.9 pau:1.0").unwrap();
        assert_eq!(durations(&sounds("- K AE1 T S AH0 N D D AO1 G Z -"), &labels, 100, 0.01), None);
        assert_eq!(durations(&sounds("- HH AH0 L OW1 -"), &labels, 5, 0.2), None);
    }
}
