//! A model's files -> what listens.

use anyhow::{Result, bail};
use candle_core::Device;
use hub::Location;
use models::checkpoint::Checkpoint;
use models::nets::whisper::{Config, Whisper};
use models::vars::formats;

use crate::vocabulary::{Generation, Vocabulary};

/// A net with its vocabulary and whatever else its files say.
pub struct Model {
    /// The net.
    pub net: Whisper,
    /// Its sizes.
    pub config: Config,
    /// What its ids mean.
    pub vocabulary: Vocabulary,
    /// The decoder's heads, as (layer, head), that look where a word is.
    pub heads: Vec<(usize, usize)>,
    /// Whether windows begin with speech and end at pauses where nobody says otherwise.
    pub cuts_at_pauses: bool,
    /// Whether the net was taught what to make of what was said before a window.
    pub knows_context: bool,
    /// Where it computes.
    pub device: Device,
}

impl Model {
    /// Loads a model. `device` and `dtype` are the words after `--device` and `--dtype`.
    ///
    /// # Errors
    /// One line on files that are missing, damaged or of another kind, and on a device that is not there.
    pub fn load(location: &Location, device: &str, dtype: &str) -> Result<Self> {
        let device = models::device::open(device)?;
        let files = studio::model::files(location, "config.json and tokenizer.json")?;
        let config: Config = files.json("config.json")?;
        config.validate()?;
        let name = "generation_config.json";
        let generation = if files.has(name) { files.json(name)? } else { Generation::default() };
        let vocabulary = Vocabulary::open(&files, &generation, config.vocab_size)?;
        let heads = heads(&generation, &config)?;
        let cuts_at_pauses = generation.cut_at_pauses == Some(true);
        let knows_context = generation.condition_on_prev_tokens != Some(false);
        let checkpoint = Checkpoint::open(files)?;
        let (dtype, format) = formats(dtype, checkpoint.dtype(), &device);
        let net = Whisper::new(&config, checkpoint.vb(dtype, &device).with_format(format))?;
        Ok(Self { net, config, vocabulary, heads, cuts_at_pauses, knows_context, device })
    }

    /// Frames of 10 ms in a window: 3000, but for nets that were made for shorter ones.
    pub fn frames(&self) -> usize {
        2 * self.config.max_source_positions
    }
}

/// The heads that a model names, or as openai/whisper has it, all of the later half of the layers.
fn heads(generation: &Generation, config: &Config) -> Result<Vec<(usize, usize)>> {
    let (layers, heads) = (config.decoder_layers, config.decoder_attention_heads);
    let Some(named) = &generation.alignment_heads else {
        return Ok((layers / 2..layers)
            .flat_map(|layer| (0..heads).map(move |head| (layer, head)))
            .collect());
    };
    match named.iter().find(|(layer, head)| *layer >= layers || *head >= heads) {
        Some((layer, head)) => bail!(
            "generation_config.json: alignment_heads has head {head} of layer {layer}, and the net has {heads} in each of {layers}"
        ),
        None if named.is_empty() => bail!("generation_config.json: alignment_heads is empty"),
        None => Ok(named.clone()),
    }
}
