//! What the model crate promises, from outside.

mod decoding;
mod llama;
mod random;
