//! `config.json` of diffusers' `UNet2DConditionModel`.

use candle_core::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The fields of `config.json` that shape the net, under their names there, with diffusers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Channels of the noisy input: 4, or 9 where a mask and the picture under it come along.
    pub in_channels: usize,
    /// Channels of what comes out.
    pub out_channels: usize,
    /// Channels of each level, the finest first.
    pub block_out_channels: Vec<usize>,
    /// Kind of each level on the way down.
    pub down_block_types: Vec<String>,
    /// Kind of each level on the way up, the coarsest first.
    pub up_block_types: Vec<String>,
    /// Residual blocks of each level on the way down; one more on the way up.
    pub layers_per_block: Each,
    /// Transformer blocks after each residual block of a level.
    pub transformer_layers_per_block: Each,
    /// Attention *heads* of each level: diffusers' name for them is a mistake that stands in every checkpoint.
    pub attention_head_dim: Each,
    /// Width of the prompt's states.
    pub cross_attention_dim: Each,
    /// Groups of the group norms.
    pub norm_num_groups: usize,
    /// Added under the roots of the group norms in residual blocks.
    pub norm_eps: f64,
    /// Activation.
    pub act_fn: String,
    /// Whether the cosines of a time's embedding stand before the sines.
    pub flip_sin_to_cos: bool,
    /// Subtracted from the number of rates of that embedding.
    pub freq_shift: f64,
    /// Padding of the convolutions on the way down.
    pub downsample_padding: usize,
    /// Whether transformers' projections are stored as linear maps.
    pub use_linear_projection: bool,
    /// Whether the input is brought from 0 to 1 to -1 to 1.
    pub center_input_sample: bool,
    /// `text_time` where a pooled prompt and sizes are added to the time, as in SDXL; `text` where the net pools the
    /// prompt's states itself.
    pub addition_embed_type: Option<String>,
    /// Heads of the pooling.
    pub addition_embed_type_num_heads: usize,
    /// Width of each size's embedding there.
    pub addition_time_embed_dim: Option<usize>,
    /// Width of all that together.
    pub projection_class_embeddings_input_dim: Option<usize>,
    /// Width of the embedded guidance, where it is an input, as in latent consistency models.
    pub time_cond_proj_dim: Option<usize>,
    /// Width of the first convolution.
    pub conv_in_kernel: usize,
    /// Width of the last convolution.
    pub conv_out_kernel: usize,
    /// All other fields.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One value for all levels, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Each {
    /// The same everywhere.
    One(usize),
    /// The finest level's first.
    Many(Vec<usize>),
}

impl Each {
    /// That of a level.
    pub fn at(&self, level: usize) -> usize {
        match self {
            Each::One(value) => *value,
            Each::Many(values) => values.get(level).copied().unwrap_or(0),
        }
    }

    fn fits(&self, levels: usize) -> bool {
        matches!(self, Each::One(_)) || matches!(self, Each::Many(values) if values.len() == levels)
    }
}

impl Default for Config {
    /// Diffusers' defaults, which are Stable Diffusion 1's but for `cross_attention_dim` 768.
    fn default() -> Self {
        let words = |words: [&str; 4]| words.map(String::from).to_vec();
        Self {
            in_channels: 4,
            out_channels: 4,
            block_out_channels: vec![320, 640, 1280, 1280],
            down_block_types: words([CROSS_DOWN, CROSS_DOWN, CROSS_DOWN, DOWN]),
            up_block_types: words([UP, CROSS_UP, CROSS_UP, CROSS_UP]),
            layers_per_block: Each::One(2),
            transformer_layers_per_block: Each::One(1),
            attention_head_dim: Each::One(8),
            cross_attention_dim: Each::One(1280),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            act_fn: "silu".into(),
            flip_sin_to_cos: true,
            freq_shift: 0.,
            downsample_padding: 1,
            use_linear_projection: false,
            center_input_sample: false,
            addition_embed_type: None,
            addition_embed_type_num_heads: 64,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
            time_cond_proj_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            other: Map::new(),
        }
    }
}

/// The `addition_embed_type` of nets that pool the prompt.
pub(super) const TEXT: &str = "text";

const DOWN: &str = "DownBlock2D";
const CROSS_DOWN: &str = "CrossAttnDownBlock2D";
const UP: &str = "UpBlock2D";
const CROSS_UP: &str = "CrossAttnUpBlock2D";

impl Config {
    /// Number of levels.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Width of the time's embedding.
    pub fn time_size(&self) -> usize {
        4 * self.block_out_channels[0]
    }

    /// Whether a level has attention on the way down.
    pub fn attends_down(&self, level: usize) -> bool {
        self.down_block_types[level] == CROSS_DOWN
    }

    /// Whether the `step`th level on the way up has.
    pub fn attends_up(&self, step: usize) -> bool {
        self.up_block_types[step] == CROSS_UP
    }

