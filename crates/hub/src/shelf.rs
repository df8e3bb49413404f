//! What stands behind `models list|show|pull|remove`. Only [`pull`] uses the network.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cache::{Shelf, files_below, is_busy, repositories};
use crate::catalogue::{Entry, catalogue};
use crate::env::Env;
use crate::error::{At, Error, Result};
use crate::names::{Name, sort};
use crate::resolve::{Embedded, Options, Resolved, resolve};

/// A model that `models list` shows: cached, in the catalogue, or both.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// `owner/name`.
    pub repo: String,
    /// The catalogue's entry.
    pub entry: Option<&'static Entry>,
    /// The commits in the cache, each with the branches and tags that stand at it.
    pub revisions: Vec<(String, Vec<String>)>,
    /// Bytes on disk, unfinished downloads among them; 0 where nothing is cached.
    pub bytes: u64,
}

/// A model in detail.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// `embedded`, the path as typed, or `owner/name`.
    pub name: String,
    /// Where the files are; `None` for embedded bytes and for what is not cached.
    pub path: Option<PathBuf>,
    /// The commit shown, for a cached repository.
    pub revision: Option<String>,
    /// The licence: of the catalogue, of the model card, or the first line of LICENSE.
    pub licence: Option<String>,
    /// The files that are here and their sizes.
    pub files: Vec<(String, u64)>,
    /// The catalogue's entry.
    pub entry: Option<&'static Entry>,
}

/// What [`remove`] took away.
#[derive(Clone, Debug, Serialize)]
pub struct Removed {
    /// `owner/name`.
    pub repo: String,
    /// The folder that is gone.
    pub folder: PathBuf,
    /// The bytes that it held.
    pub bytes: u64,
}

/// Everything cached and everything in the catalogue, cached first. `app` keeps one app's entries of the catalogue
/// (what is cached and in no catalogue is always listed).
pub fn list(env: &Env, app: Option<&str>) -> Vec<Listed> {
    let ours = |entry: &&Entry| app.is_none_or(|app| app == entry.app);
    let mut listed = Vec::new();
    let cached = repositories(&env.cache);
    for repo in &cached {
        let entry = entry_of(repo);
        if entry.is_some_and(|entry| !ours(&entry)) {
            continue;
        }
        let shelf = Shelf::new(&env.cache, repo);
        let refs = shelf.refs();
        let revision = |commit: String| {
            let names = refs.iter().filter(|(_, at)| *at == commit).map(|(name, _)| name.clone());
            let names = names.collect();
            (commit, names)
        };
        let revisions = shelf.commits().into_iter().map(revision).collect();
        listed.push(Listed { repo: repo.clone(), entry, revisions, bytes: bytes_of(&shelf) });
    }
    let absent = catalogue().iter().filter(ours).filter(|entry| !cached.contains(&entry.repo));
    listed.extend(absent.map(|entry| Listed {
        repo: entry.repo.clone(),
        entry: Some(entry),
        revisions: Vec::new(),
        bytes: 0,
    }));
    listed
}

/// What is known here of one model; nothing is downloaded.
///
/// # Errors
/// When nothing has that name.
pub fn show(name: &str, embedded: Option<Embedded>, env: &Env) -> Result<Shown> {
    let (id, revision) = match sort(name)? {
        Name::Embedded => {
            let bytes = embedded.ok_or(Error::NoEmbedded)?;
            let text = |wanted: &str| {
                let file = bytes.iter().find(|(name, _)| *name == wanted)?;
                Some(String::from_utf8_lossy(file.1).into_owned())
            };
            let files = bytes.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.len() as u64)).collect();
            let licence = licence(text);
            return Ok(Shown { name: name.into(), path: None, revision: None, licence, files, entry: None });
        }
        Name::Dir(path) => return Ok(show_folder(name, path)),
        Name::File(path) => {
            let size = fs::metadata(&path).at(&path)?.len();
            let files = vec![(path.display().to_string(), size)];
            let path = Some(path);
            return Ok(Shown { name: name.into(), path, revision: None, licence: None, files, entry: None });
        }
        Name::Repo { id, revision, .. } => (id, revision),
    };
    let shelf = Shelf::new(&env.cache, &id);
    let entry = entry_of(&id);
    let commit = shelf.commit_of(revision.as_deref().unwrap_or("main"));
    let mut shown = match &commit {
        Some(commit) => show_folder(&id, shelf.snapshot(commit)),
        None => Shown { name: id, path: None, revision: None, licence: None, files: Vec::new(), entry },
    };
    shown.revision = commit;
    shown.licence = entry.map(|entry| entry.licence.clone()).or(shown.licence);
    shown.entry = entry;
    Ok(shown)
}

