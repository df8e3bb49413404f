//! Many inputs into a folder: what all apps do alike, and what they say of it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use batch::{Choice, Event, Item, Job, Journal, Recipe, Shard, Status, status};
use clap::Args;

use crate::args::{OutputArgs, Target};
use crate::exit::{Exit, report_line, usage};
use crate::print::{print_json, print_text};
use crate::progress::Progress;

/// Which of many inputs are done.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Output")]
pub struct BatchArgs {
    /// Do the Nth of COUNT equal parts of many inputs, for job arrays; all parts write into one folder
    #[arg(long, value_name = "N/COUNT")]
    pub shard: Option<Shard>,

    /// Do only those of many inputs that failed the last time
    #[arg(long)]
    pub retry_failed: bool,
}

impl BatchArgs {
    /// Refuses these flags where the output is not a folder.
    ///
    /// # Errors
    /// That.
    pub fn fit(&self, target: &Target) -> Result<()> {
        let flag = if self.shard.is_some() { "--shard" } else { "--retry-failed" };
        if matches!(target, Target::Folder(_)) || *self == Self::default() {
            return Ok(());
        }
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
/// returns the files that it wrote, or nothing where Ctrl-C stopped it. `verb` is what was done with each.
///
/// # Errors
/// A journal that cannot be kept.
pub fn each_in<T>(
    folder: &Path,
    items: &[Item<T>],
    recipe: &Recipe,
    (output, args): (&OutputArgs, &BatchArgs),
    progress: &Progress,
    verb: &str,
    mut work: impl FnMut(&Job<'_, T>) -> Result<Option<Vec<PathBuf>>>,
) -> Result<Outcome> {
    let mut journal = Journal::open(folder, args.shard)?;
    let choice = Choice { force: output.force, failed_only: args.retry_failed, shard: args.shard };
    let bar = progress.bar(items.len() as u64, verb);
    let summary = batch::run(
        items,
        recipe,
        &mut journal,
        choice,
        |job| work(job).map_err(|error| report_line(&error)),
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
