//! From words to what a text encoder is given: weights, and as many windows as a long prompt needs.

use anyhow::{Result, bail};
use candle_core::{D, Device, Tensor};
use models::checkpoint::{Checkpoint, Files};
use models::nets::clip::{ClipText, Config, Encoded};
use models::tokens::ClipTokens;

use crate::model::weights;

/// A text encoder with its tokenizer.
pub struct Encoder {
    tokens: ClipTokens,
    net: ClipText,
    layers: usize,
}

/// Which of an encoder's states a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// Those after the last layer, or some layers before, normalised: Stable Diffusion 1 and 2.
    Normalised,
    /// Those before the last layer, or some before that, as they are: Stable Diffusion XL.
    Penultimate,
}

/// What an encoder says of a prompt.
pub struct Said {
    /// (1, tokens, width).
    pub states: Tensor,
    /// The state at the end of the first window, projected where the encoder projects: (1, width).
    pub pooled: Tensor,
}

/// The tokens of a prompt and how much each counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    ids: Vec<u32>,
    weights: Vec<f32>,
}

/// Words that count `weight` times as much.
#[derive(Debug, Clone, PartialEq)]
struct Part<'a> {
    words: &'a str,
    weight: f32,
}

/// The largest weight, to either side.
const MOST: f32 = 10.;

/// The parts of a prompt: `(words:1.3)` counts more. Brackets without a number are words.
fn parts(prompt: &str) -> Vec<Part<'_>> {
    let mut found = vec![];
    let (mut rest, mut plain) = (prompt, prompt);
    while let Some(open) = rest.find('(') {
        let inside = &rest[open + 1..];
        let Some(close) = inside.find([')', '(']) else { break };
        let weighted = inside[..close].rsplit_once(':').and_then(|(words, number)| {
            let weight = number.trim().parse::<f32>().ok().filter(|weight| weight.abs() <= MOST)?;
            (inside.as_bytes()[close] == b')').then_some((words, weight))
        });
        let place = prompt.len() - rest.len() + open;
        match weighted {
            Some((words, weight)) => {
                let before = &plain[..place - (prompt.len() - plain.len())];
                found.push(Part { words: before, weight: 1. });
                found.push(Part { words, weight });
                rest = &inside[close + 1..];
                plain = rest;
            }
            None => rest = &rest[open + 1..],
        }
    }
    found.push(Part { words: plain, weight: 1. });
    found.retain(|part| !part.words.trim().is_empty());
    found
}

impl Encoder {
    /// Reads one from its folder and its tokenizer's.
    ///
    /// # Errors
    /// Files that are missing or damaged, and an encoder of another kind.
    pub fn open(net: &Files, tokenizer: &Files, dtype: &str, device: &Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(net.clone())?;
        let config: Config = checkpoint.config()?;
        let mut tokens = ClipTokens::open(tokenizer)?;
        tokens.length = tokens.length.min(config.max_position_embeddings);
        if tokens.tokens.len() > config.vocab_size {
            bail!(
                "{}: {} tokens, and the text encoder knows {}",
                tokenizer.describe("vocab.json"),
                tokens.tokens.len(),
                config.vocab_size
            );
        }
        let layers = config.num_hidden_layers;
        Ok(Self { net: ClipText::new(&config, weights(&checkpoint, dtype, device))?, tokens, layers })
    }

