//! What was typed, sorted into its kinds; and the checks that a server's words pass before they touch the disk.

use std::path::{Path, PathBuf};

use crate::catalogue::catalogue;
use crate::error::{Error, Result};

/// A model's name, sorted. Folders and files exist; a repository may not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Name {
    Embedded,
    Dir(PathBuf),
    File(PathBuf),
    /// `file` is what the wanted GGUF file's name ends in.
    Repo {
        id: String,
        file: Option<String>,
        revision: Option<String>,
    },
}

/// Sorts what was typed: `embedded`, then what exists on disk, then what looks like a path, then aliases, then
/// `owner/name[:FILE][@revision]`.
pub(crate) fn sort(typed: &str) -> Result<Name> {
    let bad = |why: &str| Error::BadName { name: shorten(typed), why: why.to_owned() };
    if typed == "embedded" {
        return Ok(Name::Embedded);
    }
    if typed.is_empty() || typed.contains('\0') {
        return Err(bad("it is empty or holds a NUL"));
    }
    let path = Path::new(typed);
    if path.is_dir() {
        return Ok(Name::Dir(path.to_owned()));
    }
    if path.is_file() {
        return if is_weights(typed) {
            Ok(Name::File(path.to_owned()))
        } else {
            Err(Error::NotAModel(path.into()))
        };
    }
    if typed.contains("://") {
        return Err(bad("an address; type the owner/name that stands in it"));
    }
    let (id, revision) = match typed.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (typed, None),
    };
    let (id, file) = match id.split_once(':') {
        Some((id, file)) if !has_drive(typed) => (id, Some(file)),
        _ => (id, None),
    };
    if looks_like_path(typed, id) {
        return Err(Error::NoSuchPath(typed.to_owned()));
    }
    if let Some(revision) = revision {
        safe_path(revision).map_err(|why| bad(&format!("its revision {why}")))?;
    }
    if file.is_some_and(|file| safe_path(file).is_err() || file.contains(['/', '*'])) {
        return Err(bad("after the : stands what a GGUF file's name ends in, such as Q4_K_M"));
    }
    let (file, revision) = (file.map(str::to_owned), revision.map(str::to_owned));
    if let Some(entry) = catalogue().iter().find(|entry| entry.alias.eq_ignore_ascii_case(id)) {
        return Ok(Name::Repo { id: entry.repo.clone(), file, revision });
    }
    if !id.contains('/') {
        return Err(Error::Unknown { name: shorten(id), near: near(id) });
    }
    repo_rule(id).map_err(bad)?;
    Ok(Name::Repo { id: id.to_owned(), file, revision })
}

fn is_weights(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".gguf") || name.ends_with(".safetensors")
}

fn looks_like_path(typed: &str, id: &str) -> bool {
    typed.contains('\\')
        || typed.starts_with(['.', '/', '~'])
        || has_drive(typed)
        || id.ends_with('/')
        || id.matches('/').count() > 1
        || is_weights(id)
}

fn has_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// The hub's own rule for `owner/name`.
pub(crate) fn repo_rule(id: &str) -> Result<(), &'static str> {
    let Some((owner, name)) = id.split_once('/') else { return Err("a repository is typed owner/name") };
    for part in [owner, name] {
        if part.is_empty() || part.len() > 96 {
            return Err("owner and name are 1 to 96 characters each");
        }
        if !part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err("owner and name are letters, digits, '-', '_' and '.'");
        }
        if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
            return Err("owner and name neither begin nor end with '-' or '.'");
        }
    }
    if id.contains("--") || id.contains("..") || id.ends_with(".git") {
        return Err("a repository holds no '--' and no '..', and does not end in .git");
    }
    Ok(())
}

/// A file name or revision as a relative path that stays where it is put, on every system.
pub(crate) fn safe_path(name: &str) -> Result<PathBuf, &'static str> {
    if name.is_empty() || name.len() > 1024 {
        return Err("is empty or overlong");
    }
    if name.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    if name.contains('\\') || name.starts_with('/') || has_drive(name) {
        return Err("is no relative path with forward slashes");
    }
    for part in name.split('/') {
        if part.is_empty() || part == "." || part == ".." || part.len() > 255 {
            return Err("has an empty, dotted or overlong part");
        }
        if cfg!(windows) && (part.contains(':') || part.ends_with(['.', ' ']) || is_device(part)) {
            return Err("has a part that Windows reserves");
        }
    }
    Ok(name.split('/').collect())
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
    ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str()) || numbered.is_some_and(|n| n.len() == 1)
}

