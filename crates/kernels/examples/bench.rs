//! Times operators for scripts/bench/kernels.py: a line `{"op": ..., "sizes": [...]}` in, the seconds of the fastest run out.
//! The operator "quantised" has the name of its format after a space.

use std::io::{BufRead, Write};
use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use kernels::attention::{self, attention};
use kernels::conv::{self, Packed};
use kernels::gradients::record;
use kernels::linear::{Weight, linear};
use kernels::quantised::{self, Kind};
use kernels::{activations, loss, lstm, norm, softmax, top_k};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something to time.
type Run = Box<dyn Fn() -> Result<()>>;

fn rand(shape: &[usize]) -> Result<Tensor> {
    Tensor::randn(0f32, 1., shape, &Device::Cpu)
}

fn run(f: impl Fn() -> Result<Tensor> + 'static) -> Run {
    Box::new(move || f().map(drop))
}

/// The gradients of all variables, by a gradient of the output that is at hand.
fn trained(vars: Vec<Var>, shape: &[usize], f: impl Fn(&[Var]) -> Result<Tensor> + 'static) -> Result<Run> {
    let grad = rand(shape)?;
    Ok(Box::new(move || {
        let (output, record) = record(|| f(&vars));
        record.backward_by(&output?, &grad).map(drop)
    }))
}

fn vars(shapes: &[&[usize]]) -> Result<Vec<Var>> {
    shapes.iter().map(|shape| Var::from_tensor(&rand(shape)?)).collect()
}

/// A map whose weight has blocks of any numbers, and scales that are neither large nor infinite.
fn quantised(kind: &str, s: &[usize]) -> Result<Run> {
    let Some(kind) = Kind::ALL.into_iter().find(|known| format!("{known:?}") == kind) else {
        return Err(candle_core::Error::Msg(format!("no format {kind}")));
    };
    let bytes: Vec<u8> =
        (0..s[1] / kind.block() * kind.bytes() * s[2]).map(|i| ((i * 7919) >> 5) as u8 & 31).collect();
    let (x, weight) = (rand(&s[..2])?, quantised::Weight::new(&bytes, kind, s[2], s[1])?);
    Ok(run(move || weight.forward(&x)))
}

