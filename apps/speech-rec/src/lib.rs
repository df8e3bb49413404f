//! Speech recognition, as a library: [`Model::load`] a model, [`transcribe`] what is said.
//!
//! - `model`: a model's files -> net and vocabulary
//! - `vocabulary`: what ids mean; `languages`: their codes and names
//! - `transcribe`: sound of any length -> text, window by window; `request`: how; `window`: one of them, or some together
//! - `vad`: where somebody speaks; `plan`: where windows begin and end then; `detect`: in which language
//! - `decode`: a window -> ids; `rules`: which ids may come next
//! - `segment`: ids -> segments with times; `guard`, `loops`: against words that nobody said
//! - `corpus`: recordings and their words; `draw`: windows made of them; `augment`: as they might also have sounded
//! - `train`: a net from them
//! - `score`: errors in words and characters
//! - `align`: when each id was said; `words`: words with their times; `trim`: without the silence beside them
//! - `sound`: a file -> log-mel frames

mod align;
mod augment;
pub mod corpus;
mod decode;
mod detect;
mod draw;
mod guard;
pub mod languages;
mod loops;
pub mod model;
mod plan;
mod request;
mod rules;
pub mod score;
mod segment;
pub mod sound;
pub mod train;
mod transcribe;
mod trim;
mod vad;
pub mod vocabulary;
mod window;
mod words;

pub use decode::Search;
pub use detect::{Languages, language_probabilities};
pub use model::Model;
pub use request::{Request, WordTimes};
pub use segment::Segment;
pub use sound::Sound;
pub use transcribe::{Event, Frames, Transcript, transcribe};
pub use words::Word;
