//! The record in the output folder: one JSON line an event, and the next run starts from it.
//!
//! A line says that an item was begun (from then on its outputs are ours to replace, but where files of its name lay there
//! before), done, with the outputs and their sizes, or that it failed, and why; another one how many items a run was given.
//! A `kill -9` may tear the last line, which then counts as not written. Each part of a job array has a journal of its own, and
//! reads those of all others. `failed.jsonl` beside it repeats what has failed and was not done since.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::choice::Shard;
use crate::temporary::sweep_once;
use crate::write::{folder_of, make_folders, sync_folder, write_bytes};

/// The file name inside the output folder, without the part and the extension.
const NAME: &str = "journal";
const FAILED: &str = "failed";
const HEADER: &str = "{\"journal\":\"atelier\",\"version\":1}\n";

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no.
    #[error("cannot keep the journal {}: {source}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of that name is something else.
    #[error("{} is not a journal of this program: move it away, or give another folder", .0.display())]
    NotOurs(PathBuf),
    /// There is none.
    #[error("{}: no run has written here: there is no journal", .0.display())]
    None(PathBuf),
    /// Two runs cannot share a folder.
    #[error("another run is at work in {}: wait for it, or give another folder", .0.display())]
    Busy(PathBuf),
    /// An item named an output that is not there.
    #[error("the output {} is gone: {source}", path.display())]
    NoOutput {
        /// The output.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// One output of an item that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Where it is, relative to the output folder where it lies inside.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    item: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<Output>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// The file that it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Files of its name lay there before it was begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    theirs: bool,
}

/// How many items a run was given.
#[derive(Serialize, Deserialize)]
struct Asked {
    items: usize,
}

/// A line of the list of failures.
#[derive(Serialize)]
struct Failure<'a> {
    item: &'a str,
    reason: &'a str,
}

/// What a journal says of an item: the last that became of it.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Begun { theirs: bool },
    Done { key: String, outputs: Vec<Output>, from: Option<String> },
    Failed { reason: String, theirs: bool },
}

impl Entry {
    /// Whether what lies under its name is ours.
    fn is_ours(&self) -> bool {
        !matches!(self, Self::Begun { theirs: true } | Self::Failed { theirs: true, .. })
    }

    pub(crate) fn is_whole(&self, folder: &Path) -> bool {
        matches!(self, Self::Done { outputs, .. } if outputs.iter().all(|output| is_there(folder, output)))
    }
}

/// The names of journal and failures.
fn names(shard: Option<Shard>) -> [String; 2] {
    let part = shard.map_or(String::new(), |shard| format!("-{shard}"));
    [NAME, FAILED].map(|name| format!("{name}{part}.jsonl"))
}

/// Those of a folder's names that are journals of runs, or lists of what failed in them.
pub(crate) fn records(folder: &Path, names: &[OsString]) -> Vec<OsString> {
    let begins = |name: &str| {
        let mut begin = Vec::new();
        let file = File::open(folder.join(name));
        let read = file.and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut begin));
        read.is_ok() && begin == HEADER.as_bytes()
    };
    let mut found = Vec::new();
    for name in names.iter().filter_map(|name| name.to_str()) {
        if let Some(part) = part_of(name).filter(|_| begins(name)) {
            found.extend(self::names(part).map(OsString::from));
        }
    }
    found
}

/// Which part a journal is of, by its file's name; nothing where that is no journal's.
fn part_of(name: &str) -> Option<Option<Shard>> {
    if name == names(None)[0] {
        return Some(None);
    }
    let part = name.strip_prefix(NAME)?.strip_suffix(".jsonl")?.strip_prefix('-')?;
    part.replace("-of-", "/").parse().ok().map(Some)
}

