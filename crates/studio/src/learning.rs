//! What goes before, during and after every `train`: only what is learned, and from what, is the app's own.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cli::{ComputeArgs, ModelArgs, Progress, TrainArgs};
use hub::{Embedded, Location, Want};
use media::chart::{Series, line_chart};
use models::checkpoint::Files;
use serde::de::DeserializeOwned;
use training::{Ending, Fitted, Options};

use crate::model;

/// What says what a model is, and what says it of one in several parts, as diffusers has them.
const CONFIG: &str = "config.json";
const INDEX: &str = "model_index.json";
/// Minutes of a training that is not told how long.
const MINUTES: f64 = 10.0;

/// Applies the flags and refuses what can be refused before anything is read: a model that stands where this one is to be
/// written, and a number format that nothing is learned in.
///
/// # Errors
/// Those.
pub fn begin(args: &TrainArgs, compute: &ComputeArgs) -> Result<Progress> {
    let out = &args.out;
    let is_model = [CONFIG, INDEX].iter().any(|name| out.join(name).exists());
    let is_model = is_model && !training::checkpoint::path(out).exists();
    if is_model && !args.force {
        bail!("{}: is a model already; --force replaces it, --base goes on from it", out.display());
    }
    compute.apply()?;
    compute.dtype.trains_in_bf16()?;
    Ok(Progress::new(&args.talk))
}

/// A model to start from.
pub struct Base<C> {
    /// Its files.
    pub files: Files,
    /// What its `config.json` says.
    pub config: C,
}

impl<C: DeserializeOwned> Base<C> {
    /// Finds the model that `--base` names, if it names one.
    ///
    /// # Errors
    /// A model that is not found, is one file, or has no configuration of this kind: `config.json`, or `model_index.json` where there is one.
    pub fn open(
        args: &TrainArgs,
        embedded: Option<Embedded>,
        wants: &[Want<'_>],
        progress: &Progress,
    ) -> Result<Option<Self>> {
        let Some(name) = &args.base else { return Ok(None) };
        let asked = ModelArgs { model: name.clone(), offline: false };
        let found = asked.resolve(embedded, wants, progress)?;
        if let Location::File(path) = &found.location {
            bail!(
                "{}: training starts from a folder with its configuration and weights, not from one file",
                path.display()
            );
        }
        let files = model::files(&found.location, CONFIG)?;
        let config = files.json(if files.has(INDEX) { INDEX } else { CONFIG })?;
        Ok(Some(Self { files, config }))
    }

    /// What changes when the weights do.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn identity(&self) -> Result<String> {
        model::identity(&self.files)
    }
}

/// Keeps a share of what there is to learn aside, evenly spread: what is left, and what is kept aside.
pub fn keep_aside<T>(items: impl IntoIterator<Item = T>, share: f64) -> (Vec<T>, Vec<T>) {
    let (mut left, mut aside, mut owed) = (Vec::new(), Vec::new(), 0.5);
    for item in items {
        owed += share;
        if owed >= 1. {
            owed -= 1.;
            aside.push(item);
        } else {
            left.push(item);
        }
    }
    (left, aside)
}

/// The flags as a training's options, with the highest learning rates of a new net and of one that goes on.
///
/// # Errors
/// A number format that nothing is learned in.
pub fn options(args: &TrainArgs, compute: &ComputeArgs, [new, goes_on]: [f64; 2]) -> Result<Options> {
    let steps = args.steps;
    Ok(Options {
        steps,
        minutes: args.minutes.or(if steps.is_none() { Some(MINUTES) } else { None }),
        learning_rate: args.learning_rate.unwrap_or(if args.base.is_some() { goes_on } else { new }),
        warmup_steps: steps.map_or(100, |steps| (steps / 10).clamp(1, 100)),
        held_out_every: steps.map_or(50, |steps| (steps / 13).clamp(5, 200)),
        average: Some(0.998),
        keep_best: true,
        bf16: compute.dtype.trains_in_bf16()?,
        seed: compute.seed.unwrap_or(0),
        checkpoint_seconds: Some(args.checkpoint),
        ..Options::default()
    })
}

/// A step's report, to a training that may be told to stop.
pub type OnStep<'a> = dyn FnMut(&training::Progress) -> ControlFlow<()> + 'a;

/// Runs a training behind a bar that counts `items` ("tokens") a second. Ctrl-C stops it after a step: then nothing comes
/// back, and how to go on has been said.
///
/// # Errors
/// Those of the training.
pub fn watch(
    progress: &Progress,
    options: &Options,
    items: &str,
    train: impl FnOnce(&mut OnStep<'_>) -> Result<Fitted>,
) -> Result<Option<Fitted>> {
    cli::stop_gently();
    let bar = progress.bar(options.steps.unwrap_or(0), "learning");
    let fitted = train(&mut |step| {
        if let Some(total) = step.total {
            bar.total(total);
        }
        bar.set(step.step);
        let held_out = step.held_out.map(|loss| format!(", held-out {loss:.3}")).unwrap_or_default();
        let loss = step.loss.map_or("not finite".into(), |loss| format!("{loss:.3}"));
        let rate = step.items_per_second;
        let rate = if rate < 100. { format!("{rate:.1}") } else { format!("{rate:.0}") };
        bar.message(format!("loss {loss}{held_out}, {rate} {items}/s"));
        if !held_out.is_empty() {
            progress.detail(format!("step {}: loss {loss}{held_out}", step.step));
        }
        if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish();
    if fitted.ending == Ending::Interrupted {
        progress.status(format!("stopped at step {}; the same command goes on from there", fitted.steps));
        return Ok(None);
    }
    Ok(Some(fitted))
}

/// Writes files into the folder that becomes the model, before the training: for a run that is cut off.
///
/// # Errors
/// A folder that cannot be written.
pub fn prepare(out: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for (name, bytes) in files {
        batch::write_bytes(&out.join(name), bytes, true)?;
    }
    Ok(())
}

/// Keeps what was learned: the curve with its picture, then the model, which `write` does. The checkpoint goes last: until
/// then a run can be repeated. `unit` is that of the losses.
///
/// # Errors
/// A folder that cannot be written, and what `write` refuses.
pub fn keep(out: &Path, fitted: &Fitted, unit: &str, write: impl FnOnce() -> Result<()>) -> Result<()> {
    let series = |name: &str, points: &mut dyn Iterator<Item = (u64, f64)>| Series {
        name: name.into(),
        points: points.map(|(step, loss)| (step as f64, loss)).collect(),
    };
    let curve = &fitted.curve;
    let curves = [series("training", &mut curve.losses()), series("held out", &mut curve.held_out())];
    batch::write_bytes(&out.join("curve.csv"), curve.to_csv().as_bytes(), true)?;
    batch::write_bytes(&out.join("curve.png"), &line_chart("Loss", "step", unit, &curves).to_png()?, true)?;
    write()?;
    Ok(training::checkpoint::remove(out)?)
}
