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
                // channels lie too far apart for the processor to foresee the next one
                let ahead = (1024 / self.channel).clamp(1, 8) * plane;
                for (channel, tile) in channels.zip(tile.chunks_mut(self.channel)) {
                    let start = channel * plane;
                    let plane = &planes[start..][..plane];
                    for (i, y_slot) in down.slots.iter().enumerate() {
                        for y in 0..self.height {
                            let place =
                                ((self.first[0] + y) * down.input_step + y_slot) as isize + down.origin;
                            let inside = place >= 0 && (place as usize) < down.input;
                            let values = if inside {
                                &plane[place as usize * right.input..][..right.input]
                            } else {
                                &[]
                            };
                            let first = (self.first[1] * right.input_step) as isize + right.origin;
                            if inside {
                                let place = start + ahead + place as usize * right.input;
                                let place = place + first.max(0) as usize;
                                prefetch(planes, place, self.width * right.input_step);
                            }
                            // the same row of each phase
                            let phase = self.height * self.width;
                            let rows = &mut tile[i * right.slots.len() * phase + y * self.width..];
                            if right.input_step == 2 && right.slots.len() == 2 {
                                let (even, odd) = rows.split_at_mut(phase);
                                let rows = [&mut even[..self.width], &mut odd[..self.width]];
                                place_rows(values, first, leak, rows);
                                continue;
                            }
                            for (x_slot, row) in right.slots.iter().zip(rows.chunks_mut(phase)) {
                                let first = first + *x_slot as isize;
                                place_row(values, first, right.input_step, leak, &mut row[..self.width]);
                            }
                        }
                    }
                }
            },
        );
    }
}

/// Has the processor fetch so many values from a place on, which may be beyond the end.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) fn prefetch(values: &[f32], first: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for place in (first..first + count).step_by(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which reads nothing that the program sees, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, first, count);
}

/// A distance of at least `size` that is an odd number of cache lines, so that channels share no cache set.
pub(super) fn apart(size: usize) -> usize {
    size.div_ceil(16) / 2 * 32 + 16
}

/// Every `step`-th value from `first` on, which may be before or beyond them: zeros there.
#[inline(always)]
pub(super) fn place_row(values: &[f32], first: isize, step: usize, leak: Option<f32>, row: &mut [f32]) {
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
        (_, leak) => {
            let leak = leak.unwrap_or(1.);
            row.iter_mut().zip(values.iter().step_by(step)).for_each(|(place, x)| *place = leaky(*x, leak));
        }
    }
}

/// As [`place_row`] with a step of two for `first` and the value after it at once.
#[inline(always)]
pub(super) fn place_rows(values: &[f32], first: isize, leak: Option<f32>, rows: [&mut [f32]; 2]) {
    let [even, odd] = rows;
    let missing = if first < 0 { (first.unsigned_abs()).div_ceil(2).min(even.len()) } else { 0 };
    let from = (first + 2 * missing as isize).max(0) as usize;
    let (pairs, _) = values.get(from..).unwrap_or(&[]).as_chunks::<2>();
    let count = pairs.len().min(even.len() - missing);
    let leak = leak.unwrap_or(1.);
    for ((even, odd), pair) in even[missing..].iter_mut().zip(&mut odd[missing..]).zip(pairs) {
        *even = leaky(pair[0], leak);
        *odd = leaky(pair[1], leak);
    }
    // what is left on either side is no pair
    let at = |place: isize| {
        if place < 0 { 0. } else { values.get(place as usize).map_or(0., |x| leaky(*x, leak)) }
    };
    for i in (0..missing).chain(missing + count..even.len()) {
        even[i] = at(first + 2 * i as isize);
        odd[i] = at(first + 2 * i as isize + 1);
    }
}

/// Leaky relu.
#[inline(always)]
pub(super) fn leaky(x: f32, leak: f32) -> f32 {
    if x < 0. { x * leak } else { x }
}
