//! The order of the tokens, as a machine that says at each step what may follow.
//!
//! ```text
//! piece   = Begin Style Key Metre Tempo (Part Program)+ [Voices] [Pickup] bar+ End
//! bar     = BarsLeft [Metre] [Key] Lead moment* Others group*
//! moment  = Position (Pitch Length)+                     the leading part, number 0
//! group   = Position (Part (Pitch Length)+)+             all others, parts and pitches downwards
//! ```
//!
//! With `Voices` a part has one note at a time. The leading one writes `Rest Length` where it is silent, and its
//! moments follow on each other without a gap; of the others each says in each group, from the lowest upwards, what it
//! does from there on:
//!
//! ```text
//! group   = Position (Pitch | Rest | Hold)+              every bar begins with a group, no other is all Hold
//! ```
//!
//! so that no voice has to foresee, when it begins a note, how long the harmony will bear it. Without `Voices` parts
//! are free polyphony. In both, no note leaves its part's range, strikes a key of its part that still sounds, or
//! outlasts the piece. The same machine collects the notes, so decoding is pushing.

mod context;
mod leading;

pub use context::{FACTS, moved, moved_pitch};

use media::score::{Change, Metre, Note, Part, Score};

use crate::vocabulary::{
    COUNTDOWN, GRID, LENGTHS, PARTS, PERCUSSION, TEMPOS, Token, bar_length, key_of, key_shift,
};

/// Pitches that a part may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// Lowest MIDI note number.
    pub low: u8,
    /// Highest MIDI note number.
    pub high: u8,
}

impl Range {
    /// Every pitch.
    pub const ALL: Range = Range { low: 0, high: 127 };

    /// The smallest range that holds both.
    pub fn widened(&self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Whether the pitch lies inside.
    pub fn contains(&self, pitch: u8) -> bool {
        (self.low..=self.high).contains(&pitch)
    }
}

/// No note is longer than this many ticks: how far back a sounding note may have begun.
const COUNTED: u32 = LENGTHS[LENGTHS.len() - 1] + 1;

/// A token that may not stand where it stood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("token {token:?} may not stand at place {place}")]
pub struct Misplaced {
    /// The offender.
    pub token: Token,
    /// Its index in the piece.
    pub place: usize,
}

/// What the machine waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Begin,
    Style,
    Key,
    Metre,
    Tempo,
    Header,
    Program,
    BarHead,
    Section,
    PartNumber,
    Pitch,
    Length,
    Nothing,
}

/// The state after some tokens of a piece. Times are absolute grid ticks; the first bar begins at 0.
#[derive(Debug, Clone)]
pub struct Grammar {
    ranges: Vec<Range>,
    expect: Expect,
    place: usize,
    style: u8,
    tempo: u8,
    keys: Vec<Change<(u8, bool)>>,
    metres: Vec<Change<Metre>>,
    programs: Vec<u8>,
    voices: bool,
    pickup: bool,
    bar: u32,
    bar_start: u32,
    bar_length: u32,
    bars_left: u32,
    lead: bool,
    started: bool,
    position: Option<u32>,
    part: usize,
    pitch: Option<u8>,
    above: Option<u8>,
    ends: Vec<u32>,
    sounding: Vec<[u32; 128]>,
    notes: Vec<Vec<Note>>,
    end: Option<u32>,
    /// The last note of a melody that is known.
    melody_ends: Option<Note>,
    steady: bool,
    /// With voices: the position at which all of them begin.
    first_position: u32,
    shift: i32,
    /// With voices: whether a voice other than the leading one has a note that sounds until it says otherwise.
    open: Vec<bool>,
    /// With voices: no voice may hold on, since none has spoken or what was spoken is over.
    unheld: bool,
    /// With voices: whether a voice has done something other than hold on in this group.
    spoken: bool,
}

/// The length of a note until its end is known.
const OPEN: u32 = u32::MAX;