    /// A prompt's tokens, without beginning and end.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn read(&self, prompt: &str) -> Result<Weighted> {
        let mut read = Weighted { ids: vec![], weights: vec![] };
        for part in parts(prompt) {
            let ids = self.tokens.words(part.words)?;
            read.weights.resize(read.weights.len() + ids.len(), part.weight);
            read.ids.extend(ids);
        }
        Ok(read)
    }

    /// Windows that a prompt takes.
    pub fn windows(&self, prompt: &Weighted) -> usize {
        prompt.ids.len().div_ceil(self.tokens.length - 2).max(1)
    }

    /// Layers that can be skipped.
    pub fn layers(&self) -> usize {
        self.layers
    }

    /// The states of a prompt in so many windows; `skip` layers are left out at the end.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn encode(
        &self,
        prompt: &Weighted,
        windows: usize,
        states: States,
        skip: usize,
        device: &Device,
    ) -> candle_core::Result<Said> {
        let room = self.tokens.length - 2;
        let (mut all, mut pooled) = (vec![], None);
        for window in 0..windows {
            let from = (window * room).min(prompt.ids.len());
            let to = (from + room).min(prompt.ids.len());
            let ids = self.tokens.framed(&prompt.ids[from..to]);
            let ids = Tensor::from_vec(ids, (1, self.tokens.length), device)?;
            let encoded = self.net.forward(&ids)?;
            let mut said = self.states(&encoded, states, skip)?;
            if prompt.weights[from..to].iter().any(|weight| *weight != 1.) {
                said = weighted(&said, &prompt.weights[from..to])?;
            }
            all.push(said);
            pooled
                .get_or_insert_with(|| encoded.text_embeds.clone().unwrap_or_else(|| encoded.pooled.clone()));
        }
        let Some(pooled) = pooled else { candle_core::bail!("a prompt of no windows") };
        Ok(Said { states: Tensor::cat(&all, 1)?, pooled })
    }

    fn states(&self, encoded: &Encoded, states: States, skip: usize) -> candle_core::Result<Tensor> {
        let hidden = |back: usize| &encoded.hidden_states[encoded.hidden_states.len() - 1 - back];
        match (states, skip) {
            (States::Normalised, 0) => Ok(encoded.last_hidden_state.clone()),
            (States::Normalised, skip) => self.net.normalise(hidden(skip)),
            (States::Penultimate, skip) => Ok(hidden(1 + skip).clone()),
        }
    }
}

/// States (1, tokens, width) times the weights of the tokens between beginning and end; their mean stays as it was, as in
/// AUTOMATIC1111's web UI.
fn weighted(states: &Tensor, weights: &[f32]) -> candle_core::Result<Tensor> {
    let mut all = vec![1.];
    all.extend(weights);
    all.resize(states.dim(1)?, 1.);
    let column = Tensor::from_vec(all, (1, states.dim(1)?, 1), states.device())?;
    let scaled = states.broadcast_mul(&column)?;
    let mean = |xs: &Tensor| xs.flatten_all()?.mean_keepdim(D::Minus1)?.reshape((1, 1, 1));
    scaled.broadcast_mul(&(mean(states)? / mean(&scaled)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(prompt: &str) -> Vec<(&str, f32)> {
        parts(prompt).into_iter().map(|part| (part.words, part.weight)).collect()
    }

    #[test]
    fn weights_are_told_from_words_in_brackets() {
        assert_eq!(read("a (red:1.3) cat"), [("a ", 1.), ("red", 1.3), (" cat", 1.)]);
        assert_eq!(read("(sky: 0.5), (sea:-1)"), [("sky", 0.5), (", ", 1.), ("sea", -1.)]);
        for plain in ["a cat (sleeping)", "a (b:c) d", ":-) (", "(x:99)", "((a) b", "a:1.3", "(:1"] {
            assert_eq!(read(plain), [(plain, 1.)], "{plain}");
        }
        assert_eq!(read("x ((y:2) z"), [("x (", 1.), ("y", 2.), (" z", 1.)]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn weights_scale_tokens_and_keep_the_mean() {
        let states = Tensor::new(&[[[1f32, 2.], [3., 4.], [5., 6.], [7., 8.]]], &Device::Cpu).unwrap();
        let ys = weighted(&states, &[2., 1.]).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // sums 36 before and 43 after
        let expected = [1., 2., 6., 8., 5., 6., 7., 8.].map(|x: f32| x * 36. / 43.);
        assert!(ys.iter().zip(expected).all(|(y, x)| (y - x).abs() < 1e-5), "{ys:?}");
    }
}
