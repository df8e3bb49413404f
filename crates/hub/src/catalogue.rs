//! The catalogue of shared/models.toml: short names of well-known public checkpoints.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// One checkpoint of the catalogue. It holds no hash and no revision: the hub gives both at run time.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The short name that `--model` takes, in lower case.
    pub alias: String,
    /// The repository, `owner/name`.
    pub repo: String,
    /// The licence of the weights, an SPDX identifier where there is one.
    pub licence: String,
    /// Approximate download in megabytes (millions of bytes), where known.
    pub size_mb: Option<u64>,
    /// The app that loads it.
    pub app: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    model: Vec<Entry>,
}

const TEXT: &str = include_str!("../../../shared/models.toml");

/// Every entry of shared/models.toml, in its order.
pub fn catalogue() -> &'static [Entry] {
    // The text is part of the binary and a test reads it, so the empty case is never met.
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| parse(TEXT).unwrap_or_default());
    &ENTRIES
}

fn parse(text: &str) -> Result<Vec<Entry>, toml::de::Error> {
    toml::from_str::<File>(text).map(|file| file.model)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::names::repo_rule;

    #[test]
    fn the_catalogue_is_well_formed() {
        let entries = parse(TEXT).unwrap();
        let apps =
            ["text-gen", "translate", "speech-rec", "speech-synth", "image-gen", "music-gen", "recommend"];
        let mut aliases = HashSet::new();
        for entry in &entries {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
            assert!(entry.alias.bytes().all(plain) && entry.alias != "embedded", "{}", entry.alias);
            assert!(aliases.insert(&entry.alias), "{} stands twice", entry.alias);
            assert!(repo_rule(&entry.repo).is_ok(), "{}", entry.repo);
            assert!(apps.contains(&entry.app.as_str()), "{}: {}", entry.alias, entry.app);
            assert!(!entry.licence.is_empty() && entry.size_mb != Some(0), "{}", entry.alias);
        }
        assert_eq!(catalogue(), entries);
    }
}
