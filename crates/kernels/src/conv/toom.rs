//! Convolutions over time without a stride, with 7 products for four outputs and four taps instead of 16: F(4, 4) of
//! Winograd, "Arithmetic Complexity of Computations" (1980), by Toom and Cook's interpolation at seven points.
//!
//! A kernel falls into pieces of four taps. Four outputs that lie a dilation apart are a tile; as the pieces are as
//! long as the tiles, all of them read the same transformed input, some tiles farther on. So at each of the seven
//! points there is a convolution over tiles with a quarter of the taps, and what those sum is transformed back. Between
//! neighbouring tiles lie as many others as the dilation has places: input and sums are rows over all of them.
//!
//! The points are 0, 1, -1, 2, -2, -1/2 and infinity, whose results are off by about twice what plain sums of f32 are;
//! an infinite value is NaN in its whole tile.

use rayon::prelude::*;
use std::array::from_fn;

use super::kernel::{Sums, lanes, widest};
use super::packed::{blocks, padded, parts};
use super::plan::Plan;
use super::run::{Finish, Output, WORTH, room, scratch};
use super::tile::{apart, place_row, prefetch};
use crate::level::{Level, compiled};

/// Outputs of a tile, and taps of a piece.
const SIDE: usize = 4;
/// Points.
const POINTS: usize = 7;
/// Values of a task at a point, so that they stay in the second cache.
const VALUES: usize = 1 << 15;

/// Whether a plan is done this way: where the products it saves are worth the transforms.
pub(super) fn applies(plan: &Plan) -> bool {
    let right = &plan.spans[1];
    if !plan.over_time || right.input_step != 1 || right.output_step != 1 || dilation(plan).is_none() {
        return false;
    }
    let saved = plan.kernel.1 as f64 - (POINTS * pieces(plan)) as f64 / SIDE as f64;
    // for each place: products, of which so many take as long as one value in or out of the transforms
    let (channels, outputs) = (plan.channels as f64, plan.outputs as f64);
    saved * channels * outputs > 24. * (1.75 * channels + 2. * outputs)
}

/// The distance of neighbouring taps, of which there are some.
fn dilation(plan: &Plan) -> Option<usize> {
    let (right, taps) = (&plan.spans[1], plan.kernel.1);
    let apart = right.reach / (taps - 1).max(1);
    let even = |taps: &[super::plan::Tap]| taps.iter().all(|tap| tap.shift.is_multiple_of(apart));
    (taps > 1 && apart > 0 && even(&right.taps[0])).then_some(apart)
}

fn pieces(plan: &Plan) -> usize {
    plan.kernel.1.div_ceil(SIDE)
}

/// The transformed weight: (group, block of outputs, point, channel, piece, output).
pub(super) fn pack(level: Level, plan: &Plan, weight: &[f32]) -> Vec<f32> {
    let (pieces, apart) = (pieces(plan), dilation(plan).unwrap_or(1));
    let size = POINTS * plan.channels * pieces;
    let mut packed = vec![0f32; plan.groups * padded(level, plan) * size];
    // which weight of the kernel is at each place
    let mut taps = vec![0; plan.kernel.1];
    for tap in &plan.spans[1].taps[0] {
        taps[tap.shift / apart] = tap.kernel;
    }
    parts(level, plan, size, &mut packed).into_par_iter().for_each(|(part, group, first, width, used)| {
        for channel in 0..plan.channels {
            for i in 0..used {
                let weight = &weight[plan.weight_place(group, first + i, channel)..][..plan.kernel.1];
                for (piece, taps) in taps.chunks(SIDE).enumerate() {
                    let of = |j: usize| taps.get(j).map_or(0., |tap| weight[*tap]);
                    for (point, value) in at_points([of(0), of(1), of(2), of(3)]).into_iter().enumerate() {
                        part[((point * plan.channels + channel) * pieces + piece) * width + i] = value;
                    }
                }
            }
        }
    });
    packed
}

/// Four taps at the points.
fn at_points(taps: [f32; SIDE]) -> [f32; POINTS] {
    let [a, b, c, d] = taps.map(f64::from);
    let at = |x: f64, by: f64| ((a + x * (b + x * (c + x * d))) / by) as f32;
    [at(0., 2.), at(1., -9.), at(-1., 3.), at(2., 60.), at(-2., -36.), at(-0.5, -1.40625), taps[3]]
}

struct Job<'a> {
    level: Level,
    plan: &'a Plan,
    packed: &'a [f32],
    xs: &'a [f32],
    finish: Finish<'a>,
    output: Output,
    /// Of the taps.
    apart: usize,
    pieces: usize,
}

