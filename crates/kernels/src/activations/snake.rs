//! Snake, a periodic activation (Ziyin, Hartwig and Ueda, 2020), with a rate for each channel as in vocoders.

use crate::elementary::{ANGLE_LIMIT, Fma, sin_cos_up_to_sign};
use crate::fresh::{self, Fresh};
use crate::gradients::Recorded;
use crate::level::{Level, level};
use crate::rows;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

/// Added to a divisor, as by the vocoders that use it.
const TINY: f32 = 1e-9;

/// `x + sin²(alpha x) / (alpha + 1e-9)` of (batch, channels, time), with `alpha` of as many values as channels.
pub fn snake(xs: &Tensor, alpha: &Tensor) -> Result<Tensor> {
    snake_beta(xs, alpha, alpha)
}

/// `x + sin²(alpha x) / (beta + 1e-9)`, rate and height apart (BigVGAN: Lee et al., 2023).
pub fn snake_beta(xs: &Tensor, alpha: &Tensor, beta: &Tensor) -> Result<Tensor> {
    let (_, channels, _) = xs.dims3()?;
    if alpha.elem_count() != channels || beta.elem_count() != channels {
        refuse!("{} rates and {} heights for {channels} channels", alpha.elem_count(), beta.elem_count());
    }
    if !rows::own(xs) {
        return composite(xs, alpha, beta);
    }
    let flat = |xs: &Tensor| xs.contiguous()?.flatten_all();
    xs.contiguous()?.recorded3(&flat(alpha)?, &flat(beta)?, Snake)
}

pub(super) fn composite(xs: &Tensor, alpha: &Tensor, beta: &Tensor) -> Result<Tensor> {
    let sin = xs.broadcast_mul(&alpha.reshape((1, (), 1))?)?.sin()?;
    xs + sin.sqr()?.broadcast_div(&(beta.reshape((1, (), 1))? + TINY as f64)?)?
}

struct Snake;

// sine and cosine of `alpha x` times a common sign
#[inline(always)]
fn angle(m: Fma, x: f32, alpha: f32) -> (f32, f32) {
    sin_cos_up_to_sign(m, x * alpha)
}

// whether the fast sine holds for all of a row
#[inline(always)]
fn small(xs: &[f32], alpha: f32) -> bool {
    // a sum of truths, since a search does not become a vector loop
    xs.iter().map(|x| ((x * alpha).abs() > ANGLE_LIMIT) as u32).sum::<u32>() == 0
}

#[inline(always)]
fn row(m: Fma, x: &[f32], alpha: f32, beta: f32, y: &mut Fresh) {
    let height = 1. / (beta + TINY);
    if small(x, alpha) {
        y.write(
            [x],
            #[inline(always)]
            |[x]| {
                let sin = angle(m, x, alpha).0;
                m.add(sin * sin, height, x)
            },
        );
    } else {
        y.write([x], |[x]| x + (x * alpha).sin().powi(2) * height);
    }
}

// the sums of a row that make the gradients of alpha and beta
#[inline(always)]
fn row_gradient(m: Fma, [x, g]: [&[f32]; 2], alpha: f32, beta: f32, out: &mut Fresh) -> [f32; 2] {
    let height = 1. / (beta + TINY);
    if small(x, alpha) {
        out.write(
            [x, g],
            #[inline(always)]
            |[x, g]| {
                let (sin, cos) = angle(m, x, alpha);
                g * m.add(2. * alpha * height * sin, cos, 1.)
            },
        );
        let sums = fresh::sums(
            [x, g],
            #[inline(always)]
            |[x, g]| {
                let (sin, cos) = angle(m, x, alpha);
                [g * x * 2. * sin * cos, g * sin * sin]
            },
        );
        return [sums[0] * height, -sums[1] * height * height];
    }
    out.write([x, g], |[x, g]| g * (1. + alpha * height * (2. * x * alpha).sin()));
    let terms = |(x, g): (&f32, &f32)| [g * x * (2. * x * alpha).sin(), g * (x * alpha).sin().powi(2)];
    let sums = x.iter().zip(g).map(terms).fold([0.; 2], |sum, term| [sum[0] + term[0], sum[1] + term[1]]);
    [sums[0] * height, -sums[1] * height * height]
}

pub(super) fn values(level: Level, size: [usize; 3], [xs, alpha, beta]: [&[f32]; 3]) -> Vec<f32> {
    let [batch, channels, time] = size;
    let (parts, part) = parts(time);
    let ([ys], _) = fresh::rows(
        level,
        (batch * channels * parts, part),
        || (),
        #[inline(always)]
        |m, i, [y], _| {
            let channel = i / parts % channels;
            row(m, &xs[i * part..][..part], alpha[channel], beta[channel], y);
        },
    );
    ys
}

// a row in equal parts, short enough to share
fn parts(time: usize) -> (usize, usize) {
    let parts = (1..=time / 256)
        .find(|parts| time.is_multiple_of(*parts) && time / parts <= fresh::TASK)
        .unwrap_or(1);
    (parts, time / parts)
}

impl CustomOp3 for Snake {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        xs_layout: &Layout,
        alpha: &CpuStorage,
        alpha_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, time) = xs_layout.shape().dims3()?;
        let inputs = [
            rows::values(xs, xs_layout)?,
            rows::values(alpha, alpha_layout)?,
            rows::values(beta, beta_layout)?,
        ];
        Ok((CpuStorage::F32(values(level(), [batch, channels, time], inputs)), xs_layout.shape().clone()))
    }

    fn bwd(
        &self,
        xs: &Tensor,
        alpha: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, channels, time) = xs.dims3()?;
        let (parts, part) = parts(time);
        let inputs = [xs, alpha, beta, &grad.contiguous()?];
        let ([xs_grad], sums) = rows::read(inputs, |[xs, alpha, beta, grad]| {
            fresh::rows(
                level(),
                (batch * channels * parts, part),
                Vec::new,
                #[inline(always)]
                |m, i, [out], sums: &mut Vec<[f32; 2]>| {
                    let channel = i / parts % channels;
                    let row = [xs, grad].map(|values| &values[i * part..][..part]);
                    sums.push(row_gradient(m, row, alpha[channel], beta[channel], out));
                },
            )
        })?;
        let (mut alpha_grad, mut beta_grad) = (vec![0f32; channels], vec![0f32; channels]);
        for (i, sums) in sums.into_iter().flatten().enumerate() {
            alpha_grad[i / parts % channels] += sums[0];
            beta_grad[i / parts % channels] += sums[1];
        }
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device()).map(Some);
        Ok((tensor(xs_grad, xs)?, tensor(alpha_grad, alpha)?, tensor(beta_grad, beta)?))
    }
}
