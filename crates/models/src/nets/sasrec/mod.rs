//! SASRec (Kang and McAuley, 2018): the items of a history to what comes after each, as in the reference implementation
//! on PyTorch (pmixer/SASRec.pytorch), whose weights it reads: `item_emb`, `pos_emb`, and a block's
//! `attention_layernorms.N`, `attention_layers.N` (torch's `MultiheadAttention`), `forward_layernorms.N` and
//! `forward_layers.N.conv1|conv2` (convolutions of width one).
//!
//! There a history is filled up at its front to `maxlen` items, and the padding is attended to, unless `padding` is
//! `masked`. All places of padding are alike in every layer, so that one of them stands here for all: its score is raised by
//! the logarithm of how many they are. Short histories share rows, in which none sees another; the scores are the same.
//!
//! The table of positions has `maxlen` rows, and padding is zero before each block, or it has `maxlen + 1`, and padding has
//! row 0 of both tables.

mod config;

pub use config::{Config, Norm, Padding};

use crate::layers::dropout::Dropout;
use crate::layers::embedding::Embedding;
use crate::layers::linear::Linear;
use crate::layers::norm::LayerNorm;
use crate::layers::sum::sum;
use crate::vars::VarBuilder;
use candle_core::{Device, Result, Tensor};
use candle_nn::{Init, VarMap};
use kernels::activations::relu;
use kernels::attention::{Options, attention};
use kernels::gradients::reshape;
use kernels::linear::linear;
use kernels::ranking::chosen_against_drawn;
use kernels::reorder::part;

/// Added to a score, it leaves no weight beside any other; but padding, which sees nothing else, sees itself.
const NOTHING: f32 = -1e9;
/// The reference's epsilon.
const EPSILON: f64 = 1e-8;

/// The net.
pub struct SasRec {
    items: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    last_norm: LayerNorm,
    cfg: Config,
    norm: Norm,
    /// Whether padding is zero before each block.
    zeroed: bool,
}

/// Histories as the net takes them: rows of places, each of one or several histories one behind the other.
pub struct Histories {
    /// Items of (rows, time), 0 where there is none.
    items: Tensor,
    /// Rows of the table of positions.
    positions: Tensor,
    /// What is added to the scores of keys: (rows, 1, 1 or time, time).
    mask: Tensor,
    /// One where there is an item, zero elsewhere: (rows, time, 1).
    there: Tensor,
    lengths: Vec<usize>,
    /// The place in front of each history's first item.
    starts: Vec<usize>,
}

impl Histories {
    /// How many they are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The places of items in rows of (rows * time), history by history in their order.
    fn places(&self) -> Vec<u32> {
        let all = self.starts.iter().zip(&self.lengths);
        all.flat_map(|(start, length)| start + 1..=start + length).map(|place| place as u32).collect()
    }

    /// The last place of each.
    fn last(&self) -> Vec<u32> {
        self.starts.iter().zip(&self.lengths).map(|(start, length)| (start + length) as u32).collect()
    }
}

/// Where histories lie that take so many places, in as few rows of `time` as the first fit of the longest gives: the first
/// place of each.
fn packed(sizes: &[usize], time: usize) -> (usize, Vec<usize>) {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&history| std::cmp::Reverse(sizes[history]));
    let (mut ends, mut starts): (Vec<usize>, _) = (Vec::new(), vec![0; sizes.len()]);
    for history in order {
        let row = ends.iter().position(|end| end + sizes[history] <= time).unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(0);
        }
        starts[history] = row * time + ends[row];
        ends[row] += sizes[history];
    }
    (ends.len(), starts)
}

