//! `config.json` of VITS.

use crate::layers::transformer::Activation;
use crate::nets::{checks, hifi_gan};
use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of `config.json` that shape the net, under their names there, with transformers' defaults.
///
/// `Config::default()` is MMS-TTS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// `vits`.
    pub model_type: String,
    /// Number of ids.
    pub vocab_size: usize,
    /// Width of the text encoder, of the duration predictors and of the flow's nets.
    pub hidden_size: usize,
    /// Number of blocks of the text encoder.
    pub num_hidden_layers: usize,
    /// Heads of its attention.
    pub num_attention_heads: usize,
    /// Distance up to which its attention knows where a key stands; none where it does not.
    pub window_size: Option<usize>,
    /// Whether the maps of its attention have biases.
    pub use_bias: bool,
    /// Inner width of its feed-forward part.
    pub ffn_dim: usize,
    /// Width of the convolutions in that.
    pub ffn_kernel_size: usize,
    /// What bends it.
    pub hidden_act: String,
    /// Added under the roots of the norms.
    pub layer_norm_eps: f64,
    /// Channels of the latents that the flow makes and the decoder hears.
    pub flow_size: usize,
    /// Whether durations are drawn, by a flow, or foretold.
    pub use_stochastic_duration_prediction: bool,
    /// Number of speakers.
    pub num_speakers: usize,
    /// Width of a speaker's vector; 0 where there is one speaker.
    pub speaker_embedding_size: usize,
    /// Channels before the decoder's first stage.
    pub upsample_initial_channel: usize,
    /// Samples that each of its stages makes of one.
    pub upsample_rates: Vec<usize>,
    /// Widths of its transposed convolutions.
    pub upsample_kernel_sizes: Vec<usize>,
    /// Widths of a stage's residual blocks.
    pub resblock_kernel_sizes: Vec<usize>,
    /// Dilations of each of these blocks' convolutions.
    pub resblock_dilation_sizes: Vec<Vec<usize>>,
    /// Slope of its leaky relus.
    pub leaky_relu_slope: f64,
    /// Channels of the flow that draws durations: 2.
    pub depth_separable_channels: usize,
    /// Layers of its depth-separable convolutions.
    pub depth_separable_num_layers: usize,
    /// Pieces of its splines.
    pub duration_predictor_flow_bins: usize,
    /// Where the splines end and the identity begins.
    pub duration_predictor_tail_bound: f64,
    /// Width of the duration predictors' convolutions.
    pub duration_predictor_kernel_size: usize,
    /// Steps of the flow that draws durations.
    pub duration_predictor_num_flows: usize,
    /// Channels of the predictor that draws nothing.
    pub duration_predictor_filter_channels: usize,
    /// Steps of the flow that makes latents.
    pub prior_encoder_num_flows: usize,
    /// Layers of each step's net.
    pub prior_encoder_num_wavenet_layers: usize,
    /// Width of these layers' convolutions.
    pub wavenet_kernel_size: usize,
    /// What their dilation is multiplied with from layer to layer.
    pub wavenet_dilation_rate: usize,
    /// Speech this much faster than the model speaks by itself.
    pub speaking_rate: f64,
    /// What the latents' noise is multiplied with.
    pub noise_scale: f64,
    /// What the durations' noise is multiplied with.
    pub noise_scale_duration: f64,
    /// Samples a second.
    pub sampling_rate: u32,
    /// What else there is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model_type: "vits".into(),
            vocab_size: 38,
            hidden_size: 192,
            num_hidden_layers: 6,
            num_attention_heads: 2,
            window_size: Some(4),
            use_bias: true,
            ffn_dim: 768,
            ffn_kernel_size: 3,
            hidden_act: "relu".into(),
            layer_norm_eps: 1e-5,
            flow_size: 192,
            use_stochastic_duration_prediction: true,
            num_speakers: 1,
            speaker_embedding_size: 0,
            upsample_initial_channel: 512,
            upsample_rates: vec![8, 8, 2, 2],
            upsample_kernel_sizes: vec![16, 16, 4, 4],
            resblock_kernel_sizes: vec![3, 7, 11],
            resblock_dilation_sizes: vec![vec![1, 3, 5]; 3],
            leaky_relu_slope: 0.1,
            depth_separable_channels: 2,
            depth_separable_num_layers: 3,
            duration_predictor_flow_bins: 10,
            duration_predictor_tail_bound: 5.,
            duration_predictor_kernel_size: 3,
            duration_predictor_num_flows: 4,
            duration_predictor_filter_channels: 256,
            prior_encoder_num_flows: 4,
            prior_encoder_num_wavenet_layers: 4,
            wavenet_kernel_size: 5,
            wavenet_dilation_rate: 1,
            speaking_rate: 1.,
            noise_scale: 0.667,
            noise_scale_duration: 0.8,
            sampling_rate: 16_000,
            other: Map::new(),
        }
    }
}