fn make(op: &str, s: &[usize]) -> Result<Run> {
    if let Some(kind) = op.strip_prefix("quantised ") {
        return quantised(kind, s);
    }
    Ok(match op {
        "gelu" | "gelu_tanh" | "silu" | "leaky_relu" | "softmax" => {
            let x = rand(s)?;
            match op {
                "gelu" => run(move || activations::gelu(&x)),
                "gelu_tanh" => run(move || activations::gelu_tanh(&x)),
                "silu" => run(move || activations::silu(&x)),
                "leaky_relu" => run(move || activations::leaky_relu(&x, 0.1)),
                _ => run(move || softmax::softmax(&x)),
            }
        }
        "silu_mul" => {
            let (a, b) = (rand(s)?, rand(s)?);
            run(move || activations::silu_mul(&a, &b))
        }
        "layer_norm" => {
            let (x, w, b) = (rand(s)?, rand(&s[1..])?, rand(&s[1..])?);
            run(move || norm::layer_norm(&x, Some(&w), Some(&b), 1e-5))
        }
        "rms_norm" => {
            let (x, w) = (rand(s)?, rand(&s[1..])?);
            run(move || norm::rms_norm(&x, &w, 1e-5))
        }
        "group_norm" => {
            let (x, w, b, groups) = (rand(&s[..4])?, rand(&s[1..2])?, rand(&s[1..2])?, s[4]);
            run(move || norm::group_norm(&x, groups, Some(&w), Some(&b), 1e-5))
        }
        "cross_entropy" => {
            let x = Var::from_tensor(&rand(s)?)?;
            let targets: Vec<u32> = (0..s[0]).map(|row| (row % s[1]) as u32).collect();
            let targets = Tensor::new(targets, &Device::Cpu)?;
            Box::new(move || {
                let (loss, record) = record(|| loss::cross_entropy(&x, &targets));
                record.backward(&loss?).map(drop)
            })
        }
        "linear" | "linear_bf16" | "linear_int8" => {
            let (x, w, b) = (rand(&s[..2])?, rand(&[s[2], s[1]])?, rand(&s[2..])?);
            let weight = match op {
                "linear" => Weight::f32(&w)?,
                "linear_bf16" => Weight::bf16(&w)?,
                _ => Weight::int8(&w)?,
            };
            run(move || weight.forward(&x, Some(&b)))
        }
        "linear_train" => {
            trained(vars(&[&s[..2], &[s[2], s[1]]])?, &[s[0], s[2]], |v| linear(&v[0], &v[1], None))?
        }
        "attention" | "attention_train" => {
            let (shape, causal) = (&s[..4], s[4] == 1);
            let forward = move |q: &Tensor, k: &Tensor, v: &Tensor| {
                attention(q, k, v, &attention::Options { causal, ..Default::default() })
            };
            if op == "attention" {
                let (q, k, v) = (rand(shape)?, rand(shape)?, rand(shape)?);
                run(move || forward(&q, &k, &v))
            } else {
                let shape: Vec<usize> = shape.to_vec();
                trained(vars(&[&shape, &shape, &shape])?, &shape, move |v| forward(&v[0], &v[1], &v[2]))?
            }
        }
        "conv1d" => {
            let (x, w, b) = (rand(&[s[0], s[1], s[3]])?, rand(&[s[2], s[1], s[4]])?, rand(&s[2..3])?);
            let options = conv::Options { dilation: [s[6]], ..conv::Options::new(s[5], s[7]) };
            let packed = Packed::new(&w, options)?;
            run(move || packed.forward(&x, Some(&b)))
        }
        "conv_transpose1d" => {
            let (x, w, b) = (rand(&[s[0], s[1], s[3]])?, rand(&[s[1], s[2], s[4]])?, rand(&s[2..3])?);
            let packed = Packed::transposed(&w, conv::Options::<1>::new(s[5], s[6]))?;
            run(move || packed.forward(&x, Some(&b)))
        }
        "conv2d" => {
            let (x, w) = (rand(&[s[0], s[1], s[3], s[4]])?, rand(&[s[2], s[1], s[5], s[5]])?);
            let (packed, b) = (Packed::new(&w, conv::Options::<2>::new(s[6], s[7]))?, rand(&s[2..3])?);
            run(move || packed.forward(&x, Some(&b)))
        }
        "lstm" => {
            let (x, wide) = (rand(s)?, 4 * s[2]);
            let (ih, hh) = (rand(&[wide, s[2]])?, rand(&[wide, s[2]])?);
            let (b_ih, b_hh) = (rand(&[wide])?, rand(&[wide])?);
            run(move || {
                let weights =
                    lstm::Lstm { input: &ih, hidden: &hh, input_bias: Some(&b_ih), hidden_bias: Some(&b_hh) };
                Ok(lstm::lstm(&x, weights, None)?.0)
            })
        }
        "top_k" => {
            let (x, k) = (rand(&s[..2])?, s[2]);
            run(move || Ok(top_k::top_k(&x, k)?.0))
        }
        other => return Err(candle_core::Error::Msg(format!("no operator {other}"))),
    })
}

/// The fastest run of about a fifth of a second of them.
fn seconds(run: &Run) -> Result<f64> {
    run()?;
    let (begin, mut best) = (Instant::now(), f64::INFINITY);
    while begin.elapsed().as_secs_f64() < 0.2 {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let case: serde_json::Value = serde_json::from_str(&line?)?;
        let op = case["op"].as_str().unwrap_or_default();
        let sizes: Vec<usize> = serde_json::from_value(case["sizes"].clone())?;
        writeln!(out, "{}", seconds(&make(op, &sizes)?)?)?;
        out.flush()?;
    }
    Ok(())
}
