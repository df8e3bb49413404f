//! What each verb does at the terminal.

pub mod codes;
pub mod compose;
pub mod evaluate;
mod given;
mod places;
pub mod play;
pub mod train;

use anyhow::Result;
use cli::{ComputeArgs, Dtype, Exit, ModelArgs, Progress, SamplingArgs, usage};
use hub::{Resolved, Want};
use models::decoding::Sampling;
use music_gen::Composer;
use music_gen::player::{Family, family};

use crate::cli::ComposeArgs;

/// What a repository must hold to be a model of this app: one of notes, or a MusicGen.
pub const WANTS: &[Want<'static>] = &[
    Want::required(&["config.json"]),
    Want::required(&["music.json", "tokenizer.json", "spiece.model"]),
    studio::model::WEIGHTS,
    studio::model::SHARDS,
    Want::optional(&["generation_config.json"]),
    Want::optional(&["preprocessor_config.json"]),
    Want::optional(&["tokenizer_config.json"]),
    Want::optional(&["README.md"]),
    Want::optional(&["LICENSE*"]),
];

/// `music-gen [PROMPT...]`: the model's folder says whether it writes notes or makes sound.
pub fn run(args: &ComposeArgs) -> Result<Exit> {
    args.shares.fit(&args.output.target())?;
    args.compute.apply()?;
    if args.model.model == "embedded" {
        compose::refuse_sound(args)?;
    }
    places::refuse_existing(&args.output)?;
    let progress = Progress::new(&args.output.talk);
    let wants = if args.playing.from_codes.is_some() { codes::WANTS } else { WANTS };
    let found = args.model.resolve(crate::EMBEDDED, wants, &progress)?;
    match family(&found.location)? {
        Family::Notes => {
            compose::refuse_sound(args)?;
            compose::run(args, found, progress)
        }
        Family::Sound | Family::Codec if args.playing.from_codes.is_some() => {
            play::refuse_notes(args)?;
            codes::hear_codes(args, &found, &progress)
        }
        Family::Sound => {
            play::refuse_notes(args)?;
            play::run(args, found, progress)
        }
        Family::Codec => Err(usage(
            "this model is a codec, which makes no music of its own: `music-gen codes FILE` prints a sound's codes, \
             --from-codes makes codes heard",
        )),
    }
}

/// Finds a model of notes and loads it.
fn load(model: &ModelArgs, compute: &ComputeArgs, progress: &Progress) -> Result<(Composer, Resolved)> {
    let found = model.resolve(crate::EMBEDDED, WANTS, progress)?;
    Ok((load_notes(&found, compute, progress)?, found))
}

/// Loads a model of notes.
fn load_notes(found: &Resolved, compute: &ComputeArgs, progress: &Progress) -> Result<Composer> {
    if compute.dtype == Dtype::Q8 {
        return Err(usage(
            "--dtype q8: a net of this size gains nothing from it; use auto, f32, bf16 or f16",
        ));
    }
    let (device, dtype) = (compute.device.to_string(), compute.dtype.to_string());
    studio::model::load_found(found, progress, |place| music_gen::load(place, &device, &dtype))
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