/// Downloads a repository's wanted files.
///
/// # Errors
/// As [`resolve`]; also for names that are no repository.
pub fn pull(
    name: &str,
    options: &Options<'_>,
    env: &Env,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Resolved> {
    if !matches!(sort(name)?, Name::Repo { .. }) {
        let why = "it is here already; pull takes owner/name or an alias".to_owned();
        return Err(Error::BadName { name: name.to_owned(), why });
    }
    resolve(name, None, options, env, progress)
}

/// Deletes a repository from the cache: every revision, and nothing outside of the cache.
///
/// # Errors
/// When the name is no cached repository, has a revision, or another process is downloading it.
pub fn remove(name: &str, env: &Env) -> Result<Removed> {
    let kept = |why: &str| Error::Kept { name: name.to_owned(), why: why.to_owned() };
    let repo = match sort(name)? {
        Name::Repo { id, revision: None, .. } => id,
        Name::Repo { .. } => return Err(kept("a repository goes with all its revisions: leave the @ away")),
        Name::Embedded => return Err(kept("it is part of the program")),
        Name::Dir(_) | Name::File(_) => {
            return Err(kept("only the cache is cleared; delete your own files yourself"));
        }
    };
    let shelf = Shelf::new(&env.cache, &repo);
    let about = match fs::symlink_metadata(&shelf.root) {
        Ok(about) => about,
        Err(_) => return Err(kept(&format!("it is not in the cache {}", env.cache.display()))),
    };
    let inside = |folder: &Path| -> Result<bool> {
        let cache = env.cache.canonicalize().at(&env.cache)?;
        Ok(folder.canonicalize().at(folder)?.parent() == Some(cache.as_path()))
    };
    if !about.is_dir() || !inside(&shelf.root)? {
        return Err(kept(&format!("{} is no folder of the cache", shelf.root.display())));
    }
    if is_busy(&shelf.locks) {
        return Err(kept("another process is downloading it"));
    }
    let bytes = bytes_of(&shelf);
    fs::remove_dir_all(&shelf.root).at(&shelf.root)?;
    if fs::symlink_metadata(&shelf.locks).is_ok_and(|about| about.is_dir()) {
        // Empty lock files only; where they stay, nothing is lost.
        let _ = fs::remove_dir_all(&shelf.locks);
    }
    Ok(Removed { repo, folder: shelf.root, bytes })
}

fn entry_of(repo: &str) -> Option<&'static Entry> {
    catalogue().iter().find(|entry| entry.repo == repo)
}

/// Links count by what they point to only where there are no blobs (a cache without links).
fn bytes_of(shelf: &Shelf) -> u64 {
    let sum = |folder: &str| files_below(&shelf.root.join(folder)).iter().map(|(_, size)| size).sum::<u64>();
    sum("blobs").max(sum("snapshots"))
}

fn show_folder(name: &str, path: PathBuf) -> Shown {
    let files = files_below(&path);
    let licence = licence(|file| read_start(&path.join(file)));
    Shown { name: name.to_owned(), path: Some(path), revision: None, licence, files, entry: None }
}

const CARD_LIMIT: u64 = 64 << 10;

fn read_start(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(file).ok()?.take(CARD_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn licence(text: impl Fn(&str) -> Option<String>) -> Option<String> {
    let card = text("README.md").and_then(|card| licence_of_card(&card));
    card.or_else(|| {
        let licence = text("LICENSE").or_else(|| text("LICENSE.md")).or_else(|| text("LICENSE.txt"))?;
        let line =
            licence.lines().map(|line| line.trim().trim_start_matches('#').trim()).find(|l| !l.is_empty())?;
        Some(crate::names::shorten(line))
    })
}

/// `license:` of a model card's front matter; where that is `other`, `license_name:`.
pub(crate) fn licence_of_card(card: &str) -> Option<String> {
    let mut lines = card.trim_start_matches('\u{feff}').lines().map(str::trim_end);
    lines.next().filter(|line| *line == "---")?;
    let front: Vec<&str> = lines.take_while(|line| *line != "---").collect();
    let value = |key: &str| {
        let at =
            front.iter().position(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))?;
        let mut text = front[at][key.len() + 1..].trim();
        if text.is_empty() {
            text = front.get(at + 1)?.trim_start().strip_prefix("- ")?.trim();
        }
        let text = text.trim_matches(['"', '\'', '[', ']']).trim();
        (!text.is_empty()).then(|| crate::names::shorten(text))
    };
    match value("license") {
        Some(licence) if licence == "other" => value("license_name").or(Some(licence)),
        licence => licence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_gives_its_licence() {
        let check = |card: &str, expected: Option<&str>| {
            assert_eq!(licence_of_card(card).as_deref(), expected, "{card:?}");
        };
        check("---\nlicense: mit\n---\n# x", Some("mit"));
        check("\u{feff}---\r\ntags: [a]\r\nlicense: \"cc-by-nc-4.0\"\r\n---\r\n", Some("cc-by-nc-4.0"));
        check("---\nlicense: other\nlicense_name: sai-nc-community\n---\n", Some("sai-nc-community"));
        check("---\nlicense:\n- apache-2.0\n---\n", Some("apache-2.0"));
        check("---\nlanguage: en\n---\nlicense: mit\n", None);
        check("license: mit\n", None);
        check("", None);
    }
}
