//! What `train`, `evaluate` and `compare` do alike: read, plan, learn.

use std::path::{Path, PathBuf};

use ::recommend::data::{Case, Filters, Histories, Log, Table, filter, read};
use ::recommend::evaluate::Protocol;
use ::recommend::learn::{Data, Length, learn};
use ::recommend::methods::{self, Kind, Method};
use ::recommend::plan::Plan;
use anyhow::Result;
use candle_core::Device;
use cli::{ComputeArgs, Dtype, Progress, usage};
use studio::learning;
use training::{Fitted, Options};

use crate::cli::{DataArgs, MethodArgs};

/// Reads and filters tables, and says what they hold.
pub fn data(paths: &[PathBuf], args: &DataArgs, progress: &Progress) -> Result<Log> {
    let spinner = progress.spinner("reading");
    let tables = paths.iter().map(|path| Table::open(path));
    let read = read(tables, &args.columns.asked(), args.min_rating, args.repeats, &mut |rows| {
        spinner.message(format!("{rows} rows"));
    });
    let (log, noted) = read?;
    let mut log =
        filter(log, Filters { min_user: args.min_user as usize, min_item: args.min_item as usize })?;
    if let Some(path) = &args.items {
        let found = log.catalogue.describe(path, &args.columns.asked())?;
        if found < log.catalogue.len() {
            let missing = log.catalogue.len() - found;
            progress.status(format!("{}: {missing} items of the data are not in it", path.display()));
        }
    }
    spinner.finish();
    let (people, items, total) = (log.people.len(), log.catalogue.len(), log.histories.total());
    progress.status(format!("{people} people, {items} items, {total} times that somebody had one"));
    let left_out = noted.rated_low + noted.repeats;
    if left_out > 0 {
        let (low, again) = (noted.rated_low, noted.repeats);
        progress.status(format!(
            "of {} rows, {low} are rated too low and {again} repeat what the person had (--repeats counts them)",
            noted.rows
        ));
    }
    if noted.late > 0 {
        progress
            .status(format!("{} rows stood behind later ones; they are sorted by their times", noted.late));
    }
    Ok(log)
}

/// What was typed, over what is usual.
///
/// # Errors
/// Heads that do not divide the width.
pub fn plan(
    kind: Kind,
    train: &Histories,
    items: usize,
    args: &MethodArgs,
    compute: &ComputeArgs,
) -> Result<Plan> {
    let usual = Plan::usual(kind, train, items);
    let size = |typed: Option<u32>, usual: usize| typed.map_or(usual, |size| size as usize);
    let plan = Plan {
        width: size(args.width, usual.width),
        latent: args.width.map_or(usual.latent, |width| (width as usize / 3).max(1)),
        blocks: size(args.blocks.map(u32::from), usual.blocks),
        heads: size(args.heads.map(u32::from), usual.heads),
        longest: size(args.longest, usual.longest),
        norm: args.norm.unwrap_or(usual.norm),
        dropout: args.dropout.unwrap_or(usual.dropout),
        negatives: size(args.negatives, usual.negatives),
        calibration: args.calibration.map_or(usual.calibration, f64::from),
        epochs: args.epochs.unwrap_or(usual.epochs),
        patience: args.patience.unwrap_or(usual.patience),
        regularisation: args.regularisation.unwrap_or(usual.regularisation),
        factors: size(args.factors, usual.factors),
        iterations: size(args.iterations, usual.iterations),
        alpha: args.alpha.unwrap_or(usual.alpha),
        neighbours: size(args.neighbours, usual.neighbours),
        seed: compute.seed.unwrap_or(0),
        // sums of bf16 products cost what nets this small gain
        bf16: compute.dtype == Dtype::Bf16,
        ..usual
    };
    if kind.has_order() && !plan.width.is_multiple_of(plan.heads) {
        return Err(usage(format!("--heads {}: they must divide the width, {}", plan.heads, plan.width)));
    }
    Ok(plan)
}

/// What is learned from, and by which a training is stopped.
pub struct Lesson<'a> {
    /// Histories.
    pub train: &'a Histories,
    /// Items that there are.
    pub items: usize,
    /// People who are kept aside.
    pub valid: &'a [Case],
    /// Whether what was had comes again.
    pub repeats: bool,
    /// How people who are kept aside are asked.
    pub protocol: Protocol,
}

/// A method, and what its training gave if it had steps.
pub type Learned = (Box<dyn Method>, Option<Fitted>);

/// Learns by any method; nothing where Ctrl-C stopped it. `out` holds checkpoints.
pub fn fit(
    plan: &Plan,
    lesson: &Lesson<'_>,
    length: &Length,
    out: Option<&Path>,
    device: &Device,
    progress: &Progress,
) -> Result<Option<Learned>> {
    if !plan.kind.has_steps() {
        let bar = progress.bar(0, plan.kind.name());
        let method = methods::fit(plan, lesson.train, lesson.items, &mut |done, total| {
            bar.total(total as u64);
            bar.set(done as u64);
        })?;
        bar.finish();
        return Ok(Some((method, None)));
    }
    let &Lesson { train, items, valid, repeats, protocol } = lesson;
    let data = Data { train, items, valid, repeats, protocol };
    let mut method = None;
    // only what the bar shows at first: the steps are known once the data are cut
    let shown = Options { steps: length.steps, ..Options::default() };
    let fitted = learning::watch(progress, &shown, "items", |on_step| {
        let (fitted, learned) = learn(plan, &data, length, out, device, on_step)?;
        method = Some(learned);
        Ok(fitted)
    })?;
    Ok(fitted.zip(method).map(|(fitted, method)| (method, Some(fitted))))
}
