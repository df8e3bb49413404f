//! The loop.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use candle_core::{Tensor, Var};

use crate::curve::Curve;
use crate::error::Result;
use crate::options::Options;
use crate::random::Rng;
use crate::run::{Run, Seen};

/// What is learned.
pub trait Task: Sync {
    /// What the numbers depend on beside the options: data, net, first weights. A run goes on from a
    /// checkpoint only if this is the same; it is shown when it is not, so keep it short (names, sizes, a hash).
    fn fingerprint(&self) -> String;

    /// The mean loss of one micro-batch. All randomness comes from `rng`, which is a function of the seed,
    /// the step (from 0) and the micro-batch, so that a resumed run draws the same. On a CPU the micro-batches of a
    /// step are computed side by side.
    fn loss(&self, rng: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss>;

    /// The loss on held-out data, always the same; `None` where there is none. The variables hold their
    /// moving averages while it runs.
    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        Ok(None)
    }
}

/// The loss of one micro-batch.
pub struct Loss {
    /// A tensor of one element. Micro-batches of a step count alike.
    pub value: Tensor,
    /// Examples or tokens in it, for the rate.
    pub items: usize,
}

/// Where a run stands after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run; `None` while the rate is being measured.
    pub total: Option<u64>,
    /// Loss of this step; `None` if it or its gradient was not finite and the step was skipped.
    pub loss: Option<f64>,
    /// Held-out loss, if it was evaluated now.
    pub held_out: Option<f64>,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Steps skipped so far.
    pub skipped: u64,
    /// Items (examples or tokens) a second, over the last steps.
    pub items_per_second: f64,
    /// Seconds to go.
    pub eta_seconds: Option<f64>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Finished,
    /// Patience ran out.
    NoGain,
    /// `on_step` asked for it; a later call goes on from there.
    Interrupted,
}

/// What a run gives.
#[derive(Debug)]
pub struct Fitted {
    /// Why it ended.
    pub ending: Ending,
    /// Steps done.
    pub steps: u64,
    /// Steps skipped because loss or gradient were not finite.
    pub skipped: u64,
    /// Losses over the steps.
    pub curve: Curve,
    /// The last held-out loss.
    pub held_out: Option<f64>,
    /// Step and value of the best held-out loss.
    pub best: Option<(u64, f64)>,
    /// The weights to keep: those of the best evaluation if options ask for it, else the moving averages,
    /// else the last ones. The variables themselves hold the last ones.
    pub weights: BTreeMap<String, Tensor>,
}

/// Fits variables to a task. With a folder it goes on from the checkpoint there, if there is one, and writes
/// its own; a run that had already ended comes back at once.
pub fn fit(
    vars: &[(String, Var)],
    options: &Options,
    folder: Option<&Path>,
    task: &mut dyn Task,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    options.validate()?;
    let mut pace = Pace::new();
    let mut run = Run::open(vars, options, folder, task.fingerprint())?;
    if run.state.step == 0 {
        let (held_out, seconds) = run.evaluate(task)?;
        pace.evaluation = seconds;
        if held_out.is_some() {
            run.point(held_out);
        }
        pace.last = Instant::now();
    }
    let mut saved = Instant::now();
    let mut interrupted = false;
    while !interrupted && !run.ended() {
        let seen = run.step(task)?;
        pace.step(seen.items);
        let fixed = fix_total(&mut run, &pace);
        let held_out = look_up(&mut run, task, &mut pace)?;
        interrupted = on_step(&progress(&run, &seen, held_out, &pace)).is_break();
        let due = options.checkpoint_steps.is_some_and(|steps| run.state.step.is_multiple_of(steps))
            || options.checkpoint_seconds.is_some_and(|seconds| saved.elapsed().as_secs_f64() >= seconds);
        if fixed || due || interrupted || run.ended() {
            run.save()?;
            saved = Instant::now();
        }
    }
    fitted(run)
}

