//! Tiles in plain Rust, four lanes to a register, which compilers turn into SSE2 or NEON.

use super::tile::{Kind, Micro, Scales, Tile, Unit, by_size};

/// The tiles of a kind; pairs are widened before and so have none.
pub(super) fn micro(kind: Kind) -> Micro {
    let run = if kind == Kind::Quad { run_quads } else { run_singles };
    Micro { rows: 4, columns: 8, run }
}

#[allow(unsafe_code)]
unsafe fn run_singles(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Singles, t, [4]) }
}

#[allow(unsafe_code)]
unsafe fn run_quads(t: &Tile) {
    // SAFETY: the caller's contract.
    unsafe { by_size!(Quads, t, [4]) }
}

/// Adds a product; fused where every processor of the target can.
#[inline(always)]
fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

struct Singles;

#[allow(unsafe_code)]
impl Unit for Singles {
    type Data = [f32; 4];
    type Sum = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> [f32; 4] {
        [0.; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> [f32; 4] {
        // SAFETY: the caller has four lanes.
        unsafe { *from.cast() }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> [f32; 4] {
        // SAFETY: the caller has one lane.
        [unsafe { *from.cast() }; 4]
    }

    #[inline(always)]
    unsafe fn fma(sum: [f32; 4], a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [0, 1, 2, 3].map(|i| mul_add(a[i], b[i], sum[i]))
    }

    #[inline(always)]
    unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [0, 1, 2, 3].map(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn store(sum: [f32; 4], _: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has four values at `out`, and at `base` unless it is null.
        unsafe {
            let sum = if base.is_null() { sum } else { Self::add(sum, Self::load(base.cast())) };
            *out.cast() = sum;
        }
    }
}

struct Quads;

#[allow(unsafe_code)]
impl Unit for Quads {
    type Data = [[i8; 4]; 4];
    type Sum = [i32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const u32) -> Self::Data {
        // SAFETY: the caller has four lanes.
        unsafe { *from.cast() }
    }

    #[inline(always)]
    unsafe fn splat(from: *const u32) -> Self::Data {
        // SAFETY: the caller has one lane.
        [unsafe { *from.cast() }; 4]
    }

    #[inline(always)]
    unsafe fn fma(sum: [i32; 4], a: Self::Data, b: Self::Data) -> [i32; 4] {
        [0, 1, 2, 3].map(|i| sum[i] + (0..4).map(|j| a[i][j] as i32 * b[i][j] as i32).sum::<i32>())
    }

    #[inline(always)]
    unsafe fn add(a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        [0, 1, 2, 3].map(|i| a[i] + b[i])
    }

    #[inline(always)]
    unsafe fn store(sum: [i32; 4], scales: Scales, base: *const f32, out: *mut f32) {
        // SAFETY: the caller has four values at each, and one at the rows' scales.
        unsafe {
            for (i, sum) in sum.into_iter().enumerate() {
                let sum = (sum - *scales.corrections.add(i)) as f32;
                let base = if base.is_null() { 0. } else { *base.add(i) };
                *out.add(i) = base + sum * (*scales.rows * *scales.columns.add(i));
            }
        }
    }
}
