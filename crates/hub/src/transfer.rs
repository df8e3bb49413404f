//! One file from the hub into the cache: resumed, counted, summed, synced, renamed into place.
//!
//! The bytes gather in `blobs/ETAG.incomplete`, which outlives the process and is continued with `Range`. An etag of
//! the hub is the sum of the file (sha256 in LFS, git's sha1 of the blob else) and vouches for joined pieces; where
//! it is neither, `If-Range` asks the server to.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::cache::{Shelf, lock, make_parent};
use crate::error::{At, Error, Result};
use crate::listing::{RemoteFile, file_url};
use crate::net::{About, Client, Failure, Method, Tries};

/// Called with a file's name, the bytes that are there, and the bytes that it has (0 where nobody knows).
pub(crate) type Progress<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// A file to fetch: its blob's name has been checked.
pub(crate) struct Job<'a> {
    pub repo: &'a str,
    pub commit: &'a str,
    pub file: &'a RemoteFile,
    pub etag: &'a str,
}

/// After a try that got this far the count of tries starts anew: a long file may outlive many cuts.
const HEADWAY: u64 = 1 << 20;

/// Brings the blob of a file into the cache, unless it is there.
pub(crate) fn fetch(
    client: &Client<'_>,
    shelf: &Shelf,
    job: &Job<'_>,
    progress: &mut Progress<'_>,
) -> Result<()> {
    let blob = shelf.blob(job.etag);
    if is_whole(&blob, job.file.size) {
        return Ok(());
    }
    make_parent(&blob)?;
    let path = PathBuf::from(format!("{}.incomplete", blob.display()));
    let total = job.file.size.unwrap_or(0);
    let _lock = lock(&shelf.locks.join(format!("{}.lock", job.etag)), || {
        let done = fs::metadata(&path).map_or(0, |about| about.len());
        progress(&job.file.name, done, total);
    })?;
    if is_whole(&blob, job.file.size) {
        return Ok(());
    }
    let mut partial = Partial::open(path, job)?;
    progress(&job.file.name, partial.length, total);
    let patience = &client.env.patience;
    let mut tries = Tries::new(patience, patience.tries);
    let mut furthest = partial.length;
    while Some(partial.length) != job.file.size {
        match attempt(client, job, &mut partial, progress) {
            Ok(()) => break,
            Err(failure) => {
                if partial.length >= furthest + HEADWAY {
                    furthest = partial.length;
                    tries.reset();
                }
                client.again(&mut tries, failure)?;
            }
        }
    }
    partial.finish(&blob, job)
}

/// Whether a file is there with the size that the hub lists.
pub(crate) fn is_whole(file: &Path, size: Option<u64>) -> bool {
    fs::metadata(file).is_ok_and(|about| about.is_file() && size.is_none_or(|size| size == about.len()))
}

/// One request for what is missing. On `Ok` the server has said all that it has to say.
fn attempt(
    client: &Client<'_>,
    job: &Job<'_>,
    partial: &mut Partial,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let url = file_url(client, job.repo, job.commit, &job.file.name);
    let mut headers = Vec::new();
    if partial.length > 0 {
        headers.push(("Range", format!("bytes={}-", partial.length)));
        if matches!(partial.sum, Sum::None) {
            headers.push(("If-Range", format!("\"{}\"", job.etag)));
        }
    }
    let about = About { repo: job.repo, revision: job.commit, file: Some(&job.file.name) };
    let reply = client.send(Method::Get, &url, &headers, &about)?;
    let again = |why: String| Err(Failure::Again { why, after: None });
    match reply.status {
        206 => {
            let start = reply.header("content-range").and_then(range_start);
            if start != Some(partial.length) {
                partial.restart(job)?;
                return again("the server resumes at another place than was asked".to_owned());
            }
        }
        416 => {
            partial.restart(job)?;
            return again("the server refuses to resume".to_owned());
        }
        // A server that cannot resume sends the whole file.
        _ if partial.length > 0 => partial.restart(job)?,
        _ => {}
    }

    let mut body = reply.reader();
    let mut buffer = vec![0; 128 << 10];
    let size = job.file.size.unwrap_or(u64::MAX);
    loop {
        let count = match body.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return again(format!("{} broke off at byte {} ({error})", job.file.name, partial.length));
            }
        };
        let room = size - partial.length;
        // What comes after the last byte is not ours where the sum tells that the file is whole; where nothing
        // tells, it is another file.
        if count as u64 > room && matches!(partial.sum, Sum::None) {
            partial.delete();
            return Err(Error::TooLong { file: job.file.name.clone(), expected: size }.into());
        }
        if count == 0 || room == 0 {
            break;
        }
        partial.write(&buffer[..count.min(room as usize)])?;
        progress(&job.file.name, partial.length, job.file.size.unwrap_or(0));
    }
    match job.file.size {
        Some(size) if partial.length < size => {
            again(format!("{} ended at byte {} of {size}", job.file.name, partial.length))
        }
        _ => Ok(()),
    }
}

