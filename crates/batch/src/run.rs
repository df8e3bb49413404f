//! Runs the items that are not done yet; what fails is collected, and the rest is finished.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use crate::choice::Choice;
use crate::journal::{Journal, JournalError};
use crate::key::{Content, Recipe};
use crate::write::folder_of;

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
    pub key: String,
    /// The output folder.
    pub folder: &'a Path,
    /// What to pass as `force` when writing: asked for, or an earlier run already began this item here.
    pub replace: bool,
    /// Where it is done: no two jobs that are at work at a time have the same; below the `jobs` of the choice.
    pub lane: usize,
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
/// which ends the run; its error, and even its panic, is that item's failure. As many items are at work at a time as
/// `choice` says, each on a thread of its own. Done items are skipped with `force` too: it only allows to overwrite files
/// that no run made here. An error is returned when the journal itself cannot be kept.
pub fn run<T: Sync, E: Display>(
    items: &[Item<T>],
    recipe: &Recipe,
    journal: &mut Journal,
    choice: Choice,
    work: impl Fn(&Job<'_, T>) -> Result<Option<Vec<PathBuf>>, E> + Sync,
    on_event: impl FnMut(Event<'_>),
) -> Result<Summary, JournalError> {
    let is_chosen = |journal: &Journal, (index, item): &(usize, &Item<T>)| {
        choice.shard.is_none_or(|shard| shard.has(*index))
            && (!choice.failed_only || journal.has_failed(&item.id))
    };
    let chosen: Vec<&Item<T>> =
        items.iter().enumerate().filter(|pair| is_chosen(journal, pair)).map(|(_, item)| item).collect();
    if !choice.failed_only {
        journal.ask(chosen.len())?;
    }
    let folder = journal.folder().to_path_buf();
    let (total, lanes) = (chosen.len(), choice.jobs.get().min(chosen.len()));
    let mut list = List {
        rest: chosen.into_iter().enumerate(),
        total,
        recipe,
        force: choice.force,
        folder: &folder,
        journal,
        seen: HashSet::new(),
        lies: HashMap::new(),
        on_event,
        summary: Summary::default(),
    };
    std::thread::scope(|scope| {
        let (to_list, ended) = channel();
        let work = &work;
        let lane = |lane: usize| {
            let (to_lane, jobs) = sync_channel::<Job<'_, T>>(1);
            let to_list = to_list.clone();
            let all = move || {
                for mut job in jobs {
                    job.lane = lane;
                    let result = attempt(&job, work);
                    if to_list.send((job, result)).is_err() {
                        break;
                    }
                }
            };
            let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, all);
            thread.map(|_| to_lane)
        };
        let lanes: Vec<_> =
            (0..lanes).map(lane).collect::<Result<_, _>>().map_err(|error| list.journal.error(error))?;
        drop(to_list);
        list.work(&lanes, &ended)
    })?;
    list.journal.list_failures()?;
    Ok(list.summary)
}

/// As much as a process' first thread has.
const STACK: usize = 8 << 20;

/// What came of a job: its outputs, nothing where it was stopped, or why it failed.
type Ended<'a, T> = (Job<'a, T>, Result<Option<Vec<PathBuf>>, String>);

/// The items of a run, and what became of them.
struct List<'a, I, F> {
    rest: I,
    total: usize,
    recipe: &'a Recipe,
    force: bool,
    folder: &'a Path,
    journal: &'a mut Journal,
    seen: HashSet<&'a str>,
    /// Of each folder, the names that files had in it before its first item was begun, up to each of their dots.
    lies: HashMap<PathBuf, HashSet<OsString>>,
    on_event: F,
    summary: Summary,
}

