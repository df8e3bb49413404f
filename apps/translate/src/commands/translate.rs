//! `translate [INPUT...]`: words, files and folders in another language, with one load of the models.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use ::translate::detect::detect;
use ::translate::partial::Partial;
use ::translate::{Direction, Hop, Model, Segment, Text, languages};
use anyhow::{Context, Result, anyhow, bail};
use batch::{Content, Recipe};
use cli::{
    Exit, ModelArgs, Progress, Source, Target, Timings, Typed, What, print_json, print_line, print_text,
    usage,
};
use hub::Resolved;
use media::document::{self, Document, Kind};
use serde::Serialize;

use crate::cli::TranslateArgs;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;
/// The files of a folder that are documents.
const EXTENSIONS: &[&str] =
    &["txt", "md", "markdown", "html", "htm", "srt", "vtt", "json", "jsonl", "csv", "tsv"];
/// Segments of a document that are translated before they are put on disk, for each sentence of a batch.
const WINDOW: usize = 8;

/// A loaded model and what it is called.
struct Loaded {
    hop: Hop,
    found: Resolved,
}

struct Run<'a> {
    args: &'a TranslateArgs,
    models: Vec<Loaded>,
    /// What decides an outcome beside the input, once it was asked for: weights are hashed for it.
    recipe: OnceLock<Recipe>,
    progress: Progress,
    load_s: f64,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    then: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    beam: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// The line of the input where the sentence's block begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(flatten)]
    segment: &'a Segment,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    timings: Timings,
}

/// A document, translated.
struct Made {
    bytes: Vec<u8>,
    /// Of each segment, its line and what it became.
    texts: Vec<(usize, Text)>,
    seconds: f64,
}

/// Translates what was asked for.
pub fn run(args: &TranslateArgs) -> Result<Exit> {
    args.shares.fit(&args.output.target())?;
    args.compute.apply()?;
    let sources = sources(args)?;
    let target = args.output.target();
    match &target {
        Target::File(path) if sources.len() > 1 => {
            return Err(usage(format!("-o {}: several results need a folder: -o DIR/", path.display())));
        }
        Target::File(path) if path.exists() && !args.output.force => {
            bail!("{}: exists; --force overwrites it", path.display());
        }
        _ => {}
    }
    if args.alternatives.is_some_and(|count| count > 1)
        && !args.output.talk.json
        && !sources.iter().all(Source::is_words)
    {
        return Err(usage("--alternatives is for words, or with --json: a document has one text"));
    }
    let progress = Progress::new(&args.output.talk);
    let began = Instant::now();
    let models = models(args, &sources, &progress)?;
    let load_s = began.elapsed().as_secs_f64();
    let run = Run { args, models, recipe: OnceLock::new(), progress, load_s };
    // of a long document, what is done when Ctrl-C comes is kept
    cli::stop_gently();
    match target {
        Target::Folder(folder) => run.to_folder(&sources, &folder),
        Target::File(path) => run.to_file(&sources[0], &path, args.output.force).map(|made| match made {
            Some(_) => Exit::Done,
            None => Exit::Interrupted,
        }),
        Target::Stdout | Target::Default => run.to_stdout(&sources),
    }
}

fn sources(args: &TranslateArgs) -> Result<Vec<Source>> {
    let (recursive, extensions, out) = (args.recursive, EXTENSIONS, args.output.folder());
    let typed = Typed {
        recursive,
        extensions,
        without: out.as_deref(),
        ..args.shares.typed(&args.inputs, &args.text)
    };
    let mut sources = typed.sources()?;
    if sources.is_empty() {
        if !cli::stdin_is_piped() {
            return Err(usage(
                "nothing to translate: translate --from en --to fr \"Where is the library?\" (or `-` for stdin; --help says more)",
            ));
        }
        sources.push(Source::stdin());
    }
    Ok(sources)
}

