//! Learning from a user's music: pieces -> windows of tokens -> `training`.

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use models::layers::dropout::Dropout;
use models::layers::init;
use models::layers::loss::{IGNORED, cross_entropy};
use models::nets::llama::{Config, Llama, OneOrMany};
use training::{Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::corpus::{Corpus, Example, fnv};
use crate::encode::Encoded;
use crate::grammar::Range;
use crate::vocabulary::{self, Token};

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

impl Default for Shape {
    /// 3.2 million parameters, about nine bars of four voices.
    fn default() -> Self {
        Shape { width: 256, layers: 4, context: 512 }
    }
}

impl Shape {
    /// The net's configuration, as it will stand in `config.json`.
    pub fn config(&self) -> Config {
        Config {
            vocab_size: vocabulary::SIZE,
            hidden_size: self.width,
            // 8/3 of the width, as SwiGLU has three matrices, on a multiple of 32
            intermediate_size: (self.width * 8 / 3).next_multiple_of(32),
            num_hidden_layers: self.layers,
            num_attention_heads: (self.width / 64).max(1),
            num_key_value_heads: Some((self.width / 64).max(1)),
            max_position_embeddings: self.context,
            tie_word_embeddings: true,
            bos_token_id: Some(Token::Begin.id()),
            eos_token_id: Some(OneOrMany::One(Token::End.id())),
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
    /// How often each style is shown, in the order of the styles; equal shares where empty.
    pub shares: Vec<f64>,
    /// What the weights to start from hash to, where there are any: a run goes on only from its own base.
    pub base: Option<String>,
    /// Length, rate and the like.
    pub options: Options,
}

/// Fits a net to a corpus, going on from the checkpoint in `folder` where there is one. `base` holds the
/// weights to start from.
///
/// # Errors
/// What `training::fit` refuses, and shapes that do not fit the base.
pub fn train(
    corpus: &Corpus,
    plan: &Plan,
    base: Option<candle_nn::VarBuilder>,
    folder: &Path,
    device: &Device,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> training::Result<Fitted> {
    let (net, vars) = match base {
        Some(weights) => {
            let vars = candle_nn::VarMap::new();
            (Llama::new(&plan.config, init::trainable(&vars, weights))?, vars)
        }
        None => Llama::init(&plan.config, plan.options.seed, device)?,
    };
    let vars = init::sorted(&vars);
    let mut task = Music::new(&net, corpus, plan, device);
    fit(&vars, &plan.options, Some(folder), &mut task, on_step)
}

struct Music<'a> {
    net: &'a Llama,
    corpus: &'a Corpus,
    plan: &'a Plan,
    device: &'a Device,
    by_style: Vec<Vec<&'a Example>>,
    ranges: Vec<Vec<Range>>,
    held_out: Vec<Vec<Window>>,
}

/// Windows of held-out pieces that a look at the loss takes, for each style.
const HELD_OUT_WINDOWS: usize = 32;

impl<'a> Music<'a> {
    fn new(net: &'a Llama, corpus: &'a Corpus, plan: &'a Plan, device: &'a Device) -> Self {
        let styles = &corpus.styles.styles;
        let of_style = |examples: &'a [Example], style| -> Vec<&'a Example> {
            examples.iter().filter(|example| example.style == style).collect()
        };
        let context = plan.config.max_position_embeddings;
        let held_out = (0..styles.len()).map(|style| {
            let pieces = of_style(&corpus.held_out, style);
            let mut rng = Rng::new(0);
            let chosen = (0..pieces.len().min(HELD_OUT_WINDOWS)).map(|index| {
                let example = &pieces[index * pieces.len() / pieces.len().min(HELD_OUT_WINDOWS)];
                Window::of(&example.piece, &example.choices, rng.below(example.piece.bars.len()), context)
            });
            chosen.collect()
        });
        Music {
            net,
            corpus,
            plan,
            device,
            by_style: (0..styles.len()).map(|style| of_style(&corpus.train, style)).collect(),
            ranges: styles.iter().map(|style| style.ranges()).collect(),
            held_out: held_out.collect(),
        }
    }

    fn context(&self) -> usize {
        self.plan.config.max_position_embeddings
    }

    /// A style by its share, a piece by its length, a transposition that the style's ranges allow, and a
    /// place: often the beginning, else any bar from which the window is full.
    fn draw(&self, rng: &mut Rng) -> Window {
        let share = |style: usize| self.plan.shares.get(style).copied().unwrap_or(1.0);
        let weight = |style: usize| if self.by_style[style].is_empty() { 0.0 } else { share(style) };
        let style = pick(rng, (0..self.by_style.len()).map(weight));
        let pieces = &self.by_style[style];
        let context = self.context();
        // A piece that no window can hold whole is worth as many draws as it has windows.
        let length = |example: &Example| (example.piece.len() as f64 / context as f64).max(1.0);
        let example = pieces[pick(rng, pieces.iter().map(|example| length(example)))];
        let piece = &example.piece;
        let shifts = piece.transposable(&self.ranges[style]);
        let shift = shifts[rng.below(shifts.len())];
        let mut last_full = piece.bars.len();
        let mut tokens = piece.header.len();
        while last_full > 0 && tokens < context {
            last_full -= 1;
            tokens += piece.bars[last_full].len();
        }
        let first = if rng.uniform() < 0.2 { 0 } else { rng.below(last_full + 1) };
        Window::of(&piece.transposed(shift), &example.choices, first, context)
    }
}

impl Task for Music<'_> {
    fn fingerprint(&self) -> String {
        let pieces: Vec<String> = (self.corpus.styles.styles.iter().zip(&self.by_style))
            .map(|(style, examples)| format!("{} {}", examples.len(), style.name))
            .collect();
        let cfg = &self.plan.config;
        let (layers, width, context) = (cfg.num_hidden_layers, cfg.hidden_size, cfg.max_position_embeddings);
        let tokens: usize = self.corpus.train.iter().map(|example| example.piece.len()).sum();
        let base = self.plan.base.as_deref().map_or(String::new(), |base| format!(", from {:.12}", base));
        format!(
            "{} pieces, {tokens} tokens {:016x}, {layers} layers of {width}, context {context}, batch {}, dropout {}, \
             shares {:?}{base}",
            pieces.join(", "),
            fnv(self
                .corpus
                .train
                .iter()
                .flat_map(|example| example.piece.tokens())
                .map(|token| token.id() as u64)),
            self.plan.batch,
            self.plan.dropout,
            self.plan.shares
        )
    }

    fn loss(&mut self, rng: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss> {
        let windows: Vec<Window> = (0..self.plan.batch).map(|_| self.draw(rng)).collect();
        let items = windows.iter().map(|window| window.counted()).sum();
        let pass = step * self.plan.options.micro_batches as u64 + micro as u64;
        let dropout = Dropout { rate: self.plan.dropout, seed: self.plan.options.seed, step: pass };
        Ok(Loss { value: batch_loss(self.net, &windows, &dropout, self.device)?, items })
    }

    /// The mean over the styles, so that a large one does not hide a small one.
    fn held_out(&mut self) -> candle_core::Result<Option<f64>> {
        let mut losses = Vec::new();
        for windows in self.held_out.iter().filter(|windows| !windows.is_empty()) {
            let (mut sum, mut count) = (0.0, 0);
            for chunk in windows.chunks(self.plan.batch) {
                let counted: usize = chunk.iter().map(Window::counted).sum();
                let loss = batch_loss(self.net, chunk, &Dropout::NONE, self.device)?;
                sum += loss.detach().to_scalar::<f32>()? as f64 * counted as f64;
                count += counted;
            }
            losses.push(sum / count.max(1) as f64);
        }
        Ok((!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64))
    }
}

fn batch_loss(
    net: &Llama,
    windows: &[Window],
    dropout: &Dropout,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let time = windows.iter().map(|window| window.inputs.len()).max().unwrap_or(1);
    let row = |values: &[u32], fill: u32| {
        let mut row = values.to_vec();
        row.resize(time, fill);
        row
    };
    let inputs: Vec<u32> = windows.iter().flat_map(|w| row(&w.inputs, Token::Pad.id())).collect();
    let targets: Vec<u32> = windows.iter().flat_map(|w| row(&w.targets, IGNORED)).collect();
    let shape = (windows.len(), time);
    let logits = net.forward_train(&Tensor::from_vec(inputs, shape, device)?, dropout)?;
    cross_entropy(&logits, &Tensor::from_vec(targets, shape, device)?)
}

/// What the net is shown at once: each input with the token that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Token numbers.
    pub inputs: Vec<u32>,
    /// The next token of each input; [`IGNORED`] where the net is not asked: in a header that it was given,
    /// and where the grammar leaves no choice.
    pub targets: Vec<u32>,
}

impl Window {
    /// The window of at most `context` inputs that begins with a bar of the piece, after the header.
    /// `choices` are [`Encoded::choices`] of the piece.
    pub fn of(piece: &Encoded, choices: &[bool], first: usize, context: usize) -> Window {
        let header = piece.header_at(first);
        // Of a header that stands before the first bar all but `Begin` is to be learned.
        let given = if first == 0 { 1 } else { header.len() };
        let before: usize = piece.bars[..first.min(piece.bars.len())].iter().map(Vec::len).sum();
        let bars = piece.bars[first.min(piece.bars.len())..].iter().flatten();
        let ids: Vec<u32> = header.iter().chain(bars).take(context + 1).map(|token| token.id()).collect();
        let asked = |place: usize| match place.checked_sub(header.len()) {
            None => place >= given,
            Some(place) => choices.get(before + place).copied().unwrap_or(false),
        };
        let target = |place: usize| if asked(place) { ids[place] } else { IGNORED };
        let targets = (1..ids.len()).map(target).collect();
        Window { inputs: ids[..ids.len() - 1].to_vec(), targets }
    }

    /// How many of its targets count.
    pub fn counted(&self) -> usize {
        self.targets.iter().filter(|target| **target != IGNORED).count()
    }
}

fn pick(rng: &mut Rng, weights: impl Iterator<Item = f64> + Clone) -> usize {
    let mut left = rng.uniform() * weights.clone().sum::<f64>();
    let mut last = 0;
    for (index, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = index;
            if left < weight {
                return index;
            }
        }
        left -= weight;
    }
    last
}
