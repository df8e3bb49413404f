//! Tiles: the part of a product that is summed up in registers.

use std::ptr::null;

/// What a lane of 32 bits holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A f32.
    Single,
    /// Two bf16, the one of the lesser depth in the low bits.
    Pair,
    /// Four bytes.
    Quad,
}

/// What turns sums of bytes into f32: `(sum - correction of the column) * scale of the row * scale of the column`.
#[derive(Clone, Copy)]
pub(crate) struct Scales {
    pub rows: *const f32,
    pub columns: *const f32,
    pub corrections: *const i32,
}

impl Scales {
    /// For kinds whose sums are values.
    pub const NONE: Scales = Scales { rows: null(), columns: null(), corrections: null() };

    /// Those of the rows and columns from these on.
    ///
    /// # Safety
    /// There are so many.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub unsafe fn from(self, row: usize, column: usize) -> Self {
        if self.rows.is_null() {
            return self;
        }
        // SAFETY: the caller's contract.
        unsafe {
            Scales {
                rows: self.rows.add(row),
                columns: self.columns.add(column),
                corrections: self.corrections.add(column),
            }
        }
    }
}

/// One tile: `out = base + a b`.
///
/// The contract of all functions that take one: `a` has `depth * rows` lanes; `b` has a whole panel's lanes at each
/// of `depth` steps of `b_step`; `out`, and `base` unless null, have `columns` values at each of `rows` rows of
/// their strides; `scales`, for bytes, has all rows and a whole panel's columns. `rows` and `columns` are from 1 to
/// those of the [`Micro`].
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub depth: usize,
    pub rows: usize,
    pub columns: usize,
    pub a: *const u32,
    pub b: *const u32,
    pub b_step: usize,
    pub out: *mut f32,
    pub out_stride: usize,
    pub base: *const f32,
    pub base_stride: usize,
    pub scales: Scales,
}

/// The tiles of a kind of lanes on a level.
#[derive(Clone, Copy)]
pub(crate) struct Micro {
    /// The most rows.
    pub rows: usize,
    /// The most columns, which is the width of a panel.
    pub columns: usize,
    /// Computes a tile.
    pub run: unsafe fn(&Tile),
}

/// A register of lanes.
///
/// All functions need the instructions of their level, and pointers to [`Unit::LANES`] values (`splat`: to one).
#[allow(unsafe_code)]
pub(super) trait Unit {
    /// Lanes of factors.
    type Data: Copy;
    /// As many sums.
    type Sum: Copy;
    /// Lanes in a register.
    const LANES: usize;

    /// Asks for the line of the cache at an address, which need not exist, to write to it.
    #[inline(always)]
    unsafe fn fetch(_: *const f32) {}
    unsafe fn zero() -> Self::Sum;
    unsafe fn load(from: *const u32) -> Self::Data;
    unsafe fn splat(from: *const u32) -> Self::Data;
    /// `sum + a b`, where `a` is the left matrix's.
    unsafe fn fma(sum: Self::Sum, a: Self::Data, b: Self::Data) -> Self::Sum;
    unsafe fn add(a: Self::Sum, b: Self::Sum) -> Self::Sum;
    /// Writes sums as f32, `base` added unless it is null; `scales` begins at their row and first column.
    unsafe fn store(sum: Self::Sum, scales: Scales, base: *const f32, out: *mut f32);
}

/// The most values of a tile.
pub(super) const LARGEST: usize = 12 * 32;