impl<'a, T: 'a, I: Iterator<Item = (usize, &'a Item<T>)>, F: FnMut(Event<'_>)> List<'a, I, F> {
    /// Gives every lane a job as soon as it has ended one, until there is none, or one was stopped.
    fn work(
        &mut self,
        lanes: &[SyncSender<Job<'a, T>>],
        ended: &Receiver<Ended<'a, T>>,
    ) -> Result<(), JournalError> {
        let mut free: Vec<usize> = (0..lanes.len()).rev().collect();
        let mut next = self.next()?;
        let mut written = None;
        loop {
            while !self.summary.stopped
                && let Some(&lane) = free.last()
                && let Some((index, job)) = next.take()
            {
                let theirs = !job.replace && self.lies(&job.output("x"));
                self.journal.begin(&job.item.id, &job.key, theirs)?;
                (self.on_event)(Event::Begun { id: &job.item.id, index, total: self.total });
                // a lane waits until there is nothing more to come
                if lanes[lane].send(job).is_ok() {
                    free.pop();
                }
                next = self.next()?;
            }
            // what takes the disk its time is done while the lanes are at work
            if let Some((item, outputs)) = written.take() {
                self.done(item, outputs)?;
            }
            if free.len() == lanes.len() {
                return Ok(());
            }
            let Ok((job, result)) = ended.recv() else { return Ok(()) };
            free.push(job.lane);
            written = self.end(&job, result)?;
        }
    }

    /// The next item that must be done.
    fn next(&mut self) -> Result<Option<(usize, Job<'a, T>)>, JournalError> {
        while let Some((index, item)) = self.rest.next() {
            let id = item.id.as_str();
            if !self.seen.insert(id) {
                let reason = "another item of this run has the same name".to_string();
                (self.on_event)(Event::Failed { id, reason: &reason });
                self.summary.failed.push((id.to_string(), reason));
                continue;
            }
            let key = match self.recipe.key(&item.content) {
                Ok(key) => key,
                Err(error) => {
                    self.fail(id, "", unreadable(&item.content, &error))?;
                    continue;
                }
            };
            if self.journal.is_done(id, &key) {
                (self.on_event)(Event::Skipped { id });
                self.summary.skipped += 1;
                continue;
            }
            // nothing is lost where two inputs of one name go to one folder, one after the other
            let other = self.journal.source(id).filter(|from| Some(*from) != source(item).as_deref());
            if let (false, Some(other), Content::File(_)) = (self.force, other, &item.content) {
                let reason = format!("made from {other} already: give another folder, or --force");
                (self.on_event)(Event::Failed { id, reason: &reason });
                self.summary.failed.push((id.to_string(), reason));
                continue;
            }
            let replace = self.force || self.journal.knows(id);
            return Ok(Some((index, Job { item, key, folder: self.folder, replace, lane: 0 })));
        }
        Ok(None)
    }

    /// Whether a file of this output's name, whatever its extension, lay in its folder before the run wrote there.
    fn lies(&mut self, output: &Path) -> bool {
        let folder = folder_of(output);
        let names = self.lies.entry(folder.to_path_buf()).or_insert_with(|| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            entries.flat_map(|entry| stems(&entry.file_name())).collect()
        });
        output.file_stem().is_some_and(|stem| names.contains(stem))
    }

    /// Notes how a job ended; what was written is to be noted as [`Self::done`].
    fn end(
        &mut self,
        job: &Job<'a, T>,
        result: Result<Option<Vec<PathBuf>>, String>,
    ) -> Result<Option<(&'a str, Vec<PathBuf>)>, JournalError> {
        let id = job.item.id.as_str();
        match result {
            Ok(None) => self.summary.stopped = true,
            Ok(Some(outputs)) => match self.journal.finish(id, &job.key, &outputs, source(job.item)) {
                Ok(()) => return Ok(Some((id, outputs))),
                Err(error @ JournalError::NoOutput { .. }) => self.fail(id, &job.key, error.to_string())?,
                Err(error) => return Err(error),
            },
            Err(reason) => self.fail(id, &job.key, reason)?,
        }
        Ok(None)
    }

    fn done(&mut self, id: &str, outputs: Vec<PathBuf>) -> Result<(), JournalError> {
        self.journal.sync()?;
        (self.on_event)(Event::Done { id, outputs: &outputs });
        self.summary.done += 1;
        Ok(())
    }

    fn fail(&mut self, id: &str, key: &str, reason: String) -> Result<(), JournalError> {
        (self.on_event)(Event::Failed { id, reason: &reason });
        self.journal.fail(id, key, &reason)?;
        self.summary.failed.push((id.to_string(), reason));
        Ok(())
    }
}

/// The file that an item is made from, whichever folder a run begins in.
fn source<T>(item: &Item<T>) -> Option<String> {
    let Content::File(path) = &item.content else { return None };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    Some(path.to_string_lossy().into_owned())
}

/// A file's name up to each of its dots.
fn stems(name: &OsStr) -> Vec<OsString> {
    let mut stems = Vec::new();
    let mut path = Path::new(name);
    while let Some(stem) = path.file_stem().filter(|stem| stem.len() < path.as_os_str().len()) {
        stems.push(stem.to_os_string());
        path = Path::new(stem);
    }
    stems
}

fn attempt<T, E: Display>(
    job: &Job<'_, T>,
    work: &impl Fn(&Job<'_, T>) -> Result<Option<Vec<PathBuf>>, E>,
) -> Result<Option<Vec<PathBuf>>, String> {
    let _here = InItem::enter();
    match catch_unwind(AssertUnwindSafe(|| work(job))) {
        // The alternate form of `anyhow` errors is the whole chain.
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(payload) => Err(format!("internal error, please report it: {}", panic_text(&*payload))),
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