    /// Refuses, by name, what the net does not do, and sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        self.check_others()?;
        let levels = self.levels();
        if !(1..=8).contains(&levels) {
            refuse!("unet config.json: {levels} block_out_channels");
        }
        for (name, kinds, known) in [
            ("down_block_types", &self.down_block_types, [DOWN, CROSS_DOWN]),
            ("up_block_types", &self.up_block_types, [UP, CROSS_UP]),
        ] {
            if kinds.len() != levels {
                refuse!("unet config.json: {levels} block_out_channels and {} {name}", kinds.len());
            }
            if let Some(kind) = kinds.iter().find(|kind| !known.contains(&kind.as_str())) {
                refuse!("unet config.json: {name} `{kind}` is not supported");
            }
        }
        for (name, each, most) in [
            ("layers_per_block", &self.layers_per_block, 16),
            ("transformer_layers_per_block", &self.transformer_layers_per_block, 64),
            ("attention_head_dim", &self.attention_head_dim, 1 << 10),
            ("cross_attention_dim", &self.cross_attention_dim, 1 << 16),
        ] {
            if !each.fits(levels) || (0..levels).any(|level| !(1..=most).contains(&each.at(level))) {
                refuse!("unet config.json: {name} {each:?} for {levels} levels");
            }
        }
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            let (groups, heads) = (self.norm_num_groups, self.attention_head_dim.at(level));
            if !(1..=1 << 14).contains(&channels) || groups == 0 || !channels.is_multiple_of(groups) {
                refuse!("unet config.json: block_out_channels {channels} in {groups} norm_num_groups");
            }
            if !channels.is_multiple_of(heads) {
                refuse!("unet config.json: block_out_channels {channels} by attention_head_dim {heads}");
            }
        }
        for (name, size) in [("in_channels", self.in_channels), ("out_channels", self.out_channels)] {
            if !(1..=1 << 10).contains(&size) {
                refuse!("unet config.json: {name} {size} is not in 1 to {}", 1 << 10);
            }
        }
        for (name, size) in
            [("conv_in_kernel", self.conv_in_kernel), ("conv_out_kernel", self.conv_out_kernel)]
        {
            if size % 2 == 0 || size > 31 {
                refuse!("unet config.json: {name} {size} is not an odd number below 32");
            }
        }
        Ok(())
    }

    fn check_others(&self) -> Result<()> {
        if !matches!(self.act_fn.as_str(), "silu" | "swish") {
            refuse!("unet config.json: act_fn `{}` is not supported, only silu is", self.act_fn);
        }
        match self.addition_embed_type.as_deref() {
            None => {}
            Some(TEXT) => {
                let (heads, width) = (self.addition_embed_type_num_heads, self.cross_attention_dim.at(0));
                if heads == 0 || !width.is_multiple_of(heads) {
                    refuse!(
                        "unet config.json: a prompt of {width} pooled by {heads} addition_embed_type_num_heads"
                    );
                }
            }
            Some("text_time") => {
                let time = self.addition_time_embed_dim.unwrap_or(0);
                let width = self.projection_class_embeddings_input_dim.unwrap_or(0);
                if !(2..=1 << 12).contains(&time) || !(6 * time..=1 << 16).contains(&width) {
                    refuse!("unet config.json: addition_embed_type text_time without its sizes");
                }
            }
            Some(kind) => refuse!("unet config.json: addition_embed_type `{kind}` is not supported"),
        }
        // fields that change what is computed, each with the value that changes nothing
        let plain = [
            ("attention_type", json!("default")),
            ("class_embed_type", Value::Null),
            ("class_embeddings_concat", json!(false)),
            ("cross_attention_norm", Value::Null),
            ("dual_cross_attention", json!(false)),
            ("encoder_hid_dim", Value::Null),
            ("encoder_hid_dim_type", Value::Null),
            ("mid_block_scale_factor", json!(1)),
            ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
            ("num_attention_heads", Value::Null),
            ("num_class_embeds", Value::Null),
            ("only_cross_attention", json!(false)),
            ("resnet_out_scale_factor", json!(1)),
            ("resnet_skip_time_act", json!(false)),
            ("resnet_time_scale_shift", json!("default")),
            ("reverse_transformer_layers_per_block", Value::Null),
            ("time_embedding_act_fn", Value::Null),
            ("time_embedding_dim", Value::Null),
            ("time_embedding_type", json!("positional")),
            ("timestep_post_act", Value::Null),
        ];
        let same = |a: &Value, b: &Value| a == b || (a.is_number() && a.as_f64() == b.as_f64());
        for (name, value) in &plain {
            if let Some(found) = self.other.get(*name).filter(|found| !same(found, value)) {
                refuse!("unet config.json: {name} {found} is not supported, only {value} is");
            }
        }
        Ok(())
    }
}