impl SasRec {
    /// Reads the weights.
    ///
    /// # Errors
    /// A configuration that is refused, weights that are missing or of another shape.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        cfg.validate()?;
        let (size, norm) = (cfg.hidden_units, cfg.norm()?);
        // Xavier's, as the reference begins
        let stdev = |rows: usize| (2. / (rows + size) as f64).sqrt();
        let rows = cfg.item_num + 1;
        let items = Embedding::new(rows, size, stdev(rows), vb.pp("item_emb"))?;
        let places = vb.pp("pos_emb");
        // a new net has a row for padding
        let with_padding = Embedding::new(cfg.maxlen + 1, size, stdev(cfg.maxlen + 1), places.clone());
        let (positions, zeroed) = match with_padding {
            Ok(table) => (table, false),
            Err(why) => match Embedding::new(cfg.maxlen, size, 0., places) {
                Ok(table) => (table, true),
                Err(_) => return Err(why),
            },
        };
        let blocks = (0..cfg.num_blocks).map(|i| Block::new(cfg, norm, i, &vb)).collect::<Result<_>>()?;
        let last_norm = LayerNorm::new(size, EPSILON, vb.pp("last_layernorm"))?;
        Ok(Self { items, positions, blocks, last_norm, cfg: cfg.clone(), norm, zeroed })
    }

    /// A net with random weights, and its variables.
    ///
    /// # Errors
    /// A configuration that is refused.
    pub fn init(cfg: &Config, seed: u64, device: &Device) -> Result<(Self, VarMap)> {
        let vars = VarMap::new();
        let net = Self::new(cfg, crate::layers::init::seeded(&vars, seed, device))?;
        Ok((net, vars))
    }

    /// What shapes it.
    pub fn config(&self) -> &Config {
        &self.cfg
    }

    /// Histories of items from 1 on, of which the last `maxlen` are seen.
    ///
    /// # Errors
    /// An item that the net does not have.
    pub fn histories(&self, histories: &[&[u32]], device: &Device) -> Result<Histories> {
        let most = self.cfg.maxlen;
        let seen: Vec<&[u32]> =
            histories.iter().map(|history| &history[history.len() - history.len().min(most)..]).collect();
        if let Some(item) =
            seen.iter().flat_map(|items| *items).find(|&&id| id == 0 || id as usize > self.cfg.item_num)
        {
            refuse!("item {item} is not in 1 to {}", self.cfg.item_num);
        }
        let lengths: Vec<usize> = seen.iter().map(|items| items.len()).collect();
        // with a place of padding in front of each
        let sizes: Vec<usize> = lengths.iter().map(|length| 1 + length).collect();
        let time = sizes.iter().copied().max().unwrap_or(1);
        let (rows, starts) = packed(&sizes, time);
        let first_position = if self.zeroed { 0 } else { 1 };
        let mut items = vec![0u32; rows * time];
        let mut positions = vec![if self.zeroed { Embedding::NOTHING } else { 0 }; rows * time];
        let mut there = vec![0f32; rows * time];
        // alone in its row a history hides its padding at most, since what lies behind is not seen
        let alone = rows == seen.len();
        let mut mask =
            if alone { vec![0f32; rows * time] } else { vec![f32::NEG_INFINITY; rows * time * time] };
        for (history, &start) in seen.iter().zip(&starts) {
            let places = start + 1..start + 1 + history.len();
            items[places.clone()].copy_from_slice(history);
            there[places.clone()].fill(1.);
            for (place, position) in positions[places].iter_mut().enumerate() {
                *position = (most - history.len() + place + first_position) as u32;
            }
            let padding = match self.cfg.padding {
                _ if history.len() >= most => f32::NEG_INFINITY,
                Padding::Attended => ((most - history.len()) as f32).ln(),
                Padding::Masked => NOTHING,
            };
            if alone {
                mask[start] = padding;
                continue;
            }
            for query in start..=start + history.len() {
                let mask = &mut mask[query * time + start % time..][..=query - start];
                mask.fill(0.);
                mask[0] = padding;
            }
        }
        let tensor = |values: Vec<u32>| Tensor::from_vec(values, (rows, time), device);
        let queries = if alone { 1 } else { time };
        Ok(Histories {
            items: tensor(items)?,
            positions: tensor(positions)?,
            mask: Tensor::from_vec(mask, (rows, 1, queries, time), device)?,
            there: Tensor::from_vec(there, (rows, time, 1), device)?,
            lengths,
            starts,
        })
    }

    /// What the net makes of each place of histories: (rows * time, size).
    fn forward(&self, histories: &Histories, dropout: &Dropout) -> Result<Tensor> {
        let size = self.cfg.hidden_units;
        let items = (self.items.forward(&histories.items)? * (size as f64).sqrt())?;
        let positions = self.positions.forward_sum(&histories.positions.unsqueeze(2)?)?;
        let clear = |xs: Tensor| if self.zeroed { xs.broadcast_mul(&histories.there) } else { Ok(xs) };
        let mut xs = clear(dropout.apply(&sum(&items, &positions)?, 0)?)?;
        for (i, block) in self.blocks.iter().enumerate() {
            xs = clear(block.forward(&xs, &histories.mask, self.norm, (dropout, 1 + 3 * i as u64))?)?;
        }
        reshape(&self.last_norm.forward(&xs)?, (histories.items.elem_count(), size))
    }

    /// What the net expects after each history: (batch, size), whose products with the items' rows are their scores. Where a
    /// history is empty it is zero, as nothing is known.
    ///
    /// # Errors
    /// Those of the operators.
    pub fn after(&self, histories: &Histories) -> Result<Tensor> {
        let xs = self.forward(histories, &Dropout::NONE)?;
        let xs = xs.index_select(&Tensor::new(histories.last(), xs.device())?, 0)?;
        let some: Vec<f32> =
            histories.lengths.iter().map(|&length| if length > 0 { 1. } else { 0. }).collect();
        xs.broadcast_mul(&Tensor::from_vec(some, (histories.len(), 1), xs.device())?)
    }

    /// The rows of all items, (items, size), the first at place 0.
    ///
    /// # Errors
    /// None on a net in plain numbers.
    pub fn items(&self) -> Result<Tensor> {
        self.items.weight()?.narrow(0, 1, self.cfg.item_num)
    }

    /// The loss of what came after each item of the histories, in their order: `ids` (items, 1 + drawn) has what came, then
    /// what was drawn against it. `power` is 1 for SASRec, and that of [`power`] for gSASRec.
    ///
    /// # Errors
    /// On another number of rows.
    pub fn loss(&self, histories: &Histories, ids: &Tensor, power: f64, dropout: &Dropout) -> Result<Tensor> {
        let xs = self.forward(histories, dropout)?;
        let places = Tensor::new(histories.places(), xs.device())?;
        let xs = kernels::embedding::embedding(&places, &xs)?;
        chosen_against_drawn(&xs, &self.items.weight()?, ids, power)
    }
}

