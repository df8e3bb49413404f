//! What the model crate promises, from outside.

#![allow(clippy::unwrap_used)]

mod checkpoint;
mod decoding;
mod golden;
mod hifi_gan;
mod llama;
mod random;
mod seq2seq;
mod unet;
mod whisper;
