//! The best of many scores.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A score with its place; of equal scores the earlier place is better, NaN is worst.
#[derive(Clone, Copy, PartialEq)]
struct Scored(f32, u32);

/// As it is ranked.
fn number(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score }
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        number(self.0).total_cmp(&number(other.0)).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Scores that are looked at together, in registers.
const AT_ONCE: usize = 64;

/// The `count` best places among those that are allowed, with their scores, the best first.
pub fn top(scores: &[f32], count: usize, allowed: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
    let mut best: BinaryHeap<Reverse<Scored>> = BinaryHeap::with_capacity(count + 1);
    // most scores are below the least of the best, and need no look into the heap
    let mut least = f32::NEG_INFINITY;
    for (part, first) in scores.chunks(AT_ONCE).zip((0u32..).step_by(AT_ONCE)) {
        if best.len() == count && !part.iter().fold(false, |any, &score| any | (score > least)) {
            continue;
        }
        for (&score, place) in part.iter().zip(first..) {
            if (best.len() == count && (score <= least || score.is_nan())) || count == 0 || !allowed(place) {
                continue;
            }
            best.push(Reverse(Scored(score, place)));
            if best.len() > count {
                best.pop();
            }
            if best.len() == count {
                least = best.peek().map_or(f32::NEG_INFINITY, |found| number(found.0.0));
            }
        }
    }
    best.into_sorted_vec().into_iter().map(|Reverse(Scored(score, place))| (place, score)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_equal_ones_in_their_order() {
        let scores = [1., 3., f32::NAN, 3., -2., 7.];
        let places = |count, allowed: fn(u32) -> bool| -> Vec<u32> {
            top(&scores, count, allowed).into_iter().map(|(place, _)| place).collect()
        };
        assert_eq!(places(3, |_| true), [5, 1, 3]);
        assert_eq!(places(9, |_| true), [5, 1, 3, 0, 4, 2]);
        assert_eq!(places(2, |place| place % 2 == 0), [0, 4]);
        assert!(places(0, |_| true).is_empty());
        let mut late = vec![f32::NAN; 200];
        late[150] = 1.;
        assert_eq!(top(&late, 1, |_| true)[0].0, 150);
    }

    #[test]
    fn many_are_sorted_as_all_would_be() {
        let scores: Vec<f32> = (0..1000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32).collect();
        let mut all: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).filter(|(i, _)| i % 3 > 0).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for count in [1, 10, 400] {
            assert_eq!(top(&scores, count, |place| place % 3 > 0), all[..count]);
        }
    }
}
