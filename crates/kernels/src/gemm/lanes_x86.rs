//! The two ways of interleaving that matter, in AVX2; and with rounding to bf16, in AVX-512.

use core::arch::x86_64::*;
use core::mem::transmute;

use super::lanes::View;

/// Eight lanes at any address; see `x86.rs` for why not a plain load.
///
/// # Safety
/// The level, and there are eight lanes.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn load_8(from: *const u32) -> __m256i {
    // SAFETY: the caller's contract.
    unsafe { _mm256_lddqu_si256(from.cast()) }
}

/// Four lanes at any address.
///
/// # Safety
/// The level, and there are four lanes.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn load_4(from: *const u32) -> __m128i {
    // SAFETY: the caller's contract.
    unsafe { _mm_lddqu_si128(from.cast()) }
}

/// Lanes that lie along the lines: whole registers are copied, of which the last may cover some of the one before.
///
/// # Safety
/// The machine has AVX2; the view has `lines` lines, 4 or more, of `depth`, with a stride of 1 from line to line;
/// `out` has room for `depth` times `width`, which is no less than `lines`.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn copy(view: View, lines: usize, depth: usize, out: &mut [u32], width: usize) {
    let (mut from, mut to) = (view.values.as_ptr(), out.as_mut_ptr());
    for _ in 0..depth {
        // SAFETY: all is inside `lines` lanes here and there.
        unsafe {
            if lines >= 8 {
                let mut at = 0;
                while at + 8 < lines {
                    _mm256_storeu_si256(to.wrapping_add(at).cast(), load_8(from.wrapping_add(at)));
                    at += 8;
                }
                _mm256_storeu_si256(to.wrapping_add(lines - 8).cast(), load_8(from.wrapping_add(lines - 8)));
            } else {
                _mm_storeu_si128(to.cast(), load_4(from));
                _mm_storeu_si128(to.wrapping_add(lines - 4).cast(), load_4(from.wrapping_add(lines - 4)));
            }
        }
        from = from.wrapping_add(view.stride.1);
        to = to.wrapping_add(width);
    }
}

/// Lanes that are turned at a time, so that what is written stays in the first cache.
const STRIP: usize = 4096;

/// Lanes that lie along the depth are turned, eight lines by four, or four by four.
///
/// # Safety
/// As that of [`copy`], but the stride of 1 is along the depth.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn turn(view: View, lines: usize, depth: usize, out: &mut [u32], width: usize) {
    let (from, to, stride) = (view.values.as_ptr(), out.as_mut_ptr(), view.stride.0);
    let strip = (STRIP / width).next_multiple_of(16);
    let mut start = 0;
    while start < depth {
        let end = (start + strip).min(depth);
        let mut line = 0;
        while line < lines {
            // the last lines may be turned twice
            let eight = lines - line >= 8 || (lines >= 8 && lines - line > 4);
            let at = line.min(lines - if eight { 8 } else { 4 });
            let (from, to) = (from.wrapping_add(at * stride), to.wrapping_add(at));
            // SAFETY: eight or four lines from `at` are inside, and so is the depth from `start` to `end`.
            unsafe {
                for ahead in (end..depth.min(end + strip)).step_by(16) {
                    for line in 0..if eight { 8 } else { 4 } {
                        // into the second cache: in the first, lines at a power of two would drive out one another
                        _mm_prefetch::<_MM_HINT_T1>(from.wrapping_add(line * stride + ahead).cast());
                    }
                }
                if eight {
                    turn_eight(from, stride, start..end, to, width);
                } else {
                    turn_four(from, stride, start..end, to, width);
                }
            }
            line = at + if eight { 8 } else { 4 };
        }
        start = end;
    }
}

/// The first `count` of sixteen values at any address, and zeros.
///
/// # Safety
/// AVX-512, and there are `count` values.
#[allow(unsafe_code)]
#[inline(always)]
unsafe fn load_16(from: *const u32, count: usize) -> __m512 {
    // SAFETY: the caller's contract.
    unsafe { _mm512_maskz_loadu_ps(first(count), from.cast()) }
}

/// A mask of the first `count` of sixteen lanes.
#[inline(always)]
fn first(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

/// Values that lie along the lines, of two steps of the depth to a lane, rounded to bf16.
///
/// # Safety
/// The machine has AVX-512 BW and BF16; the view has `lines` lines of twice `depth` values, with a stride of 1 from
/// line to line; `out` has room for `depth` times `width`, which is no less than `lines`.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn copy_rounded(view: View, lines: usize, depth: usize, out: &mut [u32], width: usize) {
    let (mut from, mut to) = (view.values.as_ptr(), out.as_mut_ptr());
    // from all first halves and then all second ones to pairs
    let lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let order = _mm512_or_si512(lane, _mm512_slli_epi32::<16>(_mm512_add_epi32(lane, _mm512_set1_epi32(16))));
    for _ in 0..depth {
        for at in (0..lines).step_by(16) {
            let count = lines - at;
            // SAFETY: what is read and written is inside `lines` lanes, by the masks.
            unsafe {
                let low = load_16(from.wrapping_add(at), count);
                let high = load_16(from.wrapping_add(at + view.stride.1), count);
                let halves = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                let pairs = _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, halves));
                _mm512_mask_storeu_ps(to.wrapping_add(at).cast(), first(count), pairs);
            }
        }
        from = from.wrapping_add(2 * view.stride.1);
        to = to.wrapping_add(width);
    }
}

