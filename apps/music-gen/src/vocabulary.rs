//! The token vocabulary: what a piece is written with.
//!
//! REMI's idea (Huang and Yang 2020, <https://arxiv.org/abs/2002.00212>): explicit bars and positions in
//! the bar, so that a net sees metre without counting; explicit lengths, so that no note can hang. Some
//! things are our own, and `grammar.rs` shows the order of the tokens. Every bar says how many bars are
//! left, which lets a piece of a given length end with its cadence. The leading part writes its whole bar
//! before the others write theirs, so that harmonising a given melody and composing are one task.
//! Pitches are written as if in C major or A minor. Parts are numbered and carry an instrument, so that
//! one vocabulary serves any line-up.
//!
//! Single tokens were preferred to compound words (several heads a step): the net stays a Llama, and the
//! grammar can rule each choice by itself. What follows from earlier tokens the net is told beside them
//! (`grammar/context.rs`).

use media::score::{Key, Metre};

/// Ticks in a quarter note on the grid of the tokens: thirty-seconds (3) and triplets (8, 4) fit.
pub const GRID: u32 = 24;
/// Positions in the longest bar: nine quarters.
pub const LONGEST_BAR: u32 = 9 * GRID;
/// Parts in a piece at most.
pub const PARTS: usize = 16;
/// Styles that a model can hold.
pub const STYLES: usize = 8;
/// `BarsLeft` counts down from here; longer pieces stay at it until they are that near their end.
pub const COUNTDOWN: u32 = 63;
/// The program number that stands for percussion.
pub const PERCUSSION: u8 = 128;

/// Note lengths in grid ticks; any other length is cut to the next shorter one.
pub const LENGTHS: [u32; 41] = [
    1, 2, 3, 4, 6, 8, 9, 12, 15, 16, 18, 20, 21, 24, 28, 30, 32, 36, 40, 42, 48, 54, 60, 64, 66, 72, 78, 80,
    84, 90, 96, 108, 120, 132, 144, 156, 160, 168, 180, 192, 216,
];

/// Tempo marks in quarter notes per minute; any other tempo is rounded to the nearest.
pub const TEMPOS: [u32; 20] =
    [40, 44, 48, 52, 56, 60, 66, 72, 76, 84, 92, 100, 108, 116, 126, 138, 152, 168, 184, 208];

const DENOMINATORS: [u8; 4] = [2, 4, 8, 16];
const NUMERATORS: u8 = 16;

/// One symbol of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// Fills short rows of a training batch; never in a piece.
    Pad,
    /// A piece from its first bar.
    Begin,
    /// A piece seen from some later bar.
    Middle,
    /// The piece is over.
    End,
    /// The leading part's bar follows.
    Lead,
    /// The bar of all other parts follows.
    Others,
    /// Silence: of the leading part for the length that follows, of another voice from here on.
    Rest,
    /// The voice goes on as before: its note sounds on, or its silence.
    Hold,
    /// The first bar is incomplete.
    Pickup,
    /// Every part has one note at a time, and its rests are written out.
    Voices,
    /// Index of the style among the model's.
    Style(u8),
    /// Tonic pitch class (0 is C) and whether the mode is minor.
    Key(u8, bool),
    /// Time signature.
    Metre(u8, u8),
    /// Index into [`TEMPOS`].
    Tempo(u8),
    /// General MIDI program, or [`PERCUSSION`].
    Program(u8),
    /// Number of a part, counted from the top of the score.
    Part(u8),
    /// A bar begins; so many follow it (at most [`COUNTDOWN`]).
    BarsLeft(u8),
    /// Position in the bar in grid ticks.
    Position(u8),
    /// A note begins: its MIDI note number as it would be in C major or A minor, see [`key_shift`].
    Pitch(u8),
    /// Index into [`LENGTHS`].
    Length(u8),
}

const STYLE: u32 = 10;
const KEY: u32 = STYLE + STYLES as u32;
const METRE: u32 = KEY + 24;
const TEMPO: u32 = METRE + DENOMINATORS.len() as u32 * NUMERATORS as u32;
const PROGRAM: u32 = TEMPO + TEMPOS.len() as u32;
const PART: u32 = PROGRAM + 129;
const BARS_LEFT: u32 = PART + PARTS as u32;
const POSITION: u32 = BARS_LEFT + COUNTDOWN + 1;
const PITCH: u32 = POSITION + LONGEST_BAR;
const LENGTH: u32 = PITCH + 128;

/// Number of tokens.
pub const SIZE: usize = LENGTH as usize + LENGTHS.len();

impl Token {
    /// The token's number, below [`SIZE`].
    pub fn id(self) -> u32 {
        match self {
            Token::Pad => 0,
            Token::Begin => 1,
            Token::Middle => 2,
            Token::End => 3,
            Token::Lead => 4,
            Token::Others => 5,
            Token::Rest => 6,
            Token::Pickup => 7,
            Token::Voices => 8,
            Token::Hold => 9,
            Token::Style(style) => STYLE + style as u32,
            Token::Key(tonic, minor) => KEY + tonic as u32 + if minor { 12 } else { 0 },
            Token::Metre(numerator, denominator) => {
                let row = DENOMINATORS.iter().position(|&d| d == denominator).unwrap_or(1) as u32;
                METRE + row * NUMERATORS as u32 + (numerator.clamp(1, NUMERATORS) - 1) as u32
            }
            Token::Tempo(index) => TEMPO + index as u32,
            Token::Program(program) => PROGRAM + program as u32,
            Token::Part(part) => PART + part as u32,
            Token::BarsLeft(left) => BARS_LEFT + left as u32,
            Token::Position(position) => POSITION + position as u32,
            Token::Pitch(pitch) => PITCH + pitch as u32,
            Token::Length(index) => LENGTH + index as u32,
        }
    }

