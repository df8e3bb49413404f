//! The n-gram baseline: interpolated modified Kneser-Ney of any order.
//!
//! S. Chen and J. Goodman, "An empirical study of smoothing techniques for language modeling", 1998. The highest
//! order counts occurrences, every lower order counts distinct left neighbours; each order has its own three
//! discounts, and the lowest one is interpolated with the uniform distribution, so that every token has a
//! probability in every context. As in KenLM one begin mark stands before a sequence, the first contexts are
//! short, and what starts with the mark (it has no left neighbour) keeps its occurrences.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Why a model cannot be fitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NGramError {
    /// An order of 0.
    #[error("an n-gram model needs an order of at least 1")]
    Order,
    /// A vocabulary of 0 tokens, or so many that a token and its begin mark pass 32 bits.
    #[error("a vocabulary of {0} tokens is not between 1 and 4294967294")]
    Vocabulary(usize),
    /// A token outside the vocabulary.
    #[error(
        "token {token} at position {position} of sequence {sequence} is outside a vocabulary of {vocabulary}"
    )]
    Token {
        /// Which sequence.
        sequence: usize,
        /// Where in it.
        position: usize,
        /// The token.
        token: u32,
        /// Number of tokens that exist.
        vocabulary: usize,
    },
}

/// A fitted model. All probabilities of a context sum to 1 over the vocabulary.
#[derive(Debug, Clone)]
pub struct NGram {
    vocabulary: usize,
    /// `levels[k]` holds the n-grams of length `k + 1`; its length is the order.
    levels: Vec<Level>,
}

/// The n-grams of one length, as the children of their contexts.
#[derive(Debug, Clone, Default)]
struct Level {
    /// (context's index one level down, token) -> index in this level.
    index: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    /// The (modified) count of each n-gram.
    counts: Vec<u32>,
    /// Sums over the n-grams with the same context, by the context's index one level down.
    contexts: Vec<Context>,
    discounts: [f64; 3],
}

#[derive(Debug, Clone, Copy, Default)]
struct Context {
    total: u64,
    /// How many n-grams have a count of one, of two, and of more.
    kinds: [u32; 3],
}

impl NGram {
    /// Counts the n-grams of all sequences, up to `order` tokens long, over tokens `0..vocabulary`.
    ///
    /// A sequence that should learn where to end must itself hold an end token.
    ///
    /// # Errors
    /// An order of 0, an empty vocabulary, a token outside it.
    pub fn fit(sequences: &[Vec<u32>], order: usize, vocabulary: usize) -> Result<Self, NGramError> {
        if order == 0 {
            return Err(NGramError::Order);
        }
        if vocabulary == 0 || vocabulary >= u32::MAX as usize {
            return Err(NGramError::Vocabulary(vocabulary));
        }
        let mut levels = vec![Level::default(); order];
        for (index, sequence) in sequences.iter().enumerate() {
            if let Some(position) = sequence.iter().position(|&token| token as usize >= vocabulary) {
                let token = sequence[position];
                return Err(NGramError::Token { sequence: index, position, token, vocabulary });
            }
            count(&mut levels, sequence, vocabulary as u32);
        }
        for (depth, level) in levels.iter_mut().enumerate() {
            // the begin mark is a context, never a prediction
            let mark = if depth == 0 { level.find(0, vocabulary as u32) } else { None };
            level.discounts = discounts(&level.counts, mark);
            level.sum_contexts(vocabulary as u32);
        }
        Ok(Self { vocabulary, levels })
    }

    /// The longest n-gram of the model.
    pub fn order(&self) -> usize {
        self.levels.len()
    }

    /// The probability of `token` after `context`, which is everything from the sequence's beginning (only its last
    /// `order - 1` tokens matter). 0 for a token outside the vocabulary.
    pub fn probability(&self, context: &[u32], token: u32) -> f64 {
        let mut state = vec![Some(0)];
        self.advance(&mut state, self.vocabulary as u32);
        let skipped = context.len().saturating_sub(self.order());
        if skipped > 0 {
            state = vec![Some(0)];
        }
        for &token in &context[skipped..] {
            self.advance(&mut state, token);
        }
        self.after(&state, token)
    }

    /// The loss of every token of a sequence, the natural logarithm negated; infinite outside the vocabulary.
    pub fn nll(&self, sequence: &[u32]) -> Vec<f64> {
        let mut state = vec![Some(0)];
        self.advance(&mut state, self.vocabulary as u32);
        let mut losses = Vec::with_capacity(sequence.len());
        for &token in sequence {
            losses.push(-self.after(&state, token).ln());
            self.advance(&mut state, token);
        }
        losses
    }

