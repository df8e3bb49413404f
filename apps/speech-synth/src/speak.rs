//! Texts -> samples, piece by piece, with the times of the words.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Result, bail};
use kernels::side_by_side::Lanes;
use models::random::Generator;
use studio::sentences::sentences;

use crate::pieces::{Piece, pieces};
use crate::voice::{Utterance, Written};
use crate::words::words;
use crate::{Request, Voice, Word, Writing};

/// A piece of a text that was spoken.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// Samples at the voice's rate, silence before the piece among them.
    pub samples: Vec<f32>,
    /// Its sentences, each as the words that are spoken; times in seconds from the beginning of the whole.
    pub sentences: Vec<Vec<Word>>,
    /// The ids of the piece.
    pub ids: Vec<u32>,
    /// Bytes of the whole text that are done.
    pub done: usize,
}

/// What became of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Said {
    /// Samples in all.
    pub samples: u64,
    /// Letters and digits that the voice has no sign for, and how often they were left out.
    pub left_out: BTreeMap<char, usize>,
    /// Whether all was spoken, and not stopped.
    pub whole: bool,
}

/// Seconds over which sound rises and falls where two pieces meet, so that there is no click.
const RAMP: f64 = 0.005;

/// Pieces that are spoken at a time, each on cores of its own: a sentence is too short to keep many at work.
const LANES: usize = 4;

/// Speaks paragraphs. Each piece is handed on as it is made, so that memory does not grow with the text, and has random
/// numbers of its own, the first those of the seed. A text that is short is one piece, and its samples are the net's.
/// The first piece has all cores, so that it is heard soon; the others are made several at a time.
///
/// # Errors
/// A text that says nothing or that the voice cannot read, and what `on_piece` gives back.
pub fn speak(
    voice: &Voice,
    paragraphs: &[String],
    request: &Request,
    on_piece: &mut dyn FnMut(Spoken) -> Result<ControlFlow<()>>,
) -> Result<Said> {
    voice.check(paragraphs, request.writing)?;
    let each = request.pause.is_some() || voice.by_sentence();
    let mut all =
        Spelling { voice, request, rest: pieces(paragraphs, each && request.writing == Writing::Text) };
    all.rest.reverse();
    let mut due = numbered(all);
    let Some(first) = due.next() else {
        bail!("nothing to speak: the voice has no sign for any letter of the text");
    };
    let (mut said, mut done) = (Said::default(), 0);
    let make = |due: Result<Due>| -> Result<(Due, Utterance)> {
        let due = due?;
        // another generator for each, all of them the seed's
        let mut random = Generator::new(request.seed.wrapping_add(due.number.wrapping_mul(0x9e37_79b9)));
        let utterance = voice.say(&due.written, request, &mut random)?;
        Ok((due, utterance))
    };
    let mut take = |(due, utterance): (Due, Utterance)| {
        due.left_out.iter().for_each(|letter| *said.left_out.entry(*letter).or_default() += 1);
        done += due.bytes;
        let mut spoken = spoken(voice, &due, utterance, request, said.samples);
        spoken.done = done;
        said.samples += spoken.samples.len() as u64;
        let flow = on_piece(spoken)?;
        said.whole = flow.is_continue() && due.last;
        Ok(flow)
    };
    let one = matches!(&first, Ok(first) if first.last);
    if take(make(first)?)?.is_continue() && !one {
        Lanes::new(LANES, voice.device().is_cpu())?.each(due, LANES, make, take)?;
    }
    Ok(said)
}

/// A piece that says something, as the voice writes it.
struct Due {
    piece: Piece,
    written: Written,
    /// Of the pieces, from 0.
    number: u64,
    /// Whether none follows.
    last: bool,
    /// From the end of the one before to its own.
    bytes: usize,
    /// Letters and digits that the voice has no sign for, since the one before.
    left_out: Vec<char>,
}

/// What pieces are spelled with, and those to come, the next one last.
struct Spelling<'a> {
    voice: &'a Voice,
    request: &'a Request,
    rest: Vec<Piece>,
}

impl Spelling<'_> {
    /// The next piece that says something.
    fn next(&mut self, number: u64) -> Result<Option<Due>> {
        let (mut bytes, mut left_out) = (0, Vec::new());
        while let Some(piece) = self.rest.pop() {
            bytes += piece.text.len();
            let written = self.voice.spell(&piece.text, self.request.writing)?;
            left_out.extend(written.spelled.unknown.iter().filter(|letter| letter.is_alphanumeric()));
            if written.says() {
                return Ok(Some(Due { piece, written, number, last: false, bytes, left_out }));
            }
        }
        Ok(None)
    }
}

/// The pieces in their order: whether one is the last is known before it is spoken, since it falls to silence only where
/// another one follows. An error ends them.
fn numbered(mut spelling: Spelling) -> impl Iterator<Item = Result<Due>> {
    let mut next = spelling.next(0).transpose();
    std::iter::from_fn(move || {
        let mut due = next.take()?;
        if let Ok(due) = &mut due {
            next = spelling.next(due.number + 1).transpose();
            due.last = next.is_none();
        }
        Some(due)
    })
}

/// What a piece became, after so many samples.
fn spoken(voice: &Voice, due: &Due, utterance: Utterance, request: &Request, start: u64) -> Spoken {
    let Utterance { samples: mut sound, frames } = utterance;
    let (piece, spelled) = (&due.piece, &due.written.spelled);
    let rate = f64::from(voice.rate());
    let between = || if piece.pauses > 1 { voice.paragraph_pause() } else { 0. };
    let silence = request.pause.map_or_else(between, |pause| pause * f64::from(piece.pauses));
    let silence = (silence * rate).round() as usize;
    if start > 0 {
        ramp(voice, &mut sound, false);
    }
    if !due.last {
        ramp(voice, &mut sound, true);
    }
    let begins = (start as f64 + silence as f64) / rate;
    let mut words = words(&piece.text, spelled, &frames, voice.frame_s());
    words.iter_mut().for_each(|word| (word.start, word.end) = (word.start + begins, word.end + begins));
    let samples = [vec![0.; silence], sound].concat();
    let sentences = by_sentence(&piece.text, words);
    Spoken { samples, sentences, ids: spelled.ids.clone(), done: 0 }
}

/// Lets sound fall to silence at its end, or rise from it at its beginning.
fn ramp(voice: &Voice, samples: &mut [f32], falls: bool) {
    let count = ((f64::from(voice.rate()) * RAMP) as usize).min(samples.len());
    let length = samples.len();
    for i in 0..count {
        let at = if falls { length - 1 - i } else { i };
        samples[at] *= (i as f32 + 0.5) / count as f32;
    }
}

fn by_sentence(text: &str, words: Vec<Word>) -> Vec<Vec<Word>> {
    let mut words = words.into_iter().peekable();
    let take = |end: usize| {
        let mut taken = Vec::new();
        while let Some(word) = words.next_if(|word| word.place < end) {
            taken.push(word);
        }
        taken
    };
    sentences(text).into_iter().map(|range| range.end).map(take).filter(|words| !words.is_empty()).collect()
}
