//! Windows of sound to ids: greedily, by drawing, or by a beam search, as openai/whisper's `decoding.py` does it; several
//! at once, each as if it were alone.

use anyhow::Result;
use candle_core::Tensor;
use models::decoding::{check, greedy, largest, log_probability, log_softmax, softmax};
use models::nets::whisper::{Cache, Source};
use models::random::Generator;
use zlib_rs::{DeflateConfig, compress_bound, compress_slice};

use crate::Model;
use crate::rules::{Rules, probability};
use crate::vocabulary::Vocabulary;

/// How ids are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// 0 takes the likeliest.
    pub temperature: f64,
    /// Texts that are drawn where the temperature is above 0; the likeliest is kept.
    pub best_of: usize,
    /// Hypotheses of a beam search where the temperature is 0; 1 is greedy.
    pub beam: usize,
    /// How many times as many hypotheses must be finished before a beam search ends (Kasai et al., 2022).
    pub patience: f32,
    /// Scores are divided by ((5 + length) / 6) to the power of this, or by the length where there is none.
    pub length_penalty: Option<f32>,
    /// Ids to add at most.
    pub max_tokens: usize,
}

/// What stands before the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Beginning {
    /// All ids.
    pub ids: Vec<u32>,
    /// The place of the one that begins the transcript, after which it shows whether anyone speaks.
    pub start: usize,
}

impl Beginning {
    /// What was said before, cut to half of the positions that the net has, then the ids that begin a transcript.
    pub fn new(vocabulary: &Vocabulary, positions: usize, earlier: &[u32], begin: &[u32]) -> Self {
        let mut ids = Vec::new();
        if let (Some(previous), false) = (vocabulary.previous, earlier.is_empty()) {
            let most = (positions / 2).saturating_sub(1);
            ids.push(previous);
            ids.extend(&earlier[earlier.len().saturating_sub(most)..]);
        }
        let start = ids.len();
        ids.extend(begin);
        Self { ids, start }
    }
}

/// A window's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Its ids, times included, without the one that ends it.
    pub ids: Vec<u32>,
    /// Those of them that are text.
    pub text_ids: Vec<u32>,
    /// The words.
    pub text: String,
    /// The sum of the ids' log-probabilities, over their number and the end.
    pub average: f64,
    /// The probability that nobody speaks; NaN where the model does not say.
    pub no_speech: f64,
    /// At which it was decoded.
    pub temperature: f64,
    /// Bytes of the text by bytes of it compressed: high where it repeats itself.
    pub compression: f64,
}

/// A text on its way.
#[derive(Debug, Clone, Default)]
struct Row {
    ids: Vec<u32>,
    sum: f32,
    ended: bool,
}

/// A beam search on its way.
#[derive(Debug, Clone, Default)]
struct Beam {
    running: Vec<Row>,
    finished: Vec<Row>,
}

/// Decodes the windows of `source`, all of which begin alike. Draws for each come from a generator of its own.
///
/// # Errors
/// Logits that are not finite, and rules that allow nothing.
pub fn decode(
    model: &Model,
    source: &Source,
    beginning: &Beginning,
    (search, rules): (&Search, &Rules),
    generators: &mut [&mut Generator],
) -> Result<Vec<Decoded>> {
    // the last position takes an id and says one more
    let room = (model.config.max_target_positions + 1).saturating_sub(beginning.ids.len()).max(1);
    let windows = generators.len();
    let cache = model.net.start(source)?;
    let mut steps = Steps { model, cache, rules, room: room.min(search.max_tokens) };
    let (head, tail) = beginning.ids.split_at(beginning.start + 1);
    let mut logits = steps.logits(&head.repeat(windows), windows)?;
    let no_speech =
        |logits: &Vec<f32>| model.vocabulary.no_speech.map_or(f64::NAN, |id| probability(logits, id));
    let no_speech: Vec<f64> = logits.iter().map(no_speech).collect();
    if !tail.is_empty() {
        logits = steps.logits(&tail.repeat(windows), windows)?;
    }
    let texts = match (search.temperature == 0., search.beam) {
        (true, 2..) => steps.beam(logits, search)?,
        (true, _) => steps.draw(logits, search, 1, generators)?,
        (false, _) => steps.draw(logits, search, search.best_of.max(1), generators)?,
    };
    let best = |(rows, no_speech)| best(rows, &model.vocabulary, search, no_speech);
    Ok(texts.into_iter().zip(no_speech).map(best).collect())
}

