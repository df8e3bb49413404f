//! Ids -> more of them, as text while they come.

use std::time::Instant;

use anyhow::Result;
use candle_core::Tensor;
use models::decoding::{
    Beam, BeamOptions, FrequencyPenalty, LogitFilter, Sampler, Sampling, TokenLogProb, top_log_probs,
};
use models::nets::llama::Cache;
use models::tokens::Stream;
use serde::Serialize;

use crate::Model;
use crate::stop::Stops;

/// How an answer is made.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Taken off a token's logit for each time that it was added already.
    pub frequency_penalty: f32,
    /// Taken off once for a token that was.
    pub presence_penalty: f32,
    /// Tokens to add at most.
    pub max_tokens: usize,
    /// Texts that end the answer.
    pub stops: Vec<String>,
    /// Tokens that end it, beside the model's own.
    pub stop_ids: Vec<u32>,
    /// How many of the most likely tokens to tell at each step.
    pub logprobs: usize,
    /// Hypotheses of a beam search; 1 draws.
    pub beams: usize,
    /// What scores of hypotheses are divided by: their length to the power of this.
    pub length_penalty: f32,
    /// Whether a beam search stops at the first hypotheses that are whole.
    pub early_stopping: bool,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The ids that were added, an end included.
    pub ids: Vec<u32>,
    /// Their text, up to the stop.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// The most likely tokens at each step.
    pub logprobs: Vec<Vec<TokenLogProb>>,
    /// The score of the best hypothesis, of a beam search.
    pub score: Option<f32>,
    /// Seconds until the prompt was read.
    pub prompt_seconds: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it, or a stop came.
    Stop,
    /// No more tokens were allowed, or could be seen.
    Length,
    /// Whoever asked for it did not want more.
    Interrupted,
}

/// What the net has seen, so that a conversation that goes on is not read again from its beginning.
pub struct Session {
    cache: Cache,
    ids: Vec<u32>,
}

impl Session {
    /// Nothing yet.
    pub fn new(model: &Model) -> Self {
        Self { cache: Cache::new(&model.config), ids: Vec::new() }
    }
}

/// Positions of a prompt that the net reads at a time.
const READ: usize = 512;

