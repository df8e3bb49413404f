//! What each verb does at the terminal.

pub mod score;
pub mod train;
pub mod transcribe;

use anyhow::Result;
use cli::{ComputeArgs, ModelArgs, Progress};
use hub::{Resolved, Want};
use speech_rec::{Model, Request, Search, WordTimes};

use crate::cli::{self as typed, TranscribeArgs};

/// What a repository must hold to be a model of this app.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    studio::model::WEIGHTS,
    Want::required(&["tokenizer.json", "vocab.json"]),
    studio::model::SHARDS,
    Want::optional(&["merges.txt"]),
    Want::optional(&["added_tokens.json"]),
    Want::optional(&["tokenizer_config.json"]),
    Want::optional(&["generation_config.json"]),
    Want::optional(&["preprocessor_config.json"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// Finds the model and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Model, Resolved)> {
    let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
    studio::model::load(model, crate::EMBEDDED, WANTS, progress, |place| Model::load(place, &device, &dtype))
}

/// Flags as what is asked of the library.
fn request(args: &TranscribeArgs, model: &Model, seed: u64) -> Request {
    let usual = Request::default();
    Request {
        language: args.language,
        translate: args.task == typed::Task::Translate,
        times: !args.no_timestamps,
        words: args.word_times.map(|how| match how {
            typed::WordTimes::Trimmed => WordTimes::Trimmed,
            typed::WordTimes::Raw => WordTimes::Raw,
        }),
        search: Search {
            temperature: 0.,
            best_of: args.best_of.into(),
            beam: args.beam.into(),
            patience: args.patience,
            length_penalty: args.length_penalty,
            max_tokens: args.max_tokens.map_or(usize::MAX, |most| most as usize),
        },
        temperatures: args.temperature.map_or(usual.temperatures, |one| vec![one]),
        most_compression: Some(args.compression_threshold),
        least_average: Some(args.logprob_threshold),
        most_no_speech: Some(args.no_speech_threshold),
        condition: model.knows_context && !args.no_context,
        prompt: args.prompt.clone(),
        prefix: args.prefix.clone(),
        skip_silence: args.skip_silence,
        most_repeats: match (args.max_repeats, args.temperature) {
            (Some(0), _) | (None, Some(_)) => None,
            (most, _) => Some(most.map_or(3, usize::from)),
        },
        vad: args.vad.unwrap_or(model.cuts_at_pauses),
        batch: args.batch.map(usize::from),
        seed,
    }
}
