//! Filters that look at the tokens so far, and plain sets of tokens.

use super::{DecodeError, LogitFilter};

/// Divides the logit of each token that occurred (the prompt's too) by `penalty` where it is positive and multiplies it
/// where it is negative, once a token (Keskar et al. 2019, as in transformers). Above 1 repetition is made rarer.
#[derive(Debug, Clone)]
pub struct RepetitionPenalty {
    penalty: f64,
    occurred: Vec<bool>,
}

impl RepetitionPenalty {
    /// A filter with this penalty; 1 changes nothing.
    pub fn new(penalty: f64) -> Self {
        Self { penalty, occurred: Vec::new() }
    }
}

impl LogitFilter for RepetitionPenalty {
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        let penalty = self.penalty as f32;
        self.occurred.clear();
        self.occurred.resize(logits.len(), false);
        for &token in tokens {
            // a padded embedding has ids that the output layer lacks; they cannot be drawn
            let Some(value) = logits.get_mut(token as usize) else { continue };
            if !std::mem::replace(&mut self.occurred[token as usize], true) {
                *value = if *value < 0.0 { *value * penalty } else { *value / penalty };
            }
        }
        Ok(())
    }
}

/// Lowers the logit of a token by `frequency` for each time it was generated and by `presence` once, as OpenAI's API
/// does: the prompt does not count.
#[derive(Debug, Clone)]
pub struct FrequencyPenalty {
    /// Taken off once for each occurrence.
    pub frequency: f32,
    /// Taken off once.
    pub presence: f32,
    /// Tokens at the start that do not count.
    pub prompt_len: usize,
}

impl LogitFilter for FrequencyPenalty {
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        let mut generated = tokens.get(self.prompt_len..).unwrap_or(&[]).to_vec();
        generated.sort_unstable();
        for same in generated.chunk_by(|a, b| a == b) {
            if let Some(value) = logits.get_mut(same[0] as usize) {
                *value -= same.len() as f32 * self.frequency + self.presence;
            }
        }
        Ok(())
    }
}

/// Excludes the tokens of a list. Ids outside the vocabulary are passed over.
#[derive(Debug, Clone)]
pub struct Banned(pub Vec<u32>);

impl LogitFilter for Banned {
    fn apply(&mut self, _: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        for &token in &self.0 {
            if let Some(value) = logits.get_mut(token as usize) {
                *value = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }
}

/// Excludes every token that would end a run of so many that was there before (Paulus et al., 2017, as in transformers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRepeat(pub usize);

impl LogitFilter for NoRepeat {
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        let Self(size) = *self;
        let Some(begins) = (tokens.len() + 1).checked_sub(size).filter(|_| size > 0) else { return Ok(()) };
        let beginning = &tokens[begins..];
        for run in tokens.windows(size).filter(|run| run[..size - 1] == *beginning) {
            if let Some(value) = logits.get_mut(run[size - 1] as usize) {
                *value = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }
}

/// Leaves one token alone, at a logit of zero, where so many tokens are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forced {
    /// How many.
    pub after: usize,
    /// The token.
    pub id: u32,
}

impl LogitFilter for Forced {
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        if tokens.len() != self.after {
            return Ok(());
        }
        let (id, count) = (self.id, logits.len());
        logits.fill(f32::NEG_INFINITY);
        match logits.get_mut(id as usize) {
            Some(value) => *value = 0.,
            None => return Err(DecodeError::OutOfVocabulary { id, count }),
        }
        Ok(())
    }
}

/// Excludes every token that is not in its list.
#[derive(Debug, Clone)]
pub struct Allowed {
    sorted: Vec<u32>,
}

impl Allowed {
    /// A filter that leaves only these tokens. Ids outside the vocabulary are passed over.
    pub fn new(mut tokens: Vec<u32>) -> Self {
        tokens.sort_unstable();
        Self { sorted: tokens }
    }
}

impl LogitFilter for Allowed {
    fn apply(&mut self, _: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        let mut start = 0;
        for &token in &self.sorted {
            let token = token as usize;
            if token >= logits.len() {
                break;
            }
            if token >= start {
                logits[start..token].fill(f32::NEG_INFINITY);
                start = token + 1;
            }
        }
        logits[start..].fill(f32::NEG_INFINITY);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: f32 = f32::NEG_INFINITY;

    fn check(mut filter: impl LogitFilter, tokens: &[u32], expected: &[f32]) {
        let mut row = [2.0, -2.0, 0.5, OUT];
        filter.apply(tokens, &mut row).unwrap();
        assert_eq!(row, expected);
        // a second call for another history leaves no trace of the first
        let mut row = [2.0, -2.0, 0.5, OUT];
        filter.apply(&[], &mut row).unwrap();
        let mut again = [2.0, -2.0, 0.5, OUT];
        filter.apply(tokens, &mut again).unwrap();
        assert_eq!(again, expected);
    }

    #[test]
    fn repetition_is_penalised_once_a_token() {
        check(RepetitionPenalty::new(2.0), &[0, 1, 1, 0, 3, 9], &[1.0, -4.0, 0.5, OUT]);
        check(RepetitionPenalty::new(1.0), &[0, 1, 2], &[2.0, -2.0, 0.5, OUT]);
    }

    #[test]
    fn frequency_counts_generated_tokens_alone() {
        let filter = |prompt_len| FrequencyPenalty { frequency: 0.5, presence: 0.25, prompt_len };
        check(filter(0), &[0, 1, 1, 0, 0, 9], &[0.25, -3.25, 0.5, OUT]);
        check(filter(3), &[0, 1, 1, 0, 0, 9], &[0.75, -2.0, 0.5, OUT]);
        check(filter(99), &[0, 1], &[2.0, -2.0, 0.5, OUT]);
    }

    #[test]
    fn runs_come_once_and_forced_tokens_in_their_place() {
        check(NoRepeat(2), &[1, 0, 3, 1], &[OUT, -2.0, 0.5, OUT]);
        check(NoRepeat(3), &[1, 0, 3, 1], &[2.0, -2.0, 0.5, OUT]);
        check(NoRepeat(3), &[0, 1, 2, 9, 0, 1], &[2.0, -2.0, OUT, OUT]);
        check(NoRepeat(1), &[0, 99], &[OUT, -2.0, 0.5, OUT]);
        check(NoRepeat(0), &[0, 99], &[2.0, -2.0, 0.5, OUT]);
        check(Forced { after: 2, id: 3 }, &[0, 1], &[OUT, OUT, OUT, 0.0]);
        check(Forced { after: 2, id: 3 }, &[0, 1, 1], &[2.0, -2.0, 0.5, OUT]);
        assert!(Forced { after: 0, id: 4 }.apply(&[], &mut [0.; 4]).is_err());
    }

    #[test]
    fn sets_of_tokens() {
        check(Banned(vec![0, 2, 2, 77]), &[], &[OUT, -2.0, OUT, OUT]);
        check(Allowed::new(vec![77, 1, 1, 2]), &[], &[OUT, -2.0, 0.5, OUT]);
        check(Allowed::new(vec![]), &[], &[OUT; 4]);
        check(Allowed::new(vec![0, 3]), &[], &[2.0, OUT, OUT, OUT]);
    }
}
