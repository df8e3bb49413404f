//! Where pieces go: files named after `-o`, a folder, or stdout.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use cli::{OutputArgs, Target, usage};
use music_gen::Kind;

/// Where the pieces go.
pub enum Places {
    /// The sound of the only one.
    Stdout,
    /// The path of each piece without its extension, and the kinds of file to write.
    Files(Vec<PathBuf>, Vec<Kind>),
    /// A piece an item.
    Folder(PathBuf),
}

/// What is known of a run's files before any work.
pub struct Plan<'a> {
    /// `-o` and its like.
    pub output: &'a OutputArgs,
    /// Pieces.
    pub count: usize,
    /// Files that they are made from.
    pub files: usize,
    /// Kinds of file that can be written.
    pub possible: &'a [Kind],
    /// Those that are written where nobody says.
    pub usual: &'a [Kind],
    /// One that is written beside a kind that was named.
    pub also: Option<Kind>,
}

impl Plan<'_> {
    /// Where the pieces go; nothing there is overwritten unless that is asked for. `bits` are those of a sample.
    pub fn places(&self, bits: Option<u16>) -> Result<Places> {
        let places = self.named()?;
        if bits == Some(32) && matches!(&places, Places::Files(_, kinds) if kinds.contains(&Kind::Flac)) {
            return Err(usage("--bits 32: FLAC has no floats; use 16 or 24, or a .wav file"));
        }
        if let Places::Files(bases, kinds) = &places {
            let mut paths = bases.iter().flat_map(|base| kinds.iter().map(|kind| path_of(base, *kind)));
            if let Some(path) = paths.find(|path| path.exists() && !self.output.force) {
                return Err(exists(&path));
            }
        }
        Ok(places)
    }

    fn named(&self) -> Result<Places> {
        Ok(match self.output.target() {
            Target::Stdout if self.count > 1 => {
                return Err(usage("-o - takes one piece: give -o DIR/ for more"));
            }
            Target::Stdout if self.output.talk.json => {
                return Err(usage("-o - and --json both want stdout: give -o a file"));
            }
            Target::Stdout if std::io::stdout().is_terminal() => {
                return Err(usage("-o - would write sound to the terminal: send it to a file or a pipe"));
            }
            Target::Stdout => Places::Stdout,
            Target::Folder(folder) => Places::Folder(folder),
            _ if self.files > 1 => return Err(usage(format!("{} input files need -o DIR/", self.files))),
            Target::Default => Places::Files(self.numbered(&self.free_name()), self.usual.to_vec()),
            Target::File(path) => match path.extension().map(|end| end.to_string_lossy().into_owned()) {
                None => Places::Files(self.numbered(&path), self.usual.to_vec()),
                Some(end) => {
                    let mut kinds = vec![self.kind(&path, &end)?];
                    kinds.extend(self.also.filter(|also| *also != kinds[0]));
                    Places::Files(self.numbered(&path.with_extension("")), kinds)
                }
            },
        })
    }

    fn kind(&self, path: &Path, extension: &str) -> Result<Kind> {
        let kind = Kind::of_extension(extension).filter(|kind| self.possible.contains(kind));
        kind.ok_or_else(|| {
            let names: Vec<String> =
                self.possible.iter().map(|kind| format!(".{}", kind.extension())).collect();
            let (last, others) =
                names.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
            let names = format!("{} and {last}", others.join(", "));
            usage(format!("-o {}: .{extension} cannot be written, only {names}", path.display()))
        })
    }

    fn numbered(&self, base: &Path) -> Vec<PathBuf> {
        let name = |number: usize| {
            let mut name = base.as_os_str().to_owned();
            if self.count > 1 {
                name.push(format!("-{}", number + 1));
            }
            PathBuf::from(name)
        };
        (0..self.count).map(name).collect()
    }

    /// `music`, or `music-2`, `music-3` and so on where that is taken: nothing is lost by playing again.
    fn free_name(&self) -> PathBuf {
        let one = |base: &str| {
            self.possible.iter().any(|kind| Path::new(&format!("{base}.{}", kind.extension())).exists())
        };
        let numbers = 1..=self.count;
        let taken = |base: &str| {
            one(base) || (self.count > 1 && numbers.clone().any(|number| one(&format!("{base}-{number}"))))
        };
        let names =
            std::iter::once("music".to_string()).chain((2u32..).map(|number| format!("music-{number}")));
        names.into_iter().find(|base| self.output.force || !taken(base)).unwrap_or_default().into()
    }
}

/// Refuses to overwrite the one file that is named, before a model is looked for.
pub fn refuse_existing(output: &OutputArgs) -> Result<()> {
    match output.target() {
        Target::File(path) if path.extension().is_some() && path.exists() && !output.force => {
            Err(exists(&path))
        }
        _ => Ok(()),
    }
}

/// The path of one kind of file of a piece.
pub fn path_of(base: &Path, kind: Kind) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(kind.extension());
    name.into()
}

fn exists(path: &Path) -> anyhow::Error {
    anyhow!("{}: exists; --force overwrites it", path.display())
}
