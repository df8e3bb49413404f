//! Music as MIDI, sound and picture.

fn main() {}
