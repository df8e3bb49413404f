//! Convolutions from samples to frames and from frames to samples, and the memory between them: SEANet (Tagliasacchi et
//! al., 2020) with long short-term memory.

use super::Config;
use crate::layers::conv::{Conv1d, Options};
use crate::vars::VarBuilder;
use candle_core::{Result, Tensor};
use kernels::conv::Around;
use kernels::lstm::{Lstm, State, lstm};
use kernels::pad::{Edge, elu_pad, pad};
use kernels::reorder::swap;
use kernels::sum::sum;

/// A convolution with what stands beside the ends, after an exponential linear unit or not.
pub struct Convolution {
    conv: Conv1d,
    /// From the first to the last sample that an output sees.
    span: usize,
    stride: usize,
    causal: bool,
    edge: Edge,
    bent: bool,
}

impl Convolution {
    /// Of (inputs, outputs), a kernel, a stride and a dilation.
    fn new(
        cfg: &Config,
        (inputs, outputs): (usize, usize),
        [kernel, stride, dilation]: [usize; 3],
        bent: bool,
        vb: VarBuilder,
    ) -> Result<Self> {
        let options = Options { dilation: [dilation], ..Options::new(stride, 0) };
        Ok(Self {
            conv: Conv1d::new(inputs, outputs, [kernel], options, true, vb.pp("conv"))?,
            span: (kernel - 1) * dilation + 1,
            stride,
            causal: cfg.use_causal_conv,
            edge: cfg.edge()?,
            bent,
        })
    }

    /// (batch, inputs, time) to (batch, outputs, time / stride, rounded up).
    pub fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.forward_with(xs, &Around::default())
    }

    fn forward_with(&self, xs: &Tensor, around: &Around) -> Result<Tensor> {
        let time = xs.dim(2)?;
        let whole = time.next_multiple_of(self.stride) - time;
        let total = self.span.saturating_sub(self.stride);
        let right = if self.causal { 0 } else { total / 2 };
        let sides = (total - right, right + whole);
        let xs = if self.bent { elu_pad(xs, sides, self.edge)? } else { pad(xs, sides, self.edge)? };
        self.conv.forward_with(&xs, around)
    }
}

/// A transposed convolution after an exponential linear unit.
struct Spread {
    conv: Conv1d,
}

impl Spread {
    fn new(cfg: &Config, inputs: usize, ratio: usize, vb: VarBuilder) -> Result<Self> {
        // a kernel twice as wide as the stride makes `ratio` samples too many
        let right = match cfg.use_causal_conv {
            true => (ratio as f64 * cfg.trim_right_ratio).ceil() as usize,
            false => ratio / 2,
        };
        let options = Options { padding: [(ratio - right, right)], ..Options::new(ratio, 0) };
        Ok(Self { conv: Conv1d::transposed(inputs, inputs / 2, [2 * ratio], options, true, vb.pp("conv"))? })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.conv.forward(&elu_pad(xs, (0, 0), Edge::Zero)?)
    }
}

/// Two convolutions around a residual.
struct Block {
    wide: Convolution,
    narrow: Convolution,
    shortcut: Option<Convolution>,
}

impl Block {
    fn new(cfg: &Config, size: usize, dilation: usize, vb: VarBuilder) -> Result<Self> {
        let inner = size / cfg.compress;
        let kernel = [cfg.residual_kernel_size, 1, dilation];
        let shortcut = || Convolution::new(cfg, (size, size), [1; 3], false, vb.pp("shortcut"));
        Ok(Self {
            wide: Convolution::new(cfg, (size, inner), kernel, true, vb.pp("block.1"))?,
            narrow: Convolution::new(cfg, (inner, size), [1; 3], true, vb.pp("block.3"))?,
            shortcut: cfg.use_conv_shortcut.then(shortcut).transpose()?,
        })
    }

    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let residual = match &self.shortcut {
            Some(shortcut) => &shortcut.forward(xs)?,
            None => xs,
        };
        let around = Around { residual: Some(residual), ..Around::default() };
        self.narrow.forward_with(&self.wide.forward(xs)?, &around)
    }
}

