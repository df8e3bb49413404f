//! What each verb does at the terminal.

pub mod compose;
pub mod evaluate;
pub mod train;

use anyhow::Result;
use cli::{ComputeArgs, Dtype, ModelArgs, Progress, SamplingArgs, usage};
use hub::{Resolved, Want};
use models::decoding::Sampling;
use music_gen::Composer;

/// What a repository must hold to be a model of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    Want::required(&["music.json"]),
    Want::required(&["model.safetensors"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// Finds the model and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Composer, Resolved)> {
    if compute.dtype == Dtype::Q8 {
        return Err(usage(
            "--dtype q8: a net of this size gains nothing from it; use auto, f32, bf16 or f16",
        ));
    }
    let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
    studio::model::load(model, crate::EMBEDDED, WANTS, progress, |place| {
        music_gen::load(place, &device, &dtype)
    })
}

/// Flags over what suits this net: slightly sharper than it learned, without the long tail.
fn sampling(typed: &SamplingArgs, seed: u64) -> Sampling {
    Sampling {
        temperature: typed.temperature.unwrap_or(0.78),
        top_k: typed.top_k.unwrap_or(0),
        top_p: typed.top_p.unwrap_or(0.925),
        min_p: typed.min_p.unwrap_or(0.0),
        repetition_penalty: typed.repetition_penalty.unwrap_or(1.0),
        seed,
    }
}
