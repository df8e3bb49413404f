//! Learning from a user's text: a tokenizer of its own (or the base's), and a net.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use models::checkpoint::{Checkpoint, Files, save};
use models::layers::dropout::Dropout;
use models::layers::init;
use models::layers::loss::cross_entropy;
use models::nets::llama::{Config, Llama, OneOrMany};
use models::tokens::{LearnedTokens, Tokens};
use training::{Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::corpus::Corpus;

/// Size of a new net and of what it is shown at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Tokens that the net sees at once.
    pub context: usize,
}

impl Shape {
    /// The net's configuration, as it will stand in `config.json`.
    pub fn config(&self, learned: &LearnedTokens) -> Config {
        Config {
            vocab_size: learned.tokens.len(),
            hidden_size: self.width,
            // 8/3 of the width, as SwiGLU has three matrices, on a multiple of 32
            intermediate_size: (self.width * 8 / 3).next_multiple_of(32),
            num_hidden_layers: self.layers,
            num_attention_heads: (self.width / 64).max(1),
            num_key_value_heads: Some((self.width / 64).max(1)),
            max_position_embeddings: self.context,
            tie_word_embeddings: true,
            bos_token_id: Some(learned.first),
            eos_token_id: Some(OneOrMany::One(learned.last)),
            ..Config::default()
        }
    }
}

/// What a training is asked to do, beside how long (`options`).
#[derive(Debug, Clone)]
pub struct Plan {
    /// The net; that of the base where there is one.
    pub config: Config,
    /// Windows in a micro-batch.
    pub batch: usize,
    /// Share of activations that are dropped.
    pub dropout: f32,
    /// What the weights to start from hash to, where there are any.
    pub base: Option<String>,
    /// Length, rate and the like.
    pub options: Options,
}

/// Texts as one row of ids, and where paragraphs begin in it.
#[derive(Debug, Clone, Default)]
pub struct Row {
    ids: Vec<u32>,
    paragraphs: Vec<u32>,
}

impl Row {
    /// Every text begins with `first` and ends with `last`, where there are such.
    ///
    /// # Errors
    /// Text that the tokenizer has no ids for.
    pub fn new(texts: &[String], tokens: &Tokens, first: Option<u32>, last: Option<u32>) -> Result<Self> {
        let mut row = Self::default();
        for text in texts {
            row.ids.extend(first);
            for paragraph in text.split_inclusive("\n\n") {
                row.paragraphs.push(row.ids.len() as u32);
                row.ids.extend(tokens.encode(paragraph, false)?);
            }
            row.ids.extend(last);
        }
        Ok(row)
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// What is learned: texts as ids.
pub struct Data {
    /// To learn from.
    pub train: Row,
    /// To measure on.
    pub held_out: Row,
    /// The token that stands before a text.
    pub first: Option<u32>,
}

impl Data {
    /// The texts of a corpus by a tokenizer.
    ///
    /// # Errors
    /// Text that the tokenizer has no ids for, and too little of it for one window.
    pub fn new(corpus: &Corpus, tokens: &Tokens, config: &Config) -> Result<Self> {
        let first = config.bos_token_id;
        let last = config.eos_token_id.as_ref().and_then(|ids| ids.ids().first().copied());
        let train = Row::new(&corpus.train, tokens, first, last)?;
        let (found, needed) = (train.len(), config.max_position_embeddings + 2);
        if found < needed {
            bail!("{found} tokens are too few to learn from: a net of this context needs at least {needed}");
        }
        Ok(Self { train, held_out: Row::new(&corpus.held_out, tokens, first, last)?, first })
    }
}

/// Fits a net to texts, going on from the checkpoint in `folder` where there is one. `base` is the folder of the weights
/// to start from.
///
/// # Errors
/// What `training::fit` refuses, and shapes that do not fit the base.
pub fn train(
    data: &Data,
    plan: &Plan,
    base: Option<&Files>,
    folder: &Path,
    device: &Device,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    let (net, vars) = match base {
        Some(files) => {
            let (vars, checkpoint) = (VarMap::new(), Checkpoint::open(files.clone())?);
            let vb = init::trainable(&vars, checkpoint.vb(DType::F32, device));
            (Llama::new(&plan.config, vb)?, vars)
        }
        None => Llama::init(&plan.config, plan.options.seed, device)?,
    };
    let vars = init::sorted(&vars);
    let mut task = Text { net: &net, data, plan, device };
    Ok(fit(&vars, &plan.options, Some(folder), &mut task, on_step)?)
}

struct Text<'a> {
    net: &'a Llama,
    data: &'a Data,
    plan: &'a Plan,
    device: &'a Device,
}

/// Windows of held-out text that a look at the loss takes.
const HELD_OUT_WINDOWS: usize = 48;

impl Text<'_> {
    /// A window from anywhere, or from the beginning of a paragraph as if a text began there: a net that is asked to go on
    /// from a few words sees them so.
    fn draw(&self, rng: &mut Rng) -> Vec<u32> {
        let (row, size) = (&self.data.train, self.plan.config.max_position_embeddings + 1);
        let latest = row.len() - size;
        match self.data.first.filter(|_| rng.uniform() < 0.5) {
            Some(first) => {
                let place = row.paragraphs[rng.below(row.paragraphs.len())] as usize;
                let place = place.min(latest + 1);
                let mut window = vec![first];
                window.extend(&row.ids[place..place + size - 1]);
                window
            }
            None => {
                let place = rng.below(latest + 1);
                row.ids[place..place + size].to_vec()
            }
        }
    }

