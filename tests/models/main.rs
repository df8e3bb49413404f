//! What the model crate promises, from outside.

#![allow(clippy::unwrap_used)]

mod checkpoint;
mod decoding;
mod llama;
mod random;
