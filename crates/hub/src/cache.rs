//! The layout of huggingface_hub's cache: where a repository's refs, snapshots, blobs and locks are.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{At, Result};
use crate::names::{is_commit, repo_rule, safe_path};

/// The folders of one repository in the cache.
pub(crate) struct Shelf {
    /// CACHE/models--OWNER--NAME
    pub root: PathBuf,
    /// CACHE/.locks/models--OWNER--NAME
    pub locks: PathBuf,
}

impl Shelf {
    /// `id` has passed [`repo_rule`], so that it is one plain folder name.
    pub fn new(cache: &Path, id: &str) -> Self {
        let folder = format!("models--{}", id.replace('/', "--"));
        Self { root: cache.join(&folder), locks: cache.join(".locks").join(folder) }
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// The commit that a revision stands at, as the cache last saw it.
    pub fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) && self.snapshot(revision).is_dir() {
            return Some(revision.to_owned());
        }
        let file = self.root.join("refs").join(safe_path(revision).ok()?);
        let commit = fs::read_to_string(file).ok()?.trim().to_owned();
        is_commit(&commit).then_some(commit)
    }

    /// Notes the commit of a revision; whole or not at all.
    pub fn note_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if revision == commit || self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let Ok(relative) = safe_path(revision) else { return Ok(()) };
        let file = self.root.join("refs").join(relative);
        make_parent(&file)?;
        let fresh = beside(&file);
        fs::write(&fresh, commit).at(&fresh)?;
        fs::rename(&fresh, &file).at(&file)
    }

    /// Every (revision, commit) that is noted.
    pub fn refs(&self) -> Vec<(String, String)> {
        let mut found = files_below(&self.root.join("refs"));
        found.retain(|(name, _)| !name.ends_with(".tmp"));
        let commit = |name: String| self.commit_of(&name).map(|commit| (name, commit));
        found.into_iter().filter_map(|(name, _)| commit(name)).collect()
    }

    /// The commits that have a snapshot.
    pub fn commits(&self) -> Vec<String> {
        let mut commits = folder_names(&self.root.join("snapshots"));
        commits.retain(|name| is_commit(name));
        commits
    }
}

/// The repositories in a cache, `owner/name`, sorted.
pub(crate) fn repositories(cache: &Path) -> Vec<String> {
    let id = |folder: String| {
        let id = folder.strip_prefix("models--")?.replacen("--", "/", 1);
        repo_rule(&id).is_ok().then_some(id)
    };
    folder_names(cache).into_iter().filter_map(id).collect()
}

fn folder_names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Every file below a folder with its size, as `a/b/c`, sorted; links to files are followed, links to folders
/// and what cannot be read are left out.
pub(crate) fn files_below(folder: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    collect(folder, "", 0, &mut found);
    found.sort();
    found
}

const DEEPEST: usize = 32;

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<(String, u64)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEEPEST => {
                collect(&entry.path(), &format!("{name}/"), depth + 1, found);
            }
            Ok(_) => {
                if let Ok(about) = fs::metadata(entry.path())
                    && about.is_file()
                {
                    found.push((name, about.len()));
                }
            }
            Err(_) => {}
        }
    }
}

/// Puts a blob's file into a snapshot: a relative link; where links are not possible a hard link, else a copy.
/// `relative` is the file's path inside the snapshot.
pub(crate) fn place(shelf: &Shelf, etag: &str, commit: &str, relative: &Path) -> Result<()> {
    let target = shelf.snapshot(commit).join(relative);
    make_parent(&target)?;
    let mut link = PathBuf::new();
    for _ in 0..relative.components().count() + 1 {
        link.push("..");
    }
    link.push("blobs");
    link.push(etag);
    // another run may be reading what stands there, so it is replaced in one go
    let blob = shelf.blob(etag);
    let fresh = beside(&blob);
    symlink(&link, &fresh).or_else(|_| hard_link_or_copy(&blob, &fresh))?;
    let placed = fs::rename(&fresh, &target).at(&target);
    // a hard link renamed onto its like stays, and so does one that could not be renamed
    let _ = fs::remove_file(&fresh);
    placed
}

/// A name beside a file that no other thread or process takes.
fn beside(file: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    name.into()
}