/// The journals of a folder, in the order of their names.
pub(crate) fn all_in(folder: &Path) -> io::Result<Vec<(PathBuf, Option<Shard>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        found.extend(part_of(&entry.file_name().to_string_lossy()).map(|part| (entry.path(), part)));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Whether another process has the lock for longer than a look at how far it is takes.
fn is_held(lock: impl Fn() -> Result<(), TryLockError>) -> bool {
    (0..10).all(|tries| {
        std::thread::sleep(Duration::from_millis(10 * u64::from(tries > 0)));
        matches!(lock(), Err(TryLockError::WouldBlock))
    })
}

/// Whether an output lies there as it was written.
pub(crate) fn is_there(folder: &Path, output: &Output) -> bool {
    std::fs::metadata(folder.join(&output.path))
        .is_ok_and(|data| data.is_file() && data.len() == output.bytes)
}

/// The record of one output folder; only one process has it at a time.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    failures: PathBuf,
    items: HashMap<String, Entry>,
    /// What the journals of other parts say.
    others: Vec<HashMap<String, Entry>>,
}

impl Journal {
    /// Opens the journal of an output folder, or of one part of its list; folder and journal are made where they are
    /// missing. Parts of one number may be at work in a folder at a time, and nothing else.
    pub fn open(folder: &Path, shard: Option<Shard>) -> Result<Self, JournalError> {
        let [path, failures] = names(shard).map(|name| folder.join(name));
        let io = |source| JournalError::Io { path: path.clone(), source };
        make_folders(folder).map_err(io)?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        // Where the file system has no locks, nothing warns of a second run.
        if is_held(|| file.try_lock()) {
            return Err(JournalError::Busy(folder.to_path_buf()));
        }
        let Read { entries: items, whole, .. } = read(&mut file, &path)?;
        if whole == 0 && failures.exists() {
            return Err(JournalError::NotOurs(failures));
        }
        file.set_len(whole).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut others = Vec::new();
        for (other, part) in all_in(folder).map_err(io)?.into_iter().filter(|(other, _)| *other != path) {
            let io = |source| JournalError::Io { path: other.clone(), source };
            let mut file = File::open(&other).map_err(io)?;
            let of = |part: Option<Shard>| part.map_or(1, |part| part.count);
            let overlaps = part.is_none() || shard.is_none() || of(part) != of(shard);
            if overlaps && is_held(|| file.try_lock_shared()) {
                return Err(JournalError::Busy(folder.to_path_buf()));
            }
            others.push(read(&mut file, &other)?.entries);
        }
        let folder_of_all = folder.to_path_buf();
        let mut journal = Self { folder: folder_of_all, path: path.clone(), file, failures, items, others };
        if whole == 0 {
            journal.append(HEADER)?;
            journal.file.sync_all().map_err(io)?;
            sync_folder(folder).map_err(io)?;
        }
        journal.sweep();
        Ok(journal)
    }

    /// The output folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What all journals say of an item.
    fn entries<'a>(&'a self, item: &'a str) -> impl Iterator<Item = &'a Entry> {
        std::iter::once(&self.items).chain(&self.others).filter_map(move |entries| entries.get(item))
    }

    /// Whether the item was done with this key and its outputs are there with the size they had.
    pub fn is_done(&self, item: &str, key: &str) -> bool {
        self.entries(item).any(|entry| {
            matches!(entry, Entry::Done { key: done, .. } if done == key) && entry.is_whole(&self.folder)
        })
    }

    /// The file that an item which is done was made from.
    pub(crate) fn source<'a>(&'a self, item: &'a str) -> Option<&'a str> {
        self.entries(item).find_map(|entry| match entry {
            Entry::Done { from, .. } if entry.is_whole(&self.folder) => from.as_deref(),
            _ => None,
        })
    }

    /// Whether the item failed the last time, or was cut off while it was tried again.
    pub fn has_failed(&self, item: &str) -> bool {
        let mut entries = self.entries(item).peekable();
        entries.peek().is_some() && entries.all(|entry| !matches!(entry, Entry::Done { .. }))
    }

    /// Notes how many items a run is given.
    pub(crate) fn ask(&mut self, items: usize) -> Result<(), JournalError> {
        self.append_line(&Asked { items })
    }

    /// Notes that an item failed.
    pub fn fail(&mut self, item: &str, key: &str, reason: &str) -> Result<(), JournalError> {
        // what was not ours when it was begun is not now
        let theirs = self.items.get(item).is_some_and(|entry| !entry.is_ours());
        let failed = Some(reason.to_string());
        let (item, key) = (item.to_string(), key.into());
        self.append_line(&Line { item: item.clone(), key, outputs: None, failed, from: None, theirs })?;
        self.items.insert(item, Entry::Failed { reason: reason.into(), theirs });
        Ok(())
    }

