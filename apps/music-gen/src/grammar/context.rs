//! What the grammar knows at a moment, as numbers for the net.
//!
//! A net that is to choose a note must know where in the bar it stands, what sounds there, where each voice comes
//! from and how long the piece still lasts. The grammar keeps account of all that, so the net is told it (a learned
//! vector for each fact, added to the last token's) and need not work it out of the tokens before.

use media::score::Note;

use super::{COUNTED, Expect, Grammar, OPEN};
use crate::vocabulary::{COUNTDOWN, LENGTHS, LONGEST_BAR, PARTS, Token, length_index};

/// Parts that are told apart by what they play; those beyond are told as the last of them.
const LINES: u32 = 4;
/// Notes told of a part at once at most.
const CHORD: usize = 4;

/// A kind of fact: its facts' numbers begin at `first`.
#[derive(Clone, Copy)]
struct Field {
    first: u32,
    count: u32,
}

impl Field {
    const fn after(before: Field, count: u32) -> Field {
        Field { first: before.first + before.count, count }
    }

    /// The number of the fact; the last one stands for all above it.
    fn fact(self, value: u32) -> u32 {
        self.first + value.min(self.count - 1)
    }
}

/// What is waited for, in the leading part's section or the others'.
const EXPECT: Field = Field { first: 0, count: 2 * 14 };
const BARS_LEFT: Field = Field::after(EXPECT, COUNTDOWN + 1);
const BAR: Field = Field::after(BARS_LEFT, COUNTDOWN + 1);
const POSITION: Field = Field::after(BAR, LONGEST_BAR + 1);
/// Time from there to the bar's end.
const LEFT: Field = Field::after(POSITION, LONGEST_BAR + 1);
const PART: Field = Field::after(LEFT, PARTS as u32);
/// The last notes of the part that writes, before this moment.
const FROM: Field = Field::after(PART, 128);
/// Notes of the part that writes at this moment: the upper ones of its chord.
const OWN: Field = Field::after(FROM, 128);
/// A note of another part that began earlier and still sounds.
const HELD: Field = Field::after(OWN, LINES * 128);
/// A note of another part that begins at this moment.
const STRUCK: Field = Field::after(HELD, LINES * 128);
/// The notes of another part before such a one, or before its rest, or of a voice that has yet to speak.
const BEFORE: Field = Field::after(STRUCK, LINES * 128);
/// Where this voice would come if it moved in parallel with such a one, by the interval between the two.
const PARALLEL: Field = Field::after(BEFORE, 12 * 128);
/// The leading part's next note.
const NEXT: Field = Field::after(PARALLEL, 128);
/// Time until it, as an index into [`LENGTHS`].
const NEXT_IN: Field = Field::after(NEXT, LENGTHS.len() as u32 + 1);
/// How long the voice that speaks has had its note, as an index into [`LENGTHS`].
const SINCE: Field = Field::after(NEXT_IN, LENGTHS.len() as u32 + 1);
/// The piece's key as the pitch tokens have it: C major or A minor, unless they are [`moved`].
const HOME: Field = Field::after(SINCE, 24);
/// In the last bar: the time until the leading part ends, as an index into [`LENGTHS`].
const TO_END: Field = Field::after(HOME, LENGTHS.len() as u32);

/// What the voice that writes did the last time the music went like this: a pitch, a rest, or held on.
const ECHO: Field = Field::after(TO_END, 128 + 2);
const ECHO_REST: u32 = 128;
const ECHO_HOLD: u32 = 129;
/// How long the leading voice's note was there, as an index into [`LENGTHS`].
const ECHO_LENGTH: Field = Field::after(ECHO, LENGTHS.len() as u32);
/// Notes for which the leading voice has gone as it did there, by [`run`]; then whether that was from its first note.
const ECHO_LEAD: Field = Field::after(ECHO_LENGTH, 2 * RUNS);
/// Notes for which the voice that writes has.
const ECHO_OWN: Field = Field::after(ECHO_LEAD, RUNS);
/// The piece's key once more in its last bar, and before that in the bar before it: where a piece must come home.
const CLOSING: Field = Field::after(ECHO_OWN, 2 * 24);

