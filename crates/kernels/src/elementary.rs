//! Exponential, hyperbolic tangent, normal distribution and sine of f32 without branches, for loops that the compiler
//! turns into vectors. The coefficients are minimax fits made for this crate.

use crate::level::{Level, compiled};
use std::f32::consts::{FRAC_1_PI, LOG2_E};

/// Whether a product and a sum are one instruction or two; a constant inside each compiled loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fma(bool);

impl Fma {
    /// `x y + z`.
    #[inline(always)]
    pub fn add(self, x: f32, y: f32, z: f32) -> f32 {
        if self.0 { x.mul_add(y, z) } else { x * y + z }
    }

    /// `c[0] + c[1] x + c[2] x² + ...`
    #[inline(always)]
    pub fn polynomial<const N: usize>(self, x: f32, coefficients: [f32; N]) -> f32 {
        let mut value = coefficients[N - 1];
        for i in (0..N - 1).rev() {
            value = self.add(value, x, coefficients[i]);
        }
        value
    }
}

/// [`compiled`], with the way in which that level multiplies and adds. `f` must be `#[inline(always)]`.
#[inline(always)]
pub fn with_fma<R>(level: Level, f: impl FnOnce(Fma) -> R) -> R {
    // a constant in each branch, so that no loop asks
    match level {
        Level::Portable => f(Fma(cfg!(target_arch = "aarch64"))),
        Level::Avx2 => compiled(
            Level::Avx2,
            #[inline(always)]
            || f(Fma(true)),
        ),
        _ => compiled(
            Level::Avx512,
            #[inline(always)]
            || f(Fma(true)),
        ),
    }
}

/// The smaller and the larger bound, where `x` is beyond; NaN stays.
#[inline(always)]
pub fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// `e^x` within two units in the last place; 0 below -87.7 and infinity above 88.4.
#[inline(always)]
pub fn exp(m: Fma, x: f32) -> f32 {
    exp_below(m, if x > 88.8 { 88.8 } else { x })
}

/// [`exp`] for `x` up to 88.
#[inline(always)]
pub fn exp_below(m: Fma, x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.; // adding it leaves the nearest integer in the low bits
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4); // the first part exact in 10 bits
    let x = if x < -87.9 { -87.9 } else { x };
    let shifted = m.add(x, LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = m.add(k, -LN_2.1, m.add(k, -LN_2.0, x));
    let e =
        m.polynomial(r, [1., 1., 0.499_999_94, 0.166_665_2, 0.041_668_393, 0.008_368_781, 0.001_381_446_7]);
    // a product and not a sum of exponents, so that NaN stays and 2^-127 is zero, 2^128 infinity
    e * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(m: Fma, x: f32) -> f32 {
    1. / (1. + exp(m, -x))
}

/// The hyperbolic tangent, within four units in the last place.
#[inline(always)]
pub fn tanh(m: Fma, x: f32) -> f32 {
    let x = clamp(x, -9.1, 9.1);
    let s = x * x;
    let p = m.polynomial(s, [1., 0.133_744_71, 0.003_487_806_2, 2.048_110_7e-5, 1.317_741_6e-8]);
    let q = m.polynomial(s, [1., 0.467_077_85, 0.025_847_37, 3.272_912_2e-4, 7.704_002e-7]);
    clamp(x * p / q, -1., 1.)
}

/// Distribution and density of the standard normal distribution at `x`; the distribution keeps its relative accuracy
/// where it is small.
#[inline(always)]
pub fn normal(m: Fma, x: f32) -> (f32, f32) {
    let a = x.abs();
    let a = if a > 14. { 14. } else { a };
    let e = exp_below(m, a * a * -0.5);
    let p = m.polynomial(a, [0.5, 0.359_606_12, 0.118_136_12, 0.016_701_733]);
    let q = m.polynomial(a, [1., 1.517_084_8, 0.946_846_8, 0.295_903_14, 0.041_870_64]);
    let tail = e * (p / q);
    (if x > 0. { 1. - tail } else { tail }, e * 0.398_942_3)
}

/// Largest magnitude of an angle for which [`sin_cos_up_to_sign`] holds.
pub const ANGLE_LIMIT: f32 = 30_000.;

/// Sine and cosine of an angle within [`ANGLE_LIMIT`], both times the same 1 or -1.
#[inline(always)]
pub fn sin_cos_up_to_sign(m: Fma, x: f32) -> (f32, f32) {
    const ROUND: f32 = 12_582_912.;
    const PI: [f32; 3] = [3.140_625, 9.679_794_3e-4, -3.258_413_6e-7]; // the first two exact in 8 and 10 bits
    let k = m.add(x, FRAC_1_PI, ROUND) - ROUND;
    let r = m.add(k, -PI[2], m.add(k, -PI[1], m.add(k, -PI[0], x)));
    let s = r * r;
    let sin = m.polynomial(s, [-0.166_666_6, 0.008_333_066, -1.980_954e-4, 2.605_631_2e-6]);
    let cos = m.polynomial(s, [1., -0.5, 0.041_666_64, -0.001_388_840_2, 2.476_180_8e-5, -2.607_566_3e-7]);
    (m.add(sin * s, r, r), cos)
}
