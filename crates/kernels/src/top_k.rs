//! The largest of many values, and the smallest set of tokens that has so much of the probability: what samplers
//! need of 150,000 logits, without sorting them.

use crate::level::{Level, compiled, level};
use crate::rows;
use candle_core::{D, DType, Device, Result, Tensor};
use rayon::prelude::*;

/// A place in a row and the value there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// The place.
    pub index: u32,
    /// The value.
    pub value: f32,
}

/// The `k` largest values of each row of the last dimension and their places, (..., k) in f32 and u32, the largest
/// first and of equal ones the first. As in PyTorch a NaN is larger than anything, and -0 equals 0. Without gradients.
///
/// # Errors
/// Where a row has fewer than `k` values, or more than `u32` can count.
pub fn top_k(xs: &Tensor, k: usize) -> Result<(Tensor, Tensor)> {
    let width = xs.dim(D::Minus1)?;
    if k > width || u32::try_from(width).is_err() {
        refuse!("the {k} largest of {width} values");
    }
    let on_cpu = xs.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()?;
    let count = xs.elem_count().checked_div(width).unwrap_or(0);
    let found = rows::read([&on_cpu], |[xs]| {
        let row = |i: usize| largest(&xs[i * width..(i + 1) * width], k);
        match xs.len() < ALONE {
            true => (0..count).map(row).collect::<Vec<_>>(),
            false => (0..count).into_par_iter().map(row).collect(),
        }
    })?;
    let mut shape = xs.dims().to_vec();
    shape.pop();
    shape.push(k);
    let values: Vec<f32> = found.iter().flatten().map(|found| found.value).collect();
    let places: Vec<u32> = found.iter().flatten().map(|found| found.index).collect();
    let values = Tensor::from_vec(values, shape.as_slice(), xs.device())?;
    Ok((values, Tensor::from_vec(places, shape, xs.device())?))
}

/// Values that the calling thread looks through alone.
const ALONE: usize = 1 << 18;

/// The `k` largest values of a row, or all if there are fewer; otherwise as [`top_k`].
pub fn largest(xs: &[f32], k: usize) -> Vec<Found> {
    largest_at(level(), xs, k)
}

/// The smallest set of the largest logits whose probabilities, of all by the softmax, reach `mass` together, at
/// most `limit` of them: places and probabilities, the largest first. At least one where there is any (Holtzman
/// et al., 2020).
///
/// # Errors
/// Where a logit is NaN or plus infinity, or all are minus infinity: there are no probabilities then.
pub fn nucleus(logits: &[f32], mass: f32, limit: usize) -> Result<Vec<Found>> {
    nucleus_at(level(), logits, mass, limit)
}

fn nucleus_at(level: Level, logits: &[f32], mass: f32, limit: usize) -> Result<Vec<Found>> {
    if logits.is_empty() || limit == 0 {
        return Ok(vec![]);
    }
    let (largest, sum) = compiled(
        level,
        #[inline(always)]
        || sum_of_powers(logits),
    );
    if !sum.is_finite() || !largest.is_finite() {
        refuse!("no probabilities: of {} logits the largest is {largest}, the sum {sum}", logits.len());
    }
    let probability = |x: f32| ((x - largest).exp() as f64 / sum) as f32;
    // most sets are small: more are looked for only where they are not
    let mut k = 64;
    loop {
        k = k.min(limit).min(logits.len());
        let mut found = largest_at(level, logits, k);
        let mut reached = 0f64;
        for (i, found) in found.iter_mut().enumerate() {
            found.value = probability(found.value);
            reached += found.value as f64;
            if reached >= mass as f64 {
                k = i + 1;
                break;
            }
        }
        if reached >= mass as f64 || k == limit || k == logits.len() {
            found.truncate(k);
            return Ok(found);
        }
        k *= 8;
    }
}

/// Values in the lanes of a register or several.
const LANES: usize = 32;

