//! Registers of AVX-512 with VNNI.

use super::Unit;
use core::arch::x86_64::*;

/// Sixteen lanes.
pub(in crate::quantised) struct Wide;

/// The first few lanes.
#[inline(always)]
fn first(count: usize) -> u16 {
    (0xffff_u32 >> (16 - count)) as u16
}

// Loads and stores are masked ones, since plain ones are checked for null where debug assertions are on.
#[allow(unsafe_code)]
impl Unit for Wide {
    type Bytes = __m512i;
    type Ints = __m512i;
    type Floats = __m512;
    const LANES: usize = 16;
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m512i {
        // SAFETY: the level and 64 bytes; in all below the caller has what is read or written.
        unsafe { _mm512_maskz_loadu_epi32(u16::MAX, at.cast()) }
    }

    #[inline(always)]
    unsafe fn put(bytes: __m512i, at: *mut u8) {
        // SAFETY: as above.
        unsafe { _mm512_mask_storeu_epi32(at.cast(), u16::MAX, bytes) }
    }

    #[inline(always)]
    unsafe fn and(bytes: __m512i, mask: u8) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_and_si512(bytes, _mm512_set1_epi8(mask as i8)) }
    }

    #[inline(always)]
    unsafe fn shift(bytes: __m512i, left: i32) -> __m512i {
        // SAFETY: as above.
        unsafe {
            match left {
                0 => bytes,
                1.. => _mm512_sll_epi16(bytes, _mm_cvtsi32_si128(left)),
                _ => _mm512_srl_epi16(bytes, _mm_cvtsi32_si128(-left)),
            }
        }
    }

    #[inline(always)]
    unsafe fn merge(low: __m512i, high: __m512i, mask: u8) -> __m512i {
        const OR_AND: i32 = 0b1111_1000; // a | b & c
        // SAFETY: as above.
        unsafe { _mm512_ternarylogic_epi32::<OR_AND>(low, high, _mm512_set1_epi8(mask as i8)) }
    }

    #[inline(always)]
    unsafe fn ints(value: i32) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn dot(_: bool, sum: __m512i, bytes: __m512i, x: u32) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_dpbusd_epi32(sum, bytes, _mm512_set1_epi32(x as i32)) }
    }

    #[inline(always)]
    unsafe fn floats(ints: __m512i) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_ps(ints) }
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtph_ps(_mm256_lddqu_si256(at.cast())) }
    }

    #[inline(always)]
    unsafe fn small(at: *const u8) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_lddqu_si128(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn singles(at: *const f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_maskz_loadu_ps(u16::MAX, at) }
    }

    #[inline(always)]
    unsafe fn some(at: *const f32, count: usize) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_maskz_loadu_ps(first(count), at) }
    }

    #[inline(always)]
    unsafe fn put_some(values: __m512, at: *mut f32, count: usize) {
        // SAFETY: as above.
        unsafe { _mm512_mask_storeu_ps(at, first(count), values) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
}
