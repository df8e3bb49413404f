//! What of a document is translated already, kept beside the file that it becomes: a work that is cut off goes on there.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use media::document::Target;
use serde::{Deserialize, Serialize};

use crate::text::{Segment, Text};

/// Segments of a document that are done, in order, on disk.
pub struct Partial {
    path: PathBuf,
    file: File,
}

/// The first line: of which input, model and options the rest is.
#[derive(Serialize, Deserialize)]
struct Head {
    key: String,
}

/// The others.
#[derive(Serialize, Deserialize)]
struct Line {
    target: String,
    alignment: Vec<[usize; 4]>,
    segments: Vec<Segment>,
}

impl Partial {
    /// Where the work on a file is kept: beside it, under a name that says what it is.
    pub fn path(out: &Path) -> PathBuf {
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        out.with_file_name(name)
    }

    /// Opens the work on `out`, and says what is done. Work of another `key` is begun anew; a line that was cut off is
    /// dropped.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(out: &Path, key: &str) -> Result<(Self, Vec<(Target, Text)>)> {
        let path = Self::path(out);
        let described = || path.display().to_string();
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(described)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(described)?;
        let (done, end) = read(&mut file, key).with_context(described)?;
        file.set_len(end).with_context(described)?;
        file.seek(SeekFrom::Start(end)).with_context(described)?;
        let mut partial = Self { path: path.clone(), file };
        if end == 0 {
            partial.line(&Head { key: key.to_string() })?;
        }
        Ok((partial, done))
    }

    /// Adds segments that are done.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn add(&mut self, done: &[(Target, Text)]) -> Result<()> {
        for (target, text) in done {
            let pair = |(from, to): &(std::ops::Range<usize>, std::ops::Range<usize>)| {
                [from.start, from.end, to.start, to.end]
            };
            self.line(&Line {
                target: target.text.clone(),
                alignment: target.alignment.iter().map(pair).collect(),
                segments: text.segments.clone(),
            })?;
        }
        self.file.sync_data().with_context(|| self.path.display().to_string())
    }

    /// Takes the file away: the document is whole.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn finish(self) -> Result<()> {
        std::fs::remove_file(&self.path).with_context(|| self.path.display().to_string())
    }

    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes).with_context(|| self.path.display().to_string())
    }
}

/// What is done, and where the last whole line ends; nothing of work on something else.
fn read(file: &mut File, key: &str) -> Result<(Vec<(Target, Text)>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut done, mut end, mut line) = (Vec::new(), 0, Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)? as u64;
        if line.last() != Some(&b'\n') {
            break;
        }
        if end == 0 {
            match serde_json::from_slice::<Head>(&line) {
                Ok(head) if head.key == key => {}
                _ => break,
            }
        } else {
            let Ok(line) = serde_json::from_slice::<Line>(&line) else { break };
            let alignment = line.alignment.into_iter().map(|[a, b, c, d]| (a..b, c..d)).collect();
            let target = Target { text: line.target.clone(), alignment };
            done.push((target, Text { target: line.target, segments: line.segments }));
        }
        end += length;
    }
    Ok((done, end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;

    fn text(word: &str) -> (Target, Text) {
        let target = Target { text: word.into(), alignment: vec![(0..1, 0..2)] };
        (target, Text { target: word.into(), segments: Vec::new() })
    }

    #[test]
    fn work_goes_on_where_it_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("book.txt");
        let (mut partial, done) = Partial::open(&out, "a").unwrap();
        assert!(done.is_empty());
        partial.add(&[text("un"), text("deux\ntrois")]).unwrap();
        drop(partial);
        // a line that was being written
        let path = Partial::path(&out);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"target\":\"qua");
        std::fs::write(&path, bytes).unwrap();
        let (mut partial, done) = Partial::open(&out, "a").unwrap();
        assert_eq!(done, [text("un"), text("deux\ntrois")]);
        partial.add(&[text("quatre")]).unwrap();
        drop(partial);
        let (partial, done) = Partial::open(&out, "a").unwrap();
        assert_eq!(done.len(), 3);
        drop(partial);
        let (partial, done) = Partial::open(&out, "another input").unwrap();
        assert!(done.is_empty());
        partial.finish().unwrap();
        assert!(!path.exists());
    }
}
