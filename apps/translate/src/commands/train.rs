//! `translate train`: learn from sentences and their translations, and say how it goes.

use std::ops::ControlFlow;

use ::translate::corpus::{self, Corpus, Pair};
use ::translate::score::{bleu, chrf};
use ::translate::train::{Data, PAD, Plan, Shape, new_files, tokenizer_files, train, write};
use ::translate::{Hop, Model, Request, languages, translate};
use anyhow::{Result, anyhow, bail};
use cli::{Exit, Progress, print_json, print_path};
use hub::Location;
use models::checkpoint::Files;
use models::nets::seq2seq::Config;
use models::tokens::Tokens;
use models::tokens::translation::TranslationTokens;
use studio::learning;
use training::{Fitted, Options};

use crate::cli::Train;

/// Pairs that were kept aside, with what the model makes of them.
const HELD_OUT: &str = "held-out.tsv";

type Base = learning::Base<Config>;

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let progress = learning::begin(&args.train, &args.compute)?;
    let (pairs, skipped) = corpus::read(&args.train.data).map_err(|why| anyhow!(why))?;
    let corpus = corpus::split(pairs, args.train.held_out.unwrap_or(0.02), skipped);
    progress.status(format!(
        "{} pairs to learn, {} held out, {} lines that are no pair",
        corpus.train.len(),
        corpus.held_out.len(),
        corpus.skipped
    ));
    let base = Base::open(&args.train, crate::EMBEDDED, super::WANTS, &progress)?;
    let (files, tokens, config) = match &base {
        Some(base) => {
            base.config.validate()?;
            let tokens = TranslationTokens::open(&base.files, &base.config.model_type)?;
            (tokenizer_files(&base.files)?, tokens, base.config.clone())
        }
        None => new(args, &corpus, &progress)?,
    };
    let plan = plan(args, &tokens, config, base.as_ref())?;
    let spinner = progress.spinner("texts to tokens");
    let data = Data::new(&corpus.train, &corpus.held_out, &tokens, &plan)?;
    spinner.finish();
    progress.status(format!("{} examples, {} that were too long", data.len(), data.left_out));
    let (out, device) = (&args.train.out, models::device::open(&args.compute.device.to_string())?);
    learning::prepare(out, &files)?;
    let weights = base.as_ref().map(|base| &base.files);
    let fitted = learning::watch(&progress, &plan.options, "tokens", |on_step| {
        train(&data, &plan, weights, out, &device, on_step)
    })?;
    let Some(fitted) = fitted else { return Ok(Exit::Interrupted) };
    learning::keep(out, &fitted, "nats a token", || write(out, &plan, &fitted, &files))?;
    tell(args, &plan, &corpus, &fitted, &progress)
}

type Begun = (Vec<(String, Vec<u8>)>, TranslationTokens, Config);

