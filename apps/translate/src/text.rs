//! Texts -> texts: cut into sentences, translated in batches of one length, and put together as they stood.

use std::ops::{ControlFlow, Range};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use studio::sentences::{parts, sentences};

use crate::{Direction, Model, OnLoop, Request, loops};

/// A sentence and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// As it was.
    pub source: String,
    /// Translated.
    pub target: String,
    /// Its ids, without what begins and ends every translation.
    pub ids: Vec<u32>,
    /// The sum of log-probabilities over the length to the power of the penalty, as transformers' `sequences_scores`.
    pub score: f32,
    /// The mean probability of an id (geometric), 0 to 1.
    pub confidence: f32,
    /// Other translations, the next best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
    /// Whether the words went round and round, and what was done about it.
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    pub looped: Option<Looped>,
    /// What it was between two models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pivot: Option<String>,
}

/// Another translation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    /// The text.
    pub target: String,
    /// Its ids.
    pub ids: Vec<u32>,
    /// As [`Segment::score`].
    pub score: f32,
}

/// What was done about words that went round and round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Looped {
    /// A second try without repetition is what is told.
    Retried,
    /// They are as they came.
    Kept,
}

/// A text, translated.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Text {
    /// The whole of it: what is white or has no letters stands as it stood.
    pub target: String,
    /// Its sentences, in order.
    pub segments: Vec<Segment>,
}

/// A model with what it is to do; several are a chain, each translating what the one before wrote.
pub struct Hop {
    /// The model.
    pub model: Model,
    /// From which language into which.
    pub direction: Direction,
    /// How.
    pub request: Request,
}

/// A sentence of a text, or a part of one that is too long for the net.
struct Piece {
    text: usize,
    range: Range<usize>,
    ids: Vec<u32>,
}

/// Translates texts through a chain of models. `on_done` is told how many bytes of them are done, and says whether to go on;
/// if not, the texts come back as far as they are whole: fewer than there were.
///
/// # Errors
/// What a tokenizer or a net refuses.
pub fn translate(
    hops: &[&Hop],
    texts: &[&str],
    on_done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Text>> {
    let mut found: Vec<Text> = Vec::new();
    let share = |bytes: usize| bytes / hops.len().max(1);
    let mut before = 0;
    for (place, hop) in hops.iter().enumerate() {
        let sources: Vec<&str> = match place {
            0 => texts.to_vec(),
            _ => found.iter().map(|text| text.target.as_str()).collect(),
        };
        let bytes: usize = sources.iter().map(|text| text.len()).sum();
        let Some(mut texts) = through(hop, &sources, &mut |done| on_done(share(before + done)))? else {
            return Ok(Vec::new());
        };
        before += bytes;
        for (text, earlier) in texts.iter_mut().zip(&mut found) {
            join(&mut text.segments, std::mem::take(&mut earlier.segments));
        }
        found = texts;
    }
    Ok(found)
}

/// Sentences of a second translation learn what the first read, where both cut the text alike.
fn join(later: &mut Vec<Segment>, earlier: Vec<Segment>) {
    if later.len() == earlier.len() {
        for (later, earlier) in later.iter_mut().zip(earlier) {
            later.pivot = Some(std::mem::replace(&mut later.source, earlier.source));
        }
        return;
    }
    let text = |segments: &[Segment], of: fn(&Segment) -> &str| {
        segments.iter().map(of).collect::<Vec<_>>().join(" ")
    };
    let sum: f32 = later.iter().map(|segment| segment.score).sum();
    let mean: f32 = later.iter().map(|segment| segment.confidence).sum::<f32>() / later.len().max(1) as f32;
    *later = vec![Segment {
        source: text(&earlier, |segment| &segment.source),
        target: text(later, |segment| &segment.target),
        ids: later.iter().flat_map(|segment| segment.ids.clone()).collect(),
        score: sum,
        confidence: mean,
        alternatives: Vec::new(),
        looped: later.iter().find_map(|segment| segment.looped),
        pivot: Some(text(later, |segment| &segment.source)),
    }];
}

/// One model's work: nothing where it was told to stop.
fn through(
    hop: &Hop,
    texts: &[&str],
    on_done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<Text>>> {
    let mut pieces = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        pieces.extend(pieces_of(hop, place, text)?);
    }
    // rows of one length waste nothing; the longest go first, so that what is left only gets easier
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(pieces[*place].ids.len()));
    let mut found: Vec<Option<Segment>> = vec![None; pieces.len()];
    let mut done = 0;
    for places in order.chunks(hop.request.batch.max(1)) {
        let batch: Vec<&Piece> = places.iter().map(|place| &pieces[*place]).collect();
        for (place, segment) in places.iter().zip(segments(hop, texts, &batch)?) {
            done += pieces[*place].range.len();
            found[*place] = Some(segment);
        }
        if on_done(done).is_break() {
            return Ok(None);
        }
    }
    let mut whole: Vec<Text> = texts.iter().map(|_| Text::default()).collect();
    let mut ends = vec![0; texts.len()];
    for (piece, segment) in pieces.iter().zip(found) {
        let Some(segment) = segment else { continue };
        let (text, target) = (texts[piece.text], &mut whole[piece.text].target);
        let between = &text[ends[piece.text]..piece.range.start];
        let apart = between.is_empty() && ends[piece.text] > 0 && !ends_open(target);
        target.push_str(if apart { " " } else { between });
        target.push_str(&segment.target);
        ends[piece.text] = piece.range.end;
        whole[piece.text].segments.push(segment);
    }
    for ((whole, text), end) in whole.iter_mut().zip(texts).zip(ends) {
        whole.target.push_str(&text[end..]);
    }
    Ok(Some(whole))
}

