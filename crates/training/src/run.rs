//! A run between two steps: optimiser, state, best weights, and their way to disk and back.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{DType, Var};
use models::side_by_side::Lanes;
use models::{Precision, gradients, with_precision};

use crate::adamw::{AdamW, Step};
use crate::checkpoint::{Part, Place, State, Tensors};
use crate::curve::{Curve, Point};
use crate::error::{Error, Result};
use crate::fit::{Loss, Task};
use crate::options::Options;
use crate::random::Rng;
use crate::schedule;
use crate::values::Values;

pub(crate) struct Run {
    pub state: State,
    pub adamw: AdamW,
    /// The weights of the best evaluation, where they are asked for.
    pub best: Option<Vec<Values>>,
    place: Option<Place>,
    lanes: Lanes,
}

/// What one step showed.
pub(crate) struct Seen {
    /// `None` where loss or gradient were not finite and nothing was changed.
    pub loss: Option<f64>,
    pub gradient_norm: f64,
    pub learning_rate: f64,
    pub items: usize,
}

impl Run {
    /// Goes on from the folder's checkpoint, or begins.
    pub fn open(
        vars: &[(String, Var)],
        options: &Options,
        folder: Option<&Path>,
        task: String,
    ) -> Result<Self> {
        let vars = checked(vars)?;
        let mut run = Self {
            adamw: AdamW::new(&vars, options.average.is_some())?,
            best: None,
            place: folder.map(Place::open).transpose()?,
            lanes: Lanes::new(options.micro_batches, vars.iter().all(|(_, var)| var.device().is_cpu()))
                .map_err(|error| Error::Threads(error.to_string()))?,
            state: State {
                options: options.clone(),
                task,
                step: 0,
                total: if options.minutes.is_none() { options.steps } else { None },
                updates: 0,
                skipped: 0,
                skipped_in_row: 0,
                loss_sum: 0.0,
                loss_count: 0,
                curve: Curve::default(),
                held_out: None,
                best: None,
                without_gain: 0,
                stopped: false,
            },
        };
        let Some(place) = &run.place else { return Ok(run) };
        if let Some((state, tensors)) = place.read()? {
            run.agrees(&state, place.path())?;
            run.restore(state, &tensors)?;
        }
        Ok(run)
    }

    fn agrees(&self, state: &State, path: &Path) -> Result<()> {
        let mismatch =
            |what: String, then: String, now: String| Error::Mismatch { path: path.into(), what, then, now };
        if let Some((what, then, now)) = self.state.options.difference(&state.options) {
            return Err(mismatch(what, then, now));
        }
        if self.state.task != state.task {
            return Err(mismatch("data or net".into(), state.task.clone(), self.state.task.clone()));
        }
        Ok(())
    }

    fn restore(&mut self, state: State, tensors: &Tensors) -> Result<()> {
        let has_best = self.keeps_best() && state.best.is_some();
        let (mut best, host) = (Vec::new(), self.adamw.host);
        tensors.with(|get| {
            for slot in &mut self.adamw.slots {
                let shape = slot.var.dims().to_vec();
                let get = |kind: &str| get(&format!("{kind}/{}", slot.name), &shape);
                let mut weights = Values::zeros(&slot.var, host)?;
                weights.set(get("weights")?, &slot.var)?;
                weights.swap(&slot.var)?;
                slot.first.set(get("first")?, &slot.var)?;
                slot.second.set(get("second")?, &slot.var)?;
                if let Some(average) = &mut slot.average {
                    average.set(get("average")?, &slot.var)?;
                }
                if has_best {
                    weights.set(get("best")?, &slot.var)?;
                    best.push(weights);
                }
            }
            Ok(())
        })?;
        self.best = has_best.then_some(best);
        self.adamw.updates = state.updates;
        // what no number depends on is this run's own
        self.state = State { options: self.state.options.clone(), ..state };
        Ok(())
    }

