//! The model card's figures: how well held-out pieces are foretold, and how composed pieces compare with them.

use std::fmt::Write;

use media::score::Score;
use models::decoding::{Sampling, log_softmax};
use rayon::prelude::*;
use training::NGram;

use crate::compose::{Composer, Given, Request};
use crate::corpus::{Corpus, Example};
use crate::encode::Encoded;
use crate::evaluate::{CopyIndex, columns, copying_table, statistics};
use crate::net::inputs;
use crate::view::Shown;
use crate::vocabulary::{self, Token};

/// Negative log likelihood in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Likelihood {
    /// Sum over all tokens after the headers.
    pub nats: f64,
    /// Those of them where the grammar leaves a choice.
    pub tokens: usize,
    /// Notes in them.
    pub notes: usize,
}

impl Likelihood {
    /// Nats a note: its pitch, its length, and what says when it sounds.
    pub fn per_note(&self) -> f64 {
        self.nats / self.notes.max(1) as f64
    }

    fn add(mut self, other: Likelihood) -> Likelihood {
        self.nats += other.nats;
        self.tokens += other.tokens;
        self.notes += other.notes;
        self
    }
}

fn of_losses(piece: &Encoded, losses: &[f64]) -> Likelihood {
    let notes = piece.tokens().filter(|token| matches!(token, Token::Pitch(_))).count();
    let tokens = losses.iter().filter(|loss| **loss != 0.0).count();
    Likelihood { nats: losses.iter().sum(), tokens, notes }
}

/// How well the net foretells pieces. Each token is judged once, with at least half of the context before it
/// where the piece has as much.
///
/// # Errors
/// Where the net fails.
pub fn net_likelihood(composer: &Composer, pieces: &[&Example]) -> candle_core::Result<Likelihood> {
    let all: candle_core::Result<Vec<Likelihood>> =
        pieces.par_iter().map(|example| piece_likelihood(composer, &example.piece)).collect();
    Ok(all?.into_iter().fold(Likelihood::default(), Likelihood::add))
}

/// A model here is a net, or an n-gram, under the grammar: its probabilities are over what may follow.
fn piece_likelihood(composer: &Composer, piece: &Encoded) -> candle_core::Result<Likelihood> {
    let context = composer.config.max_position_embeddings;
    let allowed = piece.allowed();
    let choices: Vec<bool> = allowed.iter().map(Option::is_some).collect();
    let view = piece.view(&choices);
    let mut starts = vec![0];
    for bar in &view.bars {
        starts.push(starts[starts.len() - 1] + bar.len());
    }
    let body: Vec<&Shown> = view.bars.iter().flatten().collect();
    // What the net is not shown is no choice, so the choices stand in the order of the chosen.
    let mut allowed = allowed.into_iter().skip(piece.header.len()).flatten();
    let (mut losses, mut done) = (Vec::with_capacity(body.len()), 0);
    while done < body.len() {
        // The first bar from which half of the context reaches here, else the bar that is under way.
        let begun = starts.partition_point(|start| *start <= done).min(view.bars.len()) - 1;
        let near = (0..=begun).find(|&bar| done - starts[bar] <= context / 2);
        let first = if done == 0 { 0 } else { near.unwrap_or(begun) };
        let mut window = if first == 0 { view.header.clone() } else { piece.header_at(first) };
        let before = window.len();
        // A single bar may be longer than half of the context: then its beginning is left out.
        let from = starts[first].max(done.saturating_sub(context / 2));
        let room = (context + 1 - before).min(body.len() - from);
        window.extend(body[from..from + room].iter().map(|&shown| shown.clone()));
        // The row at a token foretells the next one.
        let rows = composer.net.forward(&inputs(&window), &composer.config)?;
        let new = before + done - from;
        for (row, shown) in rows[new - 1..].iter().zip(&window[new..]) {
            done += 1;
            if let Some(allowed) = shown.chosen.then(|| allowed.next()).flatten() {
                let mut logits: Vec<f32> = allowed.iter().map(|id| row[*id as usize]).collect();
                log_softmax(&mut logits);
                let place = allowed.iter().position(|id| *id == shown.token.id());
                losses.push(-place.map_or(f32::NEG_INFINITY, |place| logits[place]) as f64);
            }
        }
    }
    Ok(of_losses(piece, &losses))
}