/// Lanes of a line that are rounded before they are turned.
const ROUNDED: usize = 64;

/// The most lines of a panel.
const LINES: usize = 32;

/// Values that lie along the depth, two to a lane, rounded to bf16 and then turned.
///
/// # Safety
/// As that of [`copy_rounded`], but the stride of 1 is along the depth, and there are at most 32 lines.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn turn_rounded(view: View, lines: usize, depth: usize, out: &mut [u32], width: usize) {
    let mut buffer = [0u32; LINES * ROUNDED];
    let lines = lines.min(LINES);
    for start in (0..depth).step_by(ROUNDED) {
        let count = ROUNDED.min(depth - start);
        for line in 0..lines {
            let from = view.values.as_ptr().wrapping_add(line * view.stride.0 + 2 * start);
            for at in (0..count).step_by(16) {
                let values = 2 * (count - at);
                // SAFETY: the line has `2 * count` values from here, and the buffer as many places as lanes.
                unsafe {
                    let low = load_16(from.wrapping_add(2 * at), values);
                    let high = load_16(from.wrapping_add(2 * at + 16), values.saturating_sub(16));
                    let pairs = transmute::<__m512bh, __m512>(_mm512_cvtne2ps_pbh(high, low));
                    let to = buffer.as_mut_ptr().wrapping_add(line * ROUNDED + at);
                    _mm512_mask_storeu_ps(to.cast(), u16::MAX, pairs);
                }
            }
        }
        let out = &mut out[start * width..][..count * width];
        if lines >= 4 {
            // SAFETY: the buffer has these lines, and AVX-512 comes with AVX2.
            unsafe { turn(View::new(&buffer, (ROUNDED, 1)), lines, count, out, width) }
        } else {
            for (d, out) in out.chunks_exact_mut(width).enumerate() {
                (0..lines).for_each(|line| out[line] = buffer[line * ROUNDED + d]);
            }
        }
    }
}

#[allow(unsafe_code)]
#[target_feature(enable = "avx2")]
unsafe fn turn_eight(
    from: *const u32,
    stride: usize,
    depth: std::ops::Range<usize>,
    to: *mut u32,
    width: usize,
) {
    let whole = depth.start + (depth.end - depth.start) / 4 * 4;
    let mut d = depth.start;
    // SAFETY: the caller's contract: eight lines of this depth.
    unsafe {
        while d < whole {
            let two = |line: usize| {
                let low = _mm_castsi128_ps(load_4(from.wrapping_add(line * stride + d)));
                let high = _mm_castsi128_ps(load_4(from.wrapping_add((line + 4) * stride + d)));
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
            };
            let (a, b, c, e) = (two(0), two(1), two(2), two(3));
            let (ab, ce) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, e));
            let (ab_high, ce_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, e));
            let to = to.wrapping_add(d * width);
            _mm256_storeu_ps(to.cast(), _mm256_shuffle_ps::<0x44>(ab, ce));
            _mm256_storeu_ps(to.wrapping_add(width).cast(), _mm256_shuffle_ps::<0xee>(ab, ce));
            _mm256_storeu_ps(to.wrapping_add(2 * width).cast(), _mm256_shuffle_ps::<0x44>(ab_high, ce_high));
            _mm256_storeu_ps(to.wrapping_add(3 * width).cast(), _mm256_shuffle_ps::<0xee>(ab_high, ce_high));
            d += 4;
        }
        while d < depth.end {
            for line in 0..8 {
                *to.wrapping_add(d * width + line) = *from.wrapping_add(line * stride + d);
            }
            d += 1;
        }
    }
}

#[allow(unsafe_code)]
#[target_feature(enable = "avx2")]
unsafe fn turn_four(
    from: *const u32,
    stride: usize,
    depth: std::ops::Range<usize>,
    to: *mut u32,
    width: usize,
) {
    let whole = depth.start + (depth.end - depth.start) / 4 * 4;
    let mut d = depth.start;
    // SAFETY: the caller's contract: four lines of this depth.
    unsafe {
        while d < whole {
            let one = |line: usize| _mm_castsi128_ps(load_4(from.wrapping_add(line * stride + d)));
            let (a, b, c, e) = (one(0), one(1), one(2), one(3));
            let (ab, ce) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, e));
            let (ab_high, ce_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, e));
            let to = to.wrapping_add(d * width);
            _mm_storeu_ps(to.cast(), _mm_shuffle_ps::<0x44>(ab, ce));
            _mm_storeu_ps(to.wrapping_add(width).cast(), _mm_shuffle_ps::<0xee>(ab, ce));
            _mm_storeu_ps(to.wrapping_add(2 * width).cast(), _mm_shuffle_ps::<0x44>(ab_high, ce_high));
            _mm_storeu_ps(to.wrapping_add(3 * width).cast(), _mm_shuffle_ps::<0xee>(ab_high, ce_high));
            d += 4;
        }
        while d < depth.end {
            for line in 0..4 {
                *to.wrapping_add(d * width + line) = *from.wrapping_add(line * stride + d);
            }
            d += 1;
        }
    }
}
