//! The whole road from a name to a place.

use std::path::{Path, PathBuf};

use crate::cache::{Shelf, files_below, place, tag};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::listing::{RemoteFile, ask_headers, checked_etag, listing};
use crate::names::{Name, safe_path, shorten, sort};
use crate::net::Client;
use crate::transfer::{Job, Progress, fetch, is_whole};
use crate::wants::{Want, select};

/// A model that is part of the binary: file names and bytes.
pub type Embedded = &'static [(&'static str, &'static [u8])];

/// The files of a folder, `embedded!("../folder/": "name", ...)`, built into the binary where its feature `embedded` is on; else
/// nothing.
#[macro_export]
macro_rules! embedded {
    ($folder:literal: $($name:literal),+ $(,)?) => {{
        #[cfg(feature = "embedded")]
        const FILES: Option<$crate::Embedded> =
            Some(&[$(($name, include_bytes!(concat!($folder, $name)) as &[u8])),+]);
        #[cfg(not(feature = "embedded"))]
        const FILES: Option<$crate::Embedded> = None;
        FILES
    }};
}

/// Where a model's files are.
#[derive(Clone, Debug)]
pub enum Location {
    /// A folder in the hub's layout.
    Dir(PathBuf),
    /// A single `.gguf` or `.safetensors` file.
    File(PathBuf),
    /// Bytes of the binary.
    Embedded(Embedded),
}

impl Location {
    /// How many bytes its files have, those of the folders in it too.
    pub fn bytes(&self) -> u64 {
        fn below(path: &Path) -> u64 {
            match std::fs::read_dir(path) {
                Ok(entries) => entries.flatten().map(|entry| below(&entry.path())).sum(),
                Err(_) => std::fs::metadata(path).map_or(0, |data| data.len()),
            }
        }
        match self {
            Self::Dir(path) | Self::File(path) => below(path),
            Self::Embedded(files) => files.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        }
    }
}

/// A model that was found.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Where its files are.
    pub location: Location,
    /// The name to report: `embedded`, the path as typed, or `owner/name`.
    pub name: String,
    /// The commit, for a repository of the hub.
    pub revision: Option<String>,
    /// Something that the user should be told: the hub did not answer and the cached copy was taken.
    pub note: Option<String>,
}

/// What an app asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// No network, whatever [`Env::offline`] says.
    pub offline: bool,
    /// The files wanted of a repository; none means all of them.
    pub wants: &'a [Want<'a>],
}

