//! PyTorch's CPU generator, number for number.
//!
//! The reference is PyTorch 2.15 (`ATen/core/DistributionsHelper.h`, `ATen/native/cpu/DistributionTemplates.h`).
//! Older releases differ in three places: the official x86 builds of 2.0 to 2.6 drew `exponential` (and with it
//! `multinomial`) from another generator inside MKL; `randint` took 64 bits a number from a range of 2^32 on, today
//! from 2^28 on; and 16-bit floats were drawn in their own precision, today in f32.
//!
//! Uniform numbers, integers and permutations are exact; `exponential` is as exact as the platform's logarithm. Normal
//! numbers agree within 2e-6, because PyTorch's own vectorised and plain paths differ by that much.

mod engine;

use engine::{Engine, WORDS};

/// Bytes of [`Generator::state`], as of `torch.Generator.get_state()` on a CPU.
pub const STATE_BYTES: usize = 5056;

/// Numbers that the vectorised Box-Muller transform makes at once.
const BLOCK: usize = 16;

/// Why a draw or a saved state was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RandomError {
    /// `low >= high`.
    #[error("there is no integer from {low} to below {high}: the upper bound must be larger")]
    EmptyRange {
        /// The lower bound, included.
        low: i64,
        /// The upper bound, excluded.
        high: i64,
    },
    /// A probability is negative, infinite or not a number.
    #[error("probability {index} of {count} is {value}, not a finite number of at least 0")]
    Probability {
        /// Where it stands.
        index: usize,
        /// How many there are.
        count: usize,
        /// The value, printed.
        value: String,
    },
    /// Fewer positive probabilities than samples.
    #[error(
        "{samples} samples without replacement need {samples} positive probabilities, and there are {positive}"
    )]
    TooFew {
        /// Samples asked for.
        samples: usize,
        /// Probabilities above 0.
        positive: usize,
    },
    /// The bytes are no generator's state.
    #[error("the saved state of the random generator is damaged: {0}")]
    State(String),
}

/// A stream of random numbers: what `torch.Generator().manual_seed(seed)` and the `torch.manual_seed` default are.
#[derive(Clone)]
pub struct Generator {
    seed: u64,
    engine: Engine,
    /// The second number of a serial Box-Muller pair; it waits for the next serial draw, whatever is drawn between.
    spare_normal: Option<f64>,
}

impl Generator {
    /// A generator as `torch.manual_seed(seed)` leaves it. PyTorch uses the low 32 bits alone, and so do we.
    pub fn new(seed: u64) -> Self {
        Self { seed, engine: Engine::new(seed), spare_normal: None }
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        self.engine.draw()
    }

    /// 64 random bits, the upper half drawn first.
    pub fn next_u64(&mut self) -> u64 {
        let high = self.engine.draw();
        (u64::from(high) << 32) | u64::from(self.engine.draw())
    }

