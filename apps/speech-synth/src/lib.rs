//! Text read aloud, as a library: [`Voice::load`] a voice, [`speak`] with it.
//!
//! - `voice`: a model's files -> net and what spells its ids; `script`: what a voice cannot read, by name
//! - `pieces`: texts -> what is spoken at once; `request`: how
//! - `speak`: pieces -> ids -> samples, with the times of the words (`words`)
//! - `english`: written English -> words, pauses and phones
//! - `own`: the voice of our own, which says them, and how it is learned
//! - `loudness`: how loud sound is, and what brings it to a target

pub mod english;
pub mod loudness;
pub mod own;
mod pieces;
mod request;
mod script;
mod speak;
mod voice;
mod words;

pub use request::{Request, Writing};
pub use speak::{Said, Spoken, speak};
pub use voice::{Utterance, Voice, Written};
pub use words::Word;
