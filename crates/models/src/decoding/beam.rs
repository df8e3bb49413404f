//! Beam search, as transformers' `generate(num_beams=...)` does it: what runs, what is finished, and when to stop.
//!
//! A [`Beam`] knows scores and ids alone. Whoever has the net shows it the logits after every running hypothesis and
//! carries out what it answers, so several inputs can share one batch, and nets keep their caches to themselves.

use super::{DecodeError, LogitFilter, TokenLogProb, check, log_softmax};
use kernels::top_k::largest;

/// How many hypotheses, how long, and what is good.
#[derive(Debug, Clone, PartialEq)]
pub struct BeamOptions {
    /// Hypotheses that run.
    pub beams: usize,
    /// Tokens to add at most.
    pub max_tokens: usize,
    /// Scores are sums of log-probabilities over the length to the power of this: above 0 favours long ones.
    pub length_penalty: f32,
    /// Whether to stop as soon as so many hypotheses are finished.
    pub early_stopping: bool,
    /// The tokens that finish one.
    pub eos: Vec<u32>,
}

/// A continuation and how good it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// The tokens that were added, an end included.
    pub ids: Vec<u32>,
    /// The sum of their log-probabilities over the length to the power of the penalty.
    pub score: f32,
}

/// What the net is to do next: row `parents[i]` of the last batch, followed by `tokens[i]`, becomes row `i`.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Rows of the batch that the last logits were of.
    pub parents: Vec<usize>,
    /// Their next tokens.
    pub tokens: Vec<u32>,
}

/// A search under way.
pub struct Beam {
    options: BeamOptions,
    prompt: Vec<u32>,
    running: Vec<Running>,
    finished: Vec<Hypothesis>,
    added: usize,
}

#[derive(Debug, Clone)]
struct Running {
    ids: Vec<u32>,
    /// The sum of log-probabilities.
    sum: f32,
}

struct Candidate {
    sum: f32,
    parent: usize,
    token: u32,
}

impl Beam {
    /// Begins after a prompt, with one row.
    pub fn new(prompt: &[u32], options: BeamOptions) -> Self {
        let running = vec![Running { ids: Vec::new(), sum: 0. }];
        Self { options, prompt: prompt.to_vec(), running, finished: Vec::new(), added: 0 }
    }

    /// Takes the logits (vocab) after each row, changed by the filters once they are log-probabilities, as transformers
    /// has it. Answers with the next step, or nothing when the search is over.
    ///
    /// # Errors
    /// Logits that no probability can be made of, and what the filters refuse.
    pub fn advance(
        &mut self,
        rows: &[&[f32]],
        filters: &mut [Box<dyn LogitFilter + Send>],
    ) -> Result<Option<Step>, DecodeError> {
        let (wanted, mut best, mut scores) = (self.wanted(), Vec::with_capacity(rows.len()), Vec::new());
        for (row, running) in rows.iter().zip(&self.running) {
            check(row)?;
            scores.clear();
            scores.extend_from_slice(row);
            log_softmax(&mut scores);
            if !filters.is_empty() {
                let tokens = [&self.prompt[..], &running.ids].concat();
                for filter in filters.iter_mut() {
                    filter.apply(&tokens, &mut scores)?;
                }
            }
            best.push(largest(&scores, wanted).into_iter().map(TokenLogProb::from).collect());
        }
        self.advance_best(&best, rows.first().map_or(0, |row| row.len()))
    }

    /// How many tokens after each row are looked at.
    pub fn wanted(&self) -> usize {
        self.options.beams * (1 + self.options.eos.len()).max(2)
    }

    /// As [`Beam::advance`] on the [`Beam::wanted`] most probable tokens after each row, most probable first, of a
    /// vocabulary of so many.
    ///
    /// # Errors
    /// Where nothing is possible.
    pub fn advance_best(
        &mut self,
        best: &[Vec<TokenLogProb>],
        vocab: usize,
    ) -> Result<Option<Step>, DecodeError> {
        let BeamOptions { beams, max_tokens, length_penalty, early_stopping, .. } = self.options;
        let mut candidates: Vec<Candidate> = Vec::new();
        for (parent, (row, running)) in best.iter().zip(&self.running).enumerate() {
            let candidate =
                |one: &TokenLogProb| Candidate { sum: one.logprob + running.sum, parent, token: one.id };
            candidates.extend(row.iter().map(candidate));
        }
        candidates.retain(|one| one.sum > f32::NEG_INFINITY);
        // of equal sums the earlier row and the smaller id come first
        candidates.sort_by(|a, b| b.sum.total_cmp(&a.sum));
        candidates.truncate(self.wanted());
        if candidates.is_empty() {
            return Err(DecodeError::NothingAllowed(vocab));
        }
        self.added += 1;
        let at_end = self.added >= max_tokens;
        let ends = |one: &Candidate| at_end || self.options.eos.contains(&one.token);
        let divisor = (self.added as f32).powf(length_penalty);
        let full = self.finished.len() >= beams;
        for one in candidates.iter().take(beams).filter(|one| ends(one)) {
            if !(full && early_stopping) {
                let ids = [&self.running[one.parent].ids[..], &[one.token]].concat();
                self.finished.push(Hypothesis { ids, score: one.sum / divisor });
            }
        }
        self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.finished.truncate(beams);
        candidates.retain(|one| !ends(one));
        candidates.truncate(beams);
        if candidates.is_empty() {
            return Ok(None);
        }
        let possible = candidates[0].sum / divisor;
        let full = self.finished.len() >= beams;
        let worst = self.finished.last().map_or(f32::NEG_INFINITY, |worst| worst.score);
        if full && (early_stopping || possible <= worst) {
            return Ok(None);
        }
        let next = |one: &Candidate| Running {
            ids: [&self.running[one.parent].ids[..], &[one.token]].concat(),
            sum: one.sum,
        };
        self.running = candidates.iter().map(next).collect();
        Ok(Some(Step {
            parents: candidates.iter().map(|one| one.parent).collect(),
            tokens: candidates.iter().map(|one| one.token).collect(),
        }))
    }

