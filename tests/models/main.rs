//! What the model crate promises, from outside.

#![allow(clippy::unwrap_used)]

mod beam;
mod checkpoint;
mod clip;
mod clip_tokens;
mod decoding;
mod diffusion;
mod gguf;
mod golden;
mod hifi_gan;
mod llama;
mod log_mel;
mod random;
mod search;
mod sasrec;
mod seq2seq;
mod t5;
mod tokens;
mod translation;
mod unet;
mod vae;
mod whisper;