/// What one layer of memory has learned.
struct MemoryLayer {
    input: Tensor,
    hidden: Tensor,
    input_bias: Tensor,
    hidden_bias: Tensor,
}

/// Layers of memory around a residual.
pub struct Memory(Vec<MemoryLayer>);

/// What the layers of memory have seen; `Default` is nothing.
#[derive(Clone, Default)]
pub struct Seen(Vec<State>);

impl Memory {
    fn new(cfg: &Config, size: usize, vb: VarBuilder) -> Result<Self> {
        let vb = vb.pp("lstm");
        let layer = |i: usize| {
            let get = |shape: &[usize], name: &str| vb.get(shape, &format!("{name}_l{i}"));
            Ok(MemoryLayer {
                input: get(&[4 * size, size], "weight_ih")?,
                hidden: get(&[4 * size, size], "weight_hh")?,
                input_bias: get(&[4 * size], "bias_ih")?,
                hidden_bias: get(&[4 * size], "bias_hh")?,
            })
        };
        Ok(Self((0..cfg.num_lstm_layers).map(layer).collect::<Result<_>>()?))
    }

    /// (batch, size, time), which follows what was seen, to the same shape.
    pub fn forward(&self, xs: &Tensor, seen: &mut Seen) -> Result<Tensor> {
        let mut ys = swap(xs)?;
        let before = std::mem::take(&mut seen.0);
        for (i, layer) in self.0.iter().enumerate() {
            let weights = Lstm {
                input: &layer.input,
                hidden: &layer.hidden,
                input_bias: Some(&layer.input_bias),
                hidden_bias: Some(&layer.hidden_bias),
            };
            let (next, state) = lstm(&ys, weights, before.get(i))?;
            ys = next;
            seen.0.push(state);
        }
        sum(&swap(&ys)?, xs)
    }
}

/// Samples to frames.
pub struct Encoder {
    first: Convolution,
    /// Residual blocks, and the convolution that makes fewer frames.
    stages: Vec<(Vec<Block>, Convolution)>,
    memory: Memory,
    last: Convolution,
    /// Frames on either side that a frame of `gather` depends on.
    pub reach: usize,
}

impl Encoder {
    /// Reads `layers`.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let mut layers = Layers { vb: vb.pp("layers"), next: 0 };
        let first = Convolution::new(
            cfg,
            (cfg.audio_channels, cfg.num_filters),
            [cfg.kernel_size, 1, 1],
            false,
            layers.next(1),
        )?;
        let (mut stages, mut size, mut reach) = (Vec::new(), cfg.num_filters, 0);
        for &ratio in cfg.upsampling_ratios.iter().rev() {
            let blocks = blocks(cfg, size, &mut layers)?;
            layers.next += 1;
            let down = Convolution::new(cfg, (size, 2 * size), [2 * ratio, ratio, 1], true, layers.next(1))?;
            stages.push((blocks, down));
            size *= 2;
        }
        for &ratio in &cfg.upsampling_ratios {
            reach = reach * ratio + 2 * ratio + blocks_reach(cfg);
        }
        let reach = (reach + cfg.kernel_size).div_ceil(cfg.hop());
        let memory = Memory::new(cfg, size, layers.next(2))?;
        let last = Convolution::new(
            cfg,
            (size, cfg.hidden_size),
            [cfg.last_kernel_size, 1, 1],
            true,
            layers.next(1),
        )?;
        Ok(Self { first, stages, memory, last, reach })
    }

    /// Samples (batch, channels, time) to (batch, size, frames).
    pub fn gather(&self, samples: &Tensor) -> Result<Tensor> {
        let mut xs = self.first.forward(samples)?;
        for (blocks, down) in &self.stages {
            xs = blocks.iter().try_fold(xs, |xs, block| block.forward(&xs))?;
            xs = down.forward(&xs)?;
        }
        Ok(xs)
    }

    /// All frames of `gather` to their vectors (batch, hidden_size, frames).
    pub fn finish(&self, frames: &Tensor) -> Result<Tensor> {
        self.last.forward(&self.memory.forward(frames, &mut Seen::default())?)
    }
}

