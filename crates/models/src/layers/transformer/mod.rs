//! The transformer of encoders and decoders (Vaswani et al., 2017), under the keys of Hugging Face's BART and its
//! descendants: Marian, M2M100, Whisper, MusicGen.
//!
//! One block serves them all: self-attention, attention across where there is another sequence, and a feed-forward
//! part; norms come before each of them, or after what it adds. Dropout falls on embeddings and on what a part adds.
//!
//! - `attention`: projections and heads
//! - `cache`: what a decoder has seen
//! - `decoder`: ids to logits over a stack of blocks
//! - `positions`: how positions are told

mod attention;
mod cache;
mod decoder;
mod positions;

pub(crate) use super::cache::LayerCache;
pub(crate) use attention::{Attention, Keys};
pub use cache::{Cache, Source};
pub(crate) use cache::{Memory, hidden};
pub use decoder::{Decoder, Embed};
pub use positions::{Positions, Sinusoids};

use crate::layers::dropout::Dropout;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::sum::sum;
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::activations::{gelu, gelu_tanh, relu, silu};
use kernels::attention::Options;

/// What the feed-forward part is bent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `x` times the normal distribution up to `x`
    Gelu,
    /// The same by a hyperbolic tangent.
    GeluTanh,
}

impl Activation {
    /// By its name in transformers' `activation_function`.
    ///
    /// # Errors
    /// For another name.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "relu" => Self::Relu,
            "swish" | "silu" => Self::Silu,
            "gelu" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" => Self::GeluTanh,
            _ => refuse!(
                "config.json: activation_function `{name}` is not supported, only relu, swish, silu, gelu, gelu_new \
                 and gelu_pytorch_tanh are"
            ),
        })
    }

    /// Bends each value.
    ///
    /// # Errors
    /// None on the processor.
    pub fn apply(self, xs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Relu => relu(xs),
            Self::Silu => silu(xs),
            Self::Gelu => gelu(xs),
            Self::GeluTanh => gelu_tanh(xs),
        }
    }
}

/// Sizes of the blocks of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Width of the residual stream.
    pub size: usize,
    /// Heads of each attention; divides `size`.
    pub heads: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    /// Whether a block looks at another sequence too.
    pub cross: bool,
    /// Whether norms come before a part, and at the end of the stack, or after what each part adds.
    pub norm_first: bool,
    /// Whether maps have biases.
    pub bias: bool,
    /// Whether that of the keys has one too.
    pub key_bias: bool,
    /// What the feed-forward part is bent by.
    pub activation: Activation,
    /// Standard deviation of fresh weights.
    pub stdev: f64,
}

/// Epsilon of all norms: PyTorch's default, which these nets have.
const EPSILON: f64 = 1e-5;

/// Blocks one after the other.
pub struct Stack {
    blocks: Vec<Block>,
    /// At the end, where norms come first.
    norm: Option<LayerNorm>,
}

/// What a stack's blocks see.
struct Sight<'a> {
    options: Options<'a>,
    past: Option<(&'a mut [LayerCache], usize)>,
    memory: Option<&'a Memory>,
    dropout: &'a Dropout,
    /// The first of the places where it falls.
    site: u64,
}

/// The first place of a decoder, so that its dropout is not its encoder's.
pub(crate) const DECODER: u64 = 1 << 32;

/// Heads whose weights are wanted, as (layer, head), and the weights, each (batch, time, positions).
struct Watch<'a> {
    heads: &'a [(usize, usize)],
    weights: Vec<Option<Tensor>>,
}

impl Stack {
    /// Reads `layers` and, where norms come first, `layer_norm`.
    ///
    /// # Errors
    /// Tensors that are missing or of another shape.
    pub fn new(shape: &Shape, layers: usize, vb: VarBuilder) -> Result<Self> {
        let norm = || LayerNorm::new(shape.size, EPSILON, vb.pp("layer_norm"));
        Ok(Self {
            blocks: (0..layers).map(|i| Block::new(shape, vb.pp("layers").pp(i))).collect::<Result<_>>()?,
            norm: shape.norm_first.then(norm).transpose()?,
        })
    }