// the largest value, and the sum of the powers of the differences to it; NaN where there is one
#[inline(always)]
fn sum_of_powers(xs: &[f32]) -> (f32, f64) {
    let largest = rows::max(xs);
    let mut sum = 0f64;
    // sums of f32 stay short, for 150,000 terms
    for chunk in xs.chunks(4096) {
        sum += rows::sum(chunk, |x| rows::exp(x - largest)) as f64;
    }
    (largest, sum)
}

fn largest_at(level: Level, xs: &[f32], k: usize) -> Vec<Found> {
    let k = k.min(xs.len());
    let block = block(xs.len(), k);
    if k == 0 {
        return vec![];
    }
    let mut candidates = Vec::new();
    if block == 0 {
        candidates.extend(xs.iter().enumerate().map(|(i, x)| rank(*x, i)));
    } else {
        let mut tops = vec![i32::MIN; xs.len().div_ceil(block)];
        compiled(
            level,
            #[inline(always)]
            || tops_of_blocks(xs, block, &mut tops),
        );
        // at least k blocks reach this, so at least k values do
        let mut sorted = tops.clone();
        let (_, threshold, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        let threshold = *threshold;
        for (i, _) in tops.iter().enumerate().filter(|(_, top)| **top >= threshold) {
            let first = i * block;
            let values = xs[first..].iter().take(block).enumerate();
            candidates.extend(
                values
                    .map(|(j, x)| (j, key(*x), x))
                    .filter(|(_, key, _)| *key >= threshold)
                    .map(|(j, _, x)| rank(*x, first + j)),
            );
        }
    }
    if candidates.len() > k {
        candidates.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        candidates.truncate(k);
    }
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    let place = |rank: u64| !(rank as u32);
    candidates.into_iter().map(|rank| Found { index: place(rank), value: xs[place(rank) as usize] }).collect()
}

// values in a block whose largest is looked at first: 0 where there would be too few blocks for k
fn block(count: usize, k: usize) -> usize {
    let most = count / (2 * k.max(1)) / LANES * LANES;
    most.min(8 * LANES)
}

/// A number in the order of the values: NaN above all, -0 as 0.
#[inline(always)]
fn key(x: f32) -> i32 {
    let bits = (x + 0.).to_bits() as i32; // -0 + 0 is 0
    let ordered = bits ^ (((bits >> 31) as u32) >> 1) as i32;
    if x.is_nan() { i32::MAX } else { ordered }
}

// in the order of the values, then of the places backwards
fn rank(x: f32, place: usize) -> u64 {
    ((key(x) as u32 ^ (1 << 31)) as u64) << 32 | !(place as u32) as u64
}

#[inline(always)]
fn tops_of_blocks(xs: &[f32], block: usize, tops: &mut [i32]) {
    for (xs, top) in xs.chunks(block).zip(tops) {
        let mut lanes = [i32::MIN; LANES];
        let chunks = xs.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = key(*x).max(*lane);
            }
        }
        let rest = rest.iter().map(|x| key(*x)).max().unwrap_or(i32::MIN);
        *top = lanes.into_iter().fold(rest, i32::max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::normal;

    // a stable sort, as slow as it is plain
    fn reference(xs: &[f32], k: usize) -> Vec<u32> {
        let mut places: Vec<u32> = (0..xs.len() as u32).collect();
        places.sort_by(|a, b| {
            let (a, b) = (xs[*a as usize], xs[*b as usize]);
            b.is_nan().cmp(&a.is_nan()).then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
        });
        places.truncate(k);
        places
    }

    fn check(xs: &[f32], k: usize) {
        for level in levels() {
            let found = largest_at(level, xs, k);
            let places: Vec<u32> = found.iter().map(|found| found.index).collect();
            assert_eq!(places, reference(xs, k), "{level:?} {k} of {}", xs.len());
            assert!(found.iter().all(|found| found.value.to_bits() == xs[found.index as usize].to_bits()));
        }
    }

    #[test]
    fn the_largest_are_those_of_a_sort() {
        for (count, seed) in [(0, 1), (1, 2), (31, 3), (1000, 4), (20_001, 5), (151_936, 6)] {
            let xs = normal(count, seed);
            for k in [0, 1, 2, 50, 1000, 30_000] {
                check(&xs, k);
            }
        }
    }

    #[test]
    fn of_equal_values_the_first_and_of_all_a_nan() {
        let mut xs: Vec<f32> = normal(40_000, 1).into_iter().map(|x| x.round()).collect();
        for k in [1, 7, 300] {
            check(&xs, k);
        }
        xs[777] = f32::NEG_INFINITY;
        xs[30_000] = f32::INFINITY;
        xs[30_001] = -f32::NAN;
        xs[20_000] = f32::NAN;
        for k in [1, 2, 3, 4, 300, 40_000] {
            check(&xs, k);
        }
        check(&[0., -0., 0., -0., -1.], 3);
        check(&[f32::NEG_INFINITY; 5000], 9);
        check(&[f32::NAN; 5000], 9);
    }

    #[test]
    fn tensors_of_rows_keep_their_shape() -> Result<()> {
        let xs = Tensor::from_vec(normal(6 * 500, 1), (500, 2, 3), &Device::Cpu)?.transpose(0, 2)?;
        let (values, places) = top_k(&xs, 5)?;
        assert_eq!((values.dims(), places.dims()), ([3, 2, 5].as_slice(), [3, 2, 5].as_slice()));
        let rows = xs.contiguous()?.flatten_to(1)?.to_vec2::<f32>()?;
        for (row, places) in rows.iter().zip(places.flatten_to(1)?.to_vec2::<u32>()?) {
            assert_eq!(places, reference(row, 5));
        }
        assert_eq!(
            xs.contiguous()?.gather(&places, D::Minus1)?.flatten_all()?.to_vec1::<f32>()?,
            values.flatten_all()?.to_vec1::<f32>()?
        );
        assert_eq!(top_k(&xs, 0)?.0.dims(), [3, 2, 0]);
        assert!(top_k(&xs, 501).is_err());
        Ok(())
    }

    #[test]
    fn a_nucleus_is_the_smallest_set_of_its_mass() -> Result<()> {
        for (count, factor) in [(1, 1.), (500, 1.), (151_936, 4.), (5000, 0.)] {
            let xs: Vec<f32> = normal(count, 3).into_iter().map(|x| x * factor).collect();
            let largest = xs.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b)) as f64;
            let sum: f64 = xs.iter().map(|x| (*x as f64 - largest).exp()).sum();
            for mass in [0., 0.3, 0.9, 1.] {
                for level in levels() {
                    let found = nucleus_at(level, &xs, mass, count)?;
                    let exact = |found: &Found| (xs[found.index as usize] as f64 - largest).exp() / sum;
                    let places: Vec<u32> = found.iter().map(|found| found.index).collect();
                    assert_eq!(places, reference(&xs, found.len()));
                    assert!(
                        found.iter().all(|x| (x.value as f64 - exact(x)).abs() < 2e-6 * exact(x) + 1e-30)
                    );
                    let reached: f64 = found.iter().map(exact).sum();
                    let before = reached - exact(&found[found.len() - 1]);
                    assert!(reached > mass as f64 - 2e-6 && before < mass as f64 + 2e-6, "{count} {mass}");
                }
            }
            assert_eq!(nucleus(&xs, 1., 3)?.len(), count.min(3));
        }
        assert_eq!(nucleus(&[1., f32::NEG_INFINITY], 1., 9)?, [Found { index: 0, value: 1. }]);
        for refused in [[1., f32::NAN], [f32::INFINITY, 1.], [f32::NEG_INFINITY; 2]] {
            assert!(nucleus(&refused, 0.5, 2).is_err());
        }
        Ok(())
    }
}
