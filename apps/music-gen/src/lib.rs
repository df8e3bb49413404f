//! Symbolic music generation, as a library.

pub mod analysis;
pub mod chorales;
pub mod corpus;
pub mod encode;
pub mod evaluate;
pub mod grammar;
pub mod piano_roll;
pub mod sound;
pub mod style;
pub mod train;
pub mod vocabulary;
