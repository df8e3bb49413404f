//! Products of f32 matrices, in f32 or with their factors rounded to bf16.
//!
//! As in BLIS (Van Zee and van de Geijn, 2015): a tile of the product is summed up in registers ([`tile`]), from
//! panels in which its factors lie in the order of their use ([`lanes`]), block by block, so that one side stays in
//! a core's second cache ([`blocks`]). Few rows are multiplied without packing ([`few`]). Every value is one sum
//! in the order of the depth, or in parts that depend on sizes alone, so the number of threads changes nothing.

use rayon::prelude::*;

use crate::level::{Level, level};

pub(crate) mod blocks;
mod few;
pub(crate) mod lanes;
#[cfg(target_arch = "x86_64")]
mod lanes_x86;
pub(crate) mod packed;
mod portable;
pub(crate) mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;

use blocks::{Blocks, Target, micro};
use lanes::{View, bits, with_buffer};
pub use packed::PackedB;
use tile::Kind;

/// A matrix in a slice: value (row, column) lies at `row * stride.0 + column * stride.1`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// The values.
    pub values: &'a [f32],
    /// Rows and columns.
    pub size: (usize, usize),
    /// Distance between rows, and between columns.
    pub stride: (usize, usize),
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows lie one after the other.
    pub fn rows(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix { values, size: (rows, columns), stride: (columns, 1) }
    }

    /// The same values with rows and columns exchanged.
    pub fn turned(self) -> Self {
        Matrix {
            values: self.values,
            size: (self.size.1, self.size.0),
            stride: (self.stride.1, self.stride.0),
        }
    }

    fn check(&self) {
        let ((rows, columns), (down, right)) = (self.size, self.stride);
        let last = rows.saturating_sub(1) * down + columns.saturating_sub(1) * right;
        assert!(rows * columns == 0 || last < self.values.len(), "a matrix larger than its slice");
    }
}

/// In what the factors of a product are multiplied; the sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// bf16, to which they are rounded on the way: twice as fast where the processor multiplies those
    /// ([`Level::Avx512Products`]). Elsewhere, for few rows and for an odd depth it is f32.
    Bf16,
}

/// How a product is spread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// On the calling thread: the caller has spread the work.
    One,
    /// Over rayon's threads.
    All,
}

/// Changes finished values of a row in place: has their row, their first column, and them.
pub type Map<'a> = dyn Fn(usize, usize, &mut [f32]) + Sync + 'a;

/// What follows a product, done while its values are in the cache.
#[derive(Clone, Copy, Default)]
pub struct Then<'a> {
    /// A value to add to each column.
    pub columns: Option<&'a [f32]>,
    /// A value to add to each row.
    pub rows: Option<&'a [f32]>,
    /// A function of the values after that, called for pieces of rows on any thread.
    pub map: Option<&'a Map<'a>>,
}

impl<'a> Then<'a> {
    /// A value for each column, if any.
    pub fn bias(columns: Option<&'a [f32]>) -> Self {
        Then { columns, ..Then::default() }
    }

    fn check(&self, rows: usize, columns: usize) {
        assert!(
            self.columns.is_none_or(|bias| bias.len() == columns),
            "a bias that does not fit the columns"
        );
        assert!(self.rows.is_none_or(|bias| bias.len() == rows), "a bias that does not fit the rows");
    }
}

/// `out = a b`, or `out += a b` where `add`; `out` has rows of `out_stride` values, of which the first
/// `b.size.1` are written.
///
/// # Panics
/// Where sizes do not fit, or a slice is too short.
pub fn product(a: Matrix, b: Matrix, out: &mut [f32], out_stride: usize, add: bool, threads: Threads) {
    product_then(a, b, out, out_stride, add, threads, Then::default());
}

/// [`product`], and then what `then` says.
///
/// # Panics
/// Where sizes do not fit, or a slice is too short.
pub fn product_then(
    a: Matrix,
    b: Matrix,
    out: &mut [f32],
    out_stride: usize,
    add: bool,
    threads: Threads,
    then: Then,
) {
    product_at((level(), Precision::F32), a, b, (out, out_stride, add), threads, then);
}

/// [`product_then`] at a level, which must be present, and in a precision; `out` with its stride and whether to add.
///
/// # Panics
/// Where sizes do not fit, or a slice is too short.
pub fn product_at(
    how: (Level, Precision),
    a: Matrix,
    b: Matrix,
    (out, out_stride, add): (&mut [f32], usize, bool),
    threads: Threads,
    then: Then,
) {
    check_product(a, b.size, out.len(), out_stride);
    let target = Target { values: out.as_mut_ptr(), stride: out_stride };
    // SAFETY: `check_product` holds every access inside `out`, which is borrowed alone.
    #[allow(unsafe_code)]
    unsafe {
        write_product(how, a, b, (target, add), threads, then);
    }
}

