//! Trains small nets from outside, as an app does.

#![allow(clippy::unwrap_used)]

mod checkpoints;
mod killed;
mod learning;
mod optimiser;

use std::ops::ControlFlow;
use std::sync::Mutex;

use candle_core::{Device, Result, Tensor, Var};
use training::{Loss, Options, Progress, Rng, Task};

/// A task out of two closures.
struct Simple<L, H> {
    fingerprint: &'static str,
    loss: Mutex<L>,
    held_out: Mutex<H>,
}

impl<L, H> Task for Simple<L, H>
where
    L: FnMut(&mut Rng, u64, usize) -> Result<Tensor> + Send,
    H: FnMut() -> Result<Option<f64>> + Send,
{
    fn fingerprint(&self) -> String {
        self.fingerprint.into()
    }

    fn loss(&self, rng: &mut Rng, step: u64, micro: usize) -> Result<Loss> {
        let loss = &mut *self.loss.lock().unwrap();
        Ok(Loss { value: loss(rng, step, micro)?, items: 1 })
    }

    fn held_out(&mut self) -> Result<Option<f64>> {
        (self.held_out.get_mut().unwrap())()
    }
}

fn simple<L, H>(fingerprint: &'static str, loss: L, held_out: H) -> Simple<L, H> {
    Simple { fingerprint, loss: Mutex::new(loss), held_out: Mutex::new(held_out) }
}

/// A task without held-out data.
fn task<L>(loss: L) -> Simple<L, impl FnMut() -> Result<Option<f64>> + Send>
where
    L: FnMut(&mut Rng, u64, usize) -> Result<Tensor> + Send,
{
    simple("simple", loss, || Ok(None))
}

/// Normal variables, the same for the same names and shapes.
fn variables(shapes: &[(&str, &[usize])]) -> Result<Vec<(String, Var)>> {
    let mut rng = Rng::new(17);
    let mut var = |shape: &[usize]| Var::from_tensor(&rng.normal_tensor(shape, &Device::Cpu)?);
    shapes.iter().map(|(name, shape)| Ok((name.to_string(), var(shape)?))).collect()
}

/// Short runs whose every step counts: no warm-up, no average.
fn options(steps: u64) -> Options {
    Options { steps: Some(steps), warmup_steps: 0, average: None, ..Options::default() }
}

fn onward(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).unwrap()
}
