//! `music-gen PROMPT` with a MusicGen model: music as sound.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow, bail};
use batch::{Content, Item, Recipe};
use cli::{Exit, Progress, Prompt, StdoutClosed, Timings, print_bytes, print_json, print_path, usage};
use hub::Resolved;
use models::decoding::Sampling;
use music_gen::Kind;
use music_gen::finish::excess;
use music_gen::player::{Ask, Piece, Player, sound};
use music_gen::sound::Audio;
use serde::Serialize;

use super::codes::{usual, write};
use super::given;
use super::places::{Places, Plan};
use crate::cli::ComposeArgs;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;
/// Seconds of new music where nobody says.
const SECONDS: f64 = 10.;
/// The longest prompt, in bytes.
const LONGEST: usize = 10_000;

/// One piece to play.
#[derive(Debug, Clone)]
struct Task {
    prompt: String,
    given: Option<PathBuf>,
    seed: u64,
    /// Its name in a folder.
    name: String,
}

/// Everything that the pieces of a run share.
struct Session<'a> {
    args: &'a ComposeArgs,
    player: Player,
    melody: Option<Vec<f32>>,
    found: Resolved,
    progress: Progress,
    load_s: f64,
}

/// A piece that was played.
struct Played {
    piece: Piece,
    audio: Audio,
    ask: Ask,
    generate_s: f64,
    decode_s: f64,
    steps: usize,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    seed: u64,
    prompt: &'a str,
    prompt_ids: &'a [u32],
    guidance: f64,
    sampling: &'a Sampling,
    melody: Option<String>,
    given: Option<String>,
    given_frames: usize,
    outputs: Vec<String>,
    sample_rate: u32,
    channels: u16,
    samples: usize,
    seconds: f64,
    codes: &'a [Vec<u32>],
    timings: Timings,
}

/// Refuses what only models of notes take.
pub fn refuse_notes(args: &ComposeArgs) -> Result<()> {
    let typed = [
        ("--style", args.style.is_some()),
        ("--key", args.key.is_some()),
        ("--metre", args.metre.is_some()),
        ("--bars", args.bars.is_some()),
        ("--tempo", args.tempo.is_some()),
        ("--harmonise", !args.harmonise.is_empty()),
        ("--soundfont", args.soundfont.is_some()),
        ("--repetition-penalty", args.sampling.repetition_penalty.is_some()),
    ];
    match typed.iter().find(|(_, typed)| *typed) {
        Some((flag, _)) => Err(usage(format!(
            "{flag} is for models that write notes, such as the built-in one; this one makes sound: say it in the PROMPT"
        ))),
        None => Ok(()),
    }
}

/// Plays what was asked for.
pub fn run(args: &ComposeArgs, found: Resolved, progress: Progress) -> Result<Exit> {
    let tasks = tasks(args)?;
    let (count, files) = (tasks.len(), args.continue_from.len());
    let usual = usual(args.playing.picture);
    let (possible, also) = (&Kind::OF_SOUND, args.playing.picture.then_some(Kind::Png));
    let places =
        Plan { output: &args.output, count, files, possible, usual, also }.places(args.finish.bits)?;
    let began = Instant::now();
    let (device, dtype) = (args.compute.device.to_string(), args.compute.dtype.to_string());
    let player = studio::model::load_found(&found, &progress, |place| Player::load(place, &device, &dtype))?;
    if args.playing.melody.is_some() && !player.has_melody() {
        return Err(usage("--melody: this model takes no melody; facebook/musicgen-melody is one that does"));
    }
    if args.playing.seconds.is_some_and(|seconds| player.frames(seconds) == 0) {
        return Err(usage("--seconds: less than a frame, the shortest that the model makes"));
    }
    let load_s = began.elapsed().as_secs_f64();
    let melody = args.playing.melody.as_deref();
    let melody = melody.map(|path| given::mono(path, player.melody_rate())).transpose()?;
    let session = Session { args, player, melody, found, progress, load_s };
    match places {
        Places::Stdout => {
            let played = session.play(&tasks[0])?;
            print_bytes(&args.finish.finish().bytes(played.audio, Kind::Wav)?)?;
            Ok(Exit::Done)
        }
        Places::Files(bases, kinds) => {
            for (task, base) in tasks.iter().zip(bases) {
                session.to_files(task, &base, &kinds, args.output.force)?;
            }
            Ok(Exit::Done)
        }
        Places::Folder(folder) => session.to_folder(&tasks, &folder),
    }
}

/// The prompts that were typed, in files or piped in; one that says nothing where there is none.
fn prompts(args: &ComposeArgs) -> Result<Vec<Prompt>> {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    let taken = args.continue_from.iter().chain(&args.playing.melody).any(|path| is_stdin(path));
    let typed = args.shares.typed(&args.prompts, &args.text);
    let mut prompts = cli::prompts(&typed, LONGEST, !taken)?;
    if prompts.is_empty() {
        prompts.push(Prompt { id: None, text: String::new() });
    }
    Ok(prompts)
}

