//! The family in GGUF files: llama.cpp's keys and tensor names, told in those of `config.json` and the hub's
//! checkpoints.

use super::Llama;
use super::config::Config;
use crate::checkpoint::gguf::{Format, Gguf, List, Stored};
use crate::vars::{Source, VarBuilder};
use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use kernels::quantised;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The configuration that a file's metadata describes.
///
/// # Errors
/// One line on an architecture that is not of the family, and on keys that are missing or not supported.
pub fn config(gguf: &Gguf) -> Result<Config> {
    let meta = gguf.metadata();
    let Some(arch) = meta.text("general.architecture")? else {
        refuse!("{}: general.architecture is missing", gguf.file());
    };
    let model_type = match arch {
        "llama" | "qwen2" | "qwen3" | "gemma2" | "phi3" => arch,
        "gemma3" => "gemma3_text",
        _ => refuse!(
            "{}: the architecture `{arch}` is not supported, only llama, qwen2, qwen3, gemma2, gemma3 and phi3 are",
            gguf.file()
        ),
    };
    let key = |name: &str| format!("{arch}.{name}");
    let size = |name: &str| match meta.size(&key(name))? {
        Some(size) => Ok(size),
        None => refuse!("{}: {} is missing", gguf.file(), key(name)),
    };
    // some files say it once a layer
    let heads = |name: &str| match meta.list(&key(name)) {
        Ok(Some(List::Whole(counts))) => match counts.first() {
            Some(&first) if first > 0 && counts.iter().all(|count| *count == first) => {
                Ok(Some(first as usize))
            }
            _ => refuse!("{}: {} differs between layers, which is not supported", gguf.file(), key(name)),
        },
        _ => meta.size(&key(name)),
    };
    let unsupported = ["expert_count", "attention.scale", "rope.scaling.yarn_log_multiplier"];
    for name in unsupported {
        if meta.number(&key(name))?.is_some_and(|number| number != 0.) {
            refuse!("{}: {} is not supported", gguf.file(), key(name));
        }
    }
    let Some(table) = gguf.stored(TABLE) else { refuse!("{}: no tensor `{TABLE}`", gguf.file()) };
    let num_attention_heads = heads("attention.head_count")?.unwrap_or(0);
    let head_dim = meta.size(&key("attention.key_length"))?;
    if meta.size(&key("attention.value_length"))?.is_some_and(|value| Some(value) != head_dim) {
        refuse!(
            "{}: {} differs from that of keys, which is not supported",
            gguf.file(),
            key("attention.value_length")
        );
    }
    let window = meta.size(&key("attention.sliding_window"))?.filter(|window| *window > 0);
    let mut cfg = Config {
        architectures: Vec::new(),
        model_type: model_type.to_string(),
        vocab_size: table.shape[0],
        hidden_size: size("embedding_length")?,
        intermediate_size: size("feed_forward_length")?,
        num_hidden_layers: size("block_count")?,
        num_attention_heads,
        num_key_value_heads: heads("attention.head_count_kv")?,
        head_dim,
        max_position_embeddings: size("context_length")?,
        rms_norm_eps: meta.number(&key("attention.layer_norm_rms_epsilon"))?.unwrap_or(1e-5),
        rope_theta: meta.number(&key("rope.freq_base"))?,
        sliding_window: window,
        // files of Qwen and Llama that have a window mean it for all layers
        use_sliding_window: Some(window.is_some()),
        max_window_layers: Some(0),
        attn_logit_softcapping: meta.number(&key("attn_logit_softcapping"))?,
        final_logit_softcapping: meta.number(&key("final_logit_softcapping"))?,
        tie_word_embeddings: gguf.stored(OUTPUT).is_none(),
        attention_bias: gguf.stored("blk.0.attn_output.bias").is_some(),
        mlp_bias: gguf.stored("blk.0.ffn_up.bias").is_some(),
        bos_token_id: id(gguf, "bos_token_id")?,
        eos_token_id: id(gguf, "eos_token_id")?.map(super::OneOrMany::One),
        dtype: None,
        ..Config::default()
    };
    if model_type == "llama" && window.is_some() {
        cfg.model_type = "mistral".to_string();
    }
    // as llama.cpp does: 27B models are told by their depth
    let wide = matches!((model_type, cfg.num_hidden_layers), ("gemma2", 46) | ("gemma3_text", 62));
    let query = if wide { cfg.hidden_size / num_attention_heads.max(1) } else { cfg.head_dim() };
    cfg.query_pre_attn_scalar = Some(query as f64);
    if let Some(rotated) =
        meta.size(&key("rope.dimension_count"))?.filter(|rotated| *rotated != cfg.head_dim())
    {
        cfg.partial_rotary_factor = Some(rotated as f64 / cfg.head_dim().max(1) as f64);
    }
    cfg.rope_scaling = scaling(gguf, arch, &cfg)?;
    Ok(cfg)
}

