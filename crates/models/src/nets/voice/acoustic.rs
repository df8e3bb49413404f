//! Phones to frames.

use super::Config;
use crate::layers::convnext::{ConvNeXt, Sizes, Told};
use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::vars::VarBuilder;
use candle_core::{Device, Result, Tensor};
use kernels::activations::silu;
use kernels::embedding::embedding;
use kernels::reorder::join;
use kernels::sum::sum;

/// A symbol as the net is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phone {
    /// Its number.
    pub symbol: u32,
    /// Whether a word begins with it.
    pub begins: bool,
}

/// The net.
pub struct Acoustic {
    symbols: Embedding,
    encoder: Stack,
    durations: Stack,
    duration: Linear,
    places: Embedding,
    guess: Linear,
    condition: Linear,
    frame: Linear,
    times: [Linear; 2],
    flow: Stack,
    velocity: Linear,
    kinds: u32,
    device: Device,
}

/// Blocks and a norm after them.
pub(super) struct Stack {
    blocks: Vec<ConvNeXt>,
    norm: LayerNorm,
}

impl Stack {
    pub(super) fn new(count: usize, sizes: Sizes, vb: VarBuilder) -> Result<Self> {
        let block = |i: usize| ConvNeXt::new(sizes, count, vb.pp("blocks").pp(i));
        Ok(Self {
            blocks: (0..count).map(block).collect::<Result<_>>()?,
            norm: LayerNorm::new(sizes.width, 1e-6, vb.pp("norm"))?,
        })
    }

    pub(super) fn forward(&self, xs: &Tensor, lengths: &[usize], told: Option<Told<'_>>) -> Result<Tensor> {
        let step = |xs: Tensor, block: &ConvNeXt| block.forward(&xs, lengths, told);
        self.norm.forward(&self.blocks.iter().try_fold(xs.clone(), step)?)
    }
}

/// How many distances from a sentence's ends are told apart, and from a phone's.
const DISTANCES: u32 = 32;
const PLACES: u32 = 16;
/// Rates of the sines that tell the time.
const RATES: usize = 32;

/// Near distances one by one, far ones by their logarithm.
fn distance(rows: usize) -> u32 {
    let near = DISTANCES / 2;
    match u32::try_from(rows) {
        Ok(rows) if rows < near => rows,
        _ => (near + ((rows as f64 / f64::from(near)).log2() * 4.) as u32).min(DISTANCES - 1),
    }
}

/// (lengths) to the number of the sequence of each row.
pub(super) fn sequences(lengths: &[usize], device: &Device) -> Result<Tensor> {
    let numbers = (0u32..).zip(lengths).flat_map(|(i, length)| std::iter::repeat_n(i, *length));
    Tensor::from_iter(numbers, device)
}

