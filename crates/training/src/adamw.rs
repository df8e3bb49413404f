//! AdamW with decoupled weight decay (Loshchilov and Hutter, 2019), as `torch.optim.AdamW` computes it,
//! with gradient accumulation and a moving average of the weights.
//!
//! On a CPU the buffers are plain memory that the loops of [`models::adamw`] work on in place: a gradient's squares
//! are summed as it comes, then one pass over each variable changes moments, weights and average.

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};
use models::adamw::{self, Parameter, Update};

use crate::values::{Values, edit, read};

/// The numbers of one update.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay, for variables of two dimensions or more.
    pub weight_decay: f64,
    /// What the accumulated gradient is multiplied with.
    pub gradient_scale: f64,
    /// Decay of the moving average.
    pub average_decay: f64,
}

/// Variables with their gradients, moments and averages.
pub struct AdamW {
    pub(crate) slots: Vec<Slot>,
    pub(crate) updates: u64,
    /// Buffers are plain memory, because all variables are on a CPU.
    pub(crate) host: bool,
}

pub(crate) struct Slot {
    pub name: String,
    pub var: Var,
    gradient: Values,
    /// Whether the gradient was written since it was cleared, and the sum of its squares on a CPU.
    filled: Option<f64>,
    pub first: Values,
    pub second: Values,
    pub average: Option<Values>,
}

impl AdamW {
    /// An optimiser of f32 variables. With `average` it follows their moving average too, which begins with
    /// the values that they have now.
    pub fn new(vars: &[(String, Var)], average: bool) -> Result<Self> {
        let host = vars.iter().all(|(_, var)| var.device().is_cpu());
        Self::with_memory(vars, average, host)
    }

    fn with_memory(vars: &[(String, Var)], average: bool, host: bool) -> Result<Self> {
        let slots = vars.iter().map(|(name, var)| {
            let average = if average { Some(Values::of(var, host)?) } else { None };
            Ok(Slot {
                name: name.clone(),
                var: var.clone(),
                gradient: Values::zeros(var, host)?,
                filled: None,
                first: Values::zeros(var, host)?,
                second: Values::zeros(var, host)?,
                average,
            })
        });
        Ok(Self { slots: slots.collect::<Result<_>>()?, updates: 0, host })
    }

    /// Sets the accumulated gradient to zero.
    pub fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.filled = None;
        }
    }

    /// Adds the gradients of a backward pass; returns how many variables had one.
    pub fn accumulate(&mut self, gradients: &GradStore) -> Result<usize> {
        let mut found = 0;
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            found += 1;
            let add = slot.filled.is_some();
            let squares = match &mut slot.gradient {
                Values::Host(sum) => read(gradient, |gradient| adamw::accumulate(sum, gradient, add))?,
                Values::Device(sum) => {
                    *sum = if add { (&*sum + gradient)? } else { gradient.copy()? };
                    f64::NAN
                }
            };
            slot.filled = Some(squares);
        }
        Ok(found)
    }

    /// The length of the accumulated gradient, all variables together.
    pub fn gradient_norm(&self) -> Result<f64> {
        let mut total = 0.0;
        for slot in &self.slots {
            total += match (&slot.gradient, slot.filled) {
                (_, None) => 0.0,
                (Values::Host(_), Some(squares)) => squares,
                (Values::Device(gradient), _) => {
                    f64::from(gradient.sqr()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?)
                }
            };
        }
        Ok(total.sqrt())
    }

    /// One update of all variables by the accumulated gradient.
    pub fn update(&mut self, step: &Step) -> Result<()> {
        self.updates += 1;
        let power = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let root = (1.0 - step.beta2.powi(power)).sqrt();
        let rate = step.learning_rate / (1.0 - step.beta1.powi(power));
        for slot in &mut self.slots {
            let decay = if slot.var.rank() > 1 { step.weight_decay } else { 0.0 };
            slot.update(&Update {
                beta1: step.beta1,
                beta2: step.beta2,
                eps: step.eps,
                gradient_scale: step.gradient_scale,
                keep: 1.0 - step.learning_rate * decay,
                rate,
                root,
                average_decay: step.average_decay,
            })?;
        }
        Ok(())
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Exchanges variables and averages; a second call puts them back.
    pub fn swap_average(&mut self) -> Result<()> {
        for slot in &mut self.slots {
            if let Some(average) = &mut slot.average {
                average.swap(&slot.var)?;
            }
        }
        Ok(())
    }

    /// The averages, or the weights themselves where there is no average.
    pub(crate) fn averages(&self) -> Result<Vec<Values>> {
        let copy = |slot: &Slot| match &slot.average {
            Some(Values::Host(values)) => Ok(Values::Host(values.clone())),
            // never changed in place, so sharing is enough
            Some(Values::Device(tensor)) => Ok(Values::Device(tensor.clone())),
            None => Values::of(&slot.var, self.host),
        };
        self.slots.iter().map(copy).collect()
    }
}

