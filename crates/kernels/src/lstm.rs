//! A layer of long short-term memory (Hochreiter and Schmidhuber, 1997), as PyTorch's `nn.LSTM` has it.

use candle_core::{D, Device, Result, Tensor};
use rayon::prelude::*;

use crate::gemm::{Matrix, PackedB, Precision, Then, Threads, product_at};
use crate::level::{Level, compiled, level};
use crate::rows::{self, own, read};

/// The weights of a layer; the rows are those of the gates i, f, g and o, one after the other.
#[derive(Clone, Copy)]
pub struct Lstm<'a> {
    /// (4 hidden, features): `weight_ih_l0`.
    pub input: &'a Tensor,
    /// (4 hidden, hidden): `weight_hh_l0`.
    pub hidden: &'a Tensor,
    /// (4 hidden): `bias_ih_l0`.
    pub input_bias: Option<&'a Tensor>,
    /// (4 hidden): `bias_hh_l0`.
    pub hidden_bias: Option<&'a Tensor>,
}

/// What a layer hands from one step to the next: its outputs and its cells, each (batch, hidden).
pub type State = (Tensor, Tensor);

/// (batch, time, features) to (batch, time, hidden), and the state after the last step; without a state it begins
/// with zeros. On the processor the results carry no gradients.
///
/// # Errors
/// Where shapes do not fit.
pub fn lstm(xs: &Tensor, weights: Lstm, state: Option<&State>) -> Result<(Tensor, State)> {
    let (batch, time, features) = xs.dims3()?;
    let (gates, inputs) = weights.input.dims2()?;
    let hidden = gates / 4;
    if inputs != features || gates % 4 != 0 || weights.hidden.dims() != [gates, hidden] {
        let (input, hidden) = (weights.input.dims(), weights.hidden.dims());
        refuse!("a memory layer of weights {input:?} and {hidden:?} was given {features} features");
    }
    for bias in [weights.input_bias, weights.hidden_bias].into_iter().flatten() {
        if bias.dims() != [gates] {
            refuse!("a memory layer of {gates} gates was given a bias of {:?}", bias.dims());
        }
    }
    let (h, c) = match state {
        Some((h, c)) => (h.clone(), c.clone()),
        None => {
            let zeros = Tensor::zeros((batch, hidden), xs.dtype(), xs.device())?;
            (zeros.clone(), zeros)
        }
    };
    for part in [&h, &c] {
        if part.dims() != [batch, hidden] {
            refuse!("a memory layer needs a state of {:?}, not {:?}", [batch, hidden], part.dims());
        }
    }
    let bias = match (weights.input_bias, weights.hidden_bias) {
        (Some(a), Some(b)) => Some((a + b)?),
        (a, b) => a.or(b).cloned(),
    };
    if ![xs, weights.input, weights.hidden, &h, &c].into_iter().chain(&bias).all(own) {
        return composite(xs, weights, bias.as_ref(), (h, c));
    }
    let bias = match bias {
        Some(bias) => bias.contiguous()?,
        None => Tensor::zeros(gates, xs.dtype(), xs.device())?,
    };
    let (xs, input, recurrent) =
        (xs.contiguous()?, weights.input.contiguous()?, weights.hidden.contiguous()?);
    let (h, c) = (h.contiguous()?, c.contiguous()?);
    let sizes = Sizes { batch, time, features, hidden };
    let (ys, c) = read([&xs, &input, &recurrent, &bias, &h, &c], |[xs, input, recurrent, bias, h, c]| {
        let run = || forward(level(), sizes, (xs, input, recurrent), bias, (h, c));
        // the steps are many and short, so they are better off inside the pool, where tasks begin sooner
        if rayon::current_num_threads() == 1 { run() } else { rayon::scope(|_| run()) }
    })?;
    let ys = Tensor::from_vec(ys, (batch, time, hidden), &Device::Cpu)?;
    let c = Tensor::from_vec(c, (batch, hidden), &Device::Cpu)?;
    let h = if time == 0 { h } else { ys.narrow(1, time - 1, 1)?.squeeze(1)?.contiguous()? };
    Ok((ys, (h, c)))
}

