//! What each verb does at the terminal.

pub mod chat;
pub mod evaluate;
pub mod generate;
pub mod score;
pub mod train;

use anyhow::Result;
use cli::{ComputeArgs, ModelArgs, Progress};
use hub::{Resolved, Want};
use models::decoding::Sampling;
use text_gen::{Model, Request};

use crate::cli::GenerateArgs;

/// What a repository must hold to be a model of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    studio::model::WEIGHTS,
    Want::required(&["tokenizer.json", "tokenizer.model", "vocab.json"]),
    studio::model::SHARDS,
    Want::optional(&["merges.txt"]),
    Want::optional(&["tokenizer_config.json"]),
    Want::optional(&["generation_config.json"]),
    Want::optional(&["chat_template.jinja"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// Finds the model and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Model, Resolved)> {
    let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
    studio::model::load(model, crate::EMBEDDED, WANTS, progress, |place| Model::load(place, &device, &dtype))
}

/// Tokens that are added where neither flags nor the model say how many.
const MAX_TOKENS: usize = 256;

/// Flags over what the model asks for.
fn request(args: &GenerateArgs, model: &Model, seed: u64) -> Request {
    let (typed, asked) = (&args.sampling, &model.defaults);
    let draws = asked.do_sample == Some(true);
    // a flag that only drawing knows asks for it
    let wants = typed.temperature.is_some()
        || typed.top_k.is_some()
        || typed.top_p.is_some()
        || typed.min_p.is_some();
    let drawn = |asked: Option<f64>, default: f64| if draws { asked.unwrap_or(default) } else { default };
    let temperature = typed.temperature.unwrap_or(match (draws, wants) {
        (true, _) => asked.temperature.unwrap_or(1.),
        (false, true) => 1.,
        (false, false) => 0.,
    });
    let sampling = Sampling {
        temperature,
        top_k: typed.top_k.unwrap_or(if draws { asked.top_k.unwrap_or(0) } else { 0 }),
        top_p: typed.top_p.unwrap_or(drawn(asked.top_p, 1.)),
        min_p: typed.min_p.unwrap_or(drawn(asked.min_p, 0.)),
        repetition_penalty: typed.repetition_penalty.or(asked.repetition_penalty).unwrap_or(1.),
        seed,
    };
    Request {
        sampling,
        frequency_penalty: args.frequency_penalty,
        presence_penalty: args.presence_penalty,
        max_tokens: args.max_tokens.map(|n| n as usize).or(asked.max_new_tokens).unwrap_or(MAX_TOKENS),
        stops: args.stop.clone(),
        stop_ids: args.stop_id.clone(),
        logprobs: args.logprobs.unwrap_or(0) as usize,
        beams: args.beam.map(|n| n as usize).or(asked.num_beams).unwrap_or(1),
        length_penalty: args.length_penalty.or(asked.length_penalty).unwrap_or(1.),
        early_stopping: asked.early_stopping.unwrap_or(false),
    }
}
