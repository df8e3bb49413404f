//! The record in the output folder: one JSON line an event, and the next run starts from it.
//!
//! A line says that an item was begun (from then on its outputs are ours to replace) or done, with the
//! outputs and their sizes. A `kill -9` may tear the last line, which then counts as not written.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::temporary::sweep_once;
use crate::write::{folder_of, make_folders, sync_folder};

/// The journal's file name inside the output folder.
pub(crate) const NAME: &str = "journal.jsonl";
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
}

/// The record of one output folder; only one process has it at a time.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    file: File,
    /// By item: the key and outputs it was last done with; `None` if it was only begun.
    items: HashMap<String, Option<(String, Vec<Output>)>>,
}

impl Journal {
    /// Opens the journal of an output folder; folder and journal are made where they are missing.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(NAME);
        let io = |source| JournalError::Io { path: path.clone(), source };
        make_folders(folder).map_err(io)?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        // Where the file system has no locks, nothing warns of a second run.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(JournalError::Busy(folder.to_path_buf()));
        }
        let (items, whole) = read(&mut file, &path)?;
        file.set_len(whole).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut journal = Self { folder: folder.to_path_buf(), path: path.clone(), file, items };
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

    /// Whether the item was done with this key and its outputs are there with the size they had.
    pub fn is_done(&self, item: &str, key: &str) -> bool {
        let Some(Some((done, outputs))) = self.items.get(item) else { return false };
        let is_there = |output: &Output| {
            std::fs::metadata(self.folder.join(&output.path))
                .is_ok_and(|data| data.is_file() && data.len() == output.bytes)
        };
        done == key && outputs.iter().all(is_there)
    }

    /// Whether the item was ever begun in this folder: then what lies under its name is ours to replace.
    pub fn knows(&self, item: &str) -> bool {
        self.items.contains_key(item)
    }

    /// Notes that an item is begun. Not brought to disk: a killed process loses nothing by that, and a
    /// power cut at worst makes the next run ask for `--force`.
    pub fn begin(&mut self, item: &str, key: &str) -> Result<(), JournalError> {
        self.append_line(&Line { item: item.into(), key: key.into(), outputs: None })?;
        self.items.insert(item.into(), None);
        Ok(())
    }

    /// Notes that an item is done, on disk before it returns. The outputs must be in place.
    pub fn finish(&mut self, item: &str, key: &str, outputs: &[PathBuf]) -> Result<(), JournalError> {
        let outputs = outputs.iter().map(|path| self.measure(path)).collect::<Result<Vec<_>, _>>()?;
        self.append_line(&Line { item: item.into(), key: key.into(), outputs: Some(outputs.clone()) })?;
        self.file.sync_data().map_err(|source| JournalError::Io { path: self.path.clone(), source })?;
        self.items.insert(item.into(), Some((key.into(), outputs)));
        Ok(())
    }

    fn measure(&self, path: &Path) -> Result<Output, JournalError> {
        let data = std::fs::metadata(path)
            .map_err(|source| JournalError::NoOutput { path: path.to_path_buf(), source })?;
        let relative = path.strip_prefix(&self.folder).map(Path::to_path_buf);
        let path = relative.or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_path_buf());
        Ok(Output { path, bytes: data.len() })
    }

    fn append_line(&mut self, line: &Line) -> Result<(), JournalError> {
        let mut text = serde_json::to_string(line)
            .map_err(|error| JournalError::Io { path: self.path.clone(), source: error.into() })?;
        text.push('\n');
        self.append(&text)
    }

    fn append(&mut self, text: &str) -> Result<(), JournalError> {
        self.file
            .write_all(text.as_bytes())
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })
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

type Items = HashMap<String, Option<(String, Vec<Output>)>>;

/// What the journal says, and the length of its whole lines.
fn read(file: &mut File, path: &Path) -> Result<(Items, u64), JournalError> {
    let io = |source| JournalError::Io { path: path.to_path_buf(), source };
    let mut reader = BufReader::new(file);
    let mut items = Items::new();
    let mut whole = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line).map_err(io)?;
        let torn = line.last() != Some(&b'\n');
        if whole == 0 && !(torn && HEADER.as_bytes().starts_with(&line)) && line != HEADER.as_bytes() {
            return Err(JournalError::NotOurs(path.to_path_buf()));
        }
        if torn {
            return Ok((items, whole));
        }
        // A line that cannot be read is an item that is not known to be done: it is made again.
        if let Ok(Line { item, key, outputs }) = serde_json::from_slice(&line) {
            items.insert(item, outputs.map(|outputs| (key, outputs)));
        }
        whole += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(journal: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), journal).unwrap();
        folder
    }

    #[test]
    fn done_means_same_key_and_outputs_there() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a.txt");
        std::fs::write(&output, "abc").unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        assert!(!journal.knows("a"));
        journal.begin("a", "k").unwrap();
        assert!(journal.knows("a") && !journal.is_done("a", "k"));
        journal.finish("a", "k", std::slice::from_ref(&output)).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Busy(_))));
        drop(journal);

        let journal = Journal::open(folder.path()).unwrap();
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
            let mut journal = Journal::open(folder.path()).unwrap();
            assert!(journal.is_done("a", "k") && !journal.knows("b"), "cut at {cut}");
            journal.finish("b", "k", &[]).unwrap();
            drop(journal);
            let text = std::fs::read_to_string(folder.path().join(NAME)).unwrap();
            assert_eq!(text, format!("{lines}{last}\n"), "cut at {cut}");
        }
    }

    #[test]
    fn a_torn_header_is_written_again() {
        for cut in 0..HEADER.len() {
            let folder = folder_with(&HEADER[..cut]);
            drop(Journal::open(folder.path()).unwrap());
            assert_eq!(std::fs::read_to_string(folder.path().join(NAME)).unwrap(), HEADER);
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_costs_its_item_only() {
        let good = |item| format!("{{\"item\":\"{item}\",\"key\":\"k\",\"outputs\":[]}}\n");
        let folder = folder_with(&format!("{HEADER}{}\0\u{fffd}]\n{}", good("a"), good("b")));
        let journal = Journal::open(folder.path()).unwrap();
        assert!(journal.is_done("a", "k") && journal.is_done("b", "k"));
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        for text in ["dear diary\n", "dear diary", "{\"journal\":\"other\"}\n", "\n"] {
            let folder = folder_with(text);
            assert!(matches!(Journal::open(folder.path()), Err(JournalError::NotOurs(_))), "{text:?}");
            assert_eq!(std::fs::read_to_string(folder.path().join(NAME)).unwrap(), text);
        }
    }
}
