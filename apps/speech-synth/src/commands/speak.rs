//! `speech-synth [INPUT...]`: words, files and folders read aloud, with one load of the voice.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::speech_synth::{Request, Said, Voice, Word, Writing, speak};
use anyhow::{Context, Error, Result, bail};
use batch::{FileSet, Recipe};
use cli::{Exit, Progress, Source, StdoutClosed, Timings, What, print_json, print_path};
use hub::Resolved;
use serde::Serialize;

use super::sink::{Form, Place, Sink};
use super::subtitles::{Kind, bytes};
use super::target::{Places, extension, paragraphs, places, sources, subtitles_path};
use crate::cli::SpeakArgs;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;

struct Run<'a> {
    args: &'a SpeakArgs,
    voice: Voice,
    found: Resolved,
    request: Request,
    form: Form,
    progress: Progress,
    load_s: f64,
}

/// What became of one text.
struct Made {
    said: Said,
    samples: u64,
    sentences: Vec<Vec<Word>>,
    /// Where the text is one piece.
    ids: Option<Vec<u32>>,
    generate_s: f64,
    first_sound_s: f64,
    /// What ended it before its end; what was spoken is written.
    broken: Option<Error>,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<u32>,
    speed: f64,
    noise: f64,
    noise_duration: f64,
    input: String,
    outputs: Vec<String>,
    sample_rate: u32,
    samples: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<&'a [u32]>,
    timings: Timings,
}

/// Speaks what was asked for.
pub fn run(args: &SpeakArgs) -> Result<Exit> {
    args.shares.fit(&args.output.target())?;
    args.compute.apply()?;
    let sources = sources(args)?;
    let (places, format) = places(args, sources.len())?;
    let progress = Progress::new(&args.output.talk);
    let began = Instant::now();
    let (voice, found) = super::load(&args.model, &args.compute, &progress)?;
    let voice = with_lexicon(voice, args.lexicon.as_deref())?;
    let request = request(args, &voice)?;
    let form = Form {
        from: voice.rate(),
        rate: args.sample_rate.unwrap_or(voice.rate()),
        format,
        depth: args.bits.depth(),
        lufs: args.lufs,
    };
    let load_s = began.elapsed().as_secs_f64();
    let run = Run { args, voice, found, request, form, progress, load_s };
    // what is spoken is kept when Ctrl-C comes
    cli::stop_gently();
    match &places {
        Places::Stdout => run.to_stdout(&sources[0], subtitles_path(args, &places)?.as_deref()),
        Places::File(path) => {
            let times = subtitles_path(args, &places)?;
            let made = run.to_file(&sources[0], path, times.as_deref(), args.output.force)?;
            match made.broken {
                Some(error) => Err(error),
                None if made.said.whole => Ok(Exit::Done),
                None => Ok(Exit::Interrupted),
            }
        }
        Places::Folder(folder) => run.to_folder(&sources, folder),
    }
}

/// The voice, with a user's own words.
fn with_lexicon(voice: Voice, path: Option<&Path>) -> Result<Voice> {
    let Some(path) = path else { return Ok(voice) };
    let text = std::fs::read_to_string(path).with_context(|| format!("--lexicon {}", path.display()))?;
    voice.with_lexicon(&text).with_context(|| format!("--lexicon {}", path.display()))
}

/// Flags over what the voice asks for.
fn request(args: &SpeakArgs, voice: &Voice) -> Result<Request> {
    let mut request = Request::of(voice, args.compute.seed());
    let count = voice.speakers();
    match args.speaker {
        Some(number) if number as usize >= count => match count {
            1 => bail!("--speaker {number}: this voice has one speaker, 0"),
            count => bail!("--speaker {number}: this voice has {count} speakers, 0 to {}", count - 1),
        },
        Some(number) if count > 1 => request.options.speaker = Some(number),
        _ => {}
    }
    request.writing = match (args.ipa, args.arpabet) {
        (true, _) => Writing::Ipa,
        (_, true) => Writing::Arpabet,
        _ => Writing::Text,
    };
    if voice.takes_phonemes() && request.writing == Writing::Text {
        bail!(
            "this voice takes phonemes, in a spelling of its own: give them with --ipa \"həlˈoʊ\", or name a voice that takes letters"
        );
    }
    if args.noise_duration.is_some() && !voice.varies_rhythm() {
        bail!("--noise-duration: in this voice's rhythm there is no chance");
    }
    request.options.rate *= args.speed;
    request.options.noise = args.noise.unwrap_or(request.options.noise);
    request.options.noise_duration = args.noise_duration.unwrap_or(request.options.noise_duration);
    request.pause = args.pause;
    Ok(request)
}