    fn batch_loss(&self, windows: &[Vec<u32>], dropout: &Dropout) -> candle_core::Result<Tensor> {
        let time = windows[0].len() - 1;
        let part = |from: usize| -> candle_core::Result<Tensor> {
            let ids: Vec<u32> =
                windows.iter().flat_map(|window| &window[from..from + time]).copied().collect();
            Tensor::from_vec(ids, (windows.len(), time), self.device)
        };
        cross_entropy(&self.net.forward_train(&part(0)?, dropout)?, &part(1)?)
    }
}

impl Task for Text<'_> {
    fn fingerprint(&self) -> String {
        let hash = training::hash(self.data.train.ids.iter().copied());
        let cfg = &self.plan.config;
        let (layers, width, context) = (cfg.num_hidden_layers, cfg.hidden_size, cfg.max_position_embeddings);
        let base = self.plan.base.as_deref().map_or(String::new(), |base| format!(", from {base:.12}"));
        format!(
            "{} tokens {hash:016x} of {}, {layers} layers of {width}, context {context}, batch {}, dropout {}{base}",
            self.data.train.len(),
            cfg.vocab_size,
            self.plan.batch,
            self.plan.dropout
        )
    }

    fn loss(&self, rng: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss> {
        let windows: Vec<Vec<u32>> = (0..self.plan.batch).map(|_| self.draw(rng)).collect();
        let items = windows.iter().map(|window| window.len() - 1).sum();
        let pass = step * self.plan.options.micro_batches as u64 + micro as u64;
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.options.seed, step: pass };
        Ok(Loss { value: self.batch_loss(&windows, &dropout)?, items })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let (row, size) = (&self.data.held_out, self.plan.config.max_position_embeddings + 1);
        if row.len() < size {
            return Ok(None);
        }
        let count = (row.len() / size).clamp(1, HELD_OUT_WINDOWS);
        let place = |i: usize| (row.len() - size) * i / (count - 1).max(1);
        let windows: Vec<Vec<u32>> =
            (0..count).map(|i| row.ids[place(i)..place(i) + size].to_vec()).collect();
        let mut sum = 0.;
        for chunk in windows.chunks(self.plan.batch) {
            let loss = self.batch_loss(chunk, &Dropout::NONE)?.detach().to_scalar::<f32>()?;
            sum += loss as f64 * chunk.len() as f64;
        }
        Ok(Some(sum / count as f64))
    }
}

/// Writes what a training gave as a folder that the hub's other programs read too; weights in f16.
///
/// # Errors
/// A disk that cannot be written, weights beyond f16.
pub fn write(folder: &Path, plan: &Plan, fitted: &Fitted, tokenizer: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, bytes) in tokenizer {
        batch::write_bytes(&folder.join(name), bytes, true)?;
    }
    let (first, last) = (&plan.config.bos_token_id, &plan.config.eos_token_id);
    let generation = serde_json::json!({
        "bos_token_id": first, "eos_token_id": last, "do_sample": true, "temperature": 0.8, "top_p": 0.95,
    });
    batch::write_bytes(&folder.join("generation_config.json"), format!("{generation:#}\n").as_bytes(), true)?;
    let tensors: Vec<(String, Tensor)> =
        fitted.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(save(folder, &plan.config, &tensors, DType::F16)?)
}

/// The files of a tokenizer that a model's folder holds, to travel with what is learned from it.
///
/// # Errors
/// A file that cannot be read.
pub fn tokenizer_files(files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    const NAMES: [&str; 7] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "vocab.json",
        "merges.txt",
        "special_tokens_map.json",
        "chat_template.jinja",
    ];
    let there = NAMES.into_iter().filter(|name| files.has(name));
    there.map(|name| Ok((name.to_string(), files.read(name, 256 << 20)?))).collect()
}

/// A tokenizer learned from texts: as many tokens as asked, or fewer where there is little text.
///
/// # Errors
/// A size that has no room for every byte.
pub fn learn_tokens(corpus: &Corpus, count: usize) -> Result<LearnedTokens> {
    let texts: Vec<&str> = corpus.train.iter().map(String::as_str).collect();
    LearnedTokens::new(&texts, count).map_err(|why| anyhow!("{why}")).context("the tokenizer")
}
