//! Bytes of a plain or packed file to the text of the score.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::{Error, MAX_FILE_BYTES, one_line, tree};

/// What one entry may unpack to.
const MAX_TEXT_BYTES: usize = 2 * MAX_FILE_BYTES;
const MAX_ENTRIES: usize = 1000;
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";

/// The score's XML as text.
pub fn text(bytes: &[u8]) -> Result<String, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Error::TooLarge { size: bytes.len() });
    }
    if bytes.starts_with(b"PK") { decode(&unpack(bytes)?) } else { decode(bytes) }
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    // counted here: the directory is read whole before its length can be asked
    let entries = bytes.windows(ENTRY_SIGNATURE.len()).filter(|window| *window == ENTRY_SIGNATURE).count();
    if entries > MAX_ENTRIES {
        return Err(Error::Package(format!("{entries} entries, expected at most {MAX_ENTRIES}")));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let name = match entry(&mut archive, "META-INF/container.xml")? {
        Some(container) => root_file(&decode(&container)?)?,
        None => first_score(&archive)
            .ok_or_else(|| Error::Package("neither META-INF/container.xml nor a .musicxml in it".into()))?,
    };
    entry(&mut archive, &name)?.ok_or_else(|| {
        Error::Package(format!("its container names {:?}, which is not in it", one_line(&name)))
    })
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::Package(one_line(&error.to_string()))
}

fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some(index) = archive.index_for_name(name) else { return Ok(None) };
    let file = archive.by_index(index).map_err(damaged)?;
    let mut content = Vec::new();
    // declared sizes are not trusted
    file.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut content).map_err(damaged)?;
    if content.len() > MAX_TEXT_BYTES {
        let name = one_line(name);
        return Err(Error::Package(format!("{name:?} unpacks to more than {MAX_TEXT_BYTES} bytes")));
    }
    Ok(Some(content))
}

/// The first root file that the container names.
fn root_file(container: &str) -> Result<String, Error> {
    let mut reader = tree::Reader::new(container);
    let root = reader.root()?;
    let container = reader.subtree(root)?;
    let name = container
        .child("rootfiles")
        .and_then(|files| files.children("rootfile").find_map(|file| file.attribute("full-path")));
    name.ok_or_else(|| Error::Package("META-INF/container.xml names no root file".into()))
}

fn first_score(archive: &ZipArchive<Cursor<&[u8]>>) -> Option<String> {
    archive
        .file_names()
        .filter_map(Result::ok)
        .find(|name| {
            let lower = name.to_ascii_lowercase();
            !lower.starts_with("meta-inf/") && (lower.ends_with(".xml") || lower.ends_with(".musicxml"))
        })
        .map(Cow::into_owned)
}

/// UTF-8, UTF-16 with a byte order mark or an obvious order, or Latin-1 where the XML declares it.
fn decode(bytes: &[u8]) -> Result<String, Error> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let text: Result<String, _> = char::decode_utf16(pairs.iter().copied().map(unit)).collect();
        match text {
            Ok(text) if rest.is_empty() => Ok(text),
            _ => Err(Error::Encoding("not valid UTF-16, though it begins as such".into())),
        }
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        [b'<', 0, ..] => return utf16(bytes, u16::from_le_bytes),
        [0, b'<', ..] => return utf16(bytes, u16::from_be_bytes),
        _ => {}
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text.to_owned()),
        Err(error) => error,
    };
    let head = bytes.split(|byte| *byte == b'>').next().unwrap_or_default().to_ascii_lowercase();
    if head.windows(10).any(|window| window == b"iso-8859-1") {
        return Ok(bytes.iter().copied().map(char::from).collect());
    }
    Err(Error::Encoding(format!("byte {} is not UTF-8; save the file as UTF-8", error.valid_up_to())))
}