    /// One number of `torch.rand`: a multiple of 2^-24 in [0, 1).
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() & 0x00ff_ffff) as f32 / (1u32 << 24) as f32
    }

    /// One number of `torch.rand(dtype=torch.float64)`: a multiple of 2^-53 in [0, 1).
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    /// One number of `torch.randn` for a tensor of fewer than 16 elements.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        let turn = self.uniform_f64();
        let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * turn).sin_cos();
        self.spare_normal = Some(radius * sine);
        radius * cosine
    }

    /// One number of `exponential_(1)`.
    pub fn exponential_one(&mut self) -> f32 {
        exponential_of(self.uniform_f64())
    }

    /// `torch.rand(n)`.
    pub fn rand(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.uniform()).collect()
    }

    /// `torch.randn(n)`, for a tensor of any shape with `n` elements that is contiguous: below 16 elements drawn one
    /// by one, else in blocks.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return self.randn_serial(n);
        }
        normal_blocks((0..n).map(|_| self.uniform()).collect(), || self.uniform(), box_muller_f32)
    }

    /// `normal_()` on a tensor of `n` elements that is not contiguous (transposed, sliced, channels last), in the order
    /// of its memory.
    pub fn randn_serial(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal() as f32).collect()
    }

    /// `torch.randn(n, dtype=torch.float64)`, contiguous.
    pub fn randn_f64(&mut self, n: usize) -> Vec<f64> {
        if n < BLOCK {
            return (0..n).map(|_| self.normal()).collect();
        }
        normal_blocks((0..n).map(|_| self.uniform_f64()).collect(), || self.uniform_f64(), box_muller_f64)
    }

    /// `torch.randn(n, dtype=torch.float16)` or `torch.bfloat16`, contiguous, before the caller rounds it to 16 bits.
    /// The last block falls elsewhere in the stream than with [`Self::randn`], unless `n` is a multiple of 16.
    pub fn randn_half(&mut self, n: usize) -> Vec<f32> {
        if n < BLOCK {
            return self.randn_serial(n);
        }
        let mut values: Vec<f32> = (0..n - n % BLOCK).map(|_| self.uniform()).collect();
        values.resize(n, 0.0);
        normal_blocks(values, || self.uniform(), box_muller_f32)
    }

    /// `torch.randint(low, high, (n,))`: a range below 2^28 takes 32 bits a number, a wider one 64.
    pub fn randint(&mut self, low: i64, high: i64, n: usize) -> Result<Vec<i64>, RandomError> {
        if low >= high {
            return Err(RandomError::EmptyRange { low, high });
        }
        let range = high.wrapping_sub(low) as u64;
        let narrow = range < 1 << 28;
        let mut draw = || {
            let bits = if narrow { u64::from(self.next_u32()) } else { self.next_u64() };
            low.wrapping_add((bits % range) as i64)
        };
        Ok((0..n).map(|_| draw()).collect())
    }

    /// `torch.empty(n).exponential_(1)`.
    pub fn exponential(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.exponential_one()).collect()
    }

    /// `torch.randperm(n)`.
    pub fn randperm(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        let narrow = n < u32::MAX as usize / 20;
        for index in 0..n.saturating_sub(1) {
            let bits = if narrow { u64::from(self.next_u32()) } else { self.next_u64() };
            order.swap(index, index + (bits % (n - index) as u64) as usize);
        }
        order
    }

    /// `torch.multinomial(probabilities, 1)`: an index drawn in proportion to its value; the values need not sum to 1.
    /// It is the argmax of p / q with q exponential; a zero costs a draw as well, so that the stream stays in step.
    pub fn categorical(&mut self, probabilities: &[f32]) -> Result<usize, RandomError> {
        let positive = check_probabilities(probabilities)?;
        if positive == 0 {
            return Err(RandomError::TooFew { samples: 1, positive });
        }
        let (mut best, mut best_score) = (0, f32::NEG_INFINITY);
        for (index, &probability) in probabilities.iter().enumerate() {
            let uniform = self.uniform_f64();
            // q is at least its uniform number, so most candidates have lost before their logarithm is taken
            if probability == 0.0 || f64::from(probability) * 1.001 < f64::from(best_score) * uniform {
                continue;
            }
            let score = probability / exponential_of(uniform);
            if score > best_score {
                (best, best_score) = (index, score);
            }
        }
        Ok(best)
    }

    /// `torch.multinomial(probabilities, num_samples)`: different indices, in the order in which they were drawn.
    pub fn multinomial(
        &mut self,
        probabilities: &[f32],
        num_samples: usize,
    ) -> Result<Vec<usize>, RandomError> {
        if num_samples == 1 {
            return Ok(vec![self.categorical(probabilities)?]);
        }
        let positive = check_probabilities(probabilities)?;
        if positive < num_samples {
            return Err(RandomError::TooFew { samples: num_samples, positive });
        }
        let scores: Vec<f32> = probabilities.iter().map(|&p| p / self.exponential_one()).collect();
        let mut order: Vec<usize> = (0..scores.len()).filter(|&index| probabilities[index] > 0.0).collect();
        let descending = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        if num_samples > 0 && num_samples < order.len() {
            order.select_nth_unstable_by(num_samples - 1, descending);
        }
        order.truncate(num_samples);
        order.sort_unstable_by(descending);
        Ok(order)
    }

    /// The whole state, byte for byte what `torch.Generator.get_state()` gives on a 64-bit little-endian machine.
    pub fn state(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(STATE_BYTES);
        bytes.extend(self.seed.to_le_bytes());
        bytes.extend(self.engine.left.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(u64::from(self.engine.next).to_le_bytes());
        for word in self.engine.words {
            bytes.extend(u64::from(word).to_le_bytes());
        }
        bytes.extend([0; 8]);
        bytes.extend(self.spare_normal.unwrap_or(0.0).to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(u64::from(self.spare_normal.is_some()).to_le_bytes());
        bytes.resize(STATE_BYTES, 0);
        bytes
    }

    /// The generator whose [`Self::state`] this is. PyTorch's saved states of the same size are read too.
    pub fn from_state(bytes: &[u8]) -> Result<Self, RandomError> {
        let refuse = |why: String| Err(RandomError::State(why));
        if bytes.len() != STATE_BYTES {
            return refuse(format!("it has {} bytes, not {STATE_BYTES}", bytes.len()));
        }
        let (fields, _) = bytes.as_chunks::<8>();
        let field = |index: usize| u64::from_le_bytes(fields[index]);
        let (left, seeded) = (field(1) as u32, field(1) >> 32);
        let next = field(2);
        if seeded != 1 || next > WORDS as u64 || !Engine::counters_are_valid(left, next as u32) {
            return refuse(format!("the counters {left}, {seeded} and {next} cannot occur"));
        }
        let mut words = [0; WORDS];
        for (index, word) in words.iter_mut().enumerate() {
            match u32::try_from(field(3 + index)) {
                Ok(value) => *word = value,
                Err(_) => return refuse(format!("word {index} is {}, above 32 bits", field(3 + index))),
            }
        }
        let tail = 3 + WORDS;
        let spare = f64::from_bits(field(tail + 1));
        let spare_normal = match field(tail + 3) as u32 {
            0 => None,
            1 if spare.is_finite() => Some(spare),
            flag => return refuse(format!("the stored normal number {spare} with flag {flag} cannot occur")),
        };
        let engine = Engine { words, left, next: next as u32 };
        Ok(Self { seed: field(0), engine, spare_normal })
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Generator(seed {}, {} draws before renewal)", self.seed, self.engine.left)
    }
}

fn exponential_of(uniform: f64) -> f32 {
    -(-uniform).ln_1p() as f32
}

/// How many probabilities are above 0, after checking that all are fit to be drawn from.
fn check_probabilities(probabilities: &[f32]) -> Result<usize, RandomError> {
    let count = probabilities.len();
    let mut positive = 0;
    for (index, &value) in probabilities.iter().enumerate() {
        if !(0.0..f32::INFINITY).contains(&value) {
            return Err(RandomError::Probability { index, count, value: value.to_string() });
        }
        positive += usize::from(value > 0.0);
    }
    Ok(positive)
}

/// Turns uniform numbers into normal ones, 16 at a time. Where the length is no multiple of 16 the last 16 are
/// made anew from 16 more draws, as PyTorch does.
fn normal_blocks<T>(mut values: Vec<T>, mut draw: impl FnMut() -> T, transform: fn(&mut [T])) -> Vec<T> {
    values.chunks_exact_mut(BLOCK).for_each(transform);
    if !values.len().is_multiple_of(BLOCK) {
        let start = values.len() - BLOCK;
        values[start..].fill_with(&mut draw);
        transform(&mut values[start..]);
    }
    values
}

/// Box and Muller's transform of 16 uniform numbers, the first eight the radii. The angle is rounded to f32, as in
/// PyTorch's AVX2 path.
fn box_muller_f32(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * (1.0 - *a).ln()).sqrt();
        let (sine, cosine) = (std::f32::consts::TAU * *b).sin_cos();
        (*a, *b) = (radius * cosine, radius * sine);
    }
}

fn box_muller_f64(block: &mut [f64]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * (1.0 - *a).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * *b).sin_cos();
        (*a, *b) = (radius * cosine, radius * sine);
    }
}