/// Whether what follows may stand right behind: white space, or writing that knows none between sentences.
fn ends_open(text: &str) -> bool {
    text.chars()
        .next_back()
        .is_none_or(|last| last.is_whitespace() || matches!(last, '。' | '！' | '？' | '」'))
}

/// The sentences of a text that have words, cut further where the net could not see the whole of one.
fn pieces_of(hop: &Hop, place: usize, text: &str) -> Result<Vec<Piece>> {
    let (model, [from, to]) = (&hop.model, hop.model.told(&hop.direction));
    let ids = |part: &str| model.tokens.encode_source(&format!("{}{part}", hop.request.prefix), from, to);
    let mut pieces = Vec::new();
    for sentence in sentences(text) {
        if !text[sentence.clone()].contains(char::is_alphabetic) {
            continue;
        }
        let whole = ids(&text[sentence.clone()])?;
        if whole.len() <= model.positions {
            pieces.push(Piece { text: place, range: sentence, ids: whole });
            continue;
        }
        // half of what the net sees: translations may be longer than what they translate
        let most = (model.positions / 2).max(1);
        let fits = |part: &str| ids(part).is_ok_and(|ids| ids.len() <= most);
        for part in parts(&text[sentence.clone()], &fits) {
            let range = sentence.start + part.start..sentence.start + part.end;
            let mut ids = ids(&text[range.clone()])?;
            ids.truncate(model.positions);
            pieces.push(Piece { text: place, range, ids });
        }
    }
    Ok(pieces)
}

/// What becomes of a batch of sentences.
fn segments(hop: &Hop, texts: &[&str], batch: &[&Piece]) -> Result<Vec<Segment>> {
    let sources: Vec<Vec<u32>> = batch.iter().map(|piece| piece.ids.clone()).collect();
    let found = hop.model.search(&sources, &hop.direction, &hop.request)?;
    let mut segments = Vec::new();
    for (piece, mut hypotheses) in batch.iter().zip(found) {
        let mut looped = None;
        if loops::goes_round(&hypotheses[0].ids, &piece.ids) {
            looped = Some(Looped::Kept);
            if hop.request.on_loop == OnLoop::Retry {
                let request = Request { no_repeat: 3, ..hop.request.clone() };
                hypotheses =
                    hop.model.search(std::slice::from_ref(&piece.ids), &hop.direction, &request)?.remove(0);
                looped = Some(Looped::Retried);
            }
        }
        let told = hypotheses.into_iter().map(|one| {
            let length = one.ids.len().max(1) as f32;
            let sum = one.score * length.powf(hop.request.length_penalty);
            let ids = hop.model.said(&one.ids, &hop.direction);
            let target = hop.model.tokens.decode(&ids)?;
            Ok((Alternative { target, ids, score: one.score }, (sum / length).exp()))
        });
        let mut told = told.collect::<Result<Vec<_>>>()?.into_iter();
        let Some((best, confidence)) = told.next() else { continue };
        let others = hop.request.alternatives.saturating_sub(1);
        let alternatives = told.map(|(one, _)| one).take(others).collect();
        segments.push(Segment {
            source: texts[piece.text][piece.range.clone()].to_string(),
            target: best.target,
            ids: best.ids,
            score: best.score,
            confidence,
            alternatives,
            looped,
            pivot: None,
        });
    }
    Ok(segments)
}
