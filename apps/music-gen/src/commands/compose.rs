//! `music-gen [PROMPT]`: one piece, or many with one load of the model.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use batch::{Content, Event, FileSet, Item, Journal, Recipe};
use cli::{
    Exit, Progress, SamplingArgs, StdoutClosed, Target, Timings, print_bytes, print_json, print_path, usage,
};
use media::score::Score;
use media::score_file::{from_bytes, read_score};
use models::decoding::Sampling;
use music_gen::compose::key_name;
use music_gen::sound::soundfont::Font;
use music_gen::{Composer, Given, Kind, Piece, Request, corpus, render, sound};
use serde::Serialize;

use crate::cli::ComposeArgs;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;

/// One piece to compose.
#[derive(Debug, Clone)]
struct Task {
    given: Option<PathBuf>,
    seed: u64,
}

/// Everything that the pieces of a run share.
struct Session<'a> {
    args: &'a ComposeArgs,
    composer: Composer,
    model: String,
    revision: Option<String>,
    soundfont: Option<Font>,
    progress: Progress,
    load_s: f64,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    seed: u64,
    style: &'a str,
    key: String,
    metre: String,
    bars: u32,
    tempo: f64,
    sampling: &'a Sampling,
    given: Option<String>,
    outputs: Vec<String>,
    sample_rate: u32,
    samples: usize,
    seconds: f64,
    notes: usize,
    ids: &'a [u32],
    timings: Timings,
}

/// Composes what was asked for.
pub fn run(args: &ComposeArgs) -> Result<Exit> {
    if args.prompt.is_some() || args.text.is_some() {
        return Err(usage(
            "this model composes without words: drop PROMPT, or say it with --style, --key, --metre and --bars; \
             facebook/musicgen-small is a model that takes words, and this version does not play it",
        ));
    }
    args.compute.apply()?;
    let tasks = tasks(args);
    let places = places(args, tasks.len())?;
    if let Places::Files(bases, kinds) = &places {
        let mut paths = bases.iter().flat_map(|base| kinds.iter().map(|kind| path_of(base, *kind)));
        if let Some(path) = paths.find(|path| path.exists() && !args.output.force) {
            return Err(anyhow!("{}: exists; --force overwrites it", path.display()));
        }
    }
    let soundfont = args.soundfont.as_deref().map(soundfont).transpose()?;
    let progress = Progress::new(&args.output.talk);
    let began = Instant::now();
    let (composer, found) = super::load(&args.model, &args.compute, &progress)?;
    composer.styles.find(args.style.as_deref()).map_err(usage)?;
    let session = Session {
        args,
        composer,
        model: found.name,
        revision: found.revision,
        soundfont,
        progress,
        load_s: began.elapsed().as_secs_f64(),
    };
    match places {
        Places::Stdout => session.to_stdout(&tasks[0]),
        Places::Files(bases, kinds) => {
            for (task, base) in tasks.iter().zip(bases) {
                session.to_files(task, &base, &kinds, args.output.force)?;
            }
            Ok(Exit::Done)
        }
        Places::Folder(folder) => session.to_folder(&tasks, &folder),
    }
}

fn tasks(args: &ComposeArgs) -> Vec<Task> {
    let seed = args.compute.seed();
    let files: Vec<Option<&PathBuf>> = match (&args.harmonise[..], &args.continue_from[..]) {
        ([], []) => vec![None],
        (files, []) | (_, files) => files.iter().map(Some).collect(),
    };
    let one = |(number, file): (u64, Option<&PathBuf>)| Task {
        given: file.cloned(),
        seed: seed.wrapping_add(number),
    };
    files
        .into_iter()
        .flat_map(|file| (0..args.count as u64).map(move |number| (number, file)))
        .map(one)
        .collect()
}

/// Where the pieces go.
enum Places {
    Stdout,
    /// The path of each piece without its extension, and the kinds of file to write.
    Files(Vec<PathBuf>, Vec<Kind>),
    Folder(PathBuf),
}

fn places(args: &ComposeArgs, count: usize) -> Result<Places> {
    let files = args.harmonise.len().max(args.continue_from.len());
    let numbered = |base: &Path| -> Vec<PathBuf> {
        let name = |number: usize| {
            let mut name = base.as_os_str().to_owned();
            if count > 1 {
                name.push(format!("-{}", number + 1));
            }
            PathBuf::from(name)
        };
        (0..count).map(name).collect()
    };
    Ok(match args.output.target() {
        Target::Stdout if count > 1 => return Err(usage("-o - takes one piece: give -o DIR/ for more")),
        Target::Stdout if args.output.talk.json => {
            return Err(usage("-o - and --json both want stdout: give -o a file"));
        }
        Target::Stdout if std::io::stdout().is_terminal() => {
            return Err(usage("-o - would write sound to the terminal: send it to a file or a pipe"));
        }
        Target::Stdout => Places::Stdout,
        Target::Folder(folder) => Places::Folder(folder),
        _ if files > 1 => return Err(usage(format!("{files} input files need -o DIR/"))),
        Target::Default => Places::Files(numbered(&free_name(count, args.output.force)), Kind::ALL.to_vec()),
        Target::File(path) => {
            match path.extension().map(|extension| extension.to_string_lossy().into_owned()) {
                None => Places::Files(numbered(&path), Kind::ALL.to_vec()),
                Some(extension) => {
                    let kind = Kind::of_extension(&extension).ok_or_else(|| {
                        usage(format!(
                            "-o {}: .{extension} cannot be written, only .mid, .wav and .png",
                            path.display()
                        ))
                    })?;
                    Places::Files(numbered(&path.with_extension("")), vec![kind])
                }
            }
        }
    })
}

