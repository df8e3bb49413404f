//! Gradients of what this crate's operators computed, without candle's detours: there a tensor's gradient begins as
//! zeros to which the first one is added, on one thread at a time.
//!
//! What is computed within [`record`] is noted, and [`Record::backward`] goes back over it: a first gradient stays
//! where it is, a further one is added by all cores. Results of candle's own operators may lie in between: from those
//! on candle's backward pass takes over.

use crate::sum::sum;
use candle_core::backprop::GradStore;
use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Shape, Tensor, TensorId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// What was computed within [`record`], in its order.
pub struct Record(Vec<Node>);

struct Node {
    result: Tensor,
    step: Step,
}

type Shared<Op> = Arc<Box<Op>>;

enum Step {
    Reshape(Tensor),
    One(Tensor, Shared<dyn CustomOp1 + Send + Sync>),
    Two([Tensor; 2], Shared<dyn CustomOp2 + Send + Sync>),
    Three([Tensor; 3], Shared<dyn CustomOp3 + Send + Sync>),
}

thread_local! {
    static NODES: RefCell<Option<Vec<Node>>> = const { RefCell::new(None) };
}

/// What stood there before is put back, also after a panic.
struct Before(Option<Vec<Node>>);

impl Drop for Before {
    fn drop(&mut self) {
        NODES.set(self.0.take());
    }
}

/// Runs `f` and notes what this thread computes in it that has a gradient.
pub fn record<R>(f: impl FnOnce() -> R) -> (R, Record) {
    let before = Before(NODES.replace(Some(Vec::new())));
    let result = f();
    let nodes = NODES.take().unwrap_or_default();
    drop(before);
    (result, Record(nodes))
}

fn note(result: &Tensor, step: impl FnOnce() -> Step) {
    if result.track_op() {
        NODES.with_borrow_mut(|nodes| {
            if let Some(nodes) = nodes {
                nodes.push(Node { result: result.clone(), step: step() });
            }
        });
    }
}

/// The tensor in another shape of as many values.
///
/// # Errors
/// Where the numbers of values differ.
pub fn reshape(xs: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let ys = xs.reshape(shape.into())?;
    note(&ys, || Step::Reshape(xs.clone()));
    Ok(ys)
}

