//! `--list FILE`: inputs one a line, or as JSON lines that say what each is and what its result is called.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::exit::usage;
use crate::print::read_stdin;

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What could be typed as an INPUT.
    Typed(String),
    /// Words.
    Words(String),
    /// A file, whether it is there or not.
    File(PathBuf),
}

/// A line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Where it stands, for messages.
    pub place: String,
    /// What it asks for.
    pub asked: Asked,
    /// What its result is to be called.
    pub id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    input: Option<PathBuf>,
    text: Option<String>,
    id: Option<String>,
}

/// Reads a list; `-` is stdin. It is JSON lines if its first line begins with `{`.
///
/// # Errors
/// A list that cannot be read or is empty, lines that are no such objects, and names that no result can have, or two.
pub(crate) fn read(path: &Path) -> Result<Vec<Listed>> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "--list -".to_string() } else { format!("--list {}", path.display()) };
    let bytes = if is_stdin { read_stdin()? } else { std::fs::read(path).with_context(|| name.clone())? };
    let text = String::from_utf8(bytes).map_err(|_| usage(format!("{name}: not UTF-8 text")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = || text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let is_json = lines().next().is_some_and(|(_, line)| line.trim_start().starts_with('{'));
    let mut names = HashMap::new();
    let mut found = Vec::new();
    for (number, line) in lines() {
        let place = format!("{name}, line {}", number + 1);
        let (asked, id) = match is_json {
            true => object(line).map_err(|why| usage(format!("{place}: {why}")))?,
            false => (Asked::Typed(line.to_string()), None),
        };
        if let Some(id) = &id
            && let Some(before) = names.insert(id.to_lowercase(), number + 1)
        {
            return Err(usage(format!("{place}: the id {id:?} is that of line {before}, too")));
        }
        found.push(Listed { place, asked, id });
    }
    if found.is_empty() {
        return Err(usage(format!("{name}: there is nothing in it")));
    }
    Ok(found)
}

fn object(line: &str) -> Result<(Asked, Option<String>), String> {
    let Line { input, text, id } = serde_json::from_str(line).map_err(|error| {
        // it counts lines from this one on
        error.to_string().replace(" at line 1 column ", ", column ")
    })?;
    if let Some(id) = id.as_deref().filter(|id| !batch::is_output_name(id)) {
        return Err(format!("the id {id:?} cannot be the name of a file in the output folder"));
    }
    match (input, text) {
        (Some(path), None) => Ok((Asked::File(path), id)),
        (None, Some(words)) => Ok((Asked::Words(words), id)),
        _ => Err("an object has either \"input\", a file, or \"text\", the words".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Listed>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_list_is_of_lines_or_of_objects() {
        let asked = |text: &str| -> Vec<(Asked, Option<String>)> {
            read_text(text).unwrap().into_iter().map(|listed| (listed.asked, listed.id)).collect()
        };
        let typed = |word: &str| (Asked::Typed(word.into()), None);
        assert_eq!(asked("\u{feff}a b.txt\r\n\n c.txt"), [typed("a b.txt"), typed(" c.txt")]);
        assert_eq!(
            asked("{\"input\": \"a.txt\"}\n\n{\"id\": \"x/7\", \"text\": \"one\\ntwo\"}\n"),
            [(Asked::File("a.txt".into()), None), (Asked::Words("one\ntwo".into()), Some("x/7".into())),]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = "{\"text\": \"a\", \"id\": \"a\"}";
        for (line, reason) in [
            ("{\"text\": \"b\", \"input\": \"b\"}", "either"),
            ("{}", "either"),
            ("{\"words\": \"b\"}", "unknown field `words`"),
            ("b.txt", "expected value"),
            ("{\"text\": \"b\", \"id\": \"A\"}", "is that of line 1"),
            ("{\"text\": \"b\", \"id\": \"../b\"}", "cannot be the name"),
            ("{\"text\": \"b\", \"id\": \"/b\"}", "cannot be the name"),
            ("{\"text\": \"b\", \"id\": \"journal\"}", "cannot be the name"),
            ("{\"text\": \"b\", \"id\": \"\"}", "cannot be the name"),
        ] {
            let error = read_text(&format!("{good}\n\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains("list, line 3: ") && error.contains(reason), "{error}");
        }
        assert!(read_text(" \n\n").unwrap_err().to_string().contains("nothing in it"));
    }
}
