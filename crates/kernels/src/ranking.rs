//! Losses of rankings, forward and backward: a chosen row of a table against drawn ones, and several chosen classes of
//! one softmax.

use crate::elementary::{Fma, exp_below, with_fma};
use crate::embedding::{numbers, uses};
use crate::fresh;
use crate::gradients::Recorded;
use crate::level::level;
use crate::loss::{Denominator, denominator};
use crate::rows;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Binary cross-entropy of products: `xs` (n, size) with rows of `table` (count, size) that `ids` (n, 1 + k) number, the
/// first of which was chosen and the others were not. The mean over n of `-power ln σ(chosen) - Σ ln (1 - σ(drawn))`, with
/// gradients for both.
///
/// `power` 1 is SASRec's loss; below 1 it is the generalised one of gSASRec (Petrov and Macdonald, 2023), which undoes
/// how much drawing few of many overrates them all.
///
/// # Errors
/// On shapes that do not fit, and ids beyond the table.
pub fn chosen_against_drawn(xs: &Tensor, table: &Tensor, ids: &Tensor, power: f64) -> Result<Tensor> {
    let ((n, size), (count, table_size)) = (xs.dims2()?, table.dims2()?);
    let (rows, width) = ids.dims2()?;
    if size != table_size || n != rows || width == 0 || n == 0 {
        refuse!("{:?} with a table {:?} and ids {:?}", xs.dims(), table.dims(), ids.dims());
    }
    let ids = numbers(ids)?;
    if let Some(id) = ids.iter().find(|&&id| id as usize >= count) {
        refuse!("id {id} is not in a table of {count}");
    }
    if !(rows::own(xs) && rows::own(table)) {
        let ids = Tensor::from_vec(ids, n * width, xs.device())?;
        return composite(xs, &table.index_select(&ids, 0)?.reshape((n, width, size))?, power);
    }
    let op = Chosen { ids, width, power: power as f32, pulls: OnceLock::new() };
    xs.contiguous()?.recorded2(&table.contiguous()?, op)
}

fn composite(xs: &Tensor, rows: &Tensor, power: f64) -> Result<Tensor> {
    let (n, width, _) = rows.dims3()?;
    let logits = rows.broadcast_mul(&xs.unsqueeze(1)?)?.sum(D::Minus1)?;
    // ln (1 + e^x), from the larger of x and 0
    let softplus = |xs: &Tensor| xs.relu()? + (xs.abs()?.neg()?.exp()? + 1.)?.log()?;
    let chosen = (softplus(&logits.narrow(1, 0, 1)?.neg()?)?.sum_all()? * power)?;
    let drawn = softplus(&logits.narrow(1, 1, width - 1)?)?.sum_all()?;
    (chosen + drawn)? / n as f64
}

struct Chosen {
    ids: Vec<u32>,
    width: usize,
    power: f32,
    /// What the loss changes by with each product, from the forward pass for the backward one.
    pulls: OnceLock<Vec<f32>>,
}

const LANES: usize = 16;

/// The sum of `ln (1 + e^x)`; in the place of each x its derivative, `σ(x)`.
#[inline(always)]
fn softplus(m: Fma, xs: &mut [f32]) -> f64 {
    // one logarithm for so many factors of at most 2: their product is below 2^64
    const FACTORS: usize = 64;
    let mut total = 0f64;
    for xs in xs.chunks_mut(LANES * FACTORS) {
        let (mut sums, mut products) = ([0f32; LANES], [1f32; LANES]);
        let mut parts = xs.chunks_exact_mut(LANES);
        for part in &mut parts {
            softplus_of_lanes(m, part, &mut sums, &mut products);
        }
        softplus_of_lanes(m, parts.into_remainder(), &mut sums, &mut products);
        let lanes = sums.iter().zip(products);
        total += lanes.map(|(&sum, product)| f64::from(sum) + f64::from(product).ln()).sum::<f64>();
    }
    total
}

/// Adds to `sums` and multiplies `products` by `1 + e^-|x|`, so that a sum and the logarithm of a product are together
/// [`softplus`].
#[inline(always)]
fn softplus_of_lanes(m: Fma, xs: &mut [f32], sums: &mut [f32; LANES], products: &mut [f32; LANES]) {
    for ((x, sum), product) in xs.iter_mut().zip(sums).zip(products) {
        let e = exp_below(m, -x.abs());
        *sum += x.max(0.);
        *product *= 1. + e;
        *x = if *x < 0. { e } else { 1. } / (1. + e);
    }
}

