//! The gradients of attention: scores once more, tile by tile, from each query's saved sum.

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
    let task = |i: usize| {
        let (batch, kv_head) = (i / kv_heads, i % kv_heads);
        let mut pair = Pair::new(problem, level, batch, kv_head);
        for member in 0..problem.sizes.group() {
            let head = kv_head * problem.sizes.group() + member;
            for first in (0..time).step_by(QUERIES) {
                pair.tile_of_queries(head, first, [out, grad], log_sums, &q_grad);
            }
        }
        pair.k_sums.iter_mut().for_each(|x| *x *= problem.settings.scale);
        for (sums, size, target) in [(&pair.k_sums, size, &k_grad), (&pair.v_sums, v_size, &v_grad)] {
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
    };
    (0..batch * kv_heads).into_par_iter().for_each(task);
    grads
}

/// One key and value head, laid out for the products in blocks of keys, and the sums of its gradients.
struct Pair<'a> {
    problem: &'a Problem<'a>,
    level: Level,
    batch: usize,
    turned_keys: Vec<f32>,
    turned_values: Vec<f32>,
    keys: Vec<f32>,
    k_sums: Vec<f32>,
    v_sums: Vec<f32>,
}

impl<'a> Pair<'a> {
    fn new(problem: &'a Problem<'a>, level: Level, batch: usize, kv_head: usize) -> Self {
        let Sizes { positions, size, v_size, .. } = problem.sizes;
        let rows = positions.next_multiple_of(KEYS);
        let (k_width, v_width) = (paneled(level, size), paneled(level, v_size));
        let mut turned_keys = vec![0f32; rows * size];
        let mut turned_values = vec![0f32; rows * v_size];
        let mut keys = vec![0f32; rows * k_width];
        let (k, v) = (problem.k.head(batch, kv_head), problem.v.head(batch, kv_head));
        heads::keys(level, &k, (0, positions), &mut turned_keys);
        heads::keys(level, &v, (0, positions), &mut turned_values);
        for (block, out) in keys.chunks_exact_mut(KEYS * k_width).enumerate() {
            let first = block * KEYS;
            heads::values(level, &k, (first, KEYS.min(positions - first)), out);
        }
        let (k_sums, v_sums) = (vec![0f32; rows * k_width], vec![0f32; rows * v_width]);
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
        let queries = Side::new(level, &problem.q, (self.batch, head), (first, rows), problem.factor());
        let grads = Side::new(level, grad, (self.batch, head), (first, rows), 1.);
        let means = means(level, [out, grad], (self.batch, head), (first, rows));
        let log_sums = &log_sums[(self.batch * heads + head) * time + first..][..rows];

        let mut q_sums = vec![0f32; rows * k_width];
        let mut scores = vec![0f32; rows * ROW];
        let mut slopes = vec![0f32; rows * ROW];
        let mut is_first = true;
        for block in problem.blocks(first, rows) {
            let sight = problem.sight(first, block);
            let [of_keys, of_values] =
                [size, v_size].map(|size| block * KEYS * size..(block + 1) * KEYS * size);
            score(level, &queries.turned, &self.turned_keys[of_keys], &mut scores, sight, (rows, size));
            problem.adjust(level, &mut scores, (self.batch, head), (first, block * KEYS), sight);
            score(level, &grads.turned, &self.turned_values[of_values], &mut slopes, sight, (rows, v_size));
            let work = Slopes { scores: &mut scores, grads: &mut slopes, log_sums, means: &means, sight };
            lanes::run(level, work);

            let v_sums = &mut self.v_sums[block * KEYS * v_width..][..KEYS * v_width];
            turned_product(level, &scores, &grads, v_sums, sight, (rows, v_size));
            let k_sums = &mut self.k_sums[block * KEYS * k_width..][..KEYS * k_width];
            turned_product(level, &slopes, &queries, k_sums, sight, (rows, size));
            let count = lanes::count(level);
            let product = Product::<false> {
                a: &slopes,
                a_row: ROW,
                b: &self.keys[block * KEYS * k_width..][..KEYS * k_width],
                b_row: 2 * count,
                b_panel: KEYS * 2 * count,
                c: &mut q_sums,
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
        q_sums.iter_mut().for_each(|x| *x *= problem.settings.scale);
        for (i, row) in q_sums.chunks_exact(k_width).enumerate() {
            let start = ((self.batch * time + first + i) * heads + head) * size;
            // SAFETY: a head's queries are one task's alone.
            #[allow(unsafe_code)]
            unsafe {
                q_grad.write(start, &row[..size]);
            }
        }
    }
}

/// A tile of queries, or of the result's gradient, for both sides of products.
struct Side {
    turned: Vec<f32>,
    panels: Vec<f32>,
}

impl Side {
    fn new(
        level: Level,
        of: &Heads,
        (batch, head): (usize, usize),
        range: (usize, usize),
        factor: f32,
    ) -> Self {
        let head = of.head(batch, head);
        let mut turned = vec![0f32; QUERIES * of.size];
        heads::queries(&head, range, factor, &mut turned);
        let mut rows = vec![0f32; QUERIES * paneled(level, of.size)];
        panels(&head, range, 2 * lanes::count(level), QUERIES, &mut rows);
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
        b: &side.panels,
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
fn means(
    level: Level,
    tensors: [&Heads; 2],
    (batch, head): (usize, usize),
    (first, rows): (usize, usize),
) -> Vec<f32> {
    let heads = tensors.map(|tensor| tensor.head(batch, head));
    let mut pair = tensors.map(|tensor| vec![0f32; tensor.size]);
    let mean = |i: usize| {
        heads.iter().zip(&mut pair).for_each(|(head, row)| head.read(first + i, row));
        let [out, grad] = &pair;
        compiled(
            level,
            #[inline(always)]
            || rows::sum2(out, grad, |x, y| x * y),
        )
    };
    (0..rows).map(mean).collect()
}
