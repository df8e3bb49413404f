//! Windows of sound to segments: heard, decoded at one temperature after the other, cut, and given the times of words.

use anyhow::{Result, bail};
use candle_core::Tensor;
use models::nets::whisper::Source;
use models::random::Generator;

use crate::align::align;
use crate::decode::{Beginning, Decoded, Search, decode};
use crate::detect::encode;
use crate::guard::{Guard, last_word};
use crate::loops::Loops;
use crate::plan::{Plan, quietest};
use crate::request::{Request, WordTimes, good_enough};
use crate::rules::Rules;
use crate::segment::{Cut, Segment, Window, cut};
use crate::trim::Loudness;
use crate::vad::is_silent;
use crate::vocabulary::TICK;
use crate::words::{Span, words};
use crate::{Frames, Model};

/// A transcription on its way.
pub struct Run<'a> {
    pub model: &'a Model,
    pub request: &'a Request,
    pub language: &'static str,
    /// Frames of sound.
    pub count: usize,
    /// Where windows begin and end; without one, where the last one's text does.
    pub plan: Option<Plan>,
    pub rules: Rules,
    pub generator: Generator,
    /// The ids that begin a transcript.
    pub begin: Vec<u32>,
    /// Those where times are not said.
    pub aligned: Vec<u32>,
    /// All text so far, and what was said before it.
    pub said: Vec<u32>,
    /// How many ids of it were said before.
    pub told: usize,
    /// From where on of it a window is told.
    pub told_from: usize,
    /// Against words that go round and round.
    pub loops: Option<Loops>,
    /// Where the last word ended, in seconds.
    pub last_word: f64,
    /// The frame from which to go on.
    pub seek: usize,
}

/// The sound of a window.
pub struct Heard {
    window: Window,
    /// Log-mel values (bands, frames) of a whole window.
    mel: Vec<f32>,
    /// Where words are to be trimmed.
    loudness: Option<Loudness>,
}