/// Number of facts.
pub const FACTS: usize = (CLOSING.first + CLOSING.count) as usize;

/// Lengths of runs that are told apart.
const RUNS: u32 = 6;

/// The class of a run of so many notes: 0, 1, 2, 3 to 4, 5 to 8, more.
fn run(notes: usize) -> u32 {
    match notes {
        0..=2 => notes as u32,
        3..=4 => 3,
        5..=8 => 4,
        _ => 5,
    }
}

/// An earlier place of the piece, whole bars before, from which the leading voice may be repeating itself.
struct Echo {
    /// How much earlier, in ticks.
    lag: u32,
    /// Notes of the leading voice up to here that equal those up to there.
    notes: usize,
    /// Whether these reach back to the first note of the piece.
    whole: bool,
}

/// A fact as it would be if all pitches were so many semitones higher. A net learns from moved pieces what does
/// not depend on the key; pieces are composed unmoved.
pub fn moved(fact: u32, semitones: i32) -> u32 {
    if (FROM.first..NEXT_IN.first).contains(&fact) {
        let pitch = (fact - FROM.first) % 128;
        fact - pitch + moved_pitch(pitch as u8, semitones) as u32
    } else if (ECHO.first..ECHO.first + 128).contains(&fact) {
        ECHO.first + moved_pitch((fact - ECHO.first) as u8, semitones) as u32
    } else if (HOME.first..TO_END.first).contains(&fact) {
        HOME.first + (fact - HOME.first + 2 * semitones.rem_euclid(12) as u32) % HOME.count
    } else if (CLOSING.first..CLOSING.first + CLOSING.count).contains(&fact) {
        let (bar, key) = ((fact - CLOSING.first) / 24, (fact - CLOSING.first) % 24);
        CLOSING.first + 24 * bar + (key + 2 * semitones.rem_euclid(12) as u32) % 24
    } else {
        fact
    }
}

/// The pitch so many semitones higher, within the scale.
pub fn moved_pitch(pitch: u8, semitones: i32) -> u8 {
    (pitch as i32 + semitones).clamp(0, 127) as u8
}

/// Pitch classes.
const C: u32 = 0;
const A: u32 = 9;

impl Grammar {
    /// Whether a token is shown to the net; a position that follows from what is written is told by
    /// [`Grammar::context`] alone. To be asked before the token is pushed.
    pub fn shows(&self, token: Token) -> bool {
        let choice = if self.lead { self.lead_may_close() } else { self.position.is_some() };
        !matches!(token, Token::Position(_)) || !self.voices || !self.started || choice
    }