/// The output, with the weight of [`pack`].
pub(super) fn run(level: Level, plan: &Plan, packed: &[f32], xs: &[f32], finish: Finish, output: Output) {
    let (pieces, apart) = (pieces(plan), dilation(plan).unwrap_or(1));
    // rows of tiles whose dilations are next to each other
    let count = plan.spans[1].count.div_ceil(SIDE * apart);
    let size = (VALUES / plan.channels).clamp(64, 256).div_ceil(apart);
    let size = count.div_ceil(count.div_ceil(size).max(1)).max(1);
    let threads = rayon::current_num_threads().min(plan.work() / WORTH).max(1);
    let chunks = count.div_ceil(size) * plan.batch * plan.groups;
    let unit = widest(level);
    let cost = |parts: &usize| {
        let outputs = plan.outputs.div_ceil(*parts).next_multiple_of(unit);
        // cycles for a tile and channel: a product takes one for sixteen of them
        (chunks * plan.outputs.div_ceil(outputs)).div_ceil(threads) * (outputs * pieces + 16)
    };
    let parts = (1..=plan.outputs.div_ceil(16).min(4 * threads)).min_by_key(cost).unwrap_or(1);
    let outputs = plan.outputs.div_ceil(parts).next_multiple_of(unit);
    let parts = plan.outputs.div_ceil(outputs);
    let job = Job { level, plan, packed, xs, finish, output, apart, pieces };
    let tasks = chunks * parts;
    let together = if threads == 1 { tasks } else { 1 };
    (0..tasks).into_par_iter().with_min_len(together).for_each(|task| {
        let (part, chunk) = (task % parts, task / parts);
        let (index, plane) = (chunk % count.div_ceil(size), chunk / count.div_ceil(size));
        let rows = index * size..count.min((index + 1) * size);
        job.run(plane, part * outputs..plan.outputs.min((part + 1) * outputs), rows.start, rows.len());
    });
}

impl Job<'_> {
    /// Some outputs of a group of an image at so many rows of tiles.
    fn run(&self, plane: usize, outputs: std::ops::Range<usize>, first: usize, rows: usize) {
        let (plan, level, apart) = (self.plan, self.level, self.apart);
        let (image, group) = (plane / plan.groups, plane % plan.groups);
        let lanes = lanes(level);
        // sums of tiles, the transformed input that they read, and the phases that those are made of
        let tiles = (rows * apart).next_multiple_of(lanes);
        let reach = tiles + (self.pieces - 1) * apart;
        let width = self::apart(reach);
        let phase = (reach + apart).next_multiple_of(apart);
        let at: Vec<usize> = (0..tiles).step_by(lanes).collect();
        let taps: Vec<usize> = (0..self.pieces).map(|piece| piece * apart).collect();
        let padded = padded(level, plan);
        let height = outputs.len().next_multiple_of(widest(level));
        let begin = first * SIDE * apart;
        scratch(|values, sums| {
            let values = room(values, POINTS * plan.channels * width + 2 * SIDE * phase);
            let (line, values) = values.split_at_mut(SIDE * phase);
            let (phases, values) = values.split_at_mut(SIDE * phase);
            let sums = room(sums, POINTS * height * tiles + 2 * SIDE * tiles);
            let (lines, sums) = sums.split_at_mut(2 * SIDE * tiles);
            compiled(
                level,
                #[inline(always)]
                || {
                    let input = plan.spans[1].input;
                    for channel in 0..plan.channels {
                        let start = (plane * plan.channels + channel) * input;
                        let place = begin as isize + plan.spans[1].origin;
                        prefetch(self.xs, start + input + place.max(0) as usize, SIDE * rows * apart);
                        place_row(&self.xs[start..][..input], place, 1, self.finish.before, line);
                        split(line, apart, phases);
                        let mut out = values[channel * width..].chunks_mut(plan.channels * width);
                        let out: [&mut [f32]; POINTS] =
                            from_fn(|_| &mut out.next().unwrap_or_default()[..reach]);
                        transform(phases, phase, apart, out);
                    }
                },
            );
            for point in 0..POINTS {
                let values = &values[point * plan.channels * width..][..plan.channels * width];
                for (output, size, _) in blocks(level, plan.outputs) {
                    if !outputs.contains(&output) {
                        continue;
                    }
                    let block = (group * padded + output) * POINTS + point * size;
                    let terms = plan.channels * self.pieces;
                    Sums {
                        level,
                        width: size,
                        weights: &self.packed[block * terms..][..size * terms],
                        tile: values,
                        channel: width,
                        taps: &taps,
                        at: &at,
                        sums: &mut sums[(point * height + output - outputs.start) * tiles..][..size * tiles],
                        row: tiles,
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
                        let sums = from_fn(|point| {
                            &sums[(point * height + output - outputs.start) * tiles..][..rows * apart]
                        });
                        let (phases, line) = lines.split_at_mut(SIDE * tiles);
                        back(sums, tiles, phases);
                        let line = &mut line[..SIDE * rows * apart];
                        join(phases, tiles, apart, line);
                        self.put(image, group * plan.outputs + output, begin, line);
                    }
                },
            );
        });
    }

    /// Writes places of an output from its first on, as many as there are.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn put(&self, image: usize, output: usize, begin: usize, line: &[f32]) {
        let plan = self.plan;
        let length = plan.spans[1].output;
        let bias = self.finish.bias(plan, image, output);
        let start = (image * plan.groups * plan.outputs + output) * length + begin;
        let line = &line[..line.len().min(length - begin)];
        // SAFETY: the places are within the output's length, and those and the outputs of tasks are disjoint.
        let out = unsafe { self.output.part(start, line.len()) };
        self.finish.write(start, line, bias, out);
    }
}