    /// Moves the state past a token. `state[k]` is the index of the last `k` tokens at level `k - 1`, `None` where
    /// they were never seen together; it grows to one entry an order.
    fn advance(&self, state: &mut Vec<Option<u32>>, token: u32) {
        let mut next = Vec::with_capacity(self.order());
        next.push(Some(0));
        for (level, context) in self.levels.iter().take(self.order() - 1).zip(state.iter()) {
            next.push(context.and_then(|context| level.find(context, token)));
        }
        *state = next;
    }

    fn after(&self, state: &[Option<u32>], token: u32) -> f64 {
        if token as usize >= self.vocabulary {
            return 0.0;
        }
        let mut probability = 1.0 / self.vocabulary as f64;
        for (level, context) in self.levels.iter().zip(state) {
            let Some(context) = *context else { break };
            // an n-gram that only ends sequences is nobody's context
            let Some(sums) = level.contexts.get(context as usize).filter(|sums| sums.total > 0) else {
                break;
            };
            let total = sums.total as f64;
            let freed: f64 =
                sums.kinds.iter().zip(level.discounts).map(|(&kind, d)| f64::from(kind) * d).sum();
            let count = level.find(context, token).map_or(0, |index| level.counts[index as usize]);
            let kept = if count > 0 { f64::from(count) - level.discounts[kind(count)] } else { 0.0 };
            probability = kept / total + freed / total * probability;
        }
        probability
    }
}

impl Level {
    fn find(&self, context: u32, token: u32) -> Option<u32> {
        self.index.get(&key(context, token)).copied()
    }

    fn sum_contexts(&mut self, mark: u32) {
        for (&key, &index) in &self.index {
            let (context, token) = ((key >> 32) as usize, key as u32);
            if token == mark {
                continue;
            }
            if context >= self.contexts.len() {
                self.contexts.resize(context + 1, Context::default());
            }
            let count = self.counts[index as usize];
            self.contexts[context].total += u64::from(count);
            self.contexts[context].kinds[kind(count)] += 1;
        }
    }
}

/// Counts one sequence, the begin mark before it.
fn count(levels: &mut [Level], sequence: &[u32], mark: u32) {
    let order = levels.len();
    // state[k]: the index of the last k tokens, which is at level k - 1
    let mut state = vec![0];
    for (position, &token) in std::iter::once(&mark).chain(sequence).enumerate() {
        let mut next = Vec::with_capacity(order + 1);
        next.push(0);
        for (depth, &context) in state.iter().enumerate().take(order) {
            let level = &mut levels[depth];
            let fresh = level.counts.len() as u32;
            let index = *level.index.entry(key(context, token)).or_insert(fresh);
            let new = index == fresh;
            if new {
                level.counts.push(0);
            }
            let begins = depth == position;
            if depth + 1 == order || begins {
                level.counts[index as usize] = level.counts[index as usize].saturating_add(1);
            }
            if new && depth > 0 {
                // one more left neighbour of the n-gram without its first token
                let shorter = next[depth] as usize;
                levels[depth - 1].counts[shorter] += 1;
            }
            next.push(index);
        }
        next.truncate(order);
        state = next;
    }
}

/// The discounts for counts of one, of two, and of more, from the counts of counts.
///
/// Small or very regular data can make the formula useless (no n-gram counted once, a discount outside 0..=count):
/// then one absolute discount serves all, or, where that fails as well, a half, one, and one and a half.
fn discounts(counts: &[u32], mark: Option<u32>) -> [f64; 3] {
    let mut of = [0.0; 5];
    for (index, &count) in counts.iter().enumerate() {
        if (1..=4).contains(&count) && mark != Some(index as u32) {
            of[count as usize] += 1.0;
        }
    }
    let [_, n1, n2, n3, n4] = of;
    let y = n1 / (n1 + 2.0 * n2);
    let modified = [1.0 - 2.0 * y * n2 / n1, 2.0 - 3.0 * y * n3 / n2, 3.0 - 4.0 * y * n4 / n3];
    let usable = |d: &[f64; 3]| (1..).zip(d).all(|(most, &d)| d > 0.0 && d <= f64::from(most));
    // a comparison with a quotient by zero is false, so that these cases are refused too
    [modified, [y; 3], [0.5, 1.0, 1.5]].into_iter().find(usable).unwrap_or([0.5, 1.0, 1.5])
}

