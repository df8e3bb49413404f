//! The filters of sampling, each with the meaning of its twin in transformers' `logits_process.py`, ties and rounding
//! included. They never sort a vocabulary: what lies below a threshold is found by partial selection.

use super::{DecodeError, LogitFilter, scores};
use std::cmp::Ordering;

/// Divides every logit: below 1 the choice is sharper, above 1 flatter.
#[derive(Debug, Clone)]
pub struct Temperature(pub f64);

impl LogitFilter for Temperature {
    fn apply(&mut self, _: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        let temperature = self.0 as f32;
        logits.iter_mut().for_each(|value| *value /= temperature);
        Ok(())
    }
}

/// Keeps the `k` largest logits and all that equal the smallest of these. A `k` of 0 keeps everything.
#[derive(Debug, Clone)]
pub struct TopK {
    k: usize,
    keys: Vec<i32>,
}

impl TopK {
    /// A filter that keeps `k` tokens.
    pub fn new(k: usize) -> Self {
        Self { k, keys: Vec::new() }
    }
}

impl LogitFilter for TopK {
    fn apply(&mut self, _: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        if self.k == 0 || self.k >= logits.len() {
            return Ok(());
        }
        self.keys.clear();
        self.keys.extend(logits.iter().map(|&value| order_key(value)));
        let (_, smallest, _) = self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        let threshold = from_order_key(*smallest);
        exclude_below(logits, threshold);
        Ok(())
    }
}

/// Keeps the fewest most probable tokens that hold `p` of the probability together, at least one. Among equal logits
/// the higher id is kept first, as a stable ascending sort does.
#[derive(Debug, Clone)]
pub struct TopP {
    p: f64,
    candidates: Vec<Candidate>,
    probabilities: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    key: i32,
    id: u32,
    probability: f32,
}

impl Candidate {
    fn descending(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key).then(other.id.cmp(&self.id))
    }
}

impl TopP {
    /// A filter that keeps `p` of the probability.
    pub fn new(p: f64) -> Self {
        Self { p, candidates: Vec::new(), probabilities: Vec::new() }
    }

    /// Orders the candidates only as far as needed: those after the returned index are excluded.
    ///
    /// transformers sums upwards from the least probable token and drops what stays within 1 - p; the same sum is here
    /// the total less what lies above a token. Each step halves the range in which that border lies.
    fn last_kept(&mut self) -> usize {
        let mass = |part: &[Candidate]| part.iter().map(|c| f64::from(c.probability)).sum::<f64>();
        let total = mass(&self.candidates);
        let dropped = (1.0 - self.p) as f32;
        let (mut start, mut end, mut above) = (0, self.candidates.len(), 0.0);
        while end - start > 1 {
            let middle = start + (end - start) / 2;
            self.candidates[start..end].select_nth_unstable_by(middle - start, Candidate::descending);
            let above_middle = above + mass(&self.candidates[start..middle]);
            if (total - above_middle) as f32 > dropped {
                (start, above) = (middle, above_middle);
            } else {
                end = middle;
            }
        }
        start
    }
}

impl LogitFilter for TopP {
    fn apply(&mut self, _: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        if self.p >= 1.0 {
            return Ok(());
        }
        scores::softmax(logits, &mut self.probabilities);
        self.candidates.clear();
        self.candidates.extend(
            logits
                .iter()
                .zip(&self.probabilities)
                .enumerate()
                .filter(|(_, (value, _))| **value > f32::NEG_INFINITY)
                .map(|(id, (&value, &probability))| Candidate {
                    key: order_key(value),
                    id: id as u32,
                    probability,
                }),
        );
        if self.candidates.is_empty() {
            return Ok(());
        }
        let last = self.last_kept();
        for candidate in &self.candidates[last + 1..] {
            logits[candidate.id as usize] = f32::NEG_INFINITY;
        }
        Ok(())
    }
}

/// Keeps what has at least `p` times the probability of the most probable token.
#[derive(Debug, Clone)]
pub struct MinP {
    p: f64,
    probabilities: Vec<f32>,
}

impl MinP {
    /// A filter with the fraction `p` of the largest probability as its border.
    pub fn new(p: f64) -> Self {
        Self { p, probabilities: Vec::new() }
    }
}

