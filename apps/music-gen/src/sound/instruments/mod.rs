//! What each General MIDI program sounds like, as plain numbers.

mod struck;
mod sustained;

use struck::{
    BASS, BELLS, BRIGHT_PIANO, ELECTRIC_PIANO, GUITAR, HARP, HARPSICHORD, PIANO, PIZZICATO, STEEL, TIMPANI,
    TUBES, WOOD,
};
use sustained::{
    BASSOON, BRASS, BRASS_SECTION, CHOIR_AH, CHOIR_OOH, CHURCH_ORGAN, CLARINET, DRAWBARS, FLUTE, HORN, LEAD,
    OBOE, PAD, REED_ORGAN, SAXOPHONE, SOLO_STRING, SQUARE, STRING_SECTION,
};

pub(super) use struck::{Body, Struck};
pub(super) use sustained::Sustained;

/// An instrument.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instrument {
    /// Sounds as long as the key is held.
    Sustained(&'static Sustained),
    /// Rings and dies away.
    Struck(&'static Struck),
    /// A drum kit: every key is another instrument.
    Drums,
}

/// The instrument of a General MIDI program (0 to 127), the closest there is.
pub(super) fn instrument(program: u8, percussion: bool) -> Instrument {
    use Instrument::{Drums, Struck, Sustained};
    if percussion {
        return Drums;
    }
    match program {
        0 | 2 | 3 => Struck(&PIANO),
        1 => Struck(&BRIGHT_PIANO),
        4 | 5 => Struck(&ELECTRIC_PIANO),
        6 | 7 => Struck(&HARPSICHORD),
        8..=11 => Struck(&BELLS),
        12 | 13 => Struck(&WOOD),
        14 => Struck(&TUBES),
        15 => Struck(&HARPSICHORD),
        16..=18 => Sustained(&DRAWBARS),
        19 => Sustained(&CHURCH_ORGAN),
        20..=23 => Sustained(&REED_ORGAN),
        24..=31 => Struck(&GUITAR),
        32..=39 => Struck(&BASS),
        40..=43 => Sustained(&SOLO_STRING),
        44 | 48..=51 => Sustained(&STRING_SECTION),
        45 => Struck(&PIZZICATO),
        46 => Struck(&HARP),
        47 => Struck(&TIMPANI),
        52 => Sustained(&CHOIR_AH),
        53 | 54 => Sustained(&CHOIR_OOH),
        55 | 61..=63 => Sustained(&BRASS_SECTION),
        60 => Sustained(&HORN),
        56..=59 => Sustained(&BRASS),
        64..=67 => Sustained(&SAXOPHONE),
        68 | 69 | 111 => Sustained(&OBOE),
        70 | 109 => Sustained(&BASSOON),
        71 => Sustained(&CLARINET),
        72..=79 => Sustained(&FLUTE),
        80 => Sustained(&SQUARE),
        81..=84 | 86 | 87 => Sustained(&LEAD),
        85 => Sustained(&CHOIR_AH),
        91 => Sustained(&CHOIR_OOH),
        88..=103 => Sustained(&PAD),
        104..=107 => Struck(&GUITAR),
        108 | 113 | 115 => Struck(&WOOD),
        110 => Sustained(&SOLO_STRING),
        112 => Struck(&BELLS),
        114 => Struck(&STEEL),
        116..=119 => Struck(&TIMPANI),
        _ => Sustained(&PAD),
    }
}
