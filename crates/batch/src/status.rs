//! How far the runs in an output folder have come, by what lies on disk.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::journal::{self, Entry, JournalError, is_there};

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
    let mut names: Vec<PathBuf> = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(JournalError::None(folder.to_path_buf()));
        }
        entries => entries.map_err(io)?,
    };
    for entry in entries {
        let entry = entry.map_err(io)?;
        if journal::is_name(&entry.file_name().to_string_lossy()) {
            names.push(entry.path());
        }
    }
    names.sort();
    if names.is_empty() {
        return Err(JournalError::None(folder.to_path_buf()));
    }
    let mut status = Status::default();
    for path in names {
        let io = |source| JournalError::Io { path: path.clone(), source };
        let mut file = File::open(&path).map_err(io)?;
        let read = journal::read(&mut file, &path)?;
        // shared, so that a run that begins now is not told that another one is at work
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            status.running += 1;
        }
        status.items += read.items_asked.unwrap_or(read.entries.len());
        let mut entries: Vec<_> = read.entries.into_iter().collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (id, entry) in entries {
            match entry {
                Entry::Begun => status.begun += 1,
                Entry::Failed(reason) => {
                    status.failed += 1;
                    status.failures.push((id, reason));
                }
                Entry::Done { outputs, .. } => match outputs.iter().all(|output| is_there(folder, output)) {
                    true => status.done += 1,
                    false => status.gone += 1,
                },
            }
        }
    }
    Ok(status)
}