    /// Writes the list of the failures that there are now, or takes it away where there is none.
    pub(crate) fn list_failures(&self) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.failures.clone(), source };
        let mut failures: Vec<Failure<'_>> = (self.items.iter())
            .filter_map(|(item, entry)| match entry {
                Entry::Failed { reason, .. } => Some(Failure { item, reason }),
                _ => None,
            })
            .collect();
        if failures.is_empty() {
            return match std::fs::remove_file(&self.failures) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
                _ => Ok(()),
            };
        }
        failures.sort_by_key(|failure| failure.item);
        let mut text = Vec::new();
        for failure in failures {
            serde_json::to_writer(&mut text, &failure).map_err(|error| io(error.into()))?;
            text.push(b'\n');
        }
        match write_bytes(&self.failures, &text, true) {
            Ok(_) => Ok(()),
            Err(error) => Err(io(io::Error::other(error.to_string()))),
        }
    }

    /// Whether a run began the item in this folder where no file of its name lay: then what lies there is ours to replace.
    pub fn knows(&self, item: &str) -> bool {
        self.entries(item).any(Entry::is_ours)
    }

    /// Notes that an item is begun; `theirs` says that files of its name lie there, which no run made. Not brought to disk: a
    /// killed process loses nothing by that, and a power cut at worst makes the next run ask for `--force`.
    pub fn begin(&mut self, item: &str, key: &str, theirs: bool) -> Result<(), JournalError> {
        let (item, key) = (item.to_string(), key.into());
        self.append_line(&Line { item: item.clone(), key, outputs: None, failed: None, from: None, theirs })?;
        self.items.insert(item, Entry::Begun { theirs });
        Ok(())
    }

    /// Notes that an item is done, made from a file where one is named; [`Self::sync`] brings that to disk. The outputs must
    /// be in place.
    pub fn finish(
        &mut self,
        item: &str,
        key: &str,
        outputs: &[PathBuf],
        from: Option<String>,
    ) -> Result<(), JournalError> {
        let outputs = outputs.iter().map(|path| self.measure(path)).collect::<Result<Vec<_>, _>>()?;
        let line = Line {
            item: item.into(),
            key: key.into(),
            outputs: Some(outputs.clone()),
            failed: None,
            from: from.clone(),
            theirs: false,
        };
        self.append_line(&line)?;
        self.items.insert(item.into(), Entry::Done { key: key.into(), outputs, from });
        Ok(())
    }

    /// Brings what was noted to disk.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|source| self.error(source))
    }

    /// What the system said of this journal.
    pub(crate) fn error(&self, source: io::Error) -> JournalError {
        JournalError::Io { path: self.path.clone(), source }
    }

    fn measure(&self, path: &Path) -> Result<Output, JournalError> {
        let data = std::fs::metadata(path)
            .map_err(|source| JournalError::NoOutput { path: path.to_path_buf(), source })?;
        let relative = path.strip_prefix(&self.folder).map(Path::to_path_buf);
        let path = relative.or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf());
        Ok(Output { path, bytes: data.len() })
    }

    fn append_line(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let mut text = serde_json::to_string(line).map_err(|error| self.error(error.into()))?;
        text.push('\n');
        self.append(&text)
    }

    fn append(&mut self, text: &str) -> Result<(), JournalError> {
        self.file.write_all(text.as_bytes()).map_err(|source| self.error(source))
    }

    /// Takes away what killed runs left half written, wherever items of this folder are put.
    fn sweep(&self) {
        sweep_once(&self.folder);
        let mut folders: Vec<PathBuf> =
            self.items.keys().map(|item| folder_of(&self.folder.join(item)).to_path_buf()).collect();
        folders.sort_unstable();
        folders.dedup();
        folders.iter().for_each(|folder| sweep_once(folder));
    }
}

