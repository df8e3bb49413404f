//! When each id was said, from where the decoder's heads looked: dynamic time warping of their weights, as
//! openai/whisper's `timing.py` does it (after Sakoe and Chiba, 1978).

use anyhow::Result;
use candle_core::Tensor;
use models::decoding::softmax;
use models::nets::whisper::Source;

use crate::Model;

/// Width of the median that smooths the weights over time.
const WIDTH: usize = 7;

/// When ids were said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Alignment {
    /// The tick at which each id begins, and the one at which the last ends: one more than there are ids.
    pub ticks: Vec<usize>,
    /// The probability of each.
    pub probabilities: Vec<f64>,
}

/// Aligns text ids, which follow `beginning` and the token for no times, with the first `ticks` states of a window.
///
/// # Errors
/// Those of the net.
pub fn align(
    model: &Model,
    (source, ticks): (&Source, usize),
    (beginning, ids): (&[u32], &[u32]),
) -> Result<Alignment> {
    let vocabulary = &model.vocabulary;
    let all: Vec<u32> = [beginning, &[vocabulary.no_times], ids, &[vocabulary.end]].concat();
    if ids.is_empty() || all.len() > model.config.max_target_positions {
        return Ok(Alignment::default());
    }
    let given = Tensor::from_vec(all.clone(), (1, all.len()), &model.device)?;
    let (logits, weights) = model.net.forward_watched(&given, source, &model.heads)?;
    let rows = logits.squeeze(0)?.narrow(0, beginning.len(), ids.len())?.to_vec2::<f32>()?;
    let mut row = Vec::new();
    let probability = |(logits, id): (&Vec<f32>, &u32)| {
        softmax(&logits[..vocabulary.end as usize], &mut row);
        row.get(*id as usize).copied().map_or(0., f64::from)
    };
    let probabilities = rows.iter().zip(ids).map(probability).collect();
    // of each head (ids, states)
    let weights = weights.squeeze(0)?.to_vec3::<f32>()?;
    let cost = cost(&weights, ticks, beginning.len()..all.len() - 1);
    Ok(Alignment { ticks: warp(&cost), probabilities })
}

/// The mean over heads of weights that are cropped, normalised over ids and smoothed over time; of some ids, negative.
fn cost(heads: &[Vec<Vec<f32>>], ticks: usize, ids: std::ops::Range<usize>) -> Vec<Vec<f64>> {
    let mut cost: Vec<Vec<f64>> = vec![Vec::new(); ids.len()];
    for head in heads {
        let mut rows: Vec<Vec<f32>> = head.iter().map(|row| cropped(row, ticks)).collect();
        let width = rows.first().map_or(0, Vec::len);
        for tick in 0..width {
            let count = rows.len() as f64;
            let mean = rows.iter().map(|row| f64::from(row[tick])).sum::<f64>() / count;
            let square = |row: &Vec<f32>| (f64::from(row[tick]) - mean).powi(2);
            let deviation = (rows.iter().map(square).sum::<f64>() / count).sqrt();
            rows.iter_mut().for_each(|row| row[tick] = ((f64::from(row[tick]) - mean) / deviation) as f32);
        }
        for (sum, row) in cost.iter_mut().zip(&rows[ids.clone()]) {
            sum.resize(width, 0.);
            let smooth = median(row);
            sum.iter_mut().zip(smooth).for_each(|(sum, x)| *sum -= f64::from(x) / heads.len() as f64);
        }
    }
    cost
}

/// Weights on the first states alone: what a softmax over those would have given.
fn cropped(row: &[f32], ticks: usize) -> Vec<f32> {
    let row = &row[..ticks.min(row.len())];
    let sum: f32 = row.iter().sum();
    row.iter().map(|x| x / sum).collect()
}

/// The median of the values around each one; the ends are mirrored.
fn median(row: &[f32]) -> Vec<f32> {
    let half = WIDTH / 2;
    if row.len() <= half {
        return row.to_vec();
    }
    let mirrored = |at: isize| {
        let last = row.len() as isize - 1;
        let at = at.abs();
        row[if at > last { 2 * last - at } else { at } as usize]
    };
    let around = |at: usize| {
        let mut values: [f32; WIDTH] = std::array::from_fn(|i| mirrored((at + i) as isize - half as isize));
        values.sort_by(f32::total_cmp);
        values[half]
    };
    (0..row.len()).map(around).collect()
}

/// The columns at which the rows begin, on the cheapest way from the first corner to the last.
fn warp(cost: &[Vec<f64>]) -> Vec<usize> {
    let (rows, columns) = (cost.len(), cost.first().map_or(0, Vec::len));
    if columns == 0 {
        return vec![0; rows];
    }
    let at = |row: usize, column: usize| row * (columns + 1) + column;
    let mut sums = vec![f32::INFINITY; (rows + 1) * (columns + 1)];
    let mut came = vec![Step::Along; sums.len()];
    sums[0] = 0.;
    for column in 1..=columns {
        for row in 1..=rows {
            let (both, down, along) =
                (sums[at(row - 1, column - 1)], sums[at(row - 1, column)], sums[at(row, column - 1)]);
            let (sum, step) = if both < down && both < along {
                (both, Step::Both)
            } else if down < both && down < along {
                (down, Step::Down)
            } else {
                (along, Step::Along)
            };
            sums[at(row, column)] = (cost[row - 1][column - 1] + f64::from(sum)) as f32;
            came[at(row, column)] = step;
        }
    }
    let mut begins = vec![0; rows];
    let (mut row, mut column) = (rows, columns);
    while row > 0 || column > 0 {
        let step = match (row, column) {
            (0, _) => Step::Along,
            (_, 0) => Step::Down,
            _ => came[at(row, column)],
        };
        // the last place that is seen on the way back is where the row begins
        if row > 0 {
            begins[row - 1] = column.saturating_sub(1);
        }
        row -= usize::from(step != Step::Along);
        column -= usize::from(step != Step::Down);
    }
    begins
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Both,
    Down,
    Along,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_way_begins_rows_where_they_are_cheap() {
        let near = |row: usize, column: usize| if column / 3 == row { -1. } else { 1. };
        let cost: Vec<Vec<f64>> =
            (0..4).map(|row| (0..12).map(|column| near(row, column)).collect()).collect();
        assert_eq!(warp(&cost), [0, 3, 6, 9]);
        assert_eq!(warp(&[vec![]]), [0]);
        let more_rows: Vec<Vec<f64>> = vec![vec![1.; 2]; 4];
        assert_eq!(warp(&more_rows).len(), 4);
    }

    #[test]
    fn a_median_mirrors_the_ends_and_drops_spikes() {
        assert_eq!(median(&[0., 0., 9., 0., 0., 0., 0., 0.]), [0.; 8]);
        assert_eq!(median(&[1., 2., 3., 4., 5.]), [3.; 5]);
        assert_eq!(median(&[3., 1.]), [3., 1.]);
    }

    #[test]
    fn cropped_weights_are_those_of_a_smaller_softmax() {
        assert_eq!(cropped(&[0.1, 0.3, 0.6], 2), [0.25, 0.75]);
    }
}
