//! The gradients of a convolution's weight and bias.

use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

use super::geometry::Geometry;
use super::kernel::{Dots, ROWS, lanes};
use super::plan::{Plan, Tiling};
use super::run::{WORTH, room, scratch};
use super::tile::Tile;
use crate::gemm::{Matrix, Precision, Then, Threads, product_at};
use crate::level::{Level, compiled};
use crate::{fresh, rows};

/// Tasks that enough work is split into; always as many, since their sums are added in their order.
const TASKS: usize = 16;

/// How the work is split: into blocks of channels of the big tensor and of the small one, and parts of the places.
#[derive(Debug, Clone, Copy)]
struct Split {
    big: usize,
    small: usize,
    parts: usize,
}

impl Split {
    fn new(plan: &Plan, pieces: usize) -> Self {
        let places = plan.batch * plan.spans[0].count * plan.spans[1].count;
        let weights = plan.outputs * plan.channels * plan.kernel.1;
        let wanted = (plan.work() / WORTH).clamp(1, TASKS).div_ceil(plan.groups);
        let mut best = (usize::MAX, Split { big: plan.channels, small: plan.outputs, parts: 1 });
        for (across, down) in [1, 2, 4, 8, 16].into_iter().flat_map(|n| [1, 2, 4, 8, 16].map(|m| (n, m))) {
            let (big, small) = (plan.channels.div_ceil(across), plan.outputs.div_ceil(down));
            let (across, down) = (plan.channels.div_ceil(big), plan.outputs.div_ceil(small));
            let parts = wanted.div_ceil(across * down).min(pieces);
            let lacking = wanted.saturating_sub(across * down * parts);
            // values that are copied in each task, and sums that are added, besides tasks that are too large
            let copied = (plan.channels * down + plan.outputs * across) * places / 2;
            let cost = copied + (parts - 1) * weights * 2 + weights * places / 16 / wanted * lacking;
            if cost < best.0 {
                best = (cost, Split { big, small, parts });
            }
        }
        best.1
    }
}

struct Job<'a> {
    level: Level,
    plan: &'a Plan,
    tiling: Tiling,
    tiles: usize,
    big: &'a [f32],
    small: &'a [f32],
}