    /// The tokens that each row has been given so far.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.running.iter().map(|running| &running.ids[..])
    }

    /// The best hypotheses, best first: those that are finished, or where there are none, what runs.
    pub fn finish(self) -> Vec<Hypothesis> {
        if !self.finished.is_empty() {
            return self.finished;
        }
        let divisor = (self.added.max(1) as f32).powf(self.options.length_penalty);
        self.running
            .into_iter()
            .map(|running| Hypothesis { score: running.sum / divisor, ids: running.ids })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(beams: usize, max_tokens: usize) -> BeamOptions {
        BeamOptions { beams, max_tokens, length_penalty: 1., early_stopping: false, eos: vec![0] }
    }

    /// Logits of a net that knows the last token alone.
    fn row(last: u32) -> Vec<f32> {
        let table = [[0., 0., 0., 0.], [-1., 0.2, 1.4, 1.5], [2., -3., 0., 1.], [-2., 3., 0., 0.]];
        table[last as usize].to_vec()
    }

    fn search(options: BeamOptions) -> Vec<Hypothesis> {
        let mut beam = Beam::new(&[1], options);
        let mut lasts = vec![1];
        loop {
            let rows: Vec<_> = lasts.iter().map(|last| row(*last)).collect();
            let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
            match beam.advance(&rows, &mut []).unwrap() {
                Some(step) => lasts = step.tokens,
                None => return beam.finish(),
            }
        }
    }

    /// The best of all continuations.
    fn exhaustive(length: usize) -> Hypothesis {
        let (mut open, mut done) = (vec![(vec![], 0f32)], Vec::new());
        for _ in 0..length {
            let mut next = Vec::new();
            for (ids, sum) in open {
                let mut scores = row(*ids.last().unwrap_or(&1));
                log_softmax(&mut scores);
                for token in 0..4u32 {
                    let ids: Vec<u32> = [&ids[..], &[token]].concat();
                    let sum = sum + scores[token as usize];
                    if token == 0 || ids.len() == length {
                        done.push(Hypothesis { score: sum / ids.len() as f32, ids });
                    } else {
                        next.push((ids, sum));
                    }
                }
            }
            open = next;
        }
        done.into_iter().max_by(|a, b| a.score.total_cmp(&b.score)).unwrap()
    }

    #[test]
    fn with_room_for_all_it_finds_the_best() {
        for length in 1..6 {
            let found = &search(options(400, length))[0];
            let best = exhaustive(length);
            assert_eq!(found.ids, best.ids, "{length}");
            assert!((found.score - best.score).abs() < 1e-5);
        }
    }

    #[test]
    fn hypotheses_come_best_first_and_no_more_than_asked() {
        let found = search(options(3, 5));
        assert_eq!(found.len(), 3);
        assert!(found.windows(2).all(|pair| pair[0].score >= pair[1].score));
        let early = search(BeamOptions { early_stopping: true, ..options(2, 9) });
        assert_eq!(early.len(), 2);
        assert!(early.iter().all(|one| one.ids.last() == Some(&0)));
    }

    #[test]
    fn filters_see_the_prompt_and_what_was_added() {
        let mut beam = Beam::new(&[1, 3], options(2, 3));
        let mut filters: Vec<Box<dyn LogitFilter + Send>> =
            vec![Box::new(|tokens: &[u32], scores: &mut [f32]| {
                assert_eq!(tokens[..2], [1, 3]);
                scores[2] = f32::NEG_INFINITY;
                Ok(())
            })];
        let first = row(3);
        let step = beam.advance(&[&first], &mut filters).unwrap().unwrap();
        assert_eq!(step.parents, [0, 0]);
        assert!(!step.tokens.contains(&2));
        let nothing = [f32::NEG_INFINITY; 4];
        assert!(beam.advance(&[&nothing, &nothing], &mut filters).is_err());
    }
}
