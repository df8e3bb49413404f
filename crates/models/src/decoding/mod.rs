//! From logits to tokens: filters, greedy choice, sampling, log-probabilities. Nets are unknown here.
//!
//! Everything works on one row: a plain slice of f32 logits, an entry a token. A [`Sampler`] applies what its
//! [`Sampling`] options ask in the order of transformers' `generate` (repetition penalty, the caller's own filters,
//! temperature, top-k, top-p, min-p) and draws with PyTorch's generator, so that the same seed and the same logits give
//! the same ids as `torch.manual_seed(seed); model.generate(do_sample=True)`, row by row in a batch as well.
//!
//! Filters never see hypotheses, only tokens and logits, so a beam search can call the same ones for every beam.
//!
//! A [`Beam`] is the search for one input, step by step; [`search`] is that of many at once, which takes the net as a
//! closure.

mod beam;
mod constraint;
mod filters;
mod penalties;
mod sampler;
mod scores;
mod search;

pub use beam::{Beam, BeamOptions, Hypothesis, Step};
pub use constraint::Constraint;
pub use filters::{MinP, Temperature, TopK, TopP};
pub use kernels::top_k::largest;
pub use penalties::{Allowed, Banned, Forced, FrequencyPenalty, NoRepeat, RepetitionPenalty};
pub use sampler::{Sampler, Sampling};
pub use scores::{TokenLogProb, greedy, log_probability, log_softmax, softmax, top_log_probs};
pub use search::{Marks, SearchOptions, search};

use crate::random::RandomError;

/// Why no token could be chosen.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A logit is NaN or +inf.
    #[error(
        "logit {id} of {count} is {value}: the weights are damaged or too large for this number format (try --dtype f32)"
    )]
    NotFinite {
        /// The token it belongs to.
        id: usize,
        /// Tokens in the vocabulary.
        count: usize,
        /// The value.
        value: f32,
    },
    /// Every logit is -inf.
    #[error("no token is allowed: all {0} logits are -inf, so the filters exclude each other")]
    NothingAllowed(usize),
    /// The row is empty.
    #[error("there are no logits to choose from")]
    Empty,
    /// A token lies outside the vocabulary.
    #[error("token {id} lies outside the vocabulary of {count}")]
    OutOfVocabulary {
        /// The token.
        id: u32,
        /// Tokens in the vocabulary.
        count: usize,
    },
    /// An option is out of its range.
    #[error("{option} is {value}, it must be {expected}")]
    Option {
        /// Its name, as in [`Sampling`].
        option: &'static str,
        /// What was asked.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },
    /// The caller's own filter refused, with its reason.
    #[error("{0}")]
    Filter(String),
    /// The draw was refused.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Changes the logits before a token is chosen. An excluded token gets -inf.
///
/// A filter may keep what it computed between calls, but its effect depends on `tokens` and `logits` alone: a beam
/// search calls one filter for many histories in turn.
pub trait LogitFilter {
    /// `tokens` are all tokens so far, the prompt's first; `logits` is the row of the next one.
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), DecodeError>;
}

impl<F: FnMut(&[u32], &mut [f32]) -> Result<(), DecodeError>> LogitFilter for F {
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        self(tokens, logits)
    }
}

/// Refuses a row without a choice: empty, all -inf, or with a value that no probability can be made of.
pub fn check(logits: &[f32]) -> Result<(), DecodeError> {
    let count = logits.len();
    let (mut any, mut bad) = (false, false);
    for &value in logits {
        any |= value > f32::NEG_INFINITY;
        bad |= value.is_nan() | (value == f32::INFINITY);
    }
    if bad {
        let found = logits.iter().enumerate().find(|(_, value)| value.is_nan() || **value == f32::INFINITY);
        if let Some((id, &value)) = found {
            return Err(DecodeError::NotFinite { id, count, value });
        }
    }
    match (count, any) {
        (0, _) => Err(DecodeError::Empty),
        (_, false) => Err(DecodeError::NothingAllowed(count)),
        _ => Ok(()),
    }
}
