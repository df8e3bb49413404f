//! `image-gen evaluate`: the table of a model card.

use anyhow::{Result, bail};
use cli::{Exit, Progress, print_json, print_text};
use image_gen::corpus::{self, Example};
use image_gen::evaluate::{COPY, Judge, frechet, nearest};
use image_gen::{Autoencoder, Model, Request};
use media::image_file::Pixels;
use serde::Serialize;
use std::ops::ControlFlow;
use training::Rng;

use crate::cli::Evaluate;

/// What was measured.
#[derive(Serialize)]
struct Report {
    kinds: usize,
    pictures: usize,
    /// Share of pictures in which the classifier sees the kind that was asked for, and of held-out real ones.
    recognised: f64,
    recognised_real: f64,
    /// Share that is as good as one of those learned from, and of held-out real ones.
    copies: f64,
    copies_real: f64,
    /// Median distance to the nearest of those.
    nearest: f64,
    nearest_real: f64,
    /// Frechet's distance to held-out pictures, and that of as many that were learned from.
    frechet: f64,
    frechet_real: f64,
    /// Share recognised, kind by kind: name, right, of.
    by_kind: Vec<(String, usize, usize)>,
}

/// Measures and prints.
pub fn run(args: &Evaluate) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let (device, dtype) = (args.compute.device.to_string(), args.compute.dtype.to_string());
    let (model, found) =
        studio::model::load(&args.model, crate::EMBEDDED, super::WANTS, &progress, |place| {
            Model::load(place, None, &device, &dtype)
        })?;
    if !matches!(model.autoencoder, Autoencoder::Pixels(_)) {
        bail!("{}: only models that were trained here are measured so", found.name);
    }
    let spinner = progress.spinner("reading the pictures");
    let corpus = corpus::read(&args.data, model.defaults.side as u32, args.held_out)?;
    spinner.finish();
    let bar = progress.bar(0, "learning the kinds");
    let judge = Judge::learn(&corpus.train, model.picture_channels, &mut |step, of| {
        bar.total(of);
        bar.set(step);
    })?;
    bar.finish();
    let report = report(args, &model, &corpus.train, &corpus.held_out, &judge, &progress)?;
    if args.talk.json {
        print_json(
            &serde_json::json!({ "model": found.name, "seed": args.compute.seed.unwrap_or(0), "report": report }),
        )?;
    } else {
        print_text(&table(&report))?;
    }
    Ok(Exit::Done)
}