fn hard_link_or_copy(blob: &Path, target: &Path) -> Result<()> {
    match fs::hard_link(blob, target) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs::copy(blob, target).map(|_| ()).at(target)
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(link: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(link, target)
}

#[cfg(windows)]
fn symlink(link: &Path, target: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(link, target)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_link: &Path, _target: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes the folder that a file goes into.
pub(crate) fn make_parent(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).at(folder)
}

/// Marks the cache for backup tools, as huggingface_hub does; a cache without the mark works as well.
pub(crate) fn tag(cache: &Path) {
    let file = cache.join("CACHEDIR.TAG");
    if !file.exists() {
        let _ = fs::write(file, "Signature: 8a477f597d28d172789f06886806bc55\n# Downloaded models.\n");
    }
}

/// Holds one blob's lock until it is dropped; the system lets go of it when a process dies.
pub(crate) struct Lock {
    _file: Option<File>,
}

/// Waits for a blob's lock; `waiting` is called between tries. Where the file system has no locks it goes on
/// without: the sum of the blob still holds.
pub(crate) fn lock(file: &Path, mut waiting: impl FnMut()) -> Result<Lock> {
    make_parent(file)?;
    let handle = File::options().create(true).append(true).open(file).at(file)?;
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(Lock { _file: Some(handle) }),
            Err(TryLockError::WouldBlock) => {
                waiting();
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(TryLockError::Error(_)) => return Ok(Lock { _file: None }),
        }
    }
}

/// Whether another process is at work in a folder of locks.
pub(crate) fn is_busy(locks: &Path) -> bool {
    let Ok(entries) = fs::read_dir(locks) else { return false };
    entries.flatten().any(|entry| {
        let file = File::options().append(true).open(entry.path());
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn links_are_relative_and_a_copy_stands_in() {
        let cache = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(cache.path(), "owner/name");
        make_parent(&shelf.blob("abc")).unwrap();
        fs::write(shelf.blob("abc"), "bytes").unwrap();
        place(&shelf, "abc", COMMIT, Path::new("unet/config.json")).unwrap();
        let target = shelf.snapshot(COMMIT).join("unet/config.json");
        assert_eq!(fs::read_to_string(&target).unwrap(), "bytes");
        #[cfg(unix)]
        assert_eq!(fs::read_link(&target).unwrap(), Path::new("../../../blobs/abc"));
        // a second time over the first, with nothing left beside
        place(&shelf, "abc", COMMIT, Path::new("unet/config.json")).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "bytes");
        assert_eq!(fs::read_dir(shelf.root.join("blobs")).unwrap().count(), 1);
        let copy = cache.path().join("copy");
        hard_link_or_copy(&shelf.blob("abc"), &copy).unwrap();
        assert_eq!(fs::read_to_string(copy).unwrap(), "bytes");
    }

    #[test]
    fn a_placed_file_is_never_away() {
        let cache = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(cache.path(), "owner/name");
        make_parent(&shelf.blob("abc")).unwrap();
        fs::write(shelf.blob("abc"), "bytes").unwrap();
        let put = || place(&shelf, "abc", COMMIT, Path::new("config.json")).unwrap();
        put();
        std::thread::scope(|scope| {
            let others = [0, 1].map(|_| scope.spawn(|| (0..500).for_each(|_| put())));
            while others.iter().any(|other| !other.is_finished()) {
                assert_eq!(fs::read_to_string(shelf.snapshot(COMMIT).join("config.json")).unwrap(), "bytes");
            }
        });
    }

    #[test]
    fn refs_are_noted_and_read_back() {
        let cache = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(cache.path(), "owner/name");
        shelf.note_commit("refs/pr/1", COMMIT).unwrap();
        shelf.note_commit(COMMIT, COMMIT).unwrap();
        assert_eq!(shelf.refs(), [("refs/pr/1".to_owned(), COMMIT.to_owned())]);
        fs::write(shelf.root.join("refs/evil"), "../../../..").unwrap();
        assert_eq!(shelf.commit_of("evil"), None);
        assert_eq!(shelf.commit_of("../refs/evil"), None);
        assert_eq!(repositories(cache.path()), ["owner/name"]);
    }
}