impl Slot {
    fn update(&mut self, numbers: &Update) -> Result<()> {
        if self.filled.is_none() {
            match &mut self.gradient {
                Values::Host(sum) => sum.fill(0.0),
                Values::Device(sum) => *sum = sum.zeros_like()?,
            }
        }
        match (&self.gradient, &mut self.first, &mut self.second) {
            (Values::Host(gradient), Values::Host(first), Values::Host(second)) => {
                let average = match &mut self.average {
                    Some(Values::Host(average)) => Some(average.as_mut_slice()),
                    _ => None,
                };
                edit(&self.var, |weights| {
                    adamw::update(Parameter { weights, gradient, first, second, average }, numbers);
                })
            }
            (Values::Device(gradient), Values::Device(first), Values::Device(second)) => {
                let average = match &mut self.average {
                    Some(Values::Device(average)) => Some(average),
                    _ => None,
                };
                composed(numbers, &self.var, gradient, first, second, average)
            }
            _ => candle_core::bail!("{}: buffers on different devices", self.name),
        }
    }
}

fn composed(
    numbers: &Update,
    var: &Var,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    average: Option<&mut Tensor>,
) -> Result<()> {
    let Update { beta1, beta2, eps, gradient_scale, keep, rate, root, average_decay } = *numbers;
    let gradient = (gradient * gradient_scale)?;
    *first = ((&*first * beta1)? + (&gradient * (1.0 - beta1))?)?;
    *second = ((&*second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
    let change = (&*first * rate)?.div(&((second.sqrt()? / root)? + eps)?)?;
    var.set(&((var.as_detached_tensor() * keep)? - change)?)?;
    if let Some(average) = average {
        *average = ((&*average * average_decay)? + (var.as_detached_tensor() * (1.0 - average_decay))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;
    use candle_core::Device;

    /// Weights and averages after ten updates of a matrix longer than a chunk and of a vector, by gradients of
    /// a smooth function.
    fn run(host: bool) -> Result<Vec<f32>> {
        let mut rng = Rng::new(4);
        let mut var = |shape: &[usize]| Var::from_tensor(&rng.normal_tensor(shape, &Device::Cpu)?);
        let vars = [("matrix".to_string(), var(&[130, 129])?), ("vector".to_string(), var(&[7])?)];
        let mut adamw = AdamW::with_memory(&vars, true, host)?;
        for _ in 0..10 {
            adamw.clear();
            let loss = (vars[0].1.sin()?.sum_all()? + vars[1].1.sqr()?.sum_all()?)?;
            assert_eq!(adamw.accumulate(&loss.backward()?)?, 2);
            adamw.update(&Step {
                learning_rate: 0.01,
                beta1: 0.9,
                beta2: 0.99,
                eps: 1e-8,
                weight_decay: 0.1,
                gradient_scale: 1.0 / adamw.gradient_norm()?,
                average_decay: 0.9,
            })?;
        }
        let mut values = Vec::new();
        for (slot, average) in adamw.slots.iter().zip(adamw.averages()?) {
            values.extend(slot.var.flatten_all()?.to_vec1::<f32>()?);
            values.extend(average.to_vec()?);
        }
        Ok(values)
    }

    #[test]
    fn fused_equals_composed() -> Result<()> {
        let (fused, composed) = (run(true)?, run(false)?);
        assert_eq!(fused.len(), 2 * (130 * 129 + 7));
        for (fused, composed) in fused.iter().zip(&composed) {
            assert!((fused - composed).abs() < 2e-6, "{fused} {composed}");
        }
        Ok(())
    }

    #[test]
    fn norm_spans_all_variables() -> Result<()> {
        let a = Var::new(&[0f32, 0.], &Device::Cpu)?;
        let b = Var::new(&[[0f32]], &Device::Cpu)?;
        let loss = ((a.as_tensor() * 2.0)?.sum_all()? + b.sum_all()?)?;
        for host in [true, false] {
            let vars = [("a".to_string(), a.clone()), ("b".to_string(), b.clone())];
            let mut adamw = AdamW::with_memory(&vars, false, host)?;
            adamw.accumulate(&loss.backward()?)?;
            assert_eq!(adamw.gradient_norm()?, 3.0);
            adamw.accumulate(&loss.backward()?)?;
            assert_eq!(adamw.gradient_norm()?, 6.0);
        }
        Ok(())
    }
}
