//! `text-gen train`: learn from a user's text, and say how it goes.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use batch::Content;
use cli::{Exit, Progress, print_json, print_path};
use hub::Location;
use media::chart::{Series, line_chart};
use models::checkpoint::Files;
use models::nets::llama::Config;
use models::tokens::{LearnedTokens, Tokens};
use text_gen::corpus::{self, Corpus};
use text_gen::train::{Data, Plan, Shape, learn_tokens, tokenizer_files, train, write};
use text_gen::{Model, model};
use training::{Ending, Fitted, Options};

use crate::cli::Train;

/// Minutes of a training that is not told how long.
const MINUTES: f64 = 10.0;
/// What was kept aside is written beside the model, so that anyone can measure on it.
const HELD_OUT: &str = "held-out.txt";

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let out = &args.train.out;
    let is_model = out.join("config.json").exists() && !training::checkpoint::path(out).exists();
    if is_model && !args.train.force {
        bail!("{}: is a model already; --force replaces it, --base goes on from it", out.display());
    }
    args.compute.apply()?;
    // what is refused is refused before anything is read
    args.compute.dtype.trains_in_bf16()?;
    let progress = Progress::new(&args.train.talk);
    let spinner = progress.spinner("reading the texts");
    let corpus =
        corpus::read(&args.train.data, args.train.held_out.unwrap_or(0.05)).map_err(|why| anyhow!(why))?;
    spinner.finish();
    for why in &corpus.skipped {
        progress.detail(format!("left out: {why}"));
    }
    let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    let (learned, kept) = (bytes(&corpus.train), bytes(&corpus.held_out));
    let left = corpus.skipped.len();
    progress.status(format!(
        "{learned} bytes to learn, {kept} held out, {left} files that could not be read (-v names them)"
    ));
    let base = args.train.base.as_deref().map(|name| Base::open(name, &progress)).transpose()?;
    let (config, tokens, files) = match &base {
        Some(base) => (base.config.clone(), Tokens::open(&base.files)?, tokenizer_files(&base.files)?),
        None => {
            let learned = tokenizer(args, &corpus, out, &progress)?;
            let shape =
                Shape { width: args.width, layers: args.layers as usize, context: args.context as usize };
            let (config, files) = (shape.config(&learned), learned.files(shape.context));
            (config, learned.tokens, files)
        }
    };
    let spinner = progress.spinner("texts to tokens");
    let data = Data::new(&corpus, &tokens, &config)?;
    spinner.finish();
    progress.status(format!("{} tokens of {} kinds", data.train.len(), tokens.len()));
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    if base.is_none() {
        // kept for when this run is cut off
        for (name, bytes) in &files {
            batch::write_bytes(&out.join(name), bytes, true)?;
        }
    }
    let plan = plan(args, config, base.as_ref())?;
    let device = models::device::open(&args.compute.device.to_string())?;
    cli::stop_gently();
    let bar = progress.bar(plan.options.steps.unwrap_or(0), "learning");
    let fitted = train(&data, &plan, base.as_ref().map(|base| &base.files), out, &device, &mut |step| {
        if let Some(total) = step.total {
            bar.total(total);
        }
        bar.set(step.step);
        let held_out = step.held_out.map(|loss| format!(", held-out {loss:.3}")).unwrap_or_default();
        let loss = step.loss.map_or("not finite".into(), |loss| format!("{loss:.3}"));
        bar.message(format!("loss {loss}{held_out}, {:.0} tokens/s", step.items_per_second));
        if !held_out.is_empty() {
            progress.detail(format!("step {}: loss {loss}{held_out}", step.step));
        }
        if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish();
    if fitted.ending == Ending::Interrupted {
        progress.status(format!("stopped at step {}; the same command goes on from there", fitted.steps));
        return Ok(Exit::Interrupted);
    }
    keep(out, &plan, &corpus, &fitted, &files)?;
    tell(args, &corpus, &fitted, &progress)
}

/// A model to start from.
struct Base {
    files: Files,
    config: Config,
}

impl Base {
    fn open(name: &str, progress: &Progress) -> Result<Self> {
        let asked = cli::ModelArgs { model: name.to_string(), offline: false };
        let found = asked.resolve(crate::EMBEDDED, super::WANTS, progress)?;
        let files = match found.location {
            Location::Dir(folder) => Files::Dir(folder),
            Location::Embedded(files) => Files::Static(files),
            Location::File(path) => bail!(
                "{}: training starts from a folder with config.json and model.safetensors, not from one file",
                path.display()
            ),
        };
        let config: Config = files.json("config.json")?;
        config.validate()?;
        Ok(Self { files, config })
    }

    /// What changes when the weights do.
    fn identity(&self) -> Result<String> {
        let content = match &self.files {
            Files::Dir(folder) if folder.join(model::WEIGHTS).exists() => {
                Content::File(folder.join(model::WEIGHTS))
            }
            files => Content::Bytes(
                files.read(if files.has(model::WEIGHTS) { model::WEIGHTS } else { model::INDEX }, 1 << 30)?,
            ),
        };
        Ok(content.digest()?.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The tokenizer of a run that was cut off, or a new one.
fn tokenizer(args: &Train, corpus: &Corpus, out: &Path, progress: &Progress) -> Result<LearnedTokens> {
    let path = out.join("tokenizer.json");
    if training::checkpoint::path(out).exists() && path.exists() {
        return Ok(LearnedTokens::read(std::fs::read(&path)?)?);
    }
    let bytes: usize = corpus.train.iter().map(String::len).sum();
    // a token should come often enough to be learned
    let count = args.vocabulary.map_or_else(|| (bytes / 500).clamp(512, 8192), |count| count as usize);
    let spinner = progress.spinner("learning a tokenizer");
    let learned = learn_tokens(corpus, count)?;
    spinner.finish();
    Ok(learned)
}

fn plan(args: &Train, config: Config, base: Option<&Base>) -> Result<Plan> {
    let steps = args.train.steps;
    let minutes = args.train.minutes.or(if steps.is_none() { Some(MINUTES) } else { None });
    let options = Options {
        steps,
        minutes,
        learning_rate: args.train.learning_rate.unwrap_or(if base.is_some() { 3e-4 } else { 2e-3 }),
        warmup_steps: steps.map_or(100, |steps| (steps / 10).clamp(1, 100)),
        held_out_every: steps.map_or(50, |steps| (steps / 13).clamp(5, 200)),
        average: Some(0.998),
        keep_best: true,
        bf16: args.compute.dtype.trains_in_bf16()?,
        seed: args.compute.seed.unwrap_or(0),
        checkpoint_seconds: Some(args.checkpoint),
        ..Options::default()
    };
    Ok(Plan {
        config,
        batch: args.train.batch.unwrap_or(8),
        dropout: args.dropout,
        base: base.map(Base::identity).transpose()?,
        options,
    })
}

/// The model, and beside it how it was learned. The checkpoint goes last: until then a run can be repeated.
fn keep(
    out: &Path,
    plan: &Plan,
    corpus: &Corpus,
    fitted: &Fitted,
    tokenizer: &[(String, Vec<u8>)],
) -> Result<()> {
    let series = |name: &str, points: &mut dyn Iterator<Item = (u64, f64)>| Series {
        name: name.into(),
        points: points.map(|(step, loss)| (step as f64, loss)).collect(),
    };
    let curves =
        [series("training", &mut fitted.curve.losses()), series("held out", &mut fitted.curve.held_out())];
    let chart = line_chart("Loss", "step", "nats a token", &curves);
    batch::write_bytes(&out.join("curve.csv"), fitted.curve.to_csv().as_bytes(), true)?;
    batch::write_bytes(&out.join("curve.png"), &chart.to_png()?, true)?;
    if !corpus.held_out.is_empty() {
        batch::write_bytes(&out.join(HELD_OUT), corpus.held_out.concat().as_bytes(), true)?;
    }
    write(out, plan, fitted, tokenizer)?;
    Ok(training::checkpoint::remove(out)?)
}

fn tell(args: &Train, corpus: &Corpus, fitted: &Fitted, progress: &Progress) -> Result<Exit> {
    let out = &args.train.out;
    let model = Model::load(&Location::Dir(out.clone()), &args.compute.device.to_string(), "auto")?;
    let held_out = corpus.held_out.concat();
    let score = if held_out.len() > 1 { Some(model.score(&held_out, None, &mut |_, _| {})?) } else { None };
    if args.train.talk.json {
        print_json(&serde_json::json!({
            "model": out.display().to_string(), "seed": args.compute.seed.unwrap_or(0), "steps": fitted.steps,
            "held_out_bytes": held_out.len(), "bits_per_byte": score.map(|score| score.bits_per_byte()),
            "perplexity": score.map(|score| score.perplexity()),
            "timings": { "train_s": cli::seconds_since_start() },
        }))?;
        return Ok(Exit::Done);
    }
    if let Some(score) = score {
        progress.status(format!(
            "held-out text: {:.3} bits per byte, perplexity {:.2} a token",
            score.bits_per_byte(),
            score.perplexity()
        ));
    }
    print_path(out)?;
    Ok(Exit::Done)
}
