//! What is done to a tile of scores while it is in the nearest caches: products, and the softmax in steps.

use super::lanes::{Lanes, Work, exp2, exp2_one};

/// Queries in a tile; divisible by the rows that the products take at a time.
pub const QUERIES: usize = 96;
/// Keys in a tile; divisible by twice the values of any register.
pub const KEYS: usize = 128;
/// Distance between the rows of a tile of scores: more than its keys, so that rows do not share a cache set.
pub const ROW: usize = KEYS + 16;

/// Further than any position.
pub const FAR: isize = isize::MAX / 4;

/// The keys of a tile that its rows see: row `i` those from `low + i` up to before `high + i`.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    pub low: isize,
    pub high: isize,
    /// Keys in the tile.
    pub width: usize,
}

impl Sight {
    /// First and one after last of the keys that a row sees.
    #[inline(always)]
    pub fn row(&self, row: usize) -> (usize, usize) {
        let within = |x: isize| (x + row as isize).clamp(0, self.width as isize) as usize;
        let high = within(self.high);
        (within(self.low).min(high), high)
    }
}

/// Which terms of a product need not be computed, as the tile's upper bound of sight says.
#[derive(Clone, Copy)]
pub enum Skip {
    Nothing,
    /// Row `i` needs only the columns before `i` plus this: scores.
    Columns(isize),
    /// Row `i` needs only the terms before `i` plus this: weights times values.
    Last(isize),
    /// Row `j` needs only the terms `i` for which `j` is before `i` plus this: turned weights times anything.
    First(isize),
}

/// `c = a b`, or `c += a b`, for `rows` rows, `depth` terms and a number of registers side by side. Where `TURNED`,
/// value (i, k) of `a` lies at `k a_row + i`, else at `i ROW + k`. Columns of `b` come in panels of two registers:
/// value (k, j) of a panel lies at `k b_row + j`.
pub struct Product<'a, const TURNED: bool> {
    pub a: &'a [f32],
    pub a_row: usize,
    pub b: &'a [f32],
    pub b_row: usize,
    /// Distance between the panels of `b`.
    pub b_panel: usize,
    pub c: &'a mut [f32],
    pub c_row: usize,
    pub rows: usize,
    pub depth: usize,
    pub registers: usize,
    pub skip: Skip,
    pub add: bool,
}

impl<const TURNED: bool> Product<'_, TURNED> {
    // the terms for some rows; none where the rows do not need the columns from `column` on
    #[inline(always)]
    fn terms(&self, row: usize, rows: usize, column: usize) -> Option<(usize, usize)> {
        let bounded = |x: isize| x.clamp(0, self.depth as isize) as usize;
        let last = (row + rows) as isize - 1;
        match self.skip {
            Skip::Nothing => Some((0, self.depth)),
            Skip::Columns(edge) => (edge + last > column as isize).then_some((0, self.depth)),
            Skip::Last(edge) => Some((0, bounded(edge + last))),
            Skip::First(edge) => Some((bounded(row as isize - edge + 1), self.depth)),
        }
    }
}

impl<const TURNED: bool> Work for Product<'_, TURNED> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) {
        for panel in 0..self.registers.div_ceil(2) {
            let both = self.registers - 2 * panel > 1;
            let mut row = 0;
            while row < self.rows {
                let left = self.rows - row;
                row += match both {
                    true if L::MANY && left >= 12 => block::<L, 12, 2, TURNED>(lanes, &mut self, row, panel),
                    true if L::MANY && left >= 8 => block::<L, 8, 2, TURNED>(lanes, &mut self, row, panel),
                    true if !L::MANY && left >= 6 => block::<L, 6, 2, TURNED>(lanes, &mut self, row, panel),
                    true if left >= 4 => block::<L, 4, 2, TURNED>(lanes, &mut self, row, panel),
                    true if left >= 2 => block::<L, 2, 2, TURNED>(lanes, &mut self, row, panel),
                    true => block::<L, 1, 2, TURNED>(lanes, &mut self, row, panel),
                    false if left >= 12 => block::<L, 12, 1, TURNED>(lanes, &mut self, row, panel),
                    false if left >= 4 => block::<L, 4, 1, TURNED>(lanes, &mut self, row, panel),
                    false => block::<L, 1, 1, TURNED>(lanes, &mut self, row, panel),
                };
            }
        }
    }
}

