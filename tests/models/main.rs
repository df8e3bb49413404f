//! What the model crate promises, from outside.

#![allow(clippy::unwrap_used)]

mod beam;
mod character_tokens;
mod checkpoint;
mod clip;
mod clip_tokens;
mod decoding;
mod diffusion;
mod encodec;
mod gguf;
mod golden;
mod hifi_gan;
mod llama;
mod log_mel;
mod musicgen;
mod random;
mod sasrec;
mod search;
mod seq2seq;
mod t5;
mod tokens;
mod torch_files;
mod translation;
mod unet;
mod vae;
mod vits;
mod voice;
mod whisper;
