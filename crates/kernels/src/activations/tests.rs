//! Activations against f64, their slopes against differences.

use super::*;
use crate::level::levels;
use crate::testing::{compare, normal, random};
use candle_core::{DType, Device};

// the standard normal distribution: a series within 5, a continued fraction beyond
fn distribution(x: f64) -> f64 {
    let density = (-x * x / 2.).exp() / (2. * std::f64::consts::PI).sqrt();
    if x.abs() < 5. {
        let (mut term, mut sum) = (x, x);
        for k in 1..80 {
            term *= x * x / (2 * k + 1) as f64;
            sum += term;
        }
        return 0.5 + density * sum;
    }
    let fraction = (1..60).rev().fold(x.abs(), |tail, k| x.abs() + k as f64 / tail);
    let tail = density / fraction;
    if x > 0. { 1. - tail } else { tail }
}

fn gelu_tanh_of(x: f64) -> f64 {
    x / (1. + (-2. * (2. / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).exp())
}

fn leaky_of(x: f64) -> f64 {
    if x > 0. { x } else { x * 0.1f32 as f64 }
}

// with NaN, infinities, numbers below the normal ones and such that overflow on the way
fn inputs(count: usize) -> Vec<f32> {
    let special = [
        0.,
        -0.,
        f32::NAN,
        f32::from_bits(0xffc1_2345),
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e-40,
        -1e-40,
        1e-30,
        -1e-7,
        5.,
        -5.,
        10.,
        -10.,
        20.,
        -20.,
        87.,
        -87.,
        89.,
        -89.,
        1e10,
        -1e10,
        1e25,
        -1e25,
        f32::MAX,
        f32::MIN,
    ];
    let scaled = normal(count, 3).into_iter().enumerate().map(|(i, x)| x * [0.01, 1., 4.][i % 3]);
    special.into_iter().chain(scaled).take(count).collect()
}

fn check<F: Function>(function: F, reference: fn(f64) -> f64, bound: f64) {
    let xs = inputs(35_003);
    let expected: Vec<f64> = xs.iter().map(|&x| reference(x as f64)).collect();
    for level in levels() {
        for count in [0, 1, 15, 40, 333, xs.len()] {
            let ys = values(level, function, &xs[..count]);
            assert_eq!(ys.len(), count);
            for ((&x, &y), &expected) in xs.iter().zip(&ys).zip(&expected) {
                let found = y as f64;
                let same = found == expected
                    || found.is_nan() && expected.is_nan()
                    || (found - expected).abs() <= bound * expected.abs() + 1e-36;
                assert!(same, "{} {level:?} of {x}: {found} against {expected}", F::NAME);
            }
        }
        let (xs, grad) = (&xs[50..1051], normal(1001, 6));
        let found = gradient(level, function, xs, &grad);
        for ((&x, &g), found) in xs.iter().zip(&grad).zip(found) {
            let h = 1e-6;
            let slope = (reference(x as f64 + h) - reference(x as f64 - h)) / (2. * h);
            let error = (found as f64 - g as f64 * slope).abs();
            assert!(error <= 2e-6 * (g.abs() as f64).max(0.1), "{} {level:?} at {x}: {found}", F::NAME);
        }
        let found = gradient(level, function, &[f32::NAN, 30., -30.], &[1., 1., 1.]);
        assert!(found[0].is_nan() || F::NAME.ends_with("relu"), "{}", F::NAME);
        assert!((found[1] as f64 - (reference(30.) - reference(29.))).abs() < 1e-6, "{}", F::NAME);
    }
}

#[test]
fn values_and_gradients_equal_references_at_every_level() {
    let sigmoid = |x: f64| 1. / (1. + (-x).exp());
    check(Gelu, |x| x * distribution(x), 5e-6);
    check(GeluTanh, gelu_tanh_of, 1e-5);
    check(QuickGelu, |x| x / (1. + (-1.702 * x).exp()), 1e-5);
    check(Silu, |x| x / (1. + (-x).exp()), 1e-6);
    check(Relu, |x| if x < 0. { 0. } else { x }, 0.);
    check(LeakyRelu { slope: 0.1 }, leaky_of, 1e-7);
    check(Tanh, f64::tanh, 5e-7);
    check(Sigmoid, sigmoid, 5e-7);
}

#[test]
fn tensors_of_any_layout_equal_the_composites() -> Result<()> {
    let xs = random((5, 33), 1)?;
    type Pair = (fn(&Tensor) -> Result<Tensor>, fn(&Tensor) -> Result<Tensor>);
    let pairs: [Pair; 8] = [
        (gelu, |xs| Gelu.composite(xs)),
        (gelu_tanh, |xs| GeluTanh.composite(xs)),
        (quick_gelu, |xs| QuickGelu.composite(xs)),
        (silu, |xs| Silu.composite(xs)),
        (relu, |xs| Relu.composite(xs)),
        (|xs| leaky_relu(xs, 0.2), |xs| LeakyRelu { slope: 0.2 }.composite(xs)),
        (tanh, |xs| Tanh.composite(xs)),
        (sigmoid, |xs| Sigmoid.composite(xs)),
    ];
    for (own, composite) in pairs {
        compare(&[&xs], || own(&xs.t()?), || composite(&xs.t()?))?;
        compare(&[&xs], || own(&xs.narrow(1, 3, 9)?), || composite(&xs.narrow(1, 3, 9)?))?;
        compare(&[&xs], || own(&xs.get(0)?.unsqueeze(0)?), || composite(&xs.get(0)?.unsqueeze(0)?))?;
        let wide = xs.to_dtype(DType::F64)?;
        assert_eq!(own(&wide)?.dtype(), DType::F64);
        assert_eq!(own(&Tensor::zeros((2, 0), DType::F32, &Device::Cpu)?)?.dims(), [2, 0]);
    }
    Ok(())
}

#[test]
fn gates_equal_the_composites() -> Result<()> {
    type Gate = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let pairs: [(Gate, Gate); 4] = [
        (silu_mul, |gate, up| Silu.composite(gate)? * up),
        (gelu_mul, |gate, up| Gelu.composite(gate)? * up),
        (gelu_tanh_mul, |gate, up| GeluTanh.composite(gate)? * up),
        (sigmoid_mul, |gate, up| Sigmoid.composite(gate)? * up),
    ];
    for (own, composite) in pairs {
        for size in [1, 33, 40_000] {
            let (gate, up) = (random((2, size), 1)?, random((2, size), 2)?);
            compare(&[&gate, &up], || own(&gate, &up), || composite(&gate, &up))?;
            compare(&[&gate, &up], || own(&gate.t()?, &up.t()?), || composite(&gate.t()?, &up.t()?))?;
            // halves of one projection
            let both = random((3, 2, 2 * size), 3)?;
            let halves =
                || Ok::<_, candle_core::Error>((both.narrow(2, 0, size)?, both.narrow(2, size, size)?));
            let (gate, up) = halves()?;
            compare(&[&both], || own(&gate, &up), || composite(&gate, &up))?;
        }
        let (gate, up) = (random((2, 3), 1)?, random((3, 2), 2)?);
        assert!(own(&gate, &up).unwrap_err().to_string().contains("[2, 3]"));
        let none = Tensor::zeros((3, 0), DType::F32, &Device::Cpu)?;
        assert_eq!(own(&none, &none)?.dims(), [3, 0]);
    }
    Ok(())
}

#[test]
fn snake_equals_its_reference_at_every_level() {
    let [batch, channels, time] = [2, 3, 517];
    let mut xs: Vec<f32> = normal(batch * channels * time, 1).into_iter().map(|x| 30. * x).collect();
    for large in [f32::NAN, 1e6, -3e4, f32::INFINITY] {
        let alpha = [0.5, 1.3, 9.];
        let beta = [1.5, 0.01, 4.];
        xs[time / 2] = large;
        for level in levels() {
            let ys = snake::values(level, [batch, channels, time], [&xs, &alpha, &beta]);
            for (i, (&x, &y)) in xs.iter().zip(&ys).enumerate() {
                let channel = i / time % channels;
                // the angle is rounded to f32, as candle and PyTorch do
                let sin = ((x * alpha[channel]) as f64).sin();
                let expected = x as f64 + sin * sin / beta[channel] as f64;
                let error = (y as f64 - expected).abs();
                assert!(
                    error <= 1e-6 * expected.abs().max(1. / beta[channel] as f64)
                        || y.is_nan() && expected.is_nan(),
                    "{level:?} at {i} of {x}: {y} against {expected}"
                );
            }
        }
    }
}

#[test]
fn snake_and_its_gradients_equal_the_composite() -> Result<()> {
    for (batch, channels, time) in [(1, 1, 1), (2, 3, 70), (1, 2, 40_000), (1, 1, 17_011)] {
        let xs = random((batch, channels, time), 1)?;
        let positive = |seed| candle_core::Var::from_tensor(&(random(channels, seed)?.abs()? + 0.5)?);
        let (alpha, beta) = (positive(2)?, positive(3)?);
        compare(&[&xs, &alpha], || snake(&xs, &alpha), || snake::composite(&xs, &alpha, &alpha))?;
        compare(
            &[&xs, &alpha, &beta],
            || snake_beta(&xs, &alpha, &beta),
            || snake::composite(&xs, &alpha, &beta),
        )?;
        // rows with an angle beyond the fast sine's range
        let far = candle_core::Var::from_tensor(&(xs.as_tensor() * 2e4)?)?;
        compare(&[&far], || snake(&far, &alpha), || snake::composite(&far, &alpha, &alpha))?;
    }
    let xs = random((1, 3, 4), 1)?;
    assert!(snake(&xs, random(2, 1)?.as_tensor()).is_err());
    assert_eq!(snake(&xs.narrow(2, 0, 0)?, random(3, 1)?.as_tensor())?.dims(), [1, 3, 0]);
    Ok(())
}
