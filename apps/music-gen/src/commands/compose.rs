//! `music-gen` with a model of notes: one piece, or many with one load of the model.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use batch::{Content, FileSet, Item, Recipe};
use cli::{Exit, Progress, SamplingArgs, StdoutClosed, Timings, print_bytes, print_json, print_path, usage};
use hub::Resolved;
use media::score::Score;
use media::score_file::{from_bytes, read_score};
use models::decoding::Sampling;
use music_gen::compose::key_name;
use music_gen::sound::soundfont::Font;
use music_gen::{Composer, Given, Kind, Piece, Request, corpus, hear, render, sound};
use serde::Serialize;

use super::places::{Places, Plan, path_of};
use crate::cli::ComposeArgs;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;
/// Bars of a piece where nobody says.
const BARS: u32 = 16;

/// One piece to compose.
#[derive(Debug, Clone)]
struct Task {
    given: Option<PathBuf>,
    seed: u64,
}

/// Everything that the pieces of a run share.
struct Session<'a> {
    args: &'a ComposeArgs,
    bars: u32,
    composer: Composer,
    found: Resolved,
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

/// Refuses what only models that make sound take.
pub fn refuse_sound(args: &ComposeArgs) -> Result<()> {
    if !args.prompts.is_empty() || !args.text.is_empty() || args.shares.list.is_some() {
        return Err(usage(
            "this model composes without words: drop PROMPT, or say it with --style, --key, --metre and --bars; \
             --model facebook/musicgen-small is one that takes words",
        ));
    }
    let playing = &args.playing;
    let typed = [
        ("--seconds", playing.seconds.is_some()),
        ("--guidance", playing.guidance.is_some()),
        ("--melody", playing.melody.is_some()),
        ("--start", playing.start.is_some()),
        ("--picture", playing.picture),
        ("--from-codes", playing.from_codes.is_some()),
    ];
    match typed.iter().find(|(_, typed)| *typed) {
        Some((flag, _)) => Err(usage(format!(
            "{flag} is for models that make sound, such as --model facebook/musicgen-small; this one writes notes"
        ))),
        None => Ok(()),
    }
}

/// Composes what was asked for.
pub fn run(args: &ComposeArgs, found: Resolved, progress: Progress) -> Result<Exit> {
    let tasks = tasks(args);
    let (count, files) = (tasks.len(), args.harmonise.len().max(args.continue_from.len()));
    let (possible, usual) = (&Kind::ALL, &Kind::USUAL);
    let plan = Plan { output: &args.output, count, files, possible, usual, also: None };
    let places = plan.places(args.finish.bits)?;
    let soundfont = args.soundfont.as_deref().map(soundfont).transpose()?;
    let began = Instant::now();
    let composer = super::load_notes(&found, &args.compute, &progress)?;
    composer.styles.find(args.style.as_deref()).map_err(usage)?;
    let session = Session {
        args,
        bars: args.bars.unwrap_or(BARS),
        composer,
        found,
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
            bars: self.bars,
            tempo: self.args.tempo,
            sampling: sampling.clone(),
            given,
        };
        let bar = self.progress.bar(self.bars as u64, "composing");
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
            let (font, finish) = (self.soundfont.as_ref(), self.args.finish.finish());
            let bytes = match kind {
                Kind::Wav | Kind::Flac => {
                    let audio = hear(&piece.score, font)?;
                    samples = audio.samples.len() / usize::from(audio.channels);
                    finish.bytes(audio, *kind)?
                }
                _ => render(&piece.score, *kind, font, &finish)?,
            };
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
        let finish = self.args.finish.finish();
        print_bytes(&render(&piece.score, Kind::Wav, self.soundfont.as_ref(), &finish)?)?;
        Ok(Exit::Done)
    }

    fn to_folder(&self, tasks: &[Task], folder: &Path) -> Result<Exit> {
        let recipe = self.recipe()?;
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
        let at = (&self.args.output, &self.args.shares, self.found.location.bytes());
        let outcome = cli::each_in(folder, &items, &recipe, at, &self.progress, "composed", |job| {
            self.to_files(&job.item.payload, &folder.join(&job.item.id), &Kind::USUAL, job.replace).map(Some)
        })?;
        Ok(outcome.exit)
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
            "style": args.style, "key": args.key.map(key_name), "bars": self.bars, "tempo": args.tempo,
            "metre": args.metre.map(|m| (m.numerator, m.denominator)),
            "seed": args.compute.seed, "harmonise": !args.harmonise.is_empty(),
            "device": args.compute.device.to_string(), "dtype": args.compute.dtype.to_string(),
            "styles": self.composer.styles,
            "finish": args.finish.finish(), "sampling": [temperature, top_p, min_p, repetition_penalty], "top_k": top_k,
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
            model: &self.found.name,
            revision: self.found.revision.as_deref(),
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
