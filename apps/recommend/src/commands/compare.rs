//! `recommend compare`: several methods on one split; one table, one chart.

use std::path::PathBuf;
use std::time::Instant;

use ::recommend::data::Split;
use ::recommend::evaluate::{Asked, Judged, LENGTHS, Protocol};
use ::recommend::learn::Length;
use ::recommend::methods::Kind;
use ::recommend::plan::Plan;
use anyhow::{Result, bail};
use candle_core::Device;
use cli::{Exit, Progress, Target, print_json, print_line, usage};
use media::chart::{Series, line_chart};
use serde_json::json;

use super::evaluate::{differences, intervals, judged_plan, metrics, split, watched};
use super::learning::{Lesson, data, fit, plan};
use crate::cli::Compare;

/// Where the chart goes if nothing is said.
const CHART: &str = "compare.png";

/// What all methods are held against.
struct Judge<'a> {
    split: &'a Split,
    counts: &'a [u32],
    protocol: Protocol,
    repeats: bool,
    minutes: Option<f64>,
    seed: u64,
    device: &'a Device,
    progress: &'a Progress,
}

/// What one method gave.
struct Row {
    kind: Kind,
    plan: Plan,
    judged: Judged,
    train_s: f64,
    score_s: f64,
}

/// Learns, measures, and draws.
pub fn run(args: &Compare) -> Result<Exit> {
    args.compute.apply()?;
    args.compute.dtype.trains_in_bf16()?;
    let chart = match args.output.target() {
        Target::Default => PathBuf::from(CHART),
        Target::File(path) => path,
        Target::Folder(folder) => folder.join(CHART),
        Target::Stdout => return Err(usage("-o -: the table goes to stdout; name a file for the chart")),
    };
    // a name that was typed is not overwritten; the usual one is the last comparison's
    if args.output.output.is_some() && chart.exists() && !args.output.force {
        bail!("{} exists already: give another -o, or --force to overwrite it", chart.display());
    }
    let mut kinds: Vec<Kind> = Vec::new();
    for kind in &args.methods {
        if !kinds.contains(kind) {
            kinds.push(*kind);
        }
    }
    let progress = Progress::new(&args.output.talk);
    let log = data(&args.judge.data, &args.data, &progress)?;
    let (protocol, seed) = (args.judge.protocol.of(), args.compute.seed.unwrap_or(0));
    let split = split(&log, protocol, args.judge.held_out, seed)?;
    let (items, repeats) = (log.catalogue.len(), args.data.repeats);
    let device = models::device::open(&args.compute.device.to_string())?;
    let counts = split.train.counts(items);
    let usual = |kind: Kind| plan(kind, &split.train, items, &args.settings, &args.compute);
    let plans = kinds.into_iter().map(|kind| Ok(judged_plan(&args.judge, usual(kind)?)));
    let plans: Vec<Plan> = plans.collect::<Result<_>>()?;
    let judge = Judge {
        split: &split,
        counts: &counts,
        protocol,
        repeats,
        minutes: args.judge.minutes,
        seed,
        device: &device,
        progress: &progress,
    };
    let (mut rows, mut failures, mut exit) = (Vec::new(), Vec::new(), Exit::Done);
    for plan in plans {
        let kind = plan.kind;
        let row = match judge.row(plan) {
            Ok(Some(row)) => row,
            // what was measured is told all the same
            Ok(None) => {
                exit = Exit::Interrupted;
                break;
            }
            Err(why) => {
                failures.push(why.context(kind.name()));
                continue;
            }
        };
        match args.output.talk.json {
            true => print_json(&line(&row, &rows, protocol, split.test.len(), seed))?,
            false => progress.status(format!(
                "{}: NDCG@10 {:.4}, learned in {:.1} s",
                kind.name(),
                mean(&row.judged, "ndcg@10"),
                row.train_s
            )),
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return failures.into_iter().next().map_or(Ok(exit), Err);
    }
    for why in failures {
        progress.error(format!("{why:#}"));
        exit = if exit == Exit::Done { Exit::SomeFailed } else { exit };
    }
    batch::write_bytes(&chart, &drawing(&rows, protocol)?, true)?;
    if args.output.talk.json {
        progress.status(chart.display().to_string());
        return Ok(exit);
    }
    print_line(format!("{}, {} people, {items} items", protocol.describe(), split.test.len()))?;
    for line in table(&rows, seed) {
        print_line(line)?;
    }
    cli::print_path(&chart)?;
    Ok(exit)
}

impl Judge<'_> {
    /// Learns and measures; nothing where Ctrl-C stopped it.
    fn row(&self, plan: Plan) -> Result<Option<Row>> {
        let &Self { split, counts, protocol, repeats, seed, progress, .. } = self;
        let kind = plan.kind;
        progress.detail(plan.describe());
        let items = counts.len();
        let lesson = Lesson { train: &split.train, items, valid: &split.valid, repeats, protocol };
        let length = Length { steps: None, minutes: self.minutes, checkpoint: 3600. };
        let began = Instant::now();
        let learned = fit(&plan, &lesson, &length, None, self.device, progress)?;
        let Some((method, _)) = learned else { return Ok(None) };
        let train_s = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let asked = Asked { protocol, counts, repeats, seed };
        let judged = watched(method.as_ref(), &split.test, &asked, kind.name(), progress)?;
        let score_s = began.elapsed().as_secs_f64();
        Ok(judged.map(|judged| Row { kind, plan, judged, train_s, score_s }))
    }
}