/// The same in candle's operators.
fn composite(xs: &Tensor, weights: Lstm, bias: Option<&Tensor>, (h, c): State) -> Result<(Tensor, State)> {
    let (batch, time, features) = xs.dims3()?;
    let gates = weights.input.dim(0)?;
    let projected = xs.reshape((batch * time, features))?.matmul(&weights.input.t()?)?;
    let projected = match bias {
        Some(bias) => projected.broadcast_add(bias)?,
        None => projected,
    };
    let projected = projected.reshape((batch, time, gates))?;
    let (mut h, mut c, mut ys) = (h, c, Vec::with_capacity(time));
    // 1 / (1 + e^-x)
    let sigmoid = |xs: &Tensor| xs.neg()?.exp()?.affine(1., 1.)?.recip();
    for t in 0..time {
        let sums = (projected.narrow(1, t, 1)?.squeeze(1)? + h.matmul(&weights.hidden.t()?)?)?;
        let [i, f, g, o] = &sums.chunk(4, D::Minus1)?[..] else { refuse!("a memory layer has four gates") };
        c = ((sigmoid(f)? * c)? + (sigmoid(i)? * g.tanh()?)?)?;
        h = (sigmoid(o)? * c.tanh()?)?;
        ys.push(h.clone());
    }
    let ys = if time == 0 { projected.narrow(2, 0, gates / 4)? } else { Tensor::stack(&ys, 1)? };
    Ok((ys, (h, c)))
}

#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    time: usize,
    features: usize,
    hidden: usize,
}

/// Values that are worth a task.
const TASK: usize = 1 << 13;

/// The outputs of all steps, and the cells after the last.
fn forward(
    level: Level,
    Sizes { batch, time, features, hidden }: Sizes,
    (xs, input, recurrent): (&[f32], &[f32], &[f32]),
    bias: &[f32],
    (h, c): (&[f32], &[f32]),
) -> (Vec<f32>, Vec<f32>) {
    let gates = 4 * hidden;
    let (mut ys, mut c) = (vec![0f32; batch * time * hidden], c.to_vec());
    if ys.is_empty() {
        return (ys, c);
    }
    // what the inputs give to the gates, for all steps at once
    let mut sums = vec![0f32; batch * time * gates];
    let rows = Matrix::rows(xs, batch * time, features);
    let input = Matrix::rows(input, gates, features).turned();
    let how = (level, Precision::F32);
    product_at(how, rows, input, (&mut sums, gates, false), Threads::All, Then::bias(Some(bias)));
    let recurrent = PackedB::at(level, Matrix::rows(recurrent, gates, hidden).turned());
    for t in 0..time {
        let before = match t {
            0 => Matrix::rows(h, batch, hidden),
            t => {
                Matrix { values: &ys[(t - 1) * hidden..], size: (batch, hidden), stride: (time * hidden, 1) }
            }
        };
        recurrent.product(before, &mut sums[t * gates..], time * gates, true, Threads::All, Then::default());
        let one = |((ys, c), sums): ((&mut [f32], &mut [f32]), &[f32])| {
            let (ys, sums) = (&mut ys[t * hidden..][..hidden], &sums[t * gates..][..gates]);
            compiled(
                level,
                #[inline(always)]
                || step(sums, c, ys),
            );
        };
        if batch * hidden < TASK {
            let ys = ys.chunks_mut(time * hidden).zip(c.chunks_mut(hidden));
            ys.zip(sums.chunks(time * gates)).for_each(one);
        } else {
            let ys = ys.par_chunks_mut(time * hidden).zip(c.par_chunks_mut(hidden));
            ys.zip(sums.par_chunks(time * gates)).with_min_len((TASK / hidden).max(1)).for_each(one);
        }
    }
    (ys, c)
}

