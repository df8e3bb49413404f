//! Tiles in the instructions of x86-64: AVX2 with FMA, AVX-512 with VNNI and BF16.

use core::arch::x86_64::*;
use core::mem::transmute;

use super::tile::{Kind, Micro, Scales, Tile, Unit, by_size};
use crate::level::Level;

/// The tiles of a kind on a level above the portable one; pairs have none below [`Level::Avx512Products`].
pub(super) fn micro(kind: Kind, level: Level) -> Micro {
    match (kind, level) {
        (Kind::Pair, Level::Avx512Products) => Micro { rows: 12, columns: 32, run: run_pairs_512 },
        (Kind::Quad, Level::Avx512Products) => Micro { rows: 12, columns: 32, run: run_quads_512 },
        (Kind::Quad, _) => Micro { rows: 6, columns: 16, run: run_quads_256 },
        (_, Level::Avx512 | Level::Avx512Products) => Micro { rows: 12, columns: 32, run: run_singles_512 },
        _ => Micro { rows: 6, columns: 16, run: run_singles_256 },
    }
}

#[target_feature(enable = "avx512f")]
#[allow(unsafe_code)]
unsafe fn run_singles_512(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Singles512, t, [4 5 6 7 8 9 10 11 12]) }
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[allow(unsafe_code)]
unsafe fn run_pairs_512(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Pairs512, t, [4 5 6 7 8 9 10 11 12]) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
#[allow(unsafe_code)]
unsafe fn run_quads_512(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Quads512, t, [4 5 6 7 8 9 10 11 12]) }
}

#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn run_singles_256(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Singles256, t, [4 5 6]) }
}

#[target_feature(enable = "avx2")]
#[allow(unsafe_code)]
unsafe fn run_quads_256(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Quads256, t, [4 5 6]) }
}

/// A register at any address. Neither this nor what follows is a plain load, since those are checked for null and,
/// unaligned, copied where debug assertions are on, as in the profile that a first run uses.
///
/// # Safety
/// The level, and there are sixteen lanes.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn load_512(from: *const u32) -> __m512 {
    // SAFETY: the caller's contract.
    unsafe { _mm512_maskz_loadu_ps(u16::MAX, from.cast()) }
}

/// One lane in all.
///
/// # Safety
/// The level, and there is a lane.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn splat_512(from: *const u32) -> __m512 {
    // SAFETY: the caller's contract.
    unsafe { _mm512_broadcastss_ps(_mm_load_ss(from.cast())) }
}

/// A register at any address.
///
/// # Safety
/// The level, and there are eight lanes.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn load_256(from: *const u32) -> __m256 {
    // SAFETY: the caller's contract.
    unsafe { _mm256_castsi256_ps(_mm256_lddqu_si256(from.cast())) }
}

/// One lane in all.
///
/// # Safety
/// The level, and there is a lane.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn splat_256(from: *const u32) -> __m256 {
    // SAFETY: the caller's contract.
    unsafe { _mm256_broadcastss_ps(_mm_load_ss(from.cast())) }
}

/// Sixteen f32.
struct Singles512;

