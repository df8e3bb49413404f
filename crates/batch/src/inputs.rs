//! Files and folders on the command line -> a list of inputs, in the same order every time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::journal;

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file, as it can be opened.
    pub path: PathBuf,
    /// The folder on the command line that it was found in; `None` for a file that was named itself.
    pub root: Option<PathBuf>,
}

/// Which files of a folder are inputs. A file that is named itself always is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Folders inside folders too.
    pub recursive: bool,
    /// Extensions without the dot, in any case; empty takes all files.
    pub extensions: &'a [&'a str],
    /// A folder inside of others that is left out: the one that results go to.
    pub without: Option<&'a Path>,
}

/// What the words on the command line came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expanded {
    /// Each file once, in the order of the words, those of a folder sorted by name.
    pub inputs: Vec<Input>,
    /// What could not be read, with the reason.
    pub problems: Vec<(PathBuf, String)>,
}

impl Expanded {
    /// The inputs of a batch. What lies in a folder and cannot be read stands behind the others, to fail there alone.
    ///
    /// # Errors
    /// The first of the words that leads to nothing, with the reason.
    pub fn for_batch(self, words: &[PathBuf]) -> Result<Vec<Input>, (PathBuf, String)> {
        let Self { mut inputs, problems } = self;
        for (path, why) in problems {
            if words.contains(&path) {
                return Err((path, why));
            }
            let root = words.iter().find(|word| path.starts_with(word)).cloned();
            inputs.push(Input { path, root });
        }
        Ok(inputs)
    }
}

/// Looks into folders, and finds what fits a pattern (`*`, `?`, `[a-z]`, `**`) that no file has as its name. Hidden files in
/// them and the journals of runs are left out, links are followed, and a folder that is reached twice (a loop of links) counts
/// once.
pub fn expand(words: &[PathBuf], wanted: &Wanted<'_>) -> Expanded {
    let without = wanted.without.and_then(|folder| folder.canonicalize().ok());
    let mut walk = Walk { wanted, without, seen: HashSet::new(), found: Expanded::default() };
    for word in words {
        match std::fs::metadata(word) {
            Err(error) => match matching(word) {
                Some(found) => found.into_iter().for_each(|path| walk.file(path, None)),
                None => walk.problem(word, error.to_string()),
            },
            Ok(data) if data.is_dir() => {
                let before = (walk.found.inputs.len(), walk.found.problems.len());
                walk.folder(word, word);
                if before == (walk.found.inputs.len(), walk.found.problems.len()) {
                    walk.problem(word, walk.nothing_here());
                }
            }
            Ok(_) => walk.file(word.clone(), None),
        }
    }
    walk.found
}

/// The files, sorted, that a pattern of a shell fits; nothing where it is no pattern, or no file fits it.
pub fn matching(word: &Path) -> Option<Vec<PathBuf>> {
    let pattern = word.to_str().filter(|text| text.contains(['*', '?', '[']))?;
    // as a shell has it: hidden files are named only by a dot
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options).ok()?;
    let files: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
    (!files.is_empty()).then_some(files)
}

struct Walk<'a> {
    wanted: &'a Wanted<'a>,
    /// Its real path.
    without: Option<PathBuf>,
    /// Real paths of files taken and folders entered.
    seen: HashSet<PathBuf>,
    found: Expanded,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, root: &Path) {
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        if (folder != root && self.without.as_ref() == Some(&real)) || !self.seen.insert(real) {
            return;
        }
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.problem(folder, error.to_string()),
        };
        let mut names = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => names.push(entry.file_name()),
                Err(error) => self.problem(folder, error.to_string()),
            }
        }
        // what runs say of themselves is no input
        let records = journal::records(folder, &names);
        names.retain(|name| !name.as_encoded_bytes().starts_with(b".") && !records.contains(name));
        names.sort_unstable();
        for name in names {
            let path = folder.join(name);
            match std::fs::metadata(&path) {
                Ok(data) if data.is_dir() && self.wanted.recursive => self.folder(&path, root),
                Ok(data) if data.is_file() && self.fits(&path) => self.file(path, Some(root)),
                Ok(_) => {}
                Err(error) if self.fits(&path) => self.problem(&path, error.to_string()),
                Err(_) => {}
            }
        }
    }

    fn file(&mut self, path: PathBuf, root: Option<&Path>) {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.seen.insert(real) {
            self.found.inputs.push(Input { path, root: root.map(Path::to_path_buf) });
        }
    }

    fn fits(&self, path: &Path) -> bool {
        let extension = path.extension().unwrap_or_default();
        let fits = |wanted: &&str| extension.eq_ignore_ascii_case(wanted);
        self.wanted.extensions.is_empty() || self.wanted.extensions.iter().any(fits)
    }

    fn nothing_here(&self) -> String {
        let kinds: Vec<String> = self.wanted.extensions.iter().map(|name| format!(".{name}")).collect();
        let kinds =
            if kinds.is_empty() { String::new() } else { format!(" that ends in {}", kinds.join(", ")) };
        let hint = if self.wanted.recursive { "" } else { "; --recursive looks into its folders too" };
        format!("no file in it{kinds}{hint}")
    }

    fn problem(&mut self, path: &Path, reason: String) {
        self.found.problems.push((path.to_path_buf(), reason));
    }
}
