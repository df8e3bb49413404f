//! `image-gen train`: learn from a user's pictures, and show how it goes.

use std::path::Path;

use anyhow::{Result, bail};
use cli::{Exit, Progress, print_json, print_path};
use image_gen::corpus::{self, Corpus};
use image_gen::train::{Nets, Plan, Shape, learn_tokens, train, write};
use media::image_file::{Format, Pixels};
use models::checkpoint::Files;
use models::tokens::ClipTokens;
use studio::learning::{self, Base};
use training::{Fitted, Options};

use crate::cli::Train;

/// Pictures of the sheet that is written on the way.
const SHEET: usize = 32;
/// Parts of a batch that are computed side by side, at most.
const PARTS: usize = 2;
/// In a row of it.
const COLUMNS: u32 = 8;
/// How often each of its pixels stands in a row.
const SCALE: u32 = 2;
/// Behind and between its pictures.
const GROUND: [u8; 3] = [96, 96, 112];

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    let progress = learning::begin(&args.train, &args.compute)?;
    let base = Base::<serde_json::Value>::open(&args.train, crate::EMBEDDED, super::WANTS, &progress)?;
    let known = base.as_ref().map(|base| Nets::open(&base.files)).transpose()?;
    let size = known.as_ref().map_or(args.size, Nets::size);
    let spinner = progress.spinner("reading the pictures");
    let corpus = corpus::read(&args.train.data, size, args.train.held_out.unwrap_or(0.05))?;
    spinner.finish();
    for why in &corpus.skipped {
        progress.detail(format!("left out: {why}"));
    }
    progress.status(format!(
        "{} captioned pictures to learn, {} held out, {} files that could not be read (-v names them)",
        corpus.train.len(),
        corpus.held_out.len(),
        corpus.skipped.len()
    ));
    let out = &args.train.out;
    let tokenizer = match &base {
        Some(base) => tokenizer_files(&base.files.below("tokenizer"))?,
        None if training::checkpoint::path(out).exists() => {
            tokenizer_files(&Files::Dir(out.join("tokenizer")))?
        }
        None => learn_tokens(&corpus)?,
    };
    learning::prepare(&out.join("tokenizer"), &tokenizer)?;
    let tokens = ClipTokens::open(&Files::Dir(out.join("tokenizer")))?;
    let nets = match known {
        Some(nets) => nets,
        None => {
            let transparent = corpus.train.iter().any(|example| !example.pixels.is_opaque());
            let shape = Shape { size, channels: if transparent { 4 } else { 3 }, width: args.width };
            shape.nets(&tokens)
        }
    };
    let batch = args.train.batch.unwrap_or(16);
    let options = learning::options(&args.train, &args.compute, [8e-4, 2e-4])?;
    let options = Options {
        micro_batches: parts(batch),
        weight_decay: 0.01,
        average: Some(0.999),
        keep_best: false,
        ..options
    };
    let plan = Plan {
        nets,
        tokens,
        batch: batch / parts(batch),
        mirror: args.mirror,
        base: base.as_ref().map(|base| studio::model::identity(&base.files.below("unet"))).transpose()?,
        prompts: prompts(args, &corpus),
        options,
    };
    let device = models::device::open(&args.compute.device.to_string())?;
    let weights = base.as_ref().map(|base| &base.files);
    let mut on_sheet = |pictures: &[Pixels]| {
        draw_sheet(&out.join("samples.png"), pictures).map_err(|why| candle_core::Error::Msg(why.to_string()))
    };
    let fitted = learning::watch(&progress, &plan.options, "pictures", |on_step| {
        train(&corpus, &plan, weights, out, &device, &mut on_sheet, on_step)
    })?;
    let Some(fitted) = fitted else { return Ok(Exit::Interrupted) };
    learning::keep(out, &fitted, "weighted squared error", || write(out, &plan, &fitted, &tokenizer))?;
    tell(args, &corpus, &fitted, &progress)
}

/// In how many parts a batch is computed, of four pictures or more each.
fn parts(batch: usize) -> usize {
    (1..=PARTS).rev().find(|parts| batch.is_multiple_of(*parts) && batch / parts >= 4).unwrap_or(1)
}

/// What the sheet shows: what was asked for, or captions from all over the data.
fn prompts(args: &Train, corpus: &Corpus) -> Vec<String> {
    if !args.samples.is_empty() {
        return args.samples.clone();
    }
    let mut captions: Vec<String> = corpus.train.iter().map(|example| example.caption.clone()).collect();
    captions.dedup();
    let stride = (captions.len() / SHEET).max(1);
    captions.into_iter().step_by(stride).cycle().take(SHEET).collect()
}

fn draw_sheet(path: &Path, pictures: &[Pixels]) -> Result<()> {
    let shown: Vec<Pixels> = pictures.iter().map(|picture| picture.over(GROUND).enlarged(SCALE)).collect();
    let [red, green, blue] = GROUND;
    let sheet = Pixels::sheet(&shown, COLUMNS, 4, [red, green, blue, 255]);
    batch::write_bytes(path, &sheet.encode(Format::Png, &[])?, true)?;
    Ok(())
}

/// The files of a tokenizer's folder, to travel with what is learned.
fn tokenizer_files(files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    const NAMES: [&str; 5] =
        ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];
    let there = NAMES.into_iter().filter(|name| files.has(name));
    let found: Vec<(String, Vec<u8>)> =
        there.map(|name| Ok((name.to_string(), files.read(name, 1 << 26)?))).collect::<Result<_>>()?;
    if found.is_empty() {
        bail!("{}: no tokenizer", files.describe("vocab.json"));
    }
    Ok(found)
}

fn tell(args: &Train, corpus: &Corpus, fitted: &Fitted, progress: &Progress) -> Result<Exit> {
    let out = &args.train.out;
    if args.train.talk.json {
        print_json(&serde_json::json!({
            "model": out, "steps": fitted.steps, "pictures": corpus.train.len(), "held_out_loss": fitted.held_out,
        }))?;
    } else {
        print_path(out)?;
    }
    progress.status(format!("image-gen --model {} \"WORDS\" makes pictures with it", out.display()));
    Ok(Exit::Done)
}
