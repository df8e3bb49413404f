//! Files that `media` reads and writes: scores as MIDI and MusicXML, audio, subtitles, documents, WAV, and what damage
//! does to them.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod audio;
mod document;
mod flac;
mod fuzz;
mod midi;
mod musicxml;
mod score_file;
mod subtitles;
mod wav;

use media::score::Part;

/// A file of shared/samples/music.
fn sample(name: &str) -> Vec<u8> {
    let path = sample_path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sample_path(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples/music").join(name)
}

/// A part's notes as (start, pitch, length).
fn notes(part: &Part) -> Vec<(u32, u8, u32)> {
    part.notes.iter().map(|note| (note.start, note.pitch, note.length)).collect()
}