    /// Embeddings (batch, time, size), each position of which sees all that `mask` (see [`Source`]) does not hide, to
    /// states of the same shape.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn encode(&self, xs: &Tensor, mask: Option<&Tensor>, dropout: &Dropout) -> Result<Tensor> {
        let options = Options { mask, ..Options::default() };
        self.run(xs, Sight { options, past: None, memory: None, dropout, site: 0 }, &mut None)
    }

    /// An empty cache for sequences that look at a source.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn start(&self, source: &Source) -> Result<Cache> {
        Ok(Cache::new(self.memory(source)?, source.states.dim(0)?))
    }

    /// An empty cache for so many sequences that look at no source.
    ///
    /// # Errors
    /// Where the blocks look at one.
    pub fn start_alone(&self, rows: usize) -> Result<Cache> {
        if self.blocks.iter().any(|block| block.cross.is_some()) {
            refuse!("a stack with attention across was given no source");
        }
        Ok(Cache::alone(self.blocks.len(), rows))
    }

    /// Embeddings (batch, time, size), which follow what the cache has seen, to states of the same shape.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn decode(&self, xs: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        cache.follow(xs)?;
        let (start, memory) = (cache.len(), cache.memory.clone());
        let past = Some((cache.layers.as_mut_slice(), start));
        let dropout = &Dropout::NONE;
        let sight = Sight { options: Options::causal(), past, memory: Some(&memory), dropout, site: DECODER };
        let ys = self.run(xs, sight, &mut None)?;
        cache.advance(xs.dim(1)?);
        Ok(ys)
    }

    /// As `decode` for whole sequences from position 0, with gradients to the source as well.
    ///
    /// # Errors
    /// On shapes that do not fit.
    pub fn decode_train(&self, xs: &Tensor, source: &Source, dropout: &Dropout) -> Result<Tensor> {
        let memory = self.memory(source)?;
        let sight =
            Sight { options: Options::causal(), past: None, memory: Some(&memory), dropout, site: DECODER };
        self.run(xs, sight, &mut None)
    }

    /// As `decode_train`, and the weights that heads, given as (layer, head), have on the source:
    /// (batch, heads, time, positions).
    ///
    /// # Errors
    /// On shapes that do not fit, for no heads, and for a layer or head that is not there.
    pub fn decode_watched(
        &self,
        xs: &Tensor,
        source: &Source,
        heads: &[(usize, usize)],
    ) -> Result<(Tensor, Tensor)> {
        let memory = self.memory(source)?;
        let mut watch = Some(Watch { heads, weights: vec![None; heads.len()] });
        let dropout = &Dropout::NONE;
        let sight =
            Sight { options: Options::causal(), past: None, memory: Some(&memory), dropout, site: DECODER };
        let ys = self.run(xs, sight, &mut watch)?;
        let weights = watch.into_iter().flat_map(|watch| watch.weights).zip(heads);
        let weights = weights.map(|(weights, (layer, head))| match weights {
            Some(weights) => Ok(weights),
            None => refuse!("head {head} of layer {layer}, where there are {} layers", self.blocks.len()),
        });
        Ok((ys, Tensor::stack(&weights.collect::<Result<Vec<_>>>()?, 1)?))
    }

    fn memory(&self, source: &Source) -> Result<Memory> {
        let layers = self.blocks.iter().map(|block| match &block.cross {
            Some(cross) => cross.keys(&source.states),
            None => refuse!("a stack without attention across was given a source"),
        });
        Ok(Memory { layers: layers.collect::<Result<_>>()?, mask: source.mask.clone() })
    }

    fn run(&self, xs: &Tensor, mut sight: Sight, watch: &mut Option<Watch>) -> Result<Tensor> {
        let mut xs = sight.dropout.apply(xs, sight.site)?;
        // what is added to, and what the next part sees
        let mut seen = match (&self.norm, self.blocks.first()) {
            (Some(_), Some(block)) => block.norms[0].forward(&xs)?,
            (Some(norm), None) => return norm.forward(&xs),
            (None, _) => xs.clone(),
        };
        for (i, block) in self.blocks.iter().enumerate() {
            let next = match (&self.norm, self.blocks.get(i + 1)) {
                (Some(_), Some(next)) => Some(&next.norms[0]),
                (last, _) => last.as_ref(),
            };
            (xs, seen) = block.forward((xs, seen), next, i, &mut sight, watch)?;
        }
        Ok(seen)
    }
}