fn report(
    args: &Evaluate,
    model: &Model,
    train: &[Example],
    held_out: &[Example],
    judge: &Judge,
    progress: &Progress,
) -> Result<Report> {
    let seed = args.compute.seed.unwrap_or(0);
    if let Some(kind) = args.kind.as_ref().filter(|kind| !judge.kinds.contains(kind)) {
        bail!("--kind {kind}: there are {}", judge.kinds.join(", "));
    }
    let known = |example: &&Example| match &args.kind {
        Some(kind) => example.kind == *kind,
        None => judge.kinds.contains(&example.kind),
    };
    let (train, held_out): (Vec<&Example>, Vec<&Example>) = (
        distinct(train).into_iter().filter(known).collect(),
        distinct(held_out).into_iter().filter(known).collect(),
    );
    if held_out.len() < 2 {
        bail!("{} held-out pictures are too few to measure on: raise --held-out", held_out.len());
    }
    // kinds are asked for as often as they are there
    let mut rng = Rng::at(seed, &[1]);
    let asked: Vec<&str> = (0..args.count).map(|_| train[rng.below(train.len())].kind.as_str()).collect();
    let bar = progress.bar(u64::from(args.count), "drawing");
    let mut made = vec![];
    for (kind, number) in asked.iter().zip(0..) {
        let request = Request {
            prompt: kind.to_string(),
            negative: None,
            width: model.defaults.side,
            height: model.defaults.side,
            steps: args.steps.map_or(model.defaults.steps, |steps| steps as usize),
            guidance: args.guidance.unwrap_or(model.defaults.guidance),
            rescale: 0.,
            scheduler: None,
            clip_skip: 0,
            init: None,
            strength: 1.,
            mask: None,
            tiled: false,
            seed: seed + number,
        };
        let picture = model.generate(&request, &mut |_| ControlFlow::Continue(()))?;
        made.extend(picture);
        bar.tick();
    }
    bar.finish();
    let all = |examples: &[&Example]| -> Vec<Pixels> {
        examples.iter().map(|example| example.pixels.clone()).collect()
    };
    let (real, learned) = (all(&held_out), all(&train));
    let judge_of = |pictures: &[Pixels]| judge.judge(&pictures.iter().collect::<Vec<_>>());
    let (judged, judged_real) = (judge_of(&made)?, judge_of(&real)?);
    let right = |kind: &str, found: usize| judge.kinds[found] == kind;
    let hits: Vec<bool> = asked.iter().zip(&judged).map(|(kind, (_, found))| right(kind, *found)).collect();
    let hits_real: Vec<bool> =
        held_out.iter().zip(&judged_real).map(|(example, (_, found))| right(&example.kind, *found)).collect();
    let by_kind = judge.kinds.iter().map(|name| {
        let of: Vec<bool> =
            asked.iter().zip(&hits).filter(|(kind, _)| **kind == name).map(|(_, hit)| *hit).collect();
        (name.clone(), of.iter().filter(|hit| **hit).count(), of.len())
    });
    let near = |pictures: &[Pixels]| {
        nearest(&pictures.iter().collect::<Vec<_>>(), &learned.iter().collect::<Vec<_>>())
    };
    let (near, near_real) = (near(&made), near(&real));
    let features =
        |judged: &[(Vec<f64>, usize)]| judged.iter().map(|(row, _)| row.clone()).collect::<Vec<_>>();
    // as many as were held out, from all over the rest
    let stride = (learned.len() / real.len()).max(1);
    let some: Vec<Pixels> = learned.iter().step_by(stride).take(made.len()).cloned().collect();
    let real_features = features(&judged_real);
    Ok(Report {
        kinds: judge.kinds.len(),
        pictures: made.len(),
        recognised: share(&hits),
        recognised_real: share(&hits_real),
        copies: share(&near.iter().map(|distance| *distance < COPY).collect::<Vec<_>>()),
        copies_real: share(&near_real.iter().map(|distance| *distance < COPY).collect::<Vec<_>>()),
        nearest: median(&near),
        nearest_real: median(&near_real),
        frechet: frechet(&features(&judged), &real_features),
        frechet_real: frechet(&features(&judge_of(&some)?), &real_features),
        by_kind: by_kind.filter(|(_, _, of)| *of > 0).collect(),
    })
}

/// Each picture once, whatever captions it has.
fn distinct(examples: &[Example]) -> Vec<&Example> {
    let mut seen = std::collections::HashSet::new();
    examples.iter().filter(|example| seen.insert(&example.path)).collect()
}

fn share(hits: &[bool]) -> f64 {
    hits.iter().filter(|hit| **hit).count() as f64 / hits.len().max(1) as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.)
}

fn table(report: &Report) -> String {
    let percent = |share: f64| format!("{:.1}%", 100. * share);
    let mut text = format!(
        "| {} pictures of {} kinds | made | real, held out |\n|---|---|---|\n",
        report.pictures, report.kinds
    );
    let rows = [
        ("recognised as what was asked for", percent(report.recognised), percent(report.recognised_real)),
        ("copies of what was learned", percent(report.copies), percent(report.copies_real)),
        (
            "median distance to the nearest learned",
            format!("{:.3}", report.nearest),
            format!("{:.3}", report.nearest_real),
        ),
        (
            "Frechet distance to held-out ones",
            format!("{:.2}", report.frechet),
            format!("{:.2} (learned ones)", report.frechet_real),
        ),
    ];
    for (name, made, real) in rows {
        text.push_str(&format!("| {name} | {made} | {real} |\n"));
    }
    let kinds: Vec<String> =
        report.by_kind.iter().map(|(name, right, of)| format!("{name} {right}/{of}")).collect();
    text + &format!("\nRecognised by kind: {}\n", kinds.join(", "))
}
