//! Learning letters to phones from a dictionary.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use candle_core::{DType, Device, Tensor};
use models::checkpoint::save;
use models::layers::ctc::ctc;
use models::layers::dropout::Dropout;
use models::layers::init;
use training::{Epochs, Fitted, Loss, Options, Progress, Rng, Task, fit};

use super::corpus::{Entry, Split};
use super::letters::letters;
use super::net::{BLANK, Config, FRAMES, Net};

/// What a training is asked to do, beside how long (`options`).
#[derive(Debug, Clone)]
pub struct Plan {
    /// The net.
    pub config: Config,
    /// Letters of a batch, about.
    pub batch: usize,
    /// Share of activations that are dropped.
    pub dropout: f32,
    /// Length, rate and the like.
    pub options: Options,
}

/// Letters and phones of a word, the first way to say it.
type Example = (Vec<u8>, Vec<u32>);

fn examples(entries: &[Entry]) -> Vec<Example> {
    let of = |entry: &Entry| {
        let phones = entry.variants.first()?.iter().map(|phone| u32::from(phone.id())).collect();
        Some((letters(&entry.word), phones))
    };
    entries.iter().filter_map(of).collect()
}

/// Held-out words that a look at the held-out loss takes.
const HELD_OUT: usize = 2000;

/// Fits a net to the words of a dictionary, going on from the checkpoint in `folder` where there is one.
///
/// # Errors
/// What `training::fit` refuses, and no words.
pub fn train(
    split: &Split,
    plan: &Plan,
    folder: &Path,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Fitted> {
    let device = Device::Cpu;
    let (net, vars) = Net::init(&plan.config, plan.options.seed, &device)?;
    let (train, mut held_out) = (examples(&split.train), examples(&split.held_out));
    if train.is_empty() {
        bail!("the dictionary has no words to learn from");
    }
    held_out = held_out.iter().step_by((held_out.len() / HELD_OUT).max(1)).cloned().collect();
    let epochs = Epochs::new(|epoch| batches(&train, plan.batch, plan.options.seed, epoch));
    let mut task = Spelling { net: &net, train: &train, held_out, plan, epochs };
    Ok(fit(&init::sorted(&vars), &plan.options, Some(folder), &mut task, on_step)?)
}

struct Spelling<'a> {
    net: &'a Net,
    train: &'a [Example],
    held_out: Vec<Example>,
    plan: &'a Plan,
    epochs: Epochs<'a>,
}

/// Places of examples in batches of words of one length, of about `most` letters; the same for the same epoch. All
/// epochs have as many batches.
fn batches(examples: &[Example], most: usize, seed: u64, epoch: u64) -> Vec<Vec<u32>> {
    let mut rng = Rng::at(seed, &[epoch]);
    let mut order: Vec<(usize, u64, u32)> =
        (0u32..).zip(examples).map(|(place, (letters, _))| (letters.len(), rng.next_u64(), place)).collect();
    order.sort_unstable();
    let mut all = Vec::new();
    for alike in order.chunk_by(|a, b| a.0 == b.0) {
        let words = (most / alike[0].0).max(1);
        all.extend(alike.chunks(words).map(|batch| batch.iter().map(|(.., place)| *place).collect()));
    }
    rng.shuffle(&mut all);
    all
}

impl Spelling<'_> {
    /// The mean loss of a phone, and how many there are.
    fn batch_loss(&self, examples: &[&Example], dropout: &Dropout) -> candle_core::Result<(Tensor, usize)> {
        let words: Vec<&[u8]> = examples.iter().map(|(letters, _)| letters.as_slice()).collect();
        let phones: Vec<Vec<u32>> = examples.iter().map(|(_, phones)| phones.clone()).collect();
        let lengths: Vec<usize> = words.iter().map(|word| FRAMES * word.len()).collect();
        let logits = self.net.forward(&words, dropout)?;
        Ok((ctc(&logits, &phones, &lengths, BLANK)?, phones.iter().map(Vec::len).sum()))
    }
}

impl Task for Spelling<'_> {
    fn fingerprint(&self) -> String {
        let bytes = self.train.iter().flat_map(|(letters, phones)| {
            letters.iter().map(|x| u32::from(*x)).chain(phones.iter().copied())
        });
        let hash = training::hash(bytes);
        let Config { hidden_size, num_hidden_layers, intermediate_size, .. } = self.plan.config;
        format!(
            "{} words {hash:016x}, {num_hidden_layers} layers of {hidden_size} and {intermediate_size}, batch {}, \
             dropout {}",
            self.train.len(),
            self.plan.batch,
            self.plan.dropout
        )
    }

    fn loss(&self, _: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss> {
        let pass = step * self.plan.options.micro_batches as u64 + micro as u64;
        let places = self.epochs.batch(pass);
        let examples: Vec<&Example> = places.iter().map(|place| &self.train[*place as usize]).collect();
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.options.seed, step: pass };
        let (value, items) = self.batch_loss(&examples, &dropout)?;
        Ok(Loss { value, items })
    }

    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let (mut sum, mut count) = (0., 0);
        for places in batches(&self.held_out, self.plan.batch, 0, 0) {
            let examples: Vec<&Example> =
                places.iter().map(|place| &self.held_out[*place as usize]).collect();
            let (loss, phones) = self.batch_loss(&examples, &Dropout::NONE)?;
            sum += f64::from(loss.detach().to_scalar::<f32>()?) * phones as f64;
            count += phones;
        }
        Ok((count > 0).then(|| sum / count as f64))
    }
}

/// Writes what a training gave as a model's folder; weights in f16.
///
/// # Errors
/// A disk that cannot be written.
pub fn write(folder: &Path, plan: &Plan, fitted: &Fitted) -> Result<()> {
    let tensors: Vec<(String, Tensor)> =
        fitted.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(save(folder, &plan.config, &tensors, DType::F16)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_trained() -> candle_core::Result<()> {
        let (net, vars) = Net::init(&Config::default(), 1, &Device::Cpu)?;
        let logits = net.forward(&[&[1, 2, 3], &[3, 27, 1]], &Dropout::NONE)?;
        let loss = ctc(&logits, &[vec![3, 30], vec![4]], &[6, 6], BLANK)?;
        let mut missing = training::assert_gradients(&init::sorted(&vars), &loss)?;
        // what all keys have in common changes no attention
        missing.retain(|name| !name.ends_with("k_proj.bias"));
        assert_eq!(missing, [""; 0]);
        Ok(())
    }

    #[test]
    fn an_epoch_has_every_word_once_in_batches_of_one_length() {
        let examples: Vec<Example> = (0..300).map(|i| (vec![1; 1 + i % 13], vec![0])).collect();
        let found = batches(&examples, 60, 3, 0);
        let mut places: Vec<u32> = found.iter().flatten().copied().collect();
        places.sort_unstable();
        assert_eq!(places, (0..300).collect::<Vec<u32>>());
        for batch in &found {
            let length = examples[batch[0] as usize].0.len();
            assert!(batch.len() * length <= 60);
            assert!(batch.iter().all(|place| examples[*place as usize].0.len() == length));
        }
        assert_eq!(found, batches(&examples, 60, 3, 0));
        assert_ne!(found, batches(&examples, 60, 3, 1));
        assert_eq!(found.len(), batches(&examples, 60, 3, 1).len());
    }
}