    /// The facts, numbers below [`FACTS`], that bear on the next token.
    pub fn context(&self) -> Vec<u32> {
        let mut facts = vec![EXPECT.fact(2 * self.expect as u32 + self.lead as u32)];
        if let Some(key) = self.keys.first() {
            let home = if key.value.1 { 2 * A + 1 } else { 2 * C };
            facts.push(HOME.fact(home));
            if self.bar > 0 && self.bars_left < 2 {
                facts.push(CLOSING.fact(24 * self.bars_left + home));
            }
        }
        if self.bar == 0 {
            return facts;
        }
        facts.push(BARS_LEFT.fact(self.bars_left));
        facts.push(BAR.fact(self.bar - 1));
        facts.push(POSITION.fact(self.position.unwrap_or(LONGEST_BAR)));
        facts.push(LEFT.fact(self.bar_length.saturating_sub(self.position.unwrap_or(0))));
        if self.position.is_none() || self.part >= self.notes.len() {
            return facts;
        }
        let now = self.now();
        facts.push(PART.fact(self.part as u32));
        let own = self.last_notes(self.part, now);
        facts.extend(own.clone().map(|pitch| FROM.fact(pitch)));
        facts.extend(self.struck(self.part, now).map(|pitch| OWN.fact(pitch)));
        if let (true, Some(note)) = (self.is_open(self.part), self.notes[self.part].last()) {
            facts.push(SINCE.fact(length_index((now - note.start).max(1)) as u32));
        }
        let from = own.last();
        for other in (0..self.notes.len()).filter(|&other| other != self.part) {
            let line = 128 * (other as u32).min(LINES - 1);
            let before = self.last_notes(other, now);
            let mut struck = self.struck(other, now).peekable();
            // In a group the lower voices have spoken, and the leading one long before.
            if self.voices && !self.lead && (1..self.part).contains(&other) {
                facts.extend(before.filter(|_| self.is_open(other)).map(|pitch| BEFORE.fact(line + pitch)));
                continue;
            }
            let mut held = self.held(other, now).peekable();
            if let (true, Some(&struck), Some(before)) = (self.voices, struck.peek(), before.clone().next()) {
                facts.push(BEFORE.fact(line + before));
                if let (Some(from), Expect::Pitch) = (from, self.expect) {
                    let parallel = (struck + from).saturating_sub(before).min(127);
                    facts.push(PARALLEL.fact(128 * (from.abs_diff(before) % 12) + parallel));
                }
            } else if held.peek().is_none() && struck.peek().is_none() {
                facts.extend(before.map(|pitch| BEFORE.fact(line + pitch)));
            }
            facts.extend(held.map(|pitch| HELD.fact(line + pitch)));
            facts.extend(struck.map(|pitch| STRUCK.fact(line + pitch)));
        }
        if let Some(echo) = self.echo(now).filter(|echo| now >= self.notes[0][0].start + echo.lag) {
            self.tell_echo(&echo, now, &mut facts);
        }
        if !self.lead {
            if self.voices && self.last_bar() && self.ends[0] > now {
                facts.push(TO_END.fact(length_index(self.ends[0] - now) as u32));
            }
            let coming = self.notes[0].iter().rev().take_while(|note| note.start > now).last();
            if let Some(note) = coming {
                facts.extend(self.told(0, note).map(|pitch| NEXT.fact(pitch)));
                facts.push(NEXT_IN.fact(length_index(note.start - now) as u32));
            } else {
                facts.push(NEXT_IN.fact(LENGTHS.len() as u32));
            }
        }
        facts
    }

    fn tell_echo(&self, echo: &Echo, now: u32, facts: &mut Vec<u32>) {
        let then = now - echo.lag;
        let notes = &self.notes[self.part];
        let before = notes.partition_point(|note| note.start <= then);
        match notes[..before].last() {
            Some(note) if note.start == then => {
                facts.extend(self.told(self.part, note).map(|pitch| ECHO.fact(pitch)));
                if self.lead {
                    facts.push(ECHO_LENGTH.fact(length_index(note.length) as u32));
                }
            }
            Some(note) if note.end() > then => facts.push(ECHO.fact(ECHO_HOLD)),
            _ => facts.push(ECHO.fact(ECHO_REST)),
        }
        facts.push(ECHO_LEAD.fact(run(echo.notes) + if echo.whole { RUNS } else { 0 }));
        if !self.lead {
            facts.push(ECHO_OWN.fact(run(self.agreement(self.part, now, echo.lag).0)));
        }
    }

    /// With voices: the earlier place that the leading one has followed for the longest. Its beginning counts as
    /// some notes more, since music is most often repeated from there, and so is a place even before a note agrees.
    /// What has been repeated whole is told no more: hardly any music comes three times.
    fn echo(&self, now: u32) -> Option<Echo> {
        const BEGINNING: usize = 3;
        let first = self.notes.first()?.first().filter(|_| self.voices)?.start;
        let end = self.lead_end();
        let until = self.notes[0].partition_point(|note| note.start < end);
        let lags = (1..).map(|bars| bars * self.bar_length).take_while(|lag| first + lag <= end);
        let echoes = lags.filter_map(|lag| {
            let (notes, whole) = self.agreement(0, end, lag);
            let since = self.notes[0].get(until - notes).map_or(end, |note| note.start);
            (now.saturating_sub(since) < lag).then_some(Echo { lag, notes, whole })
        });
        let worth = |echo: &Echo| echo.notes + if echo.whole { BEGINNING } else { 0 };
        echoes.max_by_key(worth).filter(|echo| worth(echo) > 0)
    }

    /// With voices: how much earlier the leading voice went as it does now, if that were so many notes at least.
    pub(super) fn repeated(&self, now: u32, notes: usize) -> Option<u32> {
        let echo = self.echo(now).filter(|echo| echo.notes >= notes || echo.whole);
        echo.filter(|echo| now >= self.notes[0][0].start + echo.lag).map(|echo| echo.lag)
    }

