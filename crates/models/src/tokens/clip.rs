//! CLIP's tokens (Radford et al., 2021), as text encoders of diffusion models take them: lower case, byte pairs inside
//! words, a beginning, an end, and a filling up to a fixed length.

use super::{ADDED, CONFIG, MERGES, Tokens, VOCABULARY, line};
use crate::checkpoint::Files;
use candle_core::Result;
use serde_json::{Map, Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

const FIRST: &str = "<|startoftext|>";
const LAST: &str = "<|endoftext|>";
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// Most tokens of a text where the tokenizer's files do not say.
const LENGTH: usize = 77;
const SPECIAL: &str = "special_tokens_map.json";

/// A tokenizer of prompts.
pub struct ClipTokens {
    /// The tokenizer itself.
    pub tokens: Tokens,
    /// The token that begins a text.
    pub first: u32,
    /// The token that ends one.
    pub last: u32,
    /// The token that fills one up: the end again, or `!` in OpenCLIP's.
    pub pad: u32,
    /// Tokens of a text that is filled up, beginning and end among them.
    pub length: usize,
}

impl ClipTokens {
    /// Reads `tokenizer.json`, or `vocab.json` with `merges.txt`, and what the files beside them say.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub fn open(files: &Files) -> Result<Self> {
        let read = |name: &str| -> Result<Map<String, Value>> {
            if files.has(name) { files.json(name) } else { Ok(Map::new()) }
        };
        let (config, special, added) = (read(CONFIG)?, read(SPECIAL)?, read(ADDED)?);
        let tokens = if files.has(VOCABULARY) && files.has(MERGES) {
            let vocabulary: Map<String, Value> = files.json(VOCABULARY)?;
            let merges = files.read(MERGES, 1 << 26)?;
            Tokens::from_value(&tokenizer(vocabulary, &merges, &added)?, &files.describe(VOCABULARY))?
        } else {
            Tokens::open(files)?
        };
        // a token by its name, or as an object that holds it
        let named = |name: &str, usual: &str| {
            let found = special.get(name).or_else(|| config.get(name));
            let found = found.and_then(|value| value.as_str().or_else(|| value["content"].as_str()));
            let word = found.unwrap_or(usual);
            match tokens.id(word) {
                Some(id) => Ok(id),
                None => refuse!("{}: no token {word:?}, which is the {name}", files.describe(VOCABULARY)),
            }
        };
        let (first, last) = (named("bos_token", FIRST)?, named("eos_token", LAST)?);
        let pad = named("pad_token", LAST)?;
        let length = config.get("model_max_length").and_then(Value::as_u64).map_or(LENGTH, |n| n as usize);
        Ok(Self {
            first,
            last,
            pad,
            length: if (3..=1 << 16).contains(&length) { length } else { LENGTH },
            tokens,
        })
    }

    /// The tokens of some words, without beginning or end.
    ///
    /// # Errors
    /// If the tokenizer fails on them.
    pub fn words(&self, text: &str) -> Result<Vec<u32>> {
        self.tokens.encode(text, false)
    }

    /// Words between beginning and end, filled up; what is too long is cut off.
    pub fn framed(&self, words: &[u32]) -> Vec<u32> {
        let mut ids = vec![self.first];
        ids.extend(words.iter().take(self.length - 2));
        ids.push(self.last);
        ids.resize(self.length, self.pad);
        ids
    }
}

