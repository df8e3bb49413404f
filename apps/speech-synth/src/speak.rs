//! Texts -> samples, piece by piece, with the times of the words.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Result, bail};
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

/// Speaks paragraphs. Each piece is handed on as it is made, so that memory does not grow with the text; the random
/// numbers go on from piece to piece. A text that is short is one piece, and its samples are the net's.
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
    let mut rest = pieces(paragraphs, each && request.writing == Writing::Text).into_iter();
    let mut random = Generator::new(request.seed);
    let mut said = Said::default();
    let mut done = 0;
    // a piece falls to silence only where another one follows: that is known before it is spoken
    let mut next = next_piece(voice, &mut rest, request, &mut said.left_out)?;
    if next.is_none() {
        bail!("nothing to speak: the voice has no sign for any letter of the text");
    }
    while let Some((piece, written, passed)) = next {
        next = next_piece(voice, &mut rest, request, &mut said.left_out)?;
        done += passed;
        let mut spoken = one(voice, &piece, written, request, said.samples, &mut random)?;
        spoken.done = done;
        if next.is_some() {
            ramp(voice, &mut spoken.samples, true);
        }
        said.samples += spoken.samples.len() as u64;
        let stopped = on_piece(spoken)?.is_break();
        said.whole = !stopped && next.is_none();
        if stopped {
            break;
        }
    }
    Ok(said)
}

/// The next piece that says something, as the voice writes it, and the bytes from the one before to its end.
fn next_piece(
    voice: &Voice,
    rest: &mut impl Iterator<Item = Piece>,
    request: &Request,
    left_out: &mut BTreeMap<char, usize>,
) -> Result<Option<(Piece, Written, usize)>> {
    let mut passed = 0;
    for piece in rest {
        passed += piece.text.len();
        let written = voice.spell(&piece.text, request.writing)?;
        for letter in written.spelled.unknown.iter().filter(|letter| letter.is_alphanumeric()) {
            *left_out.entry(*letter).or_default() += 1;
        }
        if written.says() {
            return Ok(Some((piece, written, passed)));
        }
    }
    Ok(None)
}

/// One piece after so many samples.
fn one(
    voice: &Voice,
    piece: &Piece,
    written: Written,
    request: &Request,
    start: u64,
    random: &mut Generator,
) -> Result<Spoken> {
    let Utterance { samples: mut sound, frames } = voice.say(&written, request, random)?;
    let spelled = written.spelled;
    let rate = f64::from(voice.rate());
    let between = || if piece.pauses > 1 { voice.paragraph_pause() } else { 0. };
    let silence = request.pause.map_or_else(between, |pause| pause * f64::from(piece.pauses));
    let silence = (silence * rate).round() as usize;
    if start > 0 {
        ramp(voice, &mut sound, false);
    }
    let begins = (start as f64 + silence as f64) / rate;
    let mut words = words(&piece.text, &spelled, &frames, voice.frame_s());
    words.iter_mut().for_each(|word| (word.start, word.end) = (word.start + begins, word.end + begins));
    let samples = [vec![0.; silence], sound].concat();
    let sentences = by_sentence(&piece.text, words);
    Ok(Spoken { samples, sentences, ids: spelled.ids, done: 0 })
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
