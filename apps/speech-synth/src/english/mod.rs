//! The English front end: what is written becomes words, pauses and phones.
//!
//! - `normalise`: words, pauses and where they stood
//! - `lexicon`: how words are said
//! - `g2p`: how words are said that no dictionary has
//! - `phones`: ARPABET and IPA

pub mod g2p;
pub mod lexicon;
pub mod normalise;
pub mod phones;
