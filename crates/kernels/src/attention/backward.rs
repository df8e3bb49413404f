//! The gradients of attention: scores once more, tile by tile, from each query's saved sum.

use super::buffer;
use super::forward::score;
use super::heads::{self, Heads, paneled, panels};
use super::lanes;
use super::problem::{Problem, Sizes, Target};
use super::tile::{KEYS, Product, QUERIES, ROW, Sight, Skip, Slopes};
use crate::level::{Level, compiled};
use crate::rows;
use rayon::prelude::*;

/// The gradients of queries, keys and values, each contiguous in the shape of its operand, from the result `out`,
/// its gradient, and what [`super::forward::forward`] saved. A task is a key and value head with all its queries,
/// which add to the same gradients.
pub fn backward(
    problem: &Problem,
    level: Level,
    out: &Heads,
    grad: &Heads,
    log_sums: &[f32],
) -> [Vec<f32>; 3] {
    let Sizes { batch, time, heads, kv_heads, positions, size, v_size } = problem.sizes;
    let mut grads = [
        vec![0f32; batch * time * heads * size],
        vec![0f32; batch * positions * kv_heads * size],
        vec![0f32; batch * positions * kv_heads * v_size],
    ];
    let [q_grad, k_grad, v_grad] = &mut grads;
    let [q_grad, k_grad, v_grad] = [Target::new(q_grad), Target::new(k_grad), Target::new(v_grad)];
    let padded = positions.next_multiple_of(KEYS);
    let (k_width, v_width) = (paneled(level, size), paneled(level, v_size));
    let lens = [size, v_size, k_width, k_width, v_width].map(|width| padded * width);
    let task = |i: usize| {
        let (batch, kv_head) = (i / kv_heads, i % kv_heads);
        buffer::with(lens, |memory| {
            let mut pair = Pair::new(problem, level, (batch, kv_head), memory);
            for member in 0..problem.sizes.group() {
                let head = kv_head * problem.sizes.group() + member;
                for first in (0..time).step_by(QUERIES) {
                    pair.tile_of_queries(head, first, [out, grad], log_sums, &q_grad);
                }
            }
            pair.k_sums.iter_mut().for_each(|x| *x *= problem.settings.scale);
            for (sums, size, target) in [(&*pair.k_sums, size, &k_grad), (&*pair.v_sums, v_size, &v_grad)] {
                let rows = sums.chunks_exact(paneled(level, size)).take(positions);
                for (i, row) in rows.enumerate() {
                    let start = ((batch * positions + i) * kv_heads + kv_head) * size;
                    // SAFETY: a key and value head is one task's alone.
                    #[allow(unsafe_code)]
                    unsafe {
                        target.write(start, &row[..size]);
                    }
                }
            }
        });
    };
    match problem.is_small() {
        true => (0..batch * kv_heads).for_each(task),
        false => (0..batch * kv_heads).into_par_iter().for_each(task),
    }
    grads
}

/// One key and value head, laid out for the products in blocks of keys, and the sums of its gradients.
struct Pair<'a> {
    problem: &'a Problem<'a>,
    level: Level,
    batch: usize,
    turned_keys: &'a [f32],
    turned_values: &'a [f32],
    keys: &'a [f32],
    k_sums: &'a mut [f32],
    v_sums: &'a mut [f32],
}