/// One step of one sequence: from the gates' sums to cells and outputs.
#[inline(always)]
fn step(sums: &[f32], c: &mut [f32], ys: &mut [f32]) {
    let hidden = ys.len();
    let (i, rest) = sums.split_at(hidden);
    let (f, rest) = rest.split_at(hidden);
    let (g, o) = rest.split_at(hidden);
    let (c, o) = (&mut c[..hidden], &o[..hidden]);
    for k in 0..hidden {
        c[k] = sigmoid(f[k]) * c[k] + sigmoid(i[k]) * tanh(g[k]);
        ys[k] = sigmoid(o[k]) * tanh(c[k]);
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1. / (1. + rows::exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1. - 2. / (1. + rows::exp(2. * x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{close, near, normal, random};

    /// All outputs, and the last cells, in f64.
    fn reference(sizes: Sizes, [xs, input, recurrent, bias, h, c]: [&[f32]; 6]) -> (Vec<f64>, Vec<f64>) {
        let Sizes { batch, time, features, hidden } = sizes;
        let mut ys = vec![0f64; batch * time * hidden];
        let mut cells = Vec::new();
        let sigmoid = |x: f64| 1. / (1. + (-x).exp());
        let dot = |a: &[f32], b: &[f64]| a.iter().zip(b).map(|(a, b)| *a as f64 * b).sum::<f64>();
        let wide = |xs: &[f32]| xs.iter().map(|&x| x as f64).collect::<Vec<_>>();
        for b in 0..batch {
            let mut h = wide(&h[b * hidden..][..hidden]);
            let mut c = wide(&c[b * hidden..][..hidden]);
            for t in 0..time {
                let x = wide(&xs[(b * time + t) * features..][..features]);
                let sum = |row: usize| {
                    let own = dot(&input[row * features..][..features], &x);
                    own + dot(&recurrent[row * hidden..][..hidden], &h) + bias[row] as f64
                };
                let sums: Vec<f64> = (0..4 * hidden).map(sum).collect();
                for k in 0..hidden {
                    let gate = |i: usize| sums[i * hidden + k];
                    c[k] = sigmoid(gate(1)) * c[k] + sigmoid(gate(0)) * gate(2).tanh();
                    h[k] = sigmoid(gate(3)) * c[k].tanh();
                }
                ys[(b * time + t) * hidden..][..hidden].copy_from_slice(&h);
            }
            cells.extend(c);
        }
        (ys, cells)
    }

    #[test]
    fn steps_equal_those_in_f64() {
        for (batch, time, features, hidden) in [
            (1, 1, 1, 1),
            (1, 5, 3, 7),
            (3, 4, 10, 16),
            (2, 9, 33, 19),
            (20, 3, 5, 64),
            (2, 3, 0, 4),
            (0, 2, 3, 4),
        ] {
            let sizes = Sizes { batch, time, features, hidden };
            let (xs, h, c) =
                (normal(batch * time * features, 1), normal(batch * hidden, 2), normal(batch * hidden, 3));
            let (input, recurrent) = (normal(4 * hidden * features, 4), normal(4 * hidden * hidden, 5));
            // so that the gates do not all stand open or closed
            let recurrent: Vec<f32> = recurrent.iter().map(|w| w / (hidden as f32).sqrt()).collect();
            let bias = normal(4 * hidden, 6);
            let (ys, cells) = reference(sizes, [&xs, &input, &recurrent, &bias, &h, &c]);
            for level in levels() {
                let (found, found_cells) = forward(level, sizes, (&xs, &input, &recurrent), &bias, (&h, &c));
                let what = format!("{level:?} {batch} {time} {features} {hidden}");
                near(&found, &ys, 1e-5, &what);
                near(&found_cells, &cells, 1e-5, &what);
            }
        }
    }

    #[test]
    fn pieces_equal_the_whole_and_candle() -> Result<()> {
        let (xs, input, hidden) = (random((2, 7, 6), 1)?, random((20, 6), 2)?, random((20, 5), 3)?);
        let (one, other) = (random(20, 4)?, random(20, 5)?);
        let weights =
            Lstm { input: &input, hidden: &hidden, input_bias: Some(&one), hidden_bias: Some(&other) };
        let (whole, (h, c)) = lstm(&xs, weights, None)?;
        let (first, state) = lstm(&xs.narrow(1, 0, 4)?, weights, None)?;
        let (second, (last_h, last_c)) = lstm(&xs.narrow(1, 4, 3)?, weights, Some(&state))?;
        close(&Tensor::cat(&[first, second], 1)?, &whole, "outputs");
        close(&last_h, &h, "last outputs");
        close(&last_c, &c, "last cells");
        let zeros = Tensor::zeros((2, 5), xs.dtype(), xs.device())?;
        let bias = one.add(&other)?;
        let (ys, (h_candle, c_candle)) = composite(&xs, weights, Some(&bias), (zeros.clone(), zeros))?;
        close(&whole, &ys, "outputs of candle");
        close(&h, &h_candle, "last outputs of candle");
        close(&c, &c_candle, "last cells of candle");
        // no biases, no steps, and shapes that do not fit
        let bare = Lstm { input_bias: None, hidden_bias: None, ..weights };
        assert_eq!(lstm(&xs.narrow(1, 0, 0)?, bare, Some(&state))?.0.dims(), [2, 0, 5]);
        assert!(lstm(&xs.narrow(2, 0, 5)?, bare, None).is_err());
        assert!(lstm(&xs, bare, Some(&(h.narrow(0, 0, 1)?, c))).is_err());
        Ok(())
    }

    #[test]
    fn nan_and_infinity_are_not_hidden() {
        let (mut c, mut ys) = ([1.; 6], [0.; 6]);
        let mut sums = [0.; 24];
        (sums[0], sums[7], sums[14], sums[21]) = (f32::NAN, f32::NAN, f32::NAN, f32::NAN);
        (sums[4], sums[17]) = (f32::INFINITY, f32::NEG_INFINITY);
        step(&sums, &mut c, &mut ys);
        assert!(c[..3].iter().all(|c| c.is_nan()) && ys[..4].iter().all(|y| y.is_nan()));
        assert_eq!((c[4], c[5]), (0.5, 0.));
    }
}
