//! Convolutions with 3x3 kernels and no stride, with 4 products for an output instead of 9: F(2x2, 3x3) of Lavin and
//! Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
//!
//! The input falls into patches of 4x4 that overlap by two; each is transformed, as is every kernel; the products of
//! all channels are sums at each of the 16 places; and their transform is 2x2 outputs. The transforms only add, and
//! halve, so the result is nearly as exact as that of nine products; but an infinite value is NaN in the whole patch.

use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;

use super::kernel::{Sums, lanes, widest};
use super::packed::{blocks, padded, parts};
use super::plan::Plan;
use super::run::{Finish, Output, WORTH, room, scratch};
use super::tile::{place_rows, prefetch};
use crate::level::{Level, compiled};

/// Channels and outputs from which on the transforms are small beside the products.
const LEAST: usize = 32;
/// Places of a transformed patch.
const PLACES: usize = 16;
/// The most patches of a task.
const MOST: usize = 96;
/// Patches of a short segment: small images have no others, and what is laid aside for them is cleared each time.
const SHORT: usize = 8;

/// Whether a plan is done this way.
pub(super) fn applies(plan: &Plan) -> bool {
    let plain = plan.spans.iter().all(|span| {
        span.input_step == 1 && span.output_step == 1 && span.reach == 2 && span.taps[0].len() == 3
    });
    plain && plan.channels >= LEAST && plan.outputs >= LEAST
}

/// The transformed weight: (group, block of outputs, place, channel, output).
pub(super) fn pack(level: Level, plan: &Plan, weight: &[f32]) -> Vec<f32> {
    let size = PLACES * plan.channels;
    let mut packed = vec![0f32; plan.groups * padded(level, plan) * size];
    // which weight of the kernel is at each shift
    let mut taps = [[0; 3]; 3];
    for (y, x) in plan.taps(0) {
        taps[y.shift][x.shift] = y.kernel * plan.kernel.0 + x.kernel;
    }
    parts(level, plan, size, &mut packed).into_par_iter().for_each(|(part, group, first, width, used)| {
        for channel in 0..plan.channels {
            for i in 0..used {
                let weight = &weight[plan.weight_place(group, first + i, channel)..][..plan.kernel.1];
                let rows = taps.map(|taps| halves(taps.map(|tap| weight[tap])));
                for x in 0..4 {
                    for (y, value) in halves([rows[0][x], rows[1][x], rows[2][x]]).into_iter().enumerate() {
                        part[((y * 4 + x) * plan.channels + channel) * width + i] = value;
                    }
                }
            }
        }
    });
    packed
}

/// Three weights at four places.
fn halves([a, b, c]: [f32; 3]) -> [f32; 4] {
    [a, (a + b + c) / 2., (a - b + c) / 2., c]
}

struct Job<'a> {
    level: Level,
    plan: &'a Plan,
    packed: &'a [f32],
    xs: &'a [f32],
    finish: Finish<'a>,
    output: Output,
    /// Rows and columns of patches in an image.
    patches: [usize; 2],
}