/// A text that goes on, with the place of the row that it follows.
type Child = (usize, Row);

struct Steps<'a> {
    model: &'a Model,
    cache: Cache,
    rules: &'a Rules,
    /// Ids to add at most.
    room: usize,
}

impl Steps<'_> {
    /// The logits after each of some rows of as many ids.
    fn logits(&mut self, ids: &[u32], rows: usize) -> Result<Vec<Vec<f32>>> {
        let ids = Tensor::from_vec(ids.to_vec(), (rows, ids.len() / rows), &self.model.device)?;
        Ok(self.model.net.forward_last(&ids, &mut self.cache)?.to_vec2::<f32>()?)
    }

    /// The likeliest ids, or as many texts a window as asked by drawing. A text that has ended stays as it is, and a
    /// window whose texts all have leaves the batch.
    fn draw(
        &mut self,
        first: Vec<Vec<f32>>,
        search: &Search,
        count: usize,
        generators: &mut [&mut Generator],
    ) -> Result<Vec<Vec<Row>>> {
        let mut texts = vec![vec![Row::default(); count]; first.len()];
        let mut open: Vec<usize> = (0..first.len()).collect();
        self.cache.reorder(&rows_of(&open, count))?;
        let mut logits: Vec<Vec<f32>> = first.into_iter().flat_map(|logits| vec![logits; count]).collect();
        for added in 1.. {
            for (window, logits) in open.iter().zip(logits.chunks_mut(count)) {
                for (row, logits) in texts[*window].iter_mut().zip(logits) {
                    self.rules.apply(&row.ids, logits);
                    let id = choose(logits, search.temperature, generators[*window])?;
                    if !row.ended {
                        row.sum += log_probability(logits, id)?;
                        row.ids.push(id);
                        row.ended = id == self.rules.end;
                    }
                }
            }
            let goes_on = |place: &usize| texts[open[*place]].iter().any(|row| !row.ended);
            let stay: Vec<usize> = (0..open.len()).filter(goes_on).collect();
            if added == self.room || stay.is_empty() {
                break;
            }
            if stay.len() < open.len() {
                let rows = stay.iter().flat_map(|place| place * count..(place + 1) * count);
                self.cache.reorder(&rows.collect::<Vec<_>>())?;
                open = stay.into_iter().map(|place| open[place]).collect();
            }
            let last = |row: &Row| row.ids[row.ids.len() - 1];
            let lasts: Vec<u32> = open.iter().flat_map(|window| texts[*window].iter().map(last)).collect();
            logits = self.logits(&lasts, lasts.len())?;
        }
        texts.iter_mut().flatten().filter(|row| row.ended).for_each(|row| {
            row.ids.pop();
        });
        Ok(texts)
    }

    /// A beam search. It differs from transformers' in when it ends, and in that ended texts leave no room in the beam.
    fn beam(&mut self, first: Vec<Vec<f32>>, search: &Search) -> Result<Vec<Vec<Row>>> {
        let wanted = (search.beam as f32 * search.patience).round_ties_even().max(1.) as usize;
        let begin = Beam { running: vec![Row::default()], finished: Vec::new() };
        let mut beams = vec![begin; first.len()];
        let mut open: Vec<usize> = (0..first.len()).collect();
        let mut logits = first;
        for added in 1.. {
            let (mut parents, mut offset) = (Vec::new(), 0);
            let mut stay = Vec::new();
            for window in open {
                let beam = &mut beams[window];
                let logits = &mut logits[offset..offset + beam.running.len()];
                let (next, ended) = self.candidates(&beam.running, logits, search.beam)?;
                let room = wanted - beam.finished.len();
                beam.finished.extend(ended.into_iter().take(room));
                if !next.is_empty() && beam.finished.len() < wanted {
                    stay.push(window);
                    parents.extend(next.iter().map(|(parent, _)| offset + parent));
                }
                offset += beam.running.len();
                beam.running = next.into_iter().map(|(_, row)| row).collect();
            }
            open = stay;
            if open.is_empty() || added == self.room {
                break;
            }
            self.cache.reorder(&parents)?;
            let last = |row: &Row| row.ids[row.ids.len() - 1];
            let lasts: Vec<u32> =
                open.iter().flat_map(|window| beams[*window].running.iter().map(last)).collect();
            logits = self.logits(&lasts, lasts.len())?;
        }
        let finish = |Beam { mut running, mut finished }: Beam| {
            running.sort_by(|a, b| b.sum.total_cmp(&a.sum));
            let missing = search.beam.saturating_sub(finished.len());
            finished.extend(running.into_iter().take(missing));
            finished
        };
        Ok(beams.into_iter().map(finish).collect())
    }

    /// What goes on, with the row it follows, and what ends before the beam is full, both best first.
    fn candidates(
        &self,
        running: &[Row],
        logits: &mut [Vec<f32>],
        beam: usize,
    ) -> Result<(Vec<Child>, Vec<Row>)> {
        let mut all: Vec<(f32, usize, u32)> = Vec::new();
        for (parent, (row, logits)) in running.iter().zip(logits).enumerate() {
            self.rules.apply(&row.ids, logits);
            check(logits)?;
            log_softmax(logits);
            let best = largest(logits, beam + 1);
            all.extend(best.into_iter().map(|one| (row.sum + one.value, parent, one.index)));
        }
        all.retain(|(sum, ..)| *sum > f32::NEG_INFINITY);
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut next, mut ended) = (Vec::new(), Vec::new());
        for (sum, parent, id) in all {
            let mut ids = running[parent].ids.clone();
            if id == self.rules.end {
                ended.push(Row { ids, sum, ended: true });
                continue;
            }
            ids.push(id);
            next.push((parent, Row { ids, sum, ended: false }));
            if next.len() == beam {
                break;
            }
        }
        Ok((next, ended))
    }
}