impl<'a> Pair<'a> {
    fn new(
        problem: &'a Problem<'a>,
        level: Level,
        (batch, kv_head): (usize, usize),
        [turned_keys, turned_values, keys, k_sums, v_sums]: [&'a mut [f32]; 5],
    ) -> Self {
        let Sizes { positions, .. } = problem.sizes;
        let (k, v) = (problem.k.head(batch, kv_head), problem.v.head(batch, kv_head));
        heads::keys(level, &k, (0, positions), turned_keys);
        heads::keys(level, &v, (0, positions), turned_values);
        for (block, out) in keys.chunks_exact_mut(KEYS * paneled(level, k.size)).enumerate() {
            let first = block * KEYS;
            heads::values(level, &k, (first, KEYS.min(positions - first)), out);
        }
        k_sums.fill(0.);
        v_sums.fill(0.);
        Self { problem, level, batch, turned_keys, turned_values, keys, k_sums, v_sums }
    }

    fn tile_of_queries(
        &mut self,
        head: usize,
        first: usize,
        [out, grad]: [&Heads; 2],
        log_sums: &[f32],
        q_grad: &Target,
    ) {
        let (problem, level) = (self.problem, self.level);
        let Sizes { time, heads, size, v_size, .. } = problem.sizes;
        let (k_width, v_width) = (paneled(level, size), paneled(level, v_size));
        let rows = QUERIES.min(time - first);
        let place = (self.batch, head);
        let log_sums = &log_sums[(self.batch * heads + head) * time + first..][..rows];
        let count = lanes::count(level);
        let lens = [
            QUERIES * (size + k_width),
            QUERIES * (v_size + v_width),
            rows * k_width,
            rows * ROW,
            rows * ROW,
            rows,
        ];
        buffer::with(lens, |[queries, grads, q_sums, scores, slopes, means]| {
            let queries = Side::new(level, &problem.q, place, (first, rows), problem.factor(), queries);
            let grads = Side::new(level, grad, place, (first, rows), 1., grads);
            fill_means(level, [out, grad], place, first, means);
            q_sums.fill(0.);
            let mut is_first = true;
            for block in problem.blocks(first, rows) {
                let sight = problem.sight(first, block);
                let [k, v] = [size, v_size].map(|size| block * KEYS * size..(block + 1) * KEYS * size);
                let edge = (sight, Some(sight.high));
                score(level, queries.turned, &self.turned_keys[k], scores, (rows, size), edge);
                let at = (first, block * KEYS);
                problem.adjust(level, scores, place, at, sight);
                score(level, grads.turned, &self.turned_values[v], slopes, (rows, v_size), edge);
                problem.drop(level, slopes, place, at, sight);
                let (weights, grads_of_weights) = (&mut *scores, &mut *slopes);
                lanes::run(
                    level,
                    Slopes { scores: weights, grads: grads_of_weights, log_sums, means, sight },
                );
                problem.drop(level, scores, place, at, sight);

                let v_sums = &mut self.v_sums[block * KEYS * v_width..][..KEYS * v_width];
                turned_product(level, scores, &grads, v_sums, sight, (rows, v_size));
                let k_sums = &mut self.k_sums[block * KEYS * k_width..][..KEYS * k_width];
                turned_product(level, slopes, &queries, k_sums, sight, (rows, size));
                let product = Product::<false> {
                    a: slopes,
                    a_row: ROW,
                    b: &self.keys[block * KEYS * k_width..][..KEYS * k_width],
                    b_row: 2 * count,
                    b_panel: KEYS * 2 * count,
                    c: q_sums,
                    c_row: k_width,
                    rows,
                    depth: sight.width,
                    registers: size.div_ceil(count),
                    skip: Skip::Last(sight.high),
                    add: !is_first,
                };
                lanes::run(level, product);
                is_first = false;
            }
            for (i, row) in q_sums.chunks_exact_mut(k_width).enumerate() {
                let start = ((self.batch * time + first + i) * heads + head) * size;
                row.iter_mut().for_each(|x| *x *= problem.settings.scale);
                // SAFETY: a head's queries are one task's alone.
                #[allow(unsafe_code)]
                unsafe {
                    q_grad.write(start, &row[..size]);
                }
            }
        });
    }
}

/// A tile of queries, or of the result's gradient, for both sides of products.
struct Side<'a> {
    turned: &'a [f32],
    panels: &'a [f32],
}

impl<'a> Side<'a> {
    fn new(
        level: Level,
        of: &Heads,
        (batch, head): (usize, usize),
        range: (usize, usize),
        factor: f32,
        memory: &'a mut [f32],
    ) -> Self {
        let head = of.head(batch, head);
        let (turned, rows) = memory.split_at_mut(QUERIES * of.size);
        heads::queries(level, &head, range, 0, factor, turned);
        panels(&head, range, 2 * lanes::count(level), QUERIES, rows);
        Self { turned, panels: rows }
    }
}

// adds the product of a turned tile with what its queries have to the sums of a block of keys
fn turned_product(
    level: Level,
    tile: &[f32],
    side: &Side,
    sums: &mut [f32],
    sight: Sight,
    (rows, size): (usize, usize),
) {
    let count = lanes::count(level);
    let product = Product::<true> {
        a: tile,
        a_row: ROW,
        b: side.panels,
        b_row: 2 * count,
        b_panel: QUERIES * 2 * count,
        c: sums,
        c_row: paneled(level, size),
        rows: sight.width,
        depth: rows,
        registers: size.div_ceil(count),
        skip: Skip::First(sight.high),
        add: true,
    };
    lanes::run(level, product);
}

// the sums over the result's values times their gradient, which are those over the weights times theirs
fn fill_means(
    level: Level,
    tensors: [&Heads; 2],
    (batch, head): (usize, usize),
    first: usize,
    means: &mut [f32],
) {
    let heads = tensors.map(|tensor| tensor.head(batch, head));
    let size = tensors[0].size;
    buffer::with([size, size], |[out, grad]| {
        for (i, mean) in means.iter_mut().enumerate() {
            heads[0].read(first + i, out);
            heads[1].read(first + i, grad);
            *mean = compiled(
                level,
                #[inline(always)]
                || rows::sum2(out, grad, |x, y| x * y),
            );
        }
    });
}
