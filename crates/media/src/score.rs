//! A piece of music as plain values: parts of notes on one tick grid, with tempo, metre and key changes.
//!
//! Every reader (MIDI, MusicXML) makes a [`Score`] and every writer takes one. Times and lengths are in
//! ticks; [`Score::ticks_per_quarter`] says how many make a quarter note.

/// A sounding note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// Onset in ticks from the beginning of the piece.
    pub start: u32,
    /// MIDI note number, 0 to 127; 60 is middle C.
    pub pitch: u8,
    /// Length in ticks, at least 1.
    pub length: u32,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
}

impl Note {
    /// The first tick at which the note no longer sounds.
    pub fn end(&self) -> u32 {
        self.start.saturating_add(self.length)
    }
}

/// One named part: a voice, or a staff of an instrument.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Name as printed before the staff; may be empty.
    pub name: String,
    /// General MIDI program, 0 to 127.
    pub program: u8,
    /// Whether the part is unpitched percussion (MIDI channel 10).
    pub percussion: bool,
    /// Notes sorted by (start, pitch).
    pub notes: Vec<Note>,
}

/// A time signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Metre {
    /// Beats in a bar, at least 1.
    pub numerator: u8,
    /// Note value of a beat: 1, 2, 4, 8, 16, 32 or 64.
    pub denominator: u8,
}

/// A key signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Sharps (positive) or flats (negative), -7 to 7.
    pub fifths: i8,
    /// Whether the mode is minor.
    pub minor: bool,
}

/// A value that holds from `start` (ticks) until the next change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change<T> {
    /// Tick from which the value holds.
    pub start: u32,
    /// The value.
    pub value: T,
}

/// A whole piece.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Title, where the file gives one.
    pub title: Option<String>,
    /// Ticks in a quarter note, at least 1.
    pub ticks_per_quarter: u32,
    /// The parts, in the order of the file.
    pub parts: Vec<Part>,
    /// Tempo changes in quarter notes per minute, sorted by start.
    pub tempos: Vec<Change<f64>>,
    /// Time signatures, sorted by start.
    pub metres: Vec<Change<Metre>>,
    /// Key signatures, sorted by start.
    pub keys: Vec<Change<Key>>,
    /// Length in ticks of an incomplete first bar (a pickup), 0 where there is none or it is not known.
    pub pickup: u32,
}

impl Score {
    /// The tick at which the last note ends; 0 for an empty piece.
    pub fn end(&self) -> u32 {
        self.parts.iter().flat_map(|part| &part.notes).map(Note::end).max().unwrap_or(0)
    }
}
