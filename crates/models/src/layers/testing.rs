//! Compares an operator of this crate with its composition from candle's.

use crate::layers::init::seeded;
use candle_core::{Device, Result, Shape, Tensor, Var};
use candle_nn::{Init, VarMap};

/// A variable of normal values.
pub fn random(shape: impl Into<Shape>, seed: u64) -> Result<Var> {
    let vb = seeded(&VarMap::new(), seed, &Device::Cpu);
    Var::from_tensor(&vb.get_with_hints(shape, "x", Init::Randn { mean: 0., stdev: 1. })?.copy()?)
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

fn close(a: &Tensor, b: &Tensor, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (a, b) = (flat(a), flat(b));
    let scale = b.iter().fold(0f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!((a - b).abs() <= 2e-5 * scale.max(1e-3), "{what} at {i}: {a} against {b}");
    }
}
