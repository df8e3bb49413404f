//! The gradients of a convolution's weight and bias.

use rayon::prelude::*;

use super::geometry::Geometry;
use super::kernel::{Dots, lanes};
use super::plan::Plan;
use super::run::room;
use super::tile::Tile;
use crate::level::{Level, compiled};
use crate::rows;

/// Tasks that images and tiles are split for where groups and channels are fewer.
const TASKS: usize = 16;
/// Multiplications worth a thread.
const TASK: usize = 500_000;
/// Rows of the small tensor that are near at once.
const ROWS: usize = 12;

/// For every weight the sum over images and places of the small tensor times what of the big one the tap meets.
pub(super) fn gradient(level: Level, geometry: &Geometry, big: &[f32], small: &[f32]) -> Vec<f32> {
    let plan = Plan::forward(geometry);
    let taps = geometry.taps();
    let mut out = vec![0f32; geometry.groups * geometry.small * geometry.big * taps];
    // how places are cut decides in which order they are summed, so it does not depend on the threads there are
    let tiling = plan.tiling(1);
    let tiles = plan.spans[0].count.div_ceil(tiling.rows) * plan.spans[1].count.div_ceil(tiling.columns);
    let pieces = plan.batch * tiles;
    if pieces == 0 {
        return out;
    }
    let wanted = (plan.work() / TASK).clamp(1, TASKS);
    let per_block = tiling.channels.min(geometry.big.div_ceil(wanted.div_ceil(geometry.groups)).max(4));
    let blocks = geometry.big.div_ceil(per_block);
    let parts = wanted.div_ceil(geometry.groups * blocks).clamp(1, pieces);
    let part_of = |task: usize| -> Vec<f32> {
        let (part, task) = (task % parts, task / parts);
        let (block, group) = (task % blocks, task / blocks);
        let channels = block * per_block..geometry.big.min((block + 1) * per_block);
        let mut sums = vec![0f32; geometry.small * channels.len() * taps];
        let (mut values, mut lines) = (Vec::new(), Vec::new());
        for piece in pieces * part / parts..pieces * (part + 1) / parts {
            let (image, index) = (piece / tiles, piece % tiles);
            let tile = Tile::new(&plan, index, tiling.rows, tiling.columns);
            let plane = geometry.big * plan.spans[0].input * plan.spans[1].input;
            let planes = &big[(image * geometry.groups + group) * plane..][..plane];
            let values = room(&mut values, tile.size(per_block));
            tile.fill(level, &plan, channels.clone(), planes, None, values);
            let shifts = tile.taps(&plan, 0);
            let at: Vec<usize> = (0..channels.len())
                .flat_map(|i| shifts.iter().map(move |shift| (i, shift)))
                .map(|(i, shift)| i * tile.channel + shift)
                .collect();
            let pitch = tile.columns.next_multiple_of(lanes(level));
            let row = tile.rows * pitch;
            for first in (0..geometry.small).step_by(ROWS) {
                let rows = ROWS.min(geometry.small - first);
                let lines = room(&mut lines, rows * row);
                for (i, row) in lines.chunks_exact_mut(row).enumerate() {
                    let plane = (image * geometry.groups + group) * geometry.small + first + i;
                    for (y, line) in row.chunks_exact_mut(pitch).enumerate() {
                        let line_start =
                            (plane * plan.spans[0].count + tile.first[0] + y) * plan.spans[1].count;
                        let (used, rest) = line.split_at_mut(tile.columns);
                        used.copy_from_slice(&small[line_start + tile.first[1]..][..tile.columns]);
                        rest.fill(0.);
                    }
                }
                let sums = &mut sums[first * at.len()..][..rows * at.len()];
                Dots {
                    level,
                    a: lines,
                    lines: tile.rows,
                    pitch,
                    columns: tile.columns,
                    tile: values,
                    at: &at,
                    width: tile.width,
                    sums,
                }
                .run();
            }
        }
        sums
    };
    let tasks = geometry.groups * blocks * parts;
    let together = (tasks * TASK / 4 / plan.work().max(1)).clamp(1, tasks);
    let found: Vec<Vec<f32>> = (0..tasks).into_par_iter().with_min_len(together).map(part_of).collect();
    for (task, sums) in found.iter().enumerate() {
        let (block, group) = (task / parts % blocks, task / parts / blocks);
        let width = sums.len() / geometry.small;
        for (i, sums) in sums.chunks_exact(width).enumerate() {
            let start = ((group * geometry.small + i) * geometry.big + block * per_block) * taps;
            out[start..start + width].iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }
    out
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
