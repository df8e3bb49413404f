//! `text-gen train`: learn from a user's text, and say how it goes.

use anyhow::{Result, anyhow};
use cli::{Exit, Progress, print_json, print_path};
use hub::Location;
use models::nets::llama::Config;
use models::tokens::{LearnedTokens, Tokens};
use studio::learning::{self, Base};
use text_gen::Model;
use text_gen::corpus::{self, Corpus};
use text_gen::train::{Data, Plan, Shape, learn_tokens, tokenizer_files, train, write};
use training::Fitted;

use crate::cli::Train;

/// What was kept aside is written beside the model, so that anyone can measure on it.
const HELD_OUT: &str = "held-out.txt";

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let progress = learning::begin(&args.train, &args.compute)?;
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
    let base = Base::<Config>::open(&args.train, crate::EMBEDDED, super::WANTS, &progress)?;
    let (config, tokens, files) = match &base {
        Some(base) => {
            base.config.validate()?;
            (base.config.clone(), Tokens::open(&base.files)?, tokenizer_files(&base.files)?)
        }
        None => {
            let learned = tokenizer(args, &corpus, &progress)?;
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
    let plan = Plan {
        config,
        batch: args.train.batch.unwrap_or(8),
        dropout: args.dropout,
        base: base.as_ref().map(Base::identity).transpose()?,
        options: learning::options(&args.train, &args.compute, [2e-3, 3e-4])?,
    };
    let (out, device) = (&args.train.out, models::device::open(&args.compute.device.to_string())?);
    learning::prepare(out, if base.is_none() { &files } else { &[] })?;
    let weights = base.as_ref().map(|base| &base.files);
    let fitted = learning::watch(&progress, &plan.options, "tokens", |on_step| {
        train(&data, &plan, weights, out, &device, on_step)
    })?;
    let Some(fitted) = fitted else { return Ok(Exit::Interrupted) };
    learning::keep(out, &fitted, "nats a token", || {
        if !corpus.held_out.is_empty() {
            batch::write_bytes(&out.join(HELD_OUT), corpus.held_out.concat().as_bytes(), true)?;
        }
        write(out, &plan, &fitted, &files)
    })?;
    tell(args, &corpus, &fitted, &progress)
}

/// The tokenizer of a run that was cut off, or a new one.
fn tokenizer(args: &Train, corpus: &Corpus, progress: &Progress) -> Result<LearnedTokens> {
    let out = &args.train.out;
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
