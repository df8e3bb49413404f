//! The flow between latents that a text makes and those that the decoder hears: couplings, each of which moves half of
//! the channels by what a net makes of the other half (Dinh, Sohl-Dickstein and Bengio, 2017).

use super::Config;
use crate::layers::conv::{Conv1d, Options};
use crate::vars::VarBuilder;
use candle_core::{D, Result, Tensor};
use kernels::activations::{sigmoid_mul, tanh};

/// Couplings in the order in which they speak.
pub struct Flow {
    couplings: Vec<Coupling>,
    /// Channels from the last to the first.
    backwards: Tensor,
}

struct Coupling {
    pre: Conv1d,
    wavenet: WaveNet,
    post: Conv1d,
}

impl Flow {
    pub fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let couplings = (0..cfg.prior_encoder_num_flows).rev();
        let backwards: Vec<u32> = (0..cfg.flow_size as u32).rev().collect();
        Ok(Self {
            couplings: couplings.map(|i| Coupling::new(cfg, vb.pp("flows").pp(i))).collect::<Result<_>>()?,
            backwards: Tensor::new(backwards, vb.device())?,
        })
    }

    /// Latents (1, channels, frames) and a speaker's vector (1, size, 1) to the latents that are heard.
    pub fn forward(&self, latents: &Tensor, speaker: Option<&Tensor>) -> Result<Tensor> {
        let mut xs = latents.clone();
        for coupling in &self.couplings {
            xs = coupling.undo(&xs.index_select(&self.backwards, 1)?, speaker)?;
        }
        Ok(xs)
    }
}

impl Coupling {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (half, size) = (cfg.flow_size / 2, cfg.hidden_size);
        Ok(Self {
            pre: Conv1d::new(half, size, [1], Options::default(), true, vb.pp("conv_pre"))?,
            wavenet: WaveNet::new(cfg, vb.pp("wavenet"))?,
            post: Conv1d::new(size, half, [1], Options::default(), true, vb.pp("conv_post"))?,
        })
    }

    fn undo(&self, xs: &Tensor, speaker: Option<&Tensor>) -> Result<Tensor> {
        let halves = xs.chunk(2, 1)?;
        let [kept, moved] = [&halves[0], &halves[1]];
        let by = self.post.forward(&self.wavenet.forward(&self.pre.forward(kept)?, speaker)?)?;
        Tensor::cat(&[kept, &(moved - by)?], 1)
    }
}

/// Gated convolutions with what each gives to the next and to the sum of all (van den Oord et al., 2016).
struct WaveNet {
    /// Of a speaker's vector, what is added in each layer: (layers * 2 size) channels.
    speaker: Option<Conv1d>,
    layers: Vec<Layer>,
    size: usize,
}

struct Layer {
    gates: Conv1d,
    /// To the next layer's inputs and to the sum; the last to the sum alone.
    out: Conv1d,
}

impl WaveNet {
    fn new(cfg: &Config, vb: VarBuilder) -> Result<Self> {
        let (size, kernel) = (cfg.hidden_size, cfg.wavenet_kernel_size);
        let dilations = cfg.dilations();
        let last = dilations.len() - 1;
        let layer = |(i, dilation): (usize, &usize)| {
            let options = Options { dilation: [*dilation], ..Options::new(1, dilation * (kernel - 1) / 2) };
            let outputs = if i == last { size } else { 2 * size };
            let (gates, out) = (vb.pp("in_layers").pp(i), vb.pp("res_skip_layers").pp(i));
            Ok(Layer {
                gates: Conv1d::new(size, 2 * size, [kernel], options, true, gates)?,
                out: Conv1d::new(size, outputs, [1], Options::default(), true, out)?,
            })
        };
        let (vector, wide) = (cfg.speaker_embedding_size, 2 * size * dilations.len());
        let speaker = || Conv1d::new(vector, wide, [1], Options::default(), true, vb.pp("cond_layer"));
        Ok(Self {
            speaker: (vector > 0).then(speaker).transpose()?,
            layers: dilations.iter().enumerate().map(layer).collect::<Result<_>>()?,
            size,
        })
    }

    /// (1, size, frames) to the same shape.
    fn forward(&self, xs: &Tensor, speaker: Option<&Tensor>) -> Result<Tensor> {
        let size = self.size;
        let shifts = match (&self.speaker, speaker) {
            (Some(map), Some(vector)) => Some(map.forward(vector)?.squeeze(D::Minus1)?),
            _ => None,
        };
        // inputs of the next layer above the sum: one convolution with a residual adds to both
        let mut state = Tensor::cat(&[xs, &xs.zeros_like()?], 1)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let inputs = state.narrow(1, 0, size)?;
            let gates = match &shifts {
                Some(shifts) => {
                    layer.gates.forward_shifted(&inputs, &shifts.narrow(1, 2 * i * size, 2 * size)?)?
                }
                None => layer.gates.forward(&inputs)?,
            };
            let halves = gates.chunk(2, 1)?;
            let gated = sigmoid_mul(&halves[1], &tanh(&halves[0])?)?;
            let before = if i + 1 == self.layers.len() { state.narrow(1, size, size)? } else { state };
            state = layer.out.forward_with(&gated, &around(&before))?;
        }
        Ok(state)
    }
}

fn around(residual: &Tensor) -> kernels::conv::Around<'_> {
    kernels::conv::Around { residual: Some(residual), ..Default::default() }
}
