//! Where the values of heads lie, and copies of them in the order that the products read.

use super::tile::{KEYS, QUERIES};
use super::{buffer, lanes};
use crate::level::{Level, compiled};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, Layout, Result};
use half::{bf16, f16};

/// Values in one of the formats that a cache may have.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
    F16(&'a [f16]),
}

/// A tensor (batch, rows, heads, size), whose last dimension is contiguous and the others anywhere.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    values: Values<'a>,
    start: usize,
    strides: [usize; 3],
    /// Values in a row of a head.
    pub size: usize,
}

impl<'a> Heads<'a> {
    /// Whether a layout is one that can be read without a copy.
    pub fn fits(layout: &Layout) -> bool {
        layout.dims().len() == 4 && (layout.dims()[3] <= 1 || layout.stride()[3] == 1)
    }

    /// # Errors
    /// Where the layout does not fit, or for another format.
    pub fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (&[by_batch, by_row, by_head, _], &[.., size]) = (layout.stride(), layout.dims()) else {
            refuse!("attention over a tensor of {} dimensions instead of four", layout.dims().len())
        };
        if !Self::fits(layout) {
            refuse!("attention over heads that are not contiguous: {layout:?}");
        }
        let values = match storage {
            CpuStorage::F32(values) => Values::F32(values),
            CpuStorage::BF16(values) => Values::Bf16(values),
            CpuStorage::F16(values) => Values::F16(values),
            other => refuse!("attention over {:?}; f32, bf16 and f16 are possible", other.dtype()),
        };
        Ok(Self { values, start: layout.start_offset(), strides: [by_batch, by_row, by_head], size })
    }

    /// One head of one sequence.
    pub fn head(&self, batch: usize, head: usize) -> Head<'a> {
        let start = self.start + batch * self.strides[0] + head * self.strides[2];
        Head { values: self.values, start, stride: self.strides[1], size: self.size }
    }
}

/// Rows of one head.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    values: Values<'a>,
    start: usize,
    stride: usize,
    /// Values in a row.
    pub size: usize,
}

impl<'a> Head<'a> {
    /// Reads a row, widened.
    pub fn read(&self, row: usize, out: &mut [f32]) {
        let start = self.start + row * self.stride;
        let range = start..start + self.size;
        match self.values {
            Values::F32(values) => out.copy_from_slice(&values[range]),
            Values::Bf16(values) => out.iter_mut().zip(&values[range]).for_each(|(x, y)| *x = y.to_f32()),
            Values::F16(values) => out.iter_mut().zip(&values[range]).for_each(|(x, y)| *x = y.to_f32()),
        }
    }

    // the first `count` of four rows: where they lie, or widened in `copy`
    fn four<'b>(&self, first: usize, count: usize, copy: &'b mut [f32]) -> [&'b [f32]; 4]
    where
        'a: 'b,
    {
        let size = self.size;
        if let Values::F32(values) = self.values {
            let row = |i: usize| &values[self.start + (first + i.min(count - 1)) * self.stride..][..size];
            return [0, 1, 2, 3].map(row);
        }
        for (i, row) in copy.chunks_exact_mut(size).take(count).enumerate() {
            self.read(first + i, row);
        }
        [0, 1, 2, 3].map(|i| &copy[i * size..][..size])
    }

    /// Rows as they lie, from one on, and their distance; only f32 is read so.
    pub fn direct(&self, row: usize) -> Option<(&'a [f32], usize)> {
        match self.values {
            Values::F32(values) => Some((&values[self.start + row * self.stride..], self.stride)),
            _ => None,
        }
    }
}

/// Values in a row with what is added so that it fills registers.
pub fn padded(level: Level, size: usize) -> usize {
    size.next_multiple_of(lanes::count(level))
}

/// Values in a row with what is added so that it fills panels of two registers.
pub fn paneled(level: Level, size: usize) -> usize {
    size.next_multiple_of(2 * lanes::count(level))
}

/// Copies rows so that a product can take them as columns, in panels of `w`: value k of row j lies at
/// `(j / w * size + k) * w + at + j % w`, times `factor`. The rest of the last panel stays as it is.
pub fn turn(
    level: Level,
    head: &Head,
    (first, rows): (usize, usize),
    (w, at): (usize, usize),
    factor: f32,
    out: &mut [f32],
) {
    let size = head.size;
    buffer::with([4 * size], |[copy]| {
        for (panel, out) in out.chunks_mut(w * size).enumerate() {
            let start = panel * w;
            let count = w.min(rows.saturating_sub(start));
            // four at a time, of which the last may be done already
            let step = if count < 4 { 1 } else { 4 };
            for row in (0..count).step_by(step).map(|row| row.min(count - step)) {
                let rows = head.four(first + start + row, step, copy);
                compiled(
                    level,
                    #[inline(always)]
                    || match step {
                        4 => turn_four(rows, w, at + row, factor, out),
                        _ => turn_one(rows[0], w, at + row, factor, out),
                    },
                );
            }
        }
    });
}

#[inline(always)]
fn turn_four(rows: [&[f32]; 4], w: usize, at: usize, factor: f32, out: &mut [f32]) {
    let ([a, b, c, d], rests) =
        (rows.map(|row| row.as_chunks::<4>().0), rows.map(|row| row.as_chunks::<4>().1));
    let whole = a.len() * 4 * w;
    for ((((out, a), b), c), d) in out.chunks_exact_mut(4 * w).zip(a).zip(b).zip(c).zip(d) {
        for j in 0..4 {
            let column = [a[j] * factor, b[j] * factor, c[j] * factor, d[j] * factor];
            out[j * w + at..][..4].copy_from_slice(&column);
        }
    }
    for (j, out) in out[whole..].chunks_exact_mut(w).enumerate() {
        for (out, rest) in out[at..at + 4].iter_mut().zip(rests) {
            *out = rest[j] * factor;
        }
    }
}

#[inline(always)]
fn turn_one(row: &[f32], w: usize, at: usize, factor: f32, out: &mut [f32]) {
    for (out, x) in out.chunks_exact_mut(w).zip(row) {
        out[at] = x * factor;
    }
}

/// Copies rows into panels: value k of row j lies at `(k / w * height + j) * w + k % w`.
pub fn panels(head: &Head, (first, rows): (usize, usize), w: usize, height: usize, out: &mut [f32]) {
    buffer::with([4 * head.size], |[copy]| {
        for j in 0..rows {
            let [row, ..] = head.four(first + j, 1, copy);
            for (panel, part) in row.chunks(w).enumerate() {
                out[(panel * height + j) * w..][..part.len()].copy_from_slice(part);
            }
        }
    });
}

/// Queries as the left side of a product: value k of query i lies at `k * QUERIES + at + i`, all times `factor`.
pub fn queries(level: Level, head: &Head, range: (usize, usize), at: usize, factor: f32, out: &mut [f32]) {
    turn(level, head, range, (QUERIES, at), factor, out);
}

/// Keys as the right side of the product that gives scores.
pub fn keys(level: Level, head: &Head, range: (usize, usize), out: &mut [f32]) {
    turn(level, head, range, (2 * lanes::count(level), 0), 1., out);
}

/// Values of a block of keys as the right side of the product with their weights.
pub fn values(level: Level, head: &Head, range: (usize, usize), out: &mut [f32]) {
    panels(head, range, 2 * lanes::count(level), KEYS, out);
}
