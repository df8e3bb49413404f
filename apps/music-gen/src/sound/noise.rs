//! Repeatable randomness: what differs between pipes, singers and strings, and noise as a signal.

/// A number from -1 to 1 that depends on nothing but `seed`.
pub(super) fn scatter(seed: u64) -> f32 {
    (mix(seed) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// White noise from -1 to 1 (xorshift32, Marsaglia 2003).
#[derive(Debug, Clone)]
pub(super) struct Noise(u32);

impl Noise {
    pub(super) fn new(seed: u64) -> Noise {
        Noise((mix(seed) as u32) | 1)
    }

    pub(super) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A resonance at `frequency` with this quality, unit gain at its peak: a band of noise is its output for noise.
#[derive(Debug, Clone)]
pub(super) struct Band {
    b: f32,
    a1: f32,
    a2: f32,
    x: [f32; 2],
    y: [f32; 2],
}

impl Band {
    pub(super) fn new(frequency: f32, quality: f32) -> Band {
        let w = std::f32::consts::TAU * frequency.clamp(20.0, 0.45 * super::RATE as f32) / super::RATE as f32;
        let alpha = w.sin() / (2.0 * quality);
        let a0 = 1.0 + alpha;
        Band { b: alpha / a0, a1: -2.0 * w.cos() / a0, a2: (1.0 - alpha) / a0, x: [0.0; 2], y: [0.0; 2] }
    }

    pub(super) fn next(&mut self, x: f32) -> f32 {
        let y = self.b * (x - self.x[1]) - self.a1 * self.y[0] - self.a2 * self.y[1];
        self.x = [x, self.x[0]];
        self.y = [y, self.y[0]];
        y
    }
}