/// Frames to samples.
pub struct Decoder {
    first: Convolution,
    memory: Memory,
    /// The convolution that makes more samples, and residual blocks.
    stages: Vec<(Spread, Vec<Block>)>,
    last: Convolution,
    /// Frames on either side that a frame's samples depend on in `spread`.
    pub reach: usize,
}

impl Decoder {
    /// Reads `layers`.
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let mut layers = Layers { vb: vb.pp("layers"), next: 0 };
        let mut size = cfg.num_filters << cfg.upsampling_ratios.len();
        let first =
            Convolution::new(cfg, (cfg.hidden_size, size), [cfg.kernel_size, 1, 1], false, layers.next(1))?;
        let memory = Memory::new(cfg, size, layers.next(2))?;
        let mut stages = Vec::new();
        for &ratio in &cfg.upsampling_ratios {
            let up = Spread::new(cfg, size, ratio, layers.next(1))?;
            size /= 2;
            stages.push((up, blocks(cfg, size, &mut layers)?));
            layers.next += 1;
        }
        let last = Convolution::new(
            cfg,
            (size, cfg.audio_channels),
            [cfg.last_kernel_size, 1, 1],
            true,
            layers.next(1),
        )?;
        let mut reach = cfg.last_kernel_size;
        for ratio in cfg.upsampling_ratios.iter().rev() {
            reach = (reach + blocks_reach(cfg)).div_ceil(*ratio) + 1;
        }
        Ok(Self { first, memory, stages, last, reach })
    }

    /// Frames on either side that a frame of `begin` depends on, beside those before it that are remembered.
    pub fn sight(&self) -> usize {
        self.first.span
    }

    /// Vectors (batch, hidden_size, frames) to (batch, size, frames), of which `kept` follow what was seen.
    pub fn begin(&self, vectors: &Tensor, kept: std::ops::Range<usize>, seen: &mut Seen) -> Result<Tensor> {
        let xs = self.first.forward(vectors)?.narrow(2, kept.start, kept.len())?;
        self.memory.forward(&xs.contiguous()?, seen)
    }

    /// (batch, size, frames) to samples (batch, channels, frames * hop).
    pub fn spread(&self, xs: &Tensor) -> Result<Tensor> {
        let mut xs = xs.contiguous()?;
        for (up, blocks) in &self.stages {
            xs = up.forward(&xs)?;
            xs = blocks.iter().try_fold(xs, |xs, block| block.forward(&xs))?;
        }
        self.last.forward(&xs)
    }
}

/// Layers by their numbers, in which activations count too.
struct Layers<'a> {
    vb: VarBuilder<'a>,
    next: usize,
}

impl<'a> Layers<'a> {
    /// The next layer; the one after it comes `step` later.
    fn next(&mut self, step: usize) -> VarBuilder<'a> {
        self.next += step;
        self.vb.pp(self.next - step)
    }
}

fn blocks(cfg: &Config, size: usize, layers: &mut Layers) -> Result<Vec<Block>> {
    let dilation = |i: usize| cfg.dilation_growth_rate.pow(i as u32);
    (0..cfg.num_residual_layers).map(|i| Block::new(cfg, size, dilation(i), layers.next(1))).collect()
}

/// Samples on either side that the blocks of a stage look at.
fn blocks_reach(cfg: &Config) -> usize {
    let dilations = (0..cfg.num_residual_layers).map(|i| cfg.dilation_growth_rate.pow(i as u32));
    dilations.map(|dilation| (cfg.residual_kernel_size - 1) * dilation).sum()
}
