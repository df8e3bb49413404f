//! Runs the items that are not done yet; what fails is collected, and the rest is finished.

use std::collections::HashSet;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::choice::Choice;
use crate::journal::{Journal, JournalError};
use crate::key::{Content, Recipe};

/// One piece of work.
#[derive(Clone, Debug)]
pub struct Item<T> {
    /// Its name in the output folder without extension, from [`crate::output_names`]; unique in a run.
    pub id: String,
    /// What it is made from; it decides, with the recipe, whether the item is done.
    pub content: Content,
    /// Whatever the app needs to do it.
    pub payload: T,
}

/// An item that must be done now.
#[derive(Debug)]
pub struct Job<'a, T> {
    /// The item.
    pub item: &'a Item<T>,
    /// Its key, as the journal will hold it.
    pub key: &'a str,
    /// The output folder.
    pub folder: &'a Path,
    /// What to pass as `force` when writing: asked for, or an earlier run already began this item here.
    pub replace: bool,
}

impl<T> Job<'_, T> {
    /// The output of this item with an extension: `DIR/ID.EXTENSION`.
    pub fn output(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.item.id))
    }
}

/// What happens, as it happens. `index` counts from 0 to `total - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An item is begun.
    Begun {
        /// The item's name.
        id: &'a str,
        /// Its place.
        index: usize,
        /// How many there are.
        total: usize,
    },
    /// An earlier run has done it.
    Skipped {
        /// The item's name.
        id: &'a str,
    },
    /// Its outputs are in place and the journal knows.
    Done {
        /// The item's name.
        id: &'a str,
        /// What was written.
        outputs: &'a [PathBuf],
    },
    /// It failed; the next item follows.
    Failed {
        /// The item's name.
        id: &'a str,
        /// Why, with its causes.
        reason: &'a str,
    },
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Items that this run did.
    pub done: usize,
    /// Items that were done before.
    pub skipped: usize,
    /// Items that failed, with the reason.
    pub failed: Vec<(String, String)>,
    /// Whether the run was stopped before its end.
    pub stopped: bool,
}

/// Runs `work` over the chosen items that the journal does not know to be done, and notes each that is.
///
/// `work` returns the paths it wrote, all of them whole (see [`crate::write_whole`]), or nothing where it was stopped,
/// which ends the run; its error, and even its panic, is that item's failure. Done items are skipped with `force` too: it
/// only allows to overwrite files that no run made here. An error is returned when the journal itself cannot be kept.
pub fn run<T, E: Display>(
    items: &[Item<T>],
    recipe: &Recipe,
    journal: &mut Journal,
    choice: Choice,
    mut work: impl FnMut(&Job<'_, T>) -> Result<Option<Vec<PathBuf>>, E>,
    mut on_event: impl FnMut(Event<'_>),
) -> Result<Summary, JournalError> {
    let mut summary = Summary::default();
    let mut seen = HashSet::new();
    let folder = journal.folder().to_path_buf();
    let is_chosen = |journal: &Journal, (index, item): &(usize, &Item<T>)| {
        choice.shard.is_none_or(|shard| shard.has(*index))
            && (!choice.failed_only || journal.has_failed(&item.id))
    };
    let chosen: Vec<&Item<T>> =
        items.iter().enumerate().filter(|pair| is_chosen(journal, pair)).map(|(_, item)| item).collect();
    if !choice.failed_only {
        journal.ask(chosen.len())?;
    }
    for (index, item) in chosen.iter().copied().enumerate() {
        let id = item.id.as_str();
        let mut fail = |journal: &mut Journal, key: &str, reason: String| {
            on_event(Event::Failed { id, reason: &reason });
            summary.failed.push((id.to_string(), reason.clone()));
            journal.fail(id, key, &reason)
        };
        if !seen.insert(id) {
            let reason = "another item of this run has the same name".to_string();
            on_event(Event::Failed { id, reason: &reason });
            summary.failed.push((id.to_string(), reason));
            continue;
        }
        let key = match recipe.key(&item.content) {
            Ok(key) => key,
            Err(error) => {
                fail(journal, "", unreadable(&item.content, &error))?;
                continue;
            }
        };
        if journal.is_done(id, &key) {
            on_event(Event::Skipped { id });
            summary.skipped += 1;
            continue;
        }
        let job = Job { item, key: &key, folder: &folder, replace: choice.force || journal.knows(id) };
        on_event(Event::Begun { id, index, total: chosen.len() });
        match attempt(journal, &job, &mut work)? {
            Ok(None) => {
                summary.stopped = true;
                break;
            }
            Ok(Some(outputs)) => {
                on_event(Event::Done { id, outputs: &outputs });
                summary.done += 1;
            }
            Err(reason) => {
                on_event(Event::Failed { id, reason: &reason });
                journal.fail(id, &key, &reason)?;
                summary.failed.push((id.to_string(), reason));
            }
        }
    }
    journal.list_failures()?;
    Ok(summary)
}

fn attempt<T, E: Display>(
    journal: &mut Journal,
    job: &Job<'_, T>,
    work: &mut impl FnMut(&Job<'_, T>) -> Result<Option<Vec<PathBuf>>, E>,
) -> Result<Result<Option<Vec<PathBuf>>, String>, JournalError> {
    journal.begin(&job.item.id, job.key)?;
    let result = {
        let _here = InItem::enter();
        catch_unwind(AssertUnwindSafe(|| work(job)))
    };
    let outputs = match result {
        Ok(Ok(None)) => return Ok(Ok(None)),
        Ok(Ok(Some(outputs))) => outputs,
        // The alternate form of `anyhow` errors is the whole chain.
        Ok(Err(error)) => return Ok(Err(format!("{error:#}"))),
        Err(payload) => {
            return Ok(Err(format!("internal error, please report it: {}", panic_text(&*payload))));
        }
    };
    match journal.finish(&job.item.id, job.key, &outputs) {
        Ok(()) => Ok(Ok(Some(outputs))),
        Err(error @ JournalError::NoOutput { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn unreadable(content: &Content, error: &std::io::Error) -> String {
    match content {
        Content::File(path) => format!("cannot read {}: {error}", path.display()),
        Content::Bytes(_) => error.to_string(),
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

static ITEMS_AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// Whether an item is at work: a panic is then caught and listed, and needs no line of its own.
pub fn in_item() -> bool {
    ITEMS_AT_WORK.load(Ordering::Relaxed) > 0
}

struct InItem;

impl InItem {
    fn enter() -> Self {
        ITEMS_AT_WORK.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for InItem {
    fn drop(&mut self) {
        ITEMS_AT_WORK.fetch_sub(1, Ordering::Relaxed);
    }
}
