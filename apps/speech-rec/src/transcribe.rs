//! Sound of any length to text, window by window, as openai/whisper's `transcribe.py` does it; where somebody speaks, if
//! that is asked for, and in batches.

use std::ops::{ControlFlow, Range};

use anyhow::Result;
use models::random::Generator;
use serde::Serialize;

use crate::Model;
use crate::detect::{Languages, language};
use crate::loops::Loops;
use crate::plan::Plan;
use crate::request::Request;
use crate::rules::Rules;
use crate::segment::Segment;
use crate::vocabulary::TICK;
use crate::window::Run;

/// Log-mel frames of 10 ms.
pub trait Frames {
    /// Frames of sound.
    fn count(&self) -> usize;

    /// So many frames from a place on, (bands, frames); silence follows the sound. Places never fall by more than a window.
    ///
    /// # Errors
    /// Sound that cannot be read.
    fn window(&mut self, from: usize, count: usize) -> Result<Vec<f32>>;

    /// Frames in which somebody speaks, in order; nothing where that was not looked for.
    fn speech(&self) -> Option<&[Range<usize>]> {
        None
    }
}

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
    let count = frames.count();
    let plan = (request.vad || request.batch.is_some()).then(|| match frames.speech() {
        Some(speech) => Plan::new(speech, model.frames(), count),
        None => Plan::new(std::slice::from_ref(&(0..count)), model.frames(), count),
    });
    let first = plan.as_ref().and_then(|plan| plan.window(0)).map_or(0, |(window, _)| window.seek);
    let (language, language_probs) = language(model, frames, request, first)?;
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
        count,
        plan,
        rules: Rules::new(vocabulary, request.times, Some((1. / TICK).round() as u32)),
        generator: Generator::new(request.seed),
        begin,
        aligned,
        said: prompt.clone(),
        told: prompt.len(),
        told_from: 0,
        loops: request.most_repeats.map(Loops::new),
        last_word: 0.,
        seek: 0,
    };
    let mut segments: Vec<Segment> = Vec::new();
    while let Some(heard) = run.hear(frames)? {
        let mut ends = false;
        for mut segment in run.listen(heard)? {
            segment.id = segments.len();
            ends |= on(Event::Segment(&segment)).is_break();
            segments.push(segment);
        }
        if on(Event::Frames(run.seek.min(count))).is_break() || ends {
            break;
        }
    }
    let text = vocabulary.decode(&run.said[prompt.len()..]);
    Ok(Transcript { text, language: language.into(), language_probs, segments })
}
