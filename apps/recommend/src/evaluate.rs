//! A method on people that were kept aside, by one of three protocols, whose figures must not be compared with each other's.

use std::ops::ControlFlow;

use anyhow::Result;
use rayon::prelude::*;
use training::Rng;

use crate::data::Case;
use crate::methods::Method;
use crate::metrics::{Figure, figures, hit, ndcg, recall, reciprocal};
use crate::top::top;

/// What is asked of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The last item of each person among all items.
    Full,
    /// The last item among 100 others that are drawn: SASRec's paper, far easier.
    Sampled,
    /// The last fifth of people that nothing was learned from, among all items.
    Strong,
}

impl Protocol {
    /// The word after `--protocol`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sampled => "sampled100",
            Self::Strong => "strong",
        }
    }

    /// What it asks, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Full => "each person's last item, ranked among all items",
            Self::Sampled => {
                "each person's last item, ranked among 100 drawn ones (not comparable with full ranking)"
            }
            Self::Strong => {
                "the last fifth of people that nothing was learned from, ranked among all items (not comparable with last items)"
            }
        }
    }
}

/// Lengths of lists that figures are made of.
pub const LENGTHS: [usize; 4] = [5, 10, 20, 50];
/// Items that are drawn against the last one.
const DRAWN: usize = 100;
/// People at a time: what limits the memory.
const TOGETHER: usize = 256;

/// How a method did.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// hr, ndcg, recall at several lengths, and mrr.
    pub figures: Vec<Figure>,
    /// The share of all items that is in somebody's first ten; with all items ranked alone.
    pub coverage: Option<f64>,
    /// Bits that the first ten tell of items that are seldom had, on the mean: high is unusual.
    pub novelty: Option<f64>,
    /// Targets that the method has no number for, which are misses.
    pub unknown: usize,
}

/// The ranks of a case's targets among all items that its person did not have, or among all where `repeats` says that what
/// was had comes again. A target that was had is never ranked otherwise.
pub fn ranks(scores: &[f32], case: &Case, repeats: bool) -> Vec<Option<usize>> {
    let mut had: Vec<u32> = if repeats { Vec::new() } else { case.history.clone() };
    had.sort_unstable();
    had.dedup();
    let rank = |&target: &u32| {
        let own = *scores.get(target as usize)?;
        if own.is_nan() || had.binary_search(&target).is_ok() {
            return None;
        }
        // itself is counted, and taken away again
        let before = scores.iter().filter(|&&score| score >= own).count() - 1;
        let of_had = had.iter().filter(|&&item| scores.get(item as usize).is_some_and(|&score| score >= own));
        Some(before - of_had.count())
    };
    case.targets.iter().map(rank).collect()
}

/// The rank of the first target among 100 items drawn from those that its person did not have.
pub fn sampled_rank(scores: &[f32], case: &Case, rng: &mut Rng) -> Vec<Option<usize>> {
    let Some(&target) = case.targets.first() else { return Vec::new() };
    let Some(&own) = scores.get(target as usize).filter(|own| !own.is_nan()) else { return vec![None] };
    let mut had = case.history.clone();
    had.sort_unstable();
    had.dedup();
    let has = |item: u32| item == target || had.binary_search(&item).is_ok();
    if had.len() + 1 >= scores.len() {
        return vec![Some(0)];
    }
    let mut before = 0;
    for _ in 0..DRAWN {
        let mut item = rng.below(scores.len());
        while has(item as u32) {
            item = rng.below(scores.len());
        }
        before += usize::from(scores[item] >= own || scores[item].is_nan());
    }
    vec![Some(before)]
}

/// What cases and figures depend on.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// How.
    pub protocol: Protocol,
    /// How often each item was had in what was learned from: what never was is missed.
    pub counts: &'a [u32],
    /// Whether what somebody had may come again.
    pub repeats: bool,
    /// Of the drawn items, and of the intervals.
    pub seed: u64,
}