/// The tokenizer of a run that was cut off, or a new one, and a net for it.
fn new(args: &Train, corpus: &Corpus, progress: &Progress) -> Result<Begun> {
    let out = &args.train.out;
    let files = if training::checkpoint::path(out).exists() && out.join("tokenizer.json").exists() {
        tokenizer_files(&Files::Dir(out.clone()))?
    } else {
        let bytes: usize = corpus.train.iter().map(|pair| pair.from.len() + pair.to.len()).sum();
        // a token should come often enough to be learned
        let count = args.vocabulary.map_or_else(|| (bytes / 500).clamp(320, 8192), |count| count as usize);
        let spinner = progress.spinner("learning a tokenizer");
        let files = new_files(&corpus.train, count, [&code(&args.from), &code(&args.to)], !args.one_way)?;
        spinner.finish();
        files
    };
    let folder = tempfile::tempdir()?;
    for (name, bytes) in &files {
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let written = Files::Dir(folder.path().to_path_buf());
    let (ids, tokens) = (Tokens::open(&written)?, TranslationTokens::open(&written, "marian")?);
    let shape = Shape { width: args.width, layers: [args.layers, args.decoder_layers].map(usize::from) };
    let Some(pad) = ids.id(PAD) else { bail!("{}: it has no {PAD}", out.join("tokenizer.json").display()) };
    let config = shape.config(ids.len(), (pad, tokens.end()));
    config.validate()?;
    Ok((files, tokens, config))
}

/// What a new model calls a language: three letters where it is known, else as it was typed.
fn code(typed: &str) -> String {
    languages::find(typed).map_or_else(|| typed.to_lowercase(), |language| language.long.to_string())
}

fn plan(args: &Train, tokens: &TranslationTokens, config: Config, base: Option<&Base>) -> Result<Plan> {
    let known: Vec<&str> = tokens.languages().iter().map(|(code, _)| code.as_str()).collect();
    // a model of one pair has no names for its languages
    let own = |typed: &str| languages::among(&known, typed).map_or_else(|| code(typed), String::from);
    // norms behind the blocks, as Marian has them, bear no more: at 2e-3 a net never learns to look at the source
    let usual = learning::options(&args.train, &args.compute, [5e-4, 2e-4])?;
    let warmup_steps = usual.steps.map_or(200, |steps| (steps / 10).clamp(1, 400));
    Ok(Plan {
        config,
        languages: [own(&args.from), own(&args.to)],
        both_ways: !args.one_way && (base.is_none() || known.len() > 1),
        batch: args.train.batch.unwrap_or(2000),
        dropout: args.dropout,
        base: base.map(Base::identity).transpose()?,
        options: Options { warmup_steps, weight_decay: 0.01, keep_best: false, ..usual },
    })
}

/// The model on the pairs that were kept aside, each way.
fn tell(args: &Train, plan: &Plan, corpus: &Corpus, fitted: &Fitted, progress: &Progress) -> Result<Exit> {
    let out = &args.train.out;
    let mut model = Model::load(&Location::Dir(out.clone()), &args.compute.device.to_string(), "auto")?;
    let [from, to] = &plan.languages;
    let mut ways = vec![(from, to, false)];
    if plan.both_ways {
        ways.push((to, from, true));
    }
    let mut table = String::from("from\tto\tsource\treference\ttranslation\n");
    let mut judged = Vec::new();
    for (from, to, back) in ways.into_iter().filter(|_| !corpus.held_out.is_empty()) {
        let sides = |pair: &Pair| match back {
            false => (pair.from.clone(), pair.to.clone()),
            true => (pair.to.clone(), pair.from.clone()),
        };
        let (sources, right): (Vec<String>, Vec<String>) = corpus.held_out.iter().map(sides).unzip();
        let direction = model.direction(Some(from), Some(to))?;
        let request = Request::of(&model.defaults);
        let hop = Hop { model, direction, request };
        let texts: Vec<&str> = sources.iter().map(String::as_str).collect();
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        let bar = progress.bar(bytes, "translating what was held out");
        let found = translate(&[&hop], &texts, &mut |done| {
            bar.set(done as u64);
            if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        bar.finish();
        if found.len() < texts.len() {
            return Ok(Exit::Interrupted);
        }
        let found: Vec<&str> = found.iter().map(|text| text.target.as_str()).collect();
        let right: Vec<&str> = right.iter().map(String::as_str).collect();
        for ((source, right), found) in texts.iter().zip(&right).zip(&found) {
            table.push_str(&format!("{from}\t{to}\t{source}\t{right}\t{found}\n"));
        }
        judged.push((from, to, bleu(&found, &right).score, chrf(&found, &right)));
        model = hop.model;
    }
    if !judged.is_empty() {
        batch::write_bytes(&out.join(HELD_OUT), table.as_bytes(), true)?;
    }
    if args.train.talk.json {
        let line = |(from, to, bleu, chrf): &(&String, &String, f64, f64)| serde_json::json!({ "from": from, "to": to, "bleu": bleu, "chrf": chrf });
        print_json(&serde_json::json!({
            "model": out.display().to_string(), "seed": args.compute.seed.unwrap_or(0), "steps": fitted.steps,
            "held_out_pairs": corpus.held_out.len(), "scores": judged.iter().map(line).collect::<Vec<_>>(),
            "timings": { "train_s": cli::seconds_since_start() },
        }))?;
        return Ok(Exit::Done);
    }
    for (from, to, bleu, chrf) in judged {
        let count = corpus.held_out.len();
        progress.status(format!("{count} held-out pairs, {from} into {to}: BLEU {bleu:.2}, chrF {chrf:.2}"));
    }
    print_path(out)?;
    Ok(Exit::Done)
}