/// The models that translate, each with its direction. With `--from auto` that is known once a text is.
fn models(args: &TranslateArgs, sources: &[Source], progress: &Progress) -> Result<Vec<Loaded>> {
    let from = match args.from.as_deref() {
        Some("auto") => {
            let text = String::from_utf8_lossy(&sources[0].read()?).into_owned();
            let found = detect(&[&text])
                .ok_or_else(|| anyhow!("--from auto: there is too little text to know its language"))?;
            progress.status(format!("this is {}", found.language.name));
            Some(found.language.long.to_string())
        }
        typed => typed.map(String::from),
    };
    let loaded = |asked: &ModelArgs, from: Option<&str>, to: Option<&str>| -> Result<Loaded> {
        if asked.model == "embedded" {
            known_inside(from, to)?;
        }
        let (model, found) = super::load(asked, &args.compute, progress)?;
        let direction = model.direction(from, to)?;
        let request = request(args, &model, &direction);
        Ok(Loaded { hop: Hop { model, direction, request }, found })
    };
    let (from, to) = (from.as_deref(), args.to.as_deref());
    let Some(then) = &args.then else { return Ok(vec![loaded(&args.model, from, to)?]) };
    let second = ModelArgs { model: then.clone(), offline: args.model.offline };
    Ok(vec![loaded(&args.model, from, Some(&args.via))?, loaded(&second, Some(&args.via), to)?])
}

/// Says, before the model that is built in is asked for what it cannot do, which others can.
fn known_inside(from: Option<&str>, to: Option<&str>) -> Result<()> {
    let code = |typed: &str| {
        languages::find(typed).ok_or_else(|| match languages::near(typed) {
            near if near.is_empty() => {
                usage(format!("{typed}: no language that is known by this code or name"))
            }
            near => usage(format!("{typed}: no language that is known; perhaps {}", near.join(", "))),
        })
    };
    let (from, to) = (from.map(code).transpose()?, to.map(code).transpose()?);
    let is_inside = |language: &&'static languages::Language| matches!(language.long, "eng" | "fra");
    if let Some(other) = [from, to].into_iter().flatten().find(|language| !is_inside(language)) {
        let code = |language: Option<&'static languages::Language>| match language {
            Some(one) if one.short.is_empty() => one.long,
            Some(one) => one.short,
            None => "xx",
        };
        let (from, to) = (code(from), code(to));
        // the whole way in two steps, unless English is one end of it
        let steps = if from == "en" || to == "en" {
            String::new()
        } else {
            format!(", or --model opus-mt-{from}-en --then opus-mt-en-{to}")
        };
        let mut letters = other.name.chars();
        let initial = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        bail!(
            "the built-in model knows English and French, not {initial}{}: name another, such as --model nllb-600m, or --model opus-mt-{from}-{to}{steps}",
            letters.as_str()
        );
    }
    Ok(())
}

/// Flags over what the model asks for.
fn request(args: &TranslateArgs, model: &Model, direction: &Direction) -> ::translate::Request {
    let usual = ::translate::Request::of(&model.defaults);
    let typed = &args.sampling;
    let draws = typed.temperature.is_some_and(|temperature| temperature > 0.)
        || typed.top_k.is_some()
        || typed.top_p.is_some()
        || typed.min_p.is_some();
    let alternatives = args.alternatives.map_or(1, usize::from);
    let beams = args.beam.map_or(if draws { 1 } else { usual.beams.max(alternatives) }, usize::from);
    ::translate::Request {
        beams,
        sampling: draws.then(|| models::decoding::Sampling {
            temperature: typed.temperature.unwrap_or(1.),
            top_k: typed.top_k.unwrap_or(0),
            top_p: typed.top_p.unwrap_or(1.),
            min_p: typed.min_p.unwrap_or(0.),
            repetition_penalty: typed.repetition_penalty.unwrap_or(1.),
            seed: args.compute.seed(),
        }),
        max_tokens: args.max_tokens.map_or(usual.max_tokens, usize::from),
        length_penalty: args.length_penalty.unwrap_or(usual.length_penalty),
        no_repeat: args.no_repeat.map_or(usual.no_repeat, usize::from),
        alternatives: alternatives.min(beams),
        batch: args.batch.into(),
        on_loop: match args.on_loop {
            crate::cli::OnLoop::Retry => ::translate::OnLoop::Retry,
            crate::cli::OnLoop::Keep => ::translate::OnLoop::Keep,
        },
        prefix: args.prefix.clone().unwrap_or_else(|| model.prefix(direction)),
        ..usual
    }
}

