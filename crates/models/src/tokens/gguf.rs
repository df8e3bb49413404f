//! The vocabulary in a GGUF file's metadata, as `tokenizer.json`.

use super::Added;
use super::byte_level::{Cut, Words, pair};
use super::pieces::{Kind, Piece, Pieces};
use crate::checkpoint::gguf::{Gguf, List};
use candle_core::Result;
use serde_json::{Map, Value, json};

/// Reads it.
///
/// # Errors
/// One line on what is missing or not supported.
pub fn tokenizer(gguf: &Gguf) -> Result<Value> {
    let meta = gguf.metadata();
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let Some(model) = meta.text(&key("model"))? else {
        refuse!("{}: {} is missing: the file has no tokenizer", gguf.file(), key("model"));
    };
    if !matches!(model, "llama" | "gpt2" | "t5") {
        refuse!("{}: the tokenizer `{model}` is not supported, only llama, gpt2 and t5 are", gguf.file());
    }
    let (tokens, of_each) = listed(gguf)?;
    let begins = meta.truth(&key("add_bos_token"))?.unwrap_or(model == "llama");
    let first = meta.size(&key("bos_token_id"))?.filter(|_| begins);
    let first = match first.map(|id| (id, tokens.get(id))) {
        None => None,
        Some((id, Some(token))) => Some((token.clone(), id as u64)),
        Some((id, None)) => refuse!("{}: {} {id} is not in the vocabulary", gguf.file(), key("bos_token_id")),
    };
    match model {
        "llama" | "t5" => pieces(gguf)?.tokenizer(&[], first.map(|(token, _)| token)),
        _ => {
            let name = meta.text(&key("pre"))?.unwrap_or("default");
            let Some(cut) = Cut::of(name) else {
                refuse!(
                    "{}: {} `{name}` is not supported, only those of GPT-2, SmolLM, Llama 3 and Qwen 2 are",
                    gguf.file(),
                    key("pre")
                );
            };
            let Some(List::Text(lines)) = meta.list(&key("merges"))? else {
                refuse!("{}: {} is no list of texts", gguf.file(), key("merges"));
            };
            let merges: Option<Vec<_>> = lines.iter().map(|line| pair(line)).collect();
            let Some(merges) = merges else {
                refuse!("{}: {} holds what is no pair", gguf.file(), key("merges"))
            };
            let mut vocabulary = Map::new();
            let mut added = Vec::new();
            for (id, (token, kind)) in tokens.iter().zip(&of_each).enumerate() {
                match kind {
                    Kind::Control | Kind::Unknown => added.push(Added::new(id as u64, token, true)),
                    Kind::User => added.push(Added::new(id as u64, token, false)),
                    _ => {}
                }
                vocabulary.entry(token.clone()).or_insert(json!(id));
            }
            Ok(Words { vocabulary, merges, cut, added, first }.tokenizer())
        }
    }
}

/// The tokens, and what each is.
fn listed(gguf: &Gguf) -> Result<(&[String], Vec<Kind>)> {
    let (meta, key) = (gguf.metadata(), |name: &str| format!("tokenizer.ggml.{name}"));
    let Some(List::Text(tokens)) = meta.list(&key("tokens"))? else {
        refuse!("{}: {} is no list of texts", gguf.file(), key("tokens"));
    };
    let kinds = match meta.list(&key("token_type"))? {
        Some(List::Whole(kinds)) if kinds.len() == tokens.len() => kinds.clone(),
        None => vec![1; tokens.len()],
        _ => refuse!("{}: {} does not fit {} tokens", gguf.file(), key("token_type"), tokens.len()),
    };
    let mut of_each = Vec::with_capacity(kinds.len());
    for kind in kinds {
        match Kind::of(kind) {
            Some(kind) => of_each.push(kind),
            None => refuse!("{}: {} has the unknown kind {kind}", gguf.file(), key("token_type")),
        }
    }
    Ok((tokens, of_each))
}

/// SentencePiece's vocabulary, of a file that has such.
///
/// # Errors
/// One line on what is missing or not supported.
pub fn pieces(gguf: &Gguf) -> Result<Pieces> {
    let (meta, key) = (gguf.metadata(), |name: &str| format!("tokenizer.ggml.{name}"));
    let unigram = match meta.text(&key("model"))? {
        Some(model @ ("llama" | "t5")) => model == "t5",
        _ => refuse!("{}: {} is neither llama nor t5", gguf.file(), key("model")),
    };
    let (tokens, of_each) = listed(gguf)?;
    let scores = match meta.list(&key("scores"))? {
        Some(List::Float(scores)) if scores.len() == tokens.len() => scores,
        _ => refuse!("{}: {} does not fit {} tokens", gguf.file(), key("scores"), tokens.len()),
    };
    if scores.iter().any(|score| score.is_nan()) {
        refuse!("{}: {} holds NaN", gguf.file(), key("scores"));
    }
    let pieces = tokens.iter().zip(scores).zip(&of_each);
    let piece = |((text, score), kind): ((&String, &f32), &Kind)| Piece {
        text: text.clone(),
        score: *score,
        kind: *kind,
    };
    let characters = match meta.list(&key("precompiled_charsmap"))? {
        Some(List::Whole(bytes)) => bytes.iter().map(|byte| *byte as u8).collect(),
        _ => Vec::new(),
    };
    Ok(Pieces {
        pieces: pieces.map(piece).collect(),
        unigram,
        byte_fallback: of_each.contains(&Kind::Byte),
        space_before: meta.truth(&key("add_space_prefix"))?.unwrap_or(true),
        trims: meta.truth(&key("remove_extra_whitespaces"))?.unwrap_or(false),
        characters,
    })
}