struct Block {
    self_attn: Attention,
    cross: Option<Attention>,
    fc1: Linear,
    fc2: Linear,
    /// Of the parts in their order.
    norms: Vec<LayerNorm>,
    activation: Activation,
}

impl Block {
    fn new(shape: &Shape, vb: VarBuilder) -> Result<Self> {
        let Shape { size, inner, bias, stdev, .. } = *shape;
        let names = ["self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"];
        let norms = names.into_iter().filter(|name| shape.cross || *name != names[1]);
        let cross = || Attention::new(shape, vb.pp("encoder_attn"));
        Ok(Self {
            self_attn: Attention::new(shape, vb.pp("self_attn"))?,
            cross: shape.cross.then(cross).transpose()?,
            fc1: Linear::new(size, inner, bias, stdev, vb.pp("fc1"))?,
            fc2: Linear::new(inner, size, bias, stdev, vb.pp("fc2"))?,
            norms: norms.map(|name| LayerNorm::new(size, EPSILON, vb.pp(name))).collect::<Result<_>>()?,
            activation: shape.activation,
        })
    }

    /// `next` is the norm after this block where norms come first.
    fn forward(
        &self,
        (xs, seen): (Tensor, Tensor),
        next: Option<&LayerNorm>,
        layer: usize,
        sight: &mut Sight,
        watch: &mut Option<Watch>,
    ) -> Result<(Tensor, Tensor)> {
        let (dropout, first, parts) = (sight.dropout, sight.site, self.norms.len());
        let join = |part: usize, ys: Tensor, xs: &Tensor| {
            let site = first + (1 + layer * parts + part) as u64;
            let norm = if next.is_some() { self.norms.get(part + 1).or(next) } else { self.norms.get(part) };
            let Some(norm) = norm else { refuse!("part {part} of a block has no norm") };
            let (sum, normed) = joined(norm, &ys, xs, dropout, site)?;
            Ok(if next.is_some() { (sum, normed) } else { (normed.clone(), normed) })
        };
        let queries = self.self_attn.queries(&seen)?;
        let mut keys = self.self_attn.keys(&seen)?;
        if let Some((caches, start)) = &mut sight.past {
            let (keys_of_all, values) = caches[layer].append(&keys.keys, &keys.values, *start)?;
            keys = Keys { keys: keys_of_all, values };
        }
        let (mut xs, mut seen) = join(0, self.self_attn.attend(&queries, &keys, &sight.options)?, &xs)?;
        if let (Some(cross), Some(memory)) = (&self.cross, sight.memory) {
            let (queries, keys) = (cross.queries(&seen)?, &memory.layers[layer]);
            let mask = memory.mask.as_ref();
            if let Some(watch) = watch {
                watch.look(layer, |heads| cross.weights(&queries, keys, heads, mask))?;
            }
            let options = Options { mask, ..Options::default() };
            (xs, seen) = join(1, cross.attend(&queries, keys, &options)?, &xs)?;
        }
        let inner = self.activation.apply(&self.fc1.forward(&seen)?)?;
        join(parts - 1, self.fc2.forward(&inner)?, &xs)
    }
}

// the sum of `xs` and what a part adds, and that normalised
fn joined(
    norm: &LayerNorm,
    ys: &Tensor,
    xs: &Tensor,
    dropout: &Dropout,
    site: u64,
) -> Result<(Tensor, Tensor)> {
    if dropout.rate == 0. && !ys.track_op() {
        return norm.forward_sum(ys, xs);
    }
    let sum = if dropout.rate == 0. { sum(xs, ys)? } else { dropout.apply_sum(ys, xs, site)? };
    let normed = norm.forward(&sum)?;
    Ok((sum, normed))
}

impl Watch<'_> {
    fn look(&mut self, layer: usize, weights: impl FnOnce(&[usize]) -> Result<Tensor>) -> Result<()> {
        let places: Vec<usize> = (0..self.heads.len()).filter(|i| self.heads[*i].0 == layer).collect();
        if places.is_empty() {
            return Ok(());
        }
        let heads: Vec<usize> = places.iter().map(|i| self.heads[*i].1).collect();
        let weights = weights(&heads)?;
        for (i, place) in places.into_iter().enumerate() {
            self.weights[place] = Some(weights.narrow(1, i, 1)?.squeeze(1)?);
        }
        Ok(())
    }
}
