//! `music-gen train`: learn from a user's music, and say how it goes.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use cli::{Exit, Progress, print_json, print_path, usage};
use media::chart::{Series, line_chart};
use music_gen::corpus::{Corpus, Source};
use music_gen::train::{Plan, Shape, train};
use music_gen::{corpus, measure};
use training::{Ending, Fitted, Options};

use crate::cli::Train;

/// Minutes of a training that is not told how long.
const MINUTES: f64 = 10.0;

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let out = &args.train.out;
    let sources = sources(args)?;
    let is_model = out.join("config.json").exists() && !training::checkpoint::path(out).exists();
    if is_model && !args.train.force {
        bail!("{}: is a model already; --force replaces it, --base goes on from it", out.display());
    }
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
    args.compute.apply()?;
    // what is refused is refused before anything is read
    args.compute.dtype.trains_in_bf16()?;
    let progress = Progress::new(&args.train.talk);
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
    let device = models::device::open(&args.compute.device.to_string())?;
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    cli::stop_gently();
    let weights = base.as_ref().map(|base| base.weights(&device));
    let bar = progress.bar(plan.options.steps.unwrap_or(0), "learning");
    let fitted = train(&corpus, &plan, weights, out, &device, &mut |step| {
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
    write(out, &plan, &corpus, &fitted)?;
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
    let steps = args.train.steps;
    let minutes = args.train.minutes.or(if steps.is_none() { Some(MINUTES) } else { None });
    let options = Options {
        steps,
        minutes,
        learning_rate: args.train.learning_rate.unwrap_or(if base.is_some() { 3e-4 } else { 1.5e-3 }),
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
        config: base.map_or_else(|| shape.config(), |base| base.config.clone()),
        batch: args.train.batch.unwrap_or(4),
        dropout: args.dropout,
        shares,
        base: base.map(|base| base.model.identity()).transpose()?,
        options,
    })
}

/// The model, and beside it how it was learned. The checkpoint goes last: until then a run can be repeated.
fn write(out: &Path, plan: &Plan, corpus: &Corpus, fitted: &Fitted) -> Result<()> {
    let series = |name: &str, points: Vec<(f64, f64)>| Series { name: name.into(), points };
    let points = |points: &mut dyn Iterator<Item = (u64, f64)>| -> Vec<(f64, f64)> {
        points.map(|(step, loss)| (step as f64, loss)).collect()
    };
    let chart = line_chart(
        "Loss",
        "step",
        "nats a token",
        &[
            series("training", points(&mut fitted.curve.losses())),
            series("held out", points(&mut fitted.curve.held_out())),
        ],
    );
    batch::write_bytes(&out.join("curve.csv"), fitted.curve.to_csv().as_bytes(), true)?;
    batch::write_bytes(&out.join("curve.png"), &chart.to_png()?, true)?;
    music_gen::save(out, &plan.config, &corpus.styles, &fitted.weights)?;
    Ok(training::checkpoint::remove(out)?)
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