/// For every weight the sum over images and places of the small tensor times what of the big one the tap meets.
pub(super) fn gradient(level: Level, geometry: &Geometry, big: &[f32], small: &[f32]) -> Vec<f32> {
    if is_small(geometry) {
        return by_product(level, geometry, big, small);
    }
    let plan = &Plan::forward(geometry);
    let (taps, outputs, channels) = (plan.kernel.1, plan.outputs, plan.channels);
    let mut out = vec![0f32; plan.groups * outputs * channels * taps];
    // in which order places are summed depends on the shape alone
    let tiling = plan.long_tiling();
    let tiles = plan.spans[0].count.div_ceil(tiling.rows) * plan.spans[1].count.div_ceil(tiling.columns);
    let pieces = plan.batch * tiles;
    if pieces == 0 {
        return out;
    }
    let split = Split::new(plan, pieces);
    let job = Job { level, plan, tiling, tiles, big, small };
    let (across, down) = (channels.div_ceil(split.big), outputs.div_ceil(split.small));
    let place = |task: usize| {
        let (part, task) = (task % split.parts, task / split.parts);
        let (column, task) = (task % across * split.big, task / across);
        let (row, group) = (task % down * split.small, task / down);
        let rows = row..outputs.min(row + split.small);
        (
            group,
            rows,
            column..channels.min(column + split.big),
            pieces * part / split.parts..pieces * (part + 1) / split.parts,
        )
    };
    let tasks = plan.groups * across * down * split.parts;
    let together = (tasks * WORTH / 4 / plan.work().max(1)).clamp(1, tasks);
    let run = |task: usize| {
        let (group, rows, columns, pieces) = place(task);
        job.run(group, rows, columns, pieces)
    };
    let found: Vec<Vec<f32>> = (0..tasks).into_par_iter().with_min_len(together).map(run).collect();
    for (task, sums) in found.iter().enumerate() {
        let (group, rows, columns, _) = place(task);
        for (output, sums) in rows.zip(sums.chunks_exact(columns.len() * taps)) {
            let start = ((group * outputs + output) * channels + columns.start) * taps;
            out[start..start + sums.len()].iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }
    out
}

/// Places of an image up to which lines are too short to be read as they lie.
const FEW: usize = 256;
/// Values that are laid out at most.
const MOST: usize = 1 << 24;

fn is_small(geometry: &Geometry) -> bool {
    let [down, right] = &geometry.axes;
    let (places, taps) = (down.small * right.small, down.kernel * right.kernel);
    let depth = geometry.batch * places;
    let laid_out = geometry.big * taps * depth;
    geometry.groups == 1 && places <= FEW && depth >= 64 && laid_out <= MOST && geometry.small >= 8
}

/// [`gradient`] of small images, as one product of matrices: what each tap meets is laid out beside the small tensor, each
/// with all places of all images in a row.
fn by_product(level: Level, geometry: &Geometry, big: &[f32], small: &[f32]) -> Vec<f32> {
    let Geometry { batch, big: channels, small: outputs, axes: [down, right], .. } = *geometry;
    let (plane, source) = (down.small * right.small, down.big * right.big);
    let depth = batch * plane;
    let taps = down.kernel * right.kernel;
    let lines = rows_of(outputs, depth, |output, line| {
        for (image, line) in line.chunks_exact_mut(plane).enumerate() {
            let from = &small[(image * outputs + output) * plane..][..plane];
            line.iter_mut().zip(from).for_each(|(to, x)| {
                to.write(*x);
            });
        }
    });
    let met = rows_of(channels * taps, depth, |row, line| {
        let (channel, tap) = (row / taps, row % taps);
        let (top, left) = (tap / right.kernel * down.dilation, tap % right.kernel * right.dilation);
        for (i, line) in line.chunks_exact_mut(right.small).enumerate() {
            let (image, y) = (i / down.small, i % down.small);
            let plane = &big[(image * channels + channel) * source..][..source];
            let from = (y * down.stride + top).checked_sub(down.before).filter(|y| *y < down.big);
            let from = from.map_or(&[][..], |y| &plane[y * right.big..][..right.big]);
            if right.stride == 1 {
                // zeros, what lies within the image, zeros
                let first = right.before.saturating_sub(left).min(line.len());
                let from = from.get((first + left).saturating_sub(right.before)..).unwrap_or(&[]);
                let (ahead, line) = line.split_at_mut(first);
                let (inside, behind) = line.split_at_mut(from.len().min(line.len()));
                ahead.iter_mut().chain(behind).for_each(|to| {
                    to.write(0.);
                });
                inside.iter_mut().zip(from).for_each(|(to, x)| {
                    to.write(*x);
                });
                continue;
            }
            for (x, to) in line.iter_mut().enumerate() {
                let at = (x * right.stride + left).wrapping_sub(right.before);
                to.write(from.get(at).copied().unwrap_or(0.));
            }
        }
    });
    let columns = channels * taps;
    let (a, b) = (Matrix::rows(&lines, outputs, depth), Matrix::rows(&met, columns, depth).turned());
    let mut out = vec![0f32; outputs * columns];
    product_at((level, Precision::F32), a, b, (&mut out, columns, false), Threads::All, Then::default());
    out
}

/// So many rows of a width, which `f` writes to their ends.
fn rows_of(count: usize, width: usize, f: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let together = rows::rows_per_task(width);
    let task = |task: usize, [out]: [&mut [MaybeUninit<f32>]; 1]| {
        for (i, row) in out.chunks_exact_mut(width).enumerate() {
            f(task * together + i, row);
        }
    };
    // SAFETY: a task's part is whole rows, and both callers write each of a row's places.
    #[allow(unsafe_code)]
    let ([values], _) = unsafe { fresh::buffers(count * width, together * width, task) };
    values
}

impl Job<'_> {
    /// Sums of some outputs and channels of a group over pieces of the places: (output, channel, tap).
    fn run(
        &self,
        group: usize,
        outputs: Range<usize>,
        channels: Range<usize>,
        pieces: Range<usize>,
    ) -> Vec<f32> {
        let (plan, tiling, level) = (self.plan, self.tiling, self.level);
        let [down, right] = &plan.spans;
        let mut all_sums = vec![0f32; outputs.len() * channels.len() * plan.kernel.1];
        scratch(|values, lines| {
            for piece in pieces {
                let (image, index) = (piece / self.tiles, piece % self.tiles);
                let tile = Tile::new(plan, index, tiling.rows, tiling.columns);
                let pitch = tile.columns.next_multiple_of(lanes(level));
                let row = tile.rows * pitch;
                let (size, shifts) = (plan.channels * down.input * right.input, tile.taps(plan, 0));
                let planes = &self.big[(image * plan.groups + group) * size..][..size];
                let lines = room(lines, ROWS * row);
                for block in channels.clone().step_by(tiling.channels) {
                    let block = block..channels.end.min(block + tiling.channels);
                    let values = room(values, tile.size(block.len()));
                    tile.fill(level, plan, block.clone(), planes, None, values);
                    let at = (0..block.len()).flat_map(|i| shifts.iter().map(move |shift| (i, shift)));
                    let at: Vec<usize> = at.map(|(i, shift)| i * tile.channel + shift).collect();
                    let mut sums = vec![0f32; ROWS * at.len()];
                    for first in outputs.clone().step_by(ROWS) {
                        let rows = ROWS.min(outputs.end - first);
                        for (i, row) in lines.chunks_exact_mut(row).take(rows).enumerate() {
                            let plane = (image * plan.groups + group) * plan.outputs + first + i;
                            self.copy(&tile, plane, pitch, row);
                        }
                        let sums = &mut sums[..rows * at.len()];
                        sums.fill(0.);
                        let (a, tile_values) = (&*lines, &*values);
                        let (lines, columns, width) = (tile.rows, tile.columns, tile.width);
                        Dots {
                            level,
                            a,
                            rows,
                            lines,
                            pitch,
                            columns,
                            tile: tile_values,
                            at: &at,
                            width,
                            sums,
                        }
                        .run();
                        let line = channels.len() * plan.kernel.1;
                        let start =
                            (first - outputs.start) * line + (block.start - channels.start) * plan.kernel.1;
                        for (i, sums) in sums.chunks_exact(at.len()).enumerate() {
                            let out = &mut all_sums[start + i * line..][..sums.len()];
                            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                        }
                    }
                }
            }
        });
        all_sums
    }

    /// Copies a tile's places of a plane of the small tensor, with zeros at the end of each line.
    fn copy(&self, tile: &Tile, plane: usize, pitch: usize, row: &mut [f32]) {
        let [down, right] = &self.plan.spans;
        for (y, line) in row.chunks_exact_mut(pitch).enumerate() {
            let start = (plane * down.count + tile.first[0] + y) * right.count + tile.first[1];
            let (used, rest) = line.split_at_mut(tile.columns);
            used.copy_from_slice(&self.small[start..][..tile.columns]);
            rest.fill(0.);
        }
    }
}

/// The sum of each channel of (batch, channels, plane).
pub(super) fn channel_sums(level: Level, xs: &[f32], channels: usize, plane: usize) -> Vec<f32> {
    let sum = |channel: usize| {
        let images = xs.chunks_exact((channels * plane).max(1));
        let parts = images.map(|image| &image[channel * plane..][..plane]);
        parts
            .map(|part| {
                compiled(
                    level,
                    #[inline(always)]
                    || rows::sum(part, |x| x),
                )
            })
            .sum()
    };
    let together = (32_768 * channels / xs.len().max(1)).max(1);
    (0..channels).into_par_iter().with_min_len(together).map(sum).collect()
}
