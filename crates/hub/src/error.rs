//! What can go wrong between a name and a folder, one line each, with the way out.

use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of this crate; the text is one line and stands on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `embedded` was asked of an app that carries no model.
    #[error(
        "this build has no embedded model: name a folder, a file, owner/name or an alias (see `models list`)"
    )]
    NoEmbedded,
    /// A name in the shape of a path, with nothing there.
    #[error("{0}: no such file or folder")]
    NoSuchPath(String),
    /// A file that is no checkpoint by itself.
    #[error("{}: a file, but neither .gguf nor .safetensors; name the folder that holds the model", .0.display())]
    NotAModel(PathBuf),
    /// A name that can be neither a path nor a repository.
    #[error("{name:?} is no model name: {why}")]
    BadName {
        /// What was typed.
        name: String,
        /// The rule that it breaks.
        why: String,
    },
    /// A single word that is neither a folder nor an alias.
    #[error(
        "no model {name:?}: neither a folder here nor an alias{near}; a model of the hub is typed owner/name"
    )]
    Unknown {
        /// What was typed.
        name: String,
        /// "; near: a, b" or empty.
        near: String,
    },
    /// The network is off and the cache does not have it.
    #[error(
        "{name}: {missing} in the cache {}, and the network is off; run `models pull {name}` once without --offline and HF_HUB_OFFLINE, or name a local folder", .cache.display()
    )]
    Offline {
        /// The model as typed.
        name: String,
        /// What the cache lacks.
        missing: String,
        /// The cache looked into.
        cache: PathBuf,
    },
    /// The repository asks for its terms to be accepted first.
    #[error("{repo} is gated: accept its terms at {page}, then set HF_TOKEN to a token of that account")]
    Gated {
        /// The repository.
        repo: String,
        /// Where the terms are.
        page: String,
    },
    /// Not found, or hidden from whoever asks.
    #[error("{repo}: no such model on {endpoint} (status {status}), or it is private: {way}")]
    NotFound {
        /// The repository.
        repo: String,
        /// The hub asked.
        endpoint: String,
        /// 401, 403 or 404.
        status: u16,
        /// What to do.
        way: &'static str,
    },
    /// The repository exists, the revision does not.
    #[error("{repo} has no revision {revision:?}: name a branch, a tag or a commit, or leave the @ away")]
    NoRevision {
        /// The repository.
        repo: String,
        /// What was asked.
        revision: String,
    },
    /// The listing names a file that is not served.
    #[error("{repo} lists {file} but does not serve it (status 404): try again later, or another @revision")]
    NoFile {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
    },
    /// The repository lacks a file without which the model cannot load.
    #[error("{repo} has no file {wanted}; it has {has}")]
    Lacks {
        /// The repository.
        repo: String,
        /// The patterns, with "or" between.
        wanted: String,
        /// Some of the names that are there.
        has: String,
    },
    /// No answer, after all retries.
    #[error("{host}: {why} ({tries}); {way}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The last reason.
        why: String,
        /// "5 tries".
        tries: String,
        /// What to do.
        way: &'static str,
    },
    /// A status that has no better line.
    #[error("{url}: the server answered {status}{message}")]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// ": text" of the server, or empty.
        message: String,
    },
    /// An answer that no hub gives.
    #[error("{url}: {why}; is HF_ENDPOINT right, and no log-in page of the network in between?")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// A name from the server that must not become a path.
    #[error("{repo}: the hub names {what} {value:?}, which {why}; refused, nothing was written")]
    Hostile {
        /// The repository.
        repo: String,
        /// "a file", "an etag", "a commit".
        what: &'static str,
        /// The name, shortened.
        value: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The bytes are not those that the hub lists.
    #[error(
        "{file}: the {sum} of what came is {got}, the hub lists {expected}; the partial file is deleted, run it again"
    )]
    Sum {
        /// The file.
        file: String,
        /// "sha256" or "git sha1".
        sum: &'static str,
        /// Of the listing.
        expected: String,
        /// Of the bytes.
        got: String,
    },
    /// More bytes than listed.
    #[error(
        "{file}: the server sends more than the {expected} bytes that the hub lists; the partial file is deleted"
    )]
    TooLong {
        /// The file.
        file: String,
        /// Bytes of the listing.
        expected: u64,
    },
    /// The disk would not.
    #[error("{}: {}", .path.display(), disk_reason(.source))]
    Disk {
        /// What was touched.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A setting of the environment that cannot be used.
    #[error("{name}: {why}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Something that `remove` does not touch.
    #[error("{name}: not removed, {why}")]
    Kept {
        /// The model as typed.
        name: String,
        /// The reason.
        why: String,
    },
}

impl Error {
    /// Whether a cached copy may stand in: the hub did not answer, or not to this asker.
    pub(crate) fn cache_may_serve(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. }
                | Error::Status { .. }
                | Error::Answer { .. }
                | Error::Gated { .. }
                | Error::NotFound { status: 401 | 403, .. }
        )
    }
}

fn disk_reason(error: &io::Error) -> String {
    use io::ErrorKind::*;
    match error.kind() {
        StorageFull | QuotaExceeded => {
            "the disk is full; free some space, or set HF_HOME to a folder on another disk \
            (what came so far is kept and resumed)"
                .to_owned()
        }
        PermissionDenied | ReadOnlyFilesystem => {
            format!("cannot be written ({error}); set HF_HOME to a folder that can")
        }
        _ => error.to_string(),
    }
}

/// Adds the path to an [`io::Error`].
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Disk { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_line_with_the_way_out() {
        let error = Error::Disk { path: "/c/blobs/x".into(), source: io::ErrorKind::StorageFull.into() };
        let text = error.to_string();
        assert!(text.starts_with("/c/blobs/x: the disk is full; free") && text.contains("HF_HOME"), "{text}");
        assert!(!text.contains('\n') && !text.contains("  "), "{text}");
    }
}
