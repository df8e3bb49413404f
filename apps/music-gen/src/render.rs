//! A piece as the bytes of a file.

use anyhow::{Context, Result};
use media::score::Score;

use crate::finish::Finish;
use crate::sound::Audio;
use crate::sound::soundfont::Font;
use crate::{piano_roll, sound};

/// What can be written of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A MIDI file of type 1.
    Midi,
    /// Sound, of notes in stereo at 44.1 kHz.
    Wav,
    /// The same in less space.
    Flac,
    /// A picture of the notes, or of the sound.
    Png,
}

impl Kind {
    /// All that there are.
    pub const ALL: [Kind; 4] = [Kind::Midi, Kind::Wav, Kind::Flac, Kind::Png];

    /// What is written of a piece where nobody says, in that order.
    pub const USUAL: [Kind; 3] = [Kind::Midi, Kind::Wav, Kind::Png];

    /// What there is of a piece that has no notes.
    pub const OF_SOUND: [Kind; 3] = [Kind::Wav, Kind::Flac, Kind::Png];

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Kind::Midi => "mid",
            Kind::Wav => "wav",
            Kind::Flac => "flac",
            Kind::Png => "png",
        }
    }

    /// The kind that an extension names, in any case.
    pub fn of_extension(extension: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.extension().eq_ignore_ascii_case(extension))
    }
}

/// The bytes of one kind of file. Without a soundfont the built-in synthesiser plays.
///
/// # Errors
/// A piece too long to be rendered, or one that the soundfont cannot play.
pub fn render(score: &Score, kind: Kind, soundfont: Option<&Font>, finish: &Finish) -> Result<Vec<u8>> {
    match kind {
        Kind::Midi => media::midi::write(score).context("the piece cannot be written as MIDI"),
        Kind::Png => piano_roll::draw(score).to_png().context("the piano roll cannot be drawn"),
        Kind::Wav | Kind::Flac => finish.bytes(hear(score, soundfont)?, kind),
    }
}

/// A piece as sound.
///
/// # Errors
/// As [`render`].
pub fn hear(score: &Score, soundfont: Option<&Font>) -> Result<Audio> {
    Ok(match soundfont {
        Some(font) => font.render(score)?,
        None => sound::render(score, &sound::Options::default())?,
    })
}
