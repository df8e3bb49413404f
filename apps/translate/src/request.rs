//! How a translation is made.

use models::decoding::Sampling;

/// What is asked of the library; [`Request::of`] fills in what a model asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Hypotheses; 1 takes the likeliest id at each step, or draws.
    pub beams: usize,
    /// Draws ids so, with one hypothesis.
    pub sampling: Option<Sampling>,
    /// Ids of a sentence's translation at most.
    pub max_tokens: usize,
    /// Scores are sums of log-probabilities over the length to the power of this.
    pub length_penalty: f32,
    /// Whether a search ends at the first hypotheses that are whole.
    pub early_stopping: bool,
    /// Runs of so many ids come once at most; 0 is no such rule.
    pub no_repeat: usize,
    /// Hypotheses of each sentence that are told, at most `beams`.
    pub alternatives: usize,
    /// Sentences that the net sees at once.
    pub batch: usize,
    /// What is done about words that go round and round.
    pub on_loop: OnLoop,
    /// What stands before every sentence, for nets that are told so what to do.
    pub prefix: String,
}

/// What is done about words that go round and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoop {
    /// The sentence is translated again, without runs of ids that come twice.
    Retry,
    /// It stays as it came.
    Keep,
}

/// Ids at most, where neither the user nor the model says how many.
pub const MAX_TOKENS: usize = 512;

impl Request {
    /// What a model asks for.
    pub fn of(defaults: &crate::Defaults) -> Self {
        let longest = defaults.max_length.map(|length| length.saturating_sub(1).max(1));
        Self {
            beams: defaults.num_beams.unwrap_or(1),
            sampling: None,
            max_tokens: defaults.max_new_tokens.or(longest).unwrap_or(MAX_TOKENS),
            length_penalty: defaults.length_penalty.unwrap_or(1.),
            early_stopping: defaults.early_stopping.unwrap_or(false),
            no_repeat: defaults.no_repeat_ngram_size.unwrap_or(0),
            alternatives: 1,
            batch: 16,
            on_loop: OnLoop::Retry,
            prefix: String::new(),
        }
    }
}
