//! What the results of many inputs are called: readable, the same every time, never two alike.

use std::collections::HashMap;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use crate::inputs::Input;
use crate::key::hex;

/// Stems that the output folder needs for itself.
const RESERVED: [&str; 3] = ["journal", "manifest", "failed"];
/// A file name holds 255 bytes, and an extension must still fit.
const LONGEST: usize = 200;

/// A name for each input: a path inside the output folder, without extension, parted by `/`.
///
/// It is the stem, below the folders that lead to the file from the folder on the command line. Where two
/// would be alike (on a disk that ignores case, too) both get more: the extension (`a.wav`, `a.mp3`), then
/// the folder above (`x/a`, `y/a`), and so on. What a terminal or a text file could not hold, control
/// characters and bytes that are no UTF-8, is written `%0A`.
pub fn output_names(inputs: &[Input]) -> Vec<String> {
    let ladders: Vec<Ladder> =
        inputs.iter().enumerate().map(|(index, input)| Ladder::new(index, input)).collect();
    let mut steps = vec![0; inputs.len()];
    loop {
        let names: Vec<String> =
            ladders.iter().zip(&steps).map(|(ladder, &step)| ladder.name(step)).collect();
        let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            owners.entry(name.to_lowercase()).or_default().push(index);
        }
        let mut settled = true;
        for (name, owners) in &owners {
            if owners.len() > 1 || RESERVED.contains(&name.as_str()) {
                settled = false;
                owners.iter().for_each(|&index| steps[index] += 1);
            }
        }
        if settled {
            return names;
        }
    }
}

/// Whether this can be the name of an output that somebody asked for: a path inside the output folder.
pub fn is_output_name(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && safe(part.as_bytes()) == part;
    let name_of_ours = |rest: &str| rest.is_empty() || rest.starts_with('-');
    let small = name.to_lowercase();
    name.split('/').all(is_part)
        && !RESERVED.iter().any(|own| small.strip_prefix(own).is_some_and(name_of_ours))
}

/// The names that an input may have, from the shortest up.
struct Ladder {
    /// The folders from the top of the disk, and last the file's name without and with its extension.
    folders: Vec<String>,
    stem: String,
    name: String,
    /// How many folders belong to the name from the start.
    kept: usize,
    fingerprint: String,
    index: usize,
}

impl Ladder {
    fn new(index: usize, input: &Input) -> Self {
        let absolute = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
        let parent = absolute.parent().unwrap_or(Path::new(""));
        let part = |text: Option<&std::ffi::OsStr>| safe(text.unwrap_or_default().as_encoded_bytes());
        let inside = input.root.as_ref().and_then(|root| input.path.strip_prefix(root).ok());
        Self {
            folders: parent.components().filter_map(normal).collect(),
            stem: part(absolute.file_stem()),
            name: part(absolute.file_name()),
            kept: inside.map_or(0, |path| path.components().count().saturating_sub(1)),
            fingerprint: short_hash(absolute.as_os_str().as_encoded_bytes()),
            index,
        }
    }

    fn name(&self, step: usize) -> String {
        let kept = (self.kept + step / 2).min(self.folders.len());
        let folders = &self.folders[self.folders.len() - kept..];
        let last = if step.is_multiple_of(2) { &self.stem } else { &self.name };
        let mut name = folders.iter().map(|folder| format!("{folder}/")).collect::<String>() + last;
        let steps_up = 2 * (self.folders.len() - self.kept.min(self.folders.len())) + 1;
        // Two paths that differ only in case, and then the very same path twice.
        if step > steps_up {
            name += &format!("-{}", self.fingerprint);
        }
        if step > steps_up + 1 {
            name += &format!("-{}", self.index + 1);
        }
        name
    }
}

fn normal(component: Component<'_>) -> Option<String> {
    match component {
        Component::Normal(name) => Some(safe(name.as_encoded_bytes())),
        _ => None,
    }
}

fn safe(bytes: &[u8]) -> String {
    let mut name = String::new();
    let escape =
        |name: &mut String, bytes: &[u8]| bytes.iter().for_each(|byte| *name += &format!("%{byte:02X}"));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                escape(&mut name, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                name.push(c);
            }
        }
        escape(&mut name, chunk.invalid());
    }
    if name.len() > LONGEST {
        let end = (0..LONGEST - 9).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
        name = format!("{}-{}", &name[..end], short_hash(bytes));
    }
    name
}

fn short_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..4])
}
