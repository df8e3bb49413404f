//! The part of an input that a task reads, copied to where it stays near: phases apart, padding as zeros.

use std::ops::Range;

use super::kernel::lanes;
use super::plan::Plan;
use crate::level::{Level, compiled};

/// The places of a task and how their input lies: (channel, phase, row, column).
pub(super) struct Tile {
    /// First place, and so many rows and columns of them.
    pub first: [usize; 2],
    pub rows: usize,
    pub columns: usize,
    /// Rows of a phase and their width.
    pub height: usize,
    pub width: usize,
    /// Distance of channels.
    pub channel: usize,
}

impl Tile {
    /// Tile number `index` of those that the places of a plan fall into.
    pub fn new(plan: &Plan, index: usize, rows: usize, columns: usize) -> Self {
        let [down, right] = &plan.spans;
        let across = right.count.div_ceil(columns);
        let first = [index / across * rows, index % across * columns];
        let (rows, columns) = (rows.min(down.count - first[0]), columns.min(right.count - first[1]));
        let (height, width) = (rows + down.reach, columns + right.reach);
        let channel = apart(plan.slots() * height * width);
        Tile { first, rows, columns, height, width, channel }
    }

    /// Values of so many channels, and what a register at the end reads beyond them.
    pub fn size(&self, channels: usize) -> usize {
        channels * self.channel + 16
    }

    /// Where the taps of an output phase are in a channel.
    pub fn taps(&self, plan: &Plan, phase: usize) -> Vec<usize> {
        let across = plan.spans[1].slots.len();
        let place = |slot: usize, y: usize, x: usize| (slot * self.height + y) * self.width + x;
        plan.taps(phase).map(|(y, x)| place(y.slot * across + x.slot, y.shift, x.shift)).collect()
    }

    /// Vectors of places, and the distance of rows among their sums: either every row begins with a vector, or rows
    /// follow each other with the width of the tile, whichever is less.
    pub fn vectors(&self, level: Level) -> (Vec<usize>, usize) {
        let lanes = lanes(level);
        let pitch = self.columns.next_multiple_of(lanes);
        if self.rows == 1 || pitch <= self.width {
            let row = |y: usize| (0..pitch / lanes).map(move |v| y * self.width + v * lanes);
            ((0..self.rows).flat_map(row).collect(), pitch)
        } else {
            let size = (self.rows - 1) * self.width + self.columns;
            ((0..size.div_ceil(lanes)).map(|v| v * lanes).collect(), self.width)
        }
    }

    /// Copies channels of `planes`, which are those of one image and group; `leak` times what is negative.
    pub fn fill(
        &self,
        level: Level,
        plan: &Plan,
        channels: Range<usize>,
        planes: &[f32],
        leak: Option<f32>,
        tile: &mut [f32],
    ) {
        compiled(
            level,
            #[inline(always)]
            || {
                let [down, right] = &plan.spans;
                let plane = down.input * right.input;
                for (channel, tile) in channels.zip(tile.chunks_mut(self.channel)) {
                    let plane = &planes[channel * plane..][..plane];
                    let mut rows = tile.chunks_exact_mut(self.width);
                    for y_slot in &down.slots {
                        for x_slot in &right.slots {
                            for (y, row) in (0..self.height).zip(&mut rows) {
                                let place =
                                    ((self.first[0] + y) * down.input_step + y_slot) as isize + down.origin;
                                let inside = place >= 0 && (place as usize) < down.input;
                                let values = if inside {
                                    &plane[place as usize * right.input..][..right.input]
                                } else {
                                    &[]
                                };
                                let first =
                                    (self.first[1] * right.input_step + x_slot) as isize + right.origin;
                                place_row(values, first, right.input_step, leak, row);
                            }
                        }
                    }
                }
            },
        );
    }
}

/// A distance of at least `size` that is an odd number of cache lines, so that channels share no cache set.
pub(super) fn apart(size: usize) -> usize {
    size.div_ceil(16) / 2 * 32 + 16
}

/// Every `step`-th value from `first` on, which may be before or beyond them: zeros there.
#[inline(always)]
fn place_row(values: &[f32], first: isize, step: usize, leak: Option<f32>, row: &mut [f32]) {
    let missing = if first < 0 { ((-first) as usize).div_ceil(step).min(row.len()) } else { 0 };
    let from = (first + (missing * step) as isize).max(0) as usize;
    let values = values.get(from..).unwrap_or(&[]);
    let count = values.len().div_ceil(step).min(row.len() - missing);
    row[..missing].fill(0.);
    row[missing + count..].fill(0.);
    let row = &mut row[missing..missing + count];
    match (step, leak) {
        (1, None) => row.copy_from_slice(&values[..count]),
        (1, Some(leak)) => row.iter_mut().zip(values).for_each(|(place, x)| *place = leaky(*x, leak)),
        (2, None) => {
            let (pairs, last) = values.as_chunks::<2>();
            row.iter_mut().zip(pairs).for_each(|(place, pair)| *place = pair[0]);
            if let ([last], true) = (last, count > pairs.len()) {
                row[count - 1] = *last;
            }
        }
        (_, leak) => {
            let leak = leak.unwrap_or(1.);
            row.iter_mut().zip(values.iter().step_by(step)).for_each(|(place, x)| *place = leaky(*x, leak));
        }
    }
}

/// Leaky relu.
#[inline(always)]
pub(super) fn leaky(x: f32, leak: f32) -> f32 {
    if x < 0. { x * leak } else { x }
}
