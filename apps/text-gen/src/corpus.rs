//! Files -> text to learn from, and text that is kept aside.

use std::path::PathBuf;

use batch::{Wanted, expand};

/// What was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Corpus {
    /// Texts to learn from: a file, or what is left between two parts that are kept aside.
    pub train: Vec<String>,
    /// Texts to measure on.
    pub held_out: Vec<String>,
    /// What could not be read, with the reason.
    pub skipped: Vec<String>,
}

/// Extensions of files that are looked for in folders.
const EXTENSIONS: &[&str] = &["txt", "md", "text"];
/// The largest file that is read.
const LARGEST: u64 = 1 << 30;
/// The most bytes of a part that is kept aside: about a chapter.
const PART: usize = 20_000;
/// The least: a paragraph or two.
const LEAST_PART: usize = 500;
/// Parts that are kept aside at least, where the parts can be made so small.
const PARTS: f64 = 8.;

/// Reads files, and those with the extensions `txt`, `md` and `text` in folders and folders below. Of all parts of some
/// 20,000 bytes (less where there is little text), cut between paragraphs, a share is kept aside, evenly spread.
///
/// # Errors
/// If nothing is left to learn from.
pub fn read(paths: &[PathBuf], held_out: f64) -> Result<Corpus, String> {
    let found = expand(paths, &Wanted { recursive: true, extensions: EXTENSIONS, ..Wanted::default() });
    let mut corpus = Corpus::default();
    corpus.skipped.extend(found.problems.iter().map(|(path, why)| format!("{}: {why}", path.display())));
    let mut texts = Vec::new();
    for input in &found.inputs {
        match text(&input.path) {
            Ok(text) => texts.push(text),
            Err(why) => corpus.skipped.push(format!("{}: {why}", input.path.display())),
        }
    }
    let bytes = texts.iter().map(String::len).sum();
    let mut share = Share::new(held_out, bytes);
    texts.iter().for_each(|text| share.divide(text, &mut corpus));
    match (corpus.train.is_empty(), corpus.skipped.first()) {
        (false, _) => Ok(corpus),
        (true, Some(why)) => Err(format!("there is no text to learn from: {why}")),
        (true, None) => Err("there is no text to learn from".to_string()),
    }
}

fn text(path: &PathBuf) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LARGEST {
        return Err(format!("{length} bytes are too many for one file"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("byte {} is not UTF-8 text", error.utf8_error().valid_up_to()))?;
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    if text.trim().is_empty() { Err("it is empty".to_string()) } else { Ok(text) }
}

/// Keeps a share of all parts aside, over all files.
struct Share {
    rate: f64,
    /// Bytes of a part.
    part: usize,
    /// How far the next part is due: from 1 on it is kept aside.
    owed: f64,
}

impl Share {
    fn new(rate: f64, bytes: usize) -> Self {
        let part = ((bytes as f64 * rate / PARTS) as usize).clamp(LEAST_PART, PART);
        Self { rate, part, owed: 0.5 }
    }

    fn divide(&mut self, text: &str, corpus: &mut Corpus) {
        let mut learned = String::new();
        for part in parts(text, self.part) {
            // a short file is no more than a part of a part
            self.owed += self.rate * (part.len() as f64 / self.part as f64).min(1.);
            if self.owed >= 1. {
                self.owed -= 1.;
                if !learned.is_empty() {
                    corpus.train.push(std::mem::take(&mut learned));
                }
                corpus.held_out.push(part.to_string());
            } else {
                learned += part;
            }
        }
        if !learned.is_empty() {
            corpus.train.push(learned);
        }
    }
}

/// A text in parts of about so many bytes, each but the last with the break that ends its last paragraph.
fn parts(text: &str, size: usize) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while text.len() - start > size * 3 / 2 {
        let from = (start + size..).find(|place| text.is_char_boundary(*place)).unwrap_or(text.len());
        let end = |mark: &str| text[from..].find(mark).map(|place| from + place + mark.len());
        let Some(end) = end("\n\n").or_else(|| end("\n")).filter(|end| *end < text.len()) else { break };
        parts.push(&text[start..end]);
        start = end;
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_text_and_end_with_paragraphs() {
        let text: String =
            (0..3000).map(|i| format!("Paragraph {i} é.\n{}", if i % 3 == 0 { "\n" } else { "" })).collect();
        let parts = parts(&text, 5_000);
        assert!(parts.len() > 1);
        assert_eq!(parts.concat(), text);
        assert!(parts.iter().rev().skip(1).all(|part| part.ends_with("\n\n") && part.len() < 6_000));
        assert_eq!(super::parts("short", 500), ["short"]);
        assert_eq!(super::parts(&"x".repeat(100_000), 500).len(), 1);
    }

    #[test]
    fn a_share_is_kept_aside() {
        let mut corpus = Corpus::default();
        let mut share = Share::new(0.25, 1_260_000);
        let text = "A line of text that goes on for a while.\n\n".repeat(10_000);
        for _ in 0..3 {
            share.divide(&text, &mut corpus);
        }
        let sum = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let (kept, all) = (sum(&corpus.held_out), sum(&corpus.held_out) + sum(&corpus.train));
        assert_eq!(all, 3 * text.len());
        assert!((kept as f64 / all as f64 - 0.25).abs() < 0.03, "{kept} of {all}");
        let mut none = Corpus::default();
        Share::new(0., 420_000).divide(&text, &mut none);
        assert_eq!((none.train.len(), none.held_out.len()), (1, 0));
    }
}