/// A tile of `R` rows and `V` registers of columns; `D` steps of the depth have sums of their own, so that few
/// sums need not wait for one another.
///
/// # Safety
/// The contract of [`Tile`], and the level of `U`.
// constants count the registers
#[allow(unsafe_code, clippy::needless_range_loop)]
#[inline(always)]
pub(super) unsafe fn tile<U: Unit, const R: usize, const V: usize, const D: usize>(t: &Tile) {
    // SAFETY: `a` and `b` advance `depth` times in all, `out` and `base` stay inside rows and columns; a tile that
    // is narrower than its registers goes through a buffer, which holds the largest.
    unsafe {
        for r in 0..R {
            for v in 0..V {
                U::fetch(t.out.wrapping_add(r * t.out_stride + v * U::LANES));
            }
        }
        let mut sums = [[[U::zero(); V]; R]; D];
        let (mut a, mut b) = (t.a, t.b);
        for _ in 0..t.depth / D {
            for sums in &mut sums {
                step::<U, R, V>(a, b, sums);
                a = a.wrapping_add(R);
                b = b.wrapping_add(t.b_step);
            }
        }
        for _ in 0..t.depth % D {
            step::<U, R, V>(a, b, &mut sums[0]);
            a = a.wrapping_add(R);
            b = b.wrapping_add(t.b_step);
        }
        let mut total = sums[0];
        for other in &sums[1..] {
            for r in 0..R {
                for v in 0..V {
                    total[r][v] = U::add(total[r][v], other[r][v]);
                }
            }
        }
        if t.columns == V * U::LANES {
            for r in 0..R {
                for v in 0..V {
                    let column = v * U::LANES;
                    let base = if t.base.is_null() { null() } else { t.base.add(r * t.base_stride + column) };
                    U::store(
                        total[r][v],
                        t.scales.from(r, column),
                        base,
                        t.out.add(r * t.out_stride + column),
                    );
                }
            }
            return;
        }
        let mut buffer = [0f32; LARGEST];
        for r in 0..R {
            for v in 0..V {
                let column = v * U::LANES;
                let place = buffer.as_mut_ptr().add(r * V * U::LANES + column);
                U::store(total[r][v], t.scales.from(r, column), null(), place);
            }
        }
        for r in 0..R {
            for column in 0..t.columns {
                let base = if t.base.is_null() { 0. } else { *t.base.add(r * t.base_stride + column) };
                *t.out.add(r * t.out_stride + column) = base + buffer[r * V * U::LANES + column];
            }
        }
    }
}

/// One step of the depth.
#[allow(unsafe_code, clippy::needless_range_loop)]
#[inline(always)]
unsafe fn step<U: Unit, const R: usize, const V: usize>(
    a: *const u32,
    b: *const u32,
    sums: &mut [[U::Sum; V]; R],
) {
    // SAFETY: the caller's contract: `R` lanes of `a`, `V` registers of `b`.
    unsafe {
        let mut columns = [U::splat(a); V];
        for v in 0..V {
            columns[v] = U::load(b.wrapping_add(v * U::LANES));
        }
        for r in 0..R {
            let row = U::splat(a.wrapping_add(r));
            for v in 0..V {
                sums[r][v] = U::fma(sums[r][v], row, columns[v]);
            }
        }
    }
}

/// Chooses the tile by rows and registers of columns.
macro_rules! by_size {
    ($unit:ty, $tile:expr, [$($more:literal)*]) => {{
        let t: &$crate::gemm::tile::Tile = $tile;
        let narrow = t.columns <= <$unit as $crate::gemm::tile::Unit>::LANES;
        match (t.rows, narrow) {
            (1, false) => $crate::gemm::tile::tile::<$unit, 1, 2, 4>(t),
            (1, true) => $crate::gemm::tile::tile::<$unit, 1, 1, 4>(t),
            (2, false) => $crate::gemm::tile::tile::<$unit, 2, 2, 2>(t),
            (2, true) => $crate::gemm::tile::tile::<$unit, 2, 1, 4>(t),
            (3, false) => $crate::gemm::tile::tile::<$unit, 3, 2, 1>(t),
            (3, true) => $crate::gemm::tile::tile::<$unit, 3, 1, 2>(t),
            $(
                ($more, false) => $crate::gemm::tile::tile::<$unit, $more, 2, 1>(t),
                ($more, true) => $crate::gemm::tile::tile::<$unit, $more, 1, 1>(t),
            )*
            _ => {}
        }
    }};
}
pub(super) use by_size;
