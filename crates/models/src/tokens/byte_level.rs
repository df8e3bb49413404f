//! Byte-pair encoding of bytes (Radford et al., 2019), as `tokenizer.json`: vocabularies of GPT-2, Llama 3, Qwen and
//! their like, and how each cuts a text into words first.

use super::{Added, added, beginning, begins};
use candle_core::Result;
use serde_json::{Map, Value, json};

/// Cuts of a text, by the names that llama.cpp gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// GPT-2's own.
    Gpt2,
    /// The same after every digit is cut off (SmolLM, StarCoder).
    Digits,
    /// Llama 3's: digits in threes.
    Llama3,
    /// Qwen 2's: digits one by one.
    Qwen2,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Cut {
    /// By the value of `tokenizer.ggml.pre`.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jina-es" | "jina-de" => Self::Gpt2,
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => Self::Digits,
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "dbrx" | "smaug-bpe" => Self::Llama3,
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "hunyuan" => Self::Qwen2,
            _ => return None,
        })
    }

    fn pre_tokenizer(self) -> Value {
        let bytes = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
        let split = |expression: &str| {
            json!({
                "type": "Split", "pattern": { "Regex": expression }, "behavior": "Isolated", "invert": false,
            })
        };
        let steps = match self {
            Self::Gpt2 => return bytes(true),
            Self::Digits => vec![json!({ "type": "Digits", "individual_digits": true }), bytes(true)],
            Self::Llama3 => vec![split(LLAMA3), bytes(false)],
            Self::Qwen2 => vec![split(QWEN2), bytes(false)],
        };
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}

/// A vocabulary, the pairs to merge in their order, and what else there is.
pub struct Words {
    /// Ids by token.
    pub vocabulary: Map<String, Value>,
    /// Pairs.
    pub merges: Vec<(String, String)>,
    /// How a text is cut first.
    pub cut: Cut,
    /// Tokens that are found before anything else is done.
    pub(super) added: Vec<Added>,
    /// The token that begins every text, and its id.
    pub first: Option<(String, u64)>,
}

impl Words {
    /// As `tokenizer.json`.
    pub fn tokenizer(&self) -> Value {
        let merges: Vec<_> = self.merges.iter().map(|(left, right)| json!([left, right])).collect();
        json!({
            "version": "1.0",
            "added_tokens": self.added.iter().map(Added::json).collect::<Vec<_>>(),
            // Qwen composes characters first
            "normalizer": if self.cut == Cut::Qwen2 { json!({ "type": "NFC" }) } else { Value::Null },
            "pre_tokenizer": self.cut.pre_tokenizer(),
            "post_processor": beginning(self.first.as_ref().map(|(token, id)| (token.as_str(), *id))),
            "decoder": {
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
            },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                "ignore_merges": self.cut == Cut::Llama3, "vocab": self.vocabulary, "merges": merges,
            },
        })
    }
}

/// A pair as `left right`.
pub fn pair(line: &str) -> Option<(String, String)> {
    let (left, right) = line.split_once(' ')?;
    (!left.is_empty() && !right.is_empty()).then(|| (left.to_string(), right.to_string()))
}

/// `vocab.json` and `merges.txt` as `tokenizer.json`.
///
/// # Errors
/// A line that is no pair, a kind of tokenizer that is not supported.
pub fn tokenizer(
    vocabulary: Map<String, Value>,
    merges: &[u8],
    config: &Map<String, Value>,
) -> Result<Value> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("GPT2Tokenizer");
    let cut = match class.trim_end_matches("Fast") {
        "GPT2Tokenizer" | "CodeGenTokenizer" | "PreTrainedTokenizer" | "WhisperTokenizer" => Cut::Gpt2,
        "Qwen2Tokenizer" => Cut::Qwen2,
        _ => refuse!("tokenizer_config.json: {class} with vocab.json is not supported: use tokenizer.json"),
    };
    let Ok(text) = std::str::from_utf8(merges) else { refuse!("merges.txt: not text") };
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        match pair(line) {
            Some(pair) => pairs.push(pair),
            None => refuse!("merges.txt: line {} is no pair", number + 1),
        }
    }
    let mut added = added(config);
    if added.is_empty() && vocabulary.contains_key("<|endoftext|>") {
        let id = vocabulary["<|endoftext|>"].as_u64().unwrap_or(0);
        added.push(Added::new(id, "<|endoftext|>", true));
    }
    let first = begins(config, false).and_then(|first| {
        let found = added.iter().find(|one| one.content == first).map(|one| one.id);
        let id = found.or_else(|| vocabulary.get(&first)?.as_u64())?;
        Some((first, id))
    });
    Ok(Words { vocabulary, merges: pairs, cut, added, first }.tokenizer())
}
