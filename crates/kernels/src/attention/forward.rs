//! Attention of many queries: tiles of scores that never leave the cache.

use super::buffer;
use super::heads::{self, paneled};
use super::lanes;
use super::problem::{Problem, Sizes, Target};
use super::tile::{KEYS, Product, QUERIES, ROW, Sight, Skip, Softmax};
use crate::level::Level;
use rayon::prelude::*;
use std::ops::Range;

/// Values of keys and values that are laid out anew at a time.
const LAID_OUT: usize = 16 << 20;

/// Fills `out`, (batch, time, heads, value size), and, unless it is empty, `log_sums`, (batch, heads, time): the
/// logarithm to base two of the sum of the powers, infinite where a query sees no key.
pub fn forward(problem: &Problem, level: Level, out: &mut [f32], log_sums: &mut [f32]) {
    let Sizes { batch, kv_heads, positions, size, v_size, .. } = problem.sizes;
    let (out, log_sums) = (Target::new(out), Target::new(log_sums));
    let pairs = batch * kv_heads;
    let blocks = positions.div_ceil(KEYS);
    let block_len = KEYS * (size + paneled(level, v_size));
    let tiles = tiles(problem.sizes);
    let at_once = (LAID_OUT / (blocks * block_len)).clamp(1, pairs);
    let mut memory = buffer::zeros(at_once * blocks * block_len);
    let laid_out = buffer::aligned(&mut memory, at_once * blocks * block_len);
    let alone = problem.is_small();
    for first in (0..pairs).step_by(at_once) {
        let count = at_once.min(pairs - first);
        let laid_out = &mut laid_out[..count * blocks * block_len];
        let lay_out = |(i, block): (usize, &mut [f32])| {
            lay_out(problem, level, first + i / blocks, i % blocks, block);
        };
        match alone {
            true => laid_out.chunks_mut(block_len).enumerate().for_each(lay_out),
            false => laid_out.par_chunks_mut(block_len).enumerate().for_each(lay_out),
        }
        let task = |i: usize| {
            let (pair, tile) = (i / tiles.len(), &tiles[i % tiles.len()]);
            let place = ((first + pair) / kv_heads, (first + pair) % kv_heads);
            let blocks = &laid_out[pair * blocks * block_len..][..blocks * block_len];
            tile_of_queries(problem, level, place, tile, blocks, [&out, &log_sums]);
        };
        match alone {
            true => (0..count * tiles.len()).for_each(task),
            false => (0..count * tiles.len()).into_par_iter().for_each(task),
        }
    }
}

/// Queries of a tile: of some of the heads that share keys and values, the same of each.
struct Tile {
    heads: Range<usize>,
    queries: Range<usize>,
}

// heads of few queries share a tile
fn tiles(sizes: Sizes) -> Vec<Tile> {
    let (time, group) = (sizes.time, sizes.group());
    let (members, rows) = ((QUERIES / time).clamp(1, group), QUERIES.min(time));
    let heads = (0..group).step_by(members).map(|first| first..(first + members).min(group));
    let queries = (0..time).step_by(rows).map(|first| first..(first + rows).min(time));
    heads
        .flat_map(|heads| queries.clone().map(move |queries| Tile { heads: heads.clone(), queries }))
        .collect()
}

fn lay_out(problem: &Problem, level: Level, pair: usize, block: usize, out: &mut [f32]) {
    let Sizes { kv_heads, positions, size, .. } = problem.sizes;
    let (batch, head) = (pair / kv_heads, pair % kv_heads);
    let range = (block * KEYS, KEYS.min(positions - block * KEYS));
    let (keys, values) = out.split_at_mut(KEYS * size);
    heads::keys(level, &problem.k.head(batch, head), range, keys);
    heads::values(level, &problem.v.head(batch, head), range, values);
}

