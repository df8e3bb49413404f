//! `text-gen [PROMPT...]`: an answer to each, with one load of the model.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use batch::{Item, Recipe};
use cli::{Exit, Progress, Source, Target, Timings, Typed, What, print_json, print_line, print_text, usage};
use hub::Resolved;
use models::decoding::{Constraint, LogitFilter, Sampling};
use models::tokens::chat::Message;
use serde::Serialize;
use text_gen::{Answer, Finish, Model, Prompt, Session};

use crate::cli::GenerateArgs;

/// Grows when the form of the output does.
const SCHEMA: u32 = 1;

/// The files of a folder that are prompts.
const EXTENSIONS: &[&str] = &["txt", "md", "text", "json"];

/// One answer to make.
#[derive(Debug, Clone)]
struct Task {
    /// What it is called in a folder: of several answers each has its number behind.
    id: String,
    source: Source,
    seed: u64,
}

struct Run<'a> {
    args: &'a GenerateArgs,
    model: Model,
    found: Resolved,
    constraint: Option<Constraint>,
    progress: Progress,
    load_s: f64,
}

/// An answer and what it was made from.
struct Made {
    ids: Vec<u32>,
    answer: Answer,
    /// Whether it is all that a constraint asked for.
    whole: bool,
    sampling: Sampling,
}

impl Made {
    /// An answer that was cut before it was what the constraint asked for is none.
    fn check(&self) -> Result<()> {
        match self.whole {
            true => Ok(()),
            false => bail!(
                "the answer was cut after {} tokens, before it was whole: raise --max-tokens, or bound the schema",
                self.answer.ids.len()
            ),
        }
    }

    /// Tokens a second once the prompt was read.
    fn rate(&self) -> f64 {
        let steps = self.answer.ids.len().saturating_sub(1) as f64;
        steps / (self.answer.seconds - self.answer.prompt_seconds).max(1e-9)
    }
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    model: &'a str,
    revision: Option<&'a str>,
    seed: u64,
    sampling: &'a Sampling,
    beam: usize,
    prompt: &'a str,
    prompt_ids: &'a [u32],
    ids: &'a [u32],
    text: &'a str,
    finish: Finish,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    timings: Timings,
}

/// Generates what was asked for.
pub fn run(args: &GenerateArgs) -> Result<Exit> {
    args.shares.fit(&args.output.target())?;
    args.compute.apply()?;
    let tasks = tasks(args)?;
    let target = args.output.target();
    match &target {
        Target::File(path) if tasks.len() > 1 => {
            return Err(usage(format!(
                "-o {}: {} answers need a folder: -o DIR/",
                path.display(),
                tasks.len()
            )));
        }
        Target::File(path) if path.exists() && !args.output.force => {
            bail!("{}: exists; --force overwrites it", path.display());
        }
        _ => {}
    }
    let schema = args.json_schema.as_deref().map(schema).transpose()?;
    let progress = Progress::new(&args.output.talk);
    let began = Instant::now();
    let (model, found) = super::load(&args.model, &args.compute, &progress)?;
    let load_s = began.elapsed().as_secs_f64();
    let constraint = constraint(args, schema, &model)?;
    let run = Run { args, model, found, constraint, progress, load_s };
    match target {
        Target::Folder(folder) => run.to_folder(&tasks, &folder),
        Target::File(path) => run.to_file(&tasks[0], &path, args.output.force).map(|_| Exit::Done),
        Target::Stdout | Target::Default => run.to_stdout(&tasks),
    }
}

fn tasks(args: &GenerateArgs) -> Result<Vec<Task>> {
    let typed = Typed { extensions: EXTENSIONS, ..args.shares.typed(&args.prompts, &args.text) };
    let mut sources = match &args.messages {
        Some(path) => typed.files(std::slice::from_ref(path))?,
        None => typed.sources()?,
    };
    if sources.is_empty() {
        sources.push(if cli::stdin_is_piped() { Source::stdin() } else { Source::words("") });
    }
    let (seed, count) = (args.compute.seed(), args.count.unwrap_or(1) as u64);
    let each = |source: Source| {
        (0..count).map(move |number| Task {
            id: if count > 1 { format!("{}-{}", source.id, number + 1) } else { source.id.clone() },
            source: source.clone(),
            seed: seed.wrapping_add(number),
        })
    };
    Ok(sources.into_iter().flat_map(each).collect())
}

