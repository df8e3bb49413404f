//! A product whose right matrix lies in panels: blocks of rows and panels, spread over the cores.

use rayon::prelude::*;
use std::ops::Range;
use std::ptr::null;

use super::lanes::{View, interleave_all, with_buffer};
use super::tile::{Kind, Micro, Scales, Tile};
use super::{Then, Threads};
use crate::level::{Level, compiled};

/// Where a product goes: a pointer that tasks share, each writing rows and columns of its own.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub values: *mut f32,
    pub stride: usize,
}

// SAFETY: tasks write different places, and the slice it was made from is borrowed until they end.
#[allow(unsafe_code)]
unsafe impl Send for Target {}
// SAFETY: the same.
#[allow(unsafe_code)]
unsafe impl Sync for Target {}

/// Scales that tasks share.
#[derive(Clone, Copy)]
pub(crate) struct Dequantise<'a> {
    /// One for each row.
    pub rows: &'a [f32],
    /// One for each column, filled up to whole panels.
    pub columns: &'a [f32],
    /// What to take from the sums of each column, filled up likewise.
    pub corrections: &'a [i32],
}

/// `out = a b`, or `out += a b` where `add`, and then what `then` says.
///
/// `a` has `rows * depth` lanes, and `b` the panels of `columns` columns in `depth` steps (half as many if `widen`).
/// `out` can hold the product. `dequantise` is there for bytes, and for bytes alone.
#[derive(Clone, Copy)]
pub(crate) struct Blocks<'a> {
    pub level: Level,
    pub micro: Micro,
    pub rows: usize,
    pub columns: usize,
    pub depth: usize,
    pub a: View<'a>,
    pub b: &'a [u32],
    /// Whether `b` holds pairs of bf16 that are made f32 block by block.
    pub widen: bool,
    pub dequantise: Option<Dequantise<'a>>,
    pub out: Target,
    pub add: bool,
    pub then: Then<'a>,
    /// Row and column of `out` in the whole product, which `then` speaks of.
    pub origin: (usize, usize),
}

/// Lanes of the left matrix that a core keeps in its second cache.
const KEPT_LANES: usize = 192 * DEPTH;

/// Depth of a block where the whole is more than that.
const DEPTH: usize = 256;

/// Rows of a task.
const TASK_ROWS: usize = 96;

/// Products of lanes that are worth a task.
const TASK_PRODUCTS: usize = 1 << 18;

/// The tiles of a kind on a level.
pub(crate) fn micro(kind: Kind, level: Level) -> Micro {
    #[cfg(target_arch = "x86_64")]
    if level > Level::Portable {
        return super::x86::micro(kind, level);
    }
    let _ = level;
    super::portable::micro(kind)
}

/// Rows cut into panels that differ by one row at most.
#[derive(Clone, Copy)]
struct Even {
    rows: usize,
    /// So many panels, the first ones, have a row more.
    larger: usize,
}

impl Even {
    fn new(rows: usize, panels: usize) -> Self {
        Even { rows: rows / panels, larger: rows % panels }
    }

    fn start(self, panel: usize) -> usize {
        panel * self.rows + panel.min(self.larger)
    }

    /// The first row of a panel, and its rows.
    fn part(self, panel: usize) -> (usize, usize) {
        (self.start(panel), self.rows + usize::from(panel < self.larger))
    }
}

