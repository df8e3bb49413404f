//! A history -> a list.

use anyhow::{Result, bail};
use rayon::prelude::*;
use training::Rng;

use crate::Model;
use crate::data::once;
use crate::top::top;

/// What of an item is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Its title and all columns.
    Any,
    /// Its id.
    Id,
    /// Its title.
    Title,
    /// The column of this number.
    Column(usize),
}

/// What a list is to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Items of the list.
    pub top: usize,
    /// Whether what was had already is listed too.
    pub seen: bool,
    /// How many items of the history are told as reasons.
    pub reasons: usize,
    /// From 0, by score alone, to 1.
    pub diverse: f32,
    /// Drawn by chances `exp(score / temperature)`.
    pub temperature: Option<f32>,
    /// What must hold what, in small letters.
    pub filters: Vec<(Field, String)>,
    /// Of what is drawn.
    pub seed: u64,
}

impl Request {
    /// Reads `[COLUMN=]TEXT`.
    ///
    /// # Errors
    /// A column that the items do not have.
    pub fn with_filters(self, model: &Model, typed: &[String]) -> Result<Self> {
        let read = |typed: &String| {
            let Some((column, text)) = typed.split_once('=') else {
                return Ok((Field::Any, typed.to_lowercase()));
            };
            let field = match column.trim() {
                name if name.eq_ignore_ascii_case("id") => Field::Id,
                name if name.eq_ignore_ascii_case("title") => Field::Title,
                name => Field::Column(model.catalogue.column(name)?),
            };
            Ok((field, text.trim().to_lowercase()))
        };
        let filters = typed.iter().map(read).collect::<Result<_>>()?;
        Ok(Self { filters, ..self })
    }

    fn allows(&self, model: &Model, item: u32) -> bool {
        let (catalogue, item) = (&model.catalogue, item as usize);
        self.filters.iter().all(|(field, text)| {
            let has = |cell: &String| cell.to_lowercase().contains(text);
            match field {
                Field::Any => has(&catalogue.titles[item]) || catalogue.cells[item].iter().any(has),
                Field::Id => has(&catalogue.ids[item]),
                Field::Title => has(&catalogue.titles[item]),
                Field::Column(column) => has(&catalogue.cells[item][*column]),
            }
        })
    }
}

/// An item of the history, and how much lower a score were without it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// The item.
    pub item: u32,
    /// The difference.
    pub weight: f32,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The item.
    pub item: u32,
    /// Its score, as the method gives it.
    pub score: f32,
    /// What it is there for, the weightiest first.
    pub reasons: Vec<Reason>,
}

/// Items that variety is looked for among, for each that is listed.
const CANDIDATES: usize = 10;

/// Lists for some histories, which are scored together.
///
/// # Errors
/// Those of the method.
pub fn recommend(model: &Model, histories: &[&[u32]], request: &Request) -> Result<Vec<Vec<Listed>>> {
    let scores = model.method.scores(histories)?;
    if scores.iter().any(|score| score.is_nan()) {
        bail!("the model's scores are no numbers: its weights are spoilt");
    }
    let rows = scores.par_chunks_exact(model.method.items()).zip(histories).enumerate();
    let lists = rows.map(|(place, (scores, history))| {
        let rng = Rng::at(request.seed, &[place as u64]);
        let mut list = chosen(model, scores, history, request, rng)?;
        if request.reasons > 0 {
            explain(model, history, scores, &mut list, request.reasons)?;
        }
        Ok(list)
    });
    lists.collect()
}

