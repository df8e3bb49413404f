//! Composing: a request, a net and the grammar make a piece.
//!
//! The net is asked only where the grammar leaves a choice; tokens that must follow are shown to it together
//! with the next choice, or told (`grammar/context.rs`). When the piece outgrows the net's context, the net goes on from the header and the
//! last bars, as it saw pieces in training.

use media::score::{Change, Key, Metre, Note, Score};
use models::decoding::{Sampler, Sampling};
use models::nets::llama::{Cache, Config};

use crate::encode::{Encoded, encode};
use crate::grammar::{Grammar, Range};
use crate::model::Stored;
use crate::net::{Input, Net, inputs};
use crate::style::Styles;
use crate::view::Shown;
use crate::vocabulary::{self, COUNTDOWN, GRID, Token, tonic};

/// A net with what it knows of its styles.
pub struct Composer {
    /// The net.
    pub net: Net,
    /// Its configuration; `max_position_embeddings` is the context.
    pub config: Config,
    /// The styles.
    pub styles: Styles,
    /// The files that it was read from.
    pub stored: Stored,
}

/// What a piece goes on from.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Given {
    /// Nothing: a new piece.
    #[default]
    Nothing,
    /// A piece to which bars are added.
    Beginning(Score),
    /// A melody for the leading part, under which the others are written.
    Melody(Score),
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Name of the style; the model's first where absent.
    pub style: Option<String>,
    /// Key; chosen by the net, or estimated from what is given, where absent.
    pub key: Option<Key>,
    /// Time signature; that of what is given, or the style's most frequent, where absent.
    pub metre: Option<Metre>,
    /// Bars to write: all of a new piece, or those added to a beginning. A melody has its own.
    pub bars: u32,
    /// Quarter notes per minute; the style's where absent.
    pub tempo: Option<f64>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// What the piece goes on from.
    pub given: Given,
}

/// A piece that was composed.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The piece; parts that were given are in it note for note.
    pub score: Score,
    /// The tokens that the net saw or wrote.
    pub ids: Vec<u32>,
    /// Notes that the net chose.
    pub notes: usize,
    /// Bars, an incomplete first one included.
    pub bars: u32,
    /// Key of the piece.
    pub key: Key,
    /// First time signature of the piece.
    pub metre: Metre,
    /// Tempo in quarter notes per minute.
    pub tempo: f64,
}

