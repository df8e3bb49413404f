//! A piece as the bytes of a file.

use anyhow::{Context, Result};
use media::score::Score;

use crate::sound::soundfont::Font;
use crate::{piano_roll, sound};

/// What can be written of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A MIDI file of type 1.
    Midi,
    /// Sound: 16 bit, stereo, 44.1 kHz.
    Wav,
    /// A picture of the notes.
    Png,
}

impl Kind {
    /// All, in the order in which they are written.
    pub const ALL: [Kind; 3] = [Kind::Midi, Kind::Wav, Kind::Png];

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Kind::Midi => "mid",
            Kind::Wav => "wav",
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
pub fn render(score: &Score, kind: Kind, soundfont: Option<&Font>) -> Result<Vec<u8>> {
    match kind {
        Kind::Midi => media::midi::write(score).context("the piece cannot be written as MIDI"),
        Kind::Png => piano_roll::draw(score).to_png().context("the piano roll cannot be drawn"),
        Kind::Wav => {
            let audio = match soundfont {
                Some(font) => font.render(score)?,
                None => sound::render(score, &sound::Options::default())?,
            };
            media::wav::encode(&audio.samples, audio.channels, audio.rate)
                .context("the sound cannot be written")
        }
    }
}
