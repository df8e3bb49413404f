//! The key of an item: the same key means the same result, so the work need not be done again.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What an item is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The bytes of a file.
    File(PathBuf),
    /// Bytes that came otherwise: text, a prompt, a line of a job list.
    Bytes(Vec<u8>),
}

impl Content {
    /// sha256 of the bytes; a file is read in pieces. What is no ordinary file cannot be read twice and
    /// is an error.
    pub fn digest(&self) -> io::Result<[u8; 32]> {
        let mut hash = Sha256::new();
        match self {
            Self::Bytes(bytes) => hash.update(bytes),
            Self::File(path) => {
                // Asked before it is opened: opening a pipe would wait for its writer.
                let there = std::fs::metadata(path)?;
                if there.is_dir() {
                    // one that cannot be looked into says so
                    std::fs::read_dir(path)?;
                }
                if !there.is_file() {
                    return Err(io::Error::other("not an ordinary file"));
                }
                let mut file = File::open(path)?;
                let mut buffer = vec![0; 1 << 16];
                loop {
                    match file.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(count) => hash.update(&buffer[..count]),
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(hash.finalize().into())
    }
}

/// What all items of a run have in common: the model, the options, and the form of what comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    model: String,
    options: String,
    schema: u32,
}

impl Recipe {
    /// `model` is an identity, not a name: it must change when the weights do (a revision, a hash).
    /// `options` are normalised, so that order and absent values do not matter; leave out a seed that
    /// nobody asked for, else nothing is ever the same. `schema` grows when the form of the output does.
    pub fn new(model: &str, options: &impl Serialize, schema: u32) -> Result<Self, serde_json::Error> {
        let mut text = String::new();
        normalise(&serde_json::to_value(options)?, &mut text);
        Ok(Self { model: model.to_string(), options: text, schema })
    }

    /// The key of an item: 64 hexadecimal digits.
    pub fn key(&self, content: &Content) -> io::Result<String> {
        let mut hash = Sha256::new();
        // Each part with its length, so that no two lists of parts give the same bytes.
        for part in [&content.digest()?[..], self.model.as_bytes(), self.options.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(self.schema.to_le_bytes());
        Ok(hex(&hash.finalize()))
    }
}

/// JSON with sorted names and without nulls in objects.
fn normalise(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            pairs.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, value)) in pairs.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                normalise(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                normalise(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(options: Value, expected: &str) {
        let mut text = String::new();
        normalise(&options, &mut text);
        assert_eq!(text, expected);
    }

    #[test]
    fn options_are_normalised() {
        check(json!({"b": 1, "a": {"d": null, "c": [true, null]}}), r#"{"a":{"c":[true,null]},"b":1}"#);
        check(json!({"top\"p": 0.5, "x": "é\n"}), r#"{"top\"p":0.5,"x":"é\n"}"#);
        check(json!([{}, [], 18446744073709551615u64]), "[{},[],18446744073709551615]");
    }

    #[test]
    fn every_part_changes_the_key() {
        let key = |bytes: &str, model, options: Value, schema| {
            Recipe::new(model, &options, schema).unwrap().key(&Content::Bytes(bytes.into())).unwrap()
        };
        let first = key("abc", "m", json!({"a": 1}), 1);
        assert_eq!(first.len(), 64);
        assert_eq!(first, key("abc", "m", json!({"z": null, "a": 1}), 1));
        for other in [
            key("abd", "m", json!({"a": 1}), 1),
            key("abc", "n", json!({"a": 1}), 1),
            key("abc", "m", json!({"a": 2}), 1),
            key("abc", "m", json!({"a": 1}), 2),
        ] {
            assert_ne!(first, other);
        }
        // "m" + "{}" and "m{" + "}" hold the same letters.
        let join =
            |model: &str, options: &str| Recipe { model: model.into(), options: options.into(), schema: 1 };
        let nothing = Content::Bytes(Vec::new());
        assert_ne!(join("m", "{}").key(&nothing).unwrap(), join("m{", "}").key(&nothing).unwrap());
    }

    #[test]
    fn a_file_and_its_bytes_are_the_same_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let bytes = vec![7u8; 200_000];
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Content::File(path).digest().unwrap(), Content::Bytes(bytes).digest().unwrap());
        assert!(Content::File(folder.path().into()).digest().is_err());
        // sha256("abc"), FIPS 180-2, appendix B.1
        let abc = Content::Bytes(b"abc".to_vec()).digest().unwrap();
        assert_eq!(hex(&abc), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