/// How well an n-gram, fitted to the training pieces, foretells the held-out ones.
fn ngram_likelihood(train: &[Vec<u32>], held_out: &[&Example], order: usize) -> Result<Likelihood, String> {
    let ngram = NGram::fit(train, order, vocabulary::SIZE).map_err(|error| error.to_string())?;
    let of_piece = |example: &&Example| {
        let ids: Vec<u32> = example.piece.tokens().map(|token| token.id()).collect();
        let header = example.piece.header.len();
        let loss = |(place, allowed): (usize, Option<Vec<u32>>)| {
            let place = place + header;
            let context = &ids[..place];
            let probability = |id: u32| ngram.probability(context, id);
            let total = |allowed: Vec<u32>| allowed.into_iter().map(probability).sum::<f64>();
            allowed.map_or(0.0, |allowed| -(probability(ids[place]) / total(allowed)).ln())
        };
        let allowed = example.piece.allowed().into_iter().skip(header);
        let losses: Vec<f64> = allowed.enumerate().map(loss).collect();
        of_losses(&example.piece, &losses)
    };
    Ok(held_out.par_iter().map(of_piece).reduce(Likelihood::default, Likelihood::add))
}

/// What [`report`] is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The style of the table of statistics.
    pub style: Option<String>,
    /// Pieces to compose.
    pub count: usize,
    /// How tokens are drawn; piece number n adds n to the seed.
    pub sampling: Sampling,
}

/// The figures as Markdown. `on_done` is called after each piece that was composed.
///
/// # Errors
/// In one line: a style without held-out pieces, a net that fails.
pub fn report(
    composer: &Composer,
    corpus: &Corpus,
    plan: &Plan,
    on_done: &(dyn Fn() + Sync),
) -> Result<String, String> {
    let mut text = String::new();
    let line =
        |text: &mut String, words: String| writeln!(text, "{words}").map_err(|error| error.to_string());
    line(
        &mut text,
        "| style | held-out pieces | notes | this model | order-5 Kneser-Ney | unigram | below the 5-gram |"
            .into(),
    )?;
    line(&mut text, "|---|---:|---:|---:|---:|---:|---:|".into())?;
    for (index, style) in corpus.styles.styles.iter().enumerate() {
        let held_out: Vec<&Example> = corpus.held_out.iter().filter(|e| e.style == index).collect();
        if held_out.is_empty() {
            continue;
        }
        let train = tokens_of(corpus, index);
        let net = net_likelihood(composer, &held_out).map_err(|error| error.to_string())?;
        let five = ngram_likelihood(&train, &held_out, 5)?.per_note();
        let one = ngram_likelihood(&train, &held_out, 1)?.per_note();
        let (own, gain) = (net.per_note(), 100.0 * (1.0 - net.per_note() / five));
        let (name, pieces, notes) = (&style.name, held_out.len(), net.notes);
        line(
            &mut text,
            format!("| {name} | {pieces} | {notes} | {own:.3} | {five:.3} | {one:.3} | {gain:.1}% |"),
        )?;
    }
    let (index, style) = composer.styles.find(plan.style.as_deref())?;
    let of_style = |examples: &'_ [Example]| -> Vec<Score> {
        examples.iter().filter(|e| e.style == index).map(|e| e.score.clone()).collect()
    };
    let (real, train) = (of_style(&corpus.held_out), of_style(&corpus.train));
    if real.is_empty() {
        return Err(format!("no piece of style {:?} was held back", style.name));
    }
    let examples: Vec<&Example> = corpus.held_out.iter().filter(|e| e.style == index).collect();
    let compose = |number: usize, given: Given| {
        let example = examples[number % examples.len()];
        let metre = example.piece.metre();
        let pickup = example.piece.header.contains(&Token::Pickup) as u32;
        let mut sampling = plan.sampling.clone();
        sampling.seed = sampling.seed.wrapping_add(number as u64);
        let bars = (example.piece.bars.len() as u32 - pickup).max(1);
        let request =
            Request { style: Some(style.name.clone()), key: None, metre, bars, tempo: None, sampling, given };
        let piece = composer.compose(&request, &mut |_, _| {}).map_err(|error| error.to_string());
        on_done();
        piece.map(|piece| piece.score)
    };
    let composed: Result<Vec<Score>, String> =
        (0..plan.count).into_par_iter().map(|number| compose(number, Given::Nothing)).collect();
    let composed = composed?;
    let harmonised: Result<Vec<Score>, String> = (0..real.len())
        .into_par_iter()
        .map(|number| compose(number, Given::Melody(real[number].clone())))
        .collect();
    let harmonised = harmonised?;
    let untouched = harmonised.iter().zip(&real).filter(|(ours, real)| same_melody(ours, real)).count();
    let melodies = harmonised.len();
    let sets = [statistics(&real), statistics(&train), statistics(&composed)];
    let titles = [
        format!("valid ({})", real.len()),
        format!("train ({})", train.len()),
        format!("composed ({})", composed.len()),
    ];
    let named: Vec<_> = titles.iter().map(String::as_str).zip(&sets).collect();
    line(&mut text, format!("\n{}", columns(&named)))?;
    let of_melodies = [sets[0], statistics(&harmonised)];
    let titles = [format!("valid ({melodies})"), format!("harmonised ({melodies})")];
    let named: Vec<_> = titles.iter().map(String::as_str).zip(&of_melodies).collect();
    line(&mut text, columns(&named))?;
    line(
        &mut text,
        format!("{untouched} of {melodies} melodies stand note for note in their harmonisation.\n"),
    )?;
    let index = CopyIndex::new(&train);
    let reports = [index.report_within(&train), index.report(&real), index.report(&composed)];
    let titles = ["train, each without itself", "valid", "composed"];
    let named: Vec<_> = titles.into_iter().zip(&reports).collect();
    line(&mut text, copying_table(&named))?;
    Ok(text)
}

