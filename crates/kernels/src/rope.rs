//! Rotary position embedding (Su et al., 2021), in both arrangements of pairs; forward and backward.

use crate::fresh::{self, Fresh};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};

/// Which two dimensions of a head are turned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// One of the first half with its like of the second (GPT-NeoX, Llama as Hugging Face stores it).
    Halves,
    /// An even one with the next (GPT-J, Llama as its authors store it).
    Neighbours,
}

/// How the heads lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// (batch, time, heads, head_dim)
    TimeHeads,
    /// (batch, heads, time, head_dim)
    HeadsTime,
}

/// Turns each pair of a head's dimensions by its position's angle. `cos` and `sin` are (time, half) or (batch, time,
/// half), of the same number format as `xs`; where head_dim is more than twice `half`, its end stays as it is.
pub fn rope(xs: &Tensor, cos: &Tensor, sin: &Tensor, pairs: Pairs, order: Order) -> Result<Tensor> {
    let turn = Turn::new(xs, cos, sin, pairs, order)?;
    if !rows::own(xs) {
        return composite(xs, cos, sin, pairs, order);
    }
    xs.contiguous()?.recorded3(&cos.contiguous()?, &sin.contiguous()?, turn)
}

fn composite(xs: &Tensor, cos: &Tensor, sin: &Tensor, pairs: Pairs, order: Order) -> Result<Tensor> {
    let half = cos.dim(D::Minus1)?;
    // (1 or batch, time, half), then 1 for the heads
    let angles = |angles: &Tensor| {
        let angles = if angles.rank() == 2 { angles.unsqueeze(0)? } else { angles.clone() };
        let angles = angles.unsqueeze(if order == Order::TimeHeads { 2 } else { 1 })?;
        if pairs == Pairs::Neighbours { angles.unsqueeze(D::Minus1) } else { Ok(angles) }
    };
    let (cos, sin) = (angles(cos)?, angles(sin)?);
    let turned = xs.narrow(D::Minus1, 0, 2 * half)?;
    let turned = match pairs {
        Pairs::Halves => turned,
        Pairs::Neighbours => turned.reshape([&xs.dims()[..3], &[half, 2]].concat())?,
    };
    let width = if pairs == Pairs::Halves { half } else { 1 };
    let (a, b) = (turned.narrow(D::Minus1, 0, width)?, turned.narrow(D::Minus1, width, width)?);
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    let turned =
        Tensor::cat(&[first, second], D::Minus1)?.reshape([&xs.dims()[..3], &[2 * half]].concat())?;
    let size = xs.dim(D::Minus1)?;
    if size == 2 * half {
        return Ok(turned);
    }
    Tensor::cat(&[turned, xs.narrow(D::Minus1, 2 * half, size - 2 * half)?], D::Minus1)
}

/// A rotation, whose gradient is the rotation back.
#[derive(Debug, Clone, Copy)]
struct Turn {
    pairs: Pairs,
    /// Rows of one position next to each other, and positions, and rows of one item of the batch.
    inner: usize,
    time: usize,
    item: usize,
    /// Whether each item of the batch has angles of its own.
    batched: bool,
    half: usize,
    sign: f32,
}

impl Turn {
    fn new(xs: &Tensor, cos: &Tensor, sin: &Tensor, pairs: Pairs, order: Order) -> Result<Self> {
        let (batch, time, heads, size) = match (xs.dims4()?, order) {
            (dims, Order::TimeHeads) => dims,
            ((batch, heads, time, size), Order::HeadsTime) => (batch, time, heads, size),
        };
        let half = cos.dim(D::Minus1)?;
        let batched = cos.rank() == 3;
        let fits = if batched { cos.dims() == [batch, time, half] } else { cos.dims() == [time, half] };
        if !fits || cos.dims() != sin.dims() || 2 * half > size {
            refuse!(
                "angles of shapes {:?} and {:?} for {time} positions in {batch} items of heads of {size}",
                cos.dims(),
                sin.dims()
            );
        }
        let inner = if order == Order::TimeHeads { heads } else { 1 };
        Ok(Turn { pairs, inner, time, item: heads * time, batched, half, sign: 1. })
    }

    // the row of angles for a row of values
    #[inline(always)]
    fn position(&self, row: usize) -> usize {
        let position = row / self.inner % self.time;
        if self.batched { row / self.item * self.time + position } else { position }
    }

    fn values(&self, level: Level, size: usize, [xs, cos, sin]: [&[f32]; 3]) -> Vec<f32> {
        let ([ys], _) = fresh::rows(
            level,
            (xs.len() / size.max(1), size),
            || (),
            #[inline(always)]
            |_, row, [y], _| {
                let angles = self.position(row) * self.half;
                let (cos, sin) = (&cos[angles..][..self.half], &sin[angles..][..self.half]);
                self.row(&xs[row * size..][..size], cos, sin, y);
            },
        );
        ys
    }