fn kind(count: u32) -> usize {
    count.clamp(1, 3) as usize - 1
}

fn key(context: u32, token: u32) -> u64 {
    u64::from(context) << 32 | u64::from(token)
}

/// Mixes a packed key; the keys are our own numbers, so that no defence against chosen ones is needed.
#[derive(Debug, Clone, Copy, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 ^= self.0 >> 29;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn sums_to_one(model: &NGram, context: &[u32], vocabulary: u32) {
        let sum: f64 = (0..vocabulary).map(|token| model.probability(context, token)).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{context:?}: {sum}");
    }

    /// A deterministic sequence with structure and some noise.
    fn noisy(length: usize, vocabulary: u32, mut seed: u64) -> Vec<u32> {
        let mut last = 0;
        let draw = |seed: &mut u64| {
            *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (*seed >> 33) as u32
        };
        (0..length)
            .map(|_| {
                let step = if draw(&mut seed) % 4 == 0 { draw(&mut seed) % vocabulary } else { last * 3 + 1 };
                last = step % vocabulary;
                last
            })
            .collect()
    }

    #[test]
    fn every_context_is_normalised() {
        let vocabulary = 13;
        let train: Vec<Vec<u32>> = (1..20).map(|seed| noisy(200, vocabulary, seed)).collect();
        for order in [1, 2, 3, 5] {
            let model = NGram::fit(&train, order, vocabulary as usize).unwrap();
            let seen = &train[3][..50];
            for context in [&[][..], &seen[..1], &seen[..3], seen, &[12, 12, 12, 12], &[0, 7, 0, 7, 0], &[99]]
            {
                sums_to_one(&model, context, vocabulary);
            }
        }
    }

    #[test]
    fn degenerate_counts_still_give_every_token_a_chance() {
        for train in [vec![], vec![vec![]], vec![vec![1]], vec![vec![1, 1, 1, 1, 1, 1, 1, 1]]] {
            let model = NGram::fit(&train, 3, 4).unwrap();
            for context in [&[][..], &[1], &[1, 1], &[2, 3]] {
                sums_to_one(&model, context, 4);
                assert!(model.probability(context, 3) > 0.0, "{train:?} {context:?}");
            }
        }
    }

    #[test]
    fn bigrams_agree_with_a_computation_by_hand() {
        // a b a b a c, with a begin mark ^. Bigrams: ^a 1, ab 2, ba 2, ac 1: n1 = 2, n2 = 2, n3 = 0, so the modified
        // discounts fail (0/0) and y = 2 / (2 + 4) = 1/3 serves all. Unigrams by left neighbours: a {^, b} 2,
        // b {a} 1, c {a} 1: n1 = 2, n2 = 1, y = 1/2. Uniform: 1/4 (a fourth token d is never seen).
        let model = NGram::fit(&[vec![0, 1, 0, 1, 0, 2]], 2, 4).unwrap();
        // unigram: freed mass 3 * 1/2 / 4 = 3/8
        let (a, b, c, d) =
            (1.5 / 4.0 + 3.0 / 32.0, 0.5 / 4.0 + 3.0 / 32.0, 0.5 / 4.0 + 3.0 / 32.0, 3.0 / 32.0);
        // after a: total 3, freed mass 2 * 1/3 / 3 = 2/9
        let expected = [
            2.0 / 9.0 * a,
            (5.0 / 3.0) / 3.0 + 2.0 / 9.0 * b,
            (2.0 / 3.0) / 3.0 + 2.0 / 9.0 * c,
            2.0 / 9.0 * d,
        ];
        for (token, expected) in (0..).zip(expected) {
            let found = model.probability(&[1, 0], token);
            assert!((found - expected).abs() < 1e-12, "{token}: {found} {expected}");
        }
        // after c, which only ends the sequence: the unigram itself
        assert!((model.probability(&[2], 3) - d).abs() < 1e-12);
        // at the beginning: ^a 1, total 1, freed 1/3
        assert!((model.probability(&[], 0) - (2.0 / 3.0 + a / 3.0)).abs() < 1e-12);
    }

    /// Modified Kneser-Ney by its definition: every count is taken anew from the marked sequences.
    fn by_definition(marked: &[Vec<u32>], order: usize, vocabulary: u32, gram: &[u32]) -> f64 {
        let Some((&token, context)) = gram.split_last() else { return 1.0 / f64::from(vocabulary) };
        let windows = |length: usize| marked.iter().flat_map(move |sequence| sequence.windows(length));
        let count = |gram: &[u32]| -> u32 {
            if gram.len() == order || gram[0] == vocabulary {
                return windows(gram.len()).filter(|window| *window == gram).count() as u32;
            }
            let left: HashSet<u32> = windows(gram.len() + 1)
                .filter(|window| window[1..] == *gram)
                .map(|window| window[0])
                .collect();
            left.len() as u32
        };
        let seen: HashSet<&[u32]> = windows(gram.len()).filter(|window| **window != [vocabulary]).collect();
        let n = |wanted: u32| seen.iter().filter(|gram| count(gram) == wanted).count() as f64;
        let y = n(1) / (n(1) + 2.0 * n(2));
        let d = [1.0 - 2.0 * y * n(2) / n(1), 2.0 - 3.0 * y * n(3) / n(2), 3.0 - 4.0 * y * n(4) / n(3)];
        let lower = by_definition(marked, order, vocabulary, &gram[1..]);
        let next: Vec<u32> =
            (0..vocabulary).map(|token| count(&[context, &[token]].concat())).filter(|c| *c > 0).collect();
        if next.is_empty() {
            return lower;
        }
        let total = f64::from(next.iter().sum::<u32>());
        let discount = |c: u32| if c == 0 { 0.0 } else { d[c.min(3) as usize - 1] };
        let own = count(&[context, &[token]].concat());
        let freed: f64 = next.iter().map(|c| discount(*c)).sum();
        (f64::from(own) - discount(own)) / total + freed / total * lower
    }

    #[test]
    fn order_three_agrees_with_the_definition() {
        let vocabulary = 40;
        let train: Vec<Vec<u32>> = (1..4).map(|seed| noisy(60, vocabulary, seed)).collect();
        let marked: Vec<Vec<u32>> =
            train.iter().map(|sequence| [&[vocabulary], &sequence[..]].concat()).collect();
        let model = NGram::fit(&train, 3, vocabulary as usize).unwrap();
        // fallback discounts would make it another formula
        assert!(
            model
                .levels
                .iter()
                .all(|level| level.discounts[0] != level.discounts[1] && level.discounts[1] != 1.0)
        );
        let query = noisy(40, vocabulary, 9);
        for position in 0..query.len() {
            let padded = [&[vocabulary], &query[..=position]].concat();
            let gram = &padded[padded.len().saturating_sub(3)..];
            let expected = by_definition(&marked, 3, vocabulary, gram);
            let found = model.probability(&query[..position], query[position]);
            assert!((found - expected).abs() < 1e-12, "{gram:?}: {found} {expected}");
        }
    }

    #[test]
    fn modified_discounts_come_from_the_counts_of_counts() {
        // n1 = 4, n2 = 2, n3 = 1, n4 = 1: y = 1/2, so 1 - 1/2, 2 - 3/4, 3 - 2
        let found = discounts(&[1, 2, 1, 3, 1, 9, 1, 2, 4], None);
        assert_eq!(found, [0.5, 1.25, 1.0]);
    }

    #[test]
    fn losses_are_those_of_the_probabilities_and_orders_help() {
        let train: Vec<Vec<u32>> = (1..30).map(|seed| noisy(300, 11, seed)).collect();
        let held_out = noisy(300, 11, 77);
        let mut means = Vec::new();
        for order in [1, 3, 5] {
            let model = NGram::fit(&train, order, 11).unwrap();
            let losses = model.nll(&held_out);
            for position in [0, 1, 2, 5, 100, 299] {
                let expected = -model.probability(&held_out[..position], held_out[position]).ln();
                assert!((losses[position] - expected).abs() < 1e-12, "{order} {position}");
            }
            means.push(losses.iter().sum::<f64>() / losses.len() as f64);
        }
        assert!(means[1] < 0.7 * means[0], "{means:?}");
        assert!(means[2] < 1.05 * means[1], "{means:?}");
    }

    #[test]
    fn wrong_input_is_refused() {
        assert_eq!(NGram::fit(&[], 0, 4).unwrap_err(), NGramError::Order);
        assert_eq!(NGram::fit(&[], 3, 0).unwrap_err(), NGramError::Vocabulary(0));
        let error = NGram::fit(&[vec![0], vec![1, 4]], 3, 4).unwrap_err();
        assert_eq!(error, NGramError::Token { sequence: 1, position: 1, token: 4, vocabulary: 4 });
        assert_eq!(NGram::fit(&[], 2, 4).unwrap().nll(&[4]), [f64::INFINITY]);
    }
}
