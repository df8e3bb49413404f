//! Learning from a user's music: pieces -> windows of tokens -> `training`.

use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use models::layers::dropout::Dropout;
use models::layers::init;
use models::layers::loss::{IGNORED, cross_entropy};
use models::nets::llama::{Config, OneOrMany};
use training::{Fitted, Loss, Options, Progress, Rng, Task, fit};

use crate::corpus::{Corpus, Example};
use crate::grammar::Range;
use crate::net::{Input, Inputs, Net, inputs};
use crate::view::Shown;
use crate::vocabulary::{self, PERCUSSION, Token};

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
    base: Option<models::vars::VarBuilder>,
    folder: &Path,
    device: &Device,
    on_step: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> training::Result<Fitted> {
    let (net, vars) = match base {
        Some(weights) => {
            let vars = candle_nn::VarMap::new();
            (Net::new(&plan.config, init::trainable(&vars, weights))?, vars)
        }
        None => Net::init(&plan.config, plan.options.seed, device)?,
    };
    let vars = init::sorted(&vars);
    let mut task = Music::new(&net, corpus, plan, device);
    fit(&vars, &plan.options, Some(folder), &mut task, on_step)
}

struct Music<'a> {
    net: &'a Net,
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
    fn new(net: &'a Net, corpus: &'a Corpus, plan: &'a Plan, device: &'a Device) -> Self {
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
                let view = example.piece.view(&example.choices);
                let first = rng.below(view.ending(context + 1) + 1);
                Window::of(&view.window(&example.piece, first, context + 1))
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

    /// A style by its share.
    fn draw_style(&self, rng: &mut Rng) -> usize {
        let share = |style: usize| self.plan.shares.get(style).copied().unwrap_or(1.0);
        let weight = |style: usize| if self.by_style[style].is_empty() { 0.0 } else { share(style) };
        pick(rng, (0..self.by_style.len()).map(weight))
    }

    /// A piece by its length, a transposition that the style's ranges allow, and a place: often the beginning
    /// or the end, else any bar from which the window is full.
    fn draw(&self, style: usize, rng: &mut Rng) -> Window {
        let pieces = &self.by_style[style];
        let context = self.context();
        // A piece that no window can hold whole is worth as many draws as it has windows.
        let length = |example: &Example| (example.length as f64 / context as f64).max(1.0);
        let example = pieces[pick(rng, pieces.iter().map(|example| length(example)))];
        let shifts = example.piece.transposable(&self.ranges[style]);
        let piece = example.piece.transposed(shifts[rng.below(shifts.len())]);
        let view = piece.view(&example.choices);
        // The beginning and the end of a piece have rules of their own: each is shown more often.
        let last = view.ending(context + 1);
        let first = match rng.uniform() {
            place if place < 0.2 => 0,
            place if place < 0.4 => last,
            _ => rng.below(last + 1),
        };
        let window = view.window(&piece, first, context + 1);
        // Drums have no key.
        let drums = piece.programs().contains(&PERCUSSION);
        let semitones = if drums { 0 } else { MOVES[rng.below(MOVES.len())] };
        Window::of(&window.into_iter().map(|shown| shown.moved(semitones)).collect::<Vec<_>>())
    }
}

/// Semitones by which the pitches of windows are moved: a few hundred pieces would else be learned by heart. One
/// in three stays where pieces are composed.
const MOVES: [i32; 16] = [0, 0, 0, 0, 0, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6];

impl Task for Music<'_> {
    fn fingerprint(&self) -> String {
        let pieces: Vec<String> = (self.corpus.styles.styles.iter().zip(&self.by_style))
            .map(|(style, examples)| format!("{} {}", examples.len(), style.name))
            .collect();
        let cfg = &self.plan.config;
        let (layers, width, context) = (cfg.num_hidden_layers, cfg.hidden_size, cfg.max_position_embeddings);
        let tokens: usize = self.corpus.train.iter().map(|example| example.piece.len()).sum();
        let base = self.plan.base.as_deref().map_or(String::new(), |base| format!(", from {:.12}", base));
        let tokens_of = self.corpus.train.iter().flat_map(|example| example.piece.tokens());
        format!(
            "{} pieces, {tokens} tokens {:016x}, {layers} layers of {width}, context {context}, batch {}, dropout {}, \
             shares {:?}{base}",
            pieces.join(", "),
            training::hash(tokens_of.map(|token| token.id() as u64)),
            self.plan.batch,
            self.plan.dropout,
            self.plan.shares
        )
    }

    fn loss(&self, rng: &mut Rng, step: u64, micro: usize) -> candle_core::Result<Loss> {
        // One style a batch: its pieces are of like length, and short rows are filled up in vain.
        let style = self.draw_style(rng);
        let windows: Vec<Window> = (0..self.plan.batch).map(|_| self.draw(style, rng)).collect();
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
    net: &Net,
    windows: &[Window],
    dropout: &Dropout,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let time = windows.iter().map(|window| window.inputs.len()).max().unwrap_or(1);
    let rows: Vec<&[Input]> = windows.iter().map(|window| window.inputs.as_slice()).collect();
    let padded = |window: &Window| {
        let mut targets = window.targets.clone();
        targets.resize(time, IGNORED);
        targets
    };
    let targets: Vec<u32> = windows.iter().flat_map(padded).collect();
    let logits = net.forward_train(&Inputs::new(&rows, device)?, dropout)?;
    cross_entropy(&logits, &Tensor::from_vec(targets, (windows.len(), time), device)?)
}

/// What the net is shown at once: each input with the token that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// What the net takes.
    pub inputs: Vec<Input>,
    /// The next token of each input; [`IGNORED`] where the net is not asked: in a header that it was given,
    /// and where the grammar leaves no choice.
    pub targets: Vec<u32>,
}

impl Window {
    /// The window of shown tokens, the last of which is foretold only.
    pub fn of(shown: &[Shown]) -> Window {
        let target = |shown: &Shown| if shown.chosen { shown.token.id() } else { IGNORED };
        Window { inputs: inputs(shown), targets: shown.iter().skip(1).map(target).collect() }
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