/// candle's `apply_op`, noted where something is recorded.
pub(crate) trait Recorded {
    fn recorded1(&self, op: impl CustomOp1 + Send + Sync + 'static) -> Result<Tensor>;
    fn recorded2(&self, second: &Tensor, op: impl CustomOp2 + Send + Sync + 'static) -> Result<Tensor>;
    fn recorded3(
        &self,
        second: &Tensor,
        third: &Tensor,
        op: impl CustomOp3 + Send + Sync + 'static,
    ) -> Result<Tensor>;
}

impl Recorded for Tensor {
    fn recorded1(&self, op: impl CustomOp1 + Send + Sync + 'static) -> Result<Tensor> {
        let op: Shared<dyn CustomOp1 + Send + Sync> = Arc::new(Box::new(op));
        let result = self.apply_op1_arc(op.clone())?;
        note(&result, || Step::One(self.clone(), op));
        Ok(result)
    }

    fn recorded2(&self, second: &Tensor, op: impl CustomOp2 + Send + Sync + 'static) -> Result<Tensor> {
        let op: Shared<dyn CustomOp2 + Send + Sync> = Arc::new(Box::new(op));
        let result = self.apply_op2_arc(second, op.clone())?;
        note(&result, || Step::Two([self.clone(), second.clone()], op));
        Ok(result)
    }

    fn recorded3(
        &self,
        second: &Tensor,
        third: &Tensor,
        op: impl CustomOp3 + Send + Sync + 'static,
    ) -> Result<Tensor> {
        let op: Shared<dyn CustomOp3 + Send + Sync> = Arc::new(Box::new(op));
        let result = self.apply_op3_arc(second, third, op.clone())?;
        note(&result, || Step::Three([self.clone(), second.clone(), third.clone()], op));
        Ok(result)
    }
}

impl Node {
    // each input with its gradient
    fn gradients(self, grad: &Tensor) -> Result<Vec<(Tensor, Option<Tensor>)>> {
        Ok(match self.step {
            Step::Reshape(xs) => {
                let grad = grad.reshape(xs.shape())?;
                vec![(xs, Some(grad))]
            }
            Step::One(xs, op) => {
                let grad = op.bwd(&xs, &self.result, grad)?;
                vec![(xs, grad)]
            }
            Step::Two([a, b], op) => {
                let (a_grad, b_grad) = op.bwd(&a, &b, &self.result, grad)?;
                vec![(a, a_grad), (b, b_grad)]
            }
            Step::Three([a, b, c], op) => {
                let (a_grad, b_grad, c_grad) = op.bwd(&a, &b, &c, &self.result, grad)?;
                vec![(a, a_grad), (b, b_grad), (c, c_grad)]
            }
        })
    }
}

/// Tensors with the sums of their gradients, in the order in which the first ones came.
#[derive(Default)]
struct Sums {
    places: HashMap<TensorId, usize>,
    sums: Vec<Option<(Tensor, Tensor)>>,
}

impl Sums {
    fn add(&mut self, tensor: &Tensor, grad: &Tensor) -> Result<()> {
        let place = *self.places.entry(tensor.id()).or_insert(self.sums.len());
        let grad = grad.detach();
        match self.sums.get_mut(place) {
            Some(Some((_, total))) => *total = sum(total, &grad)?,
            Some(empty) => *empty = Some((tensor.clone(), grad)),
            None => self.sums.push(Some((tensor.clone(), grad))),
        }
        Ok(())
    }

    fn take(&mut self, tensor: &Tensor) -> Option<Tensor> {
        let place = self.places.get(&tensor.id())?;
        self.sums[*place].take().map(|(_, grad)| grad)
    }
}

impl Record {
    /// The gradients of a loss that was computed within the record: what [`Tensor::backward`] gives.
    ///
    /// # Errors
    /// Those of the operators.
    pub fn backward(self, loss: &Tensor) -> Result<GradStore> {
        self.backward_by(loss, &loss.ones_like()?)
    }

    /// The gradients of what lies behind `output`, which was computed within the record, by the gradient of its own.
    ///
    /// # Errors
    /// Those of the operators.
    pub fn backward_by(self, output: &Tensor, grad: &Tensor) -> Result<GradStore> {
        if !self.0.iter().any(|node| node.result.id() == output.id()) {
            return (output * grad)?.sum_all()?.backward();
        }
        let mut sums = Sums::default();
        sums.add(output, grad)?;
        for node in self.0.into_iter().rev() {
            let Some(grad) = sums.take(&node.result) else { continue };
            for (input, grad) in node.gradients(&grad)? {
                if let (Some(grad), true) = (grad, input.track_op()) {
                    sums.add(&input, &grad)?;
                }
            }
        }
        // Gradients add up, so what candle's own operators have from here can be followed by itself: by one pass, as
        // several would go over what lies behind all of them as often.
        let mut store = GradStore::default();
        let (variables, others): (Vec<_>, Vec<_>) =
            sums.sums.into_iter().flatten().partition(|(tensor, _)| tensor.is_variable());
        for (variable, grad) in variables {
            store.insert(&variable, grad);
        }
        let mut rest: Option<Tensor> = None;
        for (tensor, grad) in others {
            let part = (tensor * grad)?.sum_all()?;
            rest = Some(rest.map_or(Ok(part.clone()), |rest| rest + part)?);
        }
        if let Some(rest) = rest {
            store.extend(rest.backward()?)?;
        }
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activations::{gelu, silu_mul};
    use crate::linear::linear;
    use crate::loss::cross_entropy;
    use crate::norm::rms_norm;
    use crate::testing::{close, random};
    use candle_core::{Device, Var};

    fn variables() -> Result<[Var; 4]> {
        Ok([random((3, 5, 8), 1)?, random((8, 8), 2)?, random(8, 3)?, random(8, 4)?])
    }

    // used several times, reshaped, and with candle's operators in between where `mixed`
    fn loss([xs, weight, bias, scale]: &[Var; 4], mixed: bool) -> Result<Tensor> {
        let ys = linear(xs, weight, Some(bias))?;
        let ys = if mixed { (gelu(&ys)?.exp()? * 0.1)? } else { gelu(&ys)? };
        let gated = silu_mul(&ys, &linear(&ys, weight, None)?)?;
        let ys = rms_norm(&sum(&gated, &ys)?, scale, 1e-5)?;
        let ys = if mixed { (ys + xs.as_tensor())? } else { sum(&ys, xs)? };
        let targets = Tensor::from_vec((0..15u32).map(|i| i % 8).collect(), 15, &Device::Cpu)?;
        cross_entropy(&reshape(&ys, (15, 8))?, &targets)
    }

    #[test]
    fn gradients_are_those_of_candle() -> Result<()> {
        let vars = variables()?;
        for mixed in [false, true] {
            let (found, record) = record(|| loss(&vars, mixed));
            let found = record.backward(&found?)?;
            let expected = loss(&vars, mixed)?.backward()?;
            for (i, var) in vars.iter().enumerate() {
                let (Some(a), Some(b)) = (found.get(var), expected.get(var)) else {
                    panic!("no gradient {i}")
                };
                close(a, b, &format!("gradient {i}, {mixed}"));
            }
        }
        Ok(())
    }

    #[test]
    fn a_gradient_that_is_at_hand_is_taken_further() -> Result<()> {
        let [xs, weight, bias, _] = variables()?;
        let grad = random((3, 5, 8), 9)?;
        let map = || gelu(&linear(&xs, &weight, Some(&bias))?);
        let expected = (map()? * grad.as_tensor())?.sum_all()?.backward()?;
        let (found, record) = record(map);
        let found = found?;
        for (name, found) in [
            ("recorded", record.backward_by(&found, &grad)?),
            ("not recorded", Record(Vec::new()).backward_by(&found, &grad)?),
        ] {
            for var in [&xs, &weight, &bias] {
                let (Some(a), Some(b)) = (found.get(var), expected.get(var)) else {
                    panic!("{name}: no gradient")
                };
                close(a, b, name);
            }
        }
        Ok(())
    }

    #[test]
    fn what_was_not_recorded_is_left_to_candle() -> Result<()> {
        let vars = variables()?;
        let early = loss(&vars, false)?;
        let (late, empty) = record(|| early.affine(2., 0.));
        let found = empty.backward(&late?)?;
        assert!(vars.iter().all(|var| found.get(var).is_some()));
        NODES.with_borrow(|nodes| assert!(nodes.is_none()));
        Ok(())
    }

    #[test]
    fn a_record_within_a_record_is_its_own() -> Result<()> {
        let vars = variables()?;
        let ((inner, found), outer) = record(|| {
            let (found, inner) = record(|| loss(&vars, false));
            (inner.0.len(), found)
        });
        assert!(found?.track_op() && inner > 5 && outer.0.is_empty());
        let caught = std::panic::catch_unwind(|| record::<()>(|| panic!("within")));
        assert!(caught.is_err());
        NODES.with_borrow(|nodes| assert!(nodes.is_none()));
        Ok(())
    }
}
