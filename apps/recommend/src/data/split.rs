//! What is learned from, and what is kept aside: the last items of each person, or all that some people had.

use training::Rng;

use super::log::{Histories, once};

/// What is known of a person, and what came then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Items that are known, in their order.
    pub history: Vec<u32>,
    /// What is to be foretold.
    pub targets: Vec<u32>,
}

/// Data in three parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// What is learned from.
    pub train: Histories,
    /// By which a training is stopped.
    pub valid: Vec<Case>,
    /// By which it is judged.
    pub test: Vec<Case>,
}

/// Of each person the last item is for the test and the one before for the validation. Who had less than three is learned
/// from whole, as in SASRec's code.
pub fn last_of_each(histories: &Histories) -> Split {
    let mut split = Split::default();
    for history in histories.iter() {
        let [known @ .., before, last] = history else {
            split.train.push(history);
            continue;
        };
        if known.is_empty() {
            split.train.push(history);
            continue;
        }
        split.train.push(known);
        split.valid.push(Case { history: known.to_vec(), targets: vec![*before] });
        let whole = history[..history.len() - 1].to_vec();
        split.test.push(Case { history: whole, targets: vec![*last] });
    }
    split
}

/// Of a share of the people, at most so many, the last item is kept aside; all else is learned from.
pub fn last_of_some(histories: &Histories, share: f64, most: usize, seed: u64) -> Split {
    let mut can: Vec<usize> = (0..histories.len()).filter(|&place| histories.get(place).len() > 2).collect();
    let count = ((share * can.len() as f64).round() as usize).min(most);
    Rng::new(seed).shuffle(&mut can);
    let mut chosen = can[..count].to_vec();
    chosen.sort_unstable();
    let mut split = Split::default();
    for (place, history) in histories.iter().enumerate() {
        match history {
            [known @ .., last] if chosen.binary_search(&place).is_ok() => {
                split.train.push(known);
                split.valid.push(Case { history: known.to_vec(), targets: vec![*last] });
            }
            whole => split.train.push(whole),
        }
    }
    split
}

/// Strong generalisation: a share of the people is not learned from at all. Of each of these the last fifth of the items is
/// to be foretold from those before. Test and validation have as many people each, at least one and at most a third of all.
pub fn by_people(histories: &Histories, share: f64, seed: u64) -> Split {
    let order = Rng::new(seed).permutation(histories.len());
    let count = ((share * histories.len() as f64).round() as usize).max(1).min(histories.len() / 3);
    let case = |&place: &usize| {
        let history = histories.get(place);
        let cut = history.len() - (history.len() / 5).max(1);
        (cut > 0).then(|| Case { history: history[..cut].to_vec(), targets: once(&history[cut..]) })
    };
    let (test, rest) = order.split_at(count);
    let (valid, train) = rest.split_at(count);
    let mut train = train.to_vec();
    train.sort_unstable();
    Split {
        train: train.into_iter().map(|place| histories.get(place)).collect(),
        valid: valid.iter().filter_map(case).collect(),
        test: test.iter().filter_map(case).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_of_each_are_kept_aside() {
        let all: [&[u32]; 3] = [&[1, 2, 3, 4], &[5, 6], &[7, 8, 9]];
        let split = last_of_each(&all.into_iter().collect());
        assert_eq!(split.train.iter().collect::<Vec<_>>(), [&[1, 2][..], &[5, 6], &[7]]);
        assert_eq!(split.valid[0], Case { history: vec![1, 2], targets: vec![3] });
        assert_eq!(split.test[1], Case { history: vec![7, 8], targets: vec![9] });
    }

    #[test]
    fn the_last_of_some_are_kept_aside() {
        let all: Vec<Vec<u32>> = (0..50).map(|n| vec![n, n + 1, n + 2]).collect();
        let split = last_of_some(&all.iter().map(Vec::as_slice).collect(), 0.2, 7, 1);
        assert_eq!((split.train.len(), split.valid.len(), split.train.total()), (50, 7, 143));
        assert_eq!(split.valid[0].targets[0], split.valid[0].history[1] + 1);
    }

    #[test]
    fn people_are_apart() {
        let all: Vec<Vec<u32>> = (0..100).map(|n| (0..n % 7 + 1).map(|_| n).collect()).collect();
        let histories: Histories = all.iter().map(Vec::as_slice).collect();
        let split = by_people(&histories, 0.1, 3);
        assert_eq!(split.train.len(), 80);
        let learned: Vec<u32> = split.train.iter().map(|history| history[0]).collect();
        for case in split.valid.iter().chain(&split.test) {
            assert!(!learned.contains(&case.history[0]) && !case.targets.is_empty());
        }
        assert_eq!(split, by_people(&histories, 0.1, 3));
        assert_ne!(split, by_people(&histories, 0.1, 4));
    }

    #[test]
    fn what_comes_again_is_one_target() {
        let all = vec![&[1u32, 2, 3, 4, 5, 6, 7, 8, 9, 9][..]; 3];
        let split = by_people(&all.into_iter().collect(), 0.1, 0);
        assert_eq!((split.train.len(), split.test.len()), (1, 1));
        assert_eq!(split.test[0].targets, [9]);
    }
}
