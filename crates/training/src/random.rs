//! Seeded random numbers for what a step draws: examples, places in them, noise.
//!
//! A generator is made where it is needed from a seed and a place (step and micro-batch, or an epoch),
//! so a resumed run draws what the undisturbed one would have drawn, with no state to carry along.
//! xoshiro256++ (Blackman and Vigna, 2019), seeded through splitmix64.

use candle_core::{Device, Result, Shape, Tensor};

/// A small fast generator; equal seeds and places give equal numbers on every machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self::at(seed, &[])
    }

    /// The generator of a place under a seed, for example `[step, micro]` or `[epoch]`.
    pub fn at(seed: u64, place: &[u64]) -> Self {
        let mut mix = seed;
        for &part in place {
            mix = splitmix(&mut mix) ^ part;
        }
        // the length keeps [1] and [1, 0] apart
        mix ^= (place.len() as u64) << 56;
        Self { state: std::array::from_fn(|_| splitmix(&mut mix)) }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`, without bias; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        // the topmost incomplete run of n values is drawn again
        let last_whole = u64::MAX - (u64::MAX % n + 1) % n;
        loop {
            let drawn = self.next_u64();
            if drawn <= last_whole {
                return (drawn % n) as usize;
            }
        }
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts the items in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `0..n` in random order: one epoch of a set of n examples.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// An f32 tensor, standard normal.
    pub fn normal_tensor(&mut self, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.elem_count()).map(|_| self.normal() as f32).collect();
        Tensor::from_vec(values, shape, device)
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_published_reference() {
        // xoshiro256plusplus.c with state {1, 2, 3, 4}
        let mut rng = Rng { state: [1, 2, 3, 4] };
        let drawn: [u64; 4] = std::array::from_fn(|_| rng.next_u64());
        assert_eq!(drawn, [41943041, 58720359, 3588806011781223, 3591011842654386]);
        // splitmix64.c with seed 1234567
        let mut state = 1234567;
        assert_eq!(splitmix(&mut state), 6457827717110365317);
        assert_eq!(splitmix(&mut state), 3203168211198807973);
    }

    #[test]
    fn places_are_apart() {
        let places: [&[u64]; 6] = [&[], &[0], &[0, 0], &[0, 1], &[1, 0], &[1]];
        for seed in [0, 1, u64::MAX] {
            let firsts: Vec<u64> = places.iter().map(|p| Rng::at(seed, p).next_u64()).collect();
            let mut unique = firsts.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), firsts.len(), "seed {seed}");
        }
        assert_eq!(Rng::at(5, &[7, 2]), Rng::at(5, &[7, 2]));
    }

    #[test]
    fn draws_are_spread_as_they_should() {
        let mut rng = Rng::new(3);
        let n = 100_000;
        let mut counts = [0usize; 7];
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            counts[rng.below(7)] += 1;
            let x = rng.normal();
            sum += x;
            squares += x * x;
        }
        assert!(counts.iter().all(|&c| (c as f64 - n as f64 / 7.0).abs() < 500.0), "{counts:?}");
        assert!((sum / n as f64).abs() < 0.015 && (squares / n as f64 - 1.0).abs() < 0.02);
        assert_eq!((rng.below(0), rng.below(1)), (0, 0));
        let mut order = rng.permutation(50);
        assert_ne!(order, (0..50).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