// some rows of a panel; gives their number
#[inline(always)]
fn block<L: Lanes, const ROWS: usize, const WIDE: usize, const TURNED: bool>(
    lanes: L,
    p: &mut Product<'_, TURNED>,
    row: usize,
    panel: usize,
) -> usize {
    let column = panel * 2 * L::COUNT;
    let Some((first, end)) = p.terms(row, ROWS, column) else { return ROWS };
    let depth = end.saturating_sub(first);
    let mut sums = [[lanes.splat(0.); WIDE]; ROWS];
    if depth > 0 {
        let b = &p.b[panel * p.b_panel + first * p.b_row..];
        let b = b.chunks(p.b_row).take(depth);
        if TURNED {
            let a = p.a[first * p.a_row..].chunks(p.a_row);
            for (a, b) in a.zip(b) {
                add_terms(lanes, &mut sums, b, a[row..row + ROWS].iter().copied());
            }
        } else {
            let a: [&[f32]; ROWS] = std::array::from_fn(|i| &p.a[(row + i) * ROW + first..][..depth]);
            for (k, b) in (0..depth).zip(b) {
                add_terms(lanes, &mut sums, b, a.iter().map(|a| a[k]));
            }
        }
    }
    let c = &mut p.c[row * p.c_row + column..][..(ROWS - 1) * p.c_row + WIDE * L::COUNT];
    if p.add {
        for i in 0..ROWS {
            add_row(lanes, &mut sums[i], &c[i * p.c_row..][..WIDE * L::COUNT]);
        }
    }
    for i in 0..ROWS {
        store_row(lanes, &sums[i], &mut c[i * p.c_row..][..WIDE * L::COUNT]);
    }
    ROWS
}

#[inline(always)]
fn add_terms<L: Lanes, const ROWS: usize, const WIDE: usize>(
    lanes: L,
    sums: &mut [[L::V; WIDE]; ROWS],
    b: &[f32],
    a: impl Iterator<Item = f32>,
) {
    let b = &b[..WIDE * L::COUNT];
    let b: [L::V; WIDE] = std::array::from_fn(
        #[inline(always)]
        |j| lanes.load(&b[j * L::COUNT..]),
    );
    for (sums, a) in sums.iter_mut().zip(a) {
        let a = lanes.splat(a);
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = lanes.fma(a, b, *sum);
        }
    }
}

#[inline(always)]
fn add_row<L: Lanes, const WIDE: usize>(lanes: L, sums: &mut [L::V; WIDE], row: &[f32]) {
    for (j, sum) in sums.iter_mut().enumerate() {
        *sum = lanes.add(*sum, lanes.load(&row[j * L::COUNT..]));
    }
}

#[inline(always)]
fn store_row<L: Lanes, const WIDE: usize>(lanes: L, sums: &[L::V; WIDE], row: &mut [f32]) {
    for (j, sum) in sums.iter().enumerate() {
        lanes.store(&mut row[j * L::COUNT..], *sum);
    }
}

/// Turns scores in powers of two, rows of [`ROW`], into weights without their common factor; hidden keys get zero.
/// Keeps the running largest score and sum of each row, and lowers what was summed before (Milakov and Gimelshein,
/// 2018; Dao et al., 2022).
pub struct Softmax<'a> {
    pub scores: &'a mut [f32],
    pub largest: &'a mut [f32],
    pub sums: &'a mut [f32],
    /// Weighted values so far, one row after the other.
    pub out: &'a mut [f32],
    pub out_row: usize,
    pub sight: Sight,
    /// Whether nothing was summed before.
    pub first: bool,
}

