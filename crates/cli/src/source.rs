//! What an app is to work on: each INPUT that was typed or listed is a file or words, never a guess.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use batch::{Content, Expanded, Input, Wanted};

use crate::list::{self, Asked, Listed};
use crate::{read_stdin, stdin_is_piped, usage};

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The words themselves.
    Words(String),
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// One thing to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What its result is called in a folder, without an extension; no two of a list have the same.
    pub id: String,
    /// Where it comes from.
    pub what: What,
}

/// What was typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<'a> {
    /// Files, folders, patterns or words.
    pub inputs: &'a [String],
    /// Words.
    pub texts: &'a [String],
    /// A list of more.
    pub list: Option<&'a Path>,
    /// Whether folders inside folders are looked into.
    pub recursive: bool,
    /// The files of a folder that are taken.
    pub extensions: &'a [&'a str],
    /// The folder that results go to, which is no input where it lies in one.
    pub without: Option<&'a Path>,
}

/// What is asked for, before it has a name.
enum Found {
    Words(String),
    File(Input),
    Stdin,
}

impl<'a> Typed<'a> {
    fn wanted(&self) -> Wanted<'a> {
        Wanted { recursive: self.recursive, extensions: self.extensions, without: self.without }
    }

    /// The sources, in their order: files keep their names, words are numbered, and a list says what it likes.
    ///
    /// # Errors
    /// What looks like a file and is none, a folder that cannot be read, standard input twice, and what a list must not
    /// say.
    pub fn sources(&self) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        let list_is_stdin = self.list.is_some_and(|path| path.as_os_str() == "-");
        let twice = || usage("`-` stands for stdin, which can be read once only");
        if list_is_stdin && self.inputs.iter().any(|word| word == "-") {
            return Err(twice());
        }
        for word in self.inputs {
            found.extend(self.named(word)?.into_iter().map(|found| (found, None)));
        }
        found.extend(self.texts.iter().cloned().map(|words| (Found::Words(words), None)));
        for Listed { place, asked, id } in self.list.map(list::read).transpose()?.unwrap_or_default() {
            match asked {
                Asked::Words(words) => found.push((Found::Words(words), id)),
                // one that is not there fails alone
                Asked::File(path) => found.push((Found::File(Input { path, root: None }), id)),
                Asked::Typed(word) => {
                    let named = self.named(&word).with_context(|| place)?;
                    found.extend(named.into_iter().map(|found| (found, None)));
                }
            }
        }
        let stdins = found.iter().filter(|(found, _)| matches!(found, Found::Stdin)).count();
        if stdins + usize::from(list_is_stdin) > 1 {
            return Err(twice());
        }
        named(found)
    }

    /// Files that exist, those of a folder or a pattern, stdin, or words; what looks like a file and is none is not taken
    /// for words.
    fn named(&self, word: &str) -> Result<Vec<Found>> {
        let path = Path::new(word);
        if word == "-" {
            return Ok(vec![Found::Stdin]);
        }
        if path.is_dir() {
            let words = [path.into()];
            let wanted = self.wanted();
            return match batch::expand(&words, &wanted).for_batch(&words) {
                Ok(inputs) => Ok(inputs.into_iter().map(Found::File).collect()),
                Err((path, why)) => bail!("{}: {why}", path.display()),
            };
        }
        let files = if path.is_file() { Some(vec![path.into()]) } else { batch::matching(path) };
        if let Some(files) = files {
            return Ok(files.into_iter().map(|path| Found::File(Input { path, root: None })).collect());
        }
        let is_one = !word.contains(char::is_whitespace);
        let known = path.extension().is_some_and(|end| self.extensions.iter().any(|known| end == *known));
        if is_one && (known || word.contains(std::path::MAIN_SEPARATOR)) {
            return Err(usage(format!(
                "{word}: there is no such file; if these are the words, use --text {word:?}"
            )));
        }
        Ok(vec![Found::Words(word.to_string())])
    }

    /// As [`Self::sources`] for an app that takes no words: each INPUT of `words`, whose names need not be UTF-8, is a file, a
    /// folder or a pattern, or `-` alone.
    ///
    /// # Errors
    /// INPUTs that lead to nothing, and what a list must not say.
    pub fn files(&self, words: &[PathBuf]) -> Result<Vec<Source>> {
        let is_stdin = |path: &Path| path.as_os_str() == "-";
        let list = self.list.map(list::read).transpose()?.unwrap_or_default();
        if words.iter().any(|word| is_stdin(word)) {
            return match (words.len(), &list[..]) {
                (1, []) => Ok(vec![Source::stdin()]),
                _ => Err(usage("`-` stands for stdin, which stands alone")),
            };
        }
        let wanted = self.wanted();
        let expand = |words: &[PathBuf]| -> Expanded { batch::expand(words, &wanted) };
        let mut found: Vec<(Found, Option<String>)> = match expand(words).for_batch(words) {
            Ok(inputs) => inputs.into_iter().map(|input| (Found::File(input), None)).collect(),
            Err((path, why)) => bail!("{}: {why}", path.display()),
        };
        for Listed { place, asked, id } in list {
            match asked {
                Asked::Words(_) => return Err(usage(format!("{place}: this takes files, as \"input\""))),
                Asked::File(path) => found.push((Found::File(Input { path, root: None }), id)),
                Asked::Typed(word) => {
                    let Expanded { inputs, problems } = expand(&[PathBuf::from(word)]);
                    // what is not there fails alone
                    let missing = problems.into_iter().map(|(path, _)| Input { path, root: None });
                    found.extend(inputs.into_iter().chain(missing).map(|input| (Found::File(input), None)));
                }
            }
        }
        named(found)
    }
}

