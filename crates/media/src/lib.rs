//! Files to plain values and back: scores (MIDI, MusicXML), audio, subtitles, pictures; documents to the texts in them
//! and back.

pub mod audio;
pub mod chart;
pub mod document;
pub mod flac;
pub mod font;
pub mod image_file;
pub mod loudness;
pub mod midi;
pub mod musicxml;
pub mod picture;
pub mod score;
pub mod score_file;
pub mod subtitles;
pub mod wav;
