//! Learning to translate from pairs of sentences, one way or both: a new net with a tokenizer of its own, or one that goes
//! on from another.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarMap;
use models::checkpoint::{Checkpoint, Files, save};
use models::layers::dropout::Dropout;
use models::layers::init;
use models::layers::loss::{IGNORED, cross_entropy};
use models::nets::seq2seq::{Config, Seq2Seq};
use models::tokens::learn_with_marks;
use models::tokens::translation::TranslationTokens;
use serde_json::json;
use training::{Epochs, Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::corpus::Pair;

/// What ends a sentence, as Marian has it.
const END: &str = "</s>";
/// What fills rows up and begins a translation.
pub const PAD: &str = "<pad>";
/// Ids of a sentence at most; longer ones are left out.
pub const LONGEST: usize = 128;

/// Size of a new net.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks of encoder and decoder.
    pub layers: [usize; 2],
}

impl Shape {
    /// The net's configuration for a number of ids, of which `pad` fills rows up and `end` ends a text: a Marian.
    pub fn config(&self, count: usize, (pad, end): (u32, u32)) -> Config {
        let heads = (self.width / 64).max(1);
        Config {
            vocab_size: count,
            d_model: self.width,
            encoder_layers: self.layers[0],
            decoder_layers: self.layers[1],
            encoder_attention_heads: heads,
            decoder_attention_heads: heads,
            encoder_ffn_dim: 4 * self.width,
            decoder_ffn_dim: 4 * self.width,
            // embeddings are multiplied with the root of the width: what the first block sees is of size one
            init_std: 1. / (self.width as f64).sqrt(),
            pad_token_id: pad,
            decoder_start_token_id: Some(pad),
            eos_token_id: end,
            ..Config::default()
        }
    }
}

/// What a training is asked to do, beside how long (`options`).
#[derive(Debug, Clone)]
pub struct Plan {
    /// The net; that of the base where there is one.
    pub config: Config,
    /// Of the first column and of the second, as the tokenizer calls them.
    pub languages: [String; 2],
    /// Whether the second language is translated into the first too.
    pub both_ways: bool,
    /// Ids of a micro-batch, source and target together, about.
    pub batch: usize,
    /// Share of activations that are dropped.
    pub dropout: f32,
    /// What the weights to start from hash to, where there are any.
    pub base: Option<String>,
    /// Length, rate and the like.
    pub options: Options,
}

/// The files beside config and weights that make a model of a new tokenizer: pairs of bytes learned from both languages
/// together, and a token `>>xxx<<` for each language that can be asked for.
///
/// # Errors
/// A count that has no room for every byte.
pub fn new_files(
    pairs: &[Pair],
    count: usize,
    [from, to]: [&str; 2],
    both_ways: bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let texts: Vec<&str> = pairs.iter().flat_map(|pair| [pair.from.as_str(), pair.to.as_str()]).collect();
    let mark = |language: &str| format!(">>{language}<<");
    let mut marks = vec![END.to_string(), PAD.to_string(), mark(to)];
    if both_ways {
        marks.push(mark(from));
    }
    let tokenizer = learn_with_marks(&texts, count, &marks).context("the tokenizer")?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "pad_token": PAD, "unk_token": END,
        "source_lang": from, "target_lang": to, "clean_up_tokenization_spaces": false, "model_max_length": 512,
    });
    Ok(vec![
        ("tokenizer.json".into(), tokenizer),
        ("tokenizer_config.json".into(), format!("{config:#}\n").into_bytes()),
    ])
}

/// The files of a tokenizer that a model's folder holds, to travel with what is learned from it.
///
/// # Errors
/// A file that cannot be read.
pub fn tokenizer_files(files: &Files) -> Result<Vec<(String, Vec<u8>)>> {
    const NAMES: [&str; 9] = [
        "tokenizer.json",
        "tokenizer_config.json",
        "source.spm",
        "target.spm",
        "vocab.json",
        "target_vocab.json",
        "sentencepiece.bpe.model",
        "spiece.model",
        "special_tokens_map.json",
    ];
    let there = NAMES.into_iter().filter(|name| files.has(name));
    there.map(|name| Ok((name.to_string(), files.read(name, 256 << 20)?))).collect()
}

