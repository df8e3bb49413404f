//! Figures for the model card: how generated music compares with real music.
//!
//! Pure functions over plain values. [`statistics`] describes a set of four-part pieces, and [`copying`] finds
//! what was learnt by heart. [`texture`] is the view of a [`media::score::Score`] on which they stand: voices, chords
//! and bars.

pub mod copying;
pub mod statistics;
mod table;
#[cfg(test)]
mod tests;
pub mod texture;

pub use copying::{CopyIndex, CopyReport, Copying, copying_table};
pub use statistics::{Statistics, statistics};
pub use table::{columns, table, within};
