//! Sound of any length to text, window by window, as openai/whisper's `transcribe.py` does it.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use candle_core::Tensor;
use models::nets::whisper::Source;
use models::random::Generator;
use serde::Serialize;

use crate::align::align;
use crate::decode::{Beginning, Decoded, Search, decode};
use crate::guard::Guard;
use crate::rules::{Rules, probability};
use crate::segment::{Cut, Segment, Window, cut};
use crate::trim::Loudness;
use crate::vocabulary::TICK;
use crate::words::{Span, words};
use crate::{Model, languages};

/// Log-mel frames of 10 ms.
pub trait Frames {
    /// Frames of sound.
    fn count(&self) -> usize;

    /// So many frames from a place on, (bands, frames); silence follows the sound. Places never fall by more than a window.
    ///
    /// # Errors
    /// Sound that cannot be read.
    fn window(&mut self, from: usize, count: usize) -> Result<Vec<f32>>;
}

/// How words get their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordTimes {
    /// As the alignment says, and then without the silence beside them.
    Trimmed,
    /// As the alignment says, like openai/whisper.
    Raw,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The code of the language that is spoken; found out where there is none.
    pub language: Option<&'static str>,
    /// Whether to put it into English.
    pub translate: bool,
    /// Whether segments get times.
    pub times: bool,
    /// Whether words do, and which.
    pub words: Option<WordTimes>,
    /// How ids are chosen; its temperature is one of `temperatures`.
    pub search: Search,
    /// Tried in turn until a text is good enough.
    pub temperatures: Vec<f64>,
    /// A text is not good enough that compresses better than this.
    pub most_compression: Option<f64>,
    /// Nor one whose ids have a mean log-probability below this.
    pub least_average: Option<f64>,
    /// Where nobody speaks with more than this probability, and the text is not likely, there is no text.
    pub most_no_speech: Option<f64>,
    /// Whether a window is told what was said in those before.
    pub condition: bool,
    /// What the first window is told was said before.
    pub prompt: Option<String>,
    /// What each window's text begins with, and does not say again.
    pub prefix: Option<String>,
    /// Silences longer than this, in seconds, around words that sound made up are skipped; needs `words`.
    pub skip_silence: Option<f64>,
    /// Of what is drawn.
    pub seed: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            language: None,
            translate: false,
            times: true,
            words: None,
            search: Search {
                temperature: 0.,
                best_of: 5,
                beam: 1,
                patience: 1.,
                length_penalty: None,
                max_tokens: usize::MAX,
            },
            temperatures: vec![0., 0.2, 0.4, 0.6, 0.8, 1.],
            most_compression: Some(2.4),
            least_average: Some(-1.),
            most_no_speech: Some(0.6),
            condition: true,
            prompt: None,
            prefix: None,
            skip_silence: None,
            seed: 0,
        }
    }
}

/// How likely each language is, by code.
pub type Languages = Vec<(&'static str, f64)>;

/// All that was said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transcript {
    /// The words.
    pub text: String,
    /// In which language.
    pub language: String,
    /// How likely each language was, where it was found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_probs: Option<Languages>,
    /// The words in stretches.
    pub segments: Vec<Segment>,
}

/// What came, while it comes.
pub enum Event<'a> {
    /// A segment.
    Segment(&'a Segment),
    /// So many frames are done.
    Frames(usize),
}

