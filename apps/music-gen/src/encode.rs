//! A score as tokens, and the windows of tokens that a net is shown.

use media::score::{Change, Metre, Note, Part, Score};

use crate::grammar::{Grammar, Range, short_metre};
use crate::vocabulary::{
    COUNTDOWN, GRID, PARTS, PERCUSSION, STYLES, Token, bar_length, key_shift, length_index, tonic,
};

/// A piece that the tokens cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No note.
    #[error("the piece has no notes")]
    Empty,
    /// More parts than the vocabulary numbers.
    #[error("the piece has {0} parts with notes, {PARTS} are the most that can be written")]
    Parts(usize),
    /// Longer than any piece of music.
    #[error("the piece lasts more than {LONGEST} quarter notes")]
    Long,
    /// Something in it that the grammar has no place for.
    #[error("bar {0} cannot be written: its notes and bar lines contradict each other")]
    Bar(usize),
    /// A time signature that the vocabulary lacks.
    #[error("the time signature {0}/{1} is not one that can be written")]
    Metre(u8, u8),
}

/// Quarter notes in a piece at most, about a day of music: a few bytes of a MIDI file can ask for more.
const LONGEST: u64 = 100_000;

/// Whether a piece is of a length that music has.
///
/// # Errors
/// [`Error::Long`].
pub fn check_length(score: &Score) -> Result<(), Error> {
    let changes =
        score.metres.iter().map(|change| change.start).chain(score.keys.iter().map(|change| change.start));
    let end = changes.chain([score.end(), score.pickup]).max().unwrap_or(0);
    if end as u64 / score.ticks_per_quarter.max(1) as u64 > LONGEST { Err(Error::Long) } else { Ok(()) }
}

/// One bar of a score on the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bar {
    start: u32,
    metre: Metre,
}

/// A score on the token grid: bars are whole (an incomplete first one begins with silence), a pitch sounds
/// once at a time in a part.
#[derive(Debug, Clone)]
struct Gridded {
    parts: Vec<Part>,
    bars: Vec<Bar>,
    keys: Vec<Change<(u8, bool)>>,
    tempo: f64,
    /// Silence before an incomplete first bar; 0 where the first bar is whole.
    offset: u32,
    voices: bool,
}

/// A piece as tokens: the header, then bar by bar. `End` stands in the last bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// From `Begin` to the last token before the first bar.
    pub header: Vec<Token>,
    /// The tokens of each bar.
    pub bars: Vec<Vec<Token>>,
}

