//! Registers of f32 under one set of names. On x86-64 they are written out, since pulp's own turn into calls and
//! checks where debug assertions are on; elsewhere they are pulp's.

#[cfg(not(target_arch = "x86_64"))]
mod other;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(not(target_arch = "x86_64"))]
pub use other::run;
#[cfg(target_arch = "x86_64")]
pub use x86::run;

use crate::level::Level;

/// Operations on a register.
pub trait Lanes: Copy {
    /// Values in a register.
    const COUNT: usize;
    /// Whether there are 32 registers rather than 16.
    const MANY: bool;
    /// A register.
    type V: Copy;

    fn splat(self, x: f32) -> Self::V;
    /// The first values of a slice.
    fn load(self, xs: &[f32]) -> Self::V;
    /// Writes the first values of a slice.
    fn store(self, xs: &mut [f32], v: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `b` where `a < b`, else `a`: a NaN of `a` stays.
    fn at_least(self, a: Self::V, b: Self::V) -> Self::V;
    /// Two to the power of an integer, given in the low bits beside those of [`ROUND`].
    fn power(self, shifted: Self::V) -> Self::V;
    /// The sum of a register's values.
    fn sum(self, v: Self::V) -> f32;
    /// The sums of four registers' values.
    fn sums(self, four: [Self::V; 4]) -> [f32; 4];
    /// The largest of a register's values.
    fn largest(self, v: Self::V) -> f32;
}

/// Adding it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.;

/// `2^x` for `x` up to 127, within 3e-7 of itself; exactly zero from -127 down, and NaN for NaN.
#[inline(always)]
pub fn exp2<L: Lanes>(lanes: L, x: L::V) -> L::V {
    // a polynomial with the least largest relative error on [-0.5, 0.5] among those that are one at zero
    const C: [f32; 5] = [0.693_146_97, 0.240_222_42, 0.055_507_336, 0.009_671_513, 0.001_326_472_6];
    let x = lanes.at_least(x, lanes.splat(-127.));
    let round = lanes.splat(ROUND);
    let shifted = lanes.add(x, round);
    let r = lanes.sub(x, lanes.sub(shifted, round));
    let mut p = lanes.fma(lanes.splat(C[4]), r, lanes.splat(C[3]));
    p = lanes.fma(p, r, lanes.splat(C[2]));
    p = lanes.fma(p, r, lanes.splat(C[1]));
    p = lanes.fma(p, r, lanes.splat(C[0]));
    p = lanes.fma(p, r, lanes.splat(1.));
    lanes.mul(p, lanes.power(shifted))
}

/// [`exp2`] of one value.
#[inline(always)]
pub fn exp2_one<L: Lanes>(lanes: L, x: f32) -> f32 {
    lanes.largest(exp2(lanes, lanes.splat(x)))
}

/// Something to do with registers.
pub trait Work {
    /// Its result.
    type Output;
    /// Does it; must be `#[inline(always)]`.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

/// Values in a register of a level.
pub fn count(level: Level) -> usize {
    struct Count;
    impl Work for Count {
        type Output = usize;
        #[inline(always)]
        fn run<L: Lanes>(self, _: L) -> usize {
            L::COUNT
        }
    }
    run(level, Count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;

    struct Sums([[f32; 16]; 4]);

    impl Work for Sums {
        type Output = [f32; 4];
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> [f32; 4] {
            lanes.sums(self.0.each_ref().map(|xs| lanes.load(xs)))
        }
    }

    #[test]
    fn four_registers_are_summed_each() {
        let values = std::array::from_fn(|i| std::array::from_fn(|j| ((i + 3) * (j + 1) * (j + 2)) as f32));
        for level in levels() {
            let expected = values.map(|xs: [f32; 16]| xs[..count(level)].iter().sum::<f32>());
            assert_eq!(run(level, Sums(values)), expected, "{level:?}");
        }
    }

    struct Exp2(f32);

    impl Work for Exp2 {
        type Output = f32;
        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> f32 {
            let mut out = [0f32; 64];
            lanes.store(&mut out, exp2(lanes, lanes.splat(self.0)));
            assert!(out[..L::COUNT].iter().all(|x| x.to_bits() == out[0].to_bits()));
            out[0]
        }
    }

    #[test]
    fn exp2_is_within_its_bound_and_exact_where_it_says_so() {
        for level in levels() {
            for i in -12600..12600 {
                let x = i as f32 / 100.;
                let (found, exact) = (run(level, Exp2(x)) as f64, (x as f64).exp2());
                assert!((found / exact - 1.).abs() < 3e-7, "{level:?} {x}: {found} {exact}");
            }
            for low in [-127f32, -1e9, f32::MIN, f32::NEG_INFINITY] {
                assert_eq!(run(level, Exp2(low)), 0., "{level:?} {low}");
            }
            assert_eq!(run(level, Exp2(0.)), 1.);
            for bits in [0x7fc0_0000, 0xffc0_0000, 0x7fff_ffff, 0x7fc0_0001] {
                assert!(run(level, Exp2(f32::from_bits(bits))).is_nan());
            }
        }
    }
}
