//! How long each id is spoken: foretold by convolutions, or drawn by a flow from noise.
//!
//! Both give logarithms of frames, (1, 1, ids). Of the flow only what speaks is here, not what learns: its last spline
//! that meets noise alone is left out, as everywhere, and the net that guesses noise from known durations is not read.

use super::Config;
use super::separable::Separable;
use super::spline::invert;
use crate::layers::conv::{Conv1d, Options};
use crate::layers::norm::LayerNorm;
use crate::random::Generator;
use crate::vars::VarBuilder;
use candle_core::{D, Result, Tensor};
use candle_nn::Init;
use kernels::activations::relu;
use kernels::reorder::swap;

/// Either predictor, and what of a speaker's vector is added to the text's states.
pub struct DurationPredictor {
    speaker: Option<Conv1d>,
    kind: Kind,
}

enum Kind {
    Plain(Plain),
    Flow(Flow),
}

impl DurationPredictor {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, vector) = (cfg.hidden_size, cfg.speaker_embedding_size);
        let speaker = (vector > 0).then(|| pointwise(vector, size, vb.pp("cond"))).transpose()?;
        let kind = match cfg.use_stochastic_duration_prediction {
            true => Kind::Flow(Flow::new(cfg, vb)?),
            false => Kind::Plain(Plain::new(cfg, vb)?),
        };
        Ok(Self { speaker, kind })
    }

    /// States of the text (1, size, ids), and a speaker's vector (1, size, 1) where one speaks. The flow draws two numbers
    /// an id, even where its noise is multiplied with 0.
    pub fn forward(
        &self,
        states: &Tensor,
        speaker: Option<&Tensor>,
        noise: f64,
        random: &mut Generator,
    ) -> Result<Tensor> {
        let shift = match (&self.speaker, speaker) {
            (Some(map), Some(vector)) => Some(map.forward(vector)?),
            _ => None,
        };
        match &self.kind {
            Kind::Plain(plain) => match shift {
                Some(shift) => plain.forward(&states.broadcast_add(&shift)?),
                None => plain.forward(states),
            },
            Kind::Flow(flow) => flow.forward(states, shift.as_ref(), noise, random),
        }
    }
}

fn pointwise(inputs: usize, outputs: usize, vb: VarBuilder) -> Result<Conv1d> {
    Conv1d::new(inputs, outputs, [1], Options::default(), true, vb)
}

/// Two convolutions and a map to one number.
struct Plain {
    layers: [(Conv1d, LayerNorm); 2],
    proj: Conv1d,
}

impl Plain {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (kernel, inner) = (cfg.duration_predictor_kernel_size, cfg.duration_predictor_filter_channels);
        let layer = |inputs: usize, conv: &str, norm: &str| {
            let conv = Conv1d::new(inputs, inner, [kernel], Options::new(1, kernel / 2), true, vb.pp(conv))?;
            Ok::<_, candle_core::Error>((conv, LayerNorm::new(inner, cfg.layer_norm_eps, vb.pp(norm))?))
        };
        let layers = [layer(cfg.hidden_size, "conv_1", "norm_1")?, layer(inner, "conv_2", "norm_2")?];
        Ok(Self { layers, proj: pointwise(inner, 1, vb.pp("proj"))? })
    }

    fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let mut xs = states.clone();
        for (conv, norm) in &self.layers {
            xs = swap(&norm.forward(&swap(&relu(&conv.forward(&xs)?)?)?)?)?;
        }
        self.proj.forward(&xs)
    }
}

/// Noise of two channels to durations and nothing, by splines that the text shapes.
struct Flow {
    pre: Conv1d,
    separable: Separable,
    proj: Conv1d,
    /// What is added to and multiplied with either channel last, (2, 1) each.
    translate: Tensor,
    log_scale: Tensor,
    /// In the order in which they speak.
    splines: Vec<Spline>,
}

impl Flow {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, flows) = (cfg.hidden_size, vb.pp("flows"));
        let affine = |name: &str| flows.pp(0).get_with_hints((2, 1), name, Init::Const(0.));
        let splines = (2..=cfg.duration_predictor_num_flows).rev();
        Ok(Self {
            pre: pointwise(size, size, vb.pp("conv_pre"))?,
            separable: Separable::new(cfg, vb.pp("conv_dds"))?,
            proj: pointwise(size, size, vb.pp("conv_proj"))?,
            translate: affine("translate")?,
            log_scale: affine("log_scale")?,
            splines: splines.map(|i| Spline::new(cfg, flows.pp(i))).collect::<Result<_>>()?,
        })
    }

    fn forward(
        &self,
        states: &Tensor,
        shift: Option<&Tensor>,
        noise: f64,
        random: &mut Generator,
    ) -> Result<Tensor> {
        let ids = states.dim(D::Minus1)?;
        let xs = match shift {
            Some(shift) => self.pre.forward_shifted(states, &shift.squeeze(D::Minus1)?)?,
            None => self.pre.forward(states)?,
        };
        let text = self.proj.forward(&self.separable.forward(&xs)?)?;
        let drawn: Vec<f32> = random.randn(2 * ids).iter().map(|x| x * noise as f32).collect();
        let (first, second) = drawn.split_at(ids);
        let mut halves = [first.to_vec(), second.to_vec()];
        for spline in &self.splines {
            halves.swap(0, 1);
            let [kept, changed] = &mut halves;
            spline.invert(kept, changed, &text)?;
        }
        halves.swap(0, 1);
        let (translate, log_scale) = (self.translate.to_vec2::<f32>()?, self.log_scale.to_vec2::<f32>()?);
        let last = halves[0].iter().map(|x| (x - translate[0][0]) * (-log_scale[0][0]).exp());
        Tensor::from_vec(last.collect(), (1, 1, ids), states.device())
    }
}

/// A coupling: one channel and the text shape the spline that changes the other.
struct Spline {
    pre: Conv1d,
    separable: Separable,
    proj: Conv1d,
    pieces: usize,
    bound: f64,
    /// What widths and heights are divided by.
    scale: f32,
}

impl Spline {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, pieces) = (cfg.hidden_size, cfg.duration_predictor_flow_bins);
        Ok(Self {
            pre: pointwise(1, size, vb.pp("conv_pre"))?,
            separable: Separable::new(cfg, vb.pp("conv_dds"))?,
            proj: pointwise(size, 3 * pieces - 1, vb.pp("conv_proj"))?,
            pieces,
            bound: cfg.duration_predictor_tail_bound,
            scale: (size as f32).sqrt(),
        })
    }

    fn invert(&self, kept: &[f32], changed: &mut [f32], text: &Tensor) -> Result<()> {
        let kept = Tensor::from_slice(kept, (1, 1, kept.len()), text.device())?;
        let shape = self.proj.forward(&self.separable.forward(&(self.pre.forward(&kept)? + text)?)?)?;
        for (value, numbers) in changed.iter_mut().zip(shape.squeeze(0)?.t()?.to_vec2::<f32>()?) {
            let (sizes, slopes) = numbers.split_at(2 * self.pieces);
            let sizes: Vec<f32> = sizes.iter().map(|size| size / self.scale).collect();
            let (widths, heights) = sizes.split_at(self.pieces);
            *value = invert(*value, [widths, heights, slopes], self.bound);
        }
        Ok(())
    }
}
