//! Attention of few queries over many keys, read where they lie: a step of decoding.
//!
//! A piece of the positions of one key and value head is a task, for all the queries that share it, so that the
//! cache is read once; the pieces' results are merged exactly.

use super::buffer;
use super::forward::finish;
use super::heads::{Head, padded};
use super::lanes::{self, Lanes, Work, exp2_one};
use super::problem::{Problem, Sizes};
use super::tile::{KEYS, Product, ROW, Skip, Softmax};
use crate::level::Level;
use rayon::prelude::*;
use std::ops::Range;

/// Blocks of keys in a task.
const BLOCKS: usize = 4;

/// Fills `out`, (batch, time, heads, value size).
pub fn forward(problem: &Problem, level: Level, out: &mut [f32]) {
    let sizes = problem.sizes;
    let Sizes { batch, time, heads, kv_heads, v_size, .. } = sizes;
    let pieces: Vec<Range<usize>> = {
        let blocks = problem.blocks(0, time);
        blocks.clone().step_by(BLOCKS).map(|first| first..(first + BLOCKS).min(blocks.end)).collect()
    };
    let task = |i: usize| piece(problem, level, i / pieces.len(), pieces[i % pieces.len()].clone());
    let tasks = batch * kv_heads * pieces.len();
    let parts: Vec<Part> = match problem.is_small() {
        true => (0..tasks).map(task).collect(),
        false => (0..tasks).into_par_iter().map(task).collect(),
    };
    let width = padded(level, v_size);
    for pair in 0..batch * kv_heads {
        let parts = &parts[pair * pieces.len()..][..pieces.len()];
        for row in 0..sizes.group() * time {
            let (batch, head) = (pair / kv_heads, pair % kv_heads * sizes.group() + row / time);
            let out = &mut out[((batch * time + row % time) * heads + head) * v_size..][..v_size];
            lanes::run(level, Merge { parts, row, width, out });
        }
    }
}

/// What came of a piece of the positions: for each query the largest score, and by the powers of the scores less
/// that their sum and the sum of values.
struct Part {
    largest: Vec<f32>,
    sums: Vec<f32>,
    out: Vec<f32>,
}

struct Merge<'a> {
    parts: &'a [Part],
    row: usize,
    width: usize,
    out: &'a mut [f32],
}

impl Work for Merge<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Merge { parts, row, width, out } = self;
        let largest = parts.iter().map(|part| part.largest[row]).fold(f32::NEG_INFINITY, f32::max);
        let base = if largest == f32::NEG_INFINITY { 0. } else { largest };
        let mut sum = 0.;
        for part in parts {
            let factor = exp2_one(lanes, part.largest[row] - base);
            sum += part.sums[row] * factor;
            for (out, x) in out.iter_mut().zip(&part.out[row * width..][..width]) {
                *out += x * factor;
            }
        }
        finish(out, sum);
    }
}

