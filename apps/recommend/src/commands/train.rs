//! `recommend train`: learn from a table of people and items, and say how well.

use ::recommend::data::last_of_some;
use ::recommend::evaluate::{Asked, Protocol, judge};
use ::recommend::learn::Length;
use ::recommend::plan::Plan;
use ::recommend::write;
use anyhow::{Result, bail};
use candle_core::DType;
use cli::{Dtype, Exit, print_json, print_path, usage};
use std::ops::ControlFlow;
use studio::learning::{begin, keep};

use super::evaluate::metrics;
use super::learning::{Lesson, data, fit, plan};
use crate::cli::Train;

/// Share of the people whose last item is kept aside.
const HELD_OUT: f64 = 0.05;
/// So many of them at least, as far as half of all allows: a few people's last items say little.
const FEWEST: f64 = 500.;
/// And so many at most.
const MOST: usize = 5000;

/// Learns and writes the model.
pub fn run(args: &Train) -> Result<Exit> {
    if args.train.base.is_some() {
        return Err(usage(
            "--base: a recommender's items are those of its data, so that none goes on from another",
        ));
    }
    let progress = begin(&args.train, &args.compute)?;
    let began = std::time::Instant::now();
    let mut log = data(&args.train.data, &args.data, &progress)?;
    let read_s = began.elapsed().as_secs_f64();
    let items = log.catalogue.len();
    if items < 2 {
        bail!("there is one item alone ({}): nothing can be recommended beside it", log.catalogue.ids[0]);
    }
    let kind = args.method.unwrap_or_else(|| Plan::kind_for(&log.histories, items, log.timed));
    let mut plan = plan(kind, &log.histories, items, &args.settings, &args.compute)?;
    plan.batch = args.train.batch.unwrap_or(plan.batch);
    plan.learning_rate = args.train.learning_rate.unwrap_or(plan.learning_rate);
    let share = args.train.held_out.unwrap_or((FEWEST / log.people.len() as f64).clamp(HELD_OUT, 0.5));
    let split = last_of_some(&log.histories, share, MOST, plan.seed);
    // how often an item was seen, not how often it was had
    log.catalogue.counts = split.train.counts(items);
    progress.status(format!("{}; {} people's last items are held out", plan.describe(), split.valid.len()));
    let (out, device) = (&args.train.out, models::device::open(&args.compute.device.to_string())?);
    let length =
        Length { steps: args.train.steps, minutes: args.train.minutes, checkpoint: args.train.checkpoint };
    let repeats = args.data.repeats;
    let lesson =
        Lesson { train: &split.train, items, valid: &split.valid, repeats, protocol: Protocol::Full };
    let began = std::time::Instant::now();
    let Some((method, fitted)) = fit(&plan, &lesson, &length, Some(out), &device, &progress)? else {
        return Ok(Exit::Interrupted);
    };
    let train_s = began.elapsed().as_secs_f64();
    let dtype = if args.compute.dtype == Dtype::F32 { DType::F32 } else { DType::F16 };
    // counts and numbers of items are whole, and must stay so
    let exact = !(kind.has_steps() || kind == ::recommend::methods::Kind::Ease);
    let dtype = if exact { DType::F32 } else { dtype };
    let save = || write(out, method.as_ref(), &log, !args.no_histories, dtype, repeats);
    match &fitted {
        Some(fitted) => keep(out, fitted, "nats; held out: 1 - NDCG@10", save)?,
        None => save()?,
    }
    let asked = Asked { protocol: Protocol::Full, counts: &log.catalogue.counts, repeats, seed: plan.seed };
    let judged = judge(method.as_ref(), &split.valid, &asked, &mut |_| match cli::interrupted() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    let Some(judged) = judged else { return Ok(Exit::Interrupted) };
    let figure =
        |name: &str| judged.figures.iter().find(|figure| figure.name == name).map(|figure| figure.mean);
    if args.train.talk.json {
        let metrics = (!split.valid.is_empty()).then(|| metrics(&judged));
        print_json(&serde_json::json!({
            "model": out.display().to_string(), "method": kind.name(), "plan": plan.describe(), "seed": plan.seed,
            "people": log.people.len(), "items": items, "rows": log.histories.total(),
            "held_out_people": split.valid.len(), "metrics": metrics,
            "steps": fitted.as_ref().map(|fitted| fitted.steps),
            "timings": { "read_s": read_s, "train_s": train_s },
        }))?;
        return Ok(Exit::Done);
    }
    if let (false, Some(hit), Some(ndcg)) = (split.valid.is_empty(), figure("hr@10"), figure("ndcg@10")) {
        let people = split.valid.len();
        progress.status(format!(
            "{people} held-out last items, all items ranked: HR@10 {hit:.4}, NDCG@10 {ndcg:.4}"
        ));
    }
    print_path(out)?;
    Ok(Exit::Done)
}