impl Encoded {
    /// All tokens in order.
    pub fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.header.iter().chain(self.bars.iter().flatten()).copied()
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.header.len() + self.bars.iter().map(Vec::len).sum::<usize>()
    }

    /// Whether there is no token, which no encoded piece is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first time signature.
    pub fn metre(&self) -> Option<Metre> {
        self.header.iter().find_map(|token| match *token {
            Token::Metre(numerator, denominator) => Some(Metre { numerator, denominator }),
            _ => None,
        })
    }

    /// Semitones by which the piece lies above its pitch tokens.
    fn shift(&self) -> i32 {
        let key =
            |token: &Token| if let Token::Key(tonic, minor) = token { Some((*tonic, *minor)) } else { None };
        self.header.iter().find_map(key).map_or(0, |(tonic, minor)| key_shift(tonic, minor))
    }

    /// The instrument of each part.
    pub fn programs(&self) -> Vec<u8> {
        let program = |token: &Token| if let Token::Program(program) = token { Some(*program) } else { None };
        self.header.iter().filter_map(program).collect()
    }

    /// The piece moved by so many semitones: another key, and other pitch tokens only where the way from
    /// C major turns over an octave. Percussion stays. Pitches saturate at the ends of the scale, so ask
    /// [`Encoded::transposable`] first.
    pub fn transposed(&self, semitones: i32) -> Encoded {
        let programs = self.programs();
        let turned = |tonic: u8| (tonic as i32 + semitones).rem_euclid(12) as u8;
        let key = self.header.iter().find_map(|token| match token {
            Token::Key(tonic, minor) => Some(key_shift(turned(*tonic), *minor)),
            _ => None,
        });
        let octave = semitones - (key.unwrap_or(0) - self.shift());
        let moved = |pitch: u8| (pitch as i32 + octave).clamp(0, 127) as u8;
        let mut parts = self.parts().into_iter();
        let mut move_token = |token: &Token| {
            let part = parts.next().unwrap_or_default();
            match *token {
                Token::Key(tonic, minor) => Token::Key(turned(tonic), minor),
                Token::Pitch(pitch) if programs.get(part) != Some(&PERCUSSION) => Token::Pitch(moved(pitch)),
                other => other,
            }
        };
        let header = self.header.iter().map(&mut move_token).collect();
        Encoded {
            header,
            bars: self.bars.iter().map(|bar| bar.iter().map(&mut move_token).collect()).collect(),
        }
    }

    /// For each token the part that writes there.
    fn parts(&self) -> Vec<usize> {
        let mut grammar = Grammar::new(&[]);
        let part = |token| {
            let part = grammar.part();
            grammar.push(token).map(|()| part).unwrap_or_default()
        };
        self.tokens().map(part).collect()
    }

    /// Lowest and highest MIDI note number of each part; `None` for a part that is percussion or silent.
    pub fn extremes(&self) -> Vec<Option<Range>> {
        let (programs, shift) = (self.programs(), self.shift());
        let mut extremes: Vec<Option<Range>> = vec![None; programs.len()];
        for (token, part) in self.tokens().zip(self.parts()) {
            if let Token::Pitch(pitch) = token
                && programs.get(part).is_some_and(|&program| program != PERCUSSION)
            {
                let pitch = (pitch as i32 + shift).clamp(0, 127) as u8;
                let range = extremes[part].get_or_insert(Range { low: pitch, high: pitch });
                *range = range.widened(Range { low: pitch, high: pitch });
            }
        }
        extremes
    }

    /// The transpositions, within half an octave, that keep every part inside its range.
    pub fn transposable(&self, ranges: &[Range]) -> Vec<i32> {
        let extremes = self.extremes();
        let fits = |shift: &i32| {
            extremes.iter().enumerate().all(|(part, extreme)| {
                let range = ranges.get(part).copied().unwrap_or(Range::ALL);
                extreme.is_none_or(|extreme| {
                    extreme.low as i32 + shift >= range.low as i32
                        && extreme.high as i32 + shift <= range.high as i32
                })
            })
        };
        (-6..=5).filter(|shift| *shift == 0 || fits(shift)).collect()
    }
}

/// Writes a score as tokens. `bars_after` is how many bars are still to be composed after the last one
/// (0 for a whole piece; otherwise no `End` is written).
///
/// # Errors
/// Where the score has no notes, or something that the vocabulary cannot say.
pub fn encode(score: &Score, style: usize, bars_after: u32) -> Result<Encoded, Error> {
    let piece = grid(score)?;
    let mut writer = Writer { grammar: Grammar::new(&[]), tokens: Vec::new() };
    let key = piece.keys.first().map_or((0, false), |change| change.value);
    let first = piece.bars[0].metre;
    writer.put(Token::Begin);
    writer.put(Token::Style(style.min(STYLES - 1) as u8));
    writer.put(Token::Key(key.0, key.1));
    writer.put(Token::Metre(first.numerator, first.denominator));
    writer.put(Token::of_tempo(piece.tempo));
    for (number, part) in piece.parts.iter().enumerate() {
        writer.put(Token::Part(number as u8));
        writer.put(Token::Program(if part.percussion { PERCUSSION } else { part.program.min(127) }));
    }
    if piece.voices {
        writer.put(Token::Voices);
    }
    if piece.offset > 0 {
        writer.put(Token::Pickup);
    }
    let header = std::mem::take(&mut writer.tokens);
    let mut bars = Vec::with_capacity(piece.bars.len());
    let mut held = (first, key);
    for (index, bar) in piece.bars.iter().enumerate() {
        let left = (piece.bars.len() - 1 - index) as u32 + bars_after;
        writer.put(Token::BarsLeft(left.min(COUNTDOWN) as u8));
        if bar.metre != held.0 && writer.put(Token::Metre(bar.metre.numerator, bar.metre.denominator)) {
            held.0 = bar.metre;
        }
        let bar_key = piece.keys.iter().rev().find(|change| change.start <= bar.start).map(|c| c.value);
        if let Some(bar_key) = bar_key.filter(|bar_key| *bar_key != held.1)
            && writer.put(Token::Key(bar_key.0, bar_key.1))
        {
            held.1 = bar_key;
        }
        let length = bar_length(bar.metre);
        let last = index + 1 == piece.bars.len() && bars_after == 0;
        writer.put(Token::Lead);
        if piece.voices {
            writer.voices_bar(&piece, bar.start, length, last);
        } else {
            writer.free_bar(&piece.parts, bar.start, length);
        }
        let ended = !last || writer.put(Token::End);
        if !ended || writer.grammar.bars() as usize != index + 1 {
            return Err(Error::Bar(index + 1));
        }
        bars.push(std::mem::take(&mut writer.tokens));
    }
    Ok(Encoded { header, bars })
}