fn chosen(
    model: &Model,
    scores: &[f32],
    history: &[u32],
    request: &Request,
    mut rng: Rng,
) -> Result<Vec<Listed>> {
    let mut had = history.to_vec();
    had.sort_unstable();
    let keeps = request.seen || model.repeats;
    let allowed = |item: u32| (keeps || had.binary_search(&item).is_err()) && request.allows(model, item);
    // the best of scores with Gumbel's noise are a draw without putting back
    let drawn: Vec<f32>;
    let by = match request.temperature {
        None => scores,
        Some(temperature) => {
            let noise = |score: &f32| score / temperature - (-(1. - rng.uniform()).ln()).ln() as f32;
            drawn = scores.iter().map(noise).collect();
            &drawn
        }
    };
    let count = if request.diverse > 0. { request.top.saturating_mul(CANDIDATES) } else { request.top };
    let found = top(by, count.min(scores.len()), allowed);
    let places: Vec<u32> = if request.diverse > 0. {
        varied(model, &found, request)?
    } else {
        found.iter().map(|(item, _)| *item).collect()
    };
    let listed = |item: u32| Listed { item, score: scores[item as usize], reasons: Vec::new() };
    Ok(places.into_iter().map(listed).collect())
}

/// Maximal marginal relevance (Carbonell and Goldstein, 1998): each further item is the best by its score, between 0 and 1
/// among the candidates, less its likeness to the likest that is listed already.
fn varied(model: &Model, found: &[(u32, f32)], request: &Request) -> Result<Vec<u32>> {
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(Vec::new()) };
    let range = (first.1 - last.1).max(1e-12);
    let mut left: Vec<(u32, f32, f32)> =
        found.iter().map(|(item, score)| (*item, (score - last.1) / range, 0f32)).collect();
    let mut places = Vec::new();
    while places.len() < request.top && !left.is_empty() {
        let worth =
            |(_, score, like): &(u32, f32, f32)| (1. - request.diverse) * score - request.diverse * like;
        let mut best = 0;
        for place in 1..left.len() {
            if worth(&left[place]) > worth(&left[best]) {
                best = place;
            }
        }
        let (item, ..) = left.remove(best);
        places.push(item);
        let others: Vec<u32> = left.iter().map(|(other, ..)| *other).collect();
        for ((_, _, like), likeness) in left.iter_mut().zip(model.method.like(item, &others)?) {
            *like = like.max(likeness);
        }
    }
    Ok(places)
}

/// How much lower each score is where one item of the history is left out.
fn explain(model: &Model, history: &[u32], scores: &[f32], list: &mut [Listed], count: usize) -> Result<()> {
    // of a long history the last items are tried
    const MOST: usize = 200;
    let items = once(&history[history.len() - history.len().min(MOST)..]);
    for items in items.chunks(64) {
        let without = |left_out: &u32| history.iter().copied().filter(|item| item != left_out).collect();
        let rests: Vec<Vec<u32>> = items.iter().map(without).collect();
        let rests: Vec<&[u32]> = rests.iter().map(Vec::as_slice).collect();
        let others = model.method.scores(&rests)?;
        for (&item, other) in items.iter().zip(others.chunks_exact(model.method.items())) {
            for listed in list.iter_mut() {
                let weight = scores[listed.item as usize] - other[listed.item as usize];
                listed.reasons.push(Reason { item, weight });
            }
        }
    }
    for listed in list {
        listed.reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        listed.reasons.retain(|reason| reason.weight > 0.);
        listed.reasons.truncate(count);
    }
    Ok(())
}

/// What is like an item, itself left out.
///
/// # Errors
/// A method that knows no such thing.
pub fn like(model: &Model, item: u32, request: &Request) -> Result<Vec<Listed>> {
    let all: Vec<u32> = (0..model.method.items() as u32).collect();
    let likeness = model.method.like(item, &all)?;
    let allowed = |other: u32| other != item && likeness[other as usize] > 0. && request.allows(model, other);
    let found = top(&likeness, request.top.min(likeness.len()), allowed);
    if found.is_empty() {
        bail!("{}: nothing is like it", model.catalogue.titles[item as usize]);
    }
    Ok(found.into_iter().map(|(item, score)| Listed { item, score, reasons: Vec::new() }).collect())
}