/// An id of the tokenizer's.
fn id(gguf: &Gguf, name: &str) -> Result<Option<u32>> {
    Ok(gguf.metadata().size(&format!("tokenizer.ggml.{name}"))?.and_then(|id| u32::try_from(id).ok()))
}

const TABLE: &str = "token_embd.weight";
const OUTPUT: &str = "output.weight";

fn scaling(gguf: &Gguf, arch: &str, cfg: &Config) -> Result<Option<Map<String, Value>>> {
    let meta = gguf.metadata();
    let key = |name: &str| format!("{arch}.rope.scaling.{name}");
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_string(), value);
    let original = meta.size(&key("original_context_length"))?;
    if let Some(original) = original {
        put("original_max_position_embeddings", json!(original));
    }
    let factors = |name: &str| -> Result<Option<Value>> {
        if gguf.stored(name).is_none() {
            return Ok(None);
        }
        Ok(Some(json!(gguf.tensor(name, DType::F32, &Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?)))
    };
    let same = factors("rope_freqs.weight")?;
    let short = factors("rope_factors_short.weight")?.or(same.clone());
    let long = factors("rope_factors_long.weight")?.or(same);
    let kind = meta.text(&key("type"))?;
    if let (Some(short), Some(long)) = (short, long) {
        put("rope_type", json!("longrope"));
        put("short_factor", short);
        put("long_factor", long);
        put("attention_factor", json!(meta.number(&key("attn_factor"))?.unwrap_or(1.)));
        if original.is_none() {
            put("original_max_position_embeddings", json!(cfg.max_position_embeddings));
        }
        return Ok(Some(map));
    }
    match kind {
        None | Some("none") => return Ok(None),
        Some("linear" | "yarn") => {
            put("rope_type", json!(kind));
            if let Some(factor) = meta.number(&key("factor"))? {
                put("factor", json!(factor));
            }
        }
        Some(kind) => refuse!("{}: {} `{kind}` is not supported", gguf.file(), key("type")),
    }
    Ok(Some(map))
}

/// The net of a file; `packed` says whether weights stay in their blocks, or become what they stand for in f32.
///
/// # Errors
/// As [`config`], and one line on tensors that are missing, of another shape, or that the net has no place for.
pub fn load(gguf: Arc<Gguf>, packed: bool, device: &Device) -> Result<(Config, Llama)> {
    let cfg = config(&gguf)?;
    let tensors = Tensors::new(gguf.clone(), &cfg, packed);
    let used = tensors.used.clone();
    let net = Llama::new(&cfg, VarBuilder::new(tensors, DType::F32, device))?;
    let used = used.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let strange = gguf.tensors().find(|(name, _)| !name.starts_with("rope_") && !used.contains(*name));
    if let Some((name, _)) = strange {
        refuse!("{}: the net has no place for the tensor `{name}`", gguf.file());
    }
    Ok((cfg, net))
}