    /// For how many notes before a moment a voice has gone as it did `lag` ticks earlier, and whether these were all
    /// that there were.
    fn agreement(&self, part: usize, now: u32, lag: u32) -> (usize, bool) {
        let notes = &self.notes[part];
        let before = |now: u32| &notes[..notes.partition_point(|note| note.start < now)];
        let (here, there) = (before(now), before(now - lag));
        let same =
            |(here, there): &(&Note, &Note)| here.start == there.start + lag && here.pitch == there.pitch;
        let count = here.iter().rev().zip(there.iter().rev()).take_while(same).count();
        (count, count == there.len())
    }

    /// The pitch of a note as its token has it.
    fn told(&self, part: usize, note: &Note) -> Option<u32> {
        self.relative(part, note.pitch).map(u32::from)
    }

    /// The notes of a part that begin at a moment.
    pub(super) fn struck(&self, part: usize, now: u32) -> impl Iterator<Item = u32> + Clone {
        let until = self.notes[part].partition_point(|note| note.start <= now);
        let notes = self.notes[part][..until].iter().rev().take_while(move |note| note.start == now);
        notes.take(CHORD).filter_map(move |note| self.told(part, note))
    }

    /// The notes of a part with its latest beginning before a moment.
    pub(super) fn last_notes(&self, part: usize, now: u32) -> impl Iterator<Item = u32> + Clone {
        let until = self.notes[part].partition_point(|note| note.start < now);
        let start = until.checked_sub(1).map(|last| self.notes[part][last].start);
        let notes = self.notes[part][..until].iter().rev();
        let notes = notes.take_while(move |note| Some(note.start) == start);
        notes.take(CHORD).filter_map(move |note| self.told(part, note))
    }