/// gSASRec's power of the chosen item's probability, for `drawn` of `items` items and its calibration `t` from 0 (that of
/// SASRec) to 1 (none is overrated).
pub fn power(items: usize, drawn: usize, t: f64) -> f64 {
    let share = drawn as f64 / (items.max(2) - 1) as f64;
    let share = share.min(1.);
    share * (t * (1. - 1. / share) + 1. / share)
}

struct Block {
    attention_norm: LayerNorm,
    in_weight: Tensor,
    in_bias: Tensor,
    out: Linear,
    forward_norm: LayerNorm,
    convs: [Pointwise; 2],
    heads: usize,
}

/// A convolution of width one: weight (out, in, 1), bias.
struct Pointwise(Tensor, Tensor);

impl Pointwise {
    fn new(size: usize, stdev: f64, vb: VarBuilder) -> Result<Self> {
        let weight = vb.get_with_hints((size, size, 1), "weight", Init::Randn { mean: 0., stdev })?;
        Ok(Self(weight, vb.get_with_hints(size, "bias", Init::Const(0.))?))
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let size = self.1.dim(0)?;
        linear(xs, &reshape(&self.0, (size, size))?, Some(&self.1))
    }
}

impl Block {
    fn new(cfg: &Config, norm: Norm, i: usize, vb: &VarBuilder) -> Result<Self> {
        let (size, inner) = (cfg.hidden_units, vb.pp("attention_layers").pp(i));
        let stdev = (1. / size as f64).sqrt();
        let init = Init::Randn { mean: 0., stdev: stdev * if norm == Norm::Query { 0.7 } else { 1. } };
        let layer = vb.pp("forward_layers").pp(i);
        Ok(Self {
            attention_norm: LayerNorm::new(size, EPSILON, vb.pp("attention_layernorms").pp(i))?,
            in_weight: inner.get_with_hints((3 * size, size), "in_proj_weight", init)?,
            in_bias: inner.get_with_hints(3 * size, "in_proj_bias", Init::Const(0.))?,
            out: Linear::new(size, size, true, stdev, inner.pp("out_proj"))?,
            forward_norm: LayerNorm::new(size, EPSILON, vb.pp("forward_layernorms").pp(i))?,
            convs: [
                Pointwise::new(size, stdev, layer.pp("conv1"))?,
                Pointwise::new(size, stdev, layer.pp("conv2"))?,
            ],
            heads: cfg.num_heads,
        })
    }