/// A sentence and its translation as ids; both end with the end.
type Example = [Vec<u32>; 2];

/// Pairs as ids, one way or both.
pub struct Data {
    train: Vec<Example>,
    held_out: Vec<Example>,
    /// Pairs that were too long for the net.
    pub left_out: usize,
}

impl Data {
    /// The pairs by a tokenizer.
    ///
    /// # Errors
    /// Text that the tokenizer has no ids for, and if nothing is left to learn from.
    pub fn new(train: &[Pair], held_out: &[Pair], tokens: &TranslationTokens, plan: &Plan) -> Result<Self> {
        let [from, to] = &plan.languages;
        let examples = |pairs: &[Pair]| -> Result<Vec<Example>> {
            let mut examples = Vec::new();
            for pair in pairs {
                examples.push([
                    tokens.encode_source(&pair.from, Some(from), Some(to))?,
                    tokens.encode_target(&pair.to, Some(to))?,
                ]);
                if plan.both_ways {
                    examples.push([
                        tokens.encode_source(&pair.to, Some(to), Some(from))?,
                        tokens.encode_target(&pair.from, Some(from))?,
                    ]);
                }
            }
            Ok(examples)
        };
        let most = LONGEST.min(plan.config.max_position_embeddings - 1);
        let (mut train, mut held_out) = (examples(train)?, examples(held_out)?);
        let count = train.len();
        let fits = |example: &Example| example.iter().all(|ids| ids.len() <= most);
        train.retain(fits);
        held_out.retain(fits);
        if train.is_empty() {
            bail!("nothing to learn from: every sentence has more than {most} tokens");
        }
        Ok(Self { left_out: count - train.len(), train, held_out })
    }

    /// How many examples there are to learn from.
    pub fn len(&self) -> usize {
        self.train.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.train.is_empty()
    }
}

/// Fits a net to pairs, going on from the checkpoint in `folder` where there is one. `base` holds the weights to start
/// from.
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
            (Seq2Seq::new(&plan.config, vb)?, vars)
        }
        None => Seq2Seq::init(&plan.config, plan.options.seed, device)?,
    };
    let start = plan.config.decoder_start_token_id.unwrap_or(plan.config.pad_token_id);
    // which lengths stand together does not depend on the epoch, so all have as many batches
    let epochs = Epochs::new(|epoch| batches(&data.train, plan.batch, plan.options.seed, epoch));
    let mut task = Translating { net: &net, data, plan, start, device, epochs };
    Ok(fit(&init::sorted(&vars), &plan.options, Some(folder), &mut task, on_step)?)
}

/// Examples that a look at the held-out loss takes.
const HELD_OUT: usize = 512;

struct Translating<'a> {
    net: &'a Seq2Seq,
    data: &'a Data,
    plan: &'a Plan,
    start: u32,
    device: &'a Device,
    epochs: Epochs<'a>,
}

/// Places of examples in batches of about `most` ids, alike in length; the same for the same epoch.
fn batches(examples: &[Example], most: usize, seed: u64, epoch: u64) -> Vec<Vec<u32>> {
    let mut rng = Rng::new(seed ^ epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // a random number beside the lengths, so that each epoch mixes examples of one length anew
    let mut order: Vec<(usize, usize, u64, u32)> = (0u32..)
        .zip(examples)
        .map(|(place, [source, target])| (target.len(), source.len(), rng.next_u64(), place))
        .collect();
    order.sort_unstable();
    let (mut all, mut batch, mut longest) = (Vec::new(), Vec::new(), [0, 0]);
    for (target, source, _, place) in order {
        let longer = [longest[0].max(target), longest[1].max(source)];
        if !batch.is_empty() && (batch.len() + 1) * (longer[0] + longer[1]) > most {
            all.push(std::mem::take(&mut batch));
            longest = [target, source];
        } else {
            longest = longer;
        }
        batch.push(place);
    }
    all.push(batch);
    for place in (1..all.len()).rev() {
        all.swap(place, rng.below(place + 1));
    }
    all
}

impl Translating<'_> {
    /// The mean loss of an id, and how many there are.
    fn batch_loss(&self, examples: &[&Example], dropout: &Dropout) -> candle_core::Result<(Tensor, usize)> {
        let rows = |row: &dyn Fn(&Example) -> Vec<u32>, rest: u32| {
            let rows: Vec<Vec<u32>> = examples.iter().map(|example| row(example)).collect();
            let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
            let padded = rows
                .iter()
                .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(rest, longest - row.len())));
            Tensor::from_vec(padded.collect::<Vec<_>>(), (rows.len(), longest), self.device)
        };
        let source = rows(&|[source, _]| source.clone(), self.plan.config.pad_token_id)?;
        let mask = rows(&|[source, _]| vec![1; source.len()], 0)?;
        let begun = |[_, target]: &Example| {
            let before = &target[..target.len() - 1];
            [self.start].iter().chain(before).copied().collect::<Vec<u32>>()
        };
        let target = rows(&begun, self.plan.config.pad_token_id)?;
        let wanted = rows(&|[_, target]| target.clone(), IGNORED)?;
        let logits = self.net.forward_train(&source, Some(&mask), &target, dropout)?;
        let count = examples.iter().map(|[_, target]| target.len()).sum();
        Ok((cross_entropy(&logits, &wanted)?, count))
    }
}

