//! `speech-rec train`: learn from recordings and their words, and say how it goes.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use batch::Content;
use cli::{Exit, Progress, print_json, print_path};
use hub::Location;
use media::chart::{Series, line_chart};
use models::checkpoint::Files;
use models::nets::whisper::Config;
use speech_rec::corpus::{self, Clip, Corpus};
use speech_rec::train::{Plan, Shape, files_beside, measure, new_files, speaks, train, write};
use speech_rec::vocabulary::{Generation, Vocabulary};
use speech_rec::{Model, model};
use training::{Ending, Fitted, Options};

use crate::cli::Train;

/// Minutes of a training that is not told how long.
const MINUTES: f64 = 10.0;
/// Clips that were kept aside, with their words and what the model hears in them.
const HELD_OUT: &str = "held-out.tsv";
/// Of these, so many are heard in the end.
const MEASURED: usize = 500;

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
    let base = args.train.base.as_deref().map(|name| Base::open(name, &progress)).transpose()?;
    let window =
        base.as_ref().map_or(f64::from(args.window), |base| base.config.max_source_positions as f64 / 50.);
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
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    for (name, bytes) in &files {
        batch::write_bytes(&out.join(name), bytes, true)?;
    }
    let plan = plan(args, config, base.as_ref())?;
    let device = models::device::open(&args.compute.device.to_string())?;
    cli::stop_gently();
    let bar = progress.bar(plan.options.steps.unwrap_or(0), "learning");
    let weights = base.as_ref().map(|base| &base.files);
    let fitted = train(&corpus, &vocabulary, &plan, weights, out, &device, &mut |step| {
        if let Some(total) = step.total {
            bar.total(total);
        }
        bar.set(step.step);
        let held_out = step.held_out.map(|loss| format!(", held-out {loss:.3}")).unwrap_or_default();
        let loss = step.loss.map_or("not finite".into(), |loss| format!("{loss:.3}"));
        bar.message(format!("loss {loss}{held_out}, {:.1} windows/s", step.items_per_second));
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
    keep(out, &plan, &fitted, &files)?;
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
    let steps = args.train.steps;
    let minutes = args.train.minutes.or(if steps.is_none() { Some(MINUTES) } else { None });
    let options = Options {
        steps,
        minutes,
        learning_rate: args.train.learning_rate.unwrap_or(if base.is_some() { 1e-4 } else { 1.5e-3 }),
        warmup_steps: steps.map_or(100, |steps| (steps / 10).clamp(1, 200)),
        weight_decay: 0.05,
        held_out_every: steps.map_or(50, |steps| (steps / 13).clamp(5, 200)),
        average: Some(0.998),
        bf16: args.compute.dtype.trains_in_bf16()?,
        seed: args.compute.seed.unwrap_or(0),
        checkpoint_seconds: Some(args.checkpoint),
        ..Options::default()
    };
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

/// The model, and beside it how it was learned. The checkpoint goes last: until then a run can be repeated.
fn keep(out: &Path, plan: &Plan, fitted: &Fitted, beside: &[(String, Vec<u8>)]) -> Result<()> {
    let series = |name: &str, points: &mut dyn Iterator<Item = (u64, f64)>| Series {
        name: name.into(),
        points: points.map(|(step, loss)| (step as f64, loss)).collect(),
    };
    let curves =
        [series("training", &mut fitted.curve.losses()), series("held out", &mut fitted.curve.held_out())];
    let chart = line_chart("Loss", "step", "nats a token", &curves);
    batch::write_bytes(&out.join("curve.csv"), fitted.curve.to_csv().as_bytes(), true)?;
    batch::write_bytes(&out.join("curve.png"), &chart.to_png()?, true)?;
    write(out, plan, fitted, beside)?;
    Ok(training::checkpoint::remove(out)?)
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
