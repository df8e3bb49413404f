//! Registers of f32 under one set of names: pulp's for each level, and SSE2's on x86-64, for which pulp has one value
//! at a time.

use crate::level::Level;
use pulp::{Simd, WithSimd};

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

/// Does work with the registers of a level.
#[inline(always)]
pub fn run<W: Work>(level: Level, work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Portable {
        return work.run(sse::Sse);
    }
    crate::level::dispatched(level, Adapter(work))
}

struct Adapter<W>(W);

impl<W: Work> WithSimd for Adapter<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> W::Output {
        self.0.run(Wide(simd))
    }
}

#[derive(Clone, Copy)]
struct Wide<S>(S);

impl<S: Simd> Lanes for Wide<S> {
    const COUNT: usize = S::F32_LANES;
    const MANY: bool = S::REGISTER_COUNT >= 32;
    type V = S::f32s;

    #[inline(always)]
    fn splat(self, x: f32) -> S::f32s {
        self.0.splat_f32s(x)
    }

    #[inline(always)]
    fn load(self, xs: &[f32]) -> S::f32s {
        S::as_simd_f32s(xs).0[0]
    }

    #[inline(always)]
    fn store(self, xs: &mut [f32], v: S::f32s) {
        S::as_mut_simd_f32s(xs).0[0] = v;
    }

    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }

    #[inline(always)]
    fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }

    #[inline(always)]
    fn mul(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.mul_f32s(a, b)
    }

    #[inline(always)]
    fn fma(self, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(a, b, c)
    }

    #[inline(always)]
    fn max(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.max_f32s(a, b)
    }

    #[inline(always)]
    fn at_least(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.select_f32s(self.0.less_than_f32s(a, b), b, a)
    }

    #[inline(always)]
    fn power(self, shifted: S::f32s) -> S::f32s {
        let simd = self.0;
        let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(127));
        simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)))
    }

    #[inline(always)]
    fn sum(self, v: S::f32s) -> f32 {
        self.0.reduce_sum_f32s(v)
    }

    #[inline(always)]
    fn largest(self, v: S::f32s) -> f32 {
        self.0.reduce_max_f32s(v)
    }
}

/// SSE2, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse {
    use super::Lanes;
    use core::arch::x86_64::*;

    macro_rules! sse2 {
        ($operation:expr) => {
            // SAFETY: SSE2 is part of x86-64.
            unsafe { $operation }
        };
    }

    #[derive(Clone, Copy)]
    pub struct Sse;

    impl Lanes for Sse {
        const COUNT: usize = 4;
        const MANY: bool = false;
        type V = __m128;

        #[inline(always)]
        fn splat(self, x: f32) -> __m128 {
            sse2!(_mm_set1_ps(x))
        }

        #[inline(always)]
        fn load(self, xs: &[f32]) -> __m128 {
            pulp::cast([xs[0], xs[1], xs[2], xs[3]])
        }

        #[inline(always)]
        fn store(self, xs: &mut [f32], v: __m128) {
            let values: [f32; 4] = pulp::cast(v);
            xs[..4].copy_from_slice(&values);
        }

        #[inline(always)]
        fn add(self, a: __m128, b: __m128) -> __m128 {
            sse2!(_mm_add_ps(a, b))
        }

        #[inline(always)]
        fn sub(self, a: __m128, b: __m128) -> __m128 {
            sse2!(_mm_sub_ps(a, b))
        }

        #[inline(always)]
        fn mul(self, a: __m128, b: __m128) -> __m128 {
            sse2!(_mm_mul_ps(a, b))
        }

        #[inline(always)]
        fn fma(self, a: __m128, b: __m128, c: __m128) -> __m128 {
            sse2!(_mm_add_ps(_mm_mul_ps(a, b), c))
        }

        #[inline(always)]
        fn max(self, a: __m128, b: __m128) -> __m128 {
            sse2!(_mm_max_ps(a, b))
        }

        #[inline(always)]
        fn at_least(self, a: __m128, b: __m128) -> __m128 {
            let less = sse2!(_mm_cmplt_ps(a, b));
            sse2!(_mm_or_ps(_mm_and_ps(less, b), _mm_andnot_ps(less, a)))
        }

        #[inline(always)]
        fn power(self, shifted: __m128) -> __m128 {
            let exponent = sse2!(_mm_add_epi32(_mm_castps_si128(shifted), _mm_set1_epi32(127)));
            sse2!(_mm_castsi128_ps(_mm_slli_epi32::<23>(exponent)))
        }

        #[inline(always)]
        fn sum(self, v: __m128) -> f32 {
            let [a, b, c, d]: [f32; 4] = pulp::cast(v);
            (a + c) + (b + d)
        }

        #[inline(always)]
        fn largest(self, v: __m128) -> f32 {
            let [a, b, c, d]: [f32; 4] = pulp::cast(v);
            a.max(b).max(c.max(d))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;

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
