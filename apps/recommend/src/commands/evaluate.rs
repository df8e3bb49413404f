//! `recommend evaluate`: one method, or a model, on people that were kept aside.

use std::ops::ControlFlow;
use std::time::Instant;

use ::recommend::data::{Case, Log, Split, by_people, last_of_each};
use ::recommend::evaluate::{Asked, Judged, LENGTHS, Protocol, judge};
use ::recommend::learn::Length;
use ::recommend::methods::Method;
use ::recommend::metrics::intervals as bounds;
use ::recommend::plan::Plan;
use ::recommend::write;
use anyhow::{Context, Result, bail};
use candle_core::DType;
use cli::{Exit, ModelArgs, Progress, print_json, print_line, usage};
use serde_json::{Map, Value, json};
use studio::learning::keep;

use super::learning::{Lesson, data, fit, plan};
use crate::cli::{Evaluate, JudgeArgs};

/// What is judged.
struct Subject {
    method: Box<dyn Method>,
    name: String,
    plan: Option<Plan>,
    /// By the method's own numbers of items.
    cases: Vec<Case>,
    counts: Vec<u32>,
}

/// Learns, or loads, and measures.
pub fn run(args: &Evaluate) -> Result<Exit> {
    args.compute.apply()?;
    args.compute.dtype.trains_in_bf16()?;
    if let Some(out) = &args.out {
        let is_model = out.join("config.json").exists() && !training::checkpoint::path(out).exists();
        if is_model {
            bail!("{}: is a model already; --model measures it", out.display());
        }
    }
    let progress = Progress::new(&args.talk);
    let mut log = data(&args.judge.data, &args.data, &progress)?;
    let (protocol, seed) = (args.judge.protocol.of(), args.compute.seed.unwrap_or(0));
    let split = split(&log, protocol, args.judge.held_out, seed)?;
    // a model says how often it saw an item, not how often that was had
    log.catalogue.counts = split.train.counts(log.catalogue.len());
    let began = Instant::now();
    let subject = match &args.model {
        Some(name) => Some(loaded(name, args, &log, &split, &progress)?),
        None => learned(args, &log, &split, &progress)?,
    };
    let Some(subject) = subject else { return Ok(Exit::Interrupted) };
    let train_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let judged_by = |subject: &Subject| {
        let asked = Asked { protocol, counts: &subject.counts, repeats: args.data.repeats, seed };
        watched(subject.method.as_ref(), &subject.cases, &asked, &subject.name, &progress)
    };
    let Some(judged) = judged_by(&subject)? else { return Ok(Exit::Interrupted) };
    let score_s = began.elapsed().as_secs_f64();
    let against = match &args.against {
        None => None,
        Some(name) => {
            let other = loaded(name, args, &log, &split, &progress)?;
            let Some(found) = judged_by(&other)? else { return Ok(Exit::Interrupted) };
            Some((other.name, found))
        }
    };
    let (people, items, name) = (split.test.len(), log.catalogue.len(), &subject.name);
    let rate = people as f64 / score_s.max(1e-9);
    if args.talk.json {
        print_json(&json!({
            "method": name, "plan": subject.plan.as_ref().map(Plan::describe), "protocol": protocol.name(),
            "data": args.judge.data.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
            "people": people, "items": items, "seed": seed, "metrics": metrics(&judged),
            "intervals": intervals(&judged), "unknown_targets": judged.unknown,
            "against": against.as_ref().map(|(name, other)| json!({
                "model": name, "metrics": metrics(other), "beyond": differences(other, &judged, seed),
            })),
            "timings": { "train_s": train_s, "score_s": score_s, "people_per_s": rate },
        }))?;
        return Ok(Exit::Done);
    }
    print_line(format!("{name}: {}, {people} people", protocol.describe()))?;
    lines(&judged).iter().try_for_each(print_line)?;
    if let Some((other_name, other)) = &against {
        print_line(format!("{other_name}:"))?;
        lines(other).iter().try_for_each(print_line)?;
        for (name, [low, high]) in differences(other, &judged, seed) {
            print_line(format!("{name}: {other_name} has {low:+.4} to {high:+.4} more, person by person"))?;
        }
    }
    progress.status(format!("learned in {train_s:.1} s; {rate:.0} people a second"));
    Ok(Exit::Done)
}

/// Learns from what the protocol leaves; nothing where Ctrl-C stopped it.
fn learned(args: &Evaluate, log: &Log, split: &Split, progress: &Progress) -> Result<Option<Subject>> {
    let (items, repeats) = (log.catalogue.len(), args.data.repeats);
    let kind = args.method.unwrap_or_else(|| Plan::kind_for(&split.train, items, log.timed));
    let plan = judged_plan(&args.judge, plan(kind, &split.train, items, &args.settings, &args.compute)?);
    progress.status(plan.describe());
    let device = models::device::open(&args.compute.device.to_string())?;
    let (valid, protocol) = (&split.valid[..], args.judge.protocol.of());
    let lesson = Lesson { train: &split.train, items, valid, repeats, protocol };
    let length = Length { steps: None, minutes: args.judge.minutes, checkpoint: 60. };
    let out = args.out.as_deref();
    let Some((method, fitted)) = fit(&plan, &lesson, &length, out, &device, progress)? else {
        return Ok(None);
    };
    if let Some(out) = out {
        let save = || write(out, method.as_ref(), log, false, DType::F32, repeats);
        match &fitted {
            Some(fitted) => keep(out, fitted, "nats; held out: 1 - NDCG@10", save)?,
            None => save()?,
        }
    }
    let (cases, counts) = (split.test.clone(), split.train.counts(items));
    Ok(Some(Subject { method, name: kind.name().into(), plan: Some(plan), cases, counts }))
}

