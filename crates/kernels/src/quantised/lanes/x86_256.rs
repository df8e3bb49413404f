//! Registers of AVX2 with FMA.

use super::Unit;
use core::arch::x86_64::*;

/// Eight lanes.
pub(in crate::quantised) struct Half;

#[allow(unsafe_code)]
impl Unit for Half {
    type Bytes = __m256i;
    type Ints = __m256i;
    type Floats = __m256;
    const LANES: usize = 8;
    const SIGNED: bool = true;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> __m256i {
        // SAFETY: the level and 32 bytes; in all below the caller has what is read or written.
        unsafe { _mm256_lddqu_si256(at.cast()) }
    }

    #[inline(always)]
    unsafe fn put(bytes: __m256i, at: *mut u8) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(at.cast(), _mm256_castsi256_ps(bytes)) }
    }

    #[inline(always)]
    unsafe fn and(bytes: __m256i, mask: u8) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_and_si256(bytes, _mm256_set1_epi8(mask as i8)) }
    }

    #[inline(always)]
    unsafe fn shift(bytes: __m256i, left: i32) -> __m256i {
        // SAFETY: as above.
        unsafe {
            match left {
                0 => bytes,
                1.. => _mm256_sll_epi16(bytes, _mm_cvtsi32_si128(left)),
                _ => _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(-left)),
            }
        }
    }

    #[inline(always)]
    unsafe fn merge(low: __m256i, high: __m256i, mask: u8) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(mask as i8))) }
    }

    #[inline(always)]
    unsafe fn ints(value: i32) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_set1_epi32(value) }
    }

    #[inline(always)]
    unsafe fn dot(wide: bool, sum: __m256i, bytes: __m256i, x: u32) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let x = _mm256_set1_epi32(x as i32);
            // this instruction adds two products in 16 bits: of a byte without sign and one with it
            let pairs = if wide {
                _mm256_maddubs_epi16(_mm256_abs_epi8(bytes), _mm256_sign_epi8(x, bytes))
            } else {
                _mm256_maddubs_epi16(bytes, x)
            };
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn floats(ints: __m256i) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(ints) }
    }

    // the conversion that processors have is not part of the level
    #[inline(always)]
    unsafe fn halves(at: *const u8) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let halves = _mm256_cvtepu16_epi32(_mm_lddqu_si128(at.cast()));
            let sign = _mm256_slli_epi32::<16>(_mm256_and_si256(halves, _mm256_set1_epi32(0x8000)));
            let rest = _mm256_slli_epi32::<13>(_mm256_and_si256(halves, _mm256_set1_epi32(0x7fff)));
            let factor = _mm256_set1_ps(f32::from_bits((112 + 127) << 23));
            let value = _mm256_mul_ps(_mm256_castsi256_ps(rest), factor);
            let infinite = _mm256_cmpgt_epi32(rest, _mm256_set1_epi32((0x7c00 << 13) - 1));
            let infinite = _mm256_and_si256(infinite, _mm256_set1_epi32(0xff << 23));
            _mm256_or_ps(value, _mm256_castsi256_ps(_mm256_or_si256(infinite, sign)))
        }
    }

    #[inline(always)]
    unsafe fn small(at: *const u8) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast()))) }
    }

    #[inline(always)]
    unsafe fn singles(at: *const f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_castsi256_ps(_mm256_lddqu_si256(at.cast())) }
    }

    #[inline(always)]
    unsafe fn some(at: *const f32, count: usize) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_maskload_ps(at, first(count)) }
    }

    #[inline(always)]
    unsafe fn put_some(values: __m256, at: *mut f32, count: usize) {
        // SAFETY: as above.
        unsafe { _mm256_maskstore_ps(at, first(count), values) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fnma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
}

/// A mask of the first few lanes.
///
/// # Safety
/// The level.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn first(count: usize) -> __m256i {
    // SAFETY: the caller's contract.
    unsafe {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
    }
}
