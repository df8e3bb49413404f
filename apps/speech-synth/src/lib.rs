//! Text to speech, as a library.
//!
//! - `english`: written English -> words, pauses and phones

pub mod english;
