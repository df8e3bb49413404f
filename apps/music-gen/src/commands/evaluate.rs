//! `music-gen evaluate`: the tables of a model card.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, anyhow};
use cli::{Exit, Progress, print_json, print_text, usage};
use music_gen::{corpus, measure};

use crate::cli::Evaluate;

/// Measures and prints.
pub fn run(args: &Evaluate) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let (composer, found) = super::load(&args.model, &args.compute, &progress)?;
    let (style, _) = composer.styles.find(args.style.as_deref()).map_err(usage)?;
    let spinner = progress.spinner("reading the pieces");
    let corpus =
        corpus::read(&args.data, args.held_out, Some(&composer.styles)).map_err(|why| anyhow!(why))?;
    spinner.finish();
    let plan = measure::Plan {
        style: args.style.clone(),
        count: args.count as usize,
        sampling: super::sampling(&args.sampling, args.compute.seed()),
    };
    let melodies = corpus.held_out.iter().filter(|example| example.style == style).count() as u64;
    let bar = progress.bar(args.count as u64 + melodies, "composing");
    let done = AtomicU64::new(0);
    let report = measure::report(&composer, &corpus, &plan, &|| {
        bar.set(done.fetch_add(1, Ordering::Relaxed) + 1);
    });
    bar.finish();
    let report = report.map_err(|why| anyhow!(why))?;
    if args.talk.json {
        print_json(
            &serde_json::json!({ "model": found.name, "seed": args.compute.seed(), "report": report }),
        )?;
    } else {
        print_text(&report)?;
    }
    Ok(Exit::Done)
}