/// Each prompt with each file and each seed. In a folder a file's piece has its name, and one of a list that which is given there; a seed that was asked for is part of a
/// name, so that further pieces can be added.
fn tasks(args: &ComposeArgs) -> Result<Vec<Task>> {
    let prompts = prompts(args)?;
    let inputs: Vec<batch::Input> =
        args.continue_from.iter().map(|path| batch::Input { path: path.clone(), root: None }).collect();
    let stems = batch::output_names(&inputs);
    let files: Vec<Option<(&PathBuf, &String)>> = match &args.continue_from[..] {
        [] => vec![None],
        files => files.iter().zip(&stems).map(Some).collect(),
    };
    let (first, is_asked) = (args.compute.seed(), args.compute.seed.is_some());
    let mut tasks = Vec::new();
    for (number, prompt) in prompts.iter().enumerate() {
        for file in &files {
            for turn in 0..u64::from(args.count) {
                let seed = first.wrapping_add(turn);
                let mut name = match (&prompt.id, file) {
                    (Some(id), None) => vec![id.clone()],
                    (Some(id), Some((_, stem))) => vec![id.clone(), (*stem).clone()],
                    (None, file) => vec![file.map_or("music".to_string(), |(_, stem)| (*stem).clone())],
                };
                if prompt.id.is_none() && prompts.len() > 1 {
                    name.push((number + 1).to_string());
                }
                if args.count > 1 || (prompt.id.is_none() && file.is_none() && prompts.len() == 1) {
                    let label = if is_asked { seed } else { turn + 1 };
                    name.push(label.to_string());
                }
                let given = file.map(|(path, _)| path.clone());
                tasks.push(Task { prompt: prompt.text.clone(), given, seed, name: name.join("-") });
            }
        }
    }
    Ok(tasks)
}

