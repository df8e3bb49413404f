//! What voices had better do, by the rules of strict part-writing (Fux, 1725): keep no fifths and octaves in parallel,
//! strike no seventh on a strong beat, come home at the end, and sing again what they sang to the same melody. The net
//! knows these rules by and large; drawn from at a temperature it forgets them now and then, so here they make a token
//! less likely, or more, never impossible. Training and held-out figures do not know them.

use media::score::Note;

use super::{Expect, Grammar};
use crate::vocabulary::{GRID, LENGTHS, Token};

/// Taken off the logit of what breaks a rule.
const PARALLEL: f32 = 4.;
const ASTRAY: f32 = 12.;
/// The shortest last note: a half, which none of Bach's falls short of.
const LAST: u32 = 2 * GRID;
/// Taken off for a seventh above the bass that is struck on a strong beat, rather than held over into it.
const SEVENTH: f32 = 1.2;
/// The same for a voice that crosses another one.
const CROSSED: f32 = 0.5;

/// Taken off for what does not lead home within the last quarter before it.
const IDLE: f32 = 6.;
/// Degrees of a bass that does, in semitones above the tonic: those of V, vii, IV and ii.
const LEADING: &[u8] = &[2, 5, 7, 11];
/// Degrees that stand above the dominant or the leading note there: those of V7, and the ninth in minor.
const DOMINANT: &[u8] = &[2, 5, 7, 8, 11];

/// Given, under a melody that is known, to what a voice did the last time the melody went like this.
const AGAIN: f32 = 6.;
/// The same where the melody is composed as well.
const ALSO: f32 = 0.7;
/// Notes of the melody that must have agreed.
const ALIKE: usize = 3;

/// Pitch classes of the tonic chord as the pitch tokens have them; in minor with either third.
const MAJOR: &[u8] = &[0, 4, 7];
const MINOR: &[u8] = &[9, 0, 1, 4];

fn off(penalty: f32, broken: bool) -> f32 {
    if broken { penalty } else { 0. }
}

/// The rules at a moment.
pub struct Rules<'a> {
    grammar: &'a Grammar,
    /// How much earlier the melody went as it does now.
    lag: Option<u32>,
}

impl Rules<'_> {
    /// What is to be taken off a token's logit: 0 unless a rule speaks.
    pub fn penalty(&self, token: Token) -> f32 {
        let grammar = self.grammar;
        if !grammar.voices
            || grammar.bar == 0
            || grammar.notes.len() < 2
            || grammar.part >= grammar.notes.len()
        {
            return 0.;
        }
        let again = if grammar.melody_ends.is_some() { AGAIN } else { ALSO };
        grammar.broken(token) - off(again, self.lag.is_some_and(|lag| grammar.repeats(token, lag)))
    }
}

