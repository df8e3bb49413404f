//! What a model asks for where the user does not: `generation_config.json`.

use models::checkpoint::Files;
use models::nets::llama::{Config, OneOrMany};
use serde::Deserialize;

/// The fields of `generation_config.json` that count here, under their names there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Defaults {
    /// Whether tokens are drawn; else the most likely is taken.
    pub do_sample: Option<bool>,
    /// See [`models::decoding::Sampling`], as for the next four.
    pub temperature: Option<f64>,
    /// See there.
    pub top_k: Option<usize>,
    /// See there.
    pub top_p: Option<f64>,
    /// See there.
    pub min_p: Option<f64>,
    /// See there.
    pub repetition_penalty: Option<f64>,
    /// Tokens to add at most.
    pub max_new_tokens: Option<usize>,
    /// Hypotheses of a beam search.
    pub num_beams: Option<usize>,
    /// What the scores of a beam search are divided by.
    pub length_penalty: Option<f32>,
    /// Whether a beam search stops at the first hypotheses that are whole.
    pub early_stopping: Option<bool>,
    /// The token that begins a text.
    pub bos_token_id: Option<u32>,
    /// The tokens that end one.
    pub eos_token_id: Option<OneOrMany>,
}

const FILE: &str = "generation_config.json";

impl Defaults {
    /// Those of a model's folder, with the ids of `config.json` where it has none. Where nothing is said of drawing, a
    /// model with such a file is asked for the most likely tokens, as transformers does.
    ///
    /// # Errors
    /// A file that is not as it must be.
    pub fn open(files: &Files, config: &Config) -> candle_core::Result<Self> {
        let mut defaults: Self = match files.has(FILE) {
            true => files.json(FILE)?,
            false => Self { do_sample: Some(true), ..Self::default() },
        };
        defaults.complete(config);
        Ok(defaults)
    }

    /// Those of a model that says nothing but its ids.
    pub fn of(config: &Config) -> Self {
        let mut defaults = Self { do_sample: Some(true), ..Self::default() };
        defaults.complete(config);
        defaults
    }

    fn complete(&mut self, config: &Config) {
        self.bos_token_id = self.bos_token_id.or(config.bos_token_id);
        self.eos_token_id = self.eos_token_id.take().or_else(|| config.eos_token_id.clone());
    }

    /// The tokens that end a text.
    pub fn ends(&self) -> Vec<u32> {
        self.eos_token_id.as_ref().map_or_else(Vec::new, OneOrMany::ids)
    }
}