/// Judges a method; nothing where `on_case` stops it.
///
/// # Errors
/// Those of the method.
pub fn judge(
    method: &dyn Method,
    cases: &[Case],
    asked: &Asked<'_>,
    on_case: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Judged>> {
    let items = method.items();
    let count = |item: u32| asked.counts.get(item as usize).copied().unwrap_or(0);
    let total = asked.counts.iter().map(|&count| f64::from(count)).sum::<f64>().max(1.);
    let (mut all_ranks, mut covered) = (Vec::with_capacity(cases.len()), vec![false; items]);
    let (mut bits, mut listed) = (0f64, 0usize);
    for (part, cases) in cases.chunks(TOGETHER).enumerate() {
        // an item that the method has no number for tells it nothing
        let known: Vec<Vec<u32>> = cases
            .iter()
            .map(|case| case.history.iter().copied().filter(|&item| (item as usize) < items).collect())
            .collect();
        let histories: Vec<&[u32]> = known.iter().map(Vec::as_slice).collect();
        let scores = method.scores(&histories)?;
        let rows = scores.par_chunks_exact(items).zip(cases).enumerate();
        let found: Vec<(Vec<Option<usize>>, Vec<u32>)> = rows
            .map(|(place, (scores, case))| {
                let (mut ranks, list) = match asked.protocol {
                    Protocol::Sampled => {
                        let mut rng = Rng::at(asked.seed, &[(part * TOGETHER + place) as u64]);
                        (sampled_rank(scores, case, &mut rng), Vec::new())
                    }
                    Protocol::Full | Protocol::Strong => {
                        let allowed = |item: u32| asked.repeats || !case.history.contains(&item);
                        let list = top(scores, 10, allowed).into_iter().map(|(item, _)| item).collect();
                        (ranks(scores, case, asked.repeats), list)
                    }
                };
                // what was never learned from is missed, however it was scored
                for (rank, target) in ranks.iter_mut().zip(&case.targets) {
                    *rank = rank.filter(|_| count(*target) > 0);
                }
                (ranks, list)
            })
            .collect();
        for (ranks, list) in found {
            all_ranks.push(ranks);
            for item in list {
                covered[item as usize] = true;
                bits -= (f64::from(count(item).max(1)) / total).log2();
                listed += 1;
            }
        }
        if on_case(all_ranks.len()).is_break() {
            return Ok(None);
        }
    }
    let column =
        |f: &dyn Fn(&[Option<usize>]) -> f64| all_ranks.iter().map(|ranks| f(ranks)).collect::<Vec<f64>>();
    let mut named = Vec::new();
    for k in LENGTHS {
        named.push((format!("hr@{k}"), column(&|ranks| hit(ranks, k))));
        named.push((format!("ndcg@{k}"), column(&|ranks| ndcg(ranks, k))));
        named.push((format!("recall@{k}"), column(&|ranks| recall(ranks, k))));
    }
    named.push(("mrr".into(), column(&reciprocal)));
    let whole = asked.protocol != Protocol::Sampled && listed > 0;
    let share = covered.iter().filter(|&&seen| seen).count() as f64 / items.max(1) as f64;
    let unknown = cases.iter().flat_map(|case| &case.targets).filter(|&&item| count(item) == 0);
    Ok(Some(Judged {
        figures: figures(named, asked.seed),
        coverage: whole.then_some(share),
        novelty: whole.then_some(bits / listed.max(1) as f64),
        unknown: unknown.count(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_stand_before_a_target_and_what_was_had_does_not() {
        let case =
            |history: &[u32], targets: &[u32]| Case { history: history.to_vec(), targets: targets.to_vec() };
        let scores = [3., 1., 1., 5., 0.];
        assert_eq!(ranks(&scores, &case(&[3], &[1]), false), [Some(2)]);
        assert_eq!(ranks(&scores, &case(&[3], &[1]), true), [Some(3)]);
        assert_eq!(ranks(&scores, &case(&[], &[3, 4, 9]), false), [Some(0), Some(4), None]);
        assert_eq!(ranks(&scores, &case(&[3], &[3]), false), [None]);
        assert_eq!(ranks(&scores, &case(&[3, 3], &[3]), true), [Some(0)]);
        assert_eq!(ranks(&[0.; 4], &case(&[], &[2]), false), [Some(3)]);
        assert_eq!(ranks(&[f32::NAN; 4], &case(&[], &[2]), false), [None]);
    }

    #[test]
    fn a_sampled_rank_is_among_a_hundred() {
        let scores: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let of = |target: u32| {
            let case = Case { history: vec![1, 2], targets: vec![target] };
            sampled_rank(&scores, &case, &mut Rng::new(1))[0].unwrap()
        };
        assert_eq!((of(999), of(0)), (0, 100));
        let case = Case { history: vec![1], targets: vec![2] };
        assert_eq!(sampled_rank(&[0., 0., f32::NAN, 0.], &case, &mut Rng::new(1)), [None]);
        assert!((30..70).contains(&of(500)));
    }
}
