//! T5 in GGUF files: llama.cpp's keys and tensor names, told in those of `config.json` and the hub's checkpoints; or, as
//! candle's tools write them, the hub's names with `config.json` beside the file.

use super::config::Config;
use super::{T5, TABLES};
use crate::checkpoint::gguf::{Format, Gguf, Stored};
use crate::vars::{Source, VarBuilder};
use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::Init;
use kernels::quantised;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The configuration that a file's metadata describes.
///
/// # Errors
/// One line on another architecture, on a file without metadata, and on keys that are missing.
pub fn config(gguf: &Gguf) -> Result<Config> {
    let meta = gguf.metadata();
    match meta.text("general.architecture")?.filter(|name| !name.is_empty()) {
        Some("t5") => {}
        Some(other) => {
            refuse!("{}: the architecture `{other}` is not supported here, only t5 is", gguf.file())
        }
        None => refuse!(
            "{}: general.architecture is missing: such a file needs config.json beside it",
            gguf.file()
        ),
    }
    let key = |name: &str| format!("t5.{name}");
    let size = |name: &str| match meta.size(&key(name))? {
        Some(size) => Ok(size),
        None => refuse!("{}: {} is missing", gguf.file(), key(name)),
    };
    let id = |name: &str| Ok::<_, candle_core::Error>(meta.size(name)?.and_then(|id| u32::try_from(id).ok()));
    let Some(table) = gguf.stored("token_embd.weight") else {
        refuse!("{}: no tensor `token_embd.weight`", gguf.file())
    };
    let (d_model, num_heads) = (size("embedding_length")?, size("attention.head_count")?);
    let d_kv = meta.size(&key("attention.key_length"))?.unwrap_or(d_model / num_heads.max(1));
    if meta.size(&key("attention.value_length"))?.is_some_and(|value| value != d_kv) {
        let value = key("attention.value_length");
        refuse!("{}: {value} differs from that of keys, which is not supported", gguf.file());
    }
    let epsilon = match meta.number(&key("attention.layer_norm_rms_epsilon"))? {
        None => meta.number(&key("attention.layer_norm_epsilon"))?,
        found => found,
    };
    let gated = gguf.stored("enc.blk.0.ffn_gate.weight").is_some();
    Ok(Config {
        vocab_size: table.shape[0],
        d_model,
        d_kv,
        d_ff: size("feed_forward_length")?,
        num_layers: size("block_count")?,
        num_decoder_layers: meta.size(&key("decoder_block_count"))?,
        num_heads,
        relative_attention_num_buckets: size("attention.relative_buckets_count")?,
        layer_norm_epsilon: epsilon.unwrap_or(1e-6),
        feed_forward_proj: if gated { "gated-gelu" } else { "relu" }.to_string(),
        tie_word_embeddings: gguf.stored("output.weight").is_none(),
        pad_token_id: id("tokenizer.ggml.padding_token_id")?.unwrap_or(0),
        eos_token_id: id("tokenizer.ggml.eos_token_id")?.unwrap_or(1),
        decoder_start_token_id: id(&key("decoder_start_token_id"))?,
        ..Config::default()
    })
}

/// The net of a file; `beside` is the `config.json` of a file that has no metadata, `packed` says whether weights stay in
/// their blocks, or become what they stand for in f32.
///
/// # Errors
/// As [`config`], and one line on tensors that are missing, of another shape, or that the net has no place for.
pub fn load(gguf: Arc<Gguf>, beside: Option<Config>, packed: bool, device: &Device) -> Result<(Config, T5)> {
    let hub = gguf.stored("encoder.final_layer_norm.weight").is_some();
    let cfg = match beside.filter(|_| hub) {
        Some(cfg) => cfg,
        None => config(&gguf)?,
    };
    let tensors = Tensors { gguf: gguf.clone(), used: Arc::default(), hub, packed };
    let used = tensors.used.clone();
    let net = T5::new(&cfg, VarBuilder::new(tensors, DType::F32, device))?;
    let used = used.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // a table may stand there several times, and the numbers across are of no use, as transformers has it
    let known = |name: &str| {
        used.contains(name)
            || TABLES.iter().any(|table| name.strip_suffix(".weight") == Some(table))
            || (cfg.tie_word_embeddings && name == "lm_head.weight")
            || name.contains("cross_attn_rel_b")
            || name.contains("EncDecAttention.relative_attention_bias")
    };
    if let Some((name, _)) = gguf.tensors().find(|(name, _)| !known(name)) {
        refuse!("{}: the net has no place for the tensor `{name}`", gguf.file());
    }
    Ok((cfg, net))
}