/// The tensors of a file under the names of the hub's checkpoints.
struct Tensors {
    gguf: Arc<Gguf>,
    /// Those that were asked for.
    used: Arc<Mutex<BTreeSet<String>>>,
    /// Heads of queries and of keys, where their rows stand in another order.
    turned: Option<[usize; 2]>,
    /// Whether norms hold one more than the hub's do.
    shifted: bool,
    /// Whether blocks are handed out as they are.
    packed: bool,
}

impl Tensors {
    fn new(gguf: Arc<Gguf>, cfg: &Config, packed: bool) -> Self {
        let turned = matches!(cfg.model_type.as_str(), "llama" | "mistral");
        let turned = turned.then_some([cfg.num_attention_heads, cfg.kv_heads()]);
        let used = Arc::default();
        Self { gguf, used, turned, shifted: cfg.model_type.starts_with("gemma"), packed }
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<(String, &Stored)> {
        let gemma = self.shifted;
        let there = translated(name, gemma);
        let Some(stored) = there.as_ref().and_then(|there| self.gguf.stored(there)) else {
            let there = there.unwrap_or_else(|| name.to_string());
            refuse!("{}: no tensor `{there}`, which the net needs", self.gguf.file());
        };
        let there = there.unwrap_or_default();
        if stored.shape != shape {
            let found = &stored.shape;
            refuse!(
                "{}: tensor `{there}` is {found:?} where the metadata asks for {shape:?}",
                self.gguf.file()
            );
        }
        self.used.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(there.clone());
        Ok((there, stored))
    }

    fn heads(&self, there: &str) -> Option<usize> {
        let [queries, keys] = self.turned?;
        match there.split('.').nth(2)? {
            "attn_q" => Some(queries),
            "attn_k" => Some(keys),
            _ => None,
        }
    }
}

impl Source for Tensors {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let (there, _) = self.find(name, shape.dims())?;
        let tensor = self.gguf.tensor(&there, dtype, device)?;
        if self.shifted && name.ends_with("norm.weight") {
            return tensor - 1.;
        }
        match self.heads(&there) {
            None => Ok(tensor),
            // (heads, pairs, 2, ...) to (heads, 2, pairs, ...)
            Some(heads) => {
                let rows = shape.dims()[0];
                let pairs = (heads, rows / heads / 2, 2, shape.elem_count() / rows);
                tensor.reshape(pairs)?.transpose(1, 2)?.contiguous()?.reshape(shape)
            }
        }
    }

    fn contains(&self, name: &str) -> bool {
        translated(name, self.shifted).is_some_and(|there| self.gguf.stored(&there).is_some())
    }

    fn blocks(&self, shape: (usize, usize), name: &str) -> Result<Option<quantised::Weight>> {
        let (outputs, inputs) = shape;
        let (there, stored) = self.find(name, &[outputs, inputs])?;
        let Format::Blocks(kind) = stored.format else { return Ok(None) };
        if !self.packed {
            return Ok(None);
        }
        let weight = self.gguf.read(stored, |bytes| match self.heads(&there) {
            None => quantised::Weight::new(bytes, kind, outputs, inputs),
            Some(heads) => {
                let (row, half) = (bytes.len() / outputs, outputs / heads / 2);
                let place = |to: usize| {
                    let (head, part, pair) = (to / (2 * half), to / half % 2, to % half);
                    head * 2 * half + 2 * pair + part
                };
                let turned: Vec<u8> =
                    (0..outputs).flat_map(|to| &bytes[place(to) * row..][..row]).copied().collect();
                quantised::Weight::new(&turned, kind, outputs, inputs)
            }
        });
        weight.map(Some)
    }
}

/// The file's name of a tensor of the hub's.
fn translated(name: &str, gemma: bool) -> Option<String> {
    match name {
        "model.embed_tokens.weight" => return Some(TABLE.to_string()),
        "model.norm.weight" => return Some("output_norm.weight".to_string()),
        "lm_head.weight" => return Some(OUTPUT.to_string()),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = part.rsplit_once('.')?;
    let there = match part {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" if gemma => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" => "attn_qkv",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.gate_up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{there}.{kind}"))
}
