//! `speech-rec train`: learn from recordings and their words, and say how it goes.

use std::ops::ControlFlow;

use anyhow::{Result, anyhow};
use cli::{Exit, Progress, print_json, print_path};
use hub::Location;
use models::checkpoint::Files;
use models::nets::whisper::Config;
use speech_rec::Model;
use speech_rec::corpus::{self, Clip, Corpus};
use speech_rec::train::{Plan, Shape, files_beside, measure, new_files, speaks, train, write};
use speech_rec::vocabulary::{Generation, Vocabulary};
use studio::learning;
use training::{Fitted, Options};

use crate::cli::Train;

/// Clips that were kept aside, with their words and what the model hears in them.
const HELD_OUT: &str = "held-out.tsv";
/// Of these, so many are heard in the end.
const MEASURED: usize = 500;

type Base = learning::Base<Config>;

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let progress = learning::begin(&args.train, &args.compute)?;
    let base = Base::open(&args.train, crate::EMBEDDED, super::WANTS, &progress)?;
    let window = match &base {
        Some(base) => {
            base.config.validate()?;
            base.config.max_source_positions as f64 / 50.
        }
        None => f64::from(args.window),
    };
    let spinner = progress.spinner("looking at the recordings");
    let corpus = corpus::read(&args.train.data, window, args.train.held_out.unwrap_or(0.02));
    spinner.finish();
    let corpus = corpus.map_err(|why| anyhow!(why))?;
    for why in &corpus.skipped {
        progress.detail(format!("left out: {why}"));
    }
    let hours = |clips: &[Clip]| clips.iter().map(|clip| clip.seconds).sum::<f64>() / 3600.;
    progress.status(format!(
        "{} clips ({:.2} hours) to learn, {} held out, {} left out (-v names them)",
        corpus.train.len(),
        hours(&corpus.train),
        corpus.held_out.len(),
        corpus.skipped.len()
    ));
    let files = match &base {
        Some(base) => files_beside(&base.files)?,
        None => tokenizer(args, &corpus, &progress)?,
    };
    let (vocabulary, config) = vocabulary(args, &files, base.as_ref())?;
    speaks(&vocabulary, args.language)?;
    let plan = plan(args, config, base.as_ref())?;
    let (out, device) = (&args.train.out, models::device::open(&args.compute.device.to_string())?);
    learning::prepare(out, &files)?;
    let weights = base.as_ref().map(|base| &base.files);
    let fitted = learning::watch(&progress, &plan.options, "windows", |on_step| {
        train(&corpus, &vocabulary, &plan, weights, out, &device, on_step)
    })?;
    let Some(fitted) = fitted else { return Ok(Exit::Interrupted) };
    learning::keep(out, &fitted, "nats a token", || write(out, &plan, &fitted, &files))?;
    tell(args, &corpus, &fitted, &progress)
}

/// The files of a run that was cut off, or those of a new tokenizer.
fn tokenizer(args: &Train, corpus: &Corpus, progress: &Progress) -> Result<Vec<(String, Vec<u8>)>> {
    let out = &args.train.out;
    if training::checkpoint::path(out).exists() && out.join("tokenizer.json").exists() {
        return files_beside(&Files::Dir(out.clone()));
    }
    let texts: Vec<&str> = corpus.train.iter().map(|clip| clip.text.as_str()).collect();
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    // a token should come often enough to be learned
    let count = args.vocabulary.map_or_else(|| (bytes / 400).clamp(320, 4096), |count| count as usize);
    let spinner = progress.spinner("learning a tokenizer");
    let files = new_files(&texts, count, args.language, args.window.into());
    spinner.finish();
    files
}

/// What ids mean, and the net that has as many of them.
fn vocabulary(
    args: &Train,
    files: &[(String, Vec<u8>)],
    base: Option<&Base>,
) -> Result<(Vocabulary, Config)> {
    if let Some(base) = base {
        let name = "generation_config.json";
        let generation = if base.files.has(name) { base.files.json(name)? } else { Generation::default() };
        let vocabulary = Vocabulary::open(&base.files, &generation, base.config.vocab_size)?;
        return Ok((vocabulary, base.config.clone()));
    }
    let folder = tempfile::tempdir()?;
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let files = Files::Dir(folder.path().to_path_buf());
    let vocabulary = Vocabulary::open(&files, &files.json("generation_config.json")?, usize::MAX)?;
    let window = usize::from(args.window);
    let layers = [args.layers, args.decoder_layers].map(usize::from);
    let count = vocabulary.zero as usize + window * 50 + 1;
    let config =
        Shape { width: args.width, layers, window }.config(count, (vocabulary.start, vocabulary.end));
    config.validate()?;
    Ok((vocabulary, config))
}

fn plan(args: &Train, config: Config, base: Option<&Base>) -> Result<Plan> {
    let usual = learning::options(&args.train, &args.compute, [1.5e-3, 1e-4])?;
    let warmup_steps = usual.steps.map_or(100, |steps| (steps / 10).clamp(1, 200));
    let options = Options { warmup_steps, weight_decay: 0.05, keep_best: false, ..usual };
    Ok(Plan {
        config,
        language: args.language,
        batch: args.train.batch.unwrap_or(16),
        dropout: args.dropout,
        changed: f64::from(args.augment),
        ctc: if base.is_some() { 0. } else { 0.3 },
        base: base.map(Base::identity).transpose()?,
        options,
    })
}

fn tell(args: &Train, corpus: &Corpus, fitted: &Fitted, progress: &Progress) -> Result<Exit> {
    let out = &args.train.out;
    let model = Model::load(&Location::Dir(out.clone()), &args.compute.device.to_string(), "auto")?;
    let step = corpus.held_out.len().div_ceil(MEASURED).max(1);
    let clips: Vec<Clip> = corpus.held_out.iter().step_by(step).cloned().collect();
    let bar = progress.bar(clips.len() as u64, "listening to what was held out");
    let (words, characters, heard) = measure(&model, &clips, args.language, &mut |done| {
        bar.set(done as u64);
        if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    bar.finish();
    let line = |(clip, heard): (&Clip, &String)| {
        format!("{}\t{}\t{}\n", clip.path.display(), clip.text, heard.trim())
    };
    let table: String = clips.iter().zip(&heard).map(line).collect();
    if !clips.is_empty() {
        batch::write_bytes(&out.join(HELD_OUT), format!("path\ttext\theard\n{table}").as_bytes(), true)?;
    }
    let measured = (!heard.is_empty()).then(|| (words.rate(), characters.rate()));
    if args.train.talk.json {
        print_json(&serde_json::json!({
            "model": out.display().to_string(), "seed": args.compute.seed.unwrap_or(0), "steps": fitted.steps,
            "held_out_clips": heard.len(), "wer": measured.map(|rates| rates.0), "cer": measured.map(|rates| rates.1),
            "timings": { "train_s": cli::seconds_since_start() },
        }))?;
        return Ok(Exit::Done);
    }
    if let Some((words, characters)) = measured {
        progress.status(format!(
            "{} held-out clips: {:.1}% of the words wrong, {:.1}% of the characters",
            heard.len(),
            100. * words,
            100. * characters
        ));
    }
    print_path(out)?;
    Ok(Exit::Done)
}
