//! Files to plain values and back: scores (MIDI, MusicXML), audio, pictures.

pub mod chart;
pub mod font;
pub mod midi;
pub mod musicxml;
pub mod picture;
pub mod score;
pub mod score_file;
pub mod wav;