    // `dropout` is numbered by the first of the block's three places
    fn forward(&self, xs: &Tensor, mask: &Tensor, norm: Norm, dropout: (&Dropout, u64)) -> Result<Tensor> {
        let (dropout, site) = dropout;
        match norm {
            Norm::Query => {
                let queries = self.attention_norm.forward(xs)?;
                let ys = self.attend(&queries, xs, mask, (dropout, site))?;
                let xs = self.forward_norm.forward(&sum(&ys, &queries)?)?;
                dropout.apply_sum(&self.feed(&xs, dropout, site + 1)?, &xs, site + 2)
            }
            Norm::Pre => {
                let ys = self.attention_norm.forward(xs)?;
                let xs = sum(&self.attend(&ys, &ys, mask, (dropout, site))?, xs)?;
                let ys = self.feed(&self.forward_norm.forward(&xs)?, dropout, site + 1)?;
                dropout.apply_sum(&ys, &xs, site + 2)
            }
            Norm::Post => {
                let ys = sum(&self.attend(xs, xs, mask, (dropout, site))?, xs)?;
                let xs = self.attention_norm.forward(&ys)?;
                let ys = dropout.apply_sum(&self.feed(&xs, dropout, site + 1)?, &xs, site + 2)?;
                self.forward_norm.forward(&ys)
            }
        }
    }

    // `dropout` is of the weights, as in the paper's code and the reference
    fn attend(
        &self,
        queries: &Tensor,
        xs: &Tensor,
        mask: &Tensor,
        (dropout, site): (&Dropout, u64),
    ) -> Result<Tensor> {
        let (batch, time, size) = xs.dims3()?;
        let head = |ys: &Tensor| reshape(ys, (batch, time, self.heads, size / self.heads));
        let map = |xs: &Tensor, first: usize, count: usize| {
            let weight = self.in_weight.narrow(0, first, count)?;
            linear(xs, &weight, Some(&self.in_bias.narrow(0, first, count)?))
        };
        let q = map(queries, 0, size)?;
        let both = map(xs, size, 2 * size)?;
        let (k, v) = (part(&both, 0, size)?.contiguous()?, part(&both, size, size)?.contiguous()?);
        let options = Options { mask: Some(mask), dropout: Some((*dropout, site)), ..Options::causal() };
        let ys = attention(&head(&q)?, &head(&k)?, &head(&v)?, &options)?;
        self.out.forward(&reshape(&ys, (batch, time, size))?)
    }

    fn feed(&self, xs: &Tensor, dropout: &Dropout, site: u64) -> Result<Tensor> {
        let [first, second] = &self.convs;
        second.forward(&relu(&dropout.apply(&first.forward(xs)?, site)?)?)
    }
}
