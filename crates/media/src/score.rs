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
    /// Time signatures, sorted by start. Each begins a bar, so that the same metre may stand again where a
    /// bar was cut short.
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

/// Brings notes into the order and form of a [`Part`]: sorted, unisons with one onset merged (the longest and
/// loudest stays), a sounding note ended by the next onset of its pitch, notes without length dropped.
pub fn settle_notes(notes: &mut Vec<Note>) {
    notes.retain(|note| note.length > 0);
    notes.sort_unstable();
    let mut settled: Vec<Note> = Vec::with_capacity(notes.len());
    let mut last_of_pitch = [None::<usize>; 256];
    for &note in notes.iter() {
        let last = &mut last_of_pitch[usize::from(note.pitch)];
        if let Some(index) = *last {
            let sounding = &mut settled[index];
            if sounding.start == note.start {
                sounding.length = sounding.length.max(note.length);
                sounding.velocity = sounding.velocity.max(note.velocity);
                continue;
            }
            sounding.length = sounding.length.min(note.start - sounding.start);
        }
        *last = Some(settled.len());
        settled.push(note);
    }
    *notes = settled;
}

/// Sorts changes by start, keeps the last of those at one tick, and drops those that change nothing.
pub fn settle_changes<T: PartialEq + Copy>(changes: &mut Vec<Change<T>>) {
    keep_last_of_tick(changes);
    changes.dedup_by(|later, earlier| later.value == earlier.value);
}

/// Like [`settle_changes`], but a repeated metre stays where it begins a bar in the middle of another.
pub fn settle_metres(metres: &mut Vec<Change<Metre>>, pickup: u32, ticks_per_quarter: u32) {
    keep_last_of_tick(metres);
    let mut settled: Vec<Change<Metre>> = Vec::with_capacity(metres.len());
    for &change in metres.iter() {
        let redundant = settled.last().is_some_and(|last| {
            let origin = if last.start == 0 { pickup } else { last.start };
            let passed = u64::from(change.start.saturating_sub(origin)) * u64::from(last.value.denominator);
            let bar = u64::from(ticks_per_quarter) * 4 * u64::from(last.value.numerator);
            last.value == change.value && bar > 0 && passed % bar == 0
        });
        if !redundant {
            settled.push(change);
        }
    }
    *metres = settled;
}

fn keep_last_of_tick<T: Copy>(changes: &mut Vec<Change<T>>) {
    changes.sort_by_key(|change| change.start);
    changes.dedup_by(|later, earlier| {
        let same = later.start == earlier.start;
        if same {
            earlier.value = later.value;
        }
        same
    });
}
