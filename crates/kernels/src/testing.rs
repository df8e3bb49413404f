//! What the operators' tests share: values, and comparisons that let no NaN through.

use candle_core::{Device, Result, Shape, Tensor, Var};

/// So many values of a standard normal distribution, near enough, from a seed.
pub fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    // twelve uniform values have the variance one
    (0..count).map(|_| ((0..12).map(|_| uniform()).sum::<f64>() - 6.) as f32).collect()
}

/// A variable of normal values.
pub fn random(shape: impl Into<Shape>, seed: u64) -> Result<Var> {
    let shape = shape.into();
    Var::from_tensor(&Tensor::from_vec(normal(shape.elem_count(), seed), shape, &Device::Cpu)?)
}

/// Values and gradients of two formulations agree within 2e-5 of their largest value.
pub fn compare(
    vars: &[&Var],
    own: impl Fn() -> Result<Tensor>,
    composite: impl Fn() -> Result<Tensor>,
) -> Result<()> {
    let (own, composite) = (own()?, composite()?);
    close(&own, &composite, "values");
    let weights = random(own.shape(), 77)?.detach();
    let grads = [own, composite].map(|ys| (ys * &weights).and_then(|ys| ys.sum_all()?.backward()));
    let [own, composite] = grads;
    let (own, composite) = (own?, composite?);
    for (i, var) in vars.iter().enumerate() {
        let (Some(a), Some(b)) = (own.get(var), composite.get(var)) else { panic!("no gradient {i}") };
        close(a, b, &format!("gradient {i}"));
    }
    Ok(())
}

/// Two tensors agree within 2e-5 of their largest value; NaN and infinity only with themselves.
pub fn close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let b: Vec<f64> = flat(b).into_iter().map(f64::from).collect();
    near(&flat(a), &b, 2e-5, what);
}

/// Values agree with a reference within so much of the reference's largest finite value; NaN and infinity only
/// with themselves.
pub fn near(found: &[f32], expected: &[f64], bound: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let finite = expected.iter().filter(|x| x.is_finite());
    let scale = finite.fold(0f64, |m, x| m.max(x.abs())).max(1e-3);
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let same = if b.is_finite() {
            (a as f64 - b).abs() <= bound * scale
        } else {
            a.is_nan() == b.is_nan() && (a.is_nan() || a as f64 == b)
        };
        assert!(same, "{what} at {i}: {a} against {b}");
    }
}
