//! Where the values of heads lie, and copies of them in the order that the products read.

use super::lanes;
use super::tile::{KEYS, QUERIES};
use crate::level::Level;
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
    size: usize,
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

/// Rows read together, so that each cache line of a turned copy is written once.
const TOGETHER: usize = 16;

/// Copies up to `to` rows so that the products can take them as columns: value k of row j lies at
/// `(j / w * size + k) * w + j % w`, all times `factor`. The rest of `to` rows stays as it is.
pub fn turn(head: &Head, (first, rows): (usize, usize), w: usize, factor: f32, out: &mut [f32]) {
    let size = head.size;
    let mut block = vec![0f32; TOGETHER.min(w) * size];
    for (panel, out) in out.chunks_mut(w * size).enumerate() {
        let start = panel * w;
        let mut done = 0;
        while start + done < rows && done < w {
            let count = TOGETHER.min(w - done).min(rows - start - done);
            for (i, row) in block.chunks_exact_mut(size.max(1)).take(count).enumerate() {
                head.read(first + start + done + i, row);
            }
            for (k, out) in out.chunks_exact_mut(w).enumerate() {
                for (i, out) in out[done..done + count].iter_mut().enumerate() {
                    *out = block[i * size + k] * factor;
                }
            }
            done += count;
        }
    }
}

/// Copies rows into panels: value k of row j lies at `(k / w * height + j) * w + k % w`.
pub fn panels(head: &Head, (first, rows): (usize, usize), w: usize, height: usize, out: &mut [f32]) {
    let size = head.size;
    let mut row = vec![0f32; size];
    for j in 0..rows {
        head.read(first + j, &mut row);
        for (panel, part) in row.chunks(w).enumerate() {
            out[(panel * height + j) * w..][..part.len()].copy_from_slice(part);
        }
    }
}

/// Queries as the left side of a product: value k of query i lies at `k * QUERIES + i`, all times `factor`.
pub fn queries(head: &Head, range: (usize, usize), factor: f32, out: &mut [f32]) {
    turn(head, range, QUERIES, factor, out);
}

/// Keys as the right side of the product that gives scores.
pub fn keys(level: Level, head: &Head, range: (usize, usize), out: &mut [f32]) {
    turn(head, range, 2 * lanes::count(level), 1., out);
}

/// Values of a block of keys as the right side of the product with their weights.
pub fn values(level: Level, head: &Head, range: (usize, usize), out: &mut [f32]) {
    panels(head, range, 2 * lanes::count(level), KEYS, out);
}
