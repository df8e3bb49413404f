//! Files that are being written: hidden in the target's folder, locked by their writer, known to a registry.
//!
//! The lock is what tells a live file from a dead one: after a `kill -9` the system lets go of it, and the
//! next process that writes into the folder takes it and removes the file. No age or process id is guessed.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, TryLockError};

use tempfile::NamedTempFile;

const PREFIX: &str = ".atelier-";
const SUFFIX: &str = ".part";

static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static SWEPT: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// A temporary file that goes away when it is dropped, on Ctrl-C, and by the next run after a `kill -9`.
#[derive(Debug)]
pub(crate) struct Temporary {
    file: Option<NamedTempFile>,
    path: PathBuf,
}

impl Temporary {
    /// A new file in `folder`, which gets the permissions of an ordinary new file.
    pub(crate) fn new_in(folder: &Path) -> io::Result<Self> {
        sweep_once(folder);
        loop {
            let mut live = lock(&LIVE);
            let file = builder().tempfile_in(folder)?;
            // A sweeper may have had it between its making and its locking; then another one is made.
            // Where locks are not supported, sweepers get none either and leave everything alone.
            let taken = matches!(file.as_file().try_lock(), Err(std::fs::TryLockError::WouldBlock));
            if taken || !file.path().exists() {
                continue;
            }
            let path = file.path().to_path_buf();
            live.insert(path.clone());
            return Ok(Self { file: Some(file), path });
        }
    }

    /// The open file.
    pub(crate) fn file(&self) -> io::Result<&File> {
        self.file.as_ref().map(NamedTempFile::as_file).ok_or_else(|| io::Error::other("already in place"))
    }

    /// Gives the file its name; without `replace` it is an error, in one step, that the name is taken.
    pub(crate) fn place(mut self, target: &Path, replace: bool) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let placed = if replace { file.persist(target) } else { file.persist_noclobber(target) };
        placed.map(drop).map_err(|failed| failed.error)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(self.file.take());
        lock(&LIVE).remove(&self.path);
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The user's umask takes from it what an ordinary new file would not have.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}

/// Removes what this process has half written. For a process that is about to end.
pub fn remove_temporary_files() {
    // A panic may have happened on a thread that holds the registry: then the next run sweeps.
    let live = match LIVE.try_lock() {
        Ok(live) => live,
        Err(TryLockError::Poisoned(live)) => live.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    remove_all(&live);
}

/// Removes what this process has half written and calls `end`, while no new file can be begun.
pub fn remove_temporary_files_and<T>(end: impl FnOnce() -> T) -> T {
    let live = lock(&LIVE);
    remove_all(&live);
    end()
}

fn remove_all(live: &BTreeSet<PathBuf>) {
    for path in live {
        let _ = std::fs::remove_file(path);
    }
}

/// Removes what killed processes left in a folder; once a process, since it reads the whole folder.
pub(crate) fn sweep_once(folder: &Path) {
    let Ok(folder) = folder.canonicalize() else { return };
    if !lock(&SWEPT).insert(folder.clone()) {
        return;
    }
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        if is_temporary(&entry.file_name()) {
            remove_if_dead(&entry.path());
        }
    }
}

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

fn remove_if_dead(path: &Path) {
    // Opened for writing, since some network file systems lock nothing else.
    let Ok(file) = File::options().write(true).open(path) else { return };
    if file.try_lock().is_ok() {
        let _ = std::fs::remove_file(path);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
