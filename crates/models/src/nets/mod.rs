//! One architecture a file, whichever app uses it.

pub mod llama;