impl Model {
    /// Goes on from `prompt`. `on_text` is given the answer as it comes, and says whether it wants more.
    ///
    /// # Errors
    /// Options that exclude each other, filters that leave no token, a net that computes no numbers.
    pub fn generate(
        &self,
        prompt: &[u32],
        request: &Request,
        filters: Vec<Box<dyn LogitFilter + Send>>,
        session: &mut Session,
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Answer> {
        let began = Instant::now();
        let most = request.max_tokens.min(self.context() - prompt.len().min(self.context()));
        if request.beams > 1 {
            return self.beam(prompt, request, most, filters, on_text);
        }
        let mut sampler = Sampler::new(&request.sampling)?;
        if request.frequency_penalty != 0. || request.presence_penalty != 0. {
            let (frequency, presence) = (request.frequency_penalty, request.presence_penalty);
            sampler.filters.push(Box::new(FrequencyPenalty {
                frequency,
                presence,
                prompt_len: prompt.len(),
            }));
        }
        sampler.filters.extend(filters);
        let mut logits = self.read(prompt, session)?;
        let prompt_seconds = began.elapsed().as_secs_f64();
        let ends = [&self.defaults.ends()[..], &request.stop_ids].concat();
        let (mut stream, mut stops) = (Stream::new(&self.tokens, prompt), Stops::new(&request.stops));
        let mut answer = Answer {
            ids: Vec::new(),
            text: String::new(),
            finish: Finish::Length,
            logprobs: Vec::new(),
            score: None,
            prompt_seconds,
            seconds: 0.,
        };
        let mut tokens = prompt.to_vec();
        while answer.ids.len() < most {
            if request.logprobs > 0 {
                answer.logprobs.push(top_log_probs(&logits, request.logprobs)?);
            }
            let id = sampler.sample(&tokens, &mut logits)?;
            answer.ids.push(id);
            tokens.push(id);
            if ends.contains(&id) {
                answer.finish = Finish::Stop;
                break;
            }
            let (text, stopped) = stops.push(&stream.push(id)?);
            answer.text += &text;
            if !text.is_empty() && !on_text(&text) {
                answer.finish = Finish::Interrupted;
                break;
            }
            if stopped {
                answer.finish = Finish::Stop;
                break;
            }
            if answer.ids.len() < most {
                logits = self.step(id, session)?;
            }
        }
        if answer.finish != Finish::Interrupted {
            let (text, stopped) = stops.push(&stream.finish()?);
            let text = if stopped { text } else { text + &stops.finish() };
            answer.text += &text;
            on_text(&text);
        }
        answer.seconds = began.elapsed().as_secs_f64();
        Ok(answer)
    }

    /// The logits after a prompt, of which what the session has seen already is not read again.
    fn read(&self, prompt: &[u32], session: &mut Session) -> Result<Vec<f32>> {
        let same = session.ids.iter().zip(prompt).take_while(|(old, new)| old == new).count();
        // the last one is always read, since its logits are wanted
        let mut same = same.min(prompt.len().saturating_sub(1));
        if self.net.turns_after().is_some_and(|turn| same <= turn && prompt.len() > turn) {
            same = 0;
        }
        session.cache.truncate(same);
        session.ids.truncate(same);
        let mut logits = Vec::new();
        let at_once = if self.net.reads_at_once() { prompt.len() } else { READ };
        for part in prompt[same..].chunks(at_once) {
            let ids = Tensor::new(part, &self.device)?.unsqueeze(0)?;
            logits = self.net.forward_last(&ids, &mut session.cache)?.flatten_all()?.to_vec1()?;
            session.ids.extend(part);
        }
        Ok(logits)
    }

    fn step(&self, id: u32, session: &mut Session) -> Result<Vec<f32>> {
        if self.net.turns_after() == Some(session.ids.len()) {
            let all = [&session.ids[..], &[id]].concat();
            *session = Session::new(self);
            return self.read(&all, session);
        }
        let ids = Tensor::new(&[[id]], &self.device)?;
        session.ids.push(id);
        Ok(self.net.forward_last(&ids, &mut session.cache)?.flatten_all()?.to_vec1()?)
    }

    fn beam(
        &self,
        prompt: &[u32],
        request: &Request,
        max_tokens: usize,
        mut filters: Vec<Box<dyn LogitFilter + Send>>,
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Answer> {
        let began = Instant::now();
        let mut session = Session::new(self);
        let logits = self.read(prompt, &mut session)?;
        let prompt_seconds = began.elapsed().as_secs_f64();
        let eos = [&self.defaults.ends()[..], &request.stop_ids].concat();
        let options = BeamOptions {
            beams: request.beams,
            max_tokens,
            length_penalty: request.length_penalty,
            early_stopping: request.early_stopping,
            eos: eos.clone(),
        };
        let mut beam = Beam::new(prompt, options);
        let (mut rows, mut cache) = (vec![logits], session.cache);
        loop {
            let shown: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let Some(step) = beam.advance(&shown, &mut filters)? else { break };
            cache.select(&step.parents)?;
            let mut ids = Tensor::from_vec(step.tokens, (step.parents.len(), 1), &self.device)?;
            if self.net.turns_after() == Some(cache.len()) {
                cache = Cache::new(&self.config);
                let row = |row: &[u32]| Tensor::new([prompt, row].concat(), &self.device)?.unsqueeze(0);
                ids = Tensor::cat(&beam.rows().map(row).collect::<candle_core::Result<Vec<_>>>()?, 0)?;
            }
            rows = self.net.forward_last(&ids, &mut cache)?.to_vec2()?;
        }
        let found = beam.finish();
        let Some(best) = found.first() else { anyhow::bail!("the beam search found nothing") };
        let ended = best.ids.last().is_some_and(|id| eos.contains(id));
        let words = &best.ids[..best.ids.len() - ended as usize];
        let (mut stream, mut stops) = (Stream::new(&self.tokens, prompt), Stops::new(&request.stops));
        let (mut text, mut stopped) = (String::new(), false);
        for id in words {
            let (more, over) = stops.push(&stream.push(*id)?);
            text += &more;
            stopped = over;
            if over {
                break;
            }
        }
        if !stopped {
            text += &stops.push(&stream.finish()?).0;
            text += &stops.finish();
        }
        on_text(&text);
        Ok(Answer {
            ids: best.ids.clone(),
            text,
            finish: if ended || stopped { Finish::Stop } else { Finish::Length },
            logprobs: Vec::new(),
            score: Some(best.score),
            prompt_seconds,
            seconds: began.elapsed().as_secs_f64(),
        })
    }
}
