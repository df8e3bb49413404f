//! What each verb does at the terminal.

pub mod compare;
pub mod evaluate;
mod learning;
pub mod recommend;
pub mod train;

use ::recommend::Model;
use anyhow::Result;
use cli::{ComputeArgs, ModelArgs, Progress};
use hub::{Resolved, Want};

/// What a repository must hold to be a model of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    Want::required(&["model.safetensors"]),
    Want::required(&["items.csv"]),
    Want::optional(&["histories.csv"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// Finds the model and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Model, Resolved)> {
    let device = compute.device.to_string();
    studio::model::load(model, crate::EMBEDDED, WANTS, progress, |place| Model::load(place, &device))
}