/// Each of some windows so many times.
fn rows_of(windows: &[usize], count: usize) -> Vec<usize> {
    windows.iter().flat_map(|window| std::iter::repeat_n(*window, count)).collect()
}

fn choose(logits: &[f32], temperature: f64, generator: &mut Generator) -> Result<u32> {
    if temperature == 0. {
        return Ok(greedy(logits)?);
    }
    check(logits)?;
    let scaled: Vec<f32> = logits.iter().map(|logit| logit / temperature as f32).collect();
    let mut probabilities = Vec::new();
    softmax(&scaled, &mut probabilities);
    Ok(generator.categorical(&probabilities)? as u32)
}

/// The best of some texts by its sum and length.
fn best(rows: Vec<Row>, vocabulary: &Vocabulary, search: &Search, no_speech: f64) -> Decoded {
    let score = |row: &Row| {
        let length = row.ids.len() as f32;
        row.sum / search.length_penalty.map_or(length, |power| ((5. + length) / 6.).powf(power))
    };
    // of equal ones the first
    let row = rows.into_iter().reduce(|a, b| if score(&b) > score(&a) { b } else { a });
    let Row { ids, sum, .. } = row.unwrap_or(Row { ids: Vec::new(), sum: 0., ended: true });
    let text = vocabulary.decode(&ids).trim().to_string();
    Decoded {
        average: f64::from(sum) / (ids.len() + 1) as f64,
        no_speech,
        temperature: search.temperature,
        compression: compression(&text),
        text,
        text_ids: ids.iter().copied().filter(|id| *id < vocabulary.end).collect(),
        ids,
    }
}

/// Bytes of a text by bytes of it compressed. zlib itself, which the reference asks, is a byte or two better on short ones.
pub fn compression(text: &str) -> f64 {
    let mut buffer = vec![0; compress_bound(text.len())];
    let (compressed, _) = compress_slice(&mut buffer, text.as_bytes(), DeflateConfig::default());
    text.len() as f64 / compressed.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_compresses_well() {
        assert!(compression("She said that the train would be late again.") < 1.2);
        assert!(compression(&"again and ".repeat(30)) > 2.4);
        assert!(compression("") < 1.);
    }
}