/// Why nothing was composed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request does not fit the model or what is given; one line.
    #[error("{0}")]
    Request(String),
    /// The net failed.
    #[error(transparent)]
    Net(#[from] candle_core::Error),
    /// No token could be drawn.
    #[error(transparent)]
    Decode(#[from] models::decoding::DecodeError),
}

fn refuse<T>(why: impl Into<String>) -> Result<T, Error> {
    Err(Error::Request(why.into()))
}

impl Composer {
    /// Composes one piece. `on_note` is called after each note with the bars begun so far and due.
    ///
    /// # Errors
    /// A request that does not fit the model or what is given, in one line.
    pub fn compose(&self, request: &Request, on_note: &mut dyn FnMut(u32, u32)) -> Result<Piece, Error> {
        if request.bars == 0 {
            return refuse("no bars are asked for: give --bars 1 or more");
        }
        let (style_index, style) = self.styles.find(request.style.as_deref()).map_err(Error::Request)?;
        let mut ranges = style.ranges();
        let mut names: Vec<String> = style.parts.iter().map(|part| part.name.clone()).collect();
        let given = match &request.given {
            Given::Nothing => None,
            Given::Beginning(score) => Some(self.beginning(score, style_index, request.bars)?),
            Given::Melody(score) => Some(melody(score, style_index, style.voices, request.key)?),
        };
        if let (Given::Beginning(score), Some(encoded)) = (&request.given, &given) {
            names = score.parts.iter().filter(|p| !p.notes.is_empty()).map(|p| p.name.clone()).collect();
            ranges = beginning_ranges(encoded, &ranges);
        } else if let Some(extreme) =
            given.as_ref().and_then(|encoded| encoded.extremes().first().copied().flatten())
        {
            ranges[0] = ranges[0].widened(extreme);
        }
        let mut writer = Writer {
            composer: self,
            sampler: Sampler::new(&request.sampling)?,
            grammar: Grammar::new(&ranges),
            cache: Cache::new(&self.config),
            seen: 0,
            shown: Vec::new(),
            tokens: Vec::new(),
            bars_begun: Vec::new(),
            notes: 0,
            bars: 0,
            given: Vec::new(),
        };
        match (&request.given, &given) {
            (Given::Beginning(_), Some(encoded)) => {
                for token in encoded.tokens() {
                    writer.force(token)?;
                }
                writer.given = writer.grammar.notes().iter().map(Vec::len).collect();
                writer.bars = encoded.bars.len() as u32 + request.bars;
                writer.force(Token::BarsLeft((request.bars - 1).min(COUNTDOWN) as u8))?;
            }
            (_, encoded) => {
                let header = self.header(request, style_index, encoded.as_ref());
                writer.header(&header, encoded.as_ref(), request.bars)?;
            }
        }
        writer.grammar.stay();
        let mut bar = 0;
        let melody = given.filter(|_| matches!(request.given, Given::Melody(_)));
        if let Some(melody) = &melody {
            let (last, end) = end_of(melody);
            writer.grammar.end_with(last, end);
        }
        while !writer.grammar.finished() {
            let lead = melody.as_ref().and_then(|melody| writer.due_of_lead(melody));
            let token = match lead {
                Some(token) => writer.force(token)?,
                None => writer.choose()?,
            };
            if matches!(token, Token::Pitch(_)) {
                bar = writer.grammar.bars().max(bar);
                on_note(bar, bar + writer.grammar.bars_left());
            }
        }
        self.finish(request, writer, &names, &style.name)
    }

    /// The tokens of a header, as far as the request decides them; `None` where the net chooses.
    fn header(&self, request: &Request, style: usize, melody: Option<&Encoded>) -> Header {
        let known = &self.styles.styles[style];
        let of_melody =
            |wanted: fn(&Token) -> bool| melody.and_then(|melody| melody.header.iter().copied().find(wanted));
        let metre = Metre { numerator: known.metre.0, denominator: known.metre.1 };
        Header {
            style: style as u8,
            key: request.key.map(Token::of_key).or(of_melody(|token| matches!(token, Token::Key(..)))),
            metre: of_melody(|token| matches!(token, Token::Metre(..)))
                .or(Token::of_metre(request.metre.unwrap_or(metre))),
            tempo: Token::of_tempo(request.tempo.unwrap_or(known.tempo as f64)),
            programs: known.parts.iter().map(|part| part.program).collect(),
            voices: known.voices,
        }
    }

    fn beginning(&self, score: &Score, style: usize, bars: u32) -> Result<Encoded, Error> {
        match encode(score, style, bars) {
            Ok(encoded) => Ok(encoded),
            Err(why) => refuse(format!("the piece to continue cannot be written: {why}")),
        }
    }

    fn finish(
        &self,
        request: &Request,
        writer: Writer,
        names: &[String],
        style: &str,
    ) -> Result<Piece, Error> {
        let grammar = &writer.grammar;
        let mut score = grammar.score(names);
        if score.end() == 0 {
            return refuse("the model ended the piece without a note: try another --seed");
        }
        let tempo = request.tempo.unwrap_or_else(|| match &request.given {
            Given::Beginning(given) | Given::Melody(given) if !given.tempos.is_empty() => {
                given.tempos[0].value
            }
            _ => score.tempos[0].value,
        });
        score.tempos = vec![Change { start: 0, value: tempo }];
        let key = score.keys[0].value;
        score.title = Some(title(request, style, key));
        let metre = writer.tokens.iter().find_map(|token| match *token {
            Token::Metre(numerator, denominator) => Some(Metre { numerator, denominator }),
            _ => None,
        });
        let metre = metre.unwrap_or(Metre { numerator: 4, denominator: 4 });
        match &request.given {
            Given::Nothing => {}
            Given::Melody(given) => keep(&mut score, given, &[usize::MAX]),
            Given::Beginning(given) => keep(&mut score, given, &writer.given),
        }
        Ok(Piece {
            ids: writer.tokens.iter().map(|token| token.id()).collect(),
            notes: writer.notes,
            bars: grammar.bars(),
            key,
            metre,
            tempo,
            score,
        })
    }
}

/// The title of what was given, else the style and the key: `Chorale in Eb major`.
fn title(request: &Request, style: &str, key: Key) -> String {
    if let Given::Beginning(given) | Given::Melody(given) = &request.given
        && let Some(title) = &given.title
    {
        return title.clone();
    }
    let mut letters = style.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{} in {}", letters.as_str(), key_name(key))
}

/// Puts what was given back note for note: the grid may have rounded it. `written` is how many notes of each
/// given part the tokens hold, which are replaced. Ticks become those of the given piece, where these can
/// say the grid's, else a multiple of both.
fn keep(score: &mut Score, given: &Score, written: &[usize]) {
    let quarter = given.ticks_per_quarter.max(1);
    let multiple = quarter * GRID / gcd(quarter, GRID);
    let ticks = if multiple <= i16::MAX as u32 { multiple } else { quarter };
    let scale =
        |value: u32, from: u32| ((value as u64 * ticks as u64 + from as u64 / 2) / from as u64) as u32;
    let rescaled = |note: &Note, from: u32| {
        let start = scale(note.start, from);
        Note { start, length: scale(note.end(), from).saturating_sub(start).max(1), ..*note }
    };
    let own = score.ticks_per_quarter;
    let sounding: Vec<_> =
        given.parts.iter().filter(|part| !part.notes.is_empty()).take(written.len()).collect();
    // An incomplete first bar was shifted to the bar's end and back; the first given notes must meet.
    let first = |notes: &mut dyn Iterator<Item = &Note>| notes.map(|note| note.start).min().unwrap_or(0);
    let theirs = first(&mut sounding.iter().flat_map(|part| &part.notes));
    let ours = first(&mut score.parts.iter().take(written.len()).flat_map(|part| &part.notes));
    let offset = scale(theirs, quarter) as i64 - scale(ours, own) as i64;
    let moved = |start: u32| (start as i64 + offset).max(0) as u32;
    for (index, part) in score.parts.iter_mut().enumerate() {
        let mut notes: Vec<Note> = part.notes.iter().map(|note| rescaled(note, own)).collect();
        for note in &mut notes {
            note.start = moved(note.start);
        }
        if let (Some(given), Some(&written)) = (sounding.get(index), written.get(index)) {
            notes.drain(..written.min(notes.len()));
            notes.extend(given.notes.iter().map(|note| rescaled(note, quarter)));
            notes.sort_unstable();
        }
        part.notes = notes;
    }
    for change in &mut score.metres {
        change.start = if change.start == 0 { 0 } else { moved(scale(change.start, own)) };
    }
    for change in &mut score.keys {
        change.start = if change.start == 0 { 0 } else { moved(scale(change.start, own)) };
    }
    score.pickup = scale(score.pickup, own);
    score.ticks_per_quarter = ticks;
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A melody as a piece of one part.
///
/// In a style of free parts silence is not written, so the rests are left out again.
fn melody(score: &Score, style: usize, voices: bool, key: Option<Key>) -> Result<Encoded, Error> {
    let mut alone = score.clone();
    alone.parts.retain(|part| !part.notes.is_empty());
    if alone.parts.is_empty() {
        return refuse("the melody has no notes");
    }
    alone.parts.truncate(1);
    // The pitches are written from one key, that of the piece to come.
    alone.keys.truncate(1);
    if let Some(value) = key {
        alone.keys = vec![Change { start: 0, value }];
    }
    let mut encoded = match encode(&alone, style, 0) {
        Ok(encoded) => encoded,
        Err(why) => return refuse(format!("the melody cannot be written: {why}")),
    };
    if !encoded.header.contains(&Token::Voices) {
        return refuse(
            "the melody's first part has several notes at once or changes its metre: give a single line in one metre",
        );
    }
    if !voices {
        for bar in &mut encoded.bars {
            while let Some(rest) = bar.iter().position(|token| *token == Token::Rest) {
                bar.drain(rest - 1..rest + 2);
            }
        }
    }
    Ok(encoded)
}

/// The last note of a piece of one line, and the tick at which it ends, a rest at its end included.
fn end_of(encoded: &Encoded) -> (Option<Note>, u32) {
    let mut grammar = Grammar::new(&[]);
    for token in encoded.tokens() {
        if grammar.push(token).is_err() {
            break;
        }
    }
    let last = grammar.notes().iter().flatten().max_by_key(|note| note.start).copied();
    (last, last.map_or(0, |note| note.end()).max(grammar.lead_end()))
}

/// A beginning keeps its own ranges where its parts are not the style's, with a fourth to either side.
fn beginning_ranges(encoded: &Encoded, style: &[Range]) -> Vec<Range> {
    let extremes = encoded.extremes();
    let alike = extremes.len() == style.len();
    let range = |(part, extreme): (usize, &Option<Range>)| match extreme {
        Some(extreme) if alike => style[part].widened(*extreme),
        Some(extreme) => Range { low: extreme.low.saturating_sub(5), high: (extreme.high + 5).min(127) },
        None => Range::ALL,
    };
    extremes.iter().enumerate().map(range).collect()
}

struct Header {
    style: u8,
    key: Option<Token>,
    metre: Option<Token>,
    tempo: Token,
    programs: Vec<u8>,
    voices: bool,
}

struct Writer<'a> {
    composer: &'a Composer,
    sampler: Sampler,
    grammar: Grammar,
    cache: Cache,
    tokens: Vec<Token>,
    /// Those of the tokens that the net is shown.
    shown: Vec<Shown>,
    /// How many of these it has seen.
    seen: usize,
    /// How many tokens, and shown ones, stand before each bar.
    bars_begun: Vec<(usize, usize)>,
    notes: usize,
    /// Bars of the whole piece.
    bars: u32,
    /// Notes of each part that were given.
    given: Vec<usize>,
}

impl Writer<'_> {
    fn force(&mut self, token: Token) -> Result<Token, Error> {
        let before = (self.tokens.len(), self.shown.len());
        if self.grammar.shows(token) {
            self.shown.push(Shown { token, chosen: true, context: self.grammar.context() });
        }
        if self.grammar.push(token).is_err() {
            return refuse(format!(
                "what is given cannot go on with {token:?} in bar {}",
                self.grammar.bars()
            ));
        }
        if matches!(token, Token::BarsLeft(_)) {
            self.bars_begun.push(before);
        }
        self.tokens.push(token);
        Ok(token)
    }

    /// Whether a token may follow: by the grammar, which beyond its countdown does not know the bars left.
    fn allows(&self, token: Token) -> bool {
        let in_time = match token {
            Token::BarsLeft(left) if self.bars > 0 => {
                left as u32 == self.bars.saturating_sub(self.grammar.bars() + 1).min(COUNTDOWN)
            }
            _ => true,
        };
        in_time && self.grammar.allows(token)
    }

    /// The next token: the only one that may follow, or one that the net draws.
    fn choose(&mut self) -> Result<Token, Error> {
        let grammar = &self.grammar;
        let mut allowed =
            (0..vocabulary::SIZE as u32).filter_map(Token::from_id).filter(|token| self.allows(*token));
        let (first, second) = (allowed.next(), allowed.next());
        let Some(first) = first else {
            return refuse(format!("nothing may follow in bar {}: try another --seed", grammar.bars()));
        };
        if second.is_none() {
            return self.force(first);
        }
        let mut logits = self.logits()?;
        let rules = self.grammar.rules();
        for (id, logit) in logits.iter_mut().enumerate() {
            match Token::from_id(id as u32).filter(|token| self.allows(*token)) {
                Some(token) => *logit -= rules.penalty(token),
                None => *logit = f32::NEG_INFINITY,
            }
        }
        let seen: Vec<u32> = self.tokens.iter().map(|token| token.id()).collect();
        let id = self.sampler.sample(&seen, &mut logits)?;
        let Some(token) = Token::from_id(id) else { return refuse(format!("the net drew the token {id}")) };
        if matches!(token, Token::Pitch(_)) {
            self.notes += 1;
        }
        self.force(token)
    }

    /// The net's row for the token after all so far.
    fn logits(&mut self) -> Result<Vec<f32>, Error> {
        let context = self.composer.config.max_position_embeddings;
        let new = self.shown.len() - self.seen;
        let row =
            if self.cache.len() + new <= context { self.row(self.seen) } else { self.refreshed(context) };
        self.seen = self.shown.len();
        Ok(self.composer.net.forward_last(&row, &mut self.cache)?)
    }

    /// The shown tokens from a place on as inputs, the last one with what is known now.
    fn row(&self, from: usize) -> Vec<Input> {
        let mut row = inputs(&self.shown[from..]);
        row.extend(self.shown.last().map(|last| (last.token.id(), self.grammar.context())));
        row
    }

    /// Starts the net anew, on the header and as many of the last bars as fill half of its context.
    fn refreshed(&mut self, context: usize) -> Vec<Input> {
        self.cache = Cache::new(&self.composer.config);
        let room = (context / 2).max(1);
        let near = |&&(_, shown): &&(usize, usize)| self.shown.len() - shown <= room;
        // One bar alone is longer: its end is all that can be shown.
        let rest = (self.tokens.len(), self.shown.len().saturating_sub(room));
        let (tokens, from) = self.bars_begun.iter().skip(1).find(near).copied().unwrap_or(rest);
        let header = self.bars_begun.first().map_or(self.tokens.len(), |first| first.0);
        let piece = Encoded {
            header: self.tokens[..header].to_vec(),
            bars: vec![self.tokens[header..tokens].to_vec()],
        };
        let mut window = piece.header_at(1);
        window.extend(self.shown.get(from).cloned());
        let mut row = inputs(&window);
        row.extend(self.row(from));
        row
    }

    /// Writes the header and the first bar's count.
    fn header(&mut self, header: &Header, melody: Option<&Encoded>, bars: u32) -> Result<(), Error> {
        self.force(Token::Begin)?;
        self.force(Token::Style(header.style))?;
        for fixed in [header.key, header.metre, Some(header.tempo)] {
            match fixed {
                Some(token) => self.force(token)?,
                None => self.choose()?,
            };
        }
        for (part, &program) in header.programs.iter().enumerate() {
            self.force(Token::Part(part as u8))?;
            self.force(Token::Program(program))?;
        }
        if header.voices {
            self.force(Token::Voices)?;
        }
        let (pickup, bars) = match melody {
            Some(melody) => (melody.header.contains(&Token::Pickup), melody.bars.len() as u32),
            None => {
                let pickup = self.choose_pickup()?;
                (pickup, bars + pickup as u32)
            }
        };
        if pickup {
            self.force(Token::Pickup)?;
        }
        self.bars = bars;
        self.force(Token::BarsLeft((bars - 1).min(COUNTDOWN) as u8))?;
        Ok(())
    }

    /// Whether the net would rather begin with an incomplete bar, drawn like any other choice.
    fn choose_pickup(&mut self) -> Result<bool, Error> {
        let mut logits = self.logits()?;
        let bar = logits[Token::BarsLeft(0).id() as usize..=Token::BarsLeft(COUNTDOWN as u8).id() as usize]
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, |a, b| a.max(b) + (-(a - b).abs()).exp().ln_1p());
        let pickup = logits[Token::Pickup.id() as usize];
        logits.fill(f32::NEG_INFINITY);
        logits[Token::Pickup.id() as usize] = pickup;
        logits[Token::BarsLeft(0).id() as usize] = bar;
        Ok(self.sampler.sample(&[], &mut logits)? == Token::Pickup.id())
    }

    /// The melody's next token, while the leading part's section of a bar is open or about to open.
    fn due_of_lead(&self, melody: &Encoded) -> Option<Token> {
        let bar = self.grammar.bars() as usize;
        let written = self.tokens.len() - self.bars_begun.last()?.0;
        let tokens = melody.bars.get(bar - 1)?;
        let section = tokens.iter().position(|token| *token == Token::Others)?;
        tokens.get(written).copied().filter(|_| written <= section)
    }
}

/// The key as people write it, such as `Eb major`.
pub fn key_name(key: Key) -> String {
    const SHARP: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    const FLAT: [&str; 12] = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"];
    let names = if key.fifths < 0 { FLAT } else { SHARP };
    format!("{} {}", names[tonic(key) as usize], if key.minor { "minor" } else { "major" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_names() {
        for (fifths, minor, expected) in
            [(-3, false, "Eb major"), (1, true, "E minor"), (0, false, "C major")]
        {
            assert_eq!(key_name(Key { fifths, minor }), expected);
        }
    }

    #[test]
    fn an_empty_melody_is_refused() {
        let error = melody(&Score::default(), 0, true, None).unwrap_err();
        assert_eq!(error.to_string(), "the melody has no notes");
    }
}