    /// The notes of a part that began before a moment and sound through it.
    pub(super) fn held(&self, part: usize, now: u32) -> impl Iterator<Item = u32> {
        let until = self.notes[part].partition_point(|note| note.start < now);
        let near = move |note: &&Note| note.length == OPEN || note.start + COUNTED > now;
        let notes = self.notes[part][..until].iter().rev().take_while(near);
        let sounding = notes.filter(move |note| note.end() > now).take(CHORD);
        sounding.filter_map(move |note| self.told(part, note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::encode;
    use media::score::{Part, Score};

    fn two_voices() -> Score {
        let voice = |pitches: [u8; 4]| {
            let notes = (0..).zip(pitches).map(|(index, pitch)| Note {
                start: 24 * index,
                length: 24,
                pitch,
                velocity: 80,
            });
            Part { notes: notes.collect(), ..Part::default() }
        };
        Score {
            ticks_per_quarter: 24,
            parts: vec![voice([72, 74, 76, 77]), voice([65, 67, 69, 70])],
            ..Score::default()
        }
    }

    #[test]
    fn facts_are_in_range_and_tell_the_moment() {
        let piece = encode(&two_voices(), 0, 0).unwrap();
        let mut grammar = Grammar::new(&[]);
        let mut pitches = 0;
        for token in piece.tokens() {
            let facts = grammar.context();
            assert!(facts.iter().all(|fact| (*fact as usize) < FACTS), "{facts:?}");
            // the second note of the lower voice: 65 -> ?, while the upper one went from 72 to 74
            if matches!(token, Token::Pitch(67)) {
                pitches += 1;
                for fact in [
                    POSITION.fact(24),
                    PART.fact(1),
                    FROM.fact(65),
                    SINCE.fact(length_index(24) as u32),
                    STRUCK.fact(74),
                    BEFORE.fact(72),
                    PARALLEL.fact(128 * 7 + 67),
                    NEXT.fact(76),
                    NEXT_IN.fact(length_index(24) as u32),
                ] {
                    assert!(facts.contains(&fact), "{fact} is not in {facts:?}");
                }
            }
            grammar.push(token).unwrap();
        }
        assert_eq!(pitches, 1);
    }

    #[test]
    fn moved_facts_are_those_of_the_moved_pitches() {
        for (fact, semitones, expected) in [
            (FROM.fact(60), 5, FROM.fact(65)),
            (STRUCK.fact(2 * 128 + 60), -5, STRUCK.fact(2 * 128 + 55)),
            (PARALLEL.fact(7 * 128 + 67), 1, PARALLEL.fact(7 * 128 + 68)),
            (NEXT.fact(126), 3, NEXT.fact(127)),
            (POSITION.fact(24), 3, POSITION.fact(24)),
            (NEXT_IN.fact(7), 3, NEXT_IN.fact(7)),
            (HOME.fact(2 * C), -5, HOME.fact(2 * 7)),
            (HOME.fact(2 * A + 1), 4, HOME.fact(3)),
            (TO_END.fact(3), 4, TO_END.fact(3)),
            (CLOSING.fact(24 + 2 * A + 1), 4, CLOSING.fact(24 + 3)),
            (ECHO.fact(60), 4, ECHO.fact(64)),
            (ECHO.fact(ECHO_HOLD), 4, ECHO.fact(ECHO_HOLD)),
        ] {
            assert_eq!(moved(fact, semitones), expected);
        }
    }

    #[test]
    fn what_comes_again_is_told() {
        let mut score = two_voices();
        for part in &mut score.parts {
            let again: Vec<Note> = part.notes.iter().map(|n| Note { start: n.start + 96, ..*n }).collect();
            part.notes.extend(again);
            part.notes.push(Note { start: 192, length: 96, pitch: part.notes[0].pitch, velocity: 80 });
        }
        let piece = encode(&score, 0, 0).unwrap();
        let mut grammar = Grammar::new(&[]);
        let (mut seen, mut early) = (0, true);
        for token in piece.tokens() {
            let facts = grammar.context();
            early &= grammar.bars() < 2;
            if early {
                assert!(facts.iter().all(|fact| *fact < ECHO.first), "{facts:?}");
            } else if matches!(token, Token::Pitch(_)) && grammar.bars() == 2 {
                // the leading voice foretells each note, and the other each note once the leading one is through
                let Token::Pitch(pitch) = token else { panic!() };
                let own = 4 * grammar.part as u32;
                let lead = run(if grammar.lead { seen } else { 4 });
                assert!(facts.contains(&ECHO.fact(pitch as u32)), "{token:?} {facts:?}");
                assert!(facts.contains(&ECHO_LEAD.fact(RUNS + lead)), "{token:?} {facts:?}");
                if !grammar.lead {
                    assert!(facts.contains(&ECHO_OWN.fact(run(seen - own as usize))), "{facts:?}");
                }
                seen += 1;
            }
            // the third time the notes are not foretold any more, but for the beginning of the piece
            if matches!(token, Token::Pitch(_)) && grammar.bars() == 3 {
                let told = facts.iter().find(|fact| (ECHO_LEAD.first..ECHO_OWN.first).contains(*fact));
                assert!(told.is_none_or(|fact| *fact <= ECHO_LEAD.fact(RUNS + 1)), "{facts:?}");
            }
            grammar.push(token).unwrap();
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn of_voices_that_have_yet_to_speak_the_past_is_told() {
        let mut score = two_voices();
        let lowest: Vec<Note> =
            score.parts[1].notes.iter().map(|n| Note { pitch: n.pitch - 12, ..*n }).collect();
        score.parts.push(Part { notes: lowest, ..Part::default() });
        let piece = encode(&score, 0, 0).unwrap();
        let mut grammar = Grammar::new(&[]);
        let mut seen = 0;
        for token in piece.tokens() {
            let facts = grammar.context();
            if matches!(token, Token::Pitch(55)) {
                // the lowest voice speaks first: of the middle one its old note is known
                assert!(facts.contains(&BEFORE.fact(128 + 65)) && !facts.contains(&HELD.fact(128 + 65)));
                seen += 1;
            }
            if matches!(token, Token::Pitch(67)) {
                assert!(
                    facts.contains(&STRUCK.fact(2 * 128 + 55)) && facts.contains(&BEFORE.fact(2 * 128 + 53))
                );
                seen += 1;
            }
            grammar.push(token).unwrap();
        }
        assert_eq!(seen, 2);
    }
}
