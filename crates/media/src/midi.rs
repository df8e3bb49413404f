//! Standard MIDI files: [`read`] makes a [`Score`](crate::score::Score) of one, [`write`] makes one of a score.
//!
//! Read are types 0 and 1 (and either inside a RIFF `RMID` file). A part is what one track plays on one
//! channel; channel 10 is percussion. A note-on ends a sounding note of the same pitch, a note without a
//! note-off lasts until its track ends, notes without length are dropped, pedals and controllers are
//! ignored. SMPTE time becomes a grid of one quarter note a second. A first bar shorter than the metre that
//! follows it is a pickup.

mod read;
mod write;

pub use read::read;
pub use write::write;

/// Larger files are refused, in bytes.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// MIDI's drum channel, counted from 0.
const PERCUSSION_CHANNEL: u8 = 9;

/// Why a file cannot be read, or a score not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No bytes at all.
    #[error("the file is empty; expected a MIDI file")]
    Empty,
    /// More than [`MAX_FILE_BYTES`].
    #[error("the file has {size} bytes; MIDI files are read up to {MAX_FILE_BYTES}")]
    TooLarge {
        /// Bytes in the file.
        size: usize,
    },
    /// No usable header.
    #[error("not a MIDI file: {0}")]
    Header(&'static str),
    /// More tracks than a header can declare.
    #[error("the MIDI file holds {found} tracks, expected at most 65535")]
    TooManyTracks {
        /// Tracks in the file.
        found: usize,
    },
    /// Type 2 has independent patterns instead of one piece.
    #[error("MIDI type 2 (independent patterns) is not read; save the file as type 0 or 1")]
    Sequential,
    /// A time division that says nothing.
    #[error("the MIDI header declares 0 ticks in a {0}")]
    NoTicks(&'static str),
    /// Fewer tracks than declared.
    #[error(
        "the MIDI header declares {declared} tracks, but the file holds {found}; it is damaged or truncated"
    )]
    Tracks {
        /// Tracks that the header names.
        declared: usize,
        /// Tracks in the file.
        found: usize,
    },
    /// The file ends inside a chunk.
    #[error("the file is truncated: MIDI track {track} declares {declared} bytes, but only {left} are left")]
    Truncated {
        /// Number of the track, from 1.
        track: usize,
        /// Its declared size.
        declared: u32,
        /// Bytes that remain in the file.
        left: usize,
    },
    /// A track that stops before its end-of-track event.
    #[error("MIDI track {track} is damaged near tick {tick}: no readable event and no end of track follow")]
    Damaged {
        /// Number of the track, from 1.
        track: usize,
        /// Where reading stopped.
        tick: u64,
    },
    /// Times beyond 32 bits.
    #[error("MIDI track {track} runs past tick 4294967295; its delta times are damaged")]
    TooLong {
        /// Number of the track, from 1.
        track: usize,
    },
    /// A score that MIDI cannot hold.
    #[error("cannot write this score as MIDI: {0}")]
    Unwritable(String),
}