/// `music`, or `music-2`, `music-3` and so on where that is taken: nothing is lost by playing again.
fn free_name(count: usize, force: bool) -> PathBuf {
    let taken = |base: &str| {
        let one = |base: &str| {
            Kind::ALL.iter().any(|kind| Path::new(&format!("{base}.{}", kind.extension())).exists())
        };
        one(base) || (count > 1 && (1..=count).any(|number| one(&format!("{base}-{number}"))))
    };
    let names = std::iter::once("music".to_string()).chain((2u32..).map(|number| format!("music-{number}")));
    names.into_iter().find(|base| force || !taken(base)).unwrap_or_default().into()
}

/// The path of one kind of file of a piece.
fn path_of(base: &Path, kind: Kind) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    name.push(".");
    name.push(kind.extension());
    name.into()
}

/// A soundfont, read before any work so that a bad one is refused.
fn soundfont(path: &Path) -> Result<Font> {
    let name = || path.display().to_string();
    if !std::fs::metadata(path).with_context(name)?.is_file() {
        return Err(anyhow!("{}: not an ordinary file", path.display()));
    }
    Font::read(std::fs::read(path).with_context(name)?).with_context(name)
}

/// A score that is given: a file, or stdin.
fn read_given(path: &Path) -> Result<Score> {
    let mut score = if path.as_os_str() == "-" {
        from_bytes(&cli::read_stdin()?, Path::new("stdin"))?
    } else {
        read_score(path)?
    };
    corpus::complete(&mut score).with_context(|| path.display().to_string())?;
    Ok(score)
}

