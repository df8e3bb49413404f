//! Probabilities, log-probabilities and the greedy choice.

use super::{DecodeError, check};
use kernels::top_k::Found;
use serde::{Deserialize, Serialize};

/// A token and the natural logarithm of its probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TokenLogProb {
    /// The token.
    pub id: u32,
    /// ln p.
    pub logprob: f32,
}

impl From<Found> for TokenLogProb {
    fn from(found: Found) -> Self {
        Self { id: found.index, logprob: found.value }
    }
}

/// The token with the largest logit, the lowest id among equals, as `torch.argmax`.
pub fn greedy(logits: &[f32]) -> Result<u32, DecodeError> {
    check(logits)?;
    let mut best = 0;
    for (id, &value) in logits.iter().enumerate() {
        if value > logits[best] {
            best = id;
        }
    }
    Ok(best as u32)
}

/// Writes the softmax of a row into `probabilities`, which takes its length.
pub fn softmax(logits: &[f32], probabilities: &mut Vec<f32>) {
    let largest = maximum(logits);
    probabilities.clear();
    let mut sum = 0.0f64;
    probabilities.extend(logits.iter().map(|&value| {
        // an excluded token costs no exponential
        let weight = if value > f32::NEG_INFINITY { (value - largest).exp() } else { 0.0 };
        sum += f64::from(weight);
        weight
    }));
    let sum = sum as f32;
    probabilities.iter_mut().for_each(|weight| *weight /= sum);
}

/// Turns a row of logits into log-probabilities.
pub fn log_softmax(logits: &mut [f32]) {
    let normaliser = log_sum_exp(logits);
    logits.iter_mut().for_each(|value| *value = (f64::from(*value) - normaliser) as f32);
}

/// The log-probability of one token. Call it before a sampler changes the row.
pub fn log_probability(logits: &[f32], id: u32) -> Result<f32, DecodeError> {
    check(logits)?;
    let count = logits.len();
    let value = logits.get(id as usize).ok_or(DecodeError::OutOfVocabulary { id, count })?;
    Ok((f64::from(*value) - log_sum_exp(logits)) as f32)
}

/// The `n` most probable tokens, the most probable first and the lower id first among equals. Tokens at -inf are left
/// out.
pub fn top_log_probs(logits: &[f32], n: usize) -> Result<Vec<TokenLogProb>, DecodeError> {
    check(logits)?;
    let normaliser = log_sum_exp(logits);
    let mut ids: Vec<u32> =
        (0..logits.len() as u32).filter(|&id| logits[id as usize] > f32::NEG_INFINITY).collect();
    let descending = |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if 0 < n && n < ids.len() {
        ids.select_nth_unstable_by(n - 1, descending);
    }
    ids.truncate(n);
    ids.sort_unstable_by(descending);
    let scored = |id: u32| TokenLogProb { id, logprob: (f64::from(logits[id as usize]) - normaliser) as f32 };
    Ok(ids.into_iter().map(scored).collect())
}

fn maximum(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = maximum(logits);
    let weights = logits.iter().filter(|value| **value > f32::NEG_INFINITY);
    let sum: f64 = weights.map(|&value| f64::from((value - largest).exp())).sum();
    f64::from(largest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: f32 = f32::NEG_INFINITY;

    #[test]
    fn greedy_takes_the_lowest_of_equals() {
        let check = |logits: &[f32], expected| assert_eq!(greedy(logits), expected);
        check(&[1.0, 3.0, 3.0], Ok(1));
        check(&[OUT, OUT, -7.0], Ok(2));
        check(&[], Err(DecodeError::Empty));
        check(&[OUT, OUT], Err(DecodeError::NothingAllowed(2)));
        check(&[0.0, f32::INFINITY], Err(DecodeError::NotFinite { id: 1, count: 2, value: f32::INFINITY }));
        let error = greedy(&[0.0, f32::NAN, 1.0]).unwrap_err().to_string();
        assert!(error.starts_with("logit 1 of 3 is NaN"), "{error}");
    }

    #[test]
    fn probabilities_sum_to_one_and_large_logits_do_not_overflow() {
        let mut row = Vec::new();
        softmax(&[1e30, OUT, 1e30], &mut row);
        assert_eq!(row, [0.5, 0.0, 0.5]);
        let mut row = [3e38, 3e38, OUT, -3e38];
        log_softmax(&mut row);
        assert_eq!(row[2..], [OUT, OUT]);
    }

    #[test]
    fn top_log_probs_are_ordered_and_leave_excluded_tokens_out() {
        let row = [0.25f32.ln(), 0.5f32.ln(), OUT, 0.25f32.ln()];
        let ids = |n| top_log_probs(&row, n).unwrap().iter().map(|top| top.id).collect::<Vec<_>>();
        assert_eq!(ids(0), [] as [u32; 0]);
        assert_eq!(ids(2), [1, 0]);
        assert_eq!(ids(9), [1, 0, 3]);
        let best = top_log_probs(&row, 1).unwrap()[0].logprob;
        assert!((best - 0.5f32.ln()).abs() < 1e-6);
        assert_eq!(log_probability(&row, 1).unwrap(), best);
        assert_eq!(log_probability(&row, 2).unwrap(), OUT);
        assert_eq!(log_probability(&row, 4), Err(DecodeError::OutOfVocabulary { id: 4, count: 4 }));
    }
}
