//! Rotary position embedding (Su et al., 2021), in the arrangement of Hugging Face's Llama: a head's first
//! half pairs with its second half.

use crate::layers::rows;
use candle_core::{CpuStorage, CustomOp3, D, DType, Device, Layout, Result, Shape, Tensor};

/// The angles' rates, one a pair of dimensions.
pub struct Rope {
    rates: Vec<f32>,
}

/// Cosines and sines of a run of positions, each (time, head_dim / 2).
pub struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    /// Rates `theta^(-2i / head_dim)`.
    pub fn new(head_dim: usize, theta: f64) -> Self {
        let rate = |i: usize| 1. / (theta as f32).powf(i as f32 / head_dim as f32);
        Self { rates: (0..head_dim).step_by(2).map(rate).collect() }
    }

    /// The angles of `time` positions from `start` on.
    pub fn angles(&self, start: usize, time: usize, dtype: DType, device: &Device) -> Result<Angles> {
        let angles = (start..start + time).flat_map(|t| self.rates.iter().map(move |rate| t as f32 * rate));
        let (sin, cos): (Vec<f32>, Vec<f32>) = angles.map(f32::sin_cos).unzip();
        let tensor = |values| Tensor::from_vec(values, (time, self.rates.len()), device)?.to_dtype(dtype);
        Ok(Angles { cos: tensor(cos)?, sin: tensor(sin)? })
    }
}

/// Turns each head of (batch, time, heads, head_dim) by its position's angles.
pub fn rotate(xs: &Tensor, angles: &Angles) -> Result<Tensor> {
    let Angles { cos, sin } = angles;
    if rows::own(xs) {
        return xs.contiguous()?.apply_op3(cos, sin, RotateOp { back: false });
    }
    if xs.track_op() {
        return composite(xs, angles);
    }
    candle_nn::rotary_emb::rope_thd(&xs.contiguous()?, cos, sin)
}

fn composite(xs: &Tensor, angles: &Angles) -> Result<Tensor> {
    let half = xs.dim(D::Minus1)? / 2;
    let (cos, sin) = (angles.cos.unsqueeze(1)?, angles.sin.unsqueeze(1)?);
    let (a, b) = (xs.narrow(D::Minus1, 0, half)?, xs.narrow(D::Minus1, half, half)?);
    let first = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
    let second = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
    Tensor::cat(&[first, second], D::Minus1)
}

/// A rotation, whose gradient is the rotation back.
struct RotateOp {
    back: bool,
}

impl CustomOp3 for RotateOp {
    fn name(&self) -> &'static str {
        "rotate"
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
        let (_, time, heads, size) = xs_layout.shape().dims4()?;
        let xs = rows::values(xs, xs_layout)?;
        let (cos, sin) = (rows::values(cos, cos_layout)?, rows::values(sin, sin_layout)?);
        let (half, width) = (size / 2, heads * size);
        let sign = if self.back { -1. } else { 1. };
        let mut ys = vec![0.; xs.len()];
        rows::fill(&mut ys, width, |first, ys| {
            rows::vectorised(
                #[inline(always)]
                || {
                    let rows = xs[first * width..].chunks_exact(width).zip(ys.chunks_exact_mut(width));
                    for (row, (x, y)) in (first..).zip(rows) {
                        let angles = row % time * half..(row % time + 1) * half;
                        let (cos, sin) = (&cos[angles.clone()], &sin[angles]);
                        for (x, y) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)) {
                            turn(x, y, cos, sin, sign);
                        }
                    }
                },
            )
        });
        Ok((CpuStorage::F32(ys), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let back = RotateOp { back: !self.back };
        Ok((Some(grad.contiguous()?.apply_op3_no_bwd(cos, sin, &back)?), None, None))
    }
}

#[inline(always)]
fn turn(x: &[f32], y: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    let half = cos.len();
    let ((a, b), (ya, yb)) = (x.split_at(half), y.split_at_mut(half));
    for i in 0..half.min(b.len()).min(yb.len()).min(sin.len()) {
        ya[i] = a[i] * cos[i] - b[i] * sin[i] * sign;
        yb[i] = b[i] * cos[i] + a[i] * sin[i] * sign;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::testing::{compare, random};

    #[test]
    fn own_operator_equals_the_composite_one() -> Result<()> {
        for (time, heads, size) in [(1, 1, 2), (5, 3, 10), (70, 4, 64)] {
            let xs = random((2, time, heads, size), 1)?;
            let angles = Rope::new(size, 10_000.).angles(3, time, DType::F32, &Device::Cpu)?;
            compare(&[&xs], || rotate(&xs, &angles), || composite(&xs, &angles))?;
        }
        Ok(())
    }
}