/// The tensors of a file under the names of the hub's checkpoints.
struct Tensors {
    gguf: Arc<Gguf>,
    /// Those that were asked for.
    used: Arc<Mutex<BTreeSet<String>>>,
    /// Whether they have these names already.
    hub: bool,
    /// Whether blocks are handed out as they are.
    packed: bool,
}

impl Tensors {
    fn name(&self, name: &str) -> Option<String> {
        if self.hub { Some(name.to_string()) } else { translated(name) }
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<(String, &Stored)> {
        let there = self.name(name).unwrap_or_else(|| name.to_string());
        let Some(stored) = self.gguf.stored(&there) else {
            refuse!("{}: no tensor `{there}`, which the net needs", self.gguf.file());
        };
        if stored.shape != shape {
            let (file, found) = (self.gguf.file(), &stored.shape);
            refuse!("{file}: tensor `{there}` is {found:?} where the configuration asks for {shape:?}");
        }
        self.used.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(there.clone());
        Ok((there, stored))
    }
}

impl Source for Tensors {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let (there, _) = self.find(name, shape.dims())?;
        self.gguf.tensor(&there, dtype, device)
    }

    fn contains(&self, name: &str) -> bool {
        self.name(name).is_some_and(|there| self.gguf.stored(&there).is_some())
    }

    fn blocks(&self, shape: (usize, usize), name: &str) -> Result<Option<quantised::Weight>> {
        let (outputs, inputs) = shape;
        let (_, stored) = self.find(name, &[outputs, inputs])?;
        match stored.format {
            Format::Blocks(kind) if self.packed => {
                let weight = |bytes: &[u8]| quantised::Weight::new(bytes, kind, outputs, inputs);
                self.gguf.read(stored, weight).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// The file's name of a tensor of the hub's.
fn translated(name: &str) -> Option<String> {
    let named = match name {
        "shared.weight" => "token_embd.weight",
        "lm_head.weight" => "output.weight",
        "encoder.final_layer_norm.weight" => "enc.output_norm.weight",
        "decoder.final_layer_norm.weight" => "dec.output_norm.weight",
        _ => "",
    };
    if !named.is_empty() {
        return Some(named.to_string());
    }
    let (side, rest) = name.split_once(".block.")?;
    let (block, rest) = rest.split_once(".layer.")?;
    let (layer, rest) = rest.split_once('.')?;
    let (side, last) = match side {
        "encoder" => ("enc", "1"),
        "decoder" => ("dec", "2"),
        _ => return None,
    };
    let there = match rest.strip_suffix(".weight")? {
        "layer_norm" if layer == "0" => "attn_norm",
        "layer_norm" if layer == last => "ffn_norm",
        "layer_norm" => "cross_attn_norm",
        "SelfAttention.q" => "attn_q",
        "SelfAttention.k" => "attn_k",
        "SelfAttention.v" => "attn_v",
        "SelfAttention.o" => "attn_o",
        "SelfAttention.relative_attention_bias" => "attn_rel_b",
        "EncDecAttention.q" => "cross_attn_q",
        "EncDecAttention.k" => "cross_attn_k",
        "EncDecAttention.v" => "cross_attn_v",
        "EncDecAttention.o" => "cross_attn_o",
        "DenseReluDense.wi" | "DenseReluDense.wi_1" => "ffn_up",
        "DenseReluDense.wi_0" => "ffn_gate",
        "DenseReluDense.wo" => "ffn_down",
        _ => return None,
    };
    Some(format!("{side}.blk.{block}.{there}.weight"))
}
