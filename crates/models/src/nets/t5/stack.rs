//! Blocks one after the other: self-attention, attention across in a decoder, and the feed-forward part, each after a
//! norm. All blocks share what distances add to the scores.

use super::Config;
use super::distance::Distances;
use super::feed_forward::FeedForward;
use crate::layers::dropout::Dropout;
use crate::layers::linear::Linear;
use crate::layers::norm::RmsNorm;
use crate::layers::transformer::{Attention, Cache, DECODER, Keys, LayerCache, Memory, Source};
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::attention::Options;
use kernels::sum::sum;

/// The encoder's or the decoder's blocks.
pub struct Stack {
    blocks: Vec<Block>,
    distances: Distances,
    norm: RmsNorm,
}

struct Block {
    self_attn: Attention,
    cross: Option<Attention>,
    feed_forward: FeedForward,
    /// Of the parts in their order.
    norms: Vec<RmsNorm>,
}

/// What blocks see.
struct Sight<'a> {
    options: Options<'a>,
    past: Option<(&'a mut [LayerCache], usize)>,
    memory: Option<&'a Memory>,
    dropout: &'a Dropout,
    /// The next place where it falls.
    site: u64,
}

impl Sight<'_> {
    fn site(&mut self) -> u64 {
        self.site += 1;
        self.site - 1
    }
}

impl Stack {
    /// Reads `block` and `final_layer_norm`.
    pub fn new(cfg: &Config, decoder: bool, vb: VarBuilder) -> Result<Self> {
        let layers = if decoder { cfg.decoder_layers() } else { cfg.num_layers };
        let blocks = (0..layers).map(|i| Block::new(cfg, decoder, vb.pp("block").pp(i).pp("layer")));
        let first = vb.pp("block.0.layer.0.SelfAttention");
        Ok(Self {
            blocks: blocks.collect::<Result<_>>()?,
            distances: Distances::new(cfg, !decoder, first)?,
            norm: RmsNorm::new(cfg.d_model, cfg.layer_norm_epsilon, vb.pp("final_layer_norm"))?,
        })
    }

    /// Embeddings (batch, time, size), each position of which sees all that `mask` (see [`Source`]) does not hide, to
    /// states of the same shape.
    pub fn encode(&self, xs: &Tensor, mask: Option<&Tensor>, dropout: &Dropout) -> Result<Tensor> {
        let bias = self.distances.forward(0..xs.dim(1)?)?;
        let options = Options { mask, bias: Some(&bias), scale: Some(1.), ..Options::default() };
        self.run(xs, Sight { options, past: None, memory: None, dropout, site: 0 })
    }

    /// An empty cache for sequences that look at a source.
    pub fn start(&self, source: &Source) -> Result<Cache> {
        Ok(Cache::new(self.memory(source)?, source.states.dim(0)?))
    }

    /// Embeddings (batch, time, size), which follow what the cache has seen, to states of the same shape.
    pub fn decode(&self, xs: &Tensor, cache: &mut Cache) -> Result<Tensor> {
        cache.follow(xs)?;
        let (start, time) = (cache.len(), xs.dim(1)?);
        let bias = self.distances.forward(start..start + time)?;
        let options = Options { bias: Some(&bias), scale: Some(1.), ..Options::causal() };
        let memory = cache.memory.clone();
        let past = Some((cache.layers.as_mut_slice(), start));
        let dropout = &Dropout::NONE;
        let ys = self.run(xs, Sight { options, past, memory: Some(&memory), dropout, site: DECODER })?;
        cache.advance(time);
        Ok(ys)
    }

    /// As `decode` for whole sequences from position 0, with gradients to the source as well.
    pub fn decode_train(&self, xs: &Tensor, source: &Source, dropout: &Dropout) -> Result<Tensor> {
        let memory = self.memory(source)?;
        let bias = self.distances.forward(0..xs.dim(1)?)?;
        let options = Options { bias: Some(&bias), scale: Some(1.), ..Options::causal() };
        self.run(xs, Sight { options, past: None, memory: Some(&memory), dropout, site: DECODER })
    }

    fn memory(&self, source: &Source) -> Result<Memory> {
        let layers = self.blocks.iter().map(|block| match &block.cross {
            Some(cross) => cross.keys(&source.states),
            None => refuse!("an encoder was given a source"),
        });
        Ok(Memory { layers: layers.collect::<Result<_>>()?, mask: source.mask.clone() })
    }

