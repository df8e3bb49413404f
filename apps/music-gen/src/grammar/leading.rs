//! What four voices had better not do, by the rules of strict part-writing (Fux, 1725): parallel fifths and octaves, and
//! ends away from home. The net knows these rules by and large; drawn from at a temperature it forgets them now and then,
//! so here they make a token less likely, never impossible. Training and held-out figures do not know them.

use super::{Expect, Grammar};
use crate::vocabulary::{GRID, LENGTHS, Token};

/// Taken off the logit of what breaks a rule.
const PARALLEL: f32 = 4.;
const ASTRAY: f32 = 12.;

/// Taken off for a bass that does not lead home within the last quarter before it.
const IDLE: f32 = 3.;
/// Degrees of a bass that does, in semitones above the tonic: those of V, vii, IV and ii.
const LEADING: &[u8] = &[2, 5, 7, 11];

/// Pitch classes of the tonic chord as the pitch tokens have them; in minor with either third.
const MAJOR: &[u8] = &[0, 4, 7];
const MINOR: &[u8] = &[9, 0, 1, 4];

impl Grammar {
    /// What is to be taken off a token's logit: 0 unless it breaks a rule. Only music of single voices has rules.
    pub fn penalty(&self, token: Token) -> f32 {
        if !self.voices || self.bar == 0 || self.notes.len() < 2 || self.part >= self.notes.len() {
            return 0.;
        }
        match (self.expect, token) {
            (Expect::Pitch, Token::Pitch(pitch)) => {
                let astray = !self.lead && self.arrives() && !self.at_home(self.part, pitch);
                let idle = self.approaches() && !self.closes(pitch);
                if astray { ASTRAY } else { self.parallel(pitch) + if idle { IDLE } else { 0. } }
            }
            (Expect::Pitch, Token::Hold | Token::Rest) if !self.lead && self.arrives() => {
                let held = self.held(self.part, self.now() + 1).next().filter(|_| token == Token::Hold);
                if held.is_some_and(|pitch| self.at_home(self.part, pitch as u8)) { 0. } else { ASTRAY }
            }
            (Expect::Length, Token::Length(index)) if self.lead && self.last_bar() => {
                let ends =
                    self.now().saturating_add(LENGTHS[index as usize]) >= self.bar_end().min(self.limit());
                let pitch = self.pitch.and_then(|pitch| self.relative(0, pitch));
                if ends && !pitch.is_some_and(|pitch| self.tonic_chord().contains(&(pitch % 12))) {
                    ASTRAY
                } else {
                    0.
                }
            }
            (Expect::Section, Token::Others) if self.lead && self.last_bar() => {
                if self.lead_at_home() {
                    0.
                } else {
                    ASTRAY
                }
            }
            (Expect::Section, Token::End) if self.lead_at_home() => {
                let last = self.notes[0].last().map_or(0, |note| note.start);
                let sounding = |part: usize| self.held(part, last + 1).next();
                let home = |part: usize| sounding(part).is_none_or(|pitch| self.at_home(part, pitch as u8));
                if (1..self.notes.len()).all(home) { 0. } else { ASTRAY }
            }
            _ => 0.,
        }
    }

    fn tonic_chord(&self) -> &'static [u8] {
        if self.keys.first().is_some_and(|key| key.value.1) { MINOR } else { MAJOR }
    }

    /// Whether a voice may end on a pitch: the lowest on the tonic, the others on its chord.
    fn at_home(&self, part: usize, pitch: u8) -> bool {
        let chord = self.tonic_chord();
        let lowest = part + 1 == self.notes.len();
        if lowest { pitch % 12 == chord[0] } else { chord.contains(&(pitch % 12)) }
    }

    fn lead_at_home(&self) -> bool {
        let last = self.notes[0].last().and_then(|note| self.relative(0, note.pitch));
        last.is_some_and(|pitch| self.tonic_chord().contains(&(pitch % 12)))
    }

    /// Whether the leading voice's last note has begun, and is one that a piece may end with.
    fn arrives(&self) -> bool {
        let last = self.notes[0].last().map_or(u32::MAX, |note| note.start);
        self.last_bar() && self.now() >= last && self.lead_at_home()
    }

    /// Whether this is the bass, within a quarter of the leading voice's last note.
    fn approaches(&self) -> bool {
        let last = self.notes[0].last().map_or(0, |note| note.start);
        let near = self.now() < last && self.now() + GRID >= last;
        !self.lead && self.part + 1 == self.notes.len() && self.last_bar() && near && self.lead_at_home()
    }

    fn closes(&self, pitch: u8) -> bool {
        LEADING.contains(&((pitch + 12 - self.tonic_chord()[0]) % 12))
    }

    /// Whether a pitch would keep a fifth or an octave to a voice that moves the same way.
    fn parallel(&self, pitch: u8) -> f32 {
        let now = self.now();
        let Some(from) = self.last_notes(self.part, now).next() else { return 0. };
        let pitch = pitch as u32;
        let moves = |other: usize| {
            let (to, before) = (self.struck(other, now).next()?, self.last_notes(other, now).next()?);
            let interval = |a: u32, b: u32| a.abs_diff(b) % 12;
            let same_way = (to > before && pitch > from) || (to < before && pitch < from);
            let kept = interval(pitch, to);
            Some(same_way && matches!(kept, 0 | 7) && kept == interval(from, before))
        };
        let broken =
            (0..self.notes.len()).filter(|&other| other != self.part).any(|other| moves(other) == Some(true));
        if broken { PARALLEL } else { 0. }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;
    use media::score::{Note, Part, Score};

    /// Two voices in quarter notes, one bar of 4/4 and a last one.
    fn grammar_before(upper: &[u8], lower: &[u8]) -> Grammar {
        let voice = |pitches: &[u8]| Part {
            notes: (0..)
                .zip(pitches)
                .map(|(index, pitch)| Note { start: 24 * index, length: 24, pitch: *pitch, velocity: 80 })
                .collect(),
            ..Part::default()
        };
        let score =
            Score { ticks_per_quarter: 24, parts: vec![voice(upper), voice(lower)], ..Score::default() };
        let piece = encode(&score, 0, 0).unwrap();
        let mut grammar = Grammar::new(&[]);
        let last = piece.tokens().collect::<Vec<_>>();
        // up to the last pitch of the lower voice
        let place = last.iter().rposition(|token| matches!(token, Token::Pitch(_))).unwrap();
        for token in &last[..place] {
            grammar.push(*token).unwrap();
        }
        grammar
    }

    #[test]
    fn fifths_and_octaves_are_not_kept() {
        // C-G moves to D-?: A keeps the fifth, F and B do not, and contrary motion is free
        let grammar = grammar_before(&[67, 69, 67, 69], &[60, 62, 60, 65]);
        assert_eq!(grammar.penalty(Token::Pitch(62)), PARALLEL);
        assert_eq!(grammar.penalty(Token::Pitch(65)), 0.);
        assert_eq!(grammar.penalty(Token::Pitch(57)), 0.);
    }

    #[test]
    fn a_piece_ends_at_home() {
        let grammar = grammar_before(&[67, 69, 71, 72], &[64, 65, 62, 60]);
        if grammar.arrives() {
            let home = grammar.tonic_chord()[0];
            assert_eq!(grammar.penalty(Token::Pitch(60 + home)), 0.);
            assert_eq!(grammar.penalty(Token::Pitch(62 + home)), ASTRAY);
            assert_eq!(grammar.penalty(Token::Rest), ASTRAY);
        } else {
            panic!("the last note of the leading voice has begun");
        }
    }
}