    /// The token with this number; `None` from [`SIZE`] on.
    pub fn from_id(id: u32) -> Option<Token> {
        Some(match id {
            0 => Token::Pad,
            1 => Token::Begin,
            2 => Token::Middle,
            3 => Token::End,
            4 => Token::Lead,
            5 => Token::Others,
            6 => Token::Rest,
            7 => Token::Pickup,
            8 => Token::Voices,
            9 => Token::Hold,
            STYLE..KEY => Token::Style((id - STYLE) as u8),
            KEY..METRE => Token::Key(((id - KEY) % 12) as u8, id - KEY >= 12),
            METRE..TEMPO => {
                let (row, column) = ((id - METRE) / NUMERATORS as u32, (id - METRE) % NUMERATORS as u32);
                Token::Metre(column as u8 + 1, DENOMINATORS[row as usize])
            }
            TEMPO..PROGRAM => Token::Tempo((id - TEMPO) as u8),
            PROGRAM..PART => Token::Program((id - PROGRAM) as u8),
            PART..BARS_LEFT => Token::Part((id - PART) as u8),
            BARS_LEFT..POSITION => Token::BarsLeft((id - BARS_LEFT) as u8),
            POSITION..PITCH => Token::Position((id - POSITION) as u8),
            PITCH..LENGTH => Token::Pitch((id - PITCH) as u8),
            _ if (id as usize) < SIZE => Token::Length((id - LENGTH) as u8),
            _ => return None,
        })
    }

    /// The metre as a token, where the vocabulary has it.
    pub fn of_metre(metre: Metre) -> Option<Token> {
        let known = DENOMINATORS.contains(&metre.denominator) && (1..=NUMERATORS).contains(&metre.numerator);
        (known && bar_length(metre) <= LONGEST_BAR)
            .then_some(Token::Metre(metre.numerator, metre.denominator))
    }

    /// The key as a token.
    pub fn of_key(key: Key) -> Token {
        Token::Key(tonic(key), key.minor)
    }

    /// The nearest tempo mark (on a logarithmic scale) as a token.
    pub fn of_tempo(quarters_per_minute: f64) -> Token {
        let distance = |mark: u32| (mark as f64 / quarters_per_minute.max(1.0)).ln().abs();
        let nearest = (0..TEMPOS.len()).min_by(|&a, &b| distance(TEMPOS[a]).total_cmp(&distance(TEMPOS[b])));
        Token::Tempo(nearest.unwrap_or(0) as u8)
    }
}

/// Index of the longest entry of [`LENGTHS`] that is not above `ticks`; `ticks` is at least 1.
pub fn length_index(ticks: u32) -> u8 {
    LENGTHS.partition_point(|&length| length <= ticks).saturating_sub(1) as u8
}

/// Grid ticks in a bar.
pub fn bar_length(metre: Metre) -> u32 {
    metre.numerator as u32 * 4 * GRID / metre.denominator as u32
}

/// Pitch class of the tonic; 0 is C.
pub fn tonic(key: Key) -> u8 {
    (key.fifths as i32 * 7 + if key.minor { 9 } else { 0 }).rem_euclid(12) as u8
}

/// Semitones, -5 to 6, by which a piece in this key lies above C major or A minor: pitches are written
/// without them, so that a scale degree is the same token in every key, and a net need not learn each key.
pub fn key_shift(tonic: u8, minor: bool) -> i32 {
    (tonic as i32 + if minor { 3 } else { 0 } + 5).rem_euclid(12) - 5
}

/// The key signature with this tonic, with at most six flats or sharps.
pub fn key_of(tonic: u8, minor: bool) -> Key {
    let major = (tonic as i32 + if minor { 3 } else { 0 }).rem_euclid(12);
    let fifths = (major * 7).rem_euclid(12);
    Key { fifths: if fifths > 6 { fifths - 12 } else { fifths } as i8, minor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_one_token() {
        for id in 0..SIZE as u32 {
            assert_eq!(Token::from_id(id).map(Token::id), Some(id));
        }
        assert_eq!(Token::from_id(SIZE as u32), None);
    }

    #[test]
    fn lengths_are_cut_to_the_next_shorter() {
        for (ticks, expected) in [(1, 1), (5, 4), (24, 24), (25, 24), (95, 90), (192, 192), (5000, 216)] {
            assert_eq!(LENGTHS[length_index(ticks) as usize], expected);
        }
        assert!(LENGTHS.is_sorted() && TEMPOS.is_sorted());
    }

    #[test]
    fn keys_go_there_and_back() {
        for tonic_class in 0..12 {
            for minor in [false, true] {
                let key = key_of(tonic_class, minor);
                assert_eq!(tonic(key), tonic_class);
                assert!((-5..=6).contains(&key.fifths));
            }
        }
        assert_eq!(key_of(9, true), Key { fifths: 0, minor: true });
        assert_eq!(key_of(10, false), Key { fifths: -2, minor: false });
    }

    #[test]
    fn shifts_lead_to_c_major_and_a_minor() {
        for (tonic, minor, expected) in
            [(0, false, 0), (9, true, 0), (7, false, -5), (6, false, 6), (2, true, 5)]
        {
            assert_eq!(key_shift(tonic, minor), expected);
        }
    }

    #[test]
    fn tempo_marks_are_the_nearest() {
        for (tempo, expected) in [(120.0, 116), (71.0, 72), (1.0, 40), (1e9, 208), (f64::NAN, 40)] {
            let Token::Tempo(index) = Token::of_tempo(tempo) else { panic!("not a tempo") };
            assert_eq!(TEMPOS[index as usize], expected, "{tempo}");
        }
    }
}
