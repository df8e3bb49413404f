//! Many inputs into a folder: what all apps do alike, and what they say of it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use batch::{Choice, Event, Item, Job, Journal, Recipe, Shard, Status, status};
use clap::Args;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::args::{OutputArgs, Target};
use crate::exit::{Exit, report_line, usage};
use crate::print::{print_json, print_text};
use crate::progress::Progress;
use crate::source::Typed;

/// Jobs in flight at most where nobody says, the bytes of a small model, and how many items a job make a long list.
const USUALLY: usize = 4;
const SMALL: u64 = 256 << 20;
const LONG: usize = 4;

/// Which of many inputs are done.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Many inputs")]
pub struct BatchArgs {
    /// Take more inputs from FILE (`-` is stdin), one a line, or as JSON lines: {"input": FILE} or {"text": WORDS}, and
    /// with "id" what the result is called
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,

    /// Do the Nth of COUNT equal parts of many inputs, for job arrays; all parts write into one folder
    #[arg(long, value_name = "N/COUNT")]
    pub shard: Option<Shard>,

    /// Do only those of many inputs that failed the last time
    #[arg(long)]
    pub retry_failed: bool,

    /// Do so many inputs into a folder at a time, which share the threads [default: up to 4 for small models and long
    /// lists, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs_in_flight: Option<u16>,
}

impl BatchArgs {
    /// How many of so many items are at work at a time, with models of so many bytes: a small net's operators are too short to
    /// keep many threads at work, and of a few items the last would have but its share of them.
    fn jobs(&self, items: usize, weights: u64) -> usize {
        let usual = || {
            let most = rayon::current_num_threads().min(USUALLY);
            if weights <= SMALL && items >= most * LONG { most } else { 1 }
        };
        self.jobs_in_flight.map_or_else(usual, usize::from).min(items.max(1))
    }

    /// What was typed, with the list.
    pub fn typed<'a>(&'a self, inputs: &'a [String], texts: &'a [String]) -> Typed<'a> {
        Typed { inputs, texts, list: self.list.as_deref(), ..Typed::default() }
    }

    /// Refuses these flags where the output is not a folder.
    ///
    /// # Errors
    /// That.
    pub fn fit(&self, target: &Target) -> Result<()> {
        let flag = match self {
            _ if matches!(target, Target::Folder(_)) => return Ok(()),
            Self { shard: Some(_), .. } => "--shard",
            Self { retry_failed: true, .. } => "--retry-failed",
            Self { jobs_in_flight: Some(_), .. } => "--jobs-in-flight",
            _ => return Ok(()),
        };
        Err(usage(format!("{flag} is for many inputs into a folder: give -o DIR/")))
    }
}

/// What became of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the app ends.
    pub exit: Exit,
    /// Whether all items are done, now or before.
    pub whole: bool,
}

/// Makes each item in a folder: what an earlier run has done is skipped, what fails is told and the rest finished. `work`
/// returns the files that it wrote, or nothing where Ctrl-C stopped it. `verb` is what was done with each, `weights` the
/// bytes of the models that do it.
///
/// # Errors
/// A journal that cannot be kept.
pub fn each_in<T: Sync>(
    folder: &Path,
    items: &[Item<T>],
    recipe: &Recipe,
    (output, args, weights): (&OutputArgs, &BatchArgs, u64),
    progress: &Progress,
    verb: &str,
    work: impl Fn(&Job<'_, T>) -> Result<Option<Vec<PathBuf>>> + Sync,
) -> Result<Outcome> {
    let mut journal = Journal::open(folder, args.shard)?;
    let jobs = NonZeroUsize::new(args.jobs(items.len(), weights)).unwrap_or(NonZeroUsize::MIN);
    let choice = Choice { force: output.force, failed_only: args.retry_failed, shard: args.shard, jobs };
    let bar = progress.bar(items.len() as u64, verb);
    let lanes = lanes(jobs.get())?;
    if !lanes.is_empty() {
        progress.show_no_more_bars();
    }
    let summary = batch::run(
        items,
        recipe,
        &mut journal,
        choice,
        |job| {
            let done = match lanes.get(job.lane) {
                Some(threads) => threads.install(|| work(job)),
                None => work(job),
            };
            done.map_err(|error| report_line(&error))
        },
        |event| match event {
            Event::Begun { index, total, .. } => {
                bar.total(total as u64);
                bar.set(index as u64);
            }
            Event::Failed { id, reason } => progress.error(format!("{id}: {reason}")),
            Event::Skipped { id } => progress.detail(format!("{id}: done before")),
            Event::Done { .. } => {}
        },
    )?;
    bar.finish();
    let (done, skipped, failed) = (summary.done, summary.skipped, summary.failed.len());
    progress.status(format!("{done} {verb}, {skipped} done before, {failed} failed"));
    let exit = if summary.stopped { Exit::Interrupted } else { Exit::from(&summary) };
    Ok(Outcome { exit, whole: exit == Exit::Done && done + skipped == items.len() })
}

/// Threads for each of several jobs; none where there is one, which has all.
fn lanes(jobs: usize) -> Result<Vec<ThreadPool>> {
    let threads = rayon::current_num_threads();
    let of = |lane: usize| (threads / jobs + usize::from(lane < threads % jobs)).max(1);
    let lanes = if jobs > 1 { jobs } else { 0 };
    let pool = |lane| ThreadPoolBuilder::new().num_threads(of(lane)).build();
    (0..lanes).map(pool).collect::<Result<_, _>>().context("--jobs-in-flight")
}

/// `status DIR`: how far the runs in a folder have come.
#[derive(Args, Debug)]
pub struct StatusCommand {
    /// The folder that runs write into
    pub folder: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

impl StatusCommand {
    /// Prints what lies on disk.
    ///
    /// # Errors
    /// A folder that no run has written into.
    pub fn run(&self) -> Result<Exit> {
        let found = status(&self.folder)?;
        if self.json {
            print_json(&found)?
        } else {
            print_text(&table(&found))?
        }
        Ok(Exit::Done)
    }
}

fn table(found: &Status) -> String {
    let Status { items, done, failed, begun, gone, running, failures } = found;
    let mut text = format!("{done} of {items} done, {failed} failed");
    for (count, what) in [(*begun, "begun"), (*gone, "gone"), (*running, "at work")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push('\n');
    for (item, reason) in failures {
        text.push_str(&format!("{item}: {reason}\n"));
    }
    text
}
