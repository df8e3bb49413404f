//! Whole files: written beside the target, brought to disk, then renamed into place.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use crate::temporary::Temporary;

/// What a file is written through; it can seek, as headers with a length need.
pub type Writer<'a> = BufWriter<&'a File>;

/// Why a file was not written. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file exists.
    #[error("{} exists already: give another -o, or --force to overwrite it", .0.display())]
    Exists(PathBuf),
    /// A folder has that name.
    #[error("{} is a folder: give -o the name of a file, or a folder with a / at its end", .0.display())]
    IsFolder(PathBuf),
    /// The disk said no.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What makes the content failed.
    #[error("cannot write {}: {source}", path.display())]
    Content {
        /// The file that was to be written.
        path: PathBuf,
        /// What was wrong.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Writes a file as a whole or not at all, and returns its size.
///
/// Missing folders are made. A file that exists is an error without `force`; a symbolic link is written
/// through; a device or pipe (`/dev/null`) gets the bytes and is never replaced.
pub fn write_whole<E>(
    path: &Path,
    force: bool,
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
) -> Result<u64, WriteError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let mut set = FileSet::new(force);
    set.add(path, fill)?;
    Ok(set.commit()?.iter().map(|(_, bytes)| bytes).sum())
}

/// [`write_whole`] of bytes that are there already.
pub fn write_bytes(path: &Path, bytes: &[u8], force: bool) -> Result<u64, WriteError> {
    write_whole(path, force, |file| file.write_all(bytes))
}

/// Several files that belong together: all appear, or none and an error.
///
/// Each is written and on disk before the first gets its name, so only the renames stand between none and
/// all; where one of these fails, the new files that came before it are taken away again.
#[derive(Debug)]
pub struct FileSet {
    force: bool,
    files: Vec<Pending>,
}

#[derive(Debug)]
struct Pending {
    path: PathBuf,
    target: PathBuf,
    bytes: u64,
    written: Written,
}

#[derive(Debug)]
enum Written {
    /// Beside the target, to be renamed.
    Beside(Temporary),
    /// To be copied into something that is no ordinary file.
    Stream(File),
}

impl FileSet {
    /// An empty set; with `force`, files that exist are replaced.
    pub fn new(force: bool) -> Self {
        Self { force, files: Vec::new() }
    }

    /// Writes the content of one more file, without giving it its name yet.
    pub fn add<E>(
        &mut self,
        path: impl AsRef<Path>,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
    ) -> Result<(), WriteError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let path = path.as_ref();
        let io = |source| WriteError::Io { path: path.to_path_buf(), source };
        let (target, kind) = look_at(path, self.force)?;
        let written = match kind {
            Kind::Special => Written::Stream(tempfile::tempfile().map_err(io)?),
            Kind::File => {
                let folder = folder_of(&target);
                make_folders(folder).map_err(io)?;
                Written::Beside(Temporary::new_in(folder).map_err(io)?)
            }
        };
        let file = match &written {
            Written::Beside(temporary) => temporary.file().map_err(io)?,
            Written::Stream(file) => file,
        };
        let mut writer = BufWriter::with_capacity(1 << 16, file);
        fill(&mut writer).map_err(|error| content_error(path, error.into()))?;
        writer.flush().map_err(io)?;
        drop(writer);
        if matches!(written, Written::Beside(_)) {
            file.sync_all().map_err(io)?;
        }
        let bytes = file.metadata().map_err(io)?.len();
        self.files.push(Pending { path: path.to_path_buf(), target, bytes, written });
        Ok(())
    }

    /// Gives every file its name; returns paths and sizes in the order they were added.
    pub fn commit(self) -> Result<Vec<(PathBuf, u64)>, WriteError> {
        let (mut done, mut new) = (Vec::new(), Vec::new());
        // a link's file lies in another folder than the link
        let targets: Vec<PathBuf> = self.files.iter().map(|file| file.target.clone()).collect();
        for Pending { path, target, bytes, written } in self.files {
            let is_new = !target.exists();
            if let Err(source) = put(written, &target, self.force) {
                for path in &new {
                    let _ = std::fs::remove_file(path);
                }
                return Err(match source.kind() {
                    io::ErrorKind::AlreadyExists => WriteError::Exists(path),
                    _ => WriteError::Io { path, source },
                });
            }
            if is_new {
                new.push(target);
            }
            done.push((path, bytes));
        }
        let mut folders: Vec<&Path> = targets.iter().map(|path| folder_of(path)).collect();
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            sync_folder(folder).map_err(|source| WriteError::Io { path: folder.to_path_buf(), source })?;
        }
        Ok(done)
    }
}

fn put(written: Written, target: &Path, force: bool) -> io::Result<()> {
    match written {
        Written::Beside(temporary) => temporary.place(target, force),
        Written::Stream(mut file) => {
            file.rewind()?;
            let mut out = File::options().write(true).open(target)?;
            io::copy(&mut file, &mut out).and_then(|_| out.flush())
        }
    }
}

enum Kind {
    File,
    Special,
}

/// Where the bytes really go, links followed, and what is there now.
fn look_at(path: &Path, force: bool) -> Result<(PathBuf, Kind), WriteError> {
    let Ok(there) = std::fs::metadata(path) else { return Ok((path.to_path_buf(), Kind::File)) };
    if there.is_dir() {
        return Err(WriteError::IsFolder(path.to_path_buf()));
    }
    let kind = if there.is_file() { Kind::File } else { Kind::Special };
    if matches!(kind, Kind::File) && !force {
        return Err(WriteError::Exists(path.to_path_buf()));
    }
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink());
    let target = if is_link { path.canonicalize().ok() } else { None };
    Ok((target.unwrap_or_else(|| path.to_path_buf()), kind))
}

/// What made the content may itself have met the disk's error: that is then told as the disk's.
fn content_error(path: &Path, error: Box<dyn Error + Send + Sync>) -> WriteError {
    let path = path.to_path_buf();
    match error.downcast::<io::Error>() {
        Ok(source) => WriteError::Io { path, source: *source },
        Err(source) => WriteError::Content { path, source },
    }
}

/// The folder that a path's file lies in; the present one for a bare name.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder and those above it, and brings their names to disk.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    std::fs::create_dir_all(folder)?;
    missing.iter().try_for_each(|made| sync_folder(folder_of(made)))
}

/// Brings a folder's names to disk, where the system can.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        match File::open(folder)?.sync_all() {
            // Some network file systems have no such call; the names are then theirs to keep.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {}
            result => result?,
        }
    }
    Ok(())
}
