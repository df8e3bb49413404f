//! What each verb does at the terminal.

pub mod evaluate;
mod sink;
pub mod speak;
mod subtitles;
mod target;
pub mod train;

use ::speech_synth::Voice;
use anyhow::Result;
use cli::{ComputeArgs, ModelArgs, Progress};
use hub::{Resolved, Want};

/// What a repository must hold to be a voice of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    studio::model::WEIGHTS,
    Want::optional(&["vocab.json"]),
    studio::model::SHARDS,
    Want::optional(&["tokenizer_config.json"]),
    Want::optional(&["special_tokens_map.json"]),
    Want::optional(&["added_tokens.json"]),
    Want::optional(&["g2p/*"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// Finds the voice and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Voice, Resolved)> {
    let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
    studio::model::load(model, crate::EMBEDDED, WANTS, progress, |place| Voice::load(place, &device, &dtype))
}