impl Chosen {
    /// The loss, and its derivative by each product.
    fn computed(&self, xs: &[f32], table: &[f32], size: usize) -> (f32, Vec<f32>) {
        let (width, power) = (self.width, self.power);
        let scale = 1. / (xs.len() / size) as f32;
        let task = |(xs, ids): (&[f32], &[u32])| {
            let mut pulls = vec![0f32; ids.len()];
            let mut total = 0f64;
            with_fma(
                level(),
                #[inline(always)]
                |m| {
                    let places = xs.chunks_exact(size).zip(ids.chunks_exact(width));
                    for ((x, ids), pulls) in places.zip(pulls.chunks_exact_mut(width)) {
                        for (&id, pull) in ids.iter().zip(&mut *pulls) {
                            *pull = dot(m, x, &table[id as usize * size..][..size]);
                        }
                        let (chosen, drawn) = pulls.split_at_mut(1);
                        chosen[0] = -chosen[0];
                        total += f64::from(power) * softplus(m, chosen) + softplus(m, drawn);
                        chosen[0] *= -power;
                        pulls.iter_mut().for_each(|pull| *pull *= scale);
                    }
                },
            );
            (total, pulls)
        };
        // tasks by size alone, so that sums do not depend on the number of threads
        let places = (fresh::TASK / (size * width)).max(1);
        let tasks = xs.chunks(places * size).zip(self.ids.chunks(places * width)).collect();
        let done = fresh::each(tasks, xs.len() * width <= fresh::ALONE, task);
        let total: f64 = done.iter().map(|(total, _)| total).sum();
        let pulls = done.into_iter().flat_map(|(_, pulls)| pulls).collect();
        ((total * f64::from(scale)) as f32, pulls)
    }

    fn pulls(&self, xs: &[f32], table: &[f32], size: usize) -> &[f32] {
        self.pulls.get_or_init(|| self.computed(xs, table, size).1)
    }
}