/// `bytes 100-199/200` to 100.
pub(crate) fn range_start(text: &str) -> Option<u64> {
    text.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.trim().parse().ok()
}

/// The bytes so far and the sum of them.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    sum: Sum,
}

impl Partial {
    fn open(path: PathBuf, job: &Job<'_>) -> Result<Self> {
        let file =
            File::options().create(true).read(true).write(true).truncate(false).open(&path).at(&path)?;
        let mut partial = Self { path, file, length: 0, sum: Sum::new(job) };
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = partial.file.read(&mut buffer).at(&partial.path)?;
            if count == 0 {
                break;
            }
            partial.sum.update(&buffer[..count]);
            partial.length += count as u64;
        }
        if job.file.size.is_some_and(|size| partial.length > size) {
            partial.restart(job)?;
        }
        Ok(partial)
    }

    fn restart(&mut self, job: &Job<'_>) -> Result<()> {
        self.file.set_len(0).at(&self.path)?;
        self.file.seek(SeekFrom::Start(0)).at(&self.path)?;
        (self.length, self.sum) = (0, Sum::new(job));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).at(&self.path)?;
        self.sum.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn delete(&self) {
        // Where even this fails, the next run finds the same bytes and the same wrong sum.
        let _ = fs::remove_file(&self.path);
    }

    fn finish(mut self, blob: &Path, job: &Job<'_>) -> Result<()> {
        let sum = self.sum.name();
        if let Some(got) = std::mem::replace(&mut self.sum, Sum::None).finish()
            && !got.eq_ignore_ascii_case(job.etag)
        {
            self.delete();
            let expected = job.etag.to_owned();
            return Err(Error::Sum { file: job.file.name.clone(), sum, expected, got });
        }
        self.file.sync_all().at(&self.path)?;
        drop(self.file);
        fs::rename(&self.path, blob).at(blob)?;
        sync_folder(blob);
        Ok(())
    }
}

/// Makes a rename outlast a power cut, where folders can be synced.
fn sync_folder(file: &Path) {
    if cfg!(unix)
        && let Some(folder) = file.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// The sum that an etag is.
enum Sum {
    Sha256(Box<Sha256>),
    Git(Box<Sha1>),
    None,
}

impl Sum {
    fn new(job: &Job<'_>) -> Self {
        let hex = job.etag.bytes().all(|b| b.is_ascii_hexdigit());
        match (job.etag.len(), job.file.size) {
            (64, _) if hex => Sum::Sha256(Box::default()),
            // Git sums a header with the size before the bytes.
            (40, Some(size)) if hex => Sum::Git(Box::new(Sha1::new_with_prefix(format!("blob {size}\0")))),
            _ => Sum::None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Sum::Sha256(_) => "sha256",
            Sum::Git(_) => "git sha1",
            Sum::None => "sum",
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Sum::Sha256(sum) => sum.update(bytes),
            Sum::Git(sum) => sum.update(bytes),
            Sum::None => {}
        }
    }

    fn finish(self) -> Option<String> {
        let bytes = match self {
            Sum::Sha256(sum) => sum.finalize().to_vec(),
            Sum::Git(sum) => sum.finalize().to_vec(),
            Sum::None => return None,
        };
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(range_start("bytes 100-199/200"), Some(100));
        assert_eq!(range_start("bytes 0-0/*"), Some(0));
        for text in ["", "bytes", "bytes */200", "items 1-2/3", "bytes -1-2/3"] {
            assert_eq!(range_start(text), None, "{text}");
        }
    }
}
