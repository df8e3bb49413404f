//! Which ids may come next: openai/whisper's rules on blanks, symbols and times (`decoding.py`).

use models::decoding::{log_softmax, softmax};

use crate::vocabulary::Vocabulary;

/// The rules of a transcript.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Ids that are never said.
    pub suppressed: Vec<u32>,
    /// Ids that do not begin a text.
    pub blank: Vec<u32>,
    /// Ends a text; all smaller ids are text.
    pub end: u32,
    /// Times, or none.
    pub times: Option<Times>,
}

/// The rules of times: they come in pairs, never fall, and a segment takes time.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The time 0.00.
    pub zero: u32,
    /// The id that says that there are none.
    pub none: u32,
    /// The latest time, in ticks, at which a text may begin.
    pub latest: Option<u32>,
}

impl Rules {
    /// Those of a vocabulary; a text with times begins within `latest` ticks.
    pub fn new(vocabulary: &Vocabulary, times: bool, latest: Option<u32>) -> Self {
        let rules = Times { zero: vocabulary.zero, none: vocabulary.no_times, latest };
        Self {
            suppressed: vocabulary.suppressed.clone(),
            blank: vocabulary.blank.clone(),
            end: vocabulary.end,
            times: times.then_some(rules),
        }
    }

    /// Sets the logits of what may not follow `said`, the ids after the beginning, to minus infinity.
    pub fn apply(&self, said: &[u32], logits: &mut [f32]) {
        if said.is_empty() {
            forbid(logits, &self.blank);
        }
        forbid(logits, &self.suppressed);
        if let Some(times) = &self.times {
            times.apply(self.end, said, logits);
        }
    }
}

fn forbid(logits: &mut [f32], ids: &[u32]) {
    for id in ids {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

impl Times {
    fn apply(&self, end: u32, said: &[u32], logits: &mut [f32]) {
        let zero = (self.zero as usize).min(logits.len());
        let is_time = |id: &u32| *id >= self.zero;
        forbid(logits, &[self.none]);
        let last = said.last().is_some_and(is_time);
        let before = said.len() < 2 || is_time(&said[said.len() - 2]);
        match (last, before) {
            (true, true) => logits[zero..].fill(f32::NEG_INFINITY),
            (true, false) => logits[..end as usize].fill(f32::NEG_INFINITY),
            (false, _) => {}
        }
        if let Some(latest) = said.iter().rev().find(|id| is_time(id)) {
            // what opens a segment may be the time that closed the last one
            let first = if last && !before { *latest } else { latest + 1 };
            let first = (first as usize).clamp(zero, logits.len());
            logits[zero..first].fill(f32::NEG_INFINITY);
        }
        if said.is_empty() {
            logits[..zero].fill(f32::NEG_INFINITY);
            if let Some(latest) = self.latest {
                let after = (zero + latest as usize + 1).min(logits.len());
                logits[after..].fill(f32::NEG_INFINITY);
            }
        }
        // all times together may be likelier than any one text
        let mut scores = logits.to_vec();
        log_softmax(&mut scores);
        let (text, times) = scores.split_at(zero);
        let best = text.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = times.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln() as f32;
        if sum > best {
            logits[..zero].fill(f32::NEG_INFINITY);
        }
    }
}

/// The probability of one id.
pub fn probability(logits: &[f32], id: u32) -> f64 {
    let mut probabilities = Vec::new();
    softmax(logits, &mut probabilities);
    probabilities.get(id as usize).copied().map_or(f64::NAN, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    // text 0 to 9, end 10, no times 11, times 12 to 20
    fn rules(latest: Option<u32>) -> Rules {
        let times = Some(Times { zero: 12, none: 11, latest });
        Rules { suppressed: vec![3], blank: vec![0, 10], end: 10, times }
    }

    fn allowed(said: &[u32], latest: Option<u32>, logits: &[f32; 21]) -> Vec<usize> {
        let mut logits = logits.to_vec();
        rules(latest).apply(said, &mut logits);
        (0..21).filter(|id| logits[*id] > f32::NEG_INFINITY).collect()
    }

    fn likely(ids: &[usize]) -> [f32; 21] {
        let mut logits = [0.; 21];
        ids.iter().for_each(|id| logits[*id] = 9.);
        logits
    }

    #[test]
    fn a_text_begins_with_a_time_that_is_not_late() {
        assert_eq!(allowed(&[], Some(2), &likely(&[5])), [12, 13, 14]);
        assert_eq!(allowed(&[], None, &likely(&[5])), (12..21).collect::<Vec<_>>());
    }

    #[test]
    fn times_come_in_pairs_and_never_fall() {
        // after the first time there is text, or the end
        assert_eq!(allowed(&[13], None, &likely(&[5])), [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]);
        // within a text a later time may come
        let text = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10];
        assert_eq!(
            allowed(&[13, 5], None, &likely(&[5])),
            [&text[..], &[14, 15, 16, 17, 18, 19, 20]].concat()
        );
        // what closes a segment is followed by the same or a later one, or the end
        assert_eq!(allowed(&[13, 5, 16], None, &likely(&[10])), [10, 16, 17, 18, 19, 20]);
        assert_eq!(allowed(&[13, 5, 16, 16], None, &likely(&[5])), text);
    }

    #[test]
    fn times_win_where_they_are_likelier_together() {
        let mut logits = [0.; 21];
        logits[5] = 1.5;
        assert_eq!(allowed(&[13, 5], None, &logits), (14..21).collect::<Vec<_>>());
        logits[5] = 2.5;
        assert!(allowed(&[13, 5], None, &logits).contains(&5));
    }
}
