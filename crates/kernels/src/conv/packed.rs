//! Weights in the order in which the loops read them.

use rayon::prelude::*;

use super::kernel::widest;
use super::plan::Plan;
use super::{toom, winograd};
use crate::level::Level;

/// The outputs in blocks that are summed at once: each block's first output, width and outputs in use.
pub(super) fn blocks(level: Level, outputs: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let widest = widest(level);
    let width = move |first: usize| outputs.saturating_sub(first).next_power_of_two().min(widest);
    let firsts = std::iter::successors(Some(0), move |&first| Some(first + width(first)));
    firsts
        .take_while(move |first| *first < outputs)
        .map(move |first| (first, width(first), width(first).min(outputs - first)))
}

/// Outputs of a group, with those that fill the last block.
pub(super) fn padded(level: Level, plan: &Plan) -> usize {
    blocks(level, plan.outputs).map(|(_, width, _)| width).sum()
}

/// A group's block of outputs in a packed weight: its values, the group, the first output, the width and those in use.
pub(super) type Part<'a> = (&'a mut [f32], usize, usize, usize, usize);

/// The blocks of every group one after the other, each with so many values for an output.
pub(super) fn parts<'a>(level: Level, plan: &Plan, size: usize, packed: &'a mut [f32]) -> Vec<Part<'a>> {
    let (mut parts, mut rest) = (Vec::new(), packed);
    for group in 0..plan.groups {
        for (first, width, used) in blocks(level, plan.outputs) {
            let (part, after) = rest.split_at_mut(size * width);
            rest = after;
            parts.push((part, group, first, width, used));
        }
    }
    parts
}

/// Where the weights of a group and an output phase begin, and where all end: after each other, every phase has
/// its blocks of outputs, each with its channels, their taps, and a value for each output of the block.
pub(super) fn starts(level: Level, plan: &Plan) -> Vec<usize> {
    let outputs = padded(level, plan);
    let sizes = (0..plan.groups * plan.phases())
        .map(|i| plan.taps(i % plan.phases()).count() * plan.channels * outputs);
    let ends = sizes.scan(0, |end, size| {
        *end += size;
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

/// Packs a weight, which is laid out as candle has it.
pub(super) fn pack(level: Level, plan: &Plan, weight: &[f32]) -> Vec<f32> {
    if winograd::applies(plan) {
        return winograd::pack(level, plan, weight);
    }
    if toom::applies(plan) {
        return toom::pack(level, plan, weight);
    }
    let size = *starts(level, plan).last().unwrap_or(&0);
    let mut packed = vec![0f32; size];
    let mut parts = Vec::new();
    let mut rest = packed.as_mut_slice();
    for group in 0..plan.groups {
        for phase in 0..plan.phases() {
            let taps: Vec<usize> =
                plan.taps(phase).map(|(y, x)| y.kernel * plan.kernel.0 + x.kernel).collect();
            for (first, width, used) in blocks(level, plan.outputs) {
                let (part, after) = rest.split_at_mut(plan.channels * taps.len() * width);
                rest = after;
                parts.push((part, group, first, width, used, taps.clone()));
            }
        }
    }
    let fill =
        |(part, group, first, width, used, taps): (&mut [f32], usize, usize, usize, usize, Vec<usize>)| {
            // a phase that no tap reaches has no weights
            for (channel, part) in part.chunks_exact_mut((taps.len() * width).max(1)).enumerate() {
                for i in 0..used {
                    let weight = &weight[plan.weight_place(group, first + i, channel)..][..plan.kernel.1];
                    for (values, tap) in part.chunks_exact_mut(width).zip(&taps) {
                        values[i] = weight[*tap];
                    }
                }
            }
        };
    if size < 1 << 15 {
        parts.into_iter().for_each(fill);
    } else {
        parts.into_par_iter().for_each(fill);
    }
    packed
}