impl Grammar {
    /// A machine before the first token. `ranges` holds a range a part; parts beyond it have none.
    pub fn new(ranges: &[Range]) -> Self {
        Grammar {
            ranges: ranges.to_vec(),
            expect: Expect::Begin,
            place: 0,
            style: 0,
            tempo: 0,
            keys: Vec::new(),
            metres: Vec::new(),
            programs: Vec::new(),
            voices: false,
            pickup: false,
            bar: 0,
            bar_start: 0,
            bar_length: 0,
            bars_left: 0,
            lead: false,
            started: false,
            position: None,
            part: 0,
            pitch: None,
            above: None,
            ends: Vec::new(),
            sounding: Vec::new(),
            notes: Vec::new(),
            end: None,
            melody_ends: None,
            steady: false,
            first_position: 0,
            shift: 0,
            open: Vec::new(),
            unheld: true,
            spoken: false,
        }
    }

    /// From here on the melody is known: no note may outlast this tick, and this is its last note.
    pub fn end_with(&mut self, last: Option<Note>, tick: u32) {
        self.end = Some(tick);
        self.melody_ends = last;
    }

    /// From here on neither metre nor key may change, and no note goes on from what was given.
    pub fn stay(&mut self) {
        self.steady = true;
        self.unheld = true;
    }

