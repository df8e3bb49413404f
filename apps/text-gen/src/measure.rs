//! The model card's table: how well text that was kept aside is foretold, beside what counts and no net.

use std::fmt::Write;

use anyhow::{Result, bail};
use training::NGram;

use crate::corpus::Corpus;
use crate::{Model, Score};

/// Orders of the n-grams beside the net.
const ORDERS: [usize; 2] = [5, 1];

/// The held-out text under one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What foretold it.
    pub name: String,
    /// How well.
    pub score: Score,
}

/// Scores what was kept aside, with the net and with Kneser-Ney n-grams over the same tokens, fitted to the rest.
///
/// # Errors
/// Where nothing was kept aside, or a text cannot be scored.
pub fn rows(model: &Model, corpus: &Corpus, on_tokens: &mut dyn FnMut(usize, usize)) -> Result<Vec<Row>> {
    if corpus.held_out.is_empty() {
        bail!("nothing is held out: give --held-out a larger share, or more --data");
    }
    let text = corpus.held_out.concat();
    let mut rows = vec![Row { name: "this model".into(), score: model.score(&text, None, on_tokens)? }];
    let encode = |text: &String| model.encode(text, false);
    let train = corpus.train.iter().map(encode).collect::<Result<Vec<_>>>()?;
    let held_out = corpus.held_out.iter().map(encode).collect::<Result<Vec<_>>>()?;
    for order in ORDERS {
        let ngram = NGram::fit(&train, order, model.config.vocab_size)?;
        let log_likelihood = -held_out.iter().flat_map(|ids| ngram.nll(ids)).sum::<f64>();
        let tokens = held_out.iter().map(Vec::len).sum();
        let name = if order == 1 { "unigram".into() } else { format!("order-{order} Kneser-Ney") };
        rows.push(Row { name, score: Score { tokens, bytes: text.len(), log_likelihood } });
    }
    Ok(rows)
}

/// The rows as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| held-out text | bytes | tokens | bits per byte | perplexity a token |\n|---|---:|---:|---:|---:|",
    );
    for Row { name, score } in rows {
        let (bits, perplexity) = (score.bits_per_byte(), score.perplexity());
        let _ =
            write!(text, "\n| {name} | {} | {} | {bits:.3} | {perplexity:.1} |", score.bytes, score.tokens);
    }
    text
}
