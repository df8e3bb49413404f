//! What is spoken and where the sound goes: words and flags -> sources and places.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use cli::{Source, Target, Typed, What, usage};
use media::document::{Document, Kind, Options};

use super::subtitles;
use crate::cli::{Bits, Format, SpeakArgs};

/// The files of a folder that are spoken.
const EXTENSIONS: &[&str] = &["txt", "md", "markdown", "html", "htm", "srt", "vtt"];
/// What is said where nothing is asked for.
const GREETING: &str = "Hello, world. It is half past nine.";

/// Where sound goes.
#[derive(Debug)]
pub enum Places {
    Stdout,
    File(PathBuf),
    Folder(PathBuf),
}

/// The paragraphs of a source; words of one line are left as they are.
///
/// # Errors
/// A file that cannot be read, or is not what its name says.
pub fn paragraphs(source: &Source) -> Result<Vec<String>> {
    let kind = match &source.what {
        What::Words(words) if !words.contains(['\n', '\r']) => return Ok(vec![words.clone()]),
        What::File(path) => Kind::of(path).unwrap_or(Kind::Text),
        _ => Kind::Text,
    };
    let options = Options { paragraphs: true, ..Options::default() };
    let document = Document::parse(kind, &source.read()?, &options)
        .map_err(|error| anyhow!("{}: {error}", source.name()))?;
    Ok(document.segments().iter().map(|segment| segment.text.clone()).collect())
}

/// What was typed, in its order.
///
/// # Errors
/// Names of files that are not there, and stdin twice.
pub fn sources(args: &SpeakArgs) -> Result<Vec<Source>> {
    let (recursive, extensions, out) = (args.recursive, EXTENSIONS, args.output.folder());
    let typed = Typed {
        recursive,
        extensions,
        without: out.as_deref(),
        ..args.shares.typed(&args.inputs, &args.text)
    };
    let mut sources = typed.sources()?;
    if sources.is_empty() && cli::stdin_is_piped() {
        sources.push(Source::stdin());
    } else if sources.is_empty() && (args.ipa || args.arpabet) {
        return Err(usage("nothing to speak: give phonemes as INPUT"));
    } else if sources.is_empty() {
        sources.push(Source::words(GREETING));
    }
    Ok(sources)
}

/// Where `count` sounds go, and as what.
///
/// # Errors
/// Flags that do not fit together, and files that exist.
pub fn places(args: &SpeakArgs, count: usize) -> Result<(Places, Format)> {
    let json = args.output.talk.json;
    let target = args.output.target();
    let extension = |path: &Path| path.extension().map(|end| end.to_string_lossy().to_lowercase());
    let by_name = match &target {
        Target::File(path) => match extension(path).as_deref() {
            Some("raw" | "pcm") => Some(Format::Raw),
            Some("wav" | "wave") => Some(Format::Wav),
            Some("flac") => Some(Format::Flac),
            Some(end) if args.format.is_none() && !is_special(path) => {
                let path = path.display();
                return Err(usage(format!("-o {path}: .{end} cannot be written, only .wav, .flac and .raw")));
            }
            _ => None,
        },
        _ => None,
    };
    let format = args.format.or(by_name).unwrap_or(Format::Wav);
    if format == Format::Flac && args.bits == Bits::Float32 {
        return Err(usage("--bits 32: FLAC holds whole numbers: 16 or 24"));
    }
    let places = match target {
        Target::Stdout if count > 1 => return Err(usage("-o - takes one text: give -o DIR/ for more")),
        Target::Stdout if json => return Err(usage("-o - and --json both want stdout: give -o a file")),
        Target::Stdout if std::io::stdout().is_terminal() => {
            return Err(usage("-o - would write sound to the terminal: send it to a file or a pipe"));
        }
        Target::Stdout => Places::Stdout,
        Target::Folder(folder) => Places::Folder(folder),
        _ if count > 1 => {
            return Err(usage(format!("{count} texts need -o DIR/; words of one text stand in quotes")));
        }
        Target::Default => Places::File(free_name(format, args.output.force)),
        Target::File(path) => Places::File(path),
    };
    for path in [sound(&places), subtitles_path(args, &places)?].into_iter().flatten() {
        if path.is_file() && !args.output.force {
            bail!("{}: exists; --force overwrites it", path.display());
        }
    }
    Ok((places, format))
}

fn sound(places: &Places) -> Option<PathBuf> {
    match places {
        Places::File(path) => Some(path.clone()),
        _ => None,
    }
}

/// Whether a name is that of a device or a pipe.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| !data.is_file())
}

/// Where the times of one text go; nowhere where none are asked for, and beside each sound in a folder.
///
/// # Errors
/// A name that ends otherwise, or one name for many.
pub fn subtitles_path(args: &SpeakArgs, places: &Places) -> Result<Option<PathBuf>> {
    let Some(path) = &args.subtitles else { return Ok(None) };
    let kind = subtitles::Kind::of(path)?;
    let beside = is_kind_alone(path);
    match places {
        Places::Folder(_) if !beside => Err(usage(format!(
            "--subtitles {}: many texts have many such files; say .{} to have one beside each sound",
            path.display(),
            kind.extension()
        ))),
        Places::Folder(_) => Ok(None),
        Places::File(sound) if beside => Ok(Some(sound.with_extension(kind.extension()))),
        Places::Stdout if beside => Err(usage("--subtitles: give a name, since the sound has none")),
        _ => Ok(Some(path.clone())),
    }
}

/// Whether `.srt` or `srt` is all that was said.
fn is_kind_alone(path: &Path) -> bool {
    let name = path.as_os_str().to_string_lossy();
    !name.trim_start_matches('.').contains(['.', '/', std::path::MAIN_SEPARATOR])
}

/// `speech.wav`, or `speech-2.wav` and so on where that is taken: nothing is lost by speaking again.
fn free_name(format: Format, force: bool) -> PathBuf {
    let end = extension(format);
    let names = std::iter::once(format!("speech.{end}"))
        .chain((2u32..).map(|number| format!("speech-{number}.{end}")));
    names.into_iter().find(|name| force || !Path::new(name).exists()).unwrap_or_default().into()
}

/// The end of the names of such files.
pub fn extension(format: Format) -> &'static str {
    match format {
        Format::Wav => "wav",
        Format::Flac => "flac",
        Format::Raw => "raw",
    }
}
