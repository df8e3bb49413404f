//! Right matrices packed in panels once, for many products.

use rayon::prelude::*;

use super::blocks::{Blocks, Dequantise, Target, micro};
use super::lanes::{ALIGNMENT, View, aligned, bits, interleave_all};
use super::tile::Kind;
use super::{Matrix, Then, Threads, check_product};
use crate::level::{Level, level};

/// Panels of lanes: for each panel of columns, for each step of the depth, the lanes of its columns.
pub(crate) struct Panels {
    level: Level,
    kind: Kind,
    /// Steps of the depth.
    pub depth: usize,
    /// Columns.
    pub columns: usize,
    lanes: Vec<u32>,
    first: usize,
}

impl Panels {
    /// Packs lanes whose lines are the columns, `depth` deep. `level` must be present.
    pub fn new(level: Level, kind: Kind, view: View, columns: usize, depth: usize) -> Self {
        let width = Self::tiles(level, kind).columns;
        let mut lanes = vec![0; columns.div_ceil(width) * width * depth + ALIGNMENT];
        let first = aligned(&lanes);
        let end = lanes.len() - ALIGNMENT + first;
        pack(level, view, columns, depth, width, &mut lanes[first..end], Threads::All);
        Self { level, kind, depth, columns, lanes, first }
    }

    /// Whether a product takes the left matrix in f32 where the panels hold pairs of bf16.
    pub fn widens(level: Level, kind: Kind) -> bool {
        kind == Kind::Pair && level < Level::Avx512Products
    }

    fn tiles(level: Level, kind: Kind) -> super::tile::Micro {
        micro(if Self::widens(level, kind) { Kind::Single } else { kind }, level)
    }

    /// Columns, filled up to whole panels.
    pub fn padded(&self) -> usize {
        self.columns.next_multiple_of(Self::tiles(self.level, self.kind).columns)
    }

    /// The level they were packed for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Multiplies `a`, which has `rows` lines of this depth (twice it where they widen), with all columns.
    ///
    /// # Safety
    /// `out` points at `rows` rows of so many values as there are columns, that nobody else uses meanwhile.
    #[allow(unsafe_code)]
    pub unsafe fn product(
        &self,
        a: View,
        rows: usize,
        dequantise: Option<Dequantise>,
        (out, add): (Target, bool),
        threads: Threads,
        then: Then,
    ) {
        let widen = Self::widens(self.level, self.kind);
        let depth = if widen { 2 * self.depth } else { self.depth };
        let last = rows.saturating_sub(1) * a.stride.0 + depth.saturating_sub(1) * a.stride.1;
        assert!(rows * depth == 0 || last < a.values.len(), "a matrix larger than its slice");
        assert!((self.kind == Kind::Quad) == dequantise.is_some(), "bytes come with their scales");
        if let Some(scales) = dequantise {
            let columns = self.padded();
            assert!(scales.rows.len() >= rows && scales.columns.len() >= columns, "too few scales");
            assert!(scales.corrections.len() >= columns, "too few corrections");
        }
        then.check(rows, self.columns);
        let blocks = Blocks {
            level: self.level,
            micro: Self::tiles(self.level, self.kind),
            rows,
            columns: self.columns,
            depth,
            a,
            b: &self.lanes[self.first..],
            widen,
            dequantise,
            out,
            add,
            then,
            origin: (0, 0),
        };
        // SAFETY: the assertions above, the caller's contract, and `new` for the level and the panels.
        unsafe { blocks.run(threads) }
    }
}

/// Packs all columns into panels of a width.
pub(super) fn pack(
    level: Level,
    view: View,
    columns: usize,
    depth: usize,
    width: usize,
    out: &mut [u32],
    threads: Threads,
) {
    if depth == 0 || columns == 0 {
        return;
    }
    let some = |(task, out): (usize, &mut [u32])| {
        let starts =
            (task * TASK_PANELS * width..columns.min((task + 1) * TASK_PANELS * width)).step_by(width);
        let panels = starts.map(|start| (start, width.min(columns - start), width));
        interleave_all(level, view, depth, panels, out);
    };
    let task = TASK_PANELS * width * depth;
    if threads == Threads::One || columns * depth < 1 << 16 {
        out.chunks_mut(task).enumerate().for_each(some);
    } else {
        out.par_chunks_mut(task).enumerate().for_each(some);
    }
}

/// Panels that a task packs.
const TASK_PANELS: usize = 8;

/// A right matrix of f32, packed once.
pub struct PackedB {
    panels: Panels,
}

impl PackedB {
    /// Packs a matrix of any strides, such as a weight turned.
    pub fn new(b: Matrix) -> Self {
        Self::at(level(), b)
    }

    /// Packs it for a level, which must be present.
    pub fn at(level: Level, b: Matrix) -> Self {
        b.check();
        let view = View::new(bits(b.values), (b.stride.1, b.stride.0));
        Self { panels: Panels::new(level, Kind::Single, view, b.size.1, b.size.0) }
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        (self.panels.depth, self.panels.columns)
    }

    /// The same as [`super::product_then`] of `a` and this matrix.
    ///
    /// # Panics
    /// Where sizes do not fit, or a slice is too short.
    pub fn product(
        &self,
        a: Matrix,
        out: &mut [f32],
        out_stride: usize,
        add: bool,
        threads: Threads,
        then: Then,
    ) {
        check_product(a, self.size(), out.len(), out_stride);
        let target = Target { values: out.as_mut_ptr(), stride: out_stride };
        let view = View::new(bits(a.values), a.stride);
        // SAFETY: `check_product` holds every access inside `out`, which is borrowed alone.
        #[allow(unsafe_code)]
        unsafe {
            self.panels.product(view, a.size.0, None, (target, add), threads, then);
        }
    }

    /// The product as new rows.
    pub fn product_vec(&self, a: Matrix, threads: Threads, then: Then) -> Vec<f32> {
        let (rows, columns) = (a.size.0, self.size().1);
        let mut out = Vec::with_capacity(rows * columns);
        check_product(a, self.size(), rows * columns, columns);
        let target = Target { values: out.as_mut_ptr(), stride: columns };
        let view = View::new(bits(a.values), a.stride);
        // SAFETY: the capacity is that of the product, which writes all of it.
        #[allow(unsafe_code)]
        unsafe {
            self.panels.product(view, rows, None, (target, false), threads, then);
            out.set_len(rows * columns);
        }
        out
    }
}