/// Writes down what is said.
///
/// # Errors
/// Sound that cannot be read, a language that the model does not know, and what the net refuses. A `Break` ends early
/// with what there is.
pub fn transcribe(
    model: &Model,
    frames: &mut dyn Frames,
    request: &Request,
    on: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Transcript> {
    let (language, probabilities) = language(model, frames, request)?;
    let vocabulary = &model.vocabulary;
    let id = if vocabulary.languages.is_empty() { None } else { vocabulary.language(language) };
    let prompt = match &request.prompt {
        Some(prompt) => vocabulary.encode(&format!(" {}", prompt.trim()))?,
        None => Vec::new(),
    };
    let aligned = vocabulary.beginning(id, request.translate);
    let mut begin = aligned.clone();
    if !request.times {
        begin.push(vocabulary.no_times);
    }
    if let Some(prefix) = &request.prefix {
        begin.extend(vocabulary.encode(&format!(" {}", prefix.trim()))?);
    }
    let mut run = Run {
        model,
        request,
        language,
        rules: Rules::new(vocabulary, request.times, Some((1. / TICK).round() as u32)),
        generator: Generator::new(request.seed),
        begin,
        aligned,
        said: prompt.clone(),
        told_from: 0,
        last_word: 0.,
    };
    let mut segments: Vec<Segment> = Vec::new();
    let (mut seek, count) = (0, frames.count());
    while seek < count {
        let window = Window { seek, size: model.frames().min(count - seek) };
        let (found, next) = run.window(frames, window)?;
        seek = next.max(seek + 1);
        let mut ends = false;
        for mut segment in found {
            segment.id = segments.len();
            ends |= on(Event::Segment(&segment)).is_break();
            segments.push(segment);
        }
        if on(Event::Frames(seek.min(count))).is_break() || ends {
            break;
        }
    }
    let text = vocabulary.decode(&run.said[prompt.len()..]);
    Ok(Transcript { text, language: language.into(), language_probs: probabilities, segments })
}

/// The language that is spoken, as asked or as it sounds in the first window.
fn language(
    model: &Model,
    frames: &mut dyn Frames,
    request: &Request,
) -> Result<(&'static str, Option<Languages>)> {
    let known = &model.vocabulary.languages;
    match request.language {
        Some(code) if known.is_empty() && code != "en" => {
            bail!("this model knows English alone, not {code}")
        }
        Some(code) if known.is_empty() || model.vocabulary.language(code).is_some() => {
            return Ok((code, None));
        }
        Some(code) => bail!("this model has no token for the language {code}"),
        None if known.is_empty() => return Ok(("en", None)),
        None => {}
    }
    let source = encode(model, frames.window(0, model.frames())?)?;
    let probabilities = language_probabilities(model, &source)?;
    let best = probabilities.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
    Ok((best.map_or(languages::LANGUAGES[0].0, |(code, _)| code), Some(probabilities)))
}

/// How likely each language of the model is to be spoken in a window.
///
/// # Errors
/// Those of the net.
pub fn language_probabilities(model: &Model, source: &Source) -> Result<Languages> {
    let start = Tensor::new(&[[model.vocabulary.start]], &model.device)?;
    let logits =
        model.net.forward_last(&start, &mut model.net.start(source)?)?.squeeze(0)?.to_vec1::<f32>()?;
    let known = &model.vocabulary.languages;
    let logits: Vec<f32> = known.iter().map(|(id, _)| logits[*id as usize]).collect();
    Ok((0..).zip(known).map(|(place, (_, code))| (*code, probability(&logits, place))).collect())
}

/// What the decoder looks at, of a window (bands, frames).
fn encode(model: &Model, mel: Vec<f32>) -> Result<Source> {
    let bands = model.config.num_mel_bins;
    let frames = mel.len() / bands;
    Ok(model.net.encode(&Tensor::from_vec(mel, (1, bands, frames), &model.device)?)?)
}

struct Run<'a> {
    model: &'a Model,
    request: &'a Request,
    language: &'static str,
    rules: Rules,
    generator: Generator,
    /// The ids that begin a transcript.
    begin: Vec<u32>,
    /// Those where times are not said.
    aligned: Vec<u32>,
    /// All text so far, and what was said before it.
    said: Vec<u32>,
    /// From where on of it a window is told.
    told_from: usize,
    /// Where the last word ended, in seconds.
    last_word: f64,
}

