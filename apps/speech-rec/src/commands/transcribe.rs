//! `speech-rec [INPUT...]`: what is said in each, with one load of the model.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use batch::{Content, FileSet, Item, Recipe};
use cli::{Exit, Progress, Source, Target, Timings, Typed, What, print_json, print_line, print_text, usage};
use hub::Resolved;
use media::subtitles::Layout;
use serde::Serialize;
use speech_rec::corpus::EXTENSIONS;
use speech_rec::sound::{Raw, Reading, Sound};
use speech_rec::{Event, Model, Transcript, transcribe};
use tempfile::NamedTempFile;

use crate::cli::{Format, TranscribeArgs};
use crate::output::write;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;

struct Run<'a> {
    args: &'a TranscribeArgs,
    model: Model,
    found: Resolved,
    seed: u64,
    layout: Layout,
    /// Stdin as a file, once it was read.
    spooled: OnceLock<NamedTempFile>,
    progress: Progress,
    load_s: f64,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    seed: u64,
    input: String,
    task: &'a str,
    beam: u16,
    vad: bool,
    batch: Option<u16>,
    duration: f64,
    #[serde(flatten)]
    transcript: &'a Transcript,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<String>,
    timings: Timings,
}

/// What was heard, and how long it took.
struct Heard {
    transcript: Transcript,
    duration: f64,
    seconds: f64,
}

/// Writes down what was asked for.
pub fn run(args: &TranscribeArgs) -> Result<Exit> {
    args.shares.fit(&args.output.target())?;
    args.compute.apply()?;
    let sources = sources(args)?;
    let formats = formats(args)?;
    let target = args.output.target();
    match &target {
        Target::File(path) if sources.len() > 1 || formats.len() > 1 => {
            return Err(usage(format!("-o {}: several results need a folder: -o DIR/", path.display())));
        }
        Target::File(path) if path.exists() && !args.output.force => {
            bail!("{}: exists; --force overwrites it", path.display());
        }
        Target::Default | Target::Stdout if formats.len() > 1 => {
            return Err(usage("several formats need a folder: -o DIR/"));
        }
        _ => {}
    }
    let progress = Progress::new(&args.output.talk);
    let began = Instant::now();
    let (model, found) = super::load(&args.model, &args.compute, &progress)?;
    let load_s = began.elapsed().as_secs_f64();
    let seed = args.compute.seed();
    let layout = Layout {
        max_line_width: args.max_line_width.map(usize::from),
        max_line_count: args.max_line_count.map(usize::from),
        max_words_per_line: args.max_words.map(usize::from),
        highlight_words: args.highlight_words,
    };
    let spooled = OnceLock::new();
    let run = Run { args, model, found, seed, layout, spooled, progress, load_s };
    match target {
        Target::Folder(folder) => run.to_folder(&sources, &formats, &folder),
        Target::File(path) => run.to_file(&sources[0], formats[0], &path),
        Target::Stdout | Target::Default => run.to_stdout(&sources, formats[0]),
    }
}

/// The files that were named, and those of folders; stdin is `-`, or what is piped in where nothing is named.
fn sources(args: &TranscribeArgs) -> Result<Vec<Source>> {
    let list = args.shares.list.as_deref();
    if args.inputs.is_empty() && list.is_none() {
        if !cli::stdin_is_piped() {
            return Err(usage(
                "nothing to listen to: speech-rec --model openai/whisper-base talk.mp3 (or `-` for stdin; --help says more)",
            ));
        }
        return Ok(vec![Source::stdin()]);
    }
    let (recursive, extensions, out) = (args.recursive, EXTENSIONS, args.output.folder());
    let without = out.as_deref();
    let sources = Typed { list, recursive, extensions, without, ..Typed::default() }.files(&args.inputs)?;
    if args.raw_rate.is_some() && sources.iter().all(|source| source.what != What::Stdin) {
        return Err(usage("--raw-rate is for stdin: give `-`"));
    }
    Ok(sources)
}

