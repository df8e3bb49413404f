//! How good lists are, person by person, and how sure the means are.
//!
//! A target's rank is the number of items that stand before it, from 0; items of an equal score stand before it too, so that
//! a method that cannot tell items apart gains nothing. A target that the model never saw has no rank, and is missed.

use training::Rng;

/// 1 where any target is among the first `k`.
pub fn hit(ranks: &[Option<usize>], k: usize) -> f64 {
    if ranks.iter().flatten().any(|&rank| rank < k) { 1. } else { 0. }
}

/// The share of the targets that are among the first `k`.
pub fn recall(ranks: &[Option<usize>], k: usize) -> f64 {
    ranks.iter().flatten().filter(|&&rank| rank < k).count() as f64 / ranks.len().max(1) as f64
}

/// Discounted gain of the first `k`, over the best that there could be.
pub fn ndcg(ranks: &[Option<usize>], k: usize) -> f64 {
    let gain = |rank: usize| 1. / (rank as f64 + 2.).log2();
    let best: f64 = (0..ranks.len().min(k)).map(gain).sum();
    let found: f64 = ranks.iter().flatten().filter(|&&rank| rank < k).map(|&rank| gain(rank)).sum();
    if best > 0. { found / best } else { 0. }
}

/// One over the place of the first target.
pub fn reciprocal(ranks: &[Option<usize>]) -> f64 {
    ranks.iter().flatten().min().map_or(0., |&rank| 1. / (rank as f64 + 1.))
}

/// One figure: of every person, and over all.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// `ndcg@10` and the like.
    pub name: String,
    /// The mean.
    pub mean: f64,
    /// Between these lie nineteen of twenty means of people drawn anew.
    pub interval: [f64; 2],
    /// Of each person.
    pub values: Vec<f64>,
}

/// Times that people are drawn anew.
const DRAWS: usize = 1000;

/// Means of several figures with their intervals (Efron's percentile bootstrap); people are drawn once for all figures.
pub fn figures(named: Vec<(String, Vec<f64>)>, seed: u64) -> Vec<Figure> {
    let columns: Vec<&[f64]> = named.iter().map(|(_, values)| values.as_slice()).collect();
    let intervals = intervals(&columns, seed);
    let figure = |((name, values), interval): ((String, Vec<f64>), [f64; 2])| Figure {
        name,
        mean: values.iter().sum::<f64>() / values.len().max(1) as f64,
        interval,
        values,
    };
    named.into_iter().zip(intervals).map(figure).collect()
}

/// The intervals of the means of columns that are equally long.
pub fn intervals(columns: &[&[f64]], seed: u64) -> Vec<[f64; 2]> {
    let count = columns.first().map_or(0, |column| column.len());
    if count == 0 {
        return vec![[0., 0.]; columns.len()];
    }
    let mut rng = Rng::new(seed);
    let mut means = vec![Vec::with_capacity(DRAWS); columns.len()];
    let mut drawn = vec![0u32; count];
    for _ in 0..DRAWS {
        drawn.fill(0);
        (0..count).for_each(|_| drawn[rng.below(count)] += 1);
        for (column, means) in columns.iter().zip(&mut means) {
            let sum: f64 = column.iter().zip(&drawn).map(|(value, times)| value * f64::from(*times)).sum();
            means.push(sum / count as f64);
        }
    }
    let bounds = |mut means: Vec<f64>| {
        means.sort_by(f64::total_cmp);
        [means[DRAWS / 40], means[DRAWS - 1 - DRAWS / 40]]
    };
    means.into_iter().map(bounds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_one_person() {
        let ranks = [Some(0), Some(3), None, Some(50)];
        assert_eq!((hit(&ranks, 1), hit(&[None, Some(10)], 10)), (1., 0.));
        assert_eq!((recall(&ranks, 10), recall(&ranks, 100)), (0.5, 0.75));
        assert_eq!((reciprocal(&ranks), reciprocal(&[Some(4)]), reciprocal(&[None])), (1., 0.2, 0.));
        let best = 1. + 1. / 3f64.log2() + 0.5 + 1. / 5f64.log2();
        assert!((ndcg(&ranks, 10) - (1. + 1. / 5f64.log2()) / best).abs() < 1e-12);
        assert_eq!(ndcg(&[Some(1)], 10), 1. / 3f64.log2());
        assert_eq!(ndcg(&[], 10), 0.);
    }

    #[test]
    fn an_interval_holds_the_mean_and_narrows() {
        let of = |count: usize| {
            let values = (0..count).map(|i| f64::from(u8::from(i % 4 == 0))).collect();
            figures(vec![("x".into(), values)], 1).remove(0)
        };
        let (few, many) = (of(40), of(4000));
        assert!(few.interval[0] < 0.25 && few.interval[1] > 0.25);
        assert!(many.interval[1] - many.interval[0] < 0.5 * (few.interval[1] - few.interval[0]));
        // a share of a quarter among 4000 has a standard deviation of 0.0068
        assert!((many.interval[1] - many.interval[0] - 4. * 0.0068).abs() < 0.004, "{:?}", many.interval);
    }
}