    #[inline(always)]
    fn row(&self, x: &[f32], cos: &[f32], sin: &[f32], y: &mut Fresh) {
        let y = y.write(
            [x],
            #[inline(always)]
            |[x]| x,
        );
        let angles = cos.iter().zip(sin);
        match self.pairs {
            Pairs::Halves => {
                let (a, b) = y[..2 * self.half].split_at_mut(self.half);
                for ((a, b), (cos, sin)) in a.iter_mut().zip(b).zip(angles) {
                    (*a, *b) = turn((*a, *b), *cos, *sin * self.sign);
                }
            }
            Pairs::Neighbours => {
                for ([a, b], (cos, sin)) in y.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                    (*a, *b) = turn((*a, *b), *cos, *sin * self.sign);
                }
            }
        }
    }
}

#[inline(always)]
fn turn((a, b): (f32, f32), cos: f32, sin: f32) -> (f32, f32) {
    (a * cos - b * sin, b * cos + a * sin)
}

impl CustomOp3 for Turn {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        cos: &CpuStorage,
        cos_layout: &Layout,
        sin: &CpuStorage,
        sin_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, _, _, size) = xs_layout.shape().dims4()?;
        let inputs =
            [rows::values(xs, xs_layout)?, rows::values(cos, cos_layout)?, rows::values(sin, sin_layout)?];
        Ok((CpuStorage::F32(self.values(level(), size, inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let back = Turn { sign: -self.sign, ..*self };
        Ok((Some(grad.contiguous()?.apply_op3_no_bwd(cos, sin, &back)?), None, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::levels;
    use crate::testing::{compare, near, random};
    use candle_core::DType;

    fn angles(shape: &[usize]) -> Result<(Tensor, Tensor)> {
        let angles = random(shape, 9)?;
        Ok((angles.cos()?.detach(), angles.sin()?.detach()))
    }

    #[test]
    fn all_forms_equal_the_composite() -> Result<()> {
        for (time, heads, size, half) in
            [(1, 1, 2, 1), (5, 3, 10, 5), (70, 4, 64, 32), (6, 2, 22, 7), (3, 2, 5, 0)]
        {
            for pairs in [Pairs::Halves, Pairs::Neighbours] {
                for order in [Order::TimeHeads, Order::HeadsTime] {
                    for shape in [&[time, half][..], &[2, time, half]] {
                        let (cos, sin) = angles(shape)?;
                        let xs = match order {
                            Order::TimeHeads => random((2, time, heads, size), 1)?,
                            Order::HeadsTime => random((2, heads, time, size), 1)?,
                        };
                        let own = || rope(&xs, &cos, &sin, pairs, order);
                        compare(&[&xs], own, || composite(&xs, &cos, &sin, pairs, order))?;
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn every_level_turns_by_the_angle() -> Result<()> {
        let (xs, (cos, sin)) = (random((1, 3, 1, 70), 1)?, angles(&[3, 35])?);
        for pairs in [Pairs::Halves, Pairs::Neighbours] {
            let turn = Turn::new(&xs, &cos, &sin, pairs, Order::TimeHeads)?;
            let operands = [xs.flatten_all()?, cos.flatten_all()?, sin.flatten_all()?];
            let [xs, cos, sin] = operands.map(|values| values.to_vec1::<f32>().unwrap());
            let expected = |i: usize| {
                let (row, place) = (i / 70, i % 70);
                let (pair, second) = match pairs {
                    Pairs::Halves => (place % 35, place >= 35),
                    Pairs::Neighbours => (place / 2, place % 2 == 1),
                };
                let other = match pairs {
                    Pairs::Halves => (place + 35) % 70,
                    Pairs::Neighbours => place ^ 1,
                };
                let (x, other) = (xs[i] as f64, xs[row * 70 + other] as f64);
                let (cos, sin) = (cos[row * 35 + pair] as f64, sin[row * 35 + pair] as f64);
                x * cos + if second { other * sin } else { -other * sin }
            };
            let expected: Vec<f64> = (0..3 * 70).map(expected).collect();
            for level in levels() {
                near(
                    &turn.values(level, 70, [&xs, &cos, &sin]),
                    &expected,
                    1e-6,
                    &format!("{level:?} {pairs:?}"),
                );
            }
        }
        Ok(())
    }

    #[test]
    fn layouts_formats_and_sizes() -> Result<()> {
        let xs = random((2, 3, 5, 8), 1)?;
        let (cos, sin) = angles(&[5, 4])?;
        let own = || rope(&xs.transpose(1, 2)?, &cos, &sin, Pairs::Halves, Order::TimeHeads);
        compare(&[&xs], own, || rope(&xs, &cos, &sin, Pairs::Halves, Order::HeadsTime)?.transpose(1, 2))?;
        let wide = xs.to_dtype(DType::F64)?;
        let (wide_cos, wide_sin) = (cos.to_dtype(DType::F64)?, sin.to_dtype(DType::F64)?);
        let turned = rope(&wide, &wide_cos, &wide_sin, Pairs::Neighbours, Order::HeadsTime)?;
        assert_eq!(turned.dtype(), DType::F64);
        assert!(rope(&xs, &cos, &sin, Pairs::Halves, Order::TimeHeads).is_err());
        let none = xs.narrow(0, 0, 0)?;
        assert_eq!(rope(&none, &cos, &sin, Pairs::Halves, Order::HeadsTime)?.dims(), [0, 3, 5, 8]);
        Ok(())
    }
}