impl LogitFilter for MinP {
    fn apply(&mut self, _: &[u32], logits: &mut [f32]) -> Result<(), DecodeError> {
        if self.p <= 0.0 {
            return Ok(());
        }
        scores::softmax(logits, &mut self.probabilities);
        let largest = self.probabilities.iter().copied().fold(0.0, f32::max);
        let border = self.p as f32 * largest;
        for (value, &probability) in logits.iter_mut().zip(&self.probabilities) {
            if probability < border {
                *value = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }
}

fn exclude_below(logits: &mut [f32], threshold: f32) {
    for value in logits {
        if *value < threshold {
            *value = f32::NEG_INFINITY;
        }
    }
}

/// An integer that orders as the float does; integers are selected faster.
fn order_key(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

fn from_order_key(key: i32) -> f32 {
    f32::from_bits((key ^ (((key >> 31) as u32) >> 1) as i32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: f32 = f32::NEG_INFINITY;

    fn check(mut filter: impl LogitFilter, logits: &[f32], expected: &[f32]) {
        let mut row = logits.to_vec();
        filter.apply(&[], &mut row).unwrap();
        assert_eq!(row, expected);
    }

    #[test]
    fn order_keys_order_and_return() {
        let values = [f32::NEG_INFINITY, -1e30, -1.5, -1e-40, -0.0, 0.0, 1e-40, 2.0, f32::INFINITY];
        for pair in values.windows(2) {
            assert!(order_key(pair[0]) < order_key(pair[1]), "{pair:?}");
        }
        for value in values {
            assert_eq!(from_order_key(order_key(value)).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn top_k_keeps_ties_and_everything_when_k_is_large() {
        check(TopK::new(1), &[1.0, 3.0, 2.0], &[OUT, 3.0, OUT]);
        check(TopK::new(2), &[2.0, 3.0, 2.0, 1.0], &[2.0, 3.0, 2.0, OUT]);
        check(TopK::new(3), &[2.0, 3.0, 1.0], &[2.0, 3.0, 1.0]);
        check(TopK::new(4), &[2.0, 3.0, 1.0], &[2.0, 3.0, 1.0]);
        check(TopK::new(0), &[2.0, 3.0, 1.0], &[2.0, 3.0, 1.0]);
        check(TopK::new(2), &[OUT, 3.0, OUT, OUT], &[OUT, 3.0, OUT, OUT]);
        check(TopK::new(2), &[-0.0, 0.0, 0.0, -1.0], &[-0.0, 0.0, 0.0, OUT]);
    }

    #[test]
    fn top_p_at_its_borders() {
        let halves = [0.5f32.ln(), 0.25f32.ln(), 0.25f32.ln()];
        check(TopP::new(1.0), &halves, &halves);
        check(TopP::new(0.0), &halves, &[halves[0], OUT, OUT]);
        check(TopP::new(1e-12), &halves, &[halves[0], OUT, OUT]);
        check(TopP::new(0.6), &halves, &[halves[0], OUT, halves[2]]);
        check(TopP::new(0.8), &halves, &halves);
        check(TopP::new(0.5), &[OUT, 7.0, OUT], &[OUT, 7.0, OUT]);
        check(TopP::new(0.0), &[1.0, 1.0], &[OUT, 1.0]);
        check(TopP::new(0.5), &[3.0], &[3.0]);
    }

    #[test]
    fn min_p_is_relative_to_the_best() {
        let row = [0.6f32.ln(), 0.3f32.ln(), 0.1f32.ln()];
        check(MinP::new(0.0), &row, &row);
        check(MinP::new(0.4), &row, &[row[0], row[1], OUT]);
        check(MinP::new(1.0), &row, &[row[0], OUT, OUT]);
        check(MinP::new(0.5), &[OUT, -4.0, OUT], &[OUT, -4.0, OUT]);
    }

    #[test]
    fn filters_pass_over_rows_without_a_token() {
        for row in [&[][..], &[OUT, OUT]] {
            check(TopK::new(1), row, row);
            check(TopP::new(0.5), row, row);
            check(MinP::new(0.5), row, row);
        }
    }
}