/// A schema, in a file or as it is.
fn schema(word: &str) -> Result<serde_json::Value> {
    let (text, name) = match Path::new(word).is_file() || !word.trim_start().starts_with(['{', 't', 'f']) {
        true => (read(Path::new(word))?, word),
        false => (word.to_string(), "--json-schema"),
    };
    serde_json::from_str(&text).with_context(|| format!("{name}: not JSON"))
}

fn constraint(
    args: &GenerateArgs,
    schema: Option<serde_json::Value>,
    model: &Model,
) -> Result<Option<Constraint>> {
    let Some(end) = model.defaults.ends().first().copied() else {
        return match schema.is_some() || args.regex.is_some() {
            true => bail!("this model has no token that ends a text, so no text of it can be a whole one"),
            false => Ok(None),
        };
    };
    let vocabulary = model.config.vocab_size;
    Ok(match (schema, &args.regex) {
        (Some(schema), _) => Some(Constraint::json_schema(schema, &model.tokens, vocabulary, end)?),
        (None, Some(expression)) => Some(Constraint::regex(expression, &model.tokens, vocabulary, end)?),
        (None, None) => None,
    })
}

/// The text of a file, without the line break that ends its last line.
fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    text(bytes).with_context(|| path.display().to_string())
}

fn text(bytes: Vec<u8>) -> Result<String> {
    let mut text = String::from_utf8(bytes).context("not UTF-8 text")?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

impl Run<'_> {
    fn prompt(&self, task: &Task) -> Result<(String, Prompt)> {
        let bytes = task.source.read()?;
        let words = match &task.source.what {
            What::Words(words) => words.clone(),
            _ => text(bytes).with_context(|| task.source.name())?,
        };
        if self.args.messages.is_some() {
            let messages: Vec<Message> = serde_json::from_str(&words).with_context(|| task.source.name())?;
            return Ok((words, Prompt::Messages(messages)));
        }
        // nothing to answer: even a model that answers begins a text of its own
        let raw = self.args.raw || words.is_empty();
        let prompt = Prompt::of(&words, self.args.system.as_deref(), raw, &self.model)?;
        Ok((words, prompt))
    }

    /// The answer, told as it comes.
    fn answer(&self, ids: Vec<u32>, seed: u64, on_text: &mut dyn FnMut(&str) -> bool) -> Result<Made> {
        let request = super::request(self.args, &self.model, seed);
        let mut session = Session::new(&self.model);
        let filter = self.constraint.as_ref().map(|constraint| constraint.filter(ids.len()));
        let filters =
            filter.into_iter().map(|filter| Box::new(filter) as Box<dyn LogitFilter + Send>).collect();
        let answer = self.model.generate(&ids, &request, filters, &mut session, on_text)?;
        let whole = self.constraint.as_ref().is_none_or(|constraint| constraint.accepts(&answer.ids));
        Ok(Made { ids, answer, whole, sampling: request.sampling })
    }

    fn to_stdout(&self, tasks: &[Task]) -> Result<Exit> {
        for (number, task) in tasks.iter().enumerate() {
            let (words, prompt) = self.prompt(task)?;
            let ids = prompt.ids(&self.model)?;
            if self.args.output.talk.json {
                let made = self.answer(ids, task.seed, &mut |_| true)?;
                print_json(&self.line(task, &words, &made, None))?;
                made.check()?;
                continue;
            }
            if number > 0 {
                print_line("")?;
            }
            // a text goes on behind its own words, an answer stands alone
            if matches!(prompt, Prompt::Text(_)) {
                print_text(&words)?;
            }
            let mut closed = None;
            let made = self.answer(ids, task.seed, &mut |text| {
                closed = print_text(text).err();
                closed.is_none()
            })?;
            if let Some(error) = closed {
                return Err(error);
            }
            print_line("")?;
            made.check()?;
            let (count, rate) = (made.answer.ids.len(), made.rate());
            self.progress.detail(format!("{count} tokens, {rate:.0} a second, seed {}", task.seed));
        }
        Ok(Exit::Done)
    }

    fn to_file(&self, task: &Task, path: &Path, force: bool) -> Result<Vec<PathBuf>> {
        let (words, prompt) = self.prompt(task)?;
        let spinner = self.progress.spinner("writing");
        let made = self.answer(prompt.ids(&self.model)?, task.seed, &mut |_| true)?;
        spinner.finish();
        made.check()?;
        let begins = if matches!(prompt, Prompt::Text(_)) { words.as_str() } else { "" };
        batch::write_bytes(path, format!("{begins}{}\n", made.answer.text).as_bytes(), force)?;
        let told = match self.args.output.talk.json {
            true => print_json(&self.line(task, &words, &made, Some(path))),
            false => cli::print_path(path),
        };
        // The file is what counts: of many answers the rest is written though nobody reads their names.
        told.or_else(|error| if error.is::<cli::StdoutClosed>() { Ok(()) } else { Err(error) })?;
        Ok(vec![path.to_path_buf()])
    }

    /// One item an answer: what an earlier run has done is skipped, what fails is told and the rest finished.
    fn to_folder(&self, tasks: &[Task], folder: &Path) -> Result<Exit> {
        let request = super::request(self.args, &self.model, 0);
        let options = serde_json::json!({
            "request": format!("{request:?}"), "seed": self.args.compute.seed, "raw": self.args.raw,
            "system": self.args.system, "device": self.args.compute.device.to_string(),
            "dtype": self.args.compute.dtype.to_string(), "regex": self.args.regex,
            "json_schema": self.args.json_schema.as_deref().map(schema).transpose()?,
            "messages": self.args.messages.is_some(),
        });
        let recipe = Recipe::new(&studio::model::identity_of(&self.found)?, &options, SCHEMA)?;
        let item = |task: &Task| {
            let Item { content, .. } = task.source.item()?;
            Ok(Item { id: task.id.clone(), content, payload: task.clone() })
        };
        let items = tasks.iter().map(item).collect::<Result<Vec<Item<Task>>>>()?;
        let at = (&self.args.output, &self.args.shares, self.found.location.bytes());
        let outcome = cli::each_in(folder, &items, &recipe, at, &self.progress, "written", |job| {
            self.to_file(&job.item.payload, &job.output("txt"), job.replace).map(Some)
        })?;
        Ok(outcome.exit)
    }

    fn line<'a>(&'a self, task: &Task, words: &'a str, made: &'a Made, output: Option<&Path>) -> Line<'a> {
        let Made { ids, answer, sampling, .. } = made;
        let entry = |top: &Vec<_>| serde_json::json!({ "top": top });
        Line {
            model: &self.found.name,
            revision: self.found.revision.as_deref(),
            seed: task.seed,
            sampling,
            beam: self.args.beam.unwrap_or(1) as usize,
            prompt: words,
            prompt_ids: ids,
            ids: &answer.ids,
            text: &answer.text,
            finish: answer.finish,
            score: answer.score,
            logprobs: self.args.logprobs.map(|_| answer.logprobs.iter().map(entry).collect()),
            output: output.map(|path| path.display().to_string()),
            timings: Timings { load_s: self.load_s, generate_s: answer.seconds, ..Timings::default() }
                .with("prompt_s", answer.prompt_seconds)
                .with("prompt_tokens_per_s", ids.len() as f64 / answer.prompt_seconds.max(1e-9))
                .with("tokens_per_s", made.rate()),
        }
    }
}