    /// Whether the piece is complete.
    pub fn finished(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// Bars begun so far, an incomplete first one included.
    pub fn bars(&self) -> u32 {
        self.bar
    }

    /// Bars that follow the present one; at most [`COUNTDOWN`] are counted.
    pub fn bars_left(&self) -> u32 {
        self.bars_left
    }

    /// The tick at which the leading part falls free, its rests included; 0 before it has begun.
    pub fn lead_end(&self) -> u32 {
        self.ends.first().copied().unwrap_or(0)
    }

    /// Whether the leading part's section is open, and where its voice falls free.
    pub fn lead_time(&self) -> Option<u32> {
        (self.lead && self.expect == Expect::Section).then(|| self.ends[0])
    }

    /// The part that writes, or wrote last.
    pub fn part(&self) -> usize {
        self.part
    }

    /// The notes of each part so far, in order of arrival.
    pub fn notes(&self) -> &[Vec<Note>] {
        &self.notes
    }

    fn now(&self) -> u32 {
        self.bar_start + self.position.unwrap_or(0)
    }

    fn bar_end(&self) -> u32 {
        self.bar_start + self.bar_length
    }

    fn last_bar(&self) -> bool {
        self.bars_left == 0
    }

    /// The tick that no note may outlast.
    fn limit(&self) -> u32 {
        let limit = if self.bars_left < COUNTDOWN {
            self.bar_start + (self.bars_left + 1) * self.bar_length
        } else {
            u32::MAX
        };
        self.end.map_or(limit, |end| limit.min(end))
    }

    /// With voices: whether this part has a note that sounds until it says otherwise.
    pub fn is_open(&self, part: usize) -> bool {
        self.open.get(part).copied().unwrap_or(false)
    }

    /// With voices: whether every voice must say anew what it does.
    pub fn is_unheld(&self) -> bool {
        self.unheld
    }

    /// With voices: the position of a bar's first group.
    fn first_group(&self) -> u32 {
        if self.bar == 1 { self.first_position } else { 0 }
    }

    fn bar_may_close(&self) -> bool {
        let grouped = !self.voices || self.position.is_some() || self.programs.len() == 1;
        self.expect == Expect::Section && !self.lead && grouped
    }

    /// Whether `token` may come next.
    pub fn allows(&self, token: Token) -> bool {
        match (self.expect, token) {
            (Expect::Begin, Token::Begin) | (Expect::Style, Token::Style(_)) => true,
            (Expect::Key, Token::Key(..)) | (Expect::Tempo, Token::Tempo(_)) => true,
            (Expect::Metre, Token::Metre(n, d)) => {
                Token::of_metre(Metre { numerator: n, denominator: d }).is_some()
            }
            (Expect::Header, Token::Part(part)) => {
                !self.voices
                    && !self.pickup
                    && part as usize == self.programs.len()
                    && (part as usize) < PARTS
            }
            (Expect::Header, Token::Voices) => !self.programs.is_empty() && !self.voices && !self.pickup,
            (Expect::Header, Token::Pickup) => !self.programs.is_empty() && !self.pickup,
            (Expect::Header, Token::BarsLeft(_)) => !self.programs.is_empty(),
            (Expect::Program, Token::Program(_)) => true,
            (Expect::Section, Token::BarsLeft(left)) => {
                let next = self.bars_left.saturating_sub(1);
                let counted =
                    left as u32 == next || (self.bars_left == COUNTDOWN && left as u32 == COUNTDOWN);
                self.bar_may_close() && !self.last_bar() && counted
            }
            (Expect::Section, Token::End) => self.bar_may_close() && self.last_bar(),
            (Expect::BarHead, Token::Lead) => true,
            (Expect::BarHead, Token::Metre(..) | Token::Key(..)) if self.steady => false,
            (Expect::BarHead, Token::Metre(n, d)) => {
                let metre = Metre { numerator: n, denominator: d };
                let held = self.metres.last().is_some_and(|change| change.value == metre);
                // No note may outlast the piece that becomes shorter.
                let end = self.bar_start + (self.bars_left + 1) * bar_length(metre);
                let mut sounding = self.sounding.iter().flatten();
                let fits = self.bars_left >= COUNTDOWN || sounding.all(|&free| free <= end);
                !held
                    && !self.voices
                    && self.bar > 1
                    && fits
                    && Token::of_metre(metre).is_some()
                    && self.metres.last().is_some_and(|change| change.start < self.bar_start)
            }
            (Expect::BarHead, Token::Key(tonic, minor)) => self
                .keys
                .last()
                .is_some_and(|change| change.value != (tonic, minor) && change.start < self.bar_start),
            (Expect::Section, Token::Others) => self.lead && (!self.voices || self.lead_may_close()),
            (Expect::Section, Token::Position(position)) => self.allows_position(position as u32),
            (Expect::PartNumber | Expect::Section, Token::Part(part)) => self.allows_part(part as usize),
            (Expect::Pitch, Token::Rest) => self.voices && (self.lead || self.unheld || self.open[self.part]),
            (Expect::Pitch, Token::Hold) => self.allows_hold(),
            (Expect::Pitch | Expect::Section, Token::Pitch(pitch)) => self.allows_pitch(pitch),
            (Expect::Length, Token::Length(index)) => {
                self.now().saturating_add(LENGTHS[index as usize]) <= self.limit()
            }
            _ => false,
        }
    }

    fn lead_may_close(&self) -> bool {
        let complete = self.ends[0] >= self.bar_end();
        self.started && (complete || (self.last_bar() && self.ends[0] > self.bar_start))
    }

    fn allows_hold(&self) -> bool {
        let idle = self.part == 1 && !self.spoken && self.position > Some(self.first_group());
        self.voices && !self.lead && !self.unheld && !idle
    }

    fn allows_position(&self, position: u32) -> bool {
        let moment = self.bar_start + position;
        if moment >= self.bar_end() {
            return false;
        }
        if self.voices {
            if !self.started {
                return self.lead && (position > 0) == self.pickup;
            }
            return match self.position {
                _ if self.lead => moment == self.ends[0],
                _ if self.programs.len() == 1 || (self.last_bar() && moment >= self.ends[0]) => false,
                None => position == self.first_group(),
                Some(last) => position > last,
            };
        }
        let later = self.position.is_none_or(|last| position > last);
        let mut parts = if self.lead { 0..1 } else { 1..self.programs.len() };
        let has_part = parts.any(|part| self.has_free_pitch(part, moment));
        later && has_part && moment < self.limit() && (position > 0 || self.bar > 1 || !self.pickup)
    }

    /// Whether a part has a pitch in its range, and in the vocabulary, that does not sound.
    fn has_free_pitch(&self, part: usize, moment: u32) -> bool {
        let range = self.range(part);
        let free =
            |pitch: u8| self.sounding[part][pitch as usize] <= moment && self.relative(part, pitch).is_some();
        (range.low..=range.high.min(127)).any(free)
    }

    fn allows_part(&self, part: usize) -> bool {
        if self.lead || self.position.is_none() || part == 0 || part >= self.programs.len() {
            return false;
        }
        !self.voices && part < self.part && self.has_free_pitch(part, self.now())
    }

    fn allows_pitch(&self, pitch: u8) -> bool {
        // Between notes a pitch means a further, lower note of the same chord.
        if self.expect == Expect::Section && (self.voices || self.above.is_none()) {
            return false;
        }
        self.absolute(pitch).is_some_and(|pitch| {
            self.range(self.part).contains(pitch)
                && self.above.is_none_or(|above| pitch < above)
                && self.sounding[self.part][pitch as usize] <= self.now()
        })
    }

    /// The MIDI note number that a pitch token of the present part means.
    fn absolute(&self, pitch: u8) -> Option<u8> {
        let shift = if self.programs.get(self.part) == Some(&PERCUSSION) { 0 } else { self.shift };
        u8::try_from(pitch as i32 + shift).ok().filter(|pitch| *pitch < 128)
    }

    /// The pitch token that means a MIDI note number in a part; `None` outside the vocabulary.
    pub fn pitch_token(&self, part: usize, pitch: u8) -> Option<Token> {
        self.relative(part, pitch).map(Token::Pitch)
    }

    fn relative(&self, part: usize, pitch: u8) -> Option<u8> {
        let shift = if self.programs.get(part) == Some(&PERCUSSION) { 0 } else { self.shift };
        u8::try_from(pitch as i32 - shift).ok().filter(|pitch| *pitch < 128)
    }

    fn range(&self, part: usize) -> Range {
        self.ranges.get(part).copied().unwrap_or(Range::ALL)
    }

    /// Takes the next token.
    ///
    /// # Errors
    /// [`Misplaced`] where the grammar does not allow it; the state is then unchanged.
    pub fn push(&mut self, token: Token) -> Result<(), Misplaced> {
        if !self.allows(token) {
            return Err(Misplaced { token, place: self.place });
        }
        self.place += 1;
        self.expect = match token {
            Token::Begin => Expect::Style,
            Token::Style(style) => {
                self.style = style;
                Expect::Key
            }
            Token::Key(tonic, minor) => {
                if self.bar == 0 {
                    self.shift = key_shift(tonic, minor);
                }
                self.keys.push(Change { start: self.bar_start, value: (tonic, minor) });
                if self.bar == 0 { Expect::Metre } else { Expect::BarHead }
            }
            Token::Metre(numerator, denominator) => {
                let value = Metre { numerator, denominator };
                self.metres.push(Change { start: self.bar_start, value });
                self.bar_length = bar_length(value);
                if self.bar == 0 { Expect::Tempo } else { Expect::BarHead }
            }
            Token::Tempo(index) => {
                self.tempo = index;
                Expect::Header
            }
            Token::Part(_) if self.expect == Expect::Header => Expect::Program,
            Token::Program(program) => {
                self.programs.push(program);
                self.ends.push(0);
                self.open.push(false);
                self.sounding.push([0; 128]);
                self.notes.push(Vec::new());
                Expect::Header
            }
            Token::Voices => {
                self.voices = true;
                Expect::Header
            }
            Token::Pickup => {
                self.pickup = true;
                Expect::Header
            }
            Token::BarsLeft(left) => {
                if self.bar > 0 {
                    self.bar_start += self.bar_length;
                }
                self.bar += 1;
                self.bars_left = left as u32;
                Expect::BarHead
            }
            Token::Lead => self.open_section(true),
            Token::Others => self.open_section(false),
            Token::Position(position) => {
                self.position = Some(position as u32);
                self.above = None;
                if !self.started && self.voices {
                    self.ends[0] = self.bar_start + position as u32;
                    self.first_position = position as u32;
                }
                self.started = true;
                self.spoken = false;
                self.part = match (self.lead, self.voices) {
                    (true, _) => 0,
                    (false, true) => self.programs.len() - 1,
                    (false, false) => self.programs.len(),
                };
                if self.lead || self.voices { Expect::Pitch } else { Expect::PartNumber }
            }
            Token::Part(part) => {
                self.part = part as usize;
                self.above = None;
                Expect::Pitch
            }
            Token::Hold => self.next_voice(),
            Token::Rest | Token::Pitch(_) => {
                self.pitch = if let Token::Pitch(pitch) = token { self.absolute(pitch) } else { None };
                if self.voices && !self.lead { self.strike() } else { Expect::Length }
            }
            Token::Length(index) => {
                self.sound(LENGTHS[index as usize]);
                Expect::Section
            }
            Token::End => {
                (1..self.open.len()).for_each(|part| self.close(part, self.ends[0]));
                Expect::Nothing
            }
            Token::Pad | Token::Middle => self.expect,
        };
        Ok(())
    }

    fn open_section(&mut self, lead: bool) -> Expect {
        self.lead = lead;
        self.position = None;
        self.above = None;
        Expect::Section
    }

    /// With voices: a voice begins a note or a silence.
    fn strike(&mut self) -> Expect {
        let start = self.now();
        self.close(self.part, start);
        if let Some(pitch) = self.pitch {
            self.notes[self.part].push(Note { start, pitch, length: OPEN, velocity: 80 });
            self.open[self.part] = true;
        }
        self.spoken = true;
        self.next_voice()
    }

    fn next_voice(&mut self) -> Expect {
        self.part -= 1;
        if self.part > 0 {
            return Expect::Pitch;
        }
        self.unheld = false;
        Expect::Section
    }

    fn close(&mut self, part: usize, end: u32) {
        if std::mem::take(&mut self.open[part])
            && let Some(note) = self.notes[part].last_mut()
        {
            note.length = end.saturating_sub(note.start).max(1);
        }
    }

    fn sound(&mut self, length: u32) {
        let start = self.now();
        self.ends[self.part] = start + length;
        if let Some(pitch) = self.pitch {
            self.notes[self.part].push(Note { start, pitch, length, velocity: 80 });
            self.sounding[self.part][pitch as usize] = start + length;
        }
        self.above = self.pitch;
    }

    /// The piece so far as a score on [`GRID`] ticks, the incomplete first bar cut to what sounds in it.
    /// `names` are the parts' names; parts beyond it are called after their number.
    pub fn score(&self, names: &[String]) -> Score {
        let first_metre = self.metres.first().map_or(Metre { numerator: 4, denominator: 4 }, |m| m.value);
        let first_note = self.notes.iter().flatten().map(|note| note.start).min().unwrap_or(0);
        let silence = if self.voices { self.first_position } else { first_note };
        let shift = if self.pickup { silence.min(bar_length(first_metre) - 1) } else { 0 };
        let pickup = if shift > 0 { bar_length(first_metre) - shift } else { 0 };
        let moved = |start: u32| start.saturating_sub(shift);
        let mut metres: Vec<Change<Metre>> =
            self.metres.iter().map(|m| Change { start: moved(m.start), value: m.value }).collect();
        if let Some(value) = short_metre(pickup) {
            metres[0].start = pickup;
            metres.insert(0, Change { start: 0, value });
        }
        let parts = self.programs.iter().zip(&self.notes).enumerate().map(|(index, (&program, notes))| {
            let mut notes: Vec<Note> =
                notes.iter().map(|note| Note { start: moved(note.start), ..*note }).collect();
            notes.sort_unstable();
            Part {
                name: names.get(index).cloned().unwrap_or_else(|| format!("Part {}", index + 1)),
                program: if program == PERCUSSION { 0 } else { program },
                percussion: program == PERCUSSION,
                notes,
            }
        });
        Score {
            title: None,
            ticks_per_quarter: GRID,
            parts: parts.collect(),
            tempos: vec![Change { start: 0, value: TEMPOS[self.tempo as usize % TEMPOS.len()] as f64 }],
            metres,
            keys: self
                .keys
                .iter()
                .map(|key| Change { start: moved(key.start), value: key_of(key.value.0, key.value.1) })
                .collect(),
            pickup,
        }
    }
}

/// The time signature of an incomplete bar of so many ticks.
pub(crate) fn short_metre(ticks: u32) -> Option<Metre> {
    [4u8, 8, 16, 32].into_iter().find_map(|denominator| {
        let beat = 4 * GRID / denominator as u32;
        (ticks > 0 && ticks <= 16 * beat && ticks.is_multiple_of(beat))
            .then_some(Metre { numerator: (ticks / beat) as u8, denominator })
    })
}