#[allow(unsafe_code)]
impl Unit for Singles512 {
    type Data = __m512;
    type Sum = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn fetch(at: *const f32) {
        // SAFETY: a hint, for any address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: the level, as in all below.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m512 {
        // SAFETY: the caller has a register's lanes.
        unsafe { load_512(from) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m512 {
        // SAFETY: the caller has one lane.
        unsafe { splat_512(from) }
    }

    #[inline(always)]
    unsafe fn fma(sum: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the level.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the level.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn store(sum: __m512, _: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has a register's values at each pointer, `base` unless it is null.
        unsafe { store_512(sum, base, out) }
    }
}

/// Sixteen pairs of bf16.
struct Pairs512;

#[allow(unsafe_code)]
impl Unit for Pairs512 {
    type Data = __m512i;
    type Sum = __m512;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn fetch(at: *const f32) {
        // SAFETY: a hint, for any address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        // SAFETY: the level, as in all below.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m512i {
        // SAFETY: the caller has a register's lanes.
        unsafe { _mm512_castps_si512(load_512(from)) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m512i {
        // SAFETY: the caller has one lane.
        unsafe { _mm512_castps_si512(splat_512(from)) }
    }

    #[inline(always)]
    unsafe fn fma(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: the level.
        unsafe { _mm512_dpbf16_ps(sum, transmute::<__m512i, __m512bh>(a), transmute::<__m512i, __m512bh>(b)) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the level.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn store(sum: __m512, _: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has a register's values at each pointer, `base` unless it is null.
        unsafe { store_512(sum, base, out) }
    }
}

/// Sixteen times four bytes; those of the left matrix are unsigned.
struct Quads512;

#[allow(unsafe_code)]
impl Unit for Quads512 {
    type Data = __m512i;
    type Sum = __m512i;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn fetch(at: *const f32) {
        // SAFETY: a hint, for any address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512i {
        // SAFETY: the level, as in all below.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m512i {
        // SAFETY: the caller has a register's lanes.
        unsafe { _mm512_castps_si512(load_512(from)) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m512i {
        // SAFETY: the caller has one lane.
        unsafe { _mm512_castps_si512(splat_512(from)) }
    }

    #[inline(always)]
    unsafe fn fma(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the level.
        unsafe { _mm512_dpbusd_epi32(sum, a, b) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the level.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn store(sum: __m512i, scales: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has a register's values at each pointer, `base` unless it is null.
        unsafe {
            let sum = _mm512_sub_epi32(sum, _mm512_castps_si512(load_512(scales.corrections.cast())));
            let scale = _mm512_mul_ps(splat_512(scales.rows.cast()), load_512(scales.columns.cast()));
            store_512(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale), base, out)
        }
    }
}

/// Eight f32.
struct Singles256;

#[allow(unsafe_code)]
impl Unit for Singles256 {
    type Data = __m256;
    type Sum = __m256;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        // SAFETY: the level, as in all below.
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m256 {
        // SAFETY: the caller has a register's lanes.
        unsafe { load_256(from) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m256 {
        // SAFETY: the caller has one lane.
        unsafe { splat_256(from) }
    }

    #[inline(always)]
    unsafe fn fma(sum: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: the level.
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the level.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn store(sum: __m256, _: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has a register's values at each pointer, `base` unless it is null.
        unsafe { store_256(sum, base, out) }
    }
}

/// Eight times four signed bytes, from -127 to 127, so that two products fit in 16 bits.
struct Quads256;

#[allow(unsafe_code)]
impl Unit for Quads256 {
    type Data = __m256i;
    type Sum = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> __m256i {
        // SAFETY: the level, as in all below.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> __m256i {
        // SAFETY: the caller has a register's lanes.
        unsafe { _mm256_castps_si256(load_256(from)) }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> __m256i {
        // SAFETY: the caller has one lane.
        unsafe { _mm256_castps_si256(splat_256(from)) }
    }

    #[inline(always)]
    unsafe fn fma(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the level.
        unsafe {
            // this instruction wants one factor unsigned, so the sign of `a` goes over to `b`
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    #[inline(always)]
    unsafe fn add(a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the level.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    unsafe fn store(sum: __m256i, scales: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has a register's values at each pointer, `base` unless it is null.
        unsafe {
            let sum = _mm256_sub_epi32(sum, _mm256_castps_si256(load_256(scales.corrections.cast())));
            let scale = _mm256_mul_ps(splat_256(scales.rows.cast()), load_256(scales.columns.cast()));
            store_256(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale), base, out)
        }
    }
}

/// Writes sums, `base` added unless it is null.
///
/// # Safety
/// The level, and a register's values at the pointers.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn store_512(sum: __m512, base: *const f32, out: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let sum = if base.is_null() { sum } else { _mm512_add_ps(sum, load_512(base.cast())) };
        _mm512_mask_storeu_ps(out, u16::MAX, sum)
    }
}

/// Writes sums, `base` added unless it is null.
///
/// # Safety
/// The level, and a register's values at the pointers.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn store_256(sum: __m256, base: *const f32, out: *mut f32) {
    // SAFETY: the caller's contract.
    unsafe {
        let sum = if base.is_null() { sum } else { _mm256_add_ps(sum, load_256(base.cast())) };
        _mm256_storeu_ps(out, sum)
    }
}
