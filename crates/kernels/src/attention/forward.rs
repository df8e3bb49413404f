//! Attention of many queries: tiles of scores that never leave the cache.

use super::heads::{self, paneled};
use super::lanes;
use super::problem::{Problem, Sizes, Target};
use super::tile::{FAR, KEYS, Product, QUERIES, ROW, Sight, Skip, Softmax};
use crate::level::Level;
use rayon::prelude::*;

/// Bytes of keys and values that are laid out anew at a time.
const LAID_OUT: usize = 64 << 20;

/// Fills `out`, (batch, time, heads, value size), and, unless it is empty, `log_sums`, (batch, heads, time): the
/// logarithm to base two of the sum of the powers, infinite where a query sees no key.
pub fn forward(problem: &Problem, level: Level, out: &mut [f32], log_sums: &mut [f32]) {
    let Sizes { batch, time, kv_heads, positions, .. } = problem.sizes;
    let (out, log_sums) = (Target::new(out), Target::new(log_sums));
    let (group, pairs) = (problem.sizes.group(), batch * kv_heads);
    let (tiles, blocks) = (time.div_ceil(QUERIES), positions.div_ceil(KEYS));
    let block_len = KEYS * (problem.k.size + paneled(level, problem.v.size));
    let at_once = (LAID_OUT / 4 / (blocks * block_len)).clamp(1, pairs);
    let mut laid_out = vec![0f32; at_once * blocks * block_len];
    for first in (0..pairs).step_by(at_once) {
        let count = at_once.min(pairs - first);
        let laid_out = &mut laid_out[..count * blocks * block_len];
        laid_out.par_chunks_mut(block_len).enumerate().for_each(|(i, block)| {
            lay_out(problem, level, first + i / blocks, i % blocks, block);
        });
        let task = |i: usize| {
            let (pair, member, tile) = (i / (group * tiles), i / tiles % group, i % tiles);
            let place =
                Place { batch: (first + pair) / kv_heads, kv_head: (first + pair) % kv_heads, member, tile };
            let blocks = &laid_out[pair * blocks * block_len..][..blocks * block_len];
            tile_of_queries(problem, level, place, blocks, &out, &log_sums);
        };
        (0..count * group * tiles).into_par_iter().for_each(task);
    }
}

#[derive(Clone, Copy)]
struct Place {
    batch: usize,
    kv_head: usize,
    member: usize,
    tile: usize,
}

fn lay_out(problem: &Problem, level: Level, pair: usize, block: usize, out: &mut [f32]) {
    let (batch, head) = (pair / problem.sizes.kv_heads, pair % problem.sizes.kv_heads);
    let first = block * KEYS;
    let range = (first, KEYS.min(problem.sizes.positions - first));
    let (keys, values) = out.split_at_mut(KEYS * problem.k.size);
    if range.1 < KEYS {
        keys.fill(0.); // what is left from another head must not be NaN
    }
    heads::keys(level, &problem.k.head(batch, head), range, keys);
    heads::values(level, &problem.v.head(batch, head), range, values);
}

fn tile_of_queries(
    problem: &Problem,
    level: Level,
    place: Place,
    blocks: &[f32],
    out: &Target,
    log_sums: &Target,
) {
    let Sizes { time, heads, .. } = problem.sizes;
    let (size, v_size) = (problem.k.size, problem.v.size);
    let width = paneled(level, v_size);
    let head = place.kv_head * problem.sizes.group() + place.member;
    let first = place.tile * QUERIES;
    let rows = QUERIES.min(time - first);

    let mut queries = vec![0f32; QUERIES * size];
    heads::queries(&problem.q.head(place.batch, head), (first, rows), problem.factor(), &mut queries);
    let mut scores = vec![0f32; rows * ROW];
    let mut sums_of_values = vec![0f32; rows * width];
    let (mut largest, mut sums) = (vec![f32::NEG_INFINITY; rows], vec![0f32; rows]);

    let mut is_first = true;
    for block in problem.blocks(first, rows) {
        let sight = problem.sight(first, block);
        let block_len = KEYS * (size + width);
        let (keys, values) = blocks[block * block_len..][..block_len].split_at(KEYS * size);
        score(level, &queries, keys, &mut scores, sight, (rows, size));
        problem.adjust(level, &mut scores, (place.batch, head), (first, block * KEYS), sight);
        let softmax = Softmax {
            scores: &mut scores,
            largest: &mut largest,
            sums: &mut sums,
            out: &mut sums_of_values,
            out_row: width,
            sight,
            first: is_first,
        };
        lanes::run(level, softmax);
        let product = Product::<false> {
            a: &scores,
            a_row: ROW,
            b: values,
            b_row: 2 * lanes::count(level),
            b_panel: KEYS * 2 * lanes::count(level),
            c: &mut sums_of_values,
            c_row: width,
            rows,
            depth: sight.width,
            registers: v_size.div_ceil(lanes::count(level)),
            skip: Skip::Last(sight.high),
            add: !is_first,
        };
        lanes::run(level, product);
        is_first = false;
    }
    for (i, row) in sums_of_values.chunks_exact_mut(width.max(1)).enumerate() {
        let start = ((place.batch * time + first + i) * heads + head) * v_size;
        finish(&mut row[..v_size], sums[i]);
        // SAFETY: a head's tile of queries is one task's alone.
        #[allow(unsafe_code)]
        unsafe {
            out.write(start, &row[..v_size]);
        }
    }
    if !log_sums.is_empty() {
        for (log_sum, largest) in sums.iter_mut().zip(largest) {
            *log_sum = if *log_sum == 0. { f32::INFINITY } else { largest + log_sum.log2() };
        }
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe {
            log_sums.write((place.batch * heads + head) * time + first, &sums);
        }
    }
}

/// Divides by the sum of the powers; a query that sees no key gets zeros, as in PyTorch since 2.5.
pub fn finish(row: &mut [f32], sum: f32) {
    let factor = if sum == 0. { 0. } else { sum.recip() };
    for x in row {
        *x *= factor;
    }
}

/// The product of laid out queries and keys: scores in rows of [`ROW`].
pub fn score(
    level: Level,
    queries: &[f32],
    keys: &[f32],
    scores: &mut [f32],
    sight: Sight,
    (rows, size): (usize, usize),
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
        skip: if sight.high < FAR { Skip::Columns(sight.high) } else { Skip::Nothing },
        add: false,
    };
    lanes::run(level, product);
}