/// Finds a model, downloading what the cache lacks.
///
/// `name` is `embedded`, a folder, a `.gguf` or `.safetensors` file, an alias of the catalogue or `owner/name`, the
/// last two with `@revision` where wanted, and before it `:Q4_K_M` or another end of a file's name where one GGUF file
/// of many is wanted. What exists on disk wins over a name of the hub. A branch or tag is asked
/// of the hub each time, as huggingface_hub does; where the hub does not answer, the cached copy is taken and
/// [`Resolved::note`] says so.
///
/// `progress` is called with a file, the bytes that are there and the bytes that it has (0 where unknown).
///
/// # Errors
/// When nothing has that name, the network is off or does not answer, the repository lacks a required file, the
/// bytes are not those that the hub lists, or the disk cannot be written.
pub fn resolve(
    name: &str,
    embedded: Option<Embedded>,
    options: &Options<'_>,
    env: &Env,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Resolved> {
    let local = |location| Resolved { location, name: name.to_owned(), revision: None, note: None };
    match sort(name)? {
        Name::Embedded => embedded.map(|files| local(Location::Embedded(files))).ok_or(Error::NoEmbedded),
        Name::Dir(path) => Ok(local(Location::Dir(path))),
        Name::File(path) => Ok(local(Location::File(path))),
        Name::Repo { id, file, revision } => {
            let revision = revision.as_deref().unwrap_or("main");
            let mut find = |options: &Options<'_>| repository(name, &id, revision, options, env, progress);
            match file {
                None => find(options),
                Some(file) => gguf(&id, &file, options, find),
            }
        }
    }
}

/// One file of a repository that holds the same model in many formats.
fn gguf(
    id: &str,
    file: &str,
    options: &Options<'_>,
    find: impl FnOnce(&Options<'_>) -> Result<Resolved>,
) -> Result<Resolved> {
    let spellings = [file.to_owned(), file.to_uppercase(), file.to_lowercase()];
    let ends = |spelling: &String| ["-", ".", "_"].map(|mark| format!("*{mark}{spelling}.gguf"));
    let patterns: Vec<String> = spellings.iter().cloned().chain(spellings.iter().flat_map(ends)).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let named = format!("whose name alone ends in {}.gguf", file.trim_end_matches(".gguf"));
    let wants = [Want::single(&patterns, &named)];
    let found = find(&Options { wants: &wants, ..*options })?;
    let Location::Dir(folder) = &found.location else { return Ok(found) };
    let files = files_below(folder);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let name = select(&wants, &names).ok().and_then(|chosen| chosen.first().copied()).unwrap_or(file);
    Ok(Resolved { location: Location::File(folder.join(name)), name: format!("{id}:{file}"), ..found })
}

fn repository(
    typed: &str,
    id: &str,
    revision: &str,
    options: &Options<'_>,
    env: &Env,
    progress: &mut Progress<'_>,
) -> Result<Resolved> {
    let shelf = Shelf::new(&env.cache, id);
    let found = |folder, commit, note| Resolved {
        location: Location::Dir(folder),
        name: id.to_owned(),
        revision: Some(commit),
        note,
    };
    let cached = cached(&shelf, revision, options.wants);
    if options.offline || env.offline {
        let missing = |missing| Error::Offline { name: typed.to_owned(), missing, cache: env.cache.clone() };
        return cached.map(|(folder, commit)| found(folder, commit, None)).map_err(missing);
    }
    match online(&shelf, id, revision, options.wants, env, cached.is_ok(), progress) {
        Ok(commit) => Ok(found(shelf.snapshot(&commit), commit, None)),
        Err(error) => match cached {
            Ok((folder, commit)) if error.cache_may_serve() => {
                let note = format!("{error}; the cached copy {commit} is used");
                Ok(found(folder, commit, Some(note)))
            }
            _ => Err(error),
        },
    }
}

/// The snapshot of a revision if it has what is wanted, else what is missing.
fn cached(shelf: &Shelf, revision: &str, wants: &[Want<'_>]) -> Result<(PathBuf, String), String> {
    let Some(commit) = shelf.commit_of(revision) else {
        let commits = shelf.commits();
        return Err(if commits.is_empty() {
            "it is not".to_owned()
        } else {
            format!("revision {revision} is not, though @{} is,", commits.join(" and @"))
        });
    };
    let folder = shelf.snapshot(&commit);
    let files = files_below(&folder);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return Err(format!("no file of commit {commit} is"));
    }
    let chosen = select(wants, &names).map_err(|want| format!("no file {} is", want.name()))?;
    for index in chosen.iter().filter(|name| name.ends_with(".index.json")) {
        if let Some(shard) = missing_shard(&folder, index) {
            return Err(format!("{shard}, which {index} names, is not"));
        }
    }
    Ok((folder, commit))
}

/// The first file that a weight index names and that is not there.
fn missing_shard(folder: &Path, index: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(index)).ok()?;
    let index_value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let home = folder.join(Path::new(index).parent()?);
    let shards = index_value.get("weight_map")?.as_object()?.values().filter_map(|shard| shard.as_str());
    let mut shards: Vec<&str> = shards.collect();
    shards.sort();
    shards.dedup();
    let absent = |shard: &&str| safe_path(shard).is_ok_and(|path| !home.join(path).is_file());
    shards.into_iter().find(absent).map(shorten)
}

/// Brings everything wanted into the cache and returns the commit.
fn online(
    shelf: &Shelf,
    id: &str,
    revision: &str,
    wants: &[Want<'_>],
    env: &Env,
    has_cached: bool,
    progress: &mut Progress<'_>,
) -> Result<String> {
    let client = Client::new(env)?;
    let tries = if has_cached { 1 } else { env.patience.tries };
    let listing = listing(&client, id, revision, tries)?;
    let commit = listing.commit.as_str();
    let files = wanted(id, listing.files, wants)?;

    let mut missing = Vec::new();
    for (mut file, path) in files {
        if is_whole(&shelf.snapshot(commit).join(&path), file.size) {
            continue;
        }
        if file.etag.is_none() {
            ask_headers(&client, id, commit, &mut file)?;
        }
        let etag = checked_etag(id, &file)?;
        missing.push((file, path, etag));
    }
    for (file, path, etag) in &missing {
        let job = Job { repo: id, commit, file, etag };
        fetch(&client, shelf, &job, progress)?;
        place(shelf, etag, commit, path)?;
    }
    match shelf.note_commit(revision, commit) {
        // A cache that cannot be written serves as long as it has everything.
        Err(_) if missing.is_empty() => {}
        noted => noted?,
    }
    if !missing.is_empty() {
        tag(&env.cache);
    }
    Ok(listing.commit)
}

/// The listed files that are wanted, each with its checked path.
fn wanted(id: &str, files: Vec<RemoteFile>, wants: &[Want<'_>]) -> Result<Vec<(RemoteFile, PathBuf)>> {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let chosen = select(wants, &names).map_err(|want| Error::Lacks {
        repo: id.to_owned(),
        wanted: want.name(),
        has: some_of(&names),
    })?;
    if chosen.is_empty() {
        return Err(Error::Lacks { repo: id.to_owned(), wanted: "at all".to_owned(), has: some_of(&names) });
    }
    let mut paths = Vec::new();
    for name in chosen {
        let path = safe_path(name).map_err(|why| Error::Hostile {
            repo: id.to_owned(),
            what: "a file",
            value: shorten(name),
            why,
        })?;
        paths.push((name.to_owned(), path));
    }
    let mut paths = paths.into_iter().peekable();
    let pair = |file: RemoteFile| paths.next_if(|(name, _)| *name == file.name).map(|(_, path)| (file, path));
    Ok(files.into_iter().filter_map(pair).collect())
}

fn some_of(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| shorten(name)).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > shown.len() => format!("{} and {} more", shown.join(", "), count - shown.len()),
        _ => shown.join(", "),
    }
}