impl Config {
    /// The part that shapes the decoder.
    pub fn decoder(&self) -> hifi_gan::Config {
        hifi_gan::Config {
            model_in_dim: self.flow_size,
            upsample_initial_channel: self.upsample_initial_channel,
            upsample_rates: self.upsample_rates.clone(),
            upsample_kernel_sizes: self.upsample_kernel_sizes.clone(),
            resblock_kernel_sizes: self.resblock_kernel_sizes.clone(),
            resblock_dilation_sizes: self.resblock_dilation_sizes.clone(),
            leaky_relu_slope: self.leaky_relu_slope,
            speaker_embedding_size: self.speaker_embedding_size,
            normalize_before: false,
        }
    }

    /// Samples of each frame of latents.
    pub fn hop(&self) -> usize {
        self.upsample_rates.iter().product()
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        if self.model_type != "vits" {
            refuse!("config.json: model_type `{}` is not supported, only vits is", self.model_type);
        }
        if Activation::named(&self.hidden_act).is_err() {
            refuse!(
                "config.json: hidden_act `{}` is not supported, only relu, silu and gelu are",
                self.hidden_act
            );
        }
        checks::sizes(&[
            ("vocab_size", self.vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 13),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 8),
            ("num_attention_heads", self.num_attention_heads, 1 << 8),
            ("window_size", self.window_size.unwrap_or(1), 1 << 10),
            ("ffn_dim", self.ffn_dim, 1 << 15),
            ("ffn_kernel_size", self.ffn_kernel_size, 255),
            ("flow_size", self.flow_size, 1 << 13),
            ("depth_separable_num_layers", self.depth_separable_num_layers, 8),
            ("duration_predictor_flow_bins", self.duration_predictor_flow_bins, 999),
            ("duration_predictor_kernel_size", self.duration_predictor_kernel_size, 31),
            ("duration_predictor_num_flows", self.duration_predictor_num_flows, 1 << 8),
            ("duration_predictor_filter_channels", self.duration_predictor_filter_channels, 1 << 13),
            ("prior_encoder_num_flows", self.prior_encoder_num_flows, 1 << 8),
            ("prior_encoder_num_wavenet_layers", self.prior_encoder_num_wavenet_layers, 64),
            ("wavenet_kernel_size", self.wavenet_kernel_size, 255),
            ("wavenet_dilation_rate", self.wavenet_dilation_rate, 16),
            ("sampling_rate", self.sampling_rate as usize, 768_000),
        ])?;
        let (size, heads) = (self.hidden_size, self.num_attention_heads);
        if !size.is_multiple_of(heads) {
            refuse!("config.json: hidden_size {size} is no multiple of num_attention_heads {heads}");
        }
        if !self.flow_size.is_multiple_of(2) {
            refuse!("config.json: flow_size {} is odd, a coupling needs halves", self.flow_size);
        }
        if self.depth_separable_channels != 2 {
            let channels = self.depth_separable_channels;
            refuse!("config.json: depth_separable_channels {channels} is not supported, only 2 is");
        }
        // the text and the frames keep their length through these
        for (name, kernel) in [
            ("duration_predictor_kernel_size", self.duration_predictor_kernel_size),
            ("wavenet_kernel_size", self.wavenet_kernel_size),
        ] {
            if kernel.is_multiple_of(2) {
                refuse!("config.json: {name} {kernel} is even");
            }
        }
        if self.dilations().iter().any(|dilation| *dilation > 1 << 16) {
            let (rate, layers) = (self.wavenet_dilation_rate, self.prior_encoder_num_wavenet_layers);
            refuse!("config.json: wavenet_dilation_rate {rate} over {layers} layers reaches too far");
        }
        if self.num_speakers > 1 << 20 || self.speaker_embedding_size > 1 << 13 {
            let (count, size) = (self.num_speakers, self.speaker_embedding_size);
            refuse!("config.json: num_speakers {count} with speaker_embedding_size {size}");
        }
        if self.num_speakers > 1 && self.speaker_embedding_size == 0 {
            let count = self.num_speakers;
            refuse!(
                "config.json: num_speakers {count} with speaker_embedding_size 0: nothing tells them apart"
            );
        }
        for (name, value) in [
            ("duration_predictor_tail_bound", self.duration_predictor_tail_bound),
            ("speaking_rate", self.speaking_rate),
        ] {
            if !(1e-3..=1e3).contains(&value) {
                refuse!("config.json: {name} {value} is not in 0.001 to 1000");
            }
        }
        for (name, value) in
            [("noise_scale", self.noise_scale), ("noise_scale_duration", self.noise_scale_duration)]
        {
            if !(0. ..=100.).contains(&value) {
                refuse!("config.json: {name} {value} is not in 0 to 100");
            }
        }
        self.decoder().validate()?;
        checks::plain(&self.other)
    }

    /// Dilations of the layers of each net in the flow.
    pub(super) fn dilations(&self) -> Vec<usize> {
        let layers = 0..self.prior_encoder_num_wavenet_layers as u32;
        layers.map(|layer| self.wavenet_dilation_rate.saturating_pow(layer)).collect()
    }
}
