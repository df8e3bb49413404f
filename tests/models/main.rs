//! What the model crate promises, from outside.

#![allow(clippy::unwrap_used)]

mod decoding;
mod llama;
mod random;