/// The output, with the weight of [`pack`].
pub(super) fn run(level: Level, plan: &Plan, packed: &[f32], xs: &[f32], finish: Finish, output: Output) {
    let patches = [plan.spans[0].count.div_ceil(2), plan.spans[1].count.div_ceil(2)];
    let count = plan.batch * patches[0] * patches[1];
    // more patches for a weight that the third cache does not hold
    let size = if plan.outputs * plan.channels > 1 << 18 { MOST } else { MOST / 2 };
    let threads = rayon::current_num_threads().min(plan.work() / WORTH).max(1);
    let chunks = count.div_ceil(size) * plan.groups;
    let cost = |parts: &usize| {
        let outputs = plan.outputs.div_ceil(*parts).next_multiple_of(widest(level));
        // cycles for a patch and channel: a product takes one for sixteen of them, the transform of the input some six
        (chunks * plan.outputs.div_ceil(outputs)).div_ceil(threads) * (outputs + 6)
    };
    let parts = (1..=plan.outputs.div_ceil(16).min(4 * threads)).min_by_key(cost).unwrap_or(1);
    let outputs = plan.outputs.div_ceil(parts).next_multiple_of(widest(level));
    let job = Job { level, plan, packed, xs, finish, output, patches };
    let parts = plan.outputs.div_ceil(outputs);
    let tasks = chunks * parts;
    let together = if threads == 1 { tasks } else { 1 };
    (0..tasks).into_par_iter().with_min_len(together).for_each(|task| {
        let (chunk, task) = (task % (chunks / plan.groups), task / (chunks / plan.groups));
        let (group, part) = (task % plan.groups, task / plan.groups);
        let patches = chunk * size..count.min((chunk + 1) * size);
        job.run(group, part * outputs..plan.outputs.min((part + 1) * outputs), patches);
    });
}

/// Patches next to each other in a row of an image, and their place among those of the task.
struct Segment {
    image: usize,
    row: usize,
    column: usize,
    count: usize,
    place: usize,
}