/// What a journal says.
#[derive(Default)]
pub(crate) struct Read {
    pub entries: HashMap<String, Entry>,
    /// What the last run was given.
    pub items_asked: Option<usize>,
    /// The length of its whole lines.
    pub whole: u64,
}

pub(crate) fn read(file: &mut File, path: &Path) -> Result<Read, JournalError> {
    let io = |source| JournalError::Io { path: path.to_path_buf(), source };
    let mut reader = BufReader::new(file);
    let mut read = Read::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line).map_err(io)?;
        let torn = line.last() != Some(&b'\n');
        if read.whole == 0 && !(torn && HEADER.as_bytes().starts_with(&line)) && line != HEADER.as_bytes() {
            return Err(JournalError::NotOurs(path.to_path_buf()));
        }
        if torn {
            return Ok(read);
        }
        // A line that cannot be read is an item that is not known to be done: it is made again.
        if let Ok(Line { item, key, outputs, failed, from, theirs }) = serde_json::from_slice(&line) {
            let entry = match (outputs, failed) {
                (Some(outputs), _) => Entry::Done { key, outputs, from },
                (None, Some(reason)) => Entry::Failed { reason, theirs },
                (None, None) => Entry::Begun { theirs },
            };
            read.entries.insert(item, entry);
        } else if let Ok(Asked { items }) = serde_json::from_slice(&line) {
            read.items_asked = Some(items);
        }
        read.whole += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(journal: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("journal.jsonl"), journal).unwrap();
        folder
    }

    #[test]
    fn done_means_same_key_and_outputs_there() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a.txt");
        std::fs::write(&output, "abc").unwrap();
        let mut journal = Journal::open(folder.path(), None).unwrap();
        assert!(!journal.knows("a"));
        journal.begin("a", "k", false).unwrap();
        assert!(journal.knows("a") && !journal.is_done("a", "k"));
        journal.finish("a", "k", std::slice::from_ref(&output), None).unwrap();
        assert!(matches!(Journal::open(folder.path(), None), Err(JournalError::Busy(_))));
        drop(journal);

        let journal = Journal::open(folder.path(), None).unwrap();
        assert!(journal.is_done("a", "k") && !journal.is_done("a", "other") && !journal.is_done("b", "k"));
        std::fs::write(&output, "abcd").unwrap();
        assert!(!journal.is_done("a", "k"));
        std::fs::remove_file(&output).unwrap();
        assert!(!journal.is_done("a", "k"));
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_journal_goes_on() {
        let lines = format!("{HEADER}{{\"item\":\"a\",\"key\":\"k\",\"outputs\":[]}}\n");
        let last = "{\"item\":\"b\",\"key\":\"k\",\"outputs\":[]}";
        for cut in 0..=last.len() {
            let folder = folder_with(&format!("{lines}{}", &last[..cut]));
            let mut journal = Journal::open(folder.path(), None).unwrap();
            assert!(journal.is_done("a", "k") && !journal.knows("b"), "cut at {cut}");
            journal.finish("b", "k", &[], None).unwrap();
            drop(journal);
            let text = std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap();
            assert_eq!(text, format!("{lines}{last}\n"), "cut at {cut}");
        }
    }

    #[test]
    fn a_torn_header_is_written_again() {
        for cut in 0..HEADER.len() {
            let folder = folder_with(&HEADER[..cut]);
            drop(Journal::open(folder.path(), None).unwrap());
            assert_eq!(std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap(), HEADER);
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_costs_its_item_only() {
        let good = |item| format!("{{\"item\":\"{item}\",\"key\":\"k\",\"outputs\":[]}}\n");
        let folder = folder_with(&format!("{HEADER}{}\0\u{fffd}]\n{}", good("a"), good("b")));
        let journal = Journal::open(folder.path(), None).unwrap();
        assert!(journal.is_done("a", "k") && journal.is_done("b", "k"));
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        for text in ["dear diary\n", "dear diary", "{\"journal\":\"other\"}\n", "\n"] {
            let folder = folder_with(text);
            assert!(matches!(Journal::open(folder.path(), None), Err(JournalError::NotOurs(_))), "{text:?}");
            assert_eq!(std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap(), text);
        }
    }
}