fn piece(problem: &Problem, level: Level, pair: usize, blocks: Range<usize>) -> Part {
    let Sizes { time, kv_heads, positions, size, v_size, .. } = problem.sizes;
    let group = problem.sizes.group();
    let (batch, kv_head) = (pair / kv_heads, pair % kv_heads);
    let rows = group * time;
    let (k_width, v_width) = (padded(level, size), padded(level, v_size));
    buffer::with([rows * k_width, rows * ROW, KEYS * k_width, KEYS * v_width], |buffers| {
        let [queries, scores, key_copy, value_copy] = buffers;
        queries.fill(0.);
        for (row, out) in queries.chunks_exact_mut(k_width).enumerate() {
            problem.q.head(batch, kv_head * group + row / time).read(row % time, &mut out[..size]);
            out.iter_mut().for_each(|x| *x *= problem.factor());
        }
        let mut part = Part {
            largest: vec![f32::NEG_INFINITY; rows],
            sums: vec![0f32; rows],
            out: vec![0f32; rows * v_width],
        };
        for block in blocks.clone() {
            let range = (block * KEYS, KEYS.min(positions - block * KEYS));
            let (keys, key_row) = as_rows(&problem.k.head(batch, kv_head), range, (size, k_width), key_copy);
            lanes::run(level, Dots { queries, keys, key_row, count: range.1, width: k_width, scores });
            let sight = problem.sight(0, block);
            let is_first = block == blocks.start;
            for member in 0..group {
                let rows = member * time..(member + 1) * time;
                let scores = &mut scores[rows.start * ROW..rows.end * ROW];
                problem.adjust(level, scores, (batch, kv_head * group + member), (0, range.0), sight);
                let softmax = Softmax {
                    scores,
                    largest: &mut part.largest[rows.clone()],
                    sums: &mut part.sums[rows.clone()],
                    out: &mut part.out[rows.start * v_width..rows.end * v_width],
                    out_row: v_width,
                    sight,
                    first: is_first,
                };
                lanes::run(level, softmax);
            }
            let (values, value_row) =
                as_rows(&problem.v.head(batch, kv_head), range, (v_size, v_width), value_copy);
            let product = Product::<false> {
                a: scores,
                a_row: ROW,
                b: values,
                b_row: value_row,
                b_panel: 2 * lanes::count(level),
                c: &mut part.out,
                c_row: v_width,
                rows,
                depth: range.1,
                registers: v_width / lanes::count(level),
                skip: Skip::Nothing,
                add: !is_first,
            };
            lanes::run(level, product);
        }
        part
    })
}

// rows that fill registers: where they lie if they do, else copied
fn as_rows<'a>(
    head: &Head<'a>,
    (first, rows): (usize, usize),
    (size, width): (usize, usize),
    copy: &'a mut [f32],
) -> (&'a [f32], usize) {
    if size == width
        && let Some(direct) = head.direct(first)
    {
        return direct;
    }
    for (i, row) in copy.chunks_exact_mut(width).take(rows).enumerate() {
        head.read(first + i, &mut row[..size]);
        row[size..].fill(0.);
    }
    (copy, width)
}

/// Dot products of each query with each key, rows of [`ROW`].
struct Dots<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    key_row: usize,
    count: usize,
    width: usize,
    scores: &'a mut [f32],
}

impl Work for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Dots { queries, keys, key_row, count, width, scores } = self;
        for first in (0..count).step_by(4) {
            let four = [0, 1, 2, 3].map(|i| &keys[(first + i).min(count - 1) * key_row..][..width]);
            let mut pairs = queries.chunks_exact(2 * width);
            let mut scores = scores.chunks_mut(ROW);
            for pair in &mut pairs {
                let (one, other) = pair.split_at(width);
                for (sums, scores) in dots(lanes, [one, other], four).into_iter().zip(&mut scores) {
                    write(&mut scores[first..], lanes.sums(sums));
                }
            }
            if let (query, Some(scores)) = (pairs.remainder(), scores.next()) {
                let [sums] = dots(lanes, [query], four);
                write(&mut scores[first..], lanes.sums(sums));
            }
        }
    }
}

// products of queries with four keys, all as long, still to be summed over each register
#[inline(always)]
fn dots<L: Lanes, const N: usize>(lanes: L, queries: [&[f32]; N], keys: [&[f32]; 4]) -> [[L::V; 4]; N] {
    let mut sums = [[lanes.splat(0.); 4]; N];
    let [a, b, c, d] = keys;
    let (ab, cd) = (
        a.chunks_exact(L::COUNT).zip(b.chunks_exact(L::COUNT)),
        c.chunks_exact(L::COUNT).zip(d.chunks_exact(L::COUNT)),
    );
    for (k, ((a, b), (c, d))) in ab.zip(cd).enumerate() {
        let keys = [lanes.load(a), lanes.load(b), lanes.load(c), lanes.load(d)];
        for (sums, query) in sums.iter_mut().zip(queries) {
            let query = lanes.load(&query[k * L::COUNT..]);
            for (sum, key) in sums.iter_mut().zip(keys) {
                *sum = lanes.fma(query, key, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn write(scores: &mut [f32], four: [f32; 4]) {
    if let Some(scores) = scores.first_chunk_mut() {
        *scores = four;
    }
}
