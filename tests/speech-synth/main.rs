//! speech-synth as its users meet it: the library behind it.

#![allow(clippy::unwrap_used)]

mod english_learning;
mod english_lexicon;
mod english_normalisation;
mod english_speaking;