fn mean(judged: &Judged, name: &str) -> f64 {
    judged.figures.iter().find(|figure| figure.name == name).map_or(0., |figure| figure.mean)
}

/// How much more NDCG@10 a row has than the first, person by person: the bounds of 95%.
fn beyond(row: &Row, first: &Row, seed: u64) -> [f64; 2] {
    let all = differences(&row.judged, &first.judged, seed);
    all.into_iter().find(|(name, _)| name == "ndcg@10").map_or([0., 0.], |(_, bounds)| bounds)
}

fn line(row: &Row, before: &[Row], protocol: Protocol, people: usize, seed: u64) -> serde_json::Value {
    json!({
        "method": row.kind.name(), "plan": row.plan.describe(), "protocol": protocol.name(), "people": people, "seed": seed,
        "metrics": metrics(&row.judged), "intervals": intervals(&row.judged), "unknown_targets": row.judged.unknown,
        "beyond_first": before.first().map(|first| beyond(row, first, seed)),
        "timings": { "train_s": row.train_s, "score_s": row.score_s, "people_per_s": people as f64 / row.score_s.max(1e-9) },
    })
}

fn table(rows: &[Row], seed: u64) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<9}{:>8}{:>9}{:>18}{:>11}{:>8}{:>10}{:>9}{:>9}  beyond the first",
        "method", "HR@10", "NDCG@10", "95%", "recall@20", "MRR", "coverage", "novelty", "learned"
    )];
    for row in rows {
        let judged = &row.judged;
        let interval = judged
            .figures
            .iter()
            .find(|figure| figure.name == "ndcg@10")
            .map_or([0., 0.], |figure| figure.interval);
        let share = |x: Option<f64>, digits: usize| x.map_or("-".to_string(), |x| format!("{x:.digits$}"));
        let against = match rows.first().filter(|first| first.kind != row.kind) {
            None => String::new(),
            Some(first) => {
                let [low, high] = beyond(row, first, seed);
                format!("{low:+.4} to {high:+.4}")
            }
        };
        lines.push(
            format!(
                "{:<9}{:>8.4}{:>9.4}{:>18}{:>11.4}{:>8.4}{:>10}{:>9}{:>7.0} s  {against}",
                row.kind.name(),
                mean(judged, "hr@10"),
                mean(judged, "ndcg@10"),
                format!("{:.4}-{:.4}", interval[0], interval[1]),
                mean(judged, "recall@20"),
                mean(judged, "mrr"),
                share(judged.coverage, 3),
                share(judged.novelty, 2),
                row.train_s,
            )
            .trim_end()
            .to_string(),
        );
    }
    lines
}

/// NDCG over the length of the list, a line a method.
fn drawing(rows: &[Row], protocol: Protocol) -> Result<Vec<u8>> {
    let series = rows.iter().map(|row| Series {
        name: row.kind.name().into(),
        points: LENGTHS.iter().map(|&k| (k as f64, mean(&row.judged, &format!("ndcg@{k}")))).collect(),
    });
    let title = format!("NDCG by length of the list, protocol {}", protocol.name());
    let series: Vec<Series> = series.collect();
    Ok(line_chart(&title, "items listed", "NDCG", &series).to_png()?)
}
