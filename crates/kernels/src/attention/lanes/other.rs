//! Registers of pulp's.

use super::{Lanes, Work};
use crate::level::{Level, dispatched};
use pulp::{Simd, WithSimd};

/// Does work with the registers of a level.
#[inline(always)]
pub fn run<W: Work>(level: Level, work: W) -> W::Output {
    dispatched(level, Adapter(work))
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
    fn sums(self, four: [S::f32s; 4]) -> [f32; 4] {
        four.map(
            #[inline(always)]
            |v| self.sum(v),
        )
    }

    #[inline(always)]
    fn largest(self, v: S::f32s) -> f32 {
        self.0.reduce_max_f32s(v)
    }
}