/// A model, with the data's items by its own numbers; those that it does not know stand behind all that it does.
fn loaded(name: &str, args: &Evaluate, log: &Log, split: &Split, progress: &Progress) -> Result<Subject> {
    let asked = ModelArgs { model: name.to_string(), offline: false };
    let (model, _) = super::load(&asked, &args.compute, progress)?;
    let (known, count) = (model.catalogue.places(), model.catalogue.len() as u32);
    let numbers: Vec<u32> = (0u32..)
        .zip(&log.catalogue.ids)
        .map(|(place, id)| known.get(id.as_str()).copied().unwrap_or(count + place))
        .collect();
    if numbers.iter().all(|&number| number >= count) {
        bail!("{name}: the model knows none of the data's items ({}, ...)", log.catalogue.ids[0]);
    }
    let renumbered =
        |items: &[u32]| -> Vec<u32> { items.iter().map(|&item| numbers[item as usize]).collect() };
    let case = |case: &Case| Case { history: renumbered(&case.history), targets: renumbered(&case.targets) };
    let cases = split.test.iter().map(case).collect();
    let mut counts = model.catalogue.counts.clone();
    // a model that does not say how often it saw its items has seen them
    if counts.iter().all(|&count| count == 0) {
        counts.fill(1);
    }
    Ok(Subject { method: model.method, name: name.into(), plan: None, cases, counts })
}

/// How much more one has than the other, person by person: the bounds of 95% of each figure.
pub fn differences(more: &Judged, less: &Judged, seed: u64) -> Vec<(String, [f64; 2])> {
    let figures = more.figures.iter().zip(&less.figures).filter(|(own, _)| own.name.ends_with("@10"));
    let of_people = figures.map(|(own, other)| {
        let apart: Vec<f64> = own.values.iter().zip(&other.values).map(|(own, other)| own - other).collect();
        (own.name.clone(), apart)
    });
    let (names, columns): (Vec<String>, Vec<Vec<f64>>) = of_people.unzip();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    names.into_iter().zip(bounds(&columns, seed)).collect()
}

/// The parts of the data that a protocol asks for.
pub fn split(log: &Log, protocol: Protocol, share: f64, seed: u64) -> Result<Split> {
    if protocol == Protocol::Strong && share == 0. {
        return Err(usage("--held-out 0: --protocol strong needs people that nothing is learned from"));
    }
    let split = match protocol {
        Protocol::Full | Protocol::Sampled => last_of_each(&log.histories),
        Protocol::Strong => by_people(&log.histories, share, seed),
    };
    if split.test.is_empty() {
        bail!("nobody can be judged by: --protocol {} needs people who had more items", protocol.name());
    }
    if split.train.total() == 0 {
        bail!("nothing is left to learn from: --protocol {} keeps all aside", protocol.name());
    }
    Ok(split)
}

/// What is usual, but for what is said of every training.
pub fn judged_plan(args: &JudgeArgs, usual: Plan) -> Plan {
    Plan {
        batch: args.batch.map_or(usual.batch, |batch| batch as usize),
        learning_rate: args.learning_rate.unwrap_or(usual.learning_rate),
        ..usual
    }
}

/// Judges behind a bar.
pub fn watched(
    method: &dyn Method,
    cases: &[Case],
    asked: &Asked<'_>,
    name: &str,
    progress: &Progress,
) -> Result<Option<Judged>> {
    cli::stop_gently();
    let bar = progress.bar(cases.len() as u64, &format!("{name}: ranking"));
    let judged = judge(method, cases, asked, &mut |done| {
        bar.set(done as u64);
        if cli::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .with_context(|| name.to_string());
    bar.finish();
    judged
}

/// Figures by name.
pub fn metrics(judged: &Judged) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        judged.figures.iter().map(|figure| (figure.name.clone(), figure.mean.into())).collect();
    all.extend(judged.coverage.map(|share| ("coverage@10".to_string(), share.into())));
    all.extend(judged.novelty.map(|bits| ("novelty@10".to_string(), bits.into())));
    all
}

/// Their intervals of 95%.
pub fn intervals(judged: &Judged) -> Map<String, Value> {
    judged.figures.iter().map(|figure| (figure.name.clone(), json!(figure.interval))).collect()
}

fn lines(judged: &Judged) -> Vec<String> {
    let find = |name: String| judged.figures.iter().find(|figure| figure.name == name);
    let cell = |name: String| {
        find(name).map_or(String::new(), |figure| {
            let [low, high] = figure.interval;
            format!("{:.4} ({low:.4}-{high:.4})", figure.mean)
        })
    };
    let mut lines =
        vec![format!("{:<5}{:<24}{:<24}{:<24}", "k", "HR", "NDCG", "recall").trim_end().to_string()];
    for k in LENGTHS {
        let cells = ["hr", "ndcg", "recall"].map(|name| format!("{:<24}", cell(format!("{name}@{k}"))));
        lines.push(format!("{k:<5}{}", cells.concat()).trim_end().to_string());
    }
    lines.push(format!("MRR  {}", cell("mrr".into())));
    if let (Some(coverage), Some(novelty)) = (judged.coverage, judged.novelty) {
        lines.push(format!("coverage@10 {coverage:.4}, novelty@10 {novelty:.2} bits"));
    }
    if judged.unknown > 0 {
        lines.push(format!("{} targets were never seen in the training, and are misses", judged.unknown));
    }
    lines
}
