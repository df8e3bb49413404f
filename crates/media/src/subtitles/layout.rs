//! Words to cues and lines, as openai/whisper's options for subtitles ask (whisper/utils.py, `SubtitlesWriter`).

use super::{Cue, Word, milliseconds};

/// Longest silence within a cue that does not keep to its segment, in seconds.
const LONG_PAUSE: f64 = 3.0;

/// How words are laid out; 0 is as good as `None`. Cues without words keep their text and times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Layout {
    /// Most characters a line; a longer word stands alone. With `max_line_count` cues run across segments.
    pub max_line_width: Option<usize>,
    /// Most lines a cue.
    pub max_line_count: Option<usize>,
    /// Most words a cue; without effect where the other two are given.
    pub max_words_per_line: Option<usize>,
    /// A cue for each word, in which it is underlined, and one for each pause.
    pub highlight_words: bool,
}

/// Splits and joins cues by their words. The cues that come have the words that they show, with `\n` before the
/// first of a new line.
pub fn lay_out(cues: &[Cue], layout: &Layout) -> Vec<Cue> {
    if cues.iter().all(|cue| cue.words.is_empty()) {
        return cues.to_vec();
    }
    let laid = Lines::new(layout, cues).lay(cues);
    if layout.highlight_words { laid.iter().flat_map(highlighted).collect() } else { laid }
}

/// The cue that is being filled.
struct Lines {
    width: usize,
    count: Option<usize>,
    words_per_cue: usize,
    /// Whether a cue ends where its segment does.
    keeps_segments: bool,
    words: Vec<Word>,
    line: usize,
    /// Characters in that line.
    filled: usize,
    /// When the word before began.
    last: f64,
    done: Vec<Cue>,
}

impl Lines {
    fn new(layout: &Layout, cues: &[Cue]) -> Self {
        let given = |option: Option<usize>| option.filter(|most| *most > 0);
        let (width, count) = (given(layout.max_line_width), given(layout.max_line_count));
        Self {
            width: width.unwrap_or(1000),
            count,
            words_per_cue: given(layout.max_words_per_line).unwrap_or(1000),
            keeps_segments: width.is_none() || count.is_none(),
            words: Vec::new(),
            line: 1,
            filled: 0,
            last: cues.iter().flat_map(|cue| &cue.words).map(|word| word.start).next().unwrap_or(0.0),
            done: Vec::new(),
        }
    }

    fn lay(mut self, cues: &[Cue]) -> Vec<Cue> {
        for cue in cues {
            // a cue without words among others that have some is one word
            let Cue { start, end, text, .. } = cue;
            let whole = [Word { start: *start, end: *end, text: text.clone() }];
            let whole = if text.trim().is_empty() { &[][..] } else { &whole };
            let words = if cue.words.is_empty() { whole } else { &cue.words };
            for words in words.chunks(self.words_per_cue) {
                for (i, word) in words.iter().enumerate() {
                    self.word(word, i == 0);
                }
            }
        }
        self.end_cue();
        self.done
    }

    fn word(&mut self, word: &Word, first: bool) {
        let mut word = word.clone();
        let length = word.text.chars().count();
        let long_pause = !self.keeps_segments && word.start - self.last > LONG_PAUSE;
        let new_segment = first && self.keeps_segments && !self.words.is_empty();
        let fits = self.filled > 0 && self.filled + length <= self.width;
        if fits && !long_pause && !new_segment {
            self.filled += length;
        } else {
            let full = self.count.is_some_and(|count| long_pause || self.line >= count);
            word.text = word.text.trim().into();
            let stripped = word.text.chars().count();
            if new_segment || (full && !self.words.is_empty()) {
                self.end_cue();
            } else if self.filled > 0 {
                self.line += 1;
                word.text.insert(0, '\n');
            }
            self.filled = stripped;
        }
        self.last = word.start;
        self.words.push(word);
    }

    fn end_cue(&mut self) {
        let words = std::mem::take(&mut self.words);
        self.line = 1;
        if let [first, .., last] | [first @ last] = &words[..] {
            let text = words.iter().map(|word| word.text.as_str()).collect();
            self.done.push(Cue { start: first.start, end: last.end, text, words });
        }
    }
}

/// A cue for each word, underlined, and for each silence between two.
fn highlighted(cue: &Cue) -> Vec<Cue> {
    let (mut cues, mut last) = (Vec::new(), cue.start);
    let words = &cue.words;
    for (i, Word { start, end, text }) in words.iter().enumerate() {
        if milliseconds(last) != milliseconds(*start) {
            cues.push(Cue { start: last, end: *start, ..cue.clone() });
        }
        let space = text.len() - text.trim_start().len();
        let mut shown: String = words[..i].iter().map(|word| word.text.as_str()).collect();
        shown += &format!("{}<u>{}</u>", &text[..space], &text[space..]);
        shown.extend(words[i + 1..].iter().map(|word| word.text.as_str()));
        cues.push(Cue { start: *start, end: *end, text: shown, words: words.clone() });
        last = *end;
    }
    cues
}