impl Run<'_> {
    fn hops(&self) -> Vec<&Hop> {
        self.models.iter().map(|loaded| &loaded.hop).collect()
    }

    fn kind(&self, source: &Source) -> Kind {
        let by_name = match &source.what {
            What::File(path) => Kind::of(path),
            _ => None,
        };
        self.args.format.map(|format| format.kind()).or(by_name).unwrap_or(Kind::Text)
    }

    fn options(&self) -> document::Options {
        document::Options {
            lossy: self.args.lossy,
            paragraphs: self.args.paragraphs,
            attributes: self.args.attributes,
            keys: self.args.keys.clone(),
            columns: self.args.columns.clone(),
            header: !self.args.no_header,
            line_length: self.args.line_length.map(usize::from),
        }
    }

    /// A document in the other language; nothing where Ctrl-C stopped it. With `out` what is done of a long one is kept
    /// beside it, and what an earlier run has done is taken from there.
    fn document(&self, source: &Source, out: Option<&Path>) -> Result<Option<Made>> {
        let began = Instant::now();
        let name = source.name();
        let bytes = source.read()?;
        let document = Document::parse(self.kind(source), &bytes, &self.options())
            .map_err(|error| anyhow!("{name}: {error}"))?;
        let segments = document.segments();
        self.warn(&name, segments);
        let mut partial = None;
        let mut done = Vec::new();
        // what is done in one go has nothing to be kept on the way
        let at_once = WINDOW * usize::from(self.args.batch);
        if let Some(out) = out.filter(|_| segments.len() > at_once) {
            let key = self.recipe()?.key(&Content::Bytes(bytes))?;
            let (file, earlier) = Partial::open(out, &key)?;
            (partial, done) = (Some(file), earlier);
            done.truncate(segments.len());
            if !done.is_empty() {
                self.progress.status(format!(
                    "{name}: {} of {} were done before",
                    done.len(),
                    segments.len()
                ));
            }
        }
        let size = |segments: &[document::Segment]| -> usize {
            segments.iter().map(|segment| segment.text.len()).sum()
        };
        let bar = self.progress.bar(size(segments) as u64, "translating");
        let hops = self.hops();
        for window in segments[done.len()..].chunks(at_once) {
            let before = size(&segments[..done.len()]);
            let found = ::translate::document::segments(&hops, window, &mut |part| {
                bar.set((before + part) as u64);
                if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .with_context(|| name.clone())?;
            let Some(found) = found else {
                bar.finish();
                if let (Some(_), Some(out)) = (&partial, out) {
                    let kept = Partial::path(out);
                    self.progress
                        .status(format!("stopped; the same command goes on from {}", kept.display()));
                }
                return Ok(None);
            };
            if let Some(partial) = &mut partial {
                partial.add(&found)?;
            }
            done.extend(found);
        }
        bar.finish();
        let (targets, texts): (Vec<document::Target>, Vec<Text>) = done.into_iter().unzip();
        let bytes = document.render(&targets).map_err(|error| anyhow!("{name}: {error}"))?;
        let lines = segments.iter().map(|segment| segment.line);
        Ok(Some(Made { bytes, texts: lines.zip(texts).collect(), seconds: began.elapsed().as_secs_f64() }))
    }

    /// A word where a text is clearly in another language than was said.
    fn warn(&self, name: &str, segments: &[document::Segment]) {
        let Some(said) = self.models[0].hop.direction.from.as_deref().and_then(languages::find) else {
            return;
        };
        let texts: Vec<&str> = segments.iter().map(|segment| segment.text.as_str()).collect();
        if let Some(found) = detect(&texts).filter(|found| found.sure && found.language != said) {
            let (looks, said) = (found.language.name, said.name);
            self.progress.status(format!("{name}: this looks like {looks}, not {said}"));
        }
    }

    /// What decides the outcome, beside the input.
    fn recipe(&self) -> Result<&Recipe> {
        if let Some(recipe) = self.recipe.get() {
            return Ok(recipe);
        }
        let directions: Vec<&Direction> = self.models.iter().map(|loaded| &loaded.hop.direction).collect();
        let requests: Vec<String> =
            self.models.iter().map(|loaded| format!("{:?}", loaded.hop.request)).collect();
        let identity = |loaded: &Loaded| studio::model::identity_of(&loaded.found);
        let models = self.models.iter().map(identity).collect::<Result<Vec<String>>>()?;
        let options = serde_json::json!({
            "directions": format!("{directions:?}"), "requests": requests,
            "format": format!("{:?}", self.args.format), "options": format!("{:?}", self.options()),
            "device": self.args.compute.device.to_string(), "dtype": self.args.compute.dtype.to_string(),
        });
        let recipe = Recipe::new(&models.join(" "), &options, SCHEMA)?;
        Ok(self.recipe.get_or_init(|| recipe))
    }

    fn to_stdout(&self, sources: &[Source]) -> Result<Exit> {
        for source in sources {
            let Some(made) = self.document(source, None)? else { return Ok(Exit::Interrupted) };
            if self.args.output.talk.json {
                self.print_lines(source, &made, None)?;
                continue;
            }
            let text = String::from_utf8_lossy(&made.bytes);
            if source.is_words() {
                print_line(&text)?;
                for (_, text) in &made.texts {
                    for other in text.segments.iter().flat_map(|segment| &segment.alternatives) {
                        print_line(&other.target)?;
                    }
                }
            } else {
                print_text(&text)?;
            }
            self.tell(&made);
        }
        Ok(Exit::Done)
    }

    fn to_file(&self, source: &Source, path: &Path, force: bool) -> Result<Option<PathBuf>> {
        let Some(made) = self.document(source, Some(path))? else { return Ok(None) };
        let mut bytes = made.bytes.clone();
        if source.is_words() {
            bytes.push(b'\n');
        }
        batch::write_bytes(path, &bytes, force)?;
        let partial = Partial::path(path);
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| partial.display().to_string());
            }
            _ => {}
        }
        let told = match self.args.output.talk.json {
            true => self.print_lines(source, &made, Some(path)),
            false => cli::print_path(path),
        };
        // The files are what counts: the rest is written though nobody reads their names.
        told.or_else(|error| if error.is::<cli::StdoutClosed>() { Ok(()) } else { Err(error) })?;
        self.tell(&made);
        Ok(Some(path.to_path_buf()))
    }

    /// What an earlier run has done is skipped, what fails is told and the rest finished.
    fn to_folder(&self, sources: &[Source], folder: &Path) -> Result<Exit> {
        let recipe = self.recipe()?;
        let items = sources.iter().map(Source::item).collect::<Result<Vec<_>>>()?;
        let weights = self.models.iter().map(|loaded| loaded.found.location.bytes()).sum();
        let at = (&self.args.output, &self.args.shares, weights);
        let outcome = cli::each_in(folder, &items, recipe, at, &self.progress, "written", |job| {
            let source = &job.item.payload;
            let extension = match &source.what {
                What::File(path) => path.extension(),
                _ => None,
            };
            let extension = extension.map_or("txt".into(), |extension| extension.to_string_lossy());
            let path = self.to_file(source, &job.output(&extension), job.replace)?;
            Ok(path.map(|path| vec![path]))
        })?;
        Ok(outcome.exit)
    }

    fn print_lines(&self, source: &Source, made: &Made, output: Option<&Path>) -> Result<()> {
        let (first, last) = (&self.models[0], &self.models[self.models.len() - 1]);
        let is_words = source.is_words();
        for (line, text) in &made.texts {
            for segment in &text.segments {
                print_json(&Line {
                    model: &first.found.name,
                    revision: first.found.revision.as_deref(),
                    then: self.models.get(1).map(|loaded| loaded.found.name.as_str()),
                    from: first.hop.direction.from.as_deref(),
                    to: last.hop.direction.to.as_deref(),
                    beam: last.hop.request.beams,
                    seed: last.hop.request.sampling.as_ref().map(|sampling| sampling.seed),
                    input: (!is_words).then(|| source.name()),
                    line: (!is_words).then_some(*line),
                    segment,
                    output: output.map(|path| path.display().to_string()),
                    timings: Timings { load_s: self.load_s, generate_s: made.seconds, ..Timings::default() },
                })?;
            }
        }
        Ok(())
    }

    fn tell(&self, made: &Made) {
        let sentences: usize = made.texts.iter().map(|(_, text)| text.segments.len()).sum();
        let rate = sentences as f64 / made.seconds.max(1e-9);
        self.progress.detail(format!("{sentences} sentences, {rate:.1} a second"));
    }
}
