//! Source ids -> target ids: the net's part of a search, and drawing.

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use models::decoding::{Hypothesis, Marks, Sampler, Sampling, SearchOptions, log_probability, search};

use crate::model::{Direction, Model, Net};
use crate::request::Request;

impl Model {
    /// The hypotheses of each source, best first; ids as they were added, the first and the end included.
    ///
    /// # Errors
    /// What the net refuses, and logits that are not finite.
    pub fn search(
        &self,
        sources: &[Vec<u32>],
        direction: &Direction,
        request: &Request,
    ) -> Result<Vec<Vec<Hypothesis>>> {
        let marks = self.marks(direction, request)?;
        let Some(longest) = sources.iter().map(Vec::len).max() else { return Ok(Vec::new()) };
        let pad = self.defaults.pad_token_id.unwrap_or(0);
        let padded = |fill: &dyn Fn(&[u32], usize) -> u32| {
            let rows = sources.iter().flat_map(|ids| (0..longest).map(|at| fill(ids, at)));
            Tensor::from_vec(rows.collect::<Vec<_>>(), (sources.len(), longest), &self.device)
        };
        let ids = padded(&|ids, at| ids.get(at).copied().unwrap_or(pad))?;
        let mask = padded(&|ids, at| u32::from(at < ids.len()))?;
        let count = sources.len();
        match &self.net {
            Net::Seq2Seq(net) => {
                let mut cache = net.start(&net.encode(&ids, Some(&mask))?)?;
                self.hypotheses(count, &marks, request, &mut |parents, ids| {
                    cache.reorder(parents)?;
                    net.forward_last(ids, &mut cache)
                })
            }
            Net::T5(net) => {
                let mut cache = net.start(&net.encode(&ids, Some(&mask))?)?;
                self.hypotheses(count, &marks, request, &mut |parents, ids| {
                    cache.reorder(parents)?;
                    net.forward_last(ids, &mut cache)
                })
            }
        }
    }

    fn hypotheses(
        &self,
        count: usize,
        marks: &Marks,
        request: &Request,
        next: &mut Next<'_>,
    ) -> Result<Vec<Vec<Hypothesis>>> {
        let options = SearchOptions {
            beams: request.beams,
            max_tokens: request.max_tokens.min(self.positions),
            length_penalty: request.length_penalty,
            early_stopping: request.early_stopping,
            no_repeat: request.no_repeat,
        };
        match &request.sampling {
            None => Ok(search(count, marks, &options, &self.device, next)?),
            Some(sampling) => draw(count, marks, &options, sampling, &self.device, next),
        }
    }

    /// What ids mean to the decoder.
    fn marks(&self, direction: &Direction, request: &Request) -> Result<Marks> {
        let ends = self.defaults.ends();
        let ends = if ends.is_empty() { vec![self.tokens.end()] } else { ends };
        let Some(start) = self.defaults.decoder_start_token_id else {
            bail!("config.json: decoder_start_token_id is missing, so no translation can begin");
        };
        let banned = self.defaults.bad_words_ids.iter().flatten().flatten().copied().collect();
        Ok(Marks {
            start,
            first: self.first(direction),
            ends,
            last: self.defaults.forced_eos_token_id.filter(|_| request.sampling.is_none()),
            banned,
            renormalises: self.defaults.renormalize_logits.unwrap_or(false),
        })
    }

    /// What every translation is made to begin with.
    pub(crate) fn first(&self, direction: &Direction) -> Option<u32> {
        let asked = self.told(direction)[1].and_then(|to| self.tokens.forced_first(to).ok().flatten());
        asked.or(self.defaults.forced_bos_token_id)
    }

    /// The ids of a translation without what begins and ends every one.
    pub fn said(&self, ids: &[u32], direction: &Direction) -> Vec<u32> {
        let first = self.first(direction);
        let ids = match ids {
            [one, rest @ ..] if Some(*one) == first => rest,
            ids => ids,
        };
        let ends = self.defaults.ends();
        let is_end = |id: &u32| *id == self.tokens.end() || ends.contains(id);
        let length = ids.iter().rposition(|id| !is_end(id)).map_or(0, |last| last + 1);
        ids[..length].to_vec()
    }
}

/// A step of the net: which rows go on, and with which ids; the logits after them.
type Next<'a> = dyn FnMut(&[usize], &Tensor) -> candle_core::Result<Tensor> + 'a;

/// One continuation of each input, drawn; each input draws from a stream of its own, so that a batch is as its members
/// alone.
fn draw(
    count: usize,
    marks: &Marks,
    options: &SearchOptions,
    sampling: &Sampling,
    device: &Device,
    next: &mut Next<'_>,
) -> Result<Vec<Vec<Hypothesis>>> {
    struct Row {
        place: usize,
        ids: Vec<u32>,
        sum: f32,
        sampler: Sampler,
    }
    let mut rows: Vec<Row> = (0..count)
        .map(|place| {
            let ids = marks.first.into_iter().collect();
            Ok(Row { place, ids, sum: 0., sampler: Sampler::new(sampling)? })
        })
        .collect::<Result<_>>()?;
    let begun: Vec<u32> = std::iter::once(marks.start).chain(marks.first).collect();
    let mut ids: Vec<u32> = (0..count).flat_map(|_| begun.clone()).collect();
    let mut parents: Vec<usize> = (0..count).collect();
    let mut found = vec![Vec::new(); count];
    while !rows.is_empty() {
        let given = Tensor::from_vec(std::mem::take(&mut ids), (rows.len(), ()), device)?;
        let logits = next(&parents, &given)?.to_vec2::<f32>()?;
        parents.clear();
        let mut left = Vec::new();
        for (at, (mut row, mut logits)) in rows.into_iter().zip(logits).enumerate() {
            for id in &marks.banned {
                if let Some(logit) = logits.get_mut(*id as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
            let plain = logits.clone();
            let id = row.sampler.sample(&row.ids, &mut logits)?;
            row.sum += log_probability(&plain, id)?;
            row.ids.push(id);
            if marks.ends.contains(&id) || row.ids.len() >= options.max_tokens {
                let score = row.sum / (row.ids.len() as f32).powf(options.length_penalty);
                found[row.place] = vec![Hypothesis { ids: row.ids, score }];
            } else {
                parents.push(at);
                ids.push(id);
                left.push(row);
            }
        }
        rows = left;
    }
    Ok(found)
}