    fn run(&self, xs: &Tensor, mut sight: Sight) -> Result<Tensor> {
        let mut xs = sight.dropout.apply(xs, sight.site())?;
        let norms = self.blocks.iter().flat_map(|block| &block.norms).chain([&self.norm]);
        let mut norms = norms.collect::<Vec<_>>().into_iter();
        let mut next = || match norms.next() {
            Some(norm) => Ok(norm),
            None => refuse!("a stack has too few norms"),
        };
        let mut seen = next()?.forward(&xs)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let ys = block.look_back(&seen, layer, &mut sight)?;
            (xs, seen) = joined(next()?, &ys, &xs, &mut sight)?;
            if let Some(ys) = block.look_across(&seen, layer, &sight)? {
                (xs, seen) = joined(next()?, &ys, &xs, &mut sight)?;
            }
            let site = sight.site();
            let ys = block.feed_forward.forward(&seen, sight.dropout, site)?;
            (xs, seen) = joined(next()?, &ys, &xs, &mut sight)?;
        }
        sight.dropout.apply(&seen, sight.site())
    }
}

impl Block {
    fn new(cfg: &Config, decoder: bool, vb: VarBuilder) -> Result<Self> {
        let parts = if decoder { 3 } else { 2 };
        let norm = |part| RmsNorm::new(cfg.d_model, cfg.layer_norm_epsilon, vb.pp(part).pp("layer_norm"));
        let cross = || attention(cfg, vb.pp("1.EncDecAttention"));
        Ok(Self {
            self_attn: attention(cfg, vb.pp("0.SelfAttention"))?,
            cross: decoder.then(cross).transpose()?,
            feed_forward: FeedForward::new(cfg, vb.pp(parts - 1).pp("DenseReluDense"))?,
            norms: (0..parts).map(norm).collect::<Result<_>>()?,
        })
    }

    fn look_back(&self, seen: &Tensor, layer: usize, sight: &mut Sight) -> Result<Tensor> {
        let queries = self.self_attn.queries(seen)?;
        let mut keys = self.self_attn.keys(seen)?;
        if let Some((caches, start)) = &mut sight.past {
            let (all, values) = caches[layer].append(&keys.keys, &keys.values, *start)?;
            keys = Keys { keys: all, values };
        }
        self.self_attn.attend(&queries, &keys, &sight.options)
    }

    fn look_across(&self, seen: &Tensor, layer: usize, sight: &Sight) -> Result<Option<Tensor>> {
        let (Some(cross), Some(memory)) = (&self.cross, sight.memory) else { return Ok(None) };
        let options = Options { mask: memory.mask.as_ref(), scale: Some(1.), ..Options::default() };
        cross.attend(&cross.queries(seen)?, &memory.layers[layer], &options).map(Some)
    }
}

fn attention(cfg: &Config, vb: VarBuilder) -> Result<Attention> {
    let (size, inner) = (cfg.d_model, cfg.num_heads * cfg.d_kv);
    let stdev = |inputs: usize| cfg.initializer_factor * (inputs as f64).powf(-0.5);
    let map = |name: &str, stdev| Linear::new(size, inner, false, stdev, vb.pp(name));
    // scores are not scaled, so queries are smaller
    let maps = [map("q", stdev(size * cfg.d_kv))?, map("k", stdev(size))?, map("v", stdev(size))?];
    let out = Linear::new(inner, size, false, stdev(inner), vb.pp("o"))?;
    Ok(Attention::of(maps, out, cfg.num_heads))
}

// the sum of `xs` and what a part adds, and that normalised
fn joined(norm: &RmsNorm, ys: &Tensor, xs: &Tensor, sight: &mut Sight) -> Result<(Tensor, Tensor)> {
    let site = sight.site();
    if sight.dropout.rate == 0. && !ys.track_op() {
        return norm.forward_sum(ys, xs);
    }
    let sum = if sight.dropout.rate == 0. { sum(xs, ys)? } else { sight.dropout.apply_sum(ys, xs, site)? };
    let normed = norm.forward(&sum)?;
    Ok((sum, normed))
}
