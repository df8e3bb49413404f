//! What is asked of a transcription. The defaults are those of openai/whisper's command, without what it lacks.

use crate::decode::{Decoded, Search};
use crate::loops::loops;

/// How words get their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordTimes {
    /// As the alignment says, and then without the silence beside them.
    Trimmed,
    /// As the alignment says, like openai/whisper.
    Raw,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The code of the language that is spoken; found out where there is none.
    pub language: Option<&'static str>,
    /// Whether to put it into English.
    pub translate: bool,
    /// Whether segments get times.
    pub times: bool,
    /// Whether words do, and which.
    pub words: Option<WordTimes>,
    /// How ids are chosen; its temperature is one of `temperatures`.
    pub search: Search,
    /// Tried in turn until a text is good enough.
    pub temperatures: Vec<f64>,
    /// A text is not good enough that compresses better than this.
    pub most_compression: Option<f64>,
    /// Nor one whose ids have a mean log-probability below this.
    pub least_average: Option<f64>,
    /// Where nobody speaks with more than this probability, and the text is not likely, there is no text.
    pub most_no_speech: Option<f64>,
    /// Whether a window is told what was said in those before.
    pub condition: bool,
    /// What the first window is told was said before; with `batch` all are.
    pub prompt: Option<String>,
    /// What each window's text begins with, and does not say again.
    pub prefix: Option<String>,
    /// Silences longer than this, in seconds, around words that sound made up are skipped; needs `words`, and windows
    /// that follow each other.
    pub skip_silence: Option<f64>,
    /// How often a word or a phrase may come in a row; nothing is left out where there is no number.
    pub most_repeats: Option<usize>,
    /// Whether to decode only where somebody speaks, in windows that begin with speech and end at pauses.
    pub vad: bool,
    /// So many of such windows are decoded together, and none is told what was said before; whatever the number, the text
    /// is the same. Without one, windows follow each other.
    pub batch: Option<usize>,
    /// Of what is drawn.
    pub seed: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            language: None,
            translate: false,
            times: true,
            words: None,
            search: Search {
                temperature: 0.,
                best_of: 5,
                beam: 1,
                patience: 1.,
                length_penalty: None,
                max_tokens: usize::MAX,
            },
            temperatures: vec![0., 0.2, 0.4, 0.6, 0.8, 1.],
            most_compression: Some(2.4),
            least_average: Some(-1.),
            most_no_speech: Some(0.6),
            condition: true,
            prompt: None,
            prefix: None,
            skip_silence: None,
            most_repeats: None,
            vad: false,
            batch: None,
            seed: 0,
        }
    }
}

/// Whether a text need not be decoded again at a higher temperature.
pub fn good_enough(decoded: &Decoded, request: &Request) -> bool {
    let unlikely = request.least_average.is_some_and(|least| decoded.average < least);
    let silent = request.most_no_speech.is_some_and(|most| decoded.no_speech > most);
    let repeats = request.most_compression.is_some_and(|most| decoded.compression > most)
        || request.most_repeats.is_some_and(|most| loops(&decoded.text_ids, most));
    !(repeats || unlikely) || (silent && unlikely)
}