/// Names for what has none.
fn named(found: Vec<(Found, Option<String>)>) -> Result<Vec<Source>> {
    let files: Vec<Input> = (found.iter())
        .filter_map(|(found, id)| match found {
            Found::File(input) if id.is_none() => Some(input.clone()),
            _ => None,
        })
        .collect();
    let stems = batch::output_names(&files);
    let mut taken: HashSet<String> = stems.iter().map(|stem| stem.to_lowercase()).collect();
    for id in found.iter().filter_map(|(_, id)| id.as_ref()) {
        if !taken.insert(id.to_lowercase()) {
            return Err(usage(format!("--list: the id {id:?} is the name of another input's result")));
        }
    }
    let (mut stems, mut number) = (stems.into_iter(), 0);
    let mut numbered = || loop {
        number += 1;
        let name = format!("text-{number}");
        if !taken.contains(&name) {
            return name;
        }
    };
    let mut source = |(found, id): (Found, Option<String>)| match found {
        Found::File(input) => {
            Source { id: id.or_else(|| stems.next()).unwrap_or_default(), what: What::File(input.path) }
        }
        Found::Words(words) => Source { id: id.unwrap_or_else(&mut numbered), what: What::Words(words) },
        Found::Stdin => Source { id: numbered(), what: What::Stdin },
    };
    Ok(found.into_iter().map(&mut source).collect())
}

impl Source {
    /// Standard input, alone.
    pub fn stdin() -> Self {
        Self { id: "text-1".into(), what: What::Stdin }
    }

    /// Words, alone.
    pub fn words(words: &str) -> Self {
        Self { id: "text-1".into(), what: What::Words(words.into()) }
    }

    /// Whether it is words.
    pub fn is_words(&self) -> bool {
        matches!(self.what, What::Words(_))
    }

    /// What it is called in a message.
    pub fn name(&self) -> String {
        match &self.what {
            What::Words(_) => "the text".into(),
            What::File(path) => path.display().to_string(),
            What::Stdin => "stdin".into(),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// A file, or standard input, that cannot be read.
    pub fn read(&self) -> Result<Vec<u8>> {
        match &self.what {
            What::Words(words) => Ok(words.clone().into_bytes()),
            What::File(path) => std::fs::read(path).with_context(|| self.name()),
            What::Stdin => read_stdin(),
        }
    }

    /// An item of a batch.
    ///
    /// # Errors
    /// Standard input that cannot be read.
    pub fn item(&self) -> Result<batch::Item<Self>> {
        let content = match &self.what {
            What::Words(words) => Content::Bytes(words.clone().into_bytes()),
            What::File(path) => Content::File(path.clone()),
            What::Stdin => Content::Bytes(read_stdin()?),
        };
        Ok(batch::Item { id: self.id.clone(), content, payload: self.clone() })
    }
}

/// Words that say what to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What its result is to be called, where a list says so.
    pub id: Option<String>,
    /// The words.
    pub text: String,
}

/// PROMPTs that were typed, those in text files, in stdin and in a list: one a line. `most` bytes are the longest. Where
/// nothing was typed, what is piped in is taken, if it may be.
///
/// # Errors
/// Files that cannot be read, or are not there, standard input twice, prompts that are too long, and what a list must not
/// say.
pub fn prompts(typed: &Typed<'_>, most: usize, piped: bool) -> Result<Vec<Prompt>> {
    let mut prompts: Vec<Prompt> = Vec::new();
    let mut stdins = usize::from(typed.list.is_some_and(|path| path.as_os_str() == "-"));
    let plain = |text: String| Prompt { id: None, text };
    for word in typed.inputs {
        let path = Path::new(word);
        let is_text = path.extension().is_some_and(|end| end == "txt");
        if word == "-" {
            stdins += 1;
            if stdins > 1 {
                return Err(usage("`-` stands for stdin, which can be read once only"));
            }
            prompts.extend(lines(read_stdin()?).context("stdin")?.map(plain));
        } else if is_text && path.is_file() {
            let bytes = std::fs::read(path).with_context(|| word.clone())?;
            prompts.extend(lines(bytes).with_context(|| word.clone())?.map(plain));
        } else if is_text && !word.contains(char::is_whitespace) {
            return Err(usage(format!(
                "{word}: there is no such file; if these are the words, use --text {word:?}"
            )));
        } else {
            prompts.push(plain(word.clone()));
        }
    }
    prompts.extend(typed.texts.iter().cloned().map(plain));
    for Listed { place, asked, id } in typed.list.map(list::read).transpose()?.unwrap_or_default() {
        match asked {
            Asked::Typed(text) => prompts.push(plain(text.trim().to_string())),
            Asked::Words(text) => prompts.push(Prompt { id, text }),
            Asked::File(_) => return Err(usage(format!("{place}: this takes words, as \"text\""))),
        }
    }
    let nothing = typed.inputs.is_empty() && typed.texts.is_empty() && typed.list.is_none();
    if nothing && piped && stdin_is_piped() {
        prompts.extend(lines(read_stdin()?).context("stdin")?.map(plain));
    }
    if let Some(long) = prompts.iter().find(|prompt| prompt.text.len() > most) {
        return Err(usage(format!("a prompt of {} bytes: the most is {most}", long.text.len())));
    }
    Ok(prompts)
}

/// A prompt a line.
fn lines(bytes: Vec<u8>) -> Result<impl Iterator<Item = String>> {
    let text = String::from_utf8(bytes).context("not UTF-8 text")?;
    let lines: Vec<String> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    Ok(lines.into_iter())
}