struct Writer {
    grammar: Grammar,
    tokens: Vec<Token>,
}

impl Writer {
    /// Writes the token if the grammar has a place for it.
    fn put(&mut self, token: Token) -> bool {
        let placed = self.grammar.push(token).is_ok();
        if placed {
            self.tokens.push(token);
        }
        placed
    }

    /// Writes a MIDI note number for the part whose turn it is.
    fn put_pitch(&mut self, pitch: u8) -> bool {
        self.grammar.pitch_token(self.grammar.part(), pitch).is_some_and(|token| self.put(token))
    }

    /// Writes the longest length, up to `ticks`, that may stand here.
    fn put_length(&mut self, ticks: u32) {
        let mut index = length_index(ticks);
        while !self.put(Token::Length(index)) && index > 0 {
            index -= 1;
        }
    }

    /// One note at a time: what the part does from `moment` on, until its next change.
    fn put_voice(&mut self, part: &Part, moment: u32, end: u32) {
        let next = part.notes.partition_point(|note| note.start <= moment);
        let until = part.notes.get(next).map_or(end, |note| note.start);
        let sounding = part.notes[..next].last().filter(|note| note.end() > moment);
        match sounding {
            // What is left of a note whose length is not in the vocabulary: shorter than a
            // thirty-second it is silence, else it is struck again.
            Some(note) if note.start == moment || note.end() - moment > 3 => {
                if !self.put_pitch(note.pitch) {
                    self.put(Token::Rest);
                }
                self.put_length(note.end().min(until) - moment);
            }
            _ => {
                self.put(Token::Rest);
                self.put_length(until.saturating_sub(moment).max(1));
            }
        }
    }

    fn voices_bar(&mut self, piece: &Gridded, start: u32, length: u32, last: bool) {
        let parts = &piece.parts;
        let end = parts.iter().flat_map(|part| &part.notes).map(Note::end).max().unwrap_or(0);
        // Silence in the last bar ends with the piece, elsewhere it may run to the bar's end and beyond.
        let horizon = |moment: u32| if last { end.max(moment + 1) } else { end.max(start + length) };
        let mut moment = self.grammar.lead_time().unwrap_or(0).max(start);
        if self.grammar.bars() == 1 {
            moment = piece.offset;
        }
        while moment < start + length && !(last && moment >= end) {
            if !self.put(Token::Position((moment - start) as u8)) {
                break;
            }
            self.put_voice(&parts[0], moment, horizon(moment));
            moment = self.grammar.lead_time().unwrap_or(start + length);
        }
        self.put(Token::Others);
        let first = if self.grammar.bars() == 1 { piece.offset } else { 0 };
        let bar_end = if last { end.min(start + length) } else { start + length };
        let mut moments: Vec<u32> = parts[1..].iter().flat_map(|part| changes(&part.notes)).collect();
        moments.retain(|moment| (start + first + 1..bar_end).contains(moment));
        moments.push(start + first);
        moments.sort_unstable();
        moments.dedup();
        for moment in moments {
            let tokens: Vec<Token> = (1..parts.len())
                .rev()
                .map(|part| self.voice_token(part, &parts[part].notes, moment))
                .collect();
            let idle = moment > start + first && tokens.iter().all(|token| *token == Token::Hold);
            if !idle && self.put(Token::Position((moment - start) as u8)) {
                tokens.into_iter().for_each(|token| _ = self.put(token));
            }
        }
    }