impl Run<'_> {
    /// The next windows, as many as are decoded together; none of them where there is silence alone, and nothing at the
    /// end of the sound.
    pub fn hear(&mut self, frames: &mut dyn Frames) -> Result<Option<Vec<Heard>>> {
        let (bands, trims) = (self.model.config.num_mel_bins, self.request.words == Some(WordTimes::Trimmed));
        let mut all = Vec::new();
        while all.len() < self.request.batch.unwrap_or(1) {
            let Some((mut window, within)) = self.next() else {
                return Ok((!all.is_empty()).then_some(all));
            };
            let mut mel = frames.window(window.seek, window.size)?;
            if within && self.request.batch.is_some() {
                let size = quietest(&mel, window.size);
                fit(&mut mel, bands, window.size, size);
                window.size = size;
            }
            self.seek = window.seek + window.size;
            if !is_silent(&mel) {
                let loudness = trims.then(|| Loudness::new(&mel, window.size, window.start()));
                fit(&mut mel, bands, window.size, self.model.frames());
                all.push(Heard { window, mel, loudness });
            } else if all.is_empty() {
                break;
            }
        }
        Ok(Some(all))
    }

    /// The segments of windows, and for windows that follow each other, the frame from which to go on.
    pub fn listen(&mut self, mut heard: Vec<Heard>) -> Result<Vec<Segment>> {
        if heard.is_empty() {
            return Ok(Vec::new());
        }
        let mel = heard.iter_mut().map(|heard| std::mem::take(&mut heard.mel)).collect();
        let source = encode(self.model, mel)?;
        let decoded = self.decode(&source, &heard)?;
        let mut segments = Vec::new();
        for (place, (heard, decoded)) in heard.iter().zip(decoded).enumerate() {
            let (found, next) = self.settle(&part(&source, &[place])?, heard, &decoded)?;
            segments.extend(found);
            if self.request.batch.is_none() {
                self.seek = next.max(heard.window.seek + 1);
            }
        }
        Ok(segments)
    }

    /// The next window, and whether it is cut off within speech.
    fn next(&self) -> Option<(Window, bool)> {
        let (seek, left) = (self.seek, self.count.saturating_sub(self.seek));
        match &self.plan {
            Some(plan) => plan.window(seek),
            None => (left > 0).then(|| (Window { seek, size: self.model.frames().min(left) }, false)),
        }
    }

    /// Decodes windows at one temperature after the other, until the text of each is good enough.
    fn decode(&mut self, source: &Source, heard: &[Heard]) -> Result<Vec<Decoded>> {
        let (model, request) = (self.model, self.request);
        let positions = model.config.max_target_positions;
        let earlier = match request.batch {
            None => &self.said[self.told_from..],
            Some(_) => &self.said[..self.told],
        };
        let beginning = Beginning::new(&model.vocabulary, positions, earlier, &self.begin);
        if beginning.ids.len() >= positions {
            bail!(
                "what the text begins with has {} tokens, and the model takes {positions}",
                beginning.ids.len()
            );
        }
        // what is drawn for a window does not depend on those beside it
        let own = |heard: &Heard| Generator::new(request.seed.wrapping_add(heard.window.seek as u64));
        let mut own: Vec<Generator> = heard.iter().filter(|_| request.batch.is_some()).map(own).collect();
        let mut generators: Vec<&mut Generator> = match request.batch {
            None => vec![&mut self.generator],
            Some(_) => own.iter_mut().collect(),
        };
        let max_tokens = request.search.max_tokens.min(positions / 2);
        let mut found: Vec<Option<Decoded>> = vec![None; heard.len()];
        let mut open: Vec<usize> = (0..heard.len()).collect();
        for temperature in &request.temperatures {
            let search = Search { temperature: *temperature, max_tokens, ..request.search.clone() };
            let theirs = generators.iter_mut().enumerate().filter(|(place, _)| open.contains(place));
            let mut theirs: Vec<&mut Generator> = theirs.map(|(_, generator)| &mut **generator).collect();
            let part = part(source, &open)?;
            let decoded = decode(model, &part, &beginning, (&search, &self.rules), &mut theirs)?;
            for (place, decoded) in open.iter().zip(decoded) {
                found[*place] = Some(decoded);
            }
            open.retain(|place| found[*place].as_ref().is_some_and(|found| !good_enough(found, request)));
            if open.is_empty() {
                break;
            }
        }
        match found.into_iter().collect() {
            Some(decoded) => Ok(decoded),
            None => bail!("there is no temperature to decode at"),
        }
    }

    /// One window's segments, and the frame from which to go on.
    fn settle(&mut self, source: &Source, heard: &Heard, decoded: &Decoded) -> Result<(Vec<Segment>, usize)> {
        let (model, window, alone) = (self.model, heard.window, self.request.batch.is_some());
        let silent = self.request.most_no_speech.is_some_and(|most| decoded.no_speech > most);
        let likely = self.request.least_average.is_some_and(|least| decoded.average > least);
        if silent && !likely {
            return Ok((Vec::new(), window.seek + window.size));
        }
        let mut found = cut(&model.vocabulary, window, decoded, alone);
        let thinned = self.thin(&mut found.segments);
        if self.request.words.is_some() {
            self.words(source, window, &mut found)?;
            let guard = self.request.skip_silence.filter(|_| !alone).map(|silence| Guard {
                silence,
                window,
                frames: model.frames(),
                count: self.count,
                last_word: self.last_word,
            });
            if let Some(seek) = guard.and_then(|guard| guard.skip(&mut found)) {
                return Ok((Vec::new(), seek));
            }
            self.last_word = last_word(&found.segments).unwrap_or(self.last_word);
        }
        for segment in &mut found.segments {
            if let (Some(loudness), Some(words)) = (&heard.loudness, &mut segment.words) {
                words.iter_mut().for_each(|word| loudness.trim(word));
            }
            segment.clear_if_empty();
            if let Some(loops) = &mut self.loops {
                // where one between them was cleared, two may come together
                let ids: Vec<u32> = segment.text_ids(&model.vocabulary).collect();
                match loops.kept(&ids).contains(&false) {
                    true => segment.clear(),
                    false => loops.tell(&ids),
                }
            }
            self.said.extend(&segment.tokens);
        }
        if !self.request.condition || decoded.temperature > 0.5 || thinned {
            self.told_from = self.said.len();
        }
        Ok((found.segments, found.next))
    }

    /// Leaves out what comes too often in a row, and says whether anything did.
    fn thin(&self, segments: &mut Vec<Segment>) -> bool {
        let (Some(loops), vocabulary) = (&self.loops, &self.model.vocabulary) else { return false };
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.text_ids(vocabulary)).collect();
        let kept = loops.kept(&ids);
        let thins = kept.contains(&false);
        if thins {
            let mut kept = kept.into_iter();
            segments.retain_mut(|segment| {
                segment.thin(vocabulary, &mut kept);
                segment.text_ids(vocabulary).next().is_some()
            });
        }
        thins
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

/// Some windows of a source.
fn part(source: &Source, windows: &[usize]) -> Result<Source> {
    if windows.iter().copied().eq(0..source.states.dim(0)?) {
        return Ok(source.clone());
    }
    let places: Vec<u32> = windows.iter().map(|window| *window as u32).collect();
    let states = source.states.index_select(&Tensor::new(places, source.states.device())?, 0)?;
    Ok(Source { states, mask: source.mask.clone() })
}

/// Cuts a window (bands, frames) off, or fills it up with zeros, which are neither silence nor sound: so the models were
/// trained.
fn fit(mel: &mut Vec<f32>, bands: usize, from: usize, to: usize) {
    if from == to {
        return;
    }
    let (mut fitted, count) = (vec![0.; bands * to], from.min(to));
    for (to, from) in fitted.chunks_mut(to.max(1)).zip(mel.chunks(from.max(1))) {
        to[..count].copy_from_slice(&from[..count]);
    }
    *mel = fitted;
}
