//! The switches of the environment: every level, and candle's own operators, compute the same.

#![allow(clippy::unwrap_used)]

mod ctc;

use candle_core::{Device, Result, Tensor};
use kernels::attention::{self, attention};
use kernels::conv::{self, Packed2d};
use kernels::level::{Level, present};
use kernels::linear::{Weight, linear};
use kernels::{activations, loss, norm, softmax};
use std::process::Command;

/// Set in a process that only prints what it computed.
const CHILD: &str = "ATELIER_TEST_CHILD";

fn values(shape: &[usize], seed: u32) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let value =
        |i: u32| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed * 977) >> 8) % 2001) as f32 / 1000. - 1.;
    Tensor::from_vec((0..count as u32).map(value).collect(), shape, &Device::Cpu)
}

/// The sums of the squares of what some operators give.
fn results() -> Result<Vec<(&'static str, f64)>> {
    let (xs, weight, bias) = (values(&[3, 37, 48], 1)?, values(&[51, 48], 2)?, values(&[51], 3)?);
    let heads = values(&[2, 37, 4, 24], 4)?;
    let (picture, taps) = (values(&[2, 7, 13, 11], 5)?, values(&[9, 7, 3, 3], 6)?);
    let targets = Tensor::from_iter((0..37 * 3).map(|i| i as u32 % 48), &Device::Cpu)?;
    let size = values(&[48], 7)?;
    let all = [
        ("linear", linear(&xs, &weight, Some(&bias))?),
        ("linear bf16", Weight::bf16(&weight)?.forward(&xs, None)?),
        ("linear int8", Weight::int8(&weight)?.forward(&xs, None)?),
        ("attention", attention(&heads, &heads, &heads, &attention::Options::causal())?),
        ("conv2d", Packed2d::new(&taps, conv::Options::new(1, 1))?.forward(&picture, None)?),
        ("gelu", activations::gelu(&xs)?),
        ("layer norm", norm::layer_norm(&xs, Some(&size), None, 1e-5)?),
        ("softmax", softmax::softmax(&xs)?),
        ("cross-entropy", loss::cross_entropy(&xs.flatten_to(1)?, &targets)?),
    ];
    let square = |ys: Tensor| ys.to_dtype(candle_core::DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>();
    all.into_iter().map(|(name, ys)| Ok((name, square(ys)?))).collect()
}

fn run(name: &str, value: &str) -> Vec<f64> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "levels_and_candle_compute_the_same", "--nocapture"]);
    child.env_remove("ATELIER_LEVEL").env_remove("ATELIER_KERNELS").env(CHILD, "1").env(name, value);
    let output = child.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{name}={value}: {text}");
    text.lines().filter_map(|line| line.strip_prefix("result ")).map(|x| x.parse().unwrap()).collect()
}

#[test]
fn levels_and_candle_compute_the_same() -> Result<()> {
    let here = results()?;
    if std::env::var_os(CHILD).is_some() {
        here.iter().for_each(|(_, value)| println!("\nresult {value:e}"));
        return Ok(());
    }
    let levels = Level::ALL.into_iter().filter(|level| *level <= present());
    let switches = levels.map(|level| ("ATELIER_LEVEL", level.name())).chain([("ATELIER_KERNELS", "candle")]);
    for (name, value) in switches {
        let found = run(name, value);
        assert_eq!(found.len(), here.len(), "{name}={value}");
        for ((operator, expected), found) in here.iter().zip(found) {
            let bound = if operator.ends_with("bf16") || operator.ends_with("int8") { 1e-2 } else { 1e-5 };
            let error = (found / expected - 1.).abs();
            assert!(error < bound, "{name}={value}, {operator}: {found} for {expected}");
        }
    }
    Ok(())
}