/// Evaluates and adds a point to the curve where they are due.
fn look_up(run: &mut Run, task: &mut dyn Task, pace: &mut Pace) -> Result<Option<f64>> {
    let (step, last) = (run.state.step, run.ended());
    let every = |steps: u64| steps > 0 && step.is_multiple_of(steps);
    let mut held_out = None;
    if every(run.state.options.held_out_every) || last {
        let (seen, seconds) = run.evaluate(task)?;
        held_out = seen;
        pace.evaluation = seconds;
    }
    if every(run.state.options.curve_every) || held_out.is_some() || last {
        run.point(held_out);
    }
    pace.last = Instant::now();
    Ok(held_out)
}

/// Turns minutes into a number of steps, once the rate is known; true if it was now.
fn fix_total(run: &mut Run, pace: &Pace) -> bool {
    let Some(minutes) = run.state.options.minutes.filter(|_| run.state.total.is_none()) else { return false };
    let (budget, spent) = (minutes * 60.0, pace.began.elapsed().as_secs_f64());
    let measured = pace.steps >= Pace::WARM + 3 && spent >= (0.03 * budget).min(20.0);
    if !measured && spent < budget {
        return false;
    }
    let every = run.state.options.held_out_every;
    let evaluation = if every > 0 { pace.evaluation / every as f64 } else { 0.0 };
    let more = ((budget - spent).max(0.0) / (pace.step_seconds() + evaluation)).floor() as u64;
    let total = (run.state.step + more).min(run.state.options.steps.unwrap_or(u64::MAX));
    run.state.total = Some(total);
    true
}

fn progress(run: &Run, seen: &Seen, held_out: Option<f64>, pace: &Pace) -> Progress {
    let state = &run.state;
    let eta = |total: u64| {
        let steps = total.saturating_sub(state.step);
        let evaluations = steps.checked_div(state.options.held_out_every).unwrap_or(0);
        steps as f64 * pace.step_seconds() + evaluations as f64 * pace.evaluation
    };
    Progress {
        step: state.step,
        total: state.total,
        loss: seen.loss,
        held_out,
        learning_rate: seen.learning_rate,
        gradient_norm: seen.gradient_norm,
        skipped: state.skipped,
        items_per_second: pace.items_per_second(),
        eta_seconds: state.total.map(eta),
    }
}

fn fitted(run: Run) -> Result<Fitted> {
    let averages = run.adamw.averages()?;
    let weights = run.best.as_ref().unwrap_or(&averages);
    let named = run.adamw.slots.iter().zip(weights);
    let weights = named.map(|(slot, values)| Ok((slot.name.clone(), values.to_tensor(&slot.var)?)));
    let weights = weights.collect::<Result<_>>()?;
    let ending = match run.state {
        ref state if state.stopped => Ending::NoGain,
        _ if run.ended() => Ending::Finished,
        _ => Ending::Interrupted,
    };
    let state = run.state;
    Ok(Fitted {
        ending,
        steps: state.step,
        skipped: state.skipped,
        curve: state.curve,
        held_out: state.held_out,
        best: state.best,
        weights,
    })
}

/// The clock of this process.
struct Pace {
    began: Instant,
    /// End of the last step or evaluation.
    last: Instant,
    /// Steps of this process.
    steps: u64,
    /// Seconds and items of the last steps, without the first ones.
    window: VecDeque<(f64, usize)>,
    /// Seconds of the last evaluation.
    evaluation: f64,
}

impl Pace {
    /// First steps, which allocate and are slower.
    const WARM: u64 = 2;
    const WINDOW: usize = 32;

    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, steps: 0, window: VecDeque::new(), evaluation: 0.0 }
    }

    fn step(&mut self, items: usize) {
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        self.steps += 1;
        if self.steps == Self::WARM + 1 {
            self.window.clear();
        }
        if self.window.len() == Self::WINDOW {
            self.window.pop_front();
        }
        self.window.push_back((seconds, items));
    }

    fn step_seconds(&self) -> f64 {
        let seconds: f64 = self.window.iter().map(|(seconds, _)| seconds).sum();
        (seconds / self.window.len().max(1) as f64).max(1e-9)
    }

    fn items_per_second(&self) -> f64 {
        let items: usize = self.window.iter().map(|(_, items)| items).sum();
        items as f64 / (self.step_seconds() * self.window.len().max(1) as f64)
    }
}