impl Grammar {
    /// The rules that hold for the next token. Only music of single voices has rules.
    pub fn rules(&self) -> Rules<'_> {
        let repeated = || self.repeated(self.now(), ALIKE);
        Rules { grammar: self, lag: (self.voices && self.bar > 0 && !self.lead).then(repeated).flatten() }
    }

    fn broken(&self, token: Token) -> f32 {
        match (self.expect, token) {
            (Expect::Pitch, Token::Pitch(pitch)) => {
                let arrives = !self.lead && self.arrives() && !self.at_home(self.part, pitch);
                if arrives || (self.must_end() && !self.tonic_chord().contains(&(pitch % 12))) {
                    return ASTRAY;
                }
                off(PARALLEL, self.is_parallel(pitch))
                    + off(IDLE, self.approaches() && !self.closes(pitch))
                    + off(SEVENTH, self.on_strong_beat() && self.is_seventh(pitch))
                    + off(CROSSED, self.crosses(pitch))
            }
            (Expect::Pitch, Token::Hold | Token::Rest) if !self.lead && self.arrives() => {
                off(ASTRAY, !self.held_on(token).is_some_and(|pitch| self.at_home(self.part, pitch)))
            }
            (Expect::Pitch, Token::Hold | Token::Rest) if self.approaches() => {
                off(IDLE, !self.held_on(token).is_some_and(|pitch| self.closes(pitch)))
            }
            (Expect::Pitch, Token::Rest) => off(ASTRAY, self.must_end()),
            (Expect::Length, Token::Length(index)) if self.lead && self.last_bar() => {
                let left = self.time_left().saturating_sub(LENGTHS[index as usize]);
                let away = left == 0 && !self.pitch.is_some_and(|pitch| self.in_tonic_chord(pitch));
                let abrupt = left == 0 && self.position == Some(0) && !self.bass_leads();
                let before_last = left > 0 && left <= self.shortest_end();
                let stays = before_last && self.pitch.is_some_and(|pitch| self.rests(pitch));
                off(ASTRAY, away || (left > 0 && left < self.shortest_end())) + off(IDLE, abrupt || stays)
            }
            (Expect::Section, Token::Others) if self.lead && self.last_bar() => {
                off(ASTRAY, !self.lead_at_home())
            }
            (Expect::Section, Token::End) if self.lead_at_home() => {
                let last = self.notes[0].last().map_or(0, |note| note.start);
                let sounding = |part: usize| self.held(part, last + 1).next();
                let home = |part: usize| sounding(part).is_none_or(|pitch| self.at_home(part, pitch as u8));
                off(ASTRAY, !(1..self.notes.len()).all(home))
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
        self.notes[0].last().is_some_and(|note| self.in_tonic_chord(note.pitch))
    }

    fn shortest_end(&self) -> u32 {
        LAST.min(self.bar_length / 2)
    }

    /// Time until the end of the bar, or of the piece.
    fn time_left(&self) -> u32 {
        self.bar_end().min(self.limit()).saturating_sub(self.now())
    }

    /// Whether the leading voice's next note must be its last one.
    fn must_end(&self) -> bool {
        self.lead && self.last_bar() && self.time_left() <= self.shortest_end()
    }

    /// The leading voice's last note as far as it is known: a melody's, else in the last bar the latest one.
    fn last_of_lead(&self) -> Option<&Note> {
        self.melody_ends.as_ref().or(self.notes[0].last().filter(|_| self.last_bar()))
    }

    /// Whether the leading voice may end on a pitch, as its note has it.
    fn in_tonic_chord(&self, pitch: u8) -> bool {
        self.relative(0, pitch).is_some_and(|pitch| self.tonic_chord().contains(&(pitch % 12)))
    }

    /// Whether the leading voice's last note has begun, and is one that a piece may end with.
    fn arrives(&self) -> bool {
        self.last_of_lead().is_some_and(|last| self.now() >= last.start && self.in_tonic_chord(last.pitch))
    }

    /// Whether this is a voice under the leading one, within a quarter of the last note of that.
    fn approaches(&self) -> bool {
        let near = |last: &Note| self.now() < last.start && self.now() + GRID >= last.start;
        !self.lead && self.last_of_lead().is_some_and(|last| near(last) && self.in_tonic_chord(last.pitch))
    }

    /// Whether a pitch of the leading voice is the tonic or its third: hardly a chord with either leads home.
    fn rests(&self, pitch: u8) -> bool {
        self.relative(0, pitch).is_some_and(|pitch| matches!(self.degree(pitch), 0 | 3 | 4))
    }

    /// Whether the lowest voice's last note leads home.
    fn bass_leads(&self) -> bool {
        let last = self.last_notes(self.notes.len() - 1, self.now()).next();
        last.is_some_and(|pitch| LEADING.contains(&self.degree(pitch as u8)))
    }

    /// Semitones above the tonic.
    fn degree(&self, pitch: u8) -> u8 {
        (pitch + 12 - self.tonic_chord()[0]) % 12
    }

    /// Whether a pitch belongs to a chord that leads home: in the bass, or above the bass that sounds.
    fn closes(&self, pitch: u8) -> bool {
        let bass = self.notes.len() - 1;
        if self.part == bass {
            return LEADING.contains(&self.degree(pitch));
        }
        let below = self.held(bass, self.now() + 1).next().map(|pitch| self.degree(pitch as u8));
        match below {
            Some(7 | 11) => DOMINANT.contains(&self.degree(pitch)),
            _ => !matches!(self.degree(pitch), 3 | 4),
        }
    }

    /// The pitch that a voice keeps with this token.
    fn held_on(&self, token: Token) -> Option<u8> {
        let held = self.held(self.part, self.now() + 1).next().filter(|_| token == Token::Hold);
        held.map(|pitch| pitch as u8)
    }

    /// The first beat of a bar, and its middle where the metre has more than two beats and halves.
    fn on_strong_beat(&self) -> bool {
        let beats = self.metres.last().map_or(0, |change| change.value.numerator);
        let halves = beats > 2 && beats.is_multiple_of(2);
        self.position.is_some_and(|position| position == 0 || (halves && 2 * position == self.bar_length))
    }

    /// Whether a pitch lies above the melody, where that is known, or below the voice underneath.
    fn crosses(&self, pitch: u8) -> bool {
        let sings = |other: usize| self.held(other, self.now() + 1).next();
        let beneath = || (self.part + 1 < self.notes.len()).then(|| sings(self.part + 1)).flatten();
        let above = self.part == 1 && sings(0).is_some_and(|melody| melody < pitch as u32);
        self.melody_ends.is_some()
            && !self.lead
            && (above || beneath().is_some_and(|voice| voice > pitch as u32))
    }

    /// Whether a pitch is a seventh above the bass, or a bass a seventh below the melody.
    fn is_seventh(&self, pitch: u8) -> bool {
        let bass = self.notes.len() - 1;
        let sings = |part: usize| self.held(part, self.now() + 1).next().filter(|_| !self.lead);
        let seventh = |above: i32, below: i32| matches!((above - below).rem_euclid(12), 10 | 11);
        if self.part == bass {
            sings(0).is_some_and(|melody| seventh(melody as i32, pitch as i32))
        } else {
            sings(bass).is_some_and(|below| seventh(pitch as i32, below as i32))
        }
    }

    /// Whether a voice does with this token what it did so much earlier.
    fn repeats(&self, token: Token, lag: u32) -> bool {
        let then = |time: u32| time.saturating_sub(lag);
        let begun = |part: usize, time: u32| self.notes[part].iter().find(|note| note.start == then(time));
        let now = self.now();
        match (self.expect, token) {
            (Expect::Section, Token::Position(position)) => {
                let time = self.bar_start + position as u32;
                (1..self.notes.len()).any(|part| begun(part, time).is_some())
            }
            (Expect::Section, Token::BarsLeft(_)) => {
                let later = |note: &Note| note.start > then(now) && note.start < then(self.bar_end());
                !self.notes[1..].iter().flatten().any(later)
            }
            (Expect::Pitch, Token::Pitch(pitch)) => {
                let note = begun(self.part, now);
                note.and_then(|note| self.relative(self.part, note.pitch)) == Some(pitch)
            }
            (Expect::Pitch, Token::Hold) => {
                let sounds = |note: &Note| note.start < then(now) && note.end() > then(now);
                self.notes[self.part].iter().any(sounds)
            }
            _ => false,
        }
    }

    /// Whether a pitch would keep a fifth or an octave to a voice that moves the same way.
    fn is_parallel(&self, pitch: u8) -> bool {
        let now = self.now();
        let Some(from) = self.last_notes(self.part, now).next() else { return false };
        let pitch = pitch as u32;
        let moves = |other: usize| {
            let (to, before) = (self.struck(other, now).next()?, self.last_notes(other, now).next()?);
            let interval = |a: u32, b: u32| a.abs_diff(b) % 12;
            let same_way = (to > before && pitch > from) || (to < before && pitch < from);
            let kept = interval(pitch, to);
            Some(same_way && matches!(kept, 0 | 7) && kept == interval(from, before))
        };
        (0..self.notes.len()).filter(|&other| other != self.part).any(|other| moves(other) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;
    use media::score::{Part, Score};

    /// Voices in quarter notes, one bar of 4/4 and what is left, up to so many pitches of the lower ones before the end.
    fn grammar_before(voices: &[&[u8]], pitches: usize) -> Grammar {
        let part = |line: &&[u8]| Part {
            notes: (0..)
                .zip(line.iter())
                .map(|(index, pitch)| Note { start: 24 * index, length: 24, pitch: *pitch, velocity: 80 })
                .collect(),
            ..Part::default()
        };
        let parts = voices.iter().map(part).collect();
        let piece = encode(&Score { ticks_per_quarter: 24, parts, ..Score::default() }, 0, 0).unwrap();
        let mut grammar = Grammar::new(&[]);
        let tokens = piece.tokens().collect::<Vec<_>>();
        let is_pitch = |token: &&Token| matches!(token, Token::Pitch(_));
        let before = tokens.iter().filter(is_pitch).count() - pitches;
        let place = tokens.iter().enumerate().filter(|(_, token)| is_pitch(token)).nth(before).unwrap().0;
        for token in &tokens[..place] {
            grammar.push(*token).unwrap();
        }
        grammar
    }

    fn penalties(grammar: &Grammar, pitches: &[u8]) -> Vec<f32> {
        pitches.iter().map(|pitch| grammar.rules().penalty(Token::Pitch(*pitch))).collect()
    }

    #[test]
    fn fifths_and_octaves_are_not_kept() {
        // C-G moves to D-?: A keeps the fifth, F and B do not, and contrary motion is free
        let grammar = grammar_before(&[&[67, 69, 67, 69], &[60, 62, 60, 65]], 1);
        assert_eq!(penalties(&grammar, &[62, 65, 57]), [PARALLEL, 0., 0.]);
    }

    #[test]
    fn a_piece_ends_at_home() {
        let grammar = grammar_before(&[&[67, 69, 71, 72], &[64, 65, 62, 60]], 1);
        let home = grammar.tonic_chord()[0];
        assert_eq!(penalties(&grammar, &[60 + home, 62 + home]), [0., ASTRAY]);
        assert_eq!(grammar.rules().penalty(Token::Rest), ASTRAY);
    }

    #[test]
    fn the_melody_ends_on_a_note_of_its_own() {
        // before the first note of the second and last bar
        let mut grammar = grammar_before(&[&[67, 69, 71, 72, 67, 71, 72], &[64, 65, 62, 60, 64, 62, 60]], 6);
        assert_eq!((grammar.last_bar(), grammar.position), (true, Some(0)));
        grammar.push(Token::Pitch(71)).unwrap();
        let length = |grammar: &Grammar, ticks| {
            let index = LENGTHS.iter().position(|length| *length == ticks).unwrap();
            grammar.rules().penalty(Token::Length(index as u8))
        };
        // a half leaves a half; more would leave less, and all of the bar would be an end away from home
        assert_eq!([24, 48, 72].map(|ticks| length(&grammar, ticks)), [0., 0., ASTRAY]);
        assert!(length(&grammar, 96) >= ASTRAY);
        let half = LENGTHS.iter().position(|length| *length == 48).unwrap();
        grammar.push(Token::Length(half as u8)).unwrap();
        grammar.push(Token::Position(48)).unwrap();
        assert_eq!(penalties(&grammar, &[71, 72]), [ASTRAY, 0.]);
        assert_eq!(grammar.rules().penalty(Token::Rest), ASTRAY);
    }

    #[test]
    fn the_bass_leads_home() {
        // before the last C: G and B lead there, A and a held C do not
        let grammar = grammar_before(&[&[67, 69, 74, 72], &[64, 60, 55, 48]], 2);
        assert_eq!(grammar.tonic_chord(), MAJOR);
        assert_eq!(penalties(&grammar, &[55, 59, 57]), [0., 0., IDLE]);
        assert_eq!(grammar.rules().penalty(Token::Hold), IDLE);
    }

    #[test]
    fn what_is_above_a_dominant_belongs_to_it() {
        // G under D: B belongs to it, so does F though it is a seventh, C and E do not
        let grammar = grammar_before(&[&[67, 69, 74, 72], &[64, 65, 71, 67], &[60, 60, 55, 48]], 3);
        assert_eq!(grammar.part, 1);
        assert_eq!(penalties(&grammar, &[71, 65, 60, 64]), [0., SEVENTH, IDLE, IDLE]);
    }

    #[test]
    fn sevenths_are_not_struck_on_strong_beats() {
        let voices: [&[u8]; 3] = [&[76, 77, 76, 74, 72], &[67, 65, 67, 67, 64], &[48, 50, 52, 55, 48]];
        let strong = grammar_before(&voices, 6);
        assert_eq!((strong.part, strong.on_strong_beat()), (1, true));
        // above E: D is a seventh, C and B are not
        assert_eq!(penalties(&strong, &[74, 72, 71]), [SEVENTH, 0., 0.]);
        let weak = grammar_before(&voices, 8);
        assert_eq!((weak.part, weak.on_strong_beat()), (1, false));
        assert_eq!(penalties(&weak, &[60]), [0.]);
    }

    #[test]
    fn the_same_melody_brings_the_same_notes() {
        let line: &[u8] = &[67, 69, 71, 72, 67, 69, 71, 72, 60];
        let mut grammar = grammar_before(&[line, &[52, 53, 55, 57, 52, 53, 55, 57, 48]], 4);
        assert_eq!(penalties(&grammar, &[55, 50]), [-ALSO, 0.]);
        grammar.end_with(grammar.notes[0].last().copied(), 9 * 24);
        assert_eq!(penalties(&grammar, &[55, 50]), [-AGAIN, 0.]);
    }

    #[test]
    fn a_known_melody_stays_on_top() {
        let mut grammar = grammar_before(&[&[67, 69, 67, 69, 67], &[60, 62, 64, 60, 60]], 4);
        assert_eq!(penalties(&grammar, &[71, 65]), [0., 0.]);
        grammar.end_with(Some(Note { start: 96, length: 24, pitch: 67, velocity: 80 }), 120);
        assert_eq!(penalties(&grammar, &[71, 65]), [CROSSED, 0.]);
    }
}
