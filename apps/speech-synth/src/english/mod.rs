//! The English front end: what is written becomes words and pauses.
//!
//! - `normalise`: words, pauses and where they stood
//! - `phones`: ARPABET and IPA

pub mod normalise;
pub mod phones;