impl Session<'_> {
    /// Flags over what the model asks for.
    fn sampling(&self, seed: u64) -> Sampling {
        let (typed, own) = (&self.args.sampling, self.player.defaults);
        Sampling {
            temperature: typed.temperature.unwrap_or(own.temperature),
            top_k: typed.top_k.unwrap_or(own.top_k),
            top_p: typed.top_p.unwrap_or(own.top_p),
            min_p: typed.min_p.unwrap_or(0.),
            repetition_penalty: 1.,
            seed,
        }
    }

    /// The codes that a piece begins with.
    fn beginning(&self, path: &Path) -> Result<Vec<Vec<u32>>> {
        let (player, rate) = (&self.player, self.player.rate());
        let mut heard = given::sound(path, rate, player.codec.channels())?;
        if let Some(start) = self.args.playing.start {
            let length = heard[0].len() as f64 / f64::from(rate);
            if start > length {
                bail!("{}: lasts {length:.2} s, and --start {start} is past its end", path.display());
            }
            let kept = player.frames(start) * player.codec.config().hop();
            heard.iter_mut().for_each(|channel| channel.truncate(kept));
        }
        if heard[0].is_empty() {
            bail!("{}: less than a frame to go on from", path.display());
        }
        player.codec.encode(&heard, None).with_context(|| path.display().to_string())
    }

    fn ask(&self, task: &Task) -> Result<Ask> {
        let playing = &self.args.playing;
        let beginning =
            task.given.as_deref().map(|path| self.beginning(path)).transpose()?.unwrap_or_default();
        let known = beginning.first().map_or(0, Vec::len);
        let frames = match playing.seconds {
            Some(seconds) => self.player.frames(seconds),
            None => known + self.player.frames(SECONDS).max(1),
        };
        if let (Some(path), Some(seconds)) = (&task.given, playing.seconds)
            && frames <= known
        {
            let given = known as f64 / self.player.frames(1000.) as f64 * 1000.;
            bail!(
                "{}: goes on after {given:.2} s, and --seconds {seconds}, its whole length, is no more",
                path.display()
            );
        }
        Ok(Ask {
            prompt: task.prompt.clone(),
            frames,
            guidance: playing.guidance.unwrap_or(self.player.defaults.guidance),
            sampling: self.sampling(task.seed),
            melody: self.melody.clone(),
            beginning,
        })
    }

    fn play(&self, task: &Task) -> Result<Played> {
        let ask = self.ask(task)?;
        if task.prompt.trim().is_empty() {
            let alone = if self.melody.is_some() {
                "the melody alone leads"
            } else {
                "music as it comes, unconditional"
            };
            self.progress.status(format!("no prompt: {alone}"));
        }
        let began = Instant::now();
        let (bar, mut steps) = (self.progress.bar(1, "composing"), 0);
        let piece = self.player.compose(&ask, &mut |done, of| {
            bar.total(of as u64);
            bar.set(done as u64);
            steps = of;
        });
        bar.finish();
        let named = |error: anyhow::Error| match &self.args.playing.melody {
            Some(path) if error.to_string().contains("melody") => anyhow!("{}: {error}", path.display()),
            _ => error,
        };
        let piece = piece.map_err(named)?;
        let generate_s = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let bar = self.progress.bar(ask.frames as u64, "decoding");
        let audio = sound(&self.player.codec, &piece.codes, &mut |frames| bar.set(frames as u64));
        bar.finish();
        Ok(Played { piece, audio: audio?, ask, generate_s, decode_s: began.elapsed().as_secs_f64(), steps })
    }

    fn to_files(&self, task: &Task, base: &Path, kinds: &[Kind], force: bool) -> Result<Vec<PathBuf>> {
        let mut played = self.play(task)?;
        let audio = std::mem::take(&mut played.audio);
        let about = (audio.rate, audio.channels, audio.samples.len() / usize::from(audio.channels));
        let finish = self.args.finish.finish();
        if finish.lufs.is_some() && finish.bits != 32 {
            let mut loud = audio.clone();
            finish.apply(&mut loud);
            if let Some(decibels) = excess(&loud) {
                self.progress.status(format!(
                    "peaks lie {decibels:.1} dB above full scale and are cut: a lower --lufs or --bits 32 keeps them"
                ));
            }
        }
        let written = write(audio, base, kinds, &finish, force)?;
        let told = self.tell(task, &played, &written, about);
        // the files are what counts: of many pieces the rest is written though nobody reads their names
        told.or_else(|error| if error.is::<StdoutClosed>() { Ok(()) } else { Err(error) })?;
        Ok(written)
    }

    fn to_folder(&self, tasks: &[Task], folder: &Path) -> Result<Exit> {
        let recipe = self.recipe(tasks)?;
        let item = |task: &Task| Item {
            id: task.name.clone(),
            content: match &task.given {
                Some(path) => Content::File(path.clone()),
                None => Content::Bytes(task.prompt.clone().into_bytes()),
            },
            payload: task.clone(),
        };
        let items: Vec<Item<Task>> = tasks.iter().map(item).collect();
        let kinds = usual(self.args.playing.picture);
        let at = (&self.args.output, &self.args.shares, self.found.location.bytes());
        let outcome = cli::each_in(folder, &items, &recipe, at, &self.progress, "played", |job| {
            self.to_files(&job.item.payload, &folder.join(&job.item.id), kinds, job.replace).map(Some)
        })?;
        Ok(outcome.exit)
    }

    fn recipe(&self, tasks: &[Task]) -> Result<Recipe> {
        let (args, playing) = (self.args, &self.args.playing);
        let melody = playing.melody.as_ref().map(|path| match path.as_os_str() == "-" {
            true => Ok(cli::read_stdin()?),
            false => Ok::<_, Error>(Content::File(path.clone()).digest()?.to_vec()),
        });
        // elsewhere the prompt is what an item is made from
        let mut continued: Vec<&str> =
            tasks.iter().filter(|task| task.given.is_some()).map(|task| task.prompt.as_str()).collect();
        continued.dedup();
        let sampling = self.sampling(0);
        let options = serde_json::json!({
            "continued": continued, "seconds": playing.seconds, "guidance": playing.guidance,
            "start": playing.start, "picture": playing.picture, "melody": melody.transpose()?, "seed": args.compute.seed,
            "finish": args.finish.finish(), "sampling": sampling, "device": args.compute.device.to_string(),
            "dtype": args.compute.dtype.to_string(),
        });
        Ok(Recipe::new(&self.player.identity()?, &options, SCHEMA)?)
    }

    fn tell(
        &self,
        task: &Task,
        played: &Played,
        written: &[PathBuf],
        (rate, channels, samples): (u32, u16, usize),
    ) -> Result<()> {
        let seconds = samples as f64 / f64::from(rate);
        if !self.args.output.talk.json {
            self.progress.status(format!(
                "{seconds:.2} s in {:.1} s, seed {}",
                played.generate_s + played.decode_s,
                task.seed
            ));
            return written.iter().try_for_each(print_path);
        }
        let name = |path: &PathBuf| path.display().to_string();
        print_json(&Line {
            model: &self.found.name,
            revision: self.found.revision.as_deref(),
            seed: task.seed,
            prompt: &task.prompt,
            prompt_ids: &played.piece.prompt_ids,
            guidance: played.ask.guidance,
            sampling: &played.ask.sampling,
            melody: self.args.playing.melody.as_ref().map(name),
            given: task.given.as_ref().map(name),
            given_frames: played.ask.beginning.first().map_or(0, Vec::len),
            outputs: written.iter().map(name).collect(),
            sample_rate: rate,
            channels,
            samples,
            seconds,
            codes: &played.piece.codes,
            timings: Timings { load_s: self.load_s, generate_s: played.generate_s, ..Timings::default() }
                .with("decode_s", played.decode_s)
                .with("steps_per_s", played.steps as f64 / played.generate_s.max(1e-9)),
        })
    }
}
