//! One direction of a convolution over all tasks.

use rayon::prelude::*;
use std::cell::Cell;
use std::mem::MaybeUninit;

use super::kernel::{Sums, lanes, widest};
use super::packed::{blocks, starts};
use super::plan::{Plan, Tiling};
use super::tile::{Tile, apart, leaky};
use super::{toom, winograd};
use crate::level::{Level, compiled};

/// What is done before and after the sums.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Finish<'a> {
    /// Slope of a leaky relu of the input.
    pub before: Option<f32>,
    /// One for each output, or for each output of each image.
    pub bias: Option<&'a [f32]>,
    /// Added to the output,
    pub residual: Option<&'a [f32]>,
    /// before a leaky relu of this slope.
    pub after: Option<f32>,
}

impl Finish<'_> {
    /// The bias of an output, of all groups, in an image.
    pub fn bias(&self, plan: &Plan, image: usize, output: usize) -> f32 {
        let outputs = plan.groups * plan.outputs;
        self.bias.map_or(0., |bias| bias[(image * outputs + output) % bias.len()])
    }

    /// Writes sums to places next to each other, the first of which has this number in the whole output.
    #[inline(always)]
    pub fn write(&self, start: usize, sums: &[f32], bias: f32, out: &mut [MaybeUninit<f32>]) {
        let leak = self.after.unwrap_or(1.);
        match self.residual {
            None => out.iter_mut().zip(sums).for_each(|(out, sum)| {
                out.write(leaky(sum + bias, leak));
            }),
            Some(residual) => {
                for ((out, sum), x) in out.iter_mut().zip(sums).zip(&residual[start..]) {
                    out.write(leaky(sum + bias + x, leak));
                }
            }
        }
    }
}

/// Multiplications worth another thread: some twenty microseconds of them.
pub(super) const WORTH: usize = 1 << 20;

/// The output of a plan, with packed weights.
pub(super) fn run(level: Level, plan: &Plan, packed: &[f32], xs: &[f32], finish: Finish) -> Vec<f32> {
    let count = plan.output_count();
    let mut out: Vec<f32> = Vec::with_capacity(count);
    if count > 0 {
        let output = Output(out.spare_capacity_mut().as_mut_ptr());
        if winograd::applies(plan) {
            winograd::run(level, plan, packed, xs, finish, output);
        } else if toom::applies(plan) {
            toom::run(level, plan, packed, xs, finish, output);
        } else {
            direct(level, plan, packed, xs, finish, output);
        }
    }
    // SAFETY: the tasks have written every row of every output, each its own.
    #[allow(unsafe_code)]
    unsafe {
        out.set_len(count);
    }
    out
}

fn direct(level: Level, plan: &Plan, packed: &[f32], xs: &[f32], finish: Finish, output: Output) {
    let tiling = plan.tiling(rayon::current_num_threads(), widest(level));
    let starts = starts(level, plan);
    let tiles = plan.spans[0].count.div_ceil(tiling.rows) * plan.spans[1].count.div_ceil(tiling.columns);
    let job = Job { level, plan, tiling, starts, packed, xs, finish, output, tiles };
    let tasks = plan.outputs.div_ceil(tiling.outputs) * plan.groups * plan.batch * tiles;
    let together = (tasks * WORTH / 4 / plan.work().max(1)).clamp(1, tasks);
    (0..tasks).into_par_iter().with_min_len(together).for_each(|task| job.run(task));
}

/// The output, of which each task writes its own rows.
pub(super) struct Output(*mut MaybeUninit<f32>);

// SAFETY: tasks write disjoint parts.
#[allow(unsafe_code)]
unsafe impl Sync for Output {}

impl Output {
    /// # Safety
    /// The values are within the output, and no other task has them.
    #[allow(unsafe_code, clippy::mut_from_ref)]
    pub unsafe fn part(&self, start: usize, count: usize) -> &mut [MaybeUninit<f32>] {
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), count) }
    }
}

struct Job<'a> {
    level: Level,
    plan: &'a Plan,
    tiling: Tiling,
    starts: Vec<usize>,
    packed: &'a [f32],
    xs: &'a [f32],
    finish: Finish<'a>,
    output: Output,
    tiles: usize,
}

