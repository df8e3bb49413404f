//! A user's pictures and what is said of them.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use media::image_file::Pixels;
use serde::Deserialize;

/// A picture to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Its file.
    pub path: PathBuf,
    /// What is said of it.
    pub caption: String,
    /// The folder that it lies in, as it was given: the kind of thing that it shows.
    pub kind: String,
    /// Its pixels, of the asked size.
    pub pixels: Pixels,
}

/// Pictures with captions, some of them kept aside.
#[derive(Debug, Clone, Default)]
pub struct Corpus {
    /// To learn from.
    pub train: Vec<Example>,
    /// To measure on.
    pub held_out: Vec<Example>,
    /// Files that could not be read, each with the reason.
    pub skipped: Vec<String>,
}

/// One line of `metadata.jsonl`, as Hugging Face's image folders have it.
#[derive(Deserialize)]
struct Line {
    file_name: String,
    #[serde(alias = "caption", alias = "prompt")]
    text: String,
}

const METADATA: &str = "metadata.jsonl";
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "gif", "bmp"];
/// Words that cameras and programs put into names.
const SILENT: [&str; 14] = [
    "img",
    "dsc",
    "dscn",
    "dscf",
    "pxl",
    "mvimg",
    "image",
    "photo",
    "picture",
    "screenshot",
    "copy",
    "png",
    "jpg",
    "jpeg",
];

/// Reads all pictures below some folders, of `size` pixels a side, with what `metadata.jsonl`, a text file beside them or
/// their folders and names say. A share is kept aside, by the file's name, so that it is the same every time.
///
/// # Errors
/// Folders that cannot be read, captions that are none, and no pictures.
pub fn read(places: &[PathBuf], size: u32, held_out: f64) -> Result<Corpus> {
    let mut corpus = Corpus::default();
    for place in places {
        let mut files = Vec::new();
        find(place, &mut files).with_context(|| place.display().to_string())?;
        files.sort();
        let told = told(&files)?;
        for file in files.iter().filter(|file| is_picture(file)) {
            let pixels = std::fs::read(file).map_err(|error| error.to_string());
            let pixels = pixels.and_then(|bytes| Pixels::decode(&bytes).map_err(|error| error.to_string()));
            let pixels = match pixels {
                Ok(pixels) => pixels.fitted(size, size),
                Err(why) => {
                    corpus.skipped.push(format!("{}: {why}", file.display()));
                    continue;
                }
            };
            let captions = match told.get(file) {
                Some(captions) => captions.clone(),
                None => vec![beside(file)?.unwrap_or_else(|| named(place, file))],
            };
            let kind =
                file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().to_string();
            let side = if share(file) < held_out { &mut corpus.held_out } else { &mut corpus.train };
            side.extend(captions.into_iter().map(|caption| Example {
                path: file.clone(),
                caption,
                kind: kind.clone(),
                pixels: pixels.clone(),
            }));
        }
    }
    if corpus.train.is_empty() {
        let unread = match corpus.skipped.first() {
            Some(why) => format!("; {} could not be read, the first: {why}", corpus.skipped.len()),
            None => String::new(),
        };
        bail!("no pictures (.png, .jpg, .webp, .gif, .bmp) to learn from{unread}");
    }
    Ok(corpus)
}

fn find(place: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if place.is_file() {
        files.push(place.to_path_buf());
        return Ok(());
    }
    for entry in std::fs::read_dir(place)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !is_hidden {
            find(&path, files)?;
        } else if path.is_file() && !is_hidden {
            files.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// What the files named `metadata.jsonl` say, by picture; several lines for one are several captions.
fn told(files: &[PathBuf]) -> Result<BTreeMap<PathBuf, Vec<String>>> {
    let mut told: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.file_name().is_some_and(|name| name == METADATA)) {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).with_context(|| {
                format!("{}: line {}: wants an object with file_name and text", file.display(), number + 1)
            })?;
            let picture = file.parent().unwrap_or(Path::new("")).join(&line.file_name);
            told.entry(picture).or_default().push(line.text);
        }
    }
    Ok(told)
}

/// The caption in a text file beside a picture.
fn beside(picture: &Path) -> Result<Option<String>> {
    let text = picture.with_extension("txt");
    if !text.is_file() {
        return Ok(None);
    }
    let caption = std::fs::read_to_string(&text).with_context(|| text.display().to_string())?;
    Ok(Some(caption.split_whitespace().collect::<Vec<_>>().join(" ")))
}

/// What folders and name say: `animals/cats/black_cat-07.png` is `black cat cats animals`.
fn named(place: &Path, picture: &Path) -> String {
    let below = picture.strip_prefix(place).unwrap_or(picture);
    let mut parts: Vec<String> =
        below.with_extension("").iter().map(|part| part.to_string_lossy().to_lowercase()).collect();
    if parts.len() <= 1 {
        // pictures right in the folder: its own name is all there is
        parts.insert(0, place.file_name().unwrap_or_default().to_string_lossy().to_lowercase());
    }
    let mut seen = HashSet::new();
    let words = parts.iter().rev().flat_map(|part| part.split(|c: char| !c.is_alphabetic()));
    let says = |word: &&str| {
        let count = word.chars().count();
        (2..=20).contains(&count) && !SILENT.contains(word)
    };
    words.filter(says).filter(|word| seen.insert(word.to_string())).collect::<Vec<_>>().join(" ")
}

/// A number from 0 to 1 that is the picture's own.
fn share(picture: &Path) -> f64 {
    let name = picture.file_name().unwrap_or_default().to_string_lossy();
    let hash = training::hash(name.bytes());
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}
