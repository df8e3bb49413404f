//! What a model asks for where the user does not: `generation_config.json`, or the same fields of an older `config.json`.

use anyhow::{Result, anyhow, bail};
use models::checkpoint::Files;
use serde::Deserialize;
use serde_json::Value;

/// The fields that count here, under transformers' names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Defaults {
    /// Hypotheses of a beam search.
    pub num_beams: Option<usize>,
    /// Ids of a translation at most, the first included.
    pub max_length: Option<usize>,
    /// Ids to add at most.
    pub max_new_tokens: Option<usize>,
    /// What the scores of a beam search are divided by: the length to the power of this.
    pub length_penalty: Option<f32>,
    /// Whether a search ends at the first hypotheses that are whole.
    pub early_stopping: Option<bool>,
    /// Runs of so many ids come once at most.
    pub no_repeat_ngram_size: Option<usize>,
    /// Ids, in runs, that are never said.
    pub bad_words_ids: Option<Vec<Vec<u32>>>,
    /// What a translation begins with.
    pub decoder_start_token_id: Option<u32>,
    /// What it goes on with.
    pub forced_bos_token_id: Option<u32>,
    /// What stands in the last place that there is.
    pub forced_eos_token_id: Option<u32>,
    /// What ends it.
    pub eos_token_id: Option<Ids>,
    /// What fills rows up.
    pub pad_token_id: Option<u32>,
    /// Whether probabilities add up to one again after rules took some away.
    pub renormalize_logits: Option<bool>,
}

/// One id or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Ids {
    /// One.
    One(u32),
    /// Several.
    Many(Vec<u32>),
}

const FILE: &str = "generation_config.json";

impl Defaults {
    /// Those of a model's folder. Ids that the file leaves out are those of `config.json`; where there is no file, all is.
    ///
    /// # Errors
    /// A file that is not as it must be, and runs of forbidden ids, which are not supported but for single ones.
    pub fn open(files: &Files, config: &Value) -> Result<Self> {
        let old = Self::deserialize(config).map_err(|error| anyhow!("config.json: {error}"))?;
        let mut found: Self = if files.has(FILE) { files.json(FILE)? } else { old.clone() };
        found.decoder_start_token_id = found.decoder_start_token_id.or(old.decoder_start_token_id);
        found.eos_token_id = found.eos_token_id.or(old.eos_token_id);
        found.pad_token_id = found.pad_token_id.or(old.pad_token_id);
        if found.bad_words_ids.iter().flatten().any(|run| run.len() != 1) {
            bail!("{FILE}: bad_words_ids with more than one id in a run is not supported");
        }
        if found.num_beams == Some(0) || found.num_beams.is_some_and(|beams| beams > 256) {
            bail!("{FILE}: num_beams {} is not in 1 to 256", found.num_beams.unwrap_or(0));
        }
        Ok(found)
    }

    /// The ids that end a translation.
    pub fn ends(&self) -> Vec<u32> {
        match &self.eos_token_id {
            Some(Ids::One(id)) => vec![*id],
            Some(Ids::Many(ids)) => ids.clone(),
            None => Vec::new(),
        }
    }
}
