//! How far the runs in an output folder have come, by what lies on disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, TryLockError};
use std::path::Path;

use serde::Serialize;

use crate::journal::{self, Entry, JournalError};

/// Counts over all journals of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Items of the lists that the last runs were given, each part's counted once.
    pub items: usize,
    /// Items whose outputs are there.
    pub done: usize,
    /// Items that failed the last time.
    pub failed: usize,
    /// Items that were begun, and neither ended nor failed: at work, or cut off.
    pub begun: usize,
    /// Items that were done and whose outputs are gone or changed.
    pub gone: usize,
    /// Runs that are at work.
    pub running: usize,
    /// Item and reason of each failure.
    pub failures: Vec<(String, String)>,
}

/// Reads the journals of a folder; runs may be at work in it.
///
/// # Errors
/// A folder without a journal, and journals that cannot be read.
pub fn status(folder: &Path) -> Result<Status, JournalError> {
    let io = |source| JournalError::Io { path: folder.to_path_buf(), source };
    let journals = match journal::all_in(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        found => found.map_err(io)?,
    };
    if journals.is_empty() {
        return Err(JournalError::None(folder.to_path_buf()));
    }
    let mut status = Status::default();
    // by how many parts a list was done in, since a later run may do it in others
    let (mut asked, mut items) = (HashMap::<usize, usize>::new(), BTreeMap::<String, Entry>::new());
    for (path, part) in journals {
        let io = |source| JournalError::Io { path: path.clone(), source };
        let mut file = File::open(&path).map_err(io)?;
        let read = journal::read(&mut file, &path)?;
        // shared, so that a run that begins now is not told that another one is at work
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            status.running += 1;
        }
        *asked.entry(part.map_or(1, |part| part.count)).or_default() +=
            read.items_asked.unwrap_or(read.entries.len());
        for (id, entry) in read.entries {
            match items.get(&id) {
                Some(known) if rank(known, folder) <= rank(&entry, folder) => {}
                _ => drop(items.insert(id, entry)),
            }
        }
    }
    for (id, entry) in items {
        match rank(&entry, folder) {
            0 => status.done += 1,
            3 => status.gone += 1,
            _ => match entry {
                Entry::Failed { reason, .. } => {
                    status.failed += 1;
                    status.failures.push((id, reason));
                }
                _ => status.begun += 1,
            },
        }
    }
    let met = status.done + status.failed + status.begun + status.gone;
    status.items = asked.into_values().max().unwrap_or(0).max(met);
    Ok(status)
}

/// Which of what several journals say of an item counts: the least.
fn rank(entry: &Entry, folder: &Path) -> u8 {
    match entry {
        Entry::Done { .. } if entry.is_whole(folder) => 0,
        Entry::Failed { .. } => 1,
        Entry::Begun { .. } => 2,
        Entry::Done { .. } => 3,
    }
}
