//! Translation, as a library: [`Model::load`] a model, [`translate`] texts with it.
//!
//! - `model`: a model's files -> net, tokenizer and languages; `defaults`: what it asks for
//! - `languages`: the codes and names of languages; `detect`: which one a text is in
//! - `text`: texts -> sentences -> texts; `request`: how; `search`: ids -> ids
//! - `document`: segments of documents, with what must stay in them; `align`: which words stand for which; `partial`: what is done of one, on disk
//! - `loops`: words that go round and round
//! - `corpus`: sentences and their translations; `train`: a net from them
//! - `score`: BLEU and chrF

mod align;
pub mod corpus;
mod defaults;
pub mod detect;
pub mod document;
pub mod languages;
mod loops;
mod model;
pub mod partial;
mod request;
pub mod score;
mod search;
mod text;
pub mod train;

pub use defaults::Defaults;
pub use model::{Direction, Model, Net};
pub use request::{MAX_TOKENS, OnLoop, Request};
pub use text::{Alternative, Hop, Looped, Segment, Text, translate};