impl Run<'_> {
    /// Speaks a text into a sink. An error after the first sound ends the text, not the sound.
    fn speak(&self, source: &Source, sink: &mut Sink) -> Result<Made> {
        let began = Instant::now();
        let paragraphs = paragraphs(source)?;
        let total: usize = paragraphs.iter().map(String::len).sum();
        let bar = self.progress.bar(total as u64, "speaking");
        let (mut sentences, mut ids) = (Vec::new(), Vec::new());
        let mut first_sound_s = None;
        let said = speak(&self.voice, &paragraphs, &self.request, &mut |mut spoken| {
            sink.take(&spoken.samples)?;
            first_sound_s.get_or_insert_with(cli::seconds_since_start);
            if self.args.subtitles.is_some() {
                sentences.append(&mut spoken.sentences);
            }
            ids.push(std::mem::take(&mut spoken.ids));
            ids.truncate(2);
            bar.set(spoken.done as u64);
            Ok(if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        bar.finish();
        let (said, broken) = match said {
            Ok(said) => (said, None),
            Err(error) if (first_sound_s.is_some() || sink.samples() > 0) && !error.is::<StdoutClosed>() => {
                (Said::default(), Some(error))
            }
            Err(error) => return Err(error.context(source.name())),
        };
        let broken = match (broken, self.end(sink)) {
            (Some(first), _) | (None, Err(first)) => Some(first),
            (None, Ok(())) => None,
        };
        Ok(Made {
            said,
            samples: sink.samples(),
            sentences,
            ids: (ids.len() == 1).then(|| ids.remove(0)),
            generate_s: began.elapsed().as_secs_f64(),
            first_sound_s: first_sound_s.unwrap_or_default(),
            broken,
        })
    }

    /// Writes what waits, and says how loud it became.
    fn end(&self, sink: &mut Sink) -> Result<()> {
        let gain = sink.finish()?;
        let Some(target) = self.args.lufs else { return Ok(()) };
        match gain {
            None => self.progress.status("--lufs: too short or silent: the loudness stays as it is"),
            Some(gain) if gain.reached < target - 0.05 => {
                self.progress.status(format!("--lufs: {:.1} LUFS, more would be clipped", gain.reached))
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn to_stdout(&self, source: &Source, times: Option<&Path>) -> Result<Exit> {
        let mut sink = Sink::new(self.form, Place::Stdout)?;
        let made = self.speak(source, &mut sink)?;
        self.write_times(&made, times, self.args.output.force)?;
        self.tell(&made);
        match made.broken {
            Some(error) => Err(error),
            None if made.said.whole => Ok(Exit::Done),
            None => Ok(Exit::Interrupted),
        }
    }

    /// Speaks into a file. Where something ends that early, the file holds what was spoken, and [`Made::broken`] says what.
    fn to_file(&self, source: &Source, path: &Path, times: Option<&Path>, force: bool) -> Result<Made> {
        let mut made = None;
        batch::write_whole(path, force, |writer| {
            let mut sink = Sink::new(self.form, Place::File(writer.get_ref()))?;
            let found = self.speak(source, &mut sink)?;
            sink.close()?;
            made = Some(found);
            Ok::<_, Error>(())
        })
        .map_err(told)?;
        let Some(made) = made else { bail!("{}: nothing was spoken", path.display()) };
        self.write_times(&made, times, force)?;
        if made.broken.is_some() || !made.said.whole {
            let seconds = made.samples as f64 / f64::from(self.form.rate);
            self.progress.status(format!("stopped; {} holds the {seconds:.1} s until then", path.display()));
        }
        let outputs: Vec<&Path> = [Some(path), times].into_iter().flatten().collect();
        self.tell_files(source, &made, &outputs)?;
        Ok(made)
    }

    fn tell_files(&self, source: &Source, made: &Made, outputs: &[&Path]) -> Result<()> {
        let told = match self.args.output.talk.json {
            true => self.print_line(source, made, outputs),
            false => outputs.iter().try_for_each(print_path),
        };
        // The files are what counts: the rest is written though nobody reads their names.
        told.or_else(|error| if error.is::<StdoutClosed>() { Ok(()) } else { Err(error) })?;
        self.tell(made);
        Ok(())
    }

    /// Speaks into files of a folder, where nothing stands that is not whole; nothing where Ctrl-C stopped it.
    fn whole(
        &self,
        source: &Source,
        path: &Path,
        times: Option<&Path>,
        force: bool,
    ) -> Result<Option<Vec<PathBuf>>> {
        let (mut files, mut made) = (FileSet::new(force), None);
        let spoken = files.add(path, |writer| {
            let mut sink = Sink::new(self.form, Place::File(writer.get_ref()))?;
            let mut found = self.speak(source, &mut sink)?;
            if let Some(error) = found.broken.take() {
                return Err(error);
            }
            sink.close()?;
            made = Some(found);
            Ok::<_, Error>(())
        });
        spoken.map_err(told)?;
        let Some(made) = made.filter(|made| made.said.whole) else { return Ok(None) };
        if let Some(times) = times {
            let bytes = bytes(Kind::of(times)?, &made.sentences)?;
            files.add(times, |file| file.write_all(&bytes))?;
        }
        let written: Vec<PathBuf> = files.commit()?.into_iter().map(|(path, _)| path).collect();
        let outputs: Vec<&Path> = written.iter().map(PathBuf::as_path).collect();
        self.tell_files(source, &made, &outputs)?;
        Ok(Some(written))
    }

    /// What an earlier run has done is skipped, what fails is told and the rest finished.
    fn to_folder(&self, sources: &[Source], folder: &Path) -> Result<Exit> {
        let recipe = self.recipe()?;
        let items = sources.iter().map(Source::item).collect::<Result<Vec<_>>>()?;
        let kind = self.args.subtitles.as_deref().map(Kind::of).transpose()?;
        let at = (&self.args.output, &self.args.shares, self.found.location.bytes());
        let outcome = cli::each_in(folder, &items, &recipe, at, &self.progress, "spoken", |job| {
            let path = job.output(extension(self.form.format));
            let times = kind.map(|kind| job.output(kind.extension()));
            self.whole(&job.item.payload, &path, times.as_deref(), job.replace)
        })?;
        Ok(outcome.exit)
    }

    /// What decides the outcome, beside the text.
    fn recipe(&self) -> Result<Recipe> {
        let mut request = self.request.clone();
        request.seed = self.args.compute.seed.unwrap_or_default();
        let options = serde_json::json!({
            "request": format!("{request:?}"), "form": format!("{:?}", self.form), "seed": self.args.compute.seed,
            "lexicon": self.args.lexicon.as_deref().map(std::fs::read_to_string).transpose()?,
            "subtitles": self.args.subtitles.as_deref().map(Kind::of).transpose()?.map(Kind::extension),
            "device": self.args.compute.device.to_string(), "dtype": self.args.compute.dtype.to_string(),
        });
        Ok(Recipe::new(&self.voice.identity()?, &options, SCHEMA)?)
    }

    fn write_times(&self, made: &Made, path: Option<&Path>, force: bool) -> Result<()> {
        let Some(path) = path else { return Ok(()) };
        let bytes = bytes(Kind::of(path)?, &made.sentences)?;
        batch::write_whole(path, force, |file| file.write_all(&bytes))?;
        Ok(())
    }

    fn print_line(&self, source: &Source, made: &Made, outputs: &[&Path]) -> Result<()> {
        let seconds = made.samples as f64 / f64::from(self.form.rate);
        let options = &self.request.options;
        let input = match &source.what {
            What::Words(words) => words.clone(),
            _ => source.name(),
        };
        print_json(&Line {
            model: &self.found.name,
            revision: self.found.revision.as_deref(),
            seed: self.request.seed,
            speaker: options.speaker,
            speed: self.args.speed,
            noise: options.noise,
            noise_duration: options.noise_duration,
            input,
            outputs: outputs.iter().map(|path| path.display().to_string()).collect(),
            sample_rate: self.form.rate,
            samples: made.samples,
            seconds,
            ids: made.ids.as_deref(),
            timings: Timings { load_s: self.load_s, generate_s: made.generate_s, ..Timings::default() }
                .with("first_sound_s", made.first_sound_s)
                .with("real_time_factor", made.generate_s / seconds.max(1e-9)),
        })
    }

    fn tell(&self, made: &Made) {
        if !made.said.left_out.is_empty() {
            let told =
                made.said.left_out.iter().take(12).map(|(letter, count)| format!("{letter} ({count})"));
            let told: Vec<String> = told.collect();
            let more = if made.said.left_out.len() > told.len() { " and more" } else { "" };
            self.progress
                .status(format!("left out, the voice has no sign for them: {}{more}", told.join(", ")));
        }
        let seconds = made.samples as f64 / f64::from(self.form.rate);
        let factor = seconds / made.generate_s.max(1e-9);
        let seed = self.request.seed;
        self.progress.detail(format!(
            "{seconds:.1} s of speech, {factor:.1} times as fast as it is heard, seed {seed}"
        ));
    }
}

/// What was wrong with the text rather than with the file is told without the file.
fn told(error: batch::WriteError) -> Error {
    match error {
        batch::WriteError::Content { source, .. } => Error::from_boxed(source),
        other => other.into(),
    }
}
