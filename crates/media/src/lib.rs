//! Files to plain values and back: scores (MIDI, MusicXML), audio, pictures.

pub mod midi;
pub mod score;
pub mod wav;