impl Run<'_> {
    /// One window's segments, and the frame from which to go on.
    fn window(&mut self, frames: &mut dyn Frames, window: Window) -> Result<(Vec<Segment>, usize)> {
        let model = self.model;
        let mut mel = frames.window(window.seek, window.size)?;
        let trims = self.request.words == Some(WordTimes::Trimmed);
        let loudness = trims.then(|| Loudness::new(&mel, window.size, window.start()));
        pad(&mut mel, model.config.num_mel_bins, window.size, model.frames());
        let source = encode(model, mel)?;
        let decoded = self.decode(&source)?;
        let silent = self.request.most_no_speech.is_some_and(|most| decoded.no_speech > most);
        let likely = self.request.least_average.is_some_and(|least| decoded.average > least);
        if silent && !likely {
            return Ok((Vec::new(), window.seek + window.size));
        }
        let mut found = cut(&model.vocabulary, window, &decoded);
        if self.request.words.is_some() {
            self.words(&source, window, &mut found)?;
            let guard = self.request.skip_silence.map(|silence| Guard {
                silence,
                window,
                frames: model.frames(),
                count: frames.count(),
                last_word: self.last_word,
            });
            if let Some(seek) = guard.and_then(|guard| guard.skip(&mut found)) {
                return Ok((Vec::new(), seek));
            }
            self.last_word = last_word(&found.segments).unwrap_or(self.last_word);
        }
        for segment in &mut found.segments {
            if let (Some(loudness), Some(words)) = (&loudness, &mut segment.words) {
                words.iter_mut().for_each(|word| loudness.trim(word));
            }
            segment.clear_if_empty();
            self.said.extend(&segment.tokens);
        }
        if !self.request.condition || decoded.temperature > 0.5 {
            self.told_from = self.said.len();
        }
        Ok((found.segments, found.next))
    }

    /// Decodes at one temperature after the other, until the text is good enough.
    fn decode(&mut self, source: &Source) -> Result<Decoded> {
        let (model, request) = (self.model, self.request);
        let positions = model.config.max_target_positions;
        let earlier = &self.said[self.told_from..];
        let beginning = Beginning::new(&model.vocabulary, positions, earlier, &self.begin);
        if beginning.ids.len() >= positions {
            bail!(
                "what the text begins with has {} tokens, and the model takes {positions}",
                beginning.ids.len()
            );
        }
        let most = request.search.max_tokens.min(positions / 2);
        let mut last = None;
        for temperature in &request.temperatures {
            let search = Search { temperature: *temperature, max_tokens: most, ..request.search.clone() };
            let decoded = decode(model, source, &beginning, (&search, &self.rules), &mut self.generator)?;
            let good = good_enough(&decoded, request);
            last = Some(decoded);
            if good {
                break;
            }
        }
        match last {
            Some(decoded) => Ok(decoded),
            None => bail!("there is no temperature to decode at"),
        }
    }

    /// Gives the words of a window their times, and its segments theirs by them.
    fn words(&mut self, source: &Source, window: Window, found: &mut Cut) -> Result<()> {
        let model = self.model;
        let text = |segment: &Segment| segment.text_ids(&model.vocabulary).collect::<Vec<_>>();
        let ids: Vec<Vec<u32>> = found.segments.iter().map(text).collect();
        let span = |(segment, ids): (&Segment, &Vec<u32>)| Span {
            start: segment.start,
            end: segment.end,
            ids: ids.len(),
        };
        let mut spans: Vec<Span> = found.segments.iter().zip(&ids).map(span).collect();
        let all = ids.concat();
        let alignment = align(model, (source, window.size / 2), (&self.aligned, &all))?;
        let offset = window.start();
        let words =
            words(&model.vocabulary, self.language, &alignment, &all, &mut spans, (offset, self.last_word));
        let mut ticks = alignment.ticks.iter().map(|tick| offset + *tick as f64 * TICK);
        for (((segment, span), words), ids) in found.segments.iter_mut().zip(spans).zip(words).zip(&ids) {
            (segment.start, segment.end) = (span.start, span.end);
            segment.words = Some(words);
            segment.token_times = Some(ticks.by_ref().take(ids.len()).collect());
        }
        let last = last_word(&found.segments).filter(|end| !found.closed && *end > offset);
        if let Some(end) = last {
            found.next = (end * 100.).round_ties_even() as usize;
        }
        Ok(())
    }
}

/// Where the last word of some segments ends; where there is none, the last segment.
pub(crate) fn last_word(segments: &[Segment]) -> Option<f64> {
    let words = segments.iter().rev().flat_map(|segment| segment.words.iter().flatten().rev());
    words.map(|word| word.end).next().or(segments.last().map(|segment| segment.end))
}

/// Fills a window (bands, frames) up with zeros, which is neither silence nor sound, as the models were trained.
fn pad(mel: &mut Vec<f32>, bands: usize, from: usize, to: usize) {
    if from >= to {
        return;
    }
    let mut padded = vec![0.; bands * to];
    for (to, from) in padded.chunks_mut(to).zip(mel.chunks(from.max(1))) {
        to[..from.len()].copy_from_slice(from);
    }
    *mel = padded;
}

/// Whether a text need not be decoded again at a higher temperature.
pub fn good_enough(decoded: &Decoded, request: &Request) -> bool {
    let repeats = request.most_compression.is_some_and(|most| decoded.compression > most);
    let unlikely = request.least_average.is_some_and(|least| decoded.average < least);
    let silent = request.most_no_speech.is_some_and(|most| decoded.no_speech > most);
    !(repeats || unlikely) || (silent && unlikely)
}