fn tile_of_queries(
    problem: &Problem,
    level: Level,
    (batch, kv_head): (usize, usize),
    tile: &Tile,
    blocks: &[f32],
    [out, log_sums]: [&Target; 2],
) {
    let Sizes { time, heads, size, v_size, .. } = problem.sizes;
    let (width, count) = (paneled(level, v_size), lanes::count(level));
    let (first, each) = (tile.queries.start, tile.queries.len());
    let rows = tile.heads.len() * each;
    let lens = [QUERIES * size, rows * ROW, rows * width, rows, rows];
    buffer::with(lens, |[queries, scores, sums_of_values, largest, sums]| {
        sums_of_values.fill(0.);
        largest.fill(f32::NEG_INFINITY);
        sums.fill(0.);
        let head = |member: usize| kv_head * problem.sizes.group() + tile.heads.start + member;
        for member in 0..tile.heads.len() {
            let q = problem.q.head(batch, head(member));
            heads::queries(level, &q, (first, each), member * each, problem.factor(), queries);
        }
        let mut is_first = true;
        for block in problem.blocks(first, each) {
            let sight = problem.sight(first, block);
            // rows of several heads begin anew
            let edge = (tile.heads.len() == 1).then_some(sight.high);
            let (keys, values) =
                blocks[block * KEYS * (size + width)..][..KEYS * (size + width)].split_at(KEYS * size);
            score(level, queries, keys, scores, (rows, size), (sight, edge));
            for member in 0..tile.heads.len() {
                let own = member * each..(member + 1) * each;
                let scores = &mut scores[own.start * ROW..own.end * ROW];
                let (place, at) = ((batch, head(member)), (first, block * KEYS));
                problem.adjust(level, scores, place, at, sight);
                let softmax = Softmax {
                    scores: &mut *scores,
                    largest: &mut largest[own.clone()],
                    sums: &mut sums[own.clone()],
                    out: &mut sums_of_values[own.start * width..own.end * width],
                    out_row: width,
                    sight,
                    first: is_first,
                };
                lanes::run(level, softmax);
                problem.drop(level, scores, place, at, sight);
            }
            let product = Product::<false> {
                a: scores,
                a_row: ROW,
                b: values,
                b_row: 2 * count,
                b_panel: KEYS * 2 * count,
                c: sums_of_values,
                c_row: width,
                rows,
                depth: sight.width,
                registers: v_size.div_ceil(count),
                skip: edge.map_or(Skip::Nothing, Skip::Last),
                add: !is_first,
            };
            lanes::run(level, product);
            is_first = false;
        }
        for (i, row) in sums_of_values.chunks_exact_mut(width).enumerate() {
            let start = ((batch * time + first + i % each) * heads + head(i / each)) * v_size;
            finish(&mut row[..v_size], sums[i]);
            // SAFETY: a head's tile of queries is one task's alone.
            #[allow(unsafe_code)]
            unsafe {
                out.write(start, &row[..v_size]);
            }
        }
        if log_sums.is_empty() {
            return;
        }
        for (sum, largest) in sums.iter_mut().zip(largest) {
            *sum = if *sum == 0. { f32::INFINITY } else { *largest + sum.log2() };
        }
        for (member, sums) in sums.chunks_exact(each).enumerate() {
            // SAFETY: as above.
            #[allow(unsafe_code)]
            unsafe {
                log_sums.write((batch * heads + head(member)) * time + first, sums);
            }
        }
    });
}

/// Divides by the sum of the powers; a query that sees no key gets zeros, as in PyTorch since 2.5.
pub fn finish(row: &mut [f32], sum: f32) {
    let factor = if sum == 0. { 0. } else { sum.recip() };
    for x in row {
        *x *= factor;
    }
}

/// The product of laid out queries and keys: scores in rows of [`ROW`]. With the edge of the sight none that lie
/// well behind it are computed.
pub fn score(
    level: Level,
    queries: &[f32],
    keys: &[f32],
    scores: &mut [f32],
    (rows, size): (usize, usize),
    (sight, edge): (Sight, Option<isize>),
) {
    let count = lanes::count(level);
    let product = Product::<true> {
        a: queries,
        a_row: QUERIES,
        b: keys,
        b_row: 2 * count,
        b_panel: 2 * count * size,
        c: scores,
        c_row: ROW,
        rows,
        depth: size,
        registers: sight.width.div_ceil(count),
        skip: edge.map_or(Skip::Nothing, Skip::Columns),
        add: false,
    };
    lanes::run(level, product);
}
