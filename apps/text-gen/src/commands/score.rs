//! `text-gen score FILE...`: how likely texts are.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use cli::{Exit, Progress, print_json, print_line, read_stdin};

use crate::cli::Score;

/// Scores each file.
pub fn run(args: &Score) -> Result<Exit> {
    args.compute.apply()?;
    let progress = Progress::new(&args.talk);
    let texts = args.files.iter().map(|path| text(path)).collect::<Result<Vec<_>>>()?;
    let (model, found) = super::load(&args.model, &args.compute, &progress)?;
    for (path, text) in args.files.iter().zip(&texts) {
        let began = Instant::now();
        let bar = progress.bar(0, "reading");
        let score = model.score(text, args.stride.map(|stride| stride as usize), &mut |done, of| {
            bar.total(of as u64);
            bar.set(done as u64);
        });
        bar.finish();
        let score = score.with_context(|| path.display().to_string())?;
        if args.talk.json {
            print_json(&serde_json::json!({
                "model": found.name, "revision": found.revision, "input": path.display().to_string(),
                "bytes": score.bytes, "tokens": score.tokens, "log_likelihood": score.log_likelihood,
                "perplexity": score.perplexity(), "bits_per_byte": score.bits_per_byte(),
                "timings": { "score_s": began.elapsed().as_secs_f64() },
            }))?;
        } else {
            print_line(format!(
                "{}: log-likelihood {:.2} of {} tokens, perplexity {:.3}, {:.4} bits per byte",
                path.display(),
                score.log_likelihood,
                score.tokens,
                score.perplexity(),
                score.bits_per_byte()
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn text(path: &Path) -> Result<String> {
    let name = || path.display().to_string();
    let bytes =
        if path.as_os_str() == "-" { read_stdin()? } else { std::fs::read(path).with_context(name)? };
    String::from_utf8(bytes).context("not UTF-8 text").with_context(name)
}