impl Task for Translating<'_> {
    fn fingerprint(&self) -> String {
        let hash = training::hash(self.data.train.iter().flatten().flatten().copied());
        let cfg = &self.plan.config;
        let base = self.plan.base.as_deref().map_or(String::new(), |base| format!(", from {base:.12}"));
        format!(
            "{} examples {hash:016x}, {} + {} layers of {}, {} ids, batch {}, dropout {}{base}",
            self.data.train.len(),
            cfg.encoder_layers,
            cfg.decoder_layers,
            cfg.d_model,
            cfg.vocab_size,
            self.plan.batch,
            self.plan.dropout
        )
    }

    fn loss(&self, _: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss> {
        let pass = step * self.plan.options.micro_batches as u64 + micro as u64;
        let places = self.epochs.batch(pass);
        let examples: Vec<&Example> = places.iter().map(|place| &self.data.train[*place as usize]).collect();
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.options.seed, step: pass };
        let (value, items) = self.batch_loss(&examples, &dropout)?;
        Ok(Loss { value, items })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let all = &self.data.held_out;
        let some: Vec<&Example> = all.iter().step_by((all.len() / HELD_OUT).max(1)).take(HELD_OUT).collect();
        let (mut sum, mut count) = (0., 0);
        for examples in some.chunks(32) {
            let (loss, ids) = self.batch_loss(examples, &Dropout::NONE)?;
            sum += f64::from(loss.detach().to_scalar::<f32>()?) * ids as f64;
            count += ids;
        }
        Ok((count > 0).then(|| sum / count as f64))
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
    let (pad, end) = (plan.config.pad_token_id, plan.config.eos_token_id);
    let generation = json!({
        "bad_words_ids": [[pad]], "decoder_start_token_id": plan.config.decoder_start_token_id,
        "eos_token_id": end, "forced_eos_token_id": end, "max_length": 512, "num_beams": 4, "pad_token_id": pad,
        "renormalize_logits": true,
    });
    batch::write_bytes(&folder.join("generation_config.json"), format!("{generation:#}\n").as_bytes(), true)?;
    let tensors: Vec<(String, Tensor)> =
        fitted.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(save(folder, &plan.config, &tensors, DType::F16)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_example_once_in_batches_of_one_size() {
        let example = |i: u32| [vec![i; 1 + i as usize % 20], vec![i; 1 + i as usize % 17]];
        let examples: Vec<Example> = (0..500).map(example).collect();
        let found = batches(&examples, 200, 3, 0);
        let mut places: Vec<u32> = found.iter().flatten().copied().collect();
        places.sort_unstable();
        assert_eq!(places, (0..500).collect::<Vec<u32>>());
        for batch in &found {
            let longest = |side: usize| batch.iter().map(|place| examples[*place as usize][side].len()).max();
            assert!(batch.len() * (longest(0).unwrap_or(0) + longest(1).unwrap_or(0)) <= 200);
        }
        assert_eq!(found, batches(&examples, 200, 3, 0));
        let other = batches(&examples, 200, 3, 1);
        assert_ne!(found, other);
        assert_eq!(found.len(), other.len());
    }
}
