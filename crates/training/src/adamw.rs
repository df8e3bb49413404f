//! AdamW with decoupled weight decay (Loshchilov and Hutter, 2019), as `torch.optim.AdamW` computes it,
//! with gradient accumulation and a moving average of the weights.
//!
//! On a CPU one pass over each variable reads its gradient and changes moments, weights and average in
//! place; each element depends on no other, so the numbers do not depend on the number of threads.

use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, Var};
use rayon::prelude::*;

use crate::values::{Values, edit, read};

/// Elements that one thread takes at a time.
const CHUNK: usize = 1 << 14;

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
    pub gradient: Values,
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
                first: Values::zeros(var, host)?,
                second: Values::zeros(var, host)?,
                average,
            })
        });
        Ok(Self { slots: slots.collect::<Result<_>>()?, updates: 0, host })
    }

    /// Sets the accumulated gradient to zero.
    pub fn clear(&mut self) -> Result<()> {
        for slot in &mut self.slots {
            match &mut slot.gradient {
                Values::Host(sum) => sum.fill(0.0),
                Values::Device(sum) => *sum = sum.zeros_like()?,
            }
        }
        Ok(())
    }

    /// Adds the gradients of a backward pass; returns how many variables had one.
    pub fn accumulate(&mut self, gradients: &GradStore) -> Result<usize> {
        let mut found = 0;
        for slot in &mut self.slots {
            let Some(gradient) = gradients.get(&slot.var) else { continue };
            found += 1;
            match &mut slot.gradient {
                Values::Host(sum) => read(gradient, |gradient| {
                    let chunks = sum.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
                    chunks.for_each(|(sum, gradient)| {
                        for (sum, gradient) in sum.iter_mut().zip(gradient) {
                            *sum += gradient;
                        }
                    });
                })?,
                Values::Device(sum) => *sum = (&*sum + gradient)?,
            }
        }
        Ok(found)
    }

    /// The length of the accumulated gradient, all variables together.
    pub fn gradient_norm(&self) -> Result<f64> {
        let mut total = 0.0;
        for slot in &self.slots {
            total += match &slot.gradient {
                // summed chunk by chunk in order, so that threads do not change the sum
                Values::Host(gradient) => {
                    let parts: Vec<f64> = gradient
                        .par_chunks(CHUNK)
                        .map(|part| part.iter().map(|&g| f64::from(g) * f64::from(g)).sum())
                        .collect();
                    parts.iter().sum::<f64>()
                }
                Values::Device(gradient) => {
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
            let factors = Factors { step: *step, keep: 1.0 - step.learning_rate * decay, rate, root };
            slot.update(&factors)?;
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

struct Factors {
    step: Step,
    /// What weight decay leaves of a weight.
    keep: f64,
    /// Learning rate over the bias correction of the first moment.
    rate: f64,
    /// Root of the bias correction of the second moment.
    root: f64,
}

impl Slot {
    fn update(&mut self, factors: &Factors) -> Result<()> {
        match (&self.gradient, &mut self.first, &mut self.second) {
            (Values::Host(gradient), Values::Host(first), Values::Host(second)) => {
                let average = match &mut self.average {
                    Some(Values::Host(average)) => Some(average),
                    _ => None,
                };
                edit(&self.var, |weights| fused(factors, weights, gradient, first, second, average))
            }
            (Values::Device(gradient), Values::Device(first), Values::Device(second)) => {
                let average = match &mut self.average {
                    Some(Values::Device(average)) => Some(average),
                    _ => None,
                };
                composed(factors, &self.var, gradient, first, second, average)
            }
            _ => candle_core::bail!("{}: buffers on different devices", self.name),
        }
    }
}

fn fused(
    factors: &Factors,
    weights: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    average: Option<&mut Vec<f32>>,
) {
    let Step { beta1, beta2, eps, gradient_scale, average_decay, .. } = factors.step;
    let (scale, eps) = (gradient_scale as f32, eps as f32);
    let (keep1, take1) = (beta1 as f32, (1.0 - beta1) as f32);
    let (keep2, take2) = (beta2 as f32, (1.0 - beta2) as f32);
    let (keep, rate, root) = (factors.keep as f32, factors.rate as f32, (1.0 / factors.root) as f32);
    let follow = (1.0 - average_decay) as f32;

    let step = |w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]| {
        for ((w, g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
            let g = g * scale;
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
            *w = keep * *w - rate * *m / (v.sqrt() * root + eps);
        }
    };
    let weights_and_gradients = weights.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
    let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
    let all = weights_and_gradients.zip(moments);
    match average {
        None => all.for_each(|((w, g), (m, v))| step(w, g, m, v)),
        Some(average) => all.zip(average.par_chunks_mut(CHUNK)).for_each(|(((w, g), (m, v)), average)| {
            step(w, g, m, v);
            for (a, w) in average.iter_mut().zip(w) {
                *a += follow * (*w - *a);
            }
        }),
    }
}

fn composed(
    factors: &Factors,
    var: &Var,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
    average: Option<&mut Tensor>,
) -> Result<()> {
    let Step { beta1, beta2, eps, gradient_scale, average_decay, .. } = factors.step;
    let gradient = (gradient * gradient_scale)?;
    *first = ((&*first * beta1)? + (&gradient * (1.0 - beta1))?)?;
    *second = ((&*second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
    let change = (&*first * factors.rate)?.div(&((second.sqrt()? / factors.root)? + eps)?)?;
    var.set(&((var.as_detached_tensor() * factors.keep)? - change)?)?;
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
            adamw.clear()?;
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