impl Blocks<'_> {
    /// Computes all of it.
    ///
    /// # Safety
    /// `out` points at `rows` rows of `columns` values that nobody else uses meanwhile; the level is present; the
    /// slices are as long as the fields say.
    #[allow(unsafe_code)]
    pub unsafe fn run(&self, threads: Threads) {
        let (rows, columns) = (self.row_panels(), self.columns.div_ceil(self.micro.columns));
        if rows * columns == 0 {
            return;
        }
        let products = self.rows * self.columns * self.depth;
        let cores = if threads == Threads::One { 1 } else { rayon::current_num_threads() };
        if cores == 1 || products < 2 * TASK_PRODUCTS {
            let parts = self.rows.div_ceil(2 * TASK_ROWS);
            for part in 0..parts {
                // SAFETY: the caller's contract.
                unsafe { self.block(part * rows / parts..(part + 1) * rows / parts, 0..columns) }
            }
            return;
        }
        let down = self.rows.div_ceil(TASK_ROWS);
        let wanted = (4 * cores).min(products / TASK_PRODUCTS);
        let across = wanted.div_ceil(down).clamp(1, columns);
        (0..down * across).into_par_iter().with_max_len(1).for_each(|task| {
            let part = |i: usize, parts: usize, all: usize| i * all / parts..(i + 1) * all / parts;
            // SAFETY: the caller's contract; tasks have different panels of rows or of columns.
            unsafe { self.block(part(task / across, down, rows), part(task % across, across, columns)) }
        });
    }

    fn row_panels(&self) -> usize {
        self.rows.div_ceil(self.micro.rows)
    }

    /// One block, on the calling thread.
    #[allow(unsafe_code)]
    unsafe fn block(&self, row_panels: Range<usize>, column_panels: Range<usize>) {
        let even = Even::new(self.rows, self.row_panels());
        let first = even.start(row_panels.start);
        let rows = even.start(row_panels.end) - first;
        let width = self.micro.columns;
        let step = self.depth_step();
        let wide = if self.widen { step * width } else { 0 };
        with_buffer(rows * step + wide, |buffer| {
            let (wide, packed) = buffer.split_at_mut(wide);
            let mut start = 0;
            loop {
                let depth = step.min(self.depth - start);
                let panels = row_panels.clone().map(|panel| {
                    let (row, rows) = even.part(panel);
                    (row, rows, rows)
                });
                interleave_all(self.level, self.a.from(0, start), depth, panels, packed);
                for panel in column_panels.clone() {
                    let b = self.panel(panel, start, depth, wide);
                    for rows in row_panels.clone().map(|panel| even.part(panel)) {
                        let a = &packed[(rows.0 - first) * depth..];
                        // SAFETY: the panels of `a` and `b` are packed for this depth; the rest is the caller's.
                        unsafe { self.tile(rows, panel, start > 0, depth, a, b) }
                    }
                }
                start += depth;
                if start >= self.depth {
                    break;
                }
            }
        });
        // SAFETY: these rows and columns are this task's.
        unsafe { self.finish_block(first..first + rows, column_panels) }
    }

    /// Depth of a block. It depends on sizes alone, since it says which parts are summed up first.
    fn depth_step(&self) -> usize {
        if self.dequantise.is_some() || self.rows.min(2 * TASK_ROWS) * self.depth <= KEPT_LANES {
            return self.depth;
        }
        self.depth.div_ceil(self.depth.div_ceil(DEPTH)).next_multiple_of(2)
    }

    /// The lanes of a panel of `b` at a part of the depth.
    fn panel<'b>(&'b self, panel: usize, start: usize, depth: usize, wide: &'b mut [u32]) -> &'b [u32] {
        let width = self.micro.columns;
        if !self.widen {
            return &self.b[(panel * self.depth + start) * width..][..depth * width];
        }
        let pairs = &self.b[(panel * self.depth + start) / 2 * width..][..depth / 2 * width];
        let wide = &mut wide[..depth * width];
        compiled(
            self.level,
            #[inline(always)]
            || widen(pairs, wide, width),
        );
        wide
    }

    #[allow(unsafe_code)]
    unsafe fn tile(
        &self,
        (row, rows): (usize, usize),
        panel: usize,
        again: bool,
        depth: usize,
        a: &[u32],
        b: &[u32],
    ) {
        let column = panel * self.micro.columns;
        let columns = (self.columns - column).min(self.micro.columns);
        // SAFETY: row and column are inside `out` and the scales; a bias is as long as `out` is wide.
        unsafe {
            let out = self.out.values.add(row * self.out.stride + column);
            let (base, base_stride) = match self.then.columns {
                _ if again || self.add => (out.cast_const(), self.out.stride),
                Some(bias) => (bias.as_ptr().add(column), 0),
                None => (null(), 0),
            };
            let scales = self.dequantise.map_or(Scales::NONE, |all| {
                let (columns, corrections) = (all.columns.as_ptr(), all.corrections.as_ptr());
                Scales { rows: all.rows.as_ptr(), columns, corrections }.from(row, column)
            });
            (self.micro.run)(&Tile {
                depth,
                rows,
                columns,
                a: a.as_ptr(),
                b: b.as_ptr(),
                b_step: self.micro.columns,
                out,
                out_stride: self.out.stride,
                base,
                base_stride,
                scales,
            })
        }
    }

    /// What follows the sums, while they are in the cache.
    #[allow(unsafe_code)]
    unsafe fn finish_block(&self, rows: Range<usize>, column_panels: Range<usize>) {
        let first = column_panels.start * self.micro.columns;
        let last = (column_panels.end * self.micro.columns).min(self.columns);
        // SAFETY: the task's own values, written before.
        unsafe { finish(self.level, &self.then, self.out, self.add, (rows, first..last), self.origin) }
    }
}

/// Applies what follows the sums to some rows and columns. A bias of the columns has been there before the sums,
/// unless they were added to what was there.
///
/// # Safety
/// `out` points at initialised values in these rows and columns that nobody else uses meanwhile.
#[allow(unsafe_code)]
pub(super) unsafe fn finish(
    level: Level,
    then: &Then,
    out: Target,
    add: bool,
    (rows, columns): (Range<usize>, Range<usize>),
    origin: (usize, usize),
) {
    let bias = then.columns.filter(|_| add).map(|bias| &bias[columns.clone()]);
    if bias.is_none() && then.rows.is_none() && then.map.is_none() {
        return;
    }
    for row in rows {
        // SAFETY: the caller's contract.
        let values = unsafe {
            let start = out.values.add(row * out.stride + columns.start);
            std::slice::from_raw_parts_mut(start, columns.len())
        };
        compiled(
            level,
            #[inline(always)]
            || {
                if let Some(bias) = bias {
                    values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                }
                if let Some(bias) = then.rows {
                    let bias = bias[row];
                    values.iter_mut().for_each(|value| *value += bias);
                }
            },
        );
        if let Some(map) = then.map {
            map(origin.0 + row, origin.1 + columns.start, values);
        }
    }
}

/// From steps of pairs to twice as many steps of f32.
#[inline(always)]
fn widen(pairs: &[u32], wide: &mut [u32], width: usize) {
    for (pairs, wide) in pairs.chunks_exact(width).zip(wide.chunks_exact_mut(2 * width)) {
        let (low, high) = wide.split_at_mut(width);
        for ((&pair, low), high) in pairs.iter().zip(low).zip(high) {
            *low = pair << 16;
            *high = pair & 0xffff_0000;
        }
    }
}
