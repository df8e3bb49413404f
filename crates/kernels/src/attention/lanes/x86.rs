//! Registers of AVX-512, AVX2 and SSE2.
#![allow(unsafe_code)]

use super::{Lanes, Work};
use crate::level::Level;
use core::arch::x86_64::*;
use core::mem::transmute;
use pulp::x86::{V3, V4};

/// Does work with the registers of a level.
#[inline(always)]
pub fn run<W: Work>(level: Level, work: W) -> W::Output {
    if level >= Level::Avx512
        && let Some(simd) = V4::try_new()
    {
        return simd.vectorize(
            #[inline(always)]
            || work.run(Avx512(simd)),
        );
    }
    if level >= Level::Avx2
        && let Some(simd) = V3::try_new()
    {
        return simd.vectorize(
            #[inline(always)]
            || work.run(Avx2(simd)),
        );
    }
    work.run(Sse2)
}

/// Where there is one the processor has AVX-512.
#[derive(Clone, Copy)]
struct Avx512(#[allow(dead_code)] V4);

/// Where there is one the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(#[allow(dead_code)] V3);

/// Every x86-64 has SSE2.
#[derive(Clone, Copy)]
struct Sse2;

// a slice as an array without the checks of pointers
#[inline(always)]
fn chunk<const N: usize>(xs: &[f32]) -> &[f32; N] {
    match xs.first_chunk() {
        Some(chunk) => chunk,
        None => panic!("a register of {N} from {} values", xs.len()),
    }
}

#[inline(always)]
fn chunk_mut<const N: usize>(xs: &mut [f32]) -> &mut [f32; N] {
    match xs.first_chunk_mut() {
        Some(chunk) => chunk,
        None => panic!("a register of {N} to fewer values"),
    }
}

// SAFETY (of all calls below): the processor has the instructions, as the type's being there says; arrays of f32 are
// made of registers of the same size.
impl Lanes for Avx512 {
    const COUNT: usize = 16;
    const MANY: bool = true;
    type V = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, xs: &[f32]) -> __m512 {
        unsafe { transmute::<[f32; 16], __m512>(*chunk(xs)) }
    }

    #[inline(always)]
    fn store(self, xs: &mut [f32], v: __m512) {
        *chunk_mut(xs) = unsafe { transmute::<__m512, [f32; 16]>(v) };
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn at_least(self, a: __m512, b: __m512) -> __m512 {
        // of a NaN and a number the second is taken
        unsafe { _mm512_max_ps(b, a) }
    }

    #[inline(always)]
    fn power(self, shifted: __m512) -> __m512 {
        unsafe {
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(
                _mm512_castps_si512(shifted),
                _mm512_set1_epi32(127),
            )))
        }
    }

    #[inline(always)]
    fn sum(self, v: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(v) }
    }

    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        unsafe {
            let ab = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)));
            let cd = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d)));
            // four lanes, each with a sum of every register
            let low = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
            let all = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
            let high = _mm512_castps512_ps256(_mm512_shuffle_f32x4::<0b0100_1110>(all, all));
            let all = _mm256_add_ps(_mm512_castps512_ps256(all), high);
            let all = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
            transmute::<__m128, [f32; 4]>(all)
        }
    }

    #[inline(always)]
    fn largest(self, v: __m512) -> f32 {
        unsafe { _mm512_reduce_max_ps(v) }
    }
}

// SAFETY (of all calls below): the processor has the instructions, as the type's being there says; arrays of f32 are
// made of registers of the same size.
impl Lanes for Avx2 {
    const COUNT: usize = 8;
    const MANY: bool = false;
    type V = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, xs: &[f32]) -> __m256 {
        unsafe { transmute::<[f32; 8], __m256>(*chunk(xs)) }
    }

    #[inline(always)]
    fn store(self, xs: &mut [f32], v: __m256) {
        *chunk_mut(xs) = unsafe { transmute::<__m256, [f32; 8]>(v) };
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn at_least(self, a: __m256, b: __m256) -> __m256 {
        // of a NaN and a number the second is taken
        unsafe { _mm256_max_ps(b, a) }
    }

    #[inline(always)]
    fn power(self, shifted: __m256) -> __m256 {
        unsafe {
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(
                _mm256_castps_si256(shifted),
                _mm256_set1_epi32(127),
            )))
        }
    }

    #[inline(always)]
    fn sum(self, v: __m256) -> f32 {
        Sse2.sum(unsafe { _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)) })
    }

    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        unsafe {
            let all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            let all = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
            transmute::<__m128, [f32; 4]>(all)
        }
    }

    #[inline(always)]
    fn largest(self, v: __m256) -> f32 {
        Sse2.largest(unsafe { _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)) })
    }
}

// SAFETY (of all calls below): the processor has the instructions, as the type's being there says; arrays of f32 are
// made of registers of the same size.
impl Lanes for Sse2 {
    const COUNT: usize = 4;
    const MANY: bool = false;
    type V = __m128;

    #[inline(always)]
    fn splat(self, x: f32) -> __m128 {
        unsafe { _mm_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, xs: &[f32]) -> __m128 {
        unsafe { transmute::<[f32; 4], __m128>(*chunk(xs)) }
    }

    #[inline(always)]
    fn store(self, xs: &mut [f32], v: __m128) {
        *chunk_mut(xs) = unsafe { transmute::<__m128, [f32; 4]>(v) };
    }

    #[inline(always)]
    fn add(self, a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_mul_ps(a, b) }
    }

    #[inline(always)]
    fn fma(self, a: __m128, b: __m128, c: __m128) -> __m128 {
        unsafe { _mm_add_ps(_mm_mul_ps(a, b), c) }
    }

    #[inline(always)]
    fn max(self, a: __m128, b: __m128) -> __m128 {
        unsafe { _mm_max_ps(a, b) }
    }

    #[inline(always)]
    fn at_least(self, a: __m128, b: __m128) -> __m128 {
        // of a NaN and a number the second is taken
        unsafe { _mm_max_ps(b, a) }
    }

    #[inline(always)]
    fn power(self, shifted: __m128) -> __m128 {
        unsafe {
            _mm_castsi128_ps(_mm_slli_epi32::<23>(_mm_add_epi32(
                _mm_castps_si128(shifted),
                _mm_set1_epi32(127),
            )))
        }
    }

    #[inline(always)]
    fn sum(self, v: __m128) -> f32 {
        let [a, b, c, d] = unsafe { transmute::<__m128, [f32; 4]>(v) };
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn sums(self, [a, b, c, d]: [__m128; 4]) -> [f32; 4] {
        [a, b, c, d].map(|v| self.sum(v))
    }

    #[inline(always)]
    fn largest(self, v: __m128) -> f32 {
        let [a, b, c, d] = unsafe { transmute::<__m128, [f32; 4]>(v) };
        a.max(b).max(c.max(d))
    }
}