/// The training pieces of a style. Not transposed: in the tokens they stand in C major or A minor anyway.
fn tokens_of(corpus: &Corpus, style: usize) -> Vec<Vec<u32>> {
    let pieces = corpus.train.iter().filter(|example| example.style == style);
    pieces.map(|example| example.piece.tokens().map(|token| token.id()).collect()).collect()
}

fn same_melody(ours: &Score, real: &Score) -> bool {
    let notes = |score: &Score| -> Vec<(u64, u8, u64)> {
        let part = score.parts.iter().find(|part| !part.notes.is_empty());
        let ticks = |ticks: u32| ticks as u64 * 10_080 / score.ticks_per_quarter as u64;
        part.map(|part| part.notes.iter().map(|n| (ticks(n.start), n.pitch, ticks(n.length))).collect())
            .unwrap_or_default()
    };
    notes(ours) == notes(real)
}

/// Held-out pieces of a style that [`compare`] looks at.
const COMPARED: usize = 24;

/// Nats a note of the net and of an n-gram of the training pieces, on the same held-out pieces, averaged over
/// the styles; `None` where nothing was held out.
///
/// # Errors
/// A net that fails, an order that cannot be fitted; in one line.
pub fn compare(composer: &Composer, corpus: &Corpus, order: usize) -> Result<Option<(f64, f64)>, String> {
    let (mut net, mut ngram, mut styles) = (0.0, 0.0, 0);
    for style in 0..corpus.styles.styles.len() {
        let held_out: Vec<&Example> =
            corpus.held_out.iter().filter(|e| e.style == style).take(COMPARED).collect();
        let train = tokens_of(corpus, style);
        if !held_out.is_empty() && !train.is_empty() {
            net += net_likelihood(composer, &held_out).map_err(|error| error.to_string())?.per_note();
            ngram += ngram_likelihood(&train, &held_out, order)?.per_note();
            styles += 1;
        }
    }
    Ok((styles > 0).then(|| (net / styles as f64, ngram / styles as f64)))
}