/// What is written: as asked, or as the name behind `-o` says.
fn formats(args: &TranscribeArgs) -> Result<Vec<Format>> {
    if args.output.talk.json && !args.format.is_empty() && args.output.output.is_none() {
        return Err(usage("--json is the format; --format is for files"));
    }
    if !args.format.is_empty() {
        return Ok(args.format.clone());
    }
    let Target::File(path) = args.output.target() else { return Ok(vec![Format::Txt]) };
    let all = [Format::Txt, Format::Srt, Format::Vtt, Format::Tsv, Format::Lrc, Format::Json];
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match all.into_iter().find(|format| format.extension() == extension) {
        Some(format) => Ok(vec![format]),
        None => Err(usage(format!(
            "-o {}: say what it is by its name (.txt .srt .vtt .tsv .lrc .json) or by --format",
            path.display()
        ))),
    }
}

impl Run<'_> {
    /// Listens to a file, or to what comes through stdin, which is kept on disk meanwhile.
    fn hear(&self, source: &Source, on_text: &mut dyn FnMut(&str) -> bool) -> Result<Heard> {
        let began = Instant::now();
        let spinner = self.progress.spinner("reading the sound");
        let path = match &source.what {
            What::File(path) => path,
            What::Stdin => self.stdin()?,
            What::Words(_) => bail!("this takes files"),
        };
        let raw = self.args.raw_rate.map(|rate| Raw { rate, channels: self.args.raw_channels });
        let reading = Reading { raw, damaged: self.args.damaged };
        let sound = Sound::open(path, reading, self.model.config.num_mel_bins, self.model.frames());
        spinner.finish();
        let mut sound = sound?;
        if let Some(damage) = sound.damage() {
            self.progress.error(format!("warning: {damage}"));
        }
        let bar = self.progress.bar(sound.seconds() as u64, "listening");
        let request = super::request(self.args, &self.model, self.seed);
        let transcript = transcribe(&self.model, &mut sound, &request, &mut |event| {
            match event {
                Event::Segment(segment) if !on_text(segment.text.trim()) => return ControlFlow::Break(()),
                Event::Segment(_) => {}
                // seconds, so that the rate is how many times as fast it goes
                Event::Frames(done) => bar.set(done as u64 / 100),
            }
            ControlFlow::Continue(())
        })?;
        bar.finish();
        Ok(Heard { transcript, duration: sound.seconds(), seconds: began.elapsed().as_secs_f64() })
    }

    /// Stdin as a file, since it is heard twice, and may be long.
    fn stdin(&self) -> Result<&Path> {
        if self.spooled.get().is_none() {
            let file = spool()?;
            // one thread reads stdin
            let _ = self.spooled.set(file);
        }
        self.spooled.get().map(NamedTempFile::path).context("stdin was not kept")
    }

    fn to_stdout(&self, sources: &[Source], format: Format) -> Result<Exit> {
        for source in sources {
            if self.args.output.talk.json {
                let heard = self.hear(source, &mut |_| true)?;
                print_json(&self.line(source, &heard, Vec::new()))?;
                continue;
            }
            // words are told as they come
            let streams = format == Format::Txt;
            let mut closed = None;
            let heard = self.hear(source, &mut |text| {
                if streams && !text.is_empty() {
                    closed = print_line(text).err();
                }
                closed.is_none()
            })?;
            if let Some(error) = closed {
                return Err(error);
            }
            if !streams {
                print_text(&write(&heard.transcript, format, &self.layout))?;
            }
            self.tell(&heard);
        }
        Ok(Exit::Done)
    }

    fn to_file(&self, source: &Source, format: Format, path: &Path) -> Result<Exit> {
        let heard = self.hear(source, &mut |_| true)?;
        let text = write(&heard.transcript, format, &self.layout);
        batch::write_bytes(path, text.as_bytes(), self.args.output.force)?;
        match self.args.output.talk.json {
            true => print_json(&self.line(source, &heard, vec![path.to_path_buf()]))?,
            false => cli::print_path(path)?,
        }
        self.tell(&heard);
        Ok(Exit::Done)
    }

    /// What an earlier run has done is skipped, what fails is told and the rest finished.
    fn to_folder(&self, sources: &[Source], formats: &[Format], folder: &Path) -> Result<Exit> {
        let options = serde_json::json!({
            "request": format!("{:?}", super::request(self.args, &self.model, 0)), "seed": self.args.compute.seed,
            "formats": format!("{formats:?}"), "layout": format!("{:?}", self.layout),
            "device": self.args.compute.device.to_string(), "dtype": self.args.compute.dtype.to_string(),
            "raw": (self.args.raw_rate, self.args.raw_channels),
            "damaged": self.args.damaged,
        });
        let recipe = Recipe::new(&studio::model::identity_of(&self.found)?, &options, SCHEMA)?;
        let item = |source: &Source| match source.what {
            What::Stdin => {
                let content = Content::Bytes(Content::File(self.stdin()?.to_path_buf()).digest()?.to_vec());
                Ok(Item { id: source.id.clone(), content, payload: source.clone() })
            }
            _ => source.item(),
        };
        let items = sources.iter().map(item).collect::<Result<Vec<_>>>()?;
        let at = (&self.args.output, &self.args.shares, self.found.location.bytes());
        let outcome = cli::each_in(folder, &items, &recipe, at, &self.progress, "written", |job| {
            let heard = self.hear(&job.item.payload, &mut |_| true)?;
            let mut files = FileSet::new(job.replace);
            for format in formats {
                let text = write(&heard.transcript, *format, &self.layout);
                files.add(job.output(format.extension()), |file| file.write_all(text.as_bytes()))?;
            }
            let written: Vec<PathBuf> = files.commit()?.into_iter().map(|(path, _)| path).collect();
            let told = match self.args.output.talk.json {
                true => print_json(&self.line(&job.item.payload, &heard, written.clone())),
                false => written.iter().try_for_each(cli::print_path),
            };
            // The files are what counts: the rest is written though nobody reads their names.
            told.or_else(|error| if error.is::<cli::StdoutClosed>() { Ok(()) } else { Err(error) })?;
            Ok(Some(written))
        })?;
        Ok(outcome.exit)
    }

    fn tell(&self, heard: &Heard) {
        let (duration, rate) = (heard.duration, heard.duration / heard.seconds.max(1e-9));
        self.progress
            .detail(format!("{duration:.1} s of {}, {rate:.1} times as fast", heard.transcript.language));
    }

    fn line<'a>(&'a self, source: &Source, heard: &'a Heard, outputs: Vec<PathBuf>) -> Line<'a> {
        Line {
            model: &self.found.name,
            revision: self.found.revision.as_deref(),
            seed: self.seed,
            input: if source.what == What::Stdin { "-".into() } else { source.name() },
            task: if self.args.task == crate::cli::Task::Translate { "translate" } else { "transcribe" },
            beam: self.args.beam,
            vad: self.args.vad.unwrap_or(self.model.cuts_at_pauses) || self.args.batch.is_some(),
            batch: self.args.batch,
            duration: heard.duration,
            transcript: &heard.transcript,
            outputs: outputs.iter().map(|path| path.display().to_string()).collect(),
            timings: Timings { load_s: self.load_s, generate_s: heard.seconds, ..Timings::default() }
                .with("times_as_fast", heard.duration / heard.seconds.max(1e-9)),
        }
    }
}

fn spool() -> Result<NamedTempFile> {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(usage("stdin is a terminal: pipe the sound in, or name a file"));
    }
    let mut file = NamedTempFile::new().context("cannot keep stdin on disk")?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file).context("cannot read stdin")?;
    file.flush().context("cannot keep stdin on disk")?;
    Ok(file)
}