impl Work for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let end = self.sight.width.next_multiple_of(L::COUNT);
        let state = self.largest.iter_mut().zip(self.sums.iter_mut());
        let rows = self.scores.chunks_mut(ROW).zip(self.out.chunks_mut(self.out_row));
        for (i, ((scores, out), (largest, sum))) in rows.zip(state).enumerate() {
            let (low, high) = self.sight.row(i);
            let seen = high.next_multiple_of(L::COUNT);
            scores[..low].fill(f32::NEG_INFINITY);
            scores[high..seen].fill(f32::NEG_INFINITY);
            scores[seen..end].fill(0.);
            if seen == 0 {
                continue;
            }
            let scores = &mut scores[..seen];
            let now = largest_of(lanes, scores).max(*largest);
            // where all is minus infinity, its difference to itself would be NaN
            let base = if now == f32::NEG_INFINITY { 0. } else { now };
            let factor = exp2_one(lanes, *largest - base);
            *largest = now;
            *sum = *sum * factor + powers(lanes, scores, base);
            if !self.first && factor != 1. {
                let factor = lanes.splat(factor);
                for out in out.chunks_exact_mut(L::COUNT) {
                    lanes.store(out, lanes.mul(lanes.load(out), factor));
                }
            }
        }
    }
}

#[inline(always)]
fn largest_of<L: Lanes>(lanes: L, xs: &[f32]) -> f32 {
    let mut four = [lanes.splat(f32::NEG_INFINITY); 4];
    let chunks = xs.chunks_exact(4 * L::COUNT);
    for chunk in chunks.remainder().chunks_exact(L::COUNT) {
        four[0] = lanes.max(four[0], lanes.load(chunk));
    }
    for chunk in chunks {
        for (i, largest) in four.iter_mut().enumerate() {
            *largest = lanes.max(*largest, lanes.load(&chunk[i * L::COUNT..]));
        }
    }
    lanes.largest(lanes.max(lanes.max(four[0], four[1]), lanes.max(four[2], four[3])))
}

// x becomes 2^(x - base); gives the sum
#[inline(always)]
fn powers<L: Lanes>(lanes: L, xs: &mut [f32], base: f32) -> f32 {
    let base = lanes.splat(base);
    let mut sums = [lanes.splat(0.); 2];
    let mut chunks = xs.chunks_exact_mut(2 * L::COUNT);
    for chunk in &mut chunks {
        for (x, sum) in chunk.chunks_exact_mut(L::COUNT).zip(&mut sums) {
            let e = exp2(lanes, lanes.sub(lanes.load(x), base));
            lanes.store(x, e);
            *sum = lanes.add(*sum, e);
        }
    }
    for x in chunks.into_remainder().chunks_exact_mut(L::COUNT) {
        let e = exp2(lanes, lanes.sub(lanes.load(x), base));
        lanes.store(x, e);
        sums[0] = lanes.add(sums[0], e);
    }
    lanes.sum(lanes.add(sums[0], sums[1]))
}

/// From scores in powers of two and the gradient of the weights, rows of [`ROW`], to the weights and the gradient of
/// the scores, in place.
pub struct Slopes<'a> {
    pub scores: &'a mut [f32],
    pub grads: &'a mut [f32],
    /// The logarithm to base two of each row's sum of powers.
    pub log_sums: &'a [f32],
    /// The sum over keys of weight times its gradient, for each row.
    pub means: &'a [f32],
    pub sight: Sight,
}

impl Work for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let end = self.sight.width.next_multiple_of(L::COUNT);
        let rows = self.scores.chunks_mut(ROW).zip(self.grads.chunks_mut(ROW));
        for (i, ((scores, grads), (log_sum, mean))) in
            rows.zip(self.log_sums.iter().zip(self.means)).enumerate()
        {
            let (low, high) = self.sight.row(i);
            let seen = high.next_multiple_of(L::COUNT);
            scores[..low].fill(f32::NEG_INFINITY);
            scores[high..seen].fill(f32::NEG_INFINITY);
            scores[seen..end].fill(0.);
            grads[seen..end].fill(0.);
            let (log_sum, mean) = (lanes.splat(*log_sum), lanes.splat(*mean));
            let (scores, grads) = (&mut scores[..seen], &mut grads[..seen]);
            for (score, grad) in scores.chunks_exact_mut(L::COUNT).zip(grads.chunks_exact_mut(L::COUNT)) {
                let weight = exp2(lanes, lanes.sub(lanes.load(score), log_sum));
                lanes.store(score, weight);
                lanes.store(grad, lanes.mul(weight, lanes.sub(lanes.load(grad), mean)));
            }
        }
    }
}
