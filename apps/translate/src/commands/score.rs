//! `translate score`: BLEU and chrF against translations that are right.

use std::ops::ControlFlow;
use std::path::Path;

use ::translate::score::{bleu, chrf};
use ::translate::{Hop, Request, translate};
use anyhow::{Context, Result, bail};
use cli::{Exit, Progress, print_json, print_line};

use crate::cli::Score;

/// Compares line by line.
pub fn run(args: &Score) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let (found, right) = (text(&args.input)?, text(&args.reference)?);
    let (mut found, right): (Vec<String>, Vec<&str>) =
        (found.lines().map(String::from).collect(), right.lines().collect());
    if found.len() != right.len() || found.is_empty() {
        bail!(
            "{} has {} lines and {} has {}: they must go line by line",
            args.input.display(),
            found.len(),
            args.reference.display(),
            right.len()
        );
    }
    if args.translate {
        let (model, _) = super::load(&args.model, &args.compute, &progress)?;
        let direction = model.direction(args.from.as_deref(), args.to.as_deref())?;
        let usual = Request::of(&model.defaults);
        let request = Request { beams: args.beam.map_or(usual.beams, usize::from), ..usual };
        let bytes = found.iter().map(|line| line.len() as u64).sum();
        let bar = progress.bar(bytes, "translating");
        let lines: Vec<&str> = found.iter().map(String::as_str).collect();
        let texts = translate(&[&Hop { model, direction, request }], &lines, &mut |done| {
            bar.set(done as u64);
            if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        bar.finish();
        if texts.len() < found.len() {
            return Ok(Exit::Interrupted);
        }
        found = texts.into_iter().map(|text| text.target).collect();
        for (found, right) in found.iter().zip(&right) {
            progress.detail(format!("{right} | {found}"));
        }
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let (bleu, chrf) = (bleu(&found, &right), chrf(&found, &right));
    if args.talk.json {
        print_json(&serde_json::json!({
            "input": args.input.display().to_string(), "reference": args.reference.display().to_string(),
            "lines": right.len(), "bleu": bleu, "chrf": chrf,
        }))?;
        return Ok(Exit::Done);
    }
    let [one, two, three, four] = bleu.precisions;
    print_line(format!(
        "BLEU {:.2} ({one:.1}/{two:.1}/{three:.1}/{four:.1}, brevity {:.3}, {} words for {})",
        bleu.score, bleu.brevity_penalty, bleu.found, bleu.right
    ))?;
    print_line(format!("chrF {chrf:.2}"))?;
    Ok(Exit::Done)
}

fn text(path: &Path) -> Result<String> {
    let bytes = if path.as_os_str() == "-" {
        cli::read_stdin()?
    } else {
        std::fs::read(path).with_context(|| path.display().to_string())?
    };
    String::from_utf8(bytes).map_err(|error| {
        anyhow::anyhow!("{}: not UTF-8 text at byte {}", path.display(), error.utf8_error().valid_up_to())
    })
}
