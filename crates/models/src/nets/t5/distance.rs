//! What scores of attention gain by the distance between query and key, one number a head and bucket of distances.

use super::Config;
use crate::vars::VarBuilder;
use candle_core::{DType, Result, Tensor};
use candle_nn::Init;
use kernels::embedding::embedding;
use std::ops::Range;

/// The table of a stack, which its first block keeps for all.
pub struct Distances {
    /// (buckets, heads)
    table: Tensor,
    /// Whether keys may come after queries.
    both_ways: bool,
    /// The distance from which on all are one.
    furthest: usize,
}

impl Distances {
    /// Reads `relative_attention_bias`.
    pub fn new(cfg: &Config, both_ways: bool, vb: VarBuilder) -> Result<Self> {
        let init = Init::Randn { mean: 0., stdev: cfg.initializer_factor * (cfg.d_model as f64).powf(-0.5) };
        let shape = (cfg.relative_attention_num_buckets, cfg.num_heads);
        let table =
            vb.pp("relative_attention_bias").get_with_hints_dtype(shape, "weight", init, DType::F32)?;
        Ok(Self { table, both_ways, furthest: cfg.relative_attention_max_distance })
    }

    /// What queries at some positions gain on the keys from 0 up to the last of them: (heads, time, positions).
    pub fn forward(&self, queries: Range<usize>) -> Result<Tensor> {
        let (buckets, heads) = self.table.dims2()?;
        let (time, positions) = (queries.len(), queries.end);
        // by the distance back, and by that ahead
        let back: Vec<u32> = (0..positions).map(|far| self.bucket(far, false, buckets)).collect();
        let ahead: Vec<u32> = (0..time).map(|far| self.bucket(far, true, buckets)).collect();
        let bucket = |query: usize, key: usize| match query.checked_sub(key) {
            Some(far) => back[far],
            None => ahead[key - query],
        };
        let pairs = queries.flat_map(|query| (0..positions).map(move |key| (query, key)));
        let buckets: Vec<u32> = pairs.map(|(query, key)| bucket(query, key)).collect();
        if self.table.is_variable() {
            let ids = Tensor::from_vec(buckets, (time, positions), self.table.device())?;
            return embedding(&ids, &self.table)?.permute((2, 0, 1))?.contiguous();
        }
        let table = self.table.t()?.to_vec2::<f32>()?;
        let values = table.iter().flat_map(|head| buckets.iter().map(|bucket| head[*bucket as usize]));
        Tensor::from_vec(values.collect(), (heads, time, positions), self.table.device())
    }

    // near ones have a bucket each, further ones share those that are left by their logarithm
    fn bucket(&self, far: usize, ahead: bool, buckets: usize) -> u32 {
        let (count, first) = match self.both_ways {
            true => (buckets / 2, if ahead { buckets / 2 } else { 0 }),
            // what is ahead is hidden
            false if ahead => return 0,
            false => (buckets, 0),
        };
        let exact = count / 2;
        if far < exact {
            return (first + far) as u32;
        }
        // in f32 and in this order, as PyTorch: the edges are where rounding puts them
        let log = (far as f32 / exact as f32).ln() / (self.furthest as f64 / exact as f64).ln() as f32;
        let step = (log * (count - exact) as f32) as usize;
        (first + (exact + step).min(count - 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // where T5Attention._relative_position_bucket of transformers 5.23 begins a new one; steps of one are left out
    fn check(both_ways: bool, furthest: usize, buckets: usize, edges: &[(usize, u32)]) {
        let table = Tensor::zeros((buckets, 1), DType::F32, &candle_core::Device::Cpu).unwrap();
        let distances = Distances { table, both_ways, furthest };
        let count = if both_ways { buckets / 2 } else { buckets };
        let mut expected = 0;
        for far in 0..400 {
            let next = edges.iter().find(|(edge, _)| *edge == far);
            expected = match next {
                Some((_, bucket)) => *bucket,
                None if far < count / 2 => far as u32,
                None => expected,
            };
            assert_eq!(distances.bucket(far, false, buckets), expected, "{far} back");
            let ahead = if both_ways { count as u32 + expected } else { 0 };
            assert_eq!(distances.bucket(far, true, buckets), ahead, "{far} ahead");
        }
    }

    #[test]
    fn distances_fall_into_the_buckets_of_the_reference() {
        check(true, 128, 32, &[(8, 8), (12, 9), (16, 10), (23, 11), (32, 12), (46, 13), (64, 14), (91, 15)]);
        let edges = [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113];
        check(false, 128, 32, &edges.into_iter().zip(16..).collect::<Vec<_>>());
        check(true, 18, 16, &[(4, 4), (6, 5), (9, 6), (13, 7)]);
        let edges = [16, 17, 18, 19, 20, 21, 22, 23];
        let steps = edges.into_iter().zip((16..).step_by(2)).chain([(24, 31)]);
        check(false, 24, 32, &steps.collect::<Vec<_>>());
    }
}