impl Acoustic {
    /// Reads the weights.
    ///
    /// # Errors
    /// Weights that are missing or of another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        let (width, frame) = (config.width, config.frame_size());
        let stdev = |inputs: usize| (inputs as f64).recip().sqrt();
        let sizes = |expansion: usize, told: Option<usize>| Sizes {
            width,
            hidden: expansion * width,
            taps: config.taps,
            told,
        };
        let linear =
            |inputs, outputs, name: &str| Linear::new(inputs, outputs, true, stdev(inputs), vb.pp(name));
        let text = sizes(config.text_expansion, None);
        let kinds = config.symbols.len();
        Ok(Self {
            symbols: Embedding::new(kinds + 2 * DISTANCES as usize + 1, width, 0.5, vb.pp("symbols"))?,
            encoder: Stack::new(config.encoder_blocks, text, vb.pp("encoder"))?,
            durations: Stack::new(config.duration_blocks, text, vb.pp("durations"))?,
            duration: Linear::new(width, 1, true, 0.1 * stdev(width), vb.pp("duration"))?,
            places: Embedding::new(2 * PLACES as usize, width, 0.5, vb.pp("places"))?,
            guess: linear(width, frame, "guess")?,
            condition: linear(width + frame, width, "condition")?,
            frame: linear(frame, width, "frame")?,
            times: [linear(2 * RATES, width, "times.0")?, linear(width, width, "times.1")?],
            flow: Stack::new(config.flow_blocks, sizes(config.sound_expansion, Some(width)), vb.pp("flow"))?,
            velocity: Linear::new(width, frame, true, 0.1 * stdev(width), vb.pp("velocity"))?,
            kinds: kinds as u32,
            device: vb.device().clone(),
        })
    }

    /// Sentences to the states of their phones, (phones, width).
    ///
    /// # Errors
    /// On symbols that there are not.
    pub fn encode(&self, sentences: &[&[Phone]]) -> Result<Tensor> {
        let mut ids = Vec::new();
        for phones in sentences {
            for (i, phone) in phones.iter().enumerate() {
                if phone.symbol >= self.kinds {
                    refuse!("symbol {} of {}", phone.symbol, self.kinds);
                }
                let begins = if phone.begins { self.kinds + 2 * DISTANCES } else { Embedding::NOTHING };
                let after = self.kinds + distance(i);
                let before = self.kinds + DISTANCES + distance(phones.len() - 1 - i);
                ids.extend([phone.symbol, after, before, begins]);
            }
        }
        let ids = Tensor::from_vec(ids, (lengths(sentences).iter().sum::<usize>(), 4), &self.device)?;
        self.encoder.forward(&self.symbols.forward_sum(&ids)?, &lengths(sentences), None)
    }

    /// States (phones, width) to the logarithms of how many frames each lasts, (phones, 1).
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn durations(&self, states: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        self.duration.forward(&self.durations.forward(states, lengths, None)?)
    }

    /// States (phones, width), each lasting so many frames, to the state of every frame, (frames, width).
    ///
    /// # Errors
    /// On another number of durations than states.
    pub fn spread(&self, states: &Tensor, durations: &[usize]) -> Result<Tensor> {
        if states.dim(0)? != durations.len() {
            refuse!("{} durations of {} phones", durations.len(), states.dim(0)?);
        }
        let count = durations.iter().sum::<usize>();
        let near = |rows: usize| (rows as u32).min(PLACES - 1);
        let places = durations
            .iter()
            .flat_map(|&frames| (0..frames).flat_map(move |i| [near(i), PLACES + near(frames - 1 - i)]));
        let places = Tensor::from_iter(places, &self.device)?.reshape((count, 2))?;
        let spread = embedding(&sequences(durations, &self.device)?, states)?;
        sum(&spread, &self.places.forward_sum(&places)?)
    }

    /// The first guess of each frame, (frames, values), of its state: the mean of what it may be.
    ///
    /// # Errors
    /// On another width.
    pub fn guess(&self, states: &Tensor) -> Result<Tensor> {
        self.guess.forward(states)
    }

    /// Where the flow leads from frames `xs` (frames, values) at the `times` of their sequences, 0 for noise and 1 for sound.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn velocity(
        &self,
        xs: &Tensor,
        states: &Tensor,
        guess: &Tensor,
        times: &[f32],
        lengths: &[usize],
    ) -> Result<Tensor> {
        let rate = |i: usize| (1000f64).powf(i as f64 / (RATES - 1) as f64) as f32;
        let sines = times
            .iter()
            .flat_map(|time| (0..RATES).map(move |i| time * rate(i)).flat_map(|x| [x.sin(), x.cos()]));
        let sines = Tensor::from_iter(sines, &self.device)?.reshape((times.len(), 2 * RATES))?;
        let vectors = silu(&self.times[1].forward(&silu(&self.times[0].forward(&sines)?)?)?)?;
        let sequences = sequences(lengths, &self.device)?;
        let condition = self.condition.forward(&join(states, guess)?)?;
        let rows = sum(&self.frame.forward(xs)?, &condition)?;
        let told = Told { vectors: &vectors, sequences: &sequences };
        self.velocity.forward(&self.flow.forward(&rows, lengths, Some(told))?)
    }

    /// Frames (frames, values) of noise of that shape, by so many steps of Euler's method.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn sound(&self, noise: &Tensor, states: &Tensor, lengths: &[usize], steps: usize) -> Result<Tensor> {
        let guess = self.guess(states)?;
        (0..steps).try_fold(noise.clone(), |xs, step| {
            let times = vec![step as f32 / steps as f32; lengths.len()];
            &xs + (self.velocity(&xs, states, &guess, &times, lengths)? / steps as f64)?
        })
    }
}

/// The number of phones of each sentence.
fn lengths(sentences: &[&[Phone]]) -> Vec<usize> {
    sentences.iter().map(|phones| phones.len()).collect()
}