    /// What a voice does from a moment on.
    fn voice_token(&self, part: usize, notes: &[Note], moment: u32) -> Token {
        let next = notes.partition_point(|note| note.start <= moment);
        let last = notes[..next].last();
        let struck = last.filter(|note| note.start == moment);
        if let Some(token) = struck.and_then(|note| self.grammar.pitch_token(part, note.pitch)) {
            return token;
        }
        let sounds = last.is_some_and(|note| sounding_end(note, notes.get(next)) > moment);
        let silent = struck.is_some() || !sounds;
        if self.grammar.is_open(part) && silent || self.grammar.is_unheld() {
            Token::Rest
        } else {
            Token::Hold
        }
    }

    fn free_bar(&mut self, parts: &[Part], start: u32, length: u32) {
        let inside = |part: &Part| -> Vec<Note> {
            let from = part.notes.partition_point(|note| note.start < start);
            let to = part.notes.partition_point(|note| note.start < start + length);
            part.notes[from..to].to_vec()
        };
        let writable = |(part, notes): (usize, Vec<Note>)| -> Vec<Note> {
            notes.into_iter().filter(|note| self.grammar.pitch_token(part, note.pitch).is_some()).collect()
        };
        let notes: Vec<Vec<Note>> = parts.iter().map(inside).enumerate().map(writable).collect();
        for moment in onsets(&notes[..1]) {
            self.put(Token::Position((moment - start) as u8));
            self.chord(&notes[0], moment);
        }
        self.put(Token::Others);
        for moment in onsets(&notes[1..]) {
            self.put(Token::Position((moment - start) as u8));
            for number in (1..parts.len()).rev() {
                if notes[number].iter().any(|note| note.start == moment)
                    && self.put(Token::Part(number as u8))
                {
                    self.chord(&notes[number], moment);
                }
            }
        }
    }

    fn chord(&mut self, notes: &[Note], moment: u32) {
        for note in notes.iter().rev().filter(|note| note.start == moment) {
            if self.put_pitch(note.pitch) {
                self.put_length(note.length);
            }
        }
    }
}

/// The moments at which a voice begins a note or falls silent.
fn changes(notes: &[Note]) -> impl Iterator<Item = u32> + '_ {
    let of_note = |(index, note): (usize, &Note)| [note.start, sounding_end(note, notes.get(index + 1))];
    notes.iter().enumerate().flat_map(of_note)
}

/// Where a voice's note ends; silence of less than a thirty-second before the next one is none.
fn sounding_end(note: &Note, next: Option<&Note>) -> u32 {
    next.map(|next| next.start).filter(|start| *start < note.end() + 3).unwrap_or(note.end())
}

fn onsets(parts: &[Vec<Note>]) -> Vec<u32> {
    let mut onsets: Vec<u32> = parts.iter().flatten().map(|note| note.start).collect();
    onsets.sort_unstable();
    onsets.dedup();
    onsets
}

/// Rounds a score to the token grid and finds its bars.
fn grid(score: &Score) -> Result<Gridded, Error> {
    check_length(score)?;
    let scale = |ticks: u32| {
        let quarter = score.ticks_per_quarter.max(1) as u64;
        ((ticks as u64 * GRID as u64 * 2 + quarter) / (2 * quarter)) as u32
    };
    let (metres, pickup) = metres_and_pickup(score, scale);
    let offset = if pickup > 0 { bar_length(metres[0].value) - pickup } else { 0 };
    let mut parts = Vec::new();
    for part in score.parts.iter().filter(|part| !part.notes.is_empty()) {
        let mut notes: Vec<Note> = part
            .notes
            .iter()
            .map(|note| {
                let start = scale(note.start);
                let length = scale(note.end()).saturating_sub(start).max(1);
                Note { start: start + offset, length, velocity: 80, pitch: note.pitch.min(127) }
            })
            .collect();
        notes.sort_unstable_by_key(|note| (note.start, note.pitch, std::cmp::Reverse(note.length)));
        notes.dedup_by_key(|note| (note.start, note.pitch));
        end_before_restrike(&mut notes);
        parts.push(Part { notes: line(&notes).unwrap_or(notes), ..part.clone() });
    }
    if parts.is_empty() {
        return Err(Error::Empty);
    }
    if parts.len() > PARTS {
        return Err(Error::Parts(parts.len()));
    }
    let end = parts.iter().flat_map(|part| &part.notes).map(Note::end).max().unwrap_or(0);
    let bars = bars(&metres, end)?;
    // Voices tie over bar lines, which the grammar follows in one metre only.
    let voices = bars.iter().all(|bar| bar.metre == bars[0].metre)
        && parts.iter().all(|part| part.notes.windows(2).all(|pair| pair[0].end() <= pair[1].start));
    let keys = score
        .keys
        .iter()
        .map(|key| Change {
            start: if key.start == 0 { 0 } else { scale(key.start) + offset },
            value: (tonic(key.value), key.value.minor),
        })
        .collect();
    let tempo = score.tempos.first().map_or(100.0, |tempo| tempo.value);
    Ok(Gridded { parts, bars, keys, tempo, offset, voices })
}

