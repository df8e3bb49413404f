//! What each verb does at the terminal.

pub mod score;
pub mod train;
pub mod translate;

use ::translate::Model;
use anyhow::Result;
use cli::{ComputeArgs, ModelArgs, Progress};
use hub::{Resolved, Want};

/// What a repository must hold to be a model of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    studio::model::WEIGHTS,
    Want::required(&["tokenizer.json", "source.spm", "sentencepiece.bpe.model", "spiece.model"]),
    studio::model::SHARDS,
    Want::optional(&["target.spm"]),
    Want::optional(&["vocab.json"]),
    Want::optional(&["target_vocab.json"]),
    Want::optional(&["tokenizer_config.json"]),
    Want::optional(&["special_tokens_map.json"]),
    Want::optional(&["generation_config.json"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// Finds the model and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Model, Resolved)> {
    let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
    studio::model::load(model, crate::EMBEDDED, WANTS, progress, |place| Model::load(place, &device, &dtype))
}
