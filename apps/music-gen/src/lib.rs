//! Symbolic music generation, as a library.

pub mod analysis;
pub mod chorales;
pub mod encode;
pub mod grammar;
pub mod vocabulary;

pub mod evaluate;
