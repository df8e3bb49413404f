//! Registers in plain Rust, which compilers turn into SSE2 or NEON.

use super::{Unit, widened};
use std::array::from_fn;

/// Four lanes.
pub(in crate::quantised) struct Portable;

#[allow(unsafe_code)]
impl Unit for Portable {
    type Bytes = [u8; 16];
    type Ints = [i32; 4];
    type Floats = [f32; 4];
    const LANES: usize = 4;
    const SIGNED: bool = false;

    #[inline(always)]
    unsafe fn load(at: *const u8) -> [u8; 16] {
        // SAFETY: the caller has 16 bytes.
        unsafe { at.cast::<[u8; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn put(bytes: [u8; 16], at: *mut u8) {
        // SAFETY: the caller has room for 16 bytes.
        unsafe { at.cast::<[u8; 16]>().write_unaligned(bytes) }
    }

    #[inline(always)]
    unsafe fn and(bytes: [u8; 16], mask: u8) -> [u8; 16] {
        bytes.map(|byte| byte & mask)
    }

    #[inline(always)]
    unsafe fn shift(bytes: [u8; 16], left: i32) -> [u8; 16] {
        if left > 0 { bytes.map(|byte| byte << left) } else { bytes.map(|byte| byte >> -left) }
    }

    #[inline(always)]
    unsafe fn merge(low: [u8; 16], high: [u8; 16], mask: u8) -> [u8; 16] {
        from_fn(|i| low[i] | high[i] & mask)
    }

    #[inline(always)]
    unsafe fn ints(value: i32) -> [i32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn dot(_: bool, sum: [i32; 4], bytes: [u8; 16], x: u32) -> [i32; 4] {
        let x = x.to_le_bytes().map(|byte| byte as i8 as i32);
        // pairs, which SSE2 adds at once
        let pair = |i: usize| bytes[i] as i32 * x[i % 4] + bytes[i + 1] as i32 * x[i % 4 + 1];
        [
            sum[0].wrapping_add(pair(0) + pair(2)),
            sum[1].wrapping_add(pair(4) + pair(6)),
            sum[2].wrapping_add(pair(8) + pair(10)),
            sum[3].wrapping_add(pair(12) + pair(14)),
        ]
    }

    #[inline(always)]
    unsafe fn floats(ints: [i32; 4]) -> [f32; 4] {
        ints.map(|int| int as f32)
    }

    #[inline(always)]
    unsafe fn halves(at: *const u8) -> [f32; 4] {
        // SAFETY: the caller has eight bytes.
        let bytes = unsafe { at.cast::<[[u8; 2]; 4]>().read_unaligned() };
        bytes.map(|two| widened(u16::from_le_bytes(two)))
    }

    #[inline(always)]
    unsafe fn small(at: *const u8) -> [f32; 4] {
        // SAFETY: the caller has four bytes.
        unsafe { at.cast::<[i8; 4]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn singles(at: *const f32) -> [f32; 4] {
        // SAFETY: the caller has four values.
        unsafe { at.cast::<[f32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn some(at: *const f32, count: usize) -> [f32; 4] {
        // SAFETY: the caller has so many values.
        from_fn(|i| if i < count { unsafe { at.add(i).read_unaligned() } } else { 0. })
    }

    #[inline(always)]
    unsafe fn put_some(values: [f32; 4], at: *mut f32, count: usize) {
        for (i, value) in values.into_iter().enumerate().take(count) {
            // SAFETY: the caller has room for so many values.
            unsafe { at.add(i).write_unaligned(value) }
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; 4] {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    unsafe fn fma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        from_fn(|i| mul_add(a[i], b[i], c[i]))
    }

    #[inline(always)]
    unsafe fn fnma(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        from_fn(|i| mul_add(-a[i], b[i], c[i]))
    }
}

/// Adds a product; fused where every processor of the target can.
#[inline(always)]
fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(test)]
mod tests {
    use super::widened;
    use half::f16;

    #[test]
    fn every_half_is_widened_to_its_value() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (widened(bits), f16::from_bits(bits).to_f32());
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{bits:x}");
        }
    }
}