thread_local! {
    /// The tile and the sums of the thread's last task, since fresh memory costs more than to fill it.
    static SCRATCH: Cell<(Vec<f32>, Vec<f32>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Two buffers of the thread, with whatever lies in them.
pub(super) fn scratch(f: impl FnOnce(&mut Vec<f32>, &mut Vec<f32>)) {
    let (mut a, mut b) = SCRATCH.take();
    f(&mut a, &mut b);
    SCRATCH.set((a, b));
}

/// Room for so many values, of any value.
pub(super) fn room(values: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if values.len() < count {
        values.resize(count, 0.);
    }
    &mut values[..count]
}

impl Job<'_> {
    /// Some outputs of one group of one image, over a tile of places.
    fn run(&self, task: usize) {
        let (plan, level) = (self.plan, self.level);
        let (index, task) = (task % self.tiles, task / self.tiles);
        let (image, task) = (task % plan.batch, task / plan.batch);
        let (group, part) = (task % plan.groups, task / plan.groups);
        let outputs = part * self.tiling.outputs..plan.outputs.min((part + 1) * self.tiling.outputs);
        let tile = Tile::new(plan, index, self.tiling.rows, self.tiling.columns);
        let (at, pitch) = tile.vectors(level);
        let row = apart(at.len() * lanes(level));
        let phases = plan.phases();
        let taps: Vec<Vec<usize>> = (0..phases).map(|phase| tile.taps(plan, phase)).collect();
        let plane = plan.channels * plan.spans[0].input * plan.spans[1].input;
        let planes = &self.xs[(image * plan.groups + group) * plane..][..plane];
        let whole = self.tiling.channels >= plan.channels;

        scratch(|values, all_sums| {
            let rows = if whole { widest(level) } else { outputs.len().next_multiple_of(widest(level)) };
            let all_sums = room(all_sums, rows * phases * row);
            let values = room(values, tile.size(self.tiling.channels));
            for first in (0..plan.channels).step_by(self.tiling.channels) {
                let channels = first..plan.channels.min(first + self.tiling.channels);
                tile.fill(level, plan, channels.clone(), planes, self.finish.before, values);
                for (output, width, used) in blocks(level, plan.outputs) {
                    if !outputs.contains(&output) {
                        continue;
                    }
                    let place = if whole { 0 } else { output - outputs.start };
                    let sums = &mut all_sums[place * phases * row..][..width * phases * row];
                    for (phase, taps) in taps.iter().enumerate() {
                        let terms = taps.len() * width;
                        let start = self.starts[group * phases + phase] + taps.len() * plan.channels * output;
                        Sums {
                            level,
                            width,
                            weights: &self.packed[start..][channels.start * terms..channels.end * terms],
                            tile: values,
                            channel: tile.channel,
                            taps,
                            at: &at,
                            sums: &mut sums[phase * width * row..][..width * row],
                            row,
                            add: first > 0,
                        }
                        .run();
                    }
                    if channels.end == plan.channels {
                        for i in 0..used {
                            let output = group * plan.outputs + output + i;
                            let sums = &sums[i * row..];
                            self.put(&tile, image, output, sums, width * row, pitch);
                        }
                    }
                }
            }
        });
    }

    /// Writes one output's places: its sums by phase at a distance, and in them rows at another.
    #[allow(unsafe_code)]
    fn put(&self, tile: &Tile, image: usize, output: usize, sums: &[f32], phase: usize, pitch: usize) {
        let plan = self.plan;
        let [down, right] = &plan.spans;
        let bias = self.finish.bias(plan, image, output);
        let leak = self.finish.after.unwrap_or(1.);
        let plane = image * plan.groups * plan.outputs + output;
        let step = right.output_step;
        compiled(
            self.level,
            #[inline(always)]
            || {
                for (y, y_phase) in
                    (0..tile.rows).flat_map(|y| (0..down.output_step).map(move |y_phase| (y, y_phase)))
                {
                    let line = (tile.first[0] + y) * down.output_step + y_phase;
                    if line >= down.output {
                        break;
                    }
                    let first = tile.first[1] * step;
                    let count = (tile.columns * step).min(right.output - first);
                    let start = (plane * down.output + line) * right.output + first;
                    // SAFETY: `line` and `first + count` are within the output's height and width, and the outputs
                    // and places of tasks are disjoint.
                    let out = unsafe { self.output.part(start, count) };
                    let residual = self.finish.residual.map(|residual| &residual[start..][..count]);
                    for x_phase in 0..step {
                        let sums = &sums[(y_phase * step + x_phase) * phase + y * pitch..][..tile.columns];
                        if step == 1 {
                            self.finish.write(start, sums, bias, out);
                            continue;
                        }
                        let places = out.iter_mut().skip(x_phase);
                        match residual {
                            None => places.step_by(step).zip(sums).for_each(|(place, sum)| {
                                place.write(leaky(sum + bias, leak));
                            }),
                            Some(residual) => {
                                let residual = residual.iter().skip(x_phase).step_by(step);
                                places.step_by(step).zip(sums).zip(residual).for_each(|((place, sum), x)| {
                                    place.write(leaky(sum + bias + x, leak));
                                });
                            }
                        }
                    }
                }
            },
        );
    }
}
