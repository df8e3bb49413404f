//! What is typed where an app takes words as well as files: each INPUT is one or the other, never a guess.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use batch::{Content, Input, Wanted};

use crate::{read_stdin, usage};

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The words themselves.
    Words(String),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl Source {
    /// What INPUTs name and, behind them, what `--text` says; files of folders are those with one of the `extensions`.
    ///
    /// # Errors
    /// What looks like a file and is none, a folder that cannot be read, and standard input twice.
    pub fn typed(
        inputs: &[String],
        texts: &[String],
        recursive: bool,
        extensions: &[&str],
    ) -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        for word in inputs {
            sources.extend(named(word, recursive, extensions)?);
        }
        sources.extend(texts.iter().cloned().map(Self::Words));
        if sources.iter().filter(|source| **source == Self::Stdin).count() > 1 {
            return Err(usage("`-` stands for stdin, which can be read once only"));
        }
        Ok(sources)
    }

    /// What it is called in a message.
    pub fn name(&self) -> String {
        match self {
            Self::Words(_) => "the text".into(),
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "stdin".into(),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// A file, or standard input, that cannot be read.
    pub fn read(&self) -> Result<Vec<u8>> {
        match self {
            Self::Words(words) => Ok(words.clone().into_bytes()),
            Self::File(path) => std::fs::read(path).with_context(|| self.name()),
            Self::Stdin => read_stdin(),
        }
    }

    /// What an item of a batch hashes to; standard input to nothing, since it is read once only.
    pub fn content(&self) -> Content {
        match self {
            Self::Words(words) => Content::Bytes(words.clone().into_bytes()),
            Self::File(path) => Content::File(path.clone()),
            Self::Stdin => Content::Bytes(Vec::new()),
        }
    }

    /// What their results are called, without an extension: files keep their names, words are numbered.
    pub fn names(sources: &[Self]) -> Vec<String> {
        let file = |source: &Self| match source {
            Self::File(path) => Some(Input { path: path.clone(), root: None }),
            _ => None,
        };
        let inputs: Vec<Input> = sources.iter().filter_map(file).collect();
        let mut stems = batch::output_names(&inputs).into_iter();
        let mut number = 0;
        let name = |source: &Self| match source {
            Self::File(_) => stems.next().unwrap_or_default(),
            _ => {
                number += 1;
                format!("text-{number}")
            }
        };
        sources.iter().map(name).collect()
    }
}

/// Files that exist, those of a folder, stdin, or words; what looks like a file and is none is not taken for words.
fn named(word: &str, recursive: bool, extensions: &[&str]) -> Result<Vec<Source>> {
    let path = Path::new(word);
    if word == "-" {
        return Ok(vec![Source::Stdin]);
    }
    if path.is_dir() {
        let words = [path.into()];
        return match batch::expand(&words, &Wanted { recursive, extensions }).for_batch(&words) {
            Ok(inputs) => Ok(inputs.into_iter().map(|input| Source::File(input.path)).collect()),
            Err((path, why)) => bail!("{}: {why}", path.display()),
        };
    }
    if path.is_file() {
        return Ok(vec![Source::File(path.to_path_buf())]);
    }
    let is_one = !word.contains(char::is_whitespace);
    let known = path.extension().is_some_and(|end| extensions.iter().any(|known| end == *known));
    if is_one && (known || word.contains(std::path::MAIN_SEPARATOR)) {
        return Err(usage(format!(
            "{word}: there is no such file; if these are the words, use --text {word:?}"
        )));
    }
    Ok(vec![Source::Words(word.to_string())])
}