impl Job<'_> {
    fn segments(&self, patches: Range<usize>) -> Vec<Segment> {
        let [rows, columns] = self.patches;
        let mut segments = Vec::new();
        let mut first = patches.start;
        while first < patches.end {
            let (line, column) = (first / columns, first % columns);
            let count = (columns - column).min(patches.end - first);
            let place = first - patches.start;
            segments.push(Segment { image: line / rows, row: line % rows, column, count, place });
            first += count;
        }
        segments
    }

    /// Some outputs of a group at some patches.
    fn run(&self, group: usize, outputs: Range<usize>, patches: Range<usize>) {
        let (plan, level) = (self.plan, self.level);
        let width = patches.len().next_multiple_of(lanes(level));
        let segments = self.segments(patches);
        let at: Vec<usize> = (0..width).step_by(lanes(level)).collect();
        let taps: Vec<usize> = (0..plan.channels).map(|channel| channel * width).collect();
        let padded = padded(level, plan);
        let rows = outputs.len().next_multiple_of(widest(level));
        scratch(|values, sums| {
            let values = room(values, PLACES * plan.channels * width);
            let sums = room(sums, PLACES * rows * width);
            compiled(
                level,
                #[inline(always)]
                || {
                    for channel in 0..plan.channels {
                        for segment in &segments {
                            if segment.count <= SHORT {
                                self.transform::<{ SHORT + 1 }>(group, channel, segment, width, values);
                            } else {
                                self.transform::<{ MOST + 1 }>(group, channel, segment, width, values);
                            }
                        }
                    }
                },
            );
            for place in 0..PLACES {
                for (first, size, _) in blocks(level, plan.outputs) {
                    if !outputs.contains(&first) {
                        continue;
                    }
                    let start = (group * padded + first) * PLACES + place * size;
                    let sums = &mut sums[(place * rows + first - outputs.start) * width..][..size * width];
                    Sums {
                        level,
                        width: size,
                        weights: &self.packed[start * plan.channels..][..size * plan.channels],
                        tile: &values[place * plan.channels * width..][..plan.channels * width],
                        channel: 0,
                        taps: &taps,
                        at: &at,
                        sums,
                        row: width,
                        add: false,
                    }
                    .run();
                }
            }
            compiled(
                level,
                #[inline(always)]
                || {
                    for output in outputs.clone() {
                        for segment in &segments {
                            let sums = &sums[(output - outputs.start) * width..];
                            let output = group * plan.outputs + output;
                            if segment.count <= SHORT {
                                self.put::<SHORT>(output, segment, sums, rows * width);
                            } else {
                                self.put::<MOST>(output, segment, sums, rows * width);
                            }
                        }
                    }
                },
            );
        });
    }

    /// The patches of a channel at every place: (place, channel, patch); `N` is more than the segment has.
    #[inline(always)]
    fn transform<const N: usize>(
        &self,
        group: usize,
        channel: usize,
        segment: &Segment,
        width: usize,
        out: &mut [f32],
    ) {
        let plan = self.plan;
        let [down, right] = &plan.spans;
        let size = down.input * right.input;
        let start = ((segment.image * plan.groups + group) * plan.channels + channel) * size;
        let plane = &self.xs[start..][..size];
        let count = segment.count;
        let (mut even, mut odd) = ([[0f32; N]; 4], [[0f32; N]; 4]);
        for i in 0..4 {
            let line = (2 * segment.row + i) as isize + down.origin;
            let inside = line >= 0 && (line as usize) < down.input;
            let values = if inside { &plane[line as usize * right.input..][..right.input] } else { &[] };
            let first = 2 * segment.column as isize + right.origin;
            if inside {
                let next = start + size + line as usize * right.input + first.max(0) as usize;
                prefetch(self.xs, next, 2 * count);
            }
            place_rows(values, first, self.finish.before, [&mut even[i][..=count], &mut odd[i][..=count]]);
        }
        for rows in [&mut even, &mut odd] {
            let [a, b, c, d] = rows;
            for j in 0..=count {
                (a[j], b[j], c[j], d[j]) = (a[j] - c[j], b[j] + c[j], c[j] - b[j], b[j] - d[j]);
            }
        }
        for (y, (even, odd)) in even.iter().zip(&odd).enumerate() {
            let (a, c, b, d) = (&even[..count], &even[1..=count], &odd[..count], &odd[1..=count]);
            let pairs: [(&[f32], &[f32], f32); 4] = [(a, c, -1.), (c, b, 1.), (c, b, -1.), (b, d, -1.)];
            for (x, (a, b, sign)) in pairs.into_iter().enumerate() {
                let start = ((y * 4 + x) * plan.channels + channel) * width + segment.place;
                for ((out, a), b) in out[start..][..count].iter_mut().zip(a).zip(b) {
                    *out = a + b * sign;
                }
            }
        }
    }

    /// Writes two rows of an output from its sums, whose places are at a distance; `N` is at least what the segment has.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn put<const N: usize>(&self, output: usize, segment: &Segment, sums: &[f32], distance: usize) {
        let plan = self.plan;
        let [down, right] = &plan.spans;
        let count = segment.count;
        let sums: [&[f32]; PLACES] = from_fn(|place| &sums[place * distance + segment.place..][..count]);
        let mut lines = [[[0f32; 2]; N]; 2];
        let [above, below] = &mut lines;
        let (above, below) = (&mut above[..count], &mut below[..count]);
        for j in 0..count {
            let m: [f32; PLACES] = from_fn(|place| sums[place][j]);
            let top: [f32; 4] = from_fn(|x| m[x] + m[4 + x] + m[8 + x]);
            let low: [f32; 4] = from_fn(|x| m[4 + x] - m[8 + x] - m[12 + x]);
            above[j] = [top[0] + top[1] + top[2], top[1] - top[2] - top[3]];
            below[j] = [low[0] + low[1] + low[2], low[1] - low[2] - low[3]];
        }
        let bias = self.finish.bias(plan, segment.image, output);
        let plane = segment.image * plan.groups * plan.outputs + output;
        for (i, line) in lines.iter().enumerate().take(down.output - 2 * segment.row) {
            let first = 2 * segment.column;
            let start = (plane * down.output + 2 * segment.row + i) * right.output + first;
            let line = line.as_flattened();
            let line = &line[..(2 * count).min(right.output - first)];
            // SAFETY: the row and columns are within the output, and the patches and outputs of tasks are disjoint.
            let out = unsafe { self.output.part(start, line.len()) };
            self.finish.write(start, line, bias, out);
        }
    }
}