#[inline(always)]
fn dot(m: Fma, xs: &[f32], ys: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (x_parts, y_parts) = (xs.chunks_exact(LANES), ys.chunks_exact(LANES));
    let rest: f32 = x_parts.remainder().iter().zip(y_parts.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x_parts.zip(y_parts) {
        for lane in 0..LANES {
            lanes[lane] = m.add(x[lane], y[lane], lanes[lane]);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn add_scaled(m: Fma, sum: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(row) {
        *sum = m.add(factor, *x, *sum);
    }
}

impl CustomOp2 for Chosen {
    fn name(&self) -> &'static str {
        "chosen against drawn"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        table: &CpuStorage,
        table_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let size = xs_layout.shape().dims2()?.1;
        let (loss, pulls) =
            self.computed(rows::values(xs, xs_layout)?, rows::values(table, table_layout)?, size);
        self.pulls.get_or_init(|| pulls);
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        table: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (scale, (count, size)) = (grad.to_scalar::<f32>()?, table.dims2()?);
        let (xs_grad, table_grad) = rows::read([xs, table], |[x_values, t_values]| {
            let pulls = self.pulls(x_values, t_values, size);
            let mut xs_grad = vec![0f32; x_values.len()];
            rows::fill(&mut xs_grad, size, |first, rows| {
                with_fma(
                    level(),
                    #[inline(always)]
                    |m| {
                        for (place, sum) in (first..).zip(rows.chunks_exact_mut(size)) {
                            for at in place * self.width..(place + 1) * self.width {
                                let row = &t_values[self.ids[at] as usize * size..][..size];
                                add_scaled(m, sum, scale * pulls[at], row);
                            }
                        }
                    },
                );
            });
            let (starts, places) = uses(&self.ids, 1, count);
            let mut table_grad = vec![0f32; count * size];
            rows::fill(&mut table_grad, size, |first, rows| {
                with_fma(
                    level(),
                    #[inline(always)]
                    |m| {
                        for (id, sum) in (first..).zip(rows.chunks_exact_mut(size)) {
                            for &at in &places[starts[id] as usize..starts[id + 1] as usize] {
                                let row = &x_values[at as usize / self.width * size..][..size];
                                add_scaled(m, sum, scale * pulls[at as usize], row);
                            }
                        }
                    },
                );
            });
            (xs_grad, table_grad)
        })?;
        let xs_grad = Tensor::from_vec(xs_grad, xs.shape(), xs.device())?;
        Ok((Some(xs_grad), Some(Tensor::from_vec(table_grad, table.shape(), table.device())?)))
    }
}

/// Multinomial likelihood (Liang et al., 2018): logits (n, classes), of each row of which `chosen` lists classes. The mean
/// over n of `-Σ ln softmax(chosen)`, with a gradient for the logits.
///
/// # Errors
/// On another number of lists, and classes beyond the logits.
pub fn multinomial(logits: &Tensor, chosen: &[Vec<u32>]) -> Result<Tensor> {
    let (n, classes) = logits.dims2()?;
    if n != chosen.len() || n == 0 {
        refuse!("{} lists of classes for logits {:?}", chosen.len(), logits.dims());
    }
    if let Some(class) = chosen.iter().flatten().find(|&&class| class as usize >= classes) {
        refuse!("class {class} is not below {classes}");
    }
    if !rows::own(logits) {
        let mut counts = vec![0f32; n * classes];
        for (row, list) in chosen.iter().enumerate() {
            list.iter().for_each(|&class| counts[row * classes + class as usize] += 1.);
        }
        let counts = Tensor::from_vec(counts, (n, classes), logits.device())?.to_dtype(logits.dtype())?;
        return (crate::softmax::log_softmax(logits)? * counts)?.sum_all()? / -(n as f64);
    }
    logits.contiguous()?.recorded1(Multinomial { chosen: chosen.to_vec(), softmax: OnceLock::new() })
}

struct Multinomial {
    chosen: Vec<Vec<u32>>,
    softmax: OnceLock<Vec<Denominator>>,
}

impl Multinomial {
    fn softmax(&self, logits: &[f32]) -> &[Denominator] {
        let classes = logits.len() / self.chosen.len();
        let of_rows = || logits.par_chunks(classes).map(|row| denominator(level(), row)).collect();
        self.softmax.get_or_init(of_rows)
    }
}

impl CustomOp1 for Multinomial {
    fn name(&self) -> &'static str {
        "multinomial"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = rows::values(logits, layout)?;
        let classes = logits.len() / self.chosen.len();
        let rows = self.chosen.iter().zip(self.softmax(logits)).zip(logits.chunks(classes));
        let loss = |((list, (top, sum)), row): ((&Vec<u32>, &Denominator), &[f32])| {
            list.iter().map(|&class| f64::from(sum.ln() + (top - row[class as usize]))).sum::<f64>()
        };
        let total: f64 = rows.map(loss).sum();
        Ok((CpuStorage::F32(vec![(total / self.chosen.len() as f64) as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let classes = logits.dim(1)?;
        let scale = grad.to_scalar::<f32>()? / self.chosen.len() as f32;
        let out = rows::read([logits], |[logits]| {
            let softmax = self.softmax(logits);
            let ([out], _) = fresh::rows(
                level(),
                (self.chosen.len(), classes),
                || (),
                #[inline(always)]
                |m, row, [out], _| {
                    let (list, (top, sum)) = (&self.chosen[row], softmax[row]);
                    let factor = scale * list.len() as f32 / sum;
                    let out = out.write(
                        [&logits[row * classes..]],
                        #[inline(always)]
                        |[x]| exp_below(m, x - top) * factor,
                    );
                    list.iter().for_each(|&class| out[class as usize] -= scale);
                },
            );
            out
        })?;
        Tensor::from_vec(out, logits.shape(), logits.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{compare, random};
    use candle_core::Device;

    #[test]
    fn the_loss_of_drawn_rows_and_its_gradients_equal_the_composite() -> Result<()> {
        for (n, count, size, width, power) in
            [(1, 1, 1, 1, 1.), (7, 9, 50, 2, 1.), (300, 40, 33, 9, 0.3), (3, 40, 16, 1100, 0.3)]
        {
            let (xs, table) = (random((n, size), 1)?, random((count, size), 2)?);
            let ids: Vec<u32> = (0..n * width).map(|i| (i * i % count) as u32).collect();
            let ids = Tensor::from_vec(ids, (n, width), &Device::Cpu)?;
            let own = || chosen_against_drawn(&xs, &table, &ids, power);
            let rows = || table.index_select(&ids.flatten_all()?, 0)?.reshape((n, width, size));
            compare(&[&xs, &table], own, || composite(&xs, &rows()?, power))?;
        }
        Ok(())
    }

    #[test]
    fn several_classes_and_their_gradients_equal_the_composite() -> Result<()> {
        for (n, classes) in [(1, 1), (3, 700), (40, 33)] {
            let logits = random((n, classes), 1)?;
            let list = |row: usize| (0..row % 3 + 1).map(|i| (i * 7 % classes) as u32).collect();
            let chosen: Vec<Vec<u32>> = (0..n).map(list).collect();
            let mut counts = vec![0f32; n * classes];
            for (row, list) in chosen.iter().enumerate() {
                list.iter().for_each(|&class| counts[row * classes + class as usize] += 1.);
            }
            let counts = Tensor::from_vec(counts, (n, classes), &Device::Cpu)?;
            let plain = || (crate::softmax::log_softmax(&logits)? * &counts)?.sum_all()? / -(n as f64);
            compare(&[&logits], || multinomial(&logits, &chosen), plain)?;
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() -> Result<()> {
        let (xs, table) = (random((2, 3), 1)?, random((4, 3), 2)?);
        let ids = |values: [[u32; 2]; 2]| Tensor::new(&values, &Device::Cpu);
        assert!(chosen_against_drawn(&xs, &table, &ids([[0, 1], [2, 4]])?, 1.).is_err());
        assert!(chosen_against_drawn(&xs, &table, &ids([[0, 1], [2, 3]])?.narrow(0, 0, 1)?, 1.).is_err());
        assert!(multinomial(&xs, &[vec![0]]).is_err());
        assert!(multinomial(&xs, &[vec![0], vec![3]]).is_err());
        Ok(())
    }
}