/// CLIP's `tokenizer.json`.
fn tokenizer(vocabulary: Map<String, Value>, merges: &[u8], added: &Map<String, Value>) -> Result<Value> {
    let Ok(text) = std::str::from_utf8(merges) else { refuse!("{MERGES}: not text") };
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || (number == 0 && line.starts_with("#version")) {
            continue;
        }
        match super::byte_level::pair(line) {
            Some((left, right)) => pairs.push(json!([left, right])),
            None => refuse!("{MERGES}: line {} is no pair", number + 1),
        }
    }
    let special = [FIRST, LAST].into_iter().filter_map(|word| Some((word, vocabulary.get(word)?.as_u64()?)));
    let more = added.iter().filter_map(|(word, id)| Some((word.as_str(), id.as_u64()?)));
    let added: Vec<Value> =
        special.chain(more).map(|(word, id)| super::Added::new(id, word, true).json()).collect();
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" },
        ]},
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": WORDS }, "behavior": "Removed", "invert": true },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ]},
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": LAST, "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": pairs,
        },
    }))
}

/// The files of a tokenizer of `count` tokens, or fewer, learned from texts as CLIP's was; of `length` tokens a text.
///
/// # Errors
/// A count that has no room for every byte, within a word and at its end.
pub fn learn_clip(texts: &[&str], count: usize, length: usize) -> Result<Vec<(String, Vec<u8>)>> {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let bytes = alphabet.iter().map(char::to_string);
    let mut words: Vec<String> = bytes.clone().chain(bytes.map(|byte| byte + "</w>")).collect();
    if count < words.len() + 2 {
        refuse!("{count} tokens have no room for every byte: it takes at least {}", words.len() + 2);
    }
    let plain = tokenizer(Map::new(), b"", &Map::new())?;
    let mut learner = Tokenizer::new(BPE::default());
    let parts = (
        serde_json::from_value::<NormalizerWrapper>(plain["normalizer"].clone()),
        serde_json::from_value::<PreTokenizerWrapper>(plain["pre_tokenizer"].clone()),
    );
    let (Ok(normalizer), Ok(cut)) = parts else { refuse!("no tokenizer could be learned") };
    if learner.with_normalizer(Some(normalizer)).is_err() {
        refuse!("no tokenizer could be learned");
    }
    learner.with_pre_tokenizer(Some(cut));
    let trainer = BpeTrainer::builder()
        .vocab_size(count - 2)
        .min_frequency(2)
        .show_progress(false)
        .end_of_word_suffix("</w>".into())
        .initial_alphabet(alphabet.into_iter().collect())
        .build();
    let mut trainer = TrainerWrapper::from(trainer);
    let learned = learner.train(&mut trainer, texts.iter()).and_then(|learned| learned.to_string(false));
    let learned = match learned {
        Ok(learned) => learned,
        Err(error) => refuse!("no tokenizer could be learned: {}", line(&error.to_string())),
    };
    let Ok(learned) = serde_json::from_str::<Value>(&learned) else { refuse!("a tokenizer that is no JSON") };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let pairs = learned["model"]["merges"].as_array().cloned().unwrap_or_default();
    let mut merges = String::from("#version: 0.2\n");
    for pair in pairs.iter().take(count - 2 - words.len()) {
        let (left, right) = (word(&pair[0]), word(&pair[1]));
        merges.push_str(&format!("{left} {right}\n"));
        words.push(left + &right);
    }
    words.extend([FIRST, LAST].map(String::from));
    // two ways to one word are one token
    let mut vocabulary = Map::new();
    for word in words {
        let id = vocabulary.len();
        vocabulary.entry(word).or_insert_with(|| id.into());
    }
    let config = json!({
        "tokenizer_class": "CLIPTokenizer", "bos_token": FIRST, "eos_token": LAST, "pad_token": LAST,
        "unk_token": LAST, "model_max_length": length, "do_lower_case": true, "add_prefix_space": false,
    });
    let special = json!({ "bos_token": FIRST, "eos_token": LAST, "pad_token": LAST, "unk_token": LAST });
    let text = |value: &Value| format!("{value:#}\n").into_bytes();
    Ok(vec![
        (VOCABULARY.to_string(), text(&Value::Object(vocabulary))),
        (MERGES.to_string(), merges.into_bytes()),
        (CONFIG.to_string(), text(&config)),
        (SPECIAL.to_string(), text(&special)),
    ])
}
