//! Music as notes, as a library: [`load`] a model, [`Composer::compose`] a piece, [`render`] it; and as sound: a
//! [`player::Player`] composes codes, which [`player::sound`] makes heard.
//!
//! - `vocabulary`, `grammar`, `encode`: a piece as tokens, and back
//! - `view`: a piece as the net is shown it
//! - `net`: tokens and what is known of their place -> the next token
//! - `compose`: request -> piece
//! - `sound`, `piano_roll`: a piece to hear and to see
//! - `player`: prompts, melodies and beginnings -> sound, by MusicGen
//! - `finish`, `sonogram`: what is done to a sound before it is written, and a sound to see
//! - `corpus`, `chorales`, `analysis`, `style`: files -> pieces to learn from
//! - `train`: pieces -> net
//! - `evaluate`, `measure`: how good it is

pub mod analysis;
pub mod chorales;
pub mod compose;
pub mod corpus;
pub mod encode;
pub mod evaluate;
pub mod finish;
pub mod grammar;
pub mod measure;
mod model;
pub mod net;
pub mod piano_roll;
pub mod player;
mod render;
pub mod sonogram;
pub mod sound;
pub mod style;
pub mod train;
pub mod view;
pub mod vocabulary;

pub use compose::{Composer, Given, Piece, Request};
pub use model::{Stored, load, save};
pub use render::{Kind, hear, render};
