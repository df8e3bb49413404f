//! `text-gen evaluate`: the table of a model card.

use anyhow::{Result, anyhow};
use cli::{Exit, Progress, print_json, print_text};
use text_gen::{corpus, measure};

use crate::cli::Evaluate;

/// Measures and prints.
pub fn run(args: &Evaluate) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let (model, found) = super::load(&args.model, &args.compute, &progress)?;
    let corpus = corpus::read(&args.data, args.held_out).map_err(|why| anyhow!(why))?;
    let bar = progress.bar(0, "reading");
    let rows = measure::rows(&model, &corpus, &mut |done, of| {
        bar.total(of as u64);
        bar.set(done as u64);
    });
    bar.finish();
    let rows = rows?;
    if args.talk.json {
        let row = |row: &measure::Row| {
            serde_json::json!({
                "name": row.name, "bytes": row.score.bytes, "tokens": row.score.tokens,
                "bits_per_byte": row.score.bits_per_byte(), "perplexity": row.score.perplexity(),
            })
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        print_json(&serde_json::json!({ "model": found.name, "held_out": args.held_out, "rows": rows }))?;
    } else {
        print_text(&(measure::table(&rows) + "\n"))?;
    }
    Ok(Exit::Done)
}
