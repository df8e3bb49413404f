//! How a text is spoken.

use models::nets::vits::Options;
use models::tokens::Writing;

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
        Self { options: Options::of(&voice.config), writing: Writing::Letters, pause: None, seed }
    }
}