impl Session<'_> {
    fn compose(&self, task: &Task) -> Result<(Piece, Sampling, f64, f64)> {
        let given = match &task.given {
            None => Given::Nothing,
            Some(path) if self.args.harmonise.is_empty() => Given::Beginning(read_given(path)?),
            Some(path) => Given::Melody(read_given(path)?),
        };
        let sampling = super::sampling(&self.args.sampling, task.seed);
        let request = Request {
            style: self.args.style.clone(),
            key: self.args.key,
            metre: self.args.metre,
            bars: self.args.bars,
            tempo: self.args.tempo,
            sampling: sampling.clone(),
            given,
        };
        let bar = self.progress.bar(self.args.bars as u64, "composing");
        let began = Instant::now();
        let mut first_note = None;
        let piece = self.composer.compose(&request, &mut |bars, of| {
            first_note.get_or_insert_with(cli::seconds_since_start);
            bar.total(of as u64);
            bar.set(bars as u64);
        });
        bar.finish();
        let piece = piece.map_err(|error| match &task.given {
            Some(path) => anyhow!("{}: {error}", path.display()),
            None => error.into(),
        })?;
        Ok((piece, sampling, began.elapsed().as_secs_f64(), first_note.unwrap_or_default()))
    }

    /// Composes and writes all kinds of file as one set: all appear, or none.
    fn to_files(&self, task: &Task, base: &Path, kinds: &[Kind], force: bool) -> Result<Vec<PathBuf>> {
        let (piece, sampling, generate_s, first_note_s) = self.compose(task)?;
        let mut set = FileSet::new(force);
        let mut samples = 0;
        for kind in kinds {
            let bytes = render(&piece.score, *kind, self.soundfont.as_ref())?;
            if *kind == Kind::Wav {
                samples = (bytes.len() - 44) / 4;
            }
            set.add(path_of(base, *kind), |writer| std::io::Write::write_all(writer, &bytes))?;
        }
        let written: Vec<PathBuf> = set.commit()?.into_iter().map(|(path, _)| path).collect();
        let told = self.tell(task, &piece, &sampling, &written, samples, (generate_s, first_note_s));
        // The files are what counts: of many pieces the rest is written though nobody reads their names.
        told.or_else(|error| if error.is::<StdoutClosed>() { Ok(()) } else { Err(error) })?;
        Ok(written)
    }

    fn to_stdout(&self, task: &Task) -> Result<Exit> {
        let (piece, ..) = self.compose(task)?;
        print_bytes(&render(&piece.score, Kind::Wav, self.soundfont.as_ref())?)?;
        Ok(Exit::Done)
    }

    /// One item a piece: what an earlier run has done is skipped, what fails is told and the rest finished.
    fn to_folder(&self, tasks: &[Task], folder: &Path) -> Result<Exit> {
        let recipe = self.recipe()?;
        let mut journal = Journal::open(folder)?;
        let items: Vec<Item<Task>> = self
            .names(tasks)
            .into_iter()
            .zip(tasks)
            .map(|(id, task)| Item {
                id,
                content: match &task.given {
                    Some(path) => Content::File(path.clone()),
                    None => Content::Bytes(Vec::new()),
                },
                payload: task.clone(),
            })
            .collect();
        let work = |job: &batch::Job<'_, Task>| {
            self.to_files(&job.item.payload, &folder.join(&job.item.id), &Kind::ALL, job.replace)
        };
        let one_line = |work: Result<Vec<PathBuf>>| work.map_err(|error| cli::report_line(&error));
        let summary = batch::run(
            &items,
            &recipe,
            &mut journal,
            self.args.output.force,
            |job| one_line(work(job)),
            |event| match event {
                Event::Failed { id, reason } => self.progress.error(format!("{id}: {reason}")),
                Event::Skipped { id } => self.progress.detail(format!("{id}: done before")),
                _ => {}
            },
        )?;
        let (done, skipped, failed) = (summary.done, summary.skipped, summary.failed.len());
        self.progress.status(format!("{done} composed, {skipped} done before, {failed} failed"));
        Ok(Exit::from(&summary))
    }

    /// A seed that was asked for is part of the name, so that further pieces can be added to a folder;
    /// without one pieces are numbered, so that the same command goes on where it stopped.
    fn names(&self, tasks: &[Task]) -> Vec<String> {
        let inputs: Vec<batch::Input> = tasks
            .iter()
            .filter_map(|task| task.given.clone())
            .map(|path| batch::Input { path, root: None })
            .collect();
        let distinct: Vec<batch::Input> = inputs.iter().step_by(self.args.count as usize).cloned().collect();
        let stems = batch::output_names(&distinct);
        let stem = |number: usize| stems.get(number / self.args.count as usize).cloned();
        let (count, seed) = (self.args.count as usize, self.args.compute.seed);
        let label = |number: usize, task: &Task| seed.map_or(number as u64 % count as u64 + 1, |_| task.seed);
        let name = |(number, task): (usize, &Task)| match stem(number) {
            Some(stem) if count > 1 => format!("{stem}-{}", label(number, task)),
            Some(stem) => stem,
            None => format!("music-{}", label(number, task)),
        };
        tasks.iter().enumerate().map(name).collect()
    }

    fn recipe(&self) -> Result<Recipe> {
        let args = self.args;
        let SamplingArgs { temperature, top_k, top_p, min_p, repetition_penalty } = &args.sampling;
        let options = serde_json::json!({
            "style": args.style, "key": args.key.map(key_name), "bars": args.bars, "tempo": args.tempo,
            "metre": args.metre.map(|m| (m.numerator, m.denominator)),
            "seed": args.compute.seed, "harmonise": !args.harmonise.is_empty(),
            "device": args.compute.device.to_string(), "dtype": args.compute.dtype.to_string(),
            "styles": self.composer.styles,
            "sampling": [temperature, top_p, min_p, repetition_penalty], "top_k": top_k,
            "soundfont": self.soundfont.as_ref().map(|font| Content::Bytes(font.bytes().to_vec()).digest()).transpose()?,
        });
        Ok(Recipe::new(&self.composer.stored.identity()?, &options, SCHEMA)?)
    }

    fn tell(
        &self,
        task: &Task,
        piece: &Piece,
        sampling: &Sampling,
        written: &[PathBuf],
        samples: usize,
        (generate_s, first_note_s): (f64, f64),
    ) -> Result<()> {
        if !self.args.output.talk.json {
            let bars = piece.bars;
            let about = format!(
                "{}, {bars} bars, {} quarters a minute, seed {}",
                key_name(piece.key),
                piece.tempo,
                task.seed
            );
            self.progress.status(about);
            return written.iter().try_for_each(print_path);
        }
        let (_, style) = self.composer.styles.find(self.args.style.as_deref()).map_err(usage)?;
        let seconds = sound::Clock::new(&piece.score).seconds(piece.score.end());
        print_json(&Line {
            model: &self.model,
            revision: self.revision.as_deref(),
            seed: task.seed,
            style: &style.name,
            key: key_name(piece.key),
            metre: format!("{}/{}", piece.metre.numerator, piece.metre.denominator),
            bars: piece.bars,
            tempo: piece.tempo,
            sampling,
            given: task.given.as_ref().map(|path| path.display().to_string()),
            outputs: written.iter().map(|path| path.display().to_string()).collect(),
            sample_rate: sound::RATE,
            samples,
            seconds,
            notes: piece.notes,
            ids: &piece.ids,
            timings: Timings { load_s: self.load_s, generate_s, ..Timings::default() }
                .with("first_note_s", first_note_s)
                .with("notes_per_s", piece.notes as f64 / generate_s.max(1e-9)),
        })
    }
}