/// Every fourth run of so many values to the same phase.
#[inline(always)]
fn split(line: &[f32], run: usize, phases: &mut [f32]) {
    let size = phases.len() / SIDE;
    let mut phases = phases.chunks_exact_mut(size);
    let [a, b, c, d]: [&mut [f32]; SIDE] = from_fn(|_| phases.next().unwrap_or_default());
    if run == 1 {
        let (fours, _) = line.as_chunks::<SIDE>();
        for ((((four, a), b), c), d) in fours.iter().zip(a).zip(b).zip(c).zip(d) {
            [*a, *b, *c, *d] = *four;
        }
        return;
    }
    for (i, four) in line.chunks_exact(SIDE * run).enumerate() {
        for (j, phase) in [&mut *a, &mut *b, &mut *c, &mut *d].into_iter().enumerate() {
            phase[i * run..][..run].iter_mut().zip(&four[j * run..][..run]).for_each(|(to, x)| *to = *x);
        }
    }
}

/// The inverse of [`split`], of phases at a distance.
#[inline(always)]
fn join(phases: &[f32], distance: usize, run: usize, line: &mut [f32]) {
    let [a, b, c, d]: [&[f32]; SIDE] = from_fn(|j| &phases[j * distance..][..line.len() / SIDE]);
    if run == 1 {
        let (fours, _) = line.as_chunks_mut::<SIDE>();
        for ((((four, a), b), c), d) in fours.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *four = [*a, *b, *c, *d];
        }
        return;
    }
    for (i, four) in line.chunks_exact_mut(SIDE * run).enumerate() {
        for (j, phase) in [a, b, c, d].into_iter().enumerate() {
            four[j * run..][..run].iter_mut().zip(&phase[i * run..][..run]).for_each(|(to, x)| *to = *x);
        }
    }
}

/// Tiles at every point from the phases, of which the next values lie a run farther.
#[inline(always)]
fn transform(phases: &[f32], size: usize, run: usize, out: [&mut [f32]; POINTS]) {
    let count = out[0].len();
    let x: [&[f32]; POINTS] = from_fn(|v| &phases[v % SIDE * size + v / SIDE * run..][..count]);
    let [p0, p1, p2, p3, p4, p5, p6] = out;
    let (p0, p1, p2, p3) = (&mut p0[..count], &mut p1[..count], &mut p2[..count], &mut p3[..count]);
    let (p4, p5, p6) = (&mut p4[..count], &mut p5[..count], &mut p6[..count]);
    for i in 0..count {
        let [x0, x1, x2, x3, x4, x5, x6]: [f32; POINTS] = from_fn(|v| x[v][i]);
        // values of the polynomials that are zero at all points but one
        let (e0, e1) = (x4 - 5. * x2 + 4. * x0, x5 - 5. * x3 + 4. * x1);
        let e2 = x6 - 5. * x4 + 4. * x2;
        let (a0, a1) = (x4 + 0.5 * x3 - 4. * x2 - 2. * x1, x5 + 0.5 * x4 - 4. * x3 - 2. * x2);
        let (b0, b1) = (x4 + 0.5 * x3 - x2 - 0.5 * x1, x5 + 0.5 * x4 - x3 - 0.5 * x2);
        p0[i] = e1 + 0.5 * e0;
        p1[i] = a1 + a0;
        p2[i] = a1 - a0;
        p3[i] = b1 + 2. * b0;
        p4[i] = b1 - 2. * b0;
        p5[i] = e1;
        p6[i] = e2 + 0.5 * e1;
    }
}

/// Outputs of tiles from their sums at every point, to phases at a distance.
#[inline(always)]
fn back(sums: [&[f32]; POINTS], distance: usize, phases: &mut [f32]) {
    let count = sums[0].len();
    let mut phases = phases.chunks_exact_mut(distance);
    let [y0, y1, y2, y3]: [&mut [f32]; SIDE] = from_fn(|_| &mut phases.next().unwrap_or_default()[..count]);
    for i in 0..count {
        let [m0, m1, m2, m3, m4, m5, m6]: [f32; POINTS] = from_fn(|point| sums[point][i]);
        let (near, turned) = (m1 + m2, m1 - m2);
        let (far, bent) = (m3 + m4, m3 - m4);
        y0[i] = m0 + near + far + m5;
        y1[i] = turned + 2. * bent - 0.5 * m5;
        y2[i] = near + 4. * far + 0.25 * m5;
        y3[i] = turned + 8. * bent - 0.125 * m5 + m6;
    }
}
