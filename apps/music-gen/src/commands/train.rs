//! `music-gen train`: learn from a user's music, and say how it goes.

use anyhow::{Result, anyhow};
use cli::{Exit, Progress, print_json, print_path, usage};
use music_gen::corpus::{Corpus, Source};
use music_gen::train::{Plan, Shape, train};
use music_gen::{corpus, measure};
use studio::learning;
use training::Fitted;

use crate::cli::Train;

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let sources = sources(args)?;
    if !args.shares.is_empty() && args.shares.len() != sources.len() {
        return Err(usage(format!(
            "--shares has {} numbers for {} --data",
            args.shares.len(),
            sources.len()
        )));
    }
    if !args.shares.is_empty() && !args.shares.iter().all(|share| share.is_finite() && *share > 0.0) {
        return Err(usage("--shares takes numbers above 0"));
    }
    let progress = learning::begin(&args.train, &args.compute)?;
    let spinner = progress.spinner("reading the pieces");
    let base = args.train.base.as_deref().map(|name| base(name, &progress)).transpose()?;
    let styles = base.as_ref().map(|base| &base.styles);
    let corpus =
        corpus::read(&sources, args.train.held_out.unwrap_or(0.1), styles).map_err(|why| anyhow!(why))?;
    spinner.finish();
    for why in &corpus.skipped {
        progress.detail(format!("left out: {why}"));
    }
    let (learned, kept, left) = (corpus.train.len(), corpus.held_out.len(), corpus.skipped.len());
    progress.status(format!(
        "{learned} pieces to learn, {kept} held out, {left} that could not be read (-v names them)"
    ));
    let plan = plan(args, base.as_ref(), shares(args, &sources, &corpus))?;
    let (out, device) = (&args.train.out, models::device::open(&args.compute.device.to_string())?);
    learning::prepare(out, &[])?;
    let weights = base.as_ref().map(|base| base.weights(&device));
    let fitted = learning::watch(&progress, &plan.options, "tokens", |on_step| {
        Ok(train(&corpus, &plan, weights, out, &device, on_step)?)
    })?;
    let Some(fitted) = fitted else { return Ok(Exit::Interrupted) };
    learning::keep(out, &fitted, "nats a token", || {
        music_gen::save(out, &plan.config, &corpus.styles, &fitted.weights)
    })?;
    tell(args, &corpus, &fitted, &progress)
}

fn sources(args: &Train) -> Result<Vec<Source>> {
    let parse = |path: &std::path::PathBuf| {
        path.to_string_lossy().parse().map_err(|why| usage(format!("--data: {why}")))
    };
    args.train.data.iter().map(parse).collect()
}

/// A model to start from.
struct Base {
    model: music_gen::Stored,
    styles: music_gen::style::Styles,
    config: models::nets::llama::Config,
}

impl Base {
    fn weights(&self, device: &candle_core::Device) -> models::vars::VarBuilder<'static> {
        self.model.weights(candle_core::DType::F32, device)
    }
}

fn base(name: &str, progress: &Progress) -> Result<Base> {
    let model = cli::ModelArgs { model: name.to_string(), offline: false };
    let found = model.resolve(crate::EMBEDDED, super::WANTS, progress)?;
    let model = music_gen::Stored::open(&found.location)?;
    Ok(Base { styles: model.styles()?, config: model.config()?, model })
}

/// The shares in the order of the styles; a style of the base without new data is not shown at all.
fn shares(args: &Train, sources: &[Source], corpus: &Corpus) -> Vec<f64> {
    let of_style = |name: &str| {
        let given = sources.iter().zip(&args.shares).filter(|(source, _)| source.style == name);
        given.map(|(_, share)| share).sum::<f64>()
    };
    if args.shares.is_empty() {
        return Vec::new();
    }
    corpus.styles.styles.iter().map(|style| of_style(&style.name)).collect()
}

fn plan(args: &Train, base: Option<&Base>, shares: Vec<f64>) -> Result<Plan> {
    let shape = Shape { width: args.width, layers: args.layers as usize, context: args.context as usize };
    Ok(Plan {
        config: base.map_or_else(|| shape.config(), |base| base.config.clone()),
        batch: args.train.batch.unwrap_or(4),
        dropout: args.dropout,
        shares,
        base: base.map(|base| base.model.identity()).transpose()?,
        options: learning::options(&args.train, &args.compute, [1.5e-3, 3e-4])?,
    })
}

/// The learned net and an n-gram of the same pieces, on the same held-out ones.
fn tell(args: &Train, corpus: &Corpus, fitted: &Fitted, progress: &Progress) -> Result<Exit> {
    let out = &args.train.out;
    let composer =
        music_gen::load(&hub::Location::Dir(out.clone()), &args.compute.device.to_string(), "auto")?;
    let judged = measure::compare(&composer, corpus, 3).map_err(|why| anyhow!(why))?;
    if args.train.talk.json {
        print_json(&serde_json::json!({
            "model": out.display().to_string(),
            "seed": args.compute.seed.unwrap_or(0),
            "steps": fitted.steps,
            "held_out": judged.map(|(net, _)| net),
            "order_3_ngram": judged.map(|(_, ngram)| ngram),
            "pieces": corpus.train.len(),
            "held_out_pieces": corpus.held_out.len(),
            "timings": { "train_s": cli::seconds_since_start() },
        }))?;
        return Ok(Exit::Done);
    }
    if let Some((net, ngram)) = judged {
        progress.status(format!(
            "held-out pieces: {net:.3} nats a note; an order-3 n-gram of the same: {ngram:.3}"
        ));
    }
    print_path(out)?;
    Ok(Exit::Done)
}
