//! Depthwise convolution along the rows of sequences that lie one after the other: each channel has its own taps, and no
//! sequence sees its neighbours. Sequences of any lengths make one batch without padding.

use crate::elementary::Fma;
use crate::fresh;
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

/// `xs` (rows, channels) of sequences with these `lengths`, whose sum is the number of rows; `weight` (taps, channels),
/// an odd number of taps, the middle one at its own row; `bias` (channels). What lies beyond a sequence's ends is zero.
///
/// # Errors
/// On shapes that do not fit.
pub fn depthwise(xs: &Tensor, weight: &Tensor, bias: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let ((count, channels), (taps, width)) = (xs.dims2()?, weight.dims2()?);
    if width != channels || bias.dims() != [channels] || taps % 2 == 0 {
        refuse!("{channels} channels beside a weight of {:?} and a bias of {:?}", weight.dims(), bias.dims());
    }
    if lengths.iter().sum::<usize>() != count {
        refuse!("{count} rows for sequences of {} in all", lengths.iter().sum::<usize>());
    }
    let op = Depthwise { taps, bounds: bounds(lengths) };
    if !(rows::own(xs) && rows::own(weight) && rows::own(bias)) {
        return op.composite(xs, weight, bias);
    }
    xs.contiguous()?.recorded3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// For each row where its sequence begins and ends.
fn bounds(lengths: &[usize]) -> Vec<[usize; 2]> {
    let mut bounds = Vec::with_capacity(lengths.iter().sum());
    for &length in lengths {
        let first = bounds.len();
        bounds.extend(std::iter::repeat_n([first, first + length], length));
    }
    bounds
}

struct Depthwise {
    taps: usize,
    bounds: Vec<[usize; 2]>,
}

impl Depthwise {
    /// The taps that meet a row of the same sequence, each with that row; `back` turns them round.
    #[inline(always)]
    fn met(&self, row: usize, back: bool) -> impl Iterator<Item = (usize, usize)> {
        let ([first, end], half) = (self.bounds[row], self.taps / 2);
        let rows = row.saturating_sub(half).max(first)..(row + half + 1).min(end);
        rows.map(move |other| (if back { row + half - other } else { other + half - row }, other))
    }

    fn sums(&self, level: Level, [xs, weight, bias]: [&[f32]; 3]) -> Vec<f32> {
        let channels = bias.len();
        let ([ys], _) = fresh::rows(
            level,
            (self.bounds.len(), channels),
            || (),
            #[inline(always)]
            |m, row, [y], _| {
                let y = y.write(
                    [bias],
                    #[inline(always)]
                    |[bias]| bias,
                );
                self.add(m, row, false, [xs, weight], y);
            },
        );
        ys
    }

    /// Adds to a row what its taps meet, turned round where `back`.
    #[inline(always)]
    fn add(&self, m: Fma, row: usize, back: bool, [xs, weight]: [&[f32]; 2], y: &mut [f32]) {
        let channels = y.len();
        for (tap, other) in self.met(row, back) {
            let (w, x) = (&weight[tap * channels..][..channels], &xs[other * channels..][..channels]);
            for ((y, w), x) in y.iter_mut().zip(w).zip(x) {
                *y = m.add(*w, *x, *y);
            }
        }
    }

    /// The gradients of the input, and, where `trained`, of the weight with that of the bias behind it.
    fn gradients(
        &self,
        level: Level,
        [xs, weight, grad]: [&[f32]; 3],
        channels: usize,
        trained: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let size = if trained { (self.taps + 1) * channels } else { 0 };
        let ([xs_grad], parts) = fresh::rows(
            level,
            (self.bounds.len(), channels),
            || vec![0f32; size],
            #[inline(always)]
            |m, row, [out], part: &mut Vec<f32>| {
                let g = &grad[row * channels..][..channels];
                let out = out.write(
                    [g],
                    #[inline(always)]
                    |_| 0.,
                );
                self.add(m, row, true, [grad, weight], out);
                if trained {
                    let (taps, bias) = part.split_at_mut(self.taps * channels);
                    bias.iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
                    for (tap, other) in self.met(row, false) {
                        let x = &xs[other * channels..][..channels];
                        for ((sum, x), g) in taps[tap * channels..][..channels].iter_mut().zip(x).zip(g) {
                            *sum = m.add(*x, *g, *sum);
                        }
                    }
                }
            },
        );
        let mut total = vec![0f32; size];
        for part in parts {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        (xs_grad, total)
    }

    fn composite(&self, xs: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (count, channels) = xs.dims2()?;
        // a row of zeros stands for what lies beyond the ends
        let zero = Tensor::zeros((1, channels), xs.dtype(), xs.device())?;
        let padded = Tensor::cat(&[xs, &zero], 0)?;
        let met = |tap: usize, row: usize| self.met(row, false).find(|(met, _)| *met == tap);
        let row = |tap: usize| move |row: usize| met(tap, row).map_or(count, |(_, other)| other) as u32;
        let ids = (0..self.taps).map(|tap| (0..count).map(row(tap)).collect::<Vec<u32>>());
        let start = bias.unsqueeze(0)?.broadcast_as((count, channels))?;
        ids.enumerate().try_fold(start, |sum, (tap, ids)| {
            let met = padded.index_select(&Tensor::from_vec(ids, count, xs.device())?, 0)?;
            sum + met.broadcast_mul(&weight.get(tap)?)?
        })
    }
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = [
            rows::values(xs, xs_layout)?,
            rows::values(weight, weight_layout)?,
            rows::values(bias, bias_layout)?,
        ];
        Ok((CpuStorage::F32(self.sums(level(), inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (channels, trained) = (bias.elem_count(), weight.track_op() || bias.track_op());
        let inputs = [xs, weight, &grad.contiguous()?];
        let (xs_grad, mut weight_grad) =
            rows::read(inputs, |inputs| self.gradients(level(), inputs, channels, trained))?;
        let xs_grad = Tensor::from_vec(xs_grad, xs.shape(), xs.device())?;
        if !trained {
            return Ok((Some(xs_grad), None, None));
        }
        let bias_grad = weight_grad.split_off(self.taps * channels);
        let weight_grad = Tensor::from_vec(weight_grad, weight.shape(), weight.device())?;
        Ok((Some(xs_grad), Some(weight_grad), Some(Tensor::from_vec(bias_grad, channels, bias.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{compare, near, normal, random};

    #[test]
    fn values_and_gradients_equal_the_composite() -> Result<()> {
        for (lengths, channels, taps) in
            [(vec![1], 1, 1), (vec![5, 1, 9], 33, 7), (vec![0, 3, 700], 48, 5), (vec![2, 2], 3, 9)]
        {
            let xs = random((lengths.iter().sum::<usize>(), channels), 1)?;
            let (weight, bias) = (random((taps, channels), 2)?, random(channels, 3)?);
            let op = Depthwise { taps, bounds: bounds(&lengths) };
            compare(
                &[&xs, &weight, &bias],
                || depthwise(&xs, &weight, &bias, &lengths),
                || op.composite(&xs, &weight, &bias),
            )?;
        }
        Ok(())
    }

    #[test]
    fn a_batch_is_its_sequences() -> Result<()> {
        let (weight, bias) = (random((7, 20), 1)?.detach(), random(20, 2)?.detach());
        let lengths = [4, 11, 2];
        let xs = random((17, 20), 3)?.detach();
        let together = depthwise(&xs, &weight, &bias, &lengths)?;
        let mut first = 0;
        for length in lengths {
            let alone = depthwise(&xs.narrow(0, first, length)?, &weight, &bias, &[length])?;
            let found = together.narrow(0, first, length)?;
            assert_eq!(found.to_vec2::<f32>()?, alone.to_vec2::<f32>()?);
            first += length;
        }
        Ok(())
    }

    #[test]
    fn every_level_equals_a_reference_in_f64() {
        let (taps, channels, lengths) = (5, 21, [3, 40]);
        let op = Depthwise { taps, bounds: bounds(&lengths) };
        let [xs, weight, bias] = [(43 * channels, 1), (taps * channels, 2), (channels, 3)]
            .map(|(count, seed)| normal(count, seed));
        let expected: Vec<f64> = (0..43 * channels)
            .map(|i| {
                let (row, channel) = (i / channels, i % channels);
                let at = |values: &[f32], row: usize| f64::from(values[row * channels + channel]);
                let terms = op.met(row, false).map(|(tap, other)| at(&weight, tap) * at(&xs, other));
                terms.sum::<f64>() + f64::from(bias[channel])
            })
            .collect();
        for level in levels() {
            near(&op.sums(level, [&xs, &weight, &bias]), &expected, 1e-6, &format!("{level:?}"));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() -> Result<()> {
        let (xs, weight, bias) = (random((6, 4), 1)?, random((3, 4), 2)?, random(4, 3)?);
        assert!(depthwise(&xs, &weight, &bias, &[4, 1]).is_err());
        assert!(depthwise(&xs, &*random((2, 4), 2)?, &bias, &[6]).is_err());
        assert!(depthwise(&xs, &*random((3, 5), 2)?, &bias, &[6]).is_err());
        Ok(())
    }
}
