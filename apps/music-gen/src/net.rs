//! The net: a Llama that is told, beside each token, what the grammar knows.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarMap;
use models::layers::dropout::Dropout;
use models::layers::embedding::Embedding;
use models::layers::init;
use models::layers::sum::sum;
use models::nets::llama::{Cache, Config, Llama};
use models::vars::VarBuilder;

use crate::grammar::FACTS;
use crate::view::Shown;

/// Llama's weights under its own keys, and a vector for each fact under `context.weight`.
pub struct Net {
    llama: Llama,
    context: Embedding,
    device: Device,
}

/// A batch of rows as the net takes them, each token with the facts about the next one.
pub struct Inputs {
    /// Token numbers (batch, time).
    ids: Tensor,
    /// Numbers of facts (batch, time, most), filled up with [`Embedding::NOTHING`].
    facts: Tensor,
}

/// A token's number, and the facts about the token after it.
pub type Input = (u32, Vec<u32>);

/// Shown tokens as inputs, each with the facts that were told for the next one; the last token has none after it
/// and is left out.
pub fn inputs(shown: &[Shown]) -> Vec<Input> {
    shown.windows(2).map(|pair| (pair[0].token.id(), pair[1].context.clone())).collect()
}

impl Inputs {
    /// Rows of inputs; short ones are filled up with `Pad`.
    ///
    /// # Errors
    /// No input at all.
    pub fn new(rows: &[&[Input]], device: &Device) -> Result<Inputs> {
        let time = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let most =
            rows.iter().flat_map(|row| row.iter()).map(|(_, facts)| facts.len()).max().unwrap_or(0).max(1);
        let mut ids = vec![0; rows.len() * time];
        let mut facts = vec![Embedding::NOTHING; rows.len() * time * most];
        for (row, inputs) in rows.iter().enumerate() {
            for (place, (id, told)) in (row * time..).zip(inputs.iter()) {
                ids[place] = *id;
                facts[place * most..][..told.len()].copy_from_slice(told);
            }
        }
        Ok(Inputs {
            ids: Tensor::from_vec(ids, (rows.len(), time), device)?,
            facts: Tensor::from_vec(facts, (rows.len(), time, most), device)?,
        })
    }
}

impl Net {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(config: &Config, weights: VarBuilder) -> Result<Self> {
        let (size, stdev) = (config.hidden_size, config.initializer_range);
        let context = Embedding::new(FACTS, size, stdev, weights.pp("context"))?;
        let device = weights.device().clone();
        Ok(Self { llama: Llama::new(config, weights)?, context, device })
    }

    /// A net with fresh weights, and the variables that hold them.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn init(config: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(config, init::seeded(&vars, seed, device))?;
        Ok((net, vars))
    }

    /// Where the net computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The logits (vocab) of the token after a row of inputs, which follows what the cache has seen.
    ///
    /// # Errors
    /// No input.
    pub fn forward_last(&self, row: &[Input], cache: &mut Cache) -> Result<Vec<f32>> {
        let states = self.llama.states(&self.embed(&Inputs::new(&[row], &self.device)?)?, cache)?;
        let last = states.dim(1)? - 1;
        self.llama.logits(&states.narrow(1, last, 1)?)?.flatten_all()?.to_vec1()
    }

    /// The logits (time, vocab) of the tokens after each input of one whole row.
    ///
    /// # Errors
    /// No input.
    pub fn forward(&self, row: &[Input], config: &Config) -> Result<Vec<Vec<f32>>> {
        let inputs = self.embed(&Inputs::new(&[row], &self.device)?)?;
        self.llama.logits(&self.llama.states(&inputs, &mut Cache::new(config))?)?.squeeze(0)?.to_vec2()
    }

    /// Whole rows to logits (batch, time, vocab), by operators with gradients.
    ///
    /// # Errors
    /// No input.
    pub fn forward_train(&self, inputs: &Inputs, dropout: &Dropout) -> Result<Tensor> {
        self.llama.logits(&self.llama.states_train(&self.embed(inputs)?, dropout)?)
    }

    fn embed(&self, inputs: &Inputs) -> Result<Tensor> {
        sum(&self.llama.embed(&inputs.ids)?, &self.context.forward_sum(&inputs.facts)?)
    }
}