/// An etag as a file name: the quotes and the weak mark are taken off, the rest is letters, digits, '-' and '_'.
pub(crate) fn safe_etag(etag: &str) -> Result<&str, &'static str> {
    let etag = etag.strip_prefix("W/").unwrap_or(etag);
    let etag = etag.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(etag);
    let plain = etag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if etag.is_empty() || etag.len() > 200 || !plain {
        return Err("is not 1 to 200 letters, digits, '-' and '_'");
    }
    Ok(etag)
}

/// A commit of git: 40 hexadecimal digits, or 64 in a SHA-256 repository.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A foreign text for an error line: no control characters, at most 80 characters.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if text.chars().nth(80).is_some() {
        short.push_str("...");
    }
    short
}

fn near(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    let mut found: Vec<(usize, &str)> = catalogue()
        .iter()
        .map(|entry| {
            let shared = word.len() >= 3 && entry.alias.contains(word.as_str());
            (if shared { 1 } else { distance(&word, &entry.alias) }, entry.alias.as_str())
        })
        .filter(|(far, alias)| *far <= 1 + alias.len().min(word.len()) / 4)
        .collect();
    found.sort();
    let names: Vec<&str> = found.into_iter().take(4).map(|(_, alias)| alias).collect();
    if names.is_empty() { String::new() } else { format!("; near: {}", names.join(", ")) }
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let swapped = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = swapped.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_into_their_kinds() {
        let repo = |id: &str, revision: Option<&str>| {
            Ok::<_, String>(Name::Repo { id: id.into(), file: None, revision: revision.map(str::to_owned) })
        };
        let check = |typed: &str, expected: Result<Name, String>| {
            assert_eq!(sort(typed).map_err(|error| error.to_string()), expected, "{typed}");
        };
        check("embedded", Ok(Name::Embedded));
        check("src", Ok(Name::Dir("src".into())));
        check("facebook/musicgen-small", repo("facebook/musicgen-small", None));
        check("facebook/musicgen-small@refs/pr/1", repo("facebook/musicgen-small", Some("refs/pr/1")));
        check("MusicGen-Small@v1", repo("facebook/musicgen-small", Some("v1")));
        let (id, file) = ("a/b".to_owned(), Some("Q4_K_M".to_owned()));
        check("a/b:Q4_K_M", Ok(Name::Repo { id: id.clone(), file: file.clone(), revision: None }));
        check("a/b:Q4_K_M@v1", Ok(Name::Repo { id, file, revision: Some("v1".into()) }));
        for missing in
            ["./nothing", "/no/where", "a/b/c", "owner\\name", "C:/model", "~/model", "a/b/", "x/y.gguf"]
        {
            check(missing, Err(format!("{missing}: no such file or folder")));
        }
        for bad in [
            "",
            "a/b:",
            "a/b:../x",
            "a/b:*",
            "a/b@../x",
            "a/b@",
            "a--b/c",
            "-a/b",
            "a/b.git",
            "a/b c",
            "https://huggingface.co/a/b",
        ] {
            let text = sort(bad).unwrap_err().to_string();
            assert!(text.contains("is no model name"), "{bad}: {text}");
        }
    }

    #[test]
    fn a_file_must_be_weights() {
        assert!(matches!(sort("Cargo.toml"), Err(Error::NotAModel(_))));
    }

    #[test]
    fn an_unknown_word_names_its_neighbours() {
        let text = sort("musicgen-smal").unwrap_err().to_string();
        assert!(text.contains("near: musicgen-small"), "{text}");
        let text = sort("zzzzqqqq").unwrap_err().to_string();
        assert!(!text.contains("near") && text.contains("owner/name"), "{text}");
    }

    #[test]
    fn hostile_paths_are_refused() {
        for name in ["config.json", "unet/model-00001-of-2.safetensors", "...x", "a b/c+d", "ação.txt"] {
            assert_eq!(safe_path(name).unwrap(), Path::new(name));
        }
        let long = "x/".repeat(600);
        for name in
            ["", "/x", "../x", "a/../x", "a//b", "./a", "a/.", "a\\b", "C:x", "a\0b", "a\nb", &long, "a/"]
        {
            assert!(safe_path(name).is_err(), "{name:?}");
        }
        assert!(safe_path(&"x".repeat(256)).is_err());
    }

    #[test]
    fn hostile_etags_are_refused() {
        for (etag, expected) in [("\"ab-C_1\"", "ab-C_1"), ("W/\"ab\"", "ab"), ("ab", "ab")] {
            assert_eq!(safe_etag(etag), Ok(expected));
        }
        for etag in ["", "\"\"", "../../x", "a/b", "a.b", "a\\b", "a b", "\"", &"a".repeat(201)] {
            assert!(safe_etag(etag).is_err(), "{etag:?}");
        }
    }
}
