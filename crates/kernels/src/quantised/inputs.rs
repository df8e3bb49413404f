//! Activations in bytes: blocks of 32 with a scale in f32, in the order of their use.

use super::kind::{BLOCK, QUAD};
use crate::fresh::each;
use crate::level::{Level, compiled};
use std::mem::take;

/// A block of 32 activations.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Inputs {
    /// Bytes from -127 to 127, four to a lane.
    pub quads: [u32; BLOCK / QUAD],
    /// A 127th of the largest magnitude; NaN if a value is not finite.
    pub scale: f32,
    /// What sums of products begin with: less the offset of the weight's numbers, times the sum of a group's bytes.
    pub start: [i32; 2],
    /// The sum of a group's activations.
    pub sums: [f32; 2],
}

/// Values that the calling thread quantises alone.
const ALONE: usize = 1 << 16;

/// How rows are divided into parts of at most so many: where part `i` begins.
pub(super) fn part(rows: usize, most: usize, i: usize) -> usize {
    i * rows / rows.div_ceil(most)
}

/// Quantises rows: for each part of at most `most` rows, for each 32 inputs, a block of each row.
///
/// There are `blocks` blocks a row, zeros after those of the values; `groups` are those of the weight in 32 inputs, and
/// `offset` that of its numbers.
pub(super) fn inputs(
    level: Level,
    xs: &[f32],
    (rows, width, blocks): (usize, usize, usize),
    most: usize,
    (groups, offset): (usize, i32),
) -> Vec<Inputs> {
    let empty = Inputs { quads: [0; 8], scale: 0., start: [0; 2], sums: [0.; 2] };
    let mut out = vec![empty; rows * blocks];
    let mut rest = &mut out[..];
    let parts = (0..rows.div_ceil(most)).map(|i| {
        let (start, end) = (part(rows, most, i), part(rows, most, i + 1));
        let (part, after) = take(&mut rest).split_at_mut((end - start) * blocks);
        rest = after;
        (&xs[start * width..end * width], part)
    });
    each(parts.collect(), rows * width <= ALONE, |(xs, out)| {
        compiled(
            level,
            #[inline(always)]
            || {
                let rows = out.len() / blocks;
                for (row, xs) in xs.chunks_exact(width).enumerate() {
                    for (xs, out) in xs.as_chunks().0.iter().zip(out[row..].iter_mut().step_by(rows)) {
                        *out = block(xs, groups, offset);
                    }
                }
            },
        );
    });
    out
}

#[inline(always)]
fn block(xs: &[f32; BLOCK], groups: usize, offset: i32) -> Inputs {
    const ROUND: f32 = 12_582_912.; // adding it leaves the nearest integer in the low bits
    // the bits of magnitudes are in their order, and those of NaN above infinity's
    let mut top = 0;
    for x in xs {
        top = top.max(x.to_bits() & 0x7fff_ffff);
    }
    let finite = top < 0x7f80_0000;
    let mut scale = f32::from_bits(top) / 127.;
    if scale < f32::MIN_POSITIVE {
        scale = 0.;
    }
    let factor = if finite && scale > 0. { 1. / scale } else { 0. };
    let mut numbers = [0i32; BLOCK];
    for (number, x) in numbers.iter_mut().zip(xs) {
        let x = if finite { *x } else { 0. };
        *number = (x * factor + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    }
    let mut halves = [0i32; 2];
    for (half, numbers) in halves.iter_mut().zip(numbers.chunks_exact(BLOCK / 2)) {
        for number in numbers {
            *half = half.wrapping_add(*number);
        }
    }
    if groups == 1 {
        halves = [halves[0].wrapping_add(halves[1]), 0];
    }
    if !finite {
        scale = f32::NAN;
    }
    let mut bytes = [0u8; BLOCK];
    for (byte, number) in bytes.iter_mut().zip(numbers) {
        *byte = number as u8;
    }
    let mut quads = [0; BLOCK / QUAD];
    for (quad, four) in quads.iter_mut().zip(bytes.as_chunks().0) {
        *quad = u32::from_le_bytes(*four);
    }
    let [a, b] = halves;
    Inputs { quads, scale, start: [-offset * a, -offset * b], sums: [scale * a as f32, scale * b as f32] }
}