/// The product as new rows, over all threads, and then what `then` says.
///
/// # Panics
/// Where sizes do not fit, or a slice is too short.
pub fn product_vec(a: Matrix, b: Matrix, precision: Precision, then: Then) -> Vec<f32> {
    let (rows, columns) = (a.size.0, b.size.1);
    let mut out = Vec::with_capacity(rows * columns);
    check_product(a, b.size, rows * columns, columns);
    let target = Target { values: out.as_mut_ptr(), stride: columns };
    // SAFETY: the capacity is that of the product, which writes all of it.
    #[allow(unsafe_code)]
    unsafe {
        write_product((level(), precision), a, b, (target, false), Threads::All, then);
        out.set_len(rows * columns);
    }
    out
}

fn check_product(a: Matrix, (depth, columns): (usize, usize), len: usize, stride: usize) {
    a.check();
    let rows = a.size.0;
    assert!(a.size.1 == depth && columns <= stride.max(1), "matrices that do not fit");
    assert!(rows * columns == 0 || (rows - 1) * stride + columns <= len, "a product larger than its slice");
}

/// Lanes of the right matrix that are packed at a time: they stay in the third cache.
const PACKED: usize = 1 << 20;

/// The most depth that is packed at a time: what has just been written is best read soon.
const PACKED_DEPTH: usize = 512;

/// Products of values below which all stays on the calling thread.
const ALONE: usize = 1 << 19;

/// # Safety
/// `out` points at `a.size.0` rows of `b.size.1` values that nobody else uses meanwhile.
#[allow(unsafe_code)]
unsafe fn write_product(
    (level, precision): (Level, Precision),
    a: Matrix,
    b: Matrix,
    (out, add): (Target, bool),
    threads: Threads,
    then: Then,
) {
    b.check();
    assert!(level <= crate::level::present(), "a level that the machine lacks");
    let ((m, k), n) = (a.size, b.size.1);
    then.check(m, n);
    if m * n == 0 {
        return;
    }
    let alone = threads == Threads::One || m * n * k < ALONE || rayon::current_num_threads() == 1;
    let threads = if alone { Threads::One } else { Threads::All };
    // SAFETY: the caller's contract.
    if unsafe { few::few(level, a, b, (out, add), threads, then) } {
        return;
    }
    let rounds =
        precision == Precision::Bf16 && level == Level::Avx512Products && k > 0 && k.is_multiple_of(2);
    let (kind, k) = if rounds { (Kind::Pair, k / 2) } else { (Kind::Single, k) };
    let micro = micro(kind, level);
    let most = (PACKED / packed_depth(k).max(1)).next_multiple_of(micro.columns);
    let whole = Blocks {
        level,
        micro,
        rows: m,
        columns: n,
        depth: k,
        a: View { values: bits(a.values), stride: a.stride, rounds },
        b: &[],
        widen: false,
        dequantise: None,
        out,
        add,
        then,
        origin: (0, 0),
    };
    let b = View { values: bits(b.values), stride: (b.stride.1, b.stride.0), rounds };
    if threads == Threads::All && n > m {
        // each task packs columns of its own
        let tasks = 4 * rayon::current_num_threads();
        let step = n.div_ceil(tasks).clamp(8 * micro.columns, most.max(8 * micro.columns));
        let step = step.next_multiple_of(micro.columns);
        (0..n.div_ceil(step)).into_par_iter().with_max_len(1).for_each(|task| {
            // SAFETY: the caller's contract; tasks have different columns.
            unsafe { strip(&whole, b, task * step, step, Threads::One) }
        });
    } else {
        for start in (0..n).step_by(most) {
            // SAFETY: the caller's contract.
            unsafe { strip(&whole, b, start, most, threads) }
        }
    }
}

/// The depth of a part, if all are as even as can be.
fn packed_depth(depth: usize) -> usize {
    depth.div_ceil(depth.div_ceil(PACKED_DEPTH).max(1))
}

/// Packs some columns of `b`, of a part of the depth at a time, and multiplies.
#[allow(unsafe_code)]
unsafe fn strip(whole: &Blocks, b: View, start: usize, count: usize, threads: Threads) {
    let columns = count.min(whole.columns - start);
    let width = whole.micro.columns;
    // SAFETY: the columns are inside the product's rows.
    let values = unsafe { whole.out.values.add(start) };
    let out = Target { values, ..whole.out };
    let bias = whole.then.columns.map(|bias| &bias[start..start + columns]);
    let depth = packed_depth(whole.depth);
    with_buffer(columns.next_multiple_of(width) * depth, |buffer| {
        let mut done = 0;
        loop {
            let part = depth.min(whole.depth - done);
            let panels = &mut buffer[..columns.next_multiple_of(width) * part];
            packed::pack(whole.level, b.from(start, done), columns, part, width, panels, threads);
            let last = done + part >= whole.depth;
            let then = if last { Then { columns: bias, ..whole.then } } else { Then::default() };
            let blocks = Blocks {
                columns,
                depth: part,
                a: whole.a.from(0, done),
                b: panels,
                out,
                add: whole.add || done > 0,
                then,
                origin: (0, start),
                ..*whole
            };
            // SAFETY: the caller's contract.
            unsafe { blocks.run(threads) }
            done += part;
            if last {
                break;
            }
        }
    });
}