    pub fn save(&mut self) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        self.state.updates = self.adamw.updates;
        let mut parts = Vec::new();
        for (index, slot) in self.adamw.slots.iter().enumerate() {
            let mut add = |kind: &str, values| {
                parts.push(Part {
                    name: format!("{kind}/{}", slot.name),
                    shape: slot.var.dims().to_vec(),
                    values,
                });
            };
            add("weights", Cow::Owned(slot.var.flatten_all()?.to_vec1()?));
            add("first", lend(&slot.first)?);
            add("second", lend(&slot.second)?);
            if let Some(average) = &slot.average {
                add("average", lend(average)?);
            }
            if let Some(best) = &self.best {
                add("best", lend(&best[index])?);
            }
        }
        place.write(&self.state, parts)
    }

    /// One step: gradients of all micro-batches, then one update.
    pub fn step(&mut self, task: &mut dyn Task) -> Result<Seen> {
        let options = &self.state.options;
        let (step, batches) = (self.state.step, options.micro_batches);
        let precision = if options.bf16 { Precision::Bf16 } else { Precision::F32 };
        let learning_rate = schedule::learning_rate(options, step, self.state.total);
        let (mut loss, mut items, mut found) = (0.0, 0, 0);
        self.adamw.clear();
        let task: &dyn Task = task;
        let one = |micro: usize| -> Result<(f64, usize, Option<GradStore>)> {
            let mut rng = Rng::at(options.seed, &[step, micro as u64]);
            let (seen, record) =
                gradients::record(|| with_precision(precision, || task.loss(&mut rng, step, micro)));
            let Loss { value, items } = seen?;
            let loss = f64::from(value.reshape(())?.to_dtype(DType::F32)?.to_scalar::<f32>()?);
            let gradients = if loss.is_finite() { Some(record.backward(&value)?) } else { None };
            Ok((loss, items, gradients))
        };
        self.lanes.each(0..batches, 0, one, |(one, seen, gradients)| {
            loss += one / batches as f64;
            items += seen;
            // in the order of their numbers, so that the sums do not depend on who was first
            if let Some(gradients) = gradients {
                found += self.adamw.accumulate(&gradients)?;
            }
            Ok(if loss.is_finite() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        let gradient_norm = self.adamw.gradient_norm()? / batches as f64;
        let good = loss.is_finite() && gradient_norm.is_finite();
        if good {
            if found == 0 && self.adamw.updates() == 0 {
                return Err(Error::NoGradient);
            }
            // torch.nn.utils.clip_grad_norm_ adds the same 1e-6
            let clip = options.clip.map_or(1.0, |clip| (clip / (gradient_norm + 1e-6)).min(1.0));
            self.adamw.update(&Step {
                learning_rate,
                beta1: options.beta1,
                beta2: options.beta2,
                eps: options.eps,
                weight_decay: options.weight_decay,
                gradient_scale: clip / batches as f64,
                average_decay: options
                    .average
                    .map_or(0.0, |d| schedule::average_decay(d, self.adamw.updates())),
            })?;
        }
        self.count(good.then_some(loss))?;
        Ok(Seen { loss: good.then_some(loss), gradient_norm, learning_rate, items })
    }

    fn count(&mut self, loss: Option<f64>) -> Result<()> {
        let state = &mut self.state;
        state.step += 1;
        if let Some(loss) = loss {
            state.loss_sum += loss;
            state.loss_count += 1;
            state.skipped_in_row = 0;
            return Ok(());
        }
        state.skipped += 1;
        state.skipped_in_row += 1;
        if state.skipped_in_row >= state.options.bad_steps {
            let (times, learning_rate) = (state.skipped_in_row, state.options.learning_rate);
            return Err(Error::Diverged { step: state.step, times, learning_rate });
        }
        Ok(())
    }

    /// Evaluates with the averages in the variables' place; returns what came and the seconds it took.
    pub fn evaluate(&mut self, task: &mut dyn Task) -> Result<(Option<f64>, f64)> {
        let began = Instant::now();
        self.adamw.swap_average()?;
        let seen = task.held_out();
        self.adamw.swap_average()?;
        let Some(held_out) = seen? else { return Ok((None, 0.0)) };
        let state = &mut self.state;
        state.held_out = held_out.is_finite().then_some(held_out);
        let gain = held_out.is_finite() && state.best.is_none_or(|(_, best)| held_out < best);
        if gain {
            state.best = Some((state.step, held_out));
            state.without_gain = 0;
        } else {
            state.without_gain += 1;
        }
        state.stopped = state.options.patience.is_some_and(|patience| state.without_gain >= patience);
        if gain && self.keeps_best() {
            self.best = Some(self.adamw.averages()?);
        }
        Ok((self.state.held_out, began.elapsed().as_secs_f64()))
    }

    /// Adds a point to the curve.
    pub fn point(&mut self, held_out: Option<f64>) {
        let state = &mut self.state;
        let loss = (state.loss_count > 0).then(|| state.loss_sum / state.loss_count as f64);
        (state.loss_sum, state.loss_count) = (0.0, 0);
        state.curve.points.push(Point { step: state.step, loss, held_out });
    }

    pub fn ended(&self) -> bool {
        let end = self.state.total.or(self.state.options.steps);
        self.state.stopped || end.is_some_and(|end| self.state.step >= end)
    }

    pub fn keeps_best(&self) -> bool {
        self.state.options.keep_best || self.state.options.patience.is_some()
    }
}

fn lend(values: &Values) -> Result<Cow<'_, [f32]>> {
    match values {
        Values::Host(values) => Ok(Cow::Borrowed(values)),
        device => Ok(Cow::Owned(device.to_vec()?)),
    }
}

/// The variables in alphabetical order, each f32, contiguous, and named once.
fn checked(vars: &[(String, Var)]) -> Result<Vec<(String, Var)>> {
    let mut vars = vars.to_vec();
    vars.sort_by(|a, b| a.0.cmp(&b.0));
    let wrong = |name: &str, reason: String| Error::Variable { name: name.into(), reason };
    if vars.is_empty() {
        return Err(Error::NoGradient);
    }
    for (index, (name, var)) in vars.iter().enumerate() {
        if var.dtype() != DType::F32 {
            return Err(wrong(name, format!("is {:?}; a training keeps its weights in f32", var.dtype())));
        }
        if !var.is_contiguous() {
            return Err(wrong(name, "is not contiguous".into()));
        }
        if index > 0 && vars[index - 1].0 == *name {
            return Err(wrong(name, "is there twice".into()));
        }
    }
    Ok(vars)
}
