//! How a text is spoken.

use models::nets::vits::Options;

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writing {
    /// As people write.
    #[default]
    Text,
    /// In phonemes of the IPA, in the voice's own spelling where it has one.
    Ipa,
    /// In phonemes of ARPABET, with spaces between them and `|` between words.
    Arpabet,
}

/// What is asked of the library; [`Request::of`] fills in what a voice asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Speaker, rate and noise.
    pub options: Options,
    /// What the text is written in.
    pub writing: Writing,
    /// Seconds of silence between sentences, and twice as much between paragraphs. With it every sentence is spoken by
    /// itself, without it only those of texts that are too long to be spoken at once.
    pub pause: Option<f64>,
    /// Begins the random numbers.
    pub seed: u64,
}

impl Request {
    /// What a voice asks for.
    pub fn of(voice: &crate::Voice, seed: u64) -> Self {
        Self { options: voice.options(), writing: Writing::Text, pause: None, seed }
    }
}