/// The bars up to a tick. A metre that begins inside a bar cuts it: the bar is then written in the metre of
/// what is left of it, where there is one.
fn bars(metres: &[Change<Metre>], end: u32) -> Result<Vec<Bar>, Error> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut start = 0;
    while start < end {
        let next = metres.partition_point(|metre| metre.start <= start);
        let metre = metres[next.max(1) - 1].value;
        if Token::of_metre(metre).is_none() {
            return Err(Error::Metre(metre.numerator, metre.denominator));
        }
        let rest = metres.get(next).map(|metre| metre.start - start).filter(|rest| *rest < bar_length(metre));
        let cut = rest.and_then(short_metre).filter(|metre| Token::of_metre(*metre).is_some());
        bars.push(Bar { start, metre: cut.unwrap_or(metre) });
        start += bar_length(cut.unwrap_or(metre));
    }
    Ok(bars)
}

/// A note ends where its own pitch is struck again.
fn end_before_restrike(notes: &mut [Note]) {
    for index in 0..notes.len() {
        let note = notes[index];
        let mut later = notes[index + 1..].iter().take_while(|next| next.start < note.end());
        if let Some(again) = later.find(|next| next.pitch == note.pitch && next.start > note.start) {
            notes[index].length = again.start - note.start;
        }
    }
}

/// The notes with each one ended where the next begins, if that makes a line of them and takes away no more
/// than a hair: a player's legato is not polyphony.
fn line(notes: &[Note]) -> Option<Vec<Note>> {
    let hair = |pair: &[Note]| pair[0].start < pair[1].start && pair[0].end() <= pair[1].start + 2;
    let ended = |(index, note): (usize, &Note)| {
        let next = notes.get(index + 1).map_or(note.end(), |next| next.start);
        Note { length: note.end().min(next) - note.start, ..*note }
    };
    notes.windows(2).all(hair).then(|| notes.iter().enumerate().map(ended).collect())
}

/// The metres on whole bars and the length of an incomplete first bar, told by the score itself or by a
/// short first metre that lasts one bar, as MIDI files write it.
fn metres_and_pickup(score: &Score, scale: impl Fn(u32) -> u32) -> (Vec<Change<Metre>>, u32) {
    let common = Change { start: 0, value: Metre { numerator: 4, denominator: 4 } };
    let mut metres: Vec<Change<Metre>> =
        score.metres.iter().map(|m| Change { start: scale(m.start), value: m.value }).collect();
    if metres.first().is_none_or(|metre| metre.start > 0) {
        metres.insert(0, common);
    }
    let mut pickup = scale(score.pickup);
    if let [first, second, ..] = metres[..] {
        let length = bar_length(first.value);
        if second.start == length && length < bar_length(second.value) && (pickup == 0 || pickup == length) {
            pickup = length;
            metres.remove(0);
            metres[0].start = 0;
        }
    }
    let whole = bar_length(metres[0].value);
    if pickup >= whole {
        pickup = 0;
    }
    if pickup > 0 {
        for metre in metres.iter_mut().skip(1) {
            metre.start += whole - pickup;
        }
    }
    (metres, pickup)
}
