//! Text to ids and back, whatever a model brings along for it.
//!
//! Every form becomes the one that Hugging Face's tokenizers read, which do the work: `tokenizer.json` as it is,
//! SentencePiece's `tokenizer.model` (`sentencepiece`, `pieces`), GPT-2's `vocab.json` with `merges.txt` and `added_tokens.json` (`byte_level`),
//! and the vocabulary in a GGUF file (`gguf`).
//!
//! - `characters`: letters or phonemes one by one, for voices
//! - `clip`: prompts of diffusion models
//! - `chat`: a conversation as the text that a model was taught to answer
//! - `learned`: a tokenizer of one's own
//! - `stream`: text as ids come, never in the middle of a character
//! - `translation`: texts of two languages, as translators were taught them

mod byte_level;
mod characters;
pub mod chat;
mod clip;
mod gguf;
mod learned;
mod pieces;
mod sentencepiece;
mod spm;
mod stream;
pub mod translation;

pub use characters::{CharacterTokens, Spelled, Writing};
pub use clip::{ClipTokens, learn_clip};
pub use learned::{LearnedTokens, learn_with_marks};
pub use stream::Stream;

use crate::checkpoint::Files;
use candle_core::Result;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use tokenizers::Tokenizer;

/// A tokenizer.
pub struct Tokens {
    tokenizer: Tokenizer,
}

const JSON: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
const ADDED: &str = "added_tokens.json";
/// SentencePiece's file, under the names that the hub has for it.
const PIECES: [&str; 3] = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model"];
/// The largest file of a tokenizer.
const LIMIT: u64 = 256 << 20;

impl Tokens {
    /// Reads the first of `tokenizer.json`, SentencePiece's file and `vocab.json` with `merges.txt` that is there.
    ///
    /// # Errors
    /// One line if there is none, or on what it holds.
    pub fn open(files: &Files) -> Result<Self> {
        let config = match files.has(CONFIG) {
            true => files.json(CONFIG)?,
            false => Map::new(),
        };
        if files.has(JSON) {
            return Self::from_json(&files.read(JSON, LIMIT)?, &files.describe(JSON));
        }
        if let Some(name) = PIECES.into_iter().find(|name| files.has(name)) {
            let file = files.describe(name);
            let pieces = sentencepiece::read(&files.read(name, LIMIT)?, &file)?;
            return Self::from_value(&pieces.tokenizer(&added(&config), begins(&config, true))?, &file);
        }
        if files.has(VOCABULARY) && files.has(MERGES) {
            let vocabulary: Map<String, Value> = files.json(VOCABULARY)?;
            let merges = files.read(MERGES, LIMIT)?;
            let config = with_added(config, files)?;
            let value = byte_level::tokenizer(vocabulary, &merges, &config)?;
            return Self::from_value(&value, &files.describe(VOCABULARY));
        }
        refuse!("{}: there is no such file, and neither tokenizer.model nor vocab.json", files.describe(JSON))
    }

    /// Reads the vocabulary of a GGUF file.
    ///
    /// # Errors
    /// One line on what is missing or not supported.
    pub fn from_gguf(gguf: &crate::checkpoint::gguf::Gguf) -> Result<Self> {
        Self::from_value(&gguf::tokenizer(gguf)?, gguf.file())
    }

    /// Reads `tokenizer.json`; `file` is for messages.
    ///
    /// # Errors
    /// One line on what it holds.
    pub fn from_json(bytes: &[u8], file: &str) -> Result<Self> {
        // the parser of the format fails some hostile files by panicking
        let read = std::panic::catch_unwind(|| Tokenizer::from_bytes(bytes));
        let mut tokenizer = match read {
            Ok(Ok(tokenizer)) => tokenizer,
            Ok(Err(error)) => refuse!("{file}: {}", line(&error.to_string())),
            Err(_) => refuse!("{file}: not the description of a tokenizer"),
        };
        if let Err(error) = tokenizer.with_truncation(None) {
            refuse!("{file}: {}", line(&error.to_string()));
        }
        tokenizer.with_padding(None);
        Ok(Self { tokenizer })
    }

    fn from_value(value: &Value, file: &str) -> Result<Self> {
        Self::from_json(value.to_string().as_bytes(), file)
    }

    /// The ids of a text; `special` adds what the model was taught to see around one, such as a first id.
    ///
    /// # Errors
    /// If the tokenizer has no id for a part of the text.
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        // a damaged table of characters is found only where a text leads into it, and there by panicking
        let encoded =
            std::panic::catch_unwind(AssertUnwindSafe(|| self.tokenizer.encode_fast(text, special)));
        match encoded {
            Ok(Ok(encoding)) => Ok(encoding.get_ids().to_vec()),
            Ok(Err(error)) => refuse!("the text has no ids: {}", line(&error.to_string())),
            Err(_) => refuse!("the text has no ids: the tokenizer's files are damaged"),
        }
    }

    /// The pieces of a text that needs no preparation: their ids, and where they lie.
    fn pieces(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>> {
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.tokenizer.encode(text, false))) {
            Ok(Ok(encoding)) => {
                let places = encoding.get_offsets().iter().map(|(start, end)| *start..*end);
                Ok(encoding.get_ids().iter().copied().zip(places).collect())
            }
            Ok(Err(error)) => refuse!("the text has no ids: {}", line(&error.to_string())),
            Err(_) => refuse!("the text has no ids: the tokenizer's files are damaged"),
        }
    }

    /// The text of ids, without special ones.
    ///
    /// # Errors
    /// If the tokenizer cannot put them together.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        match self.tokenizer.decode(ids, true) {
            Ok(text) => Ok(text),
            Err(error) => refuse!("ids that are no text: {}", line(&error.to_string())),
        }
    }

    /// The id of a token's own spelling, such as `</s>`.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// A token's own spelling.
    pub fn token(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// How many ids there are, added ones included.
    pub fn len(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that each id adds to a text; nothing for ids that are special, or that there are none of.
    pub fn bytes(&self) -> Vec<Option<Vec<u8>>> {
        let written = Written::of(&self.tokenizer);
        let added = self.tokenizer.get_added_tokens_decoder();
        let bytes = |id: u32| match added.get(&id) {
            Some(token) if token.special => None,
            Some(token) => Some(token.content.clone().into_bytes()),
            None => Some(written.bytes(&self.token(id)?)),
        };
        let last = self.tokenizer.get_vocab(true).into_values().max();
        (0..last.map_or(0, |last| last + 1)).map(bytes).collect()
    }

    /// The tokenizer itself.
    pub fn inner(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

/// How tokens stand for bytes.
enum Written {
    /// A character a byte, as GPT-2 has them.
    Characters(HashMap<char, u8>),
    /// SentencePiece's: `▁` for a space, `<0x0A>` for a byte.
    Pieces,
    /// As they are.
    Plain,
}

impl Written {
    fn of(tokenizer: &Tokenizer) -> Self {
        let decoder = serde_json::to_value(tokenizer.get_decoder()).unwrap_or_default().to_string();
        if decoder.contains("\"ByteLevel\"") {
            // bytes that are printable stand for themselves, the others for characters from 256 on, in their order
            let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
            let others = (0..=255u8).filter(|byte| !printable(*byte)).zip('\u{100}'..);
            let same = (0..=255u8).filter(|byte| printable(*byte)).map(|byte| (byte as char, byte));
            return Self::Characters(same.chain(others.map(|(byte, character)| (character, byte))).collect());
        }
        match decoder.contains("ByteFallback") || decoder.contains("Metaspace") || decoder.contains('▁') {
            true => Self::Pieces,
            false => Self::Plain,
        }
    }

    fn bytes(&self, token: &str) -> Vec<u8> {
        match self {
            Self::Characters(table) => {
                let mut bytes = Vec::with_capacity(token.len());
                for character in token.chars() {
                    match table.get(&character) {
                        Some(byte) => bytes.push(*byte),
                        None => bytes.extend(character.to_string().bytes()),
                    }
                }
                bytes
            }
            Self::Pieces => {
                let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
                match byte.filter(|byte| byte.len() == 2).and_then(|byte| u8::from_str_radix(byte, 16).ok()) {
                    Some(byte) => vec![byte],
                    None => token.replace('▁', " ").into_bytes(),
                }
            }
            Self::Plain => token.as_bytes().to_vec(),
        }
    }
}

/// A message in one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A token that is found in a text before anything else is done.
#[derive(Debug, Clone)]
struct Added {
    id: u64,
    content: String,
    special: bool,
    value: Value,
}

impl Added {
    fn new(id: u64, content: &str, special: bool) -> Self {
        Self { id, content: content.to_string(), special, value: Value::Null }
    }

    fn json(&self) -> Value {
        let flag = |name: &str| self.value.get(name).and_then(Value::as_bool).unwrap_or(false);
        json!({
            "id": self.id, "content": self.content, "special": self.special, "single_word": flag("single_word"),
            "lstrip": flag("lstrip"), "rstrip": flag("rstrip"), "normalized": flag("normalized"),
        })
    }
}

/// What `tokenizer_config.json` adds.
fn added(config: &Map<String, Value>) -> Vec<Added> {
    let Some(Value::Object(entries)) = config.get("added_tokens_decoder") else { return Vec::new() };
    let entry = |(id, value): (&String, &Value)| {
        Some(Added {
            id: id.parse().ok()?,
            content: value.get("content")?.as_str()?.to_string(),
            special: value.get("special").and_then(Value::as_bool).unwrap_or(false),
            value: value.clone(),
        })
    };
    entries.iter().filter_map(entry).collect()
}

/// What `added_tokens.json` adds to a `tokenizer_config.json` that lists no such tokens: marks like Whisper's languages.
fn with_added(mut config: Map<String, Value>, files: &Files) -> Result<Map<String, Value>> {
    if !config.contains_key("added_tokens_decoder") && files.has(ADDED) {
        let ids: Map<String, Value> = files.json(ADDED)?;
        let entry = |(content, id): (&String, &Value)| {
            (id.to_string(), json!({ "content": content, "special": content.starts_with("<|") }))
        };
        config.insert("added_tokens_decoder".to_string(), ids.iter().map(entry).collect());
    }
    Ok(config)
}

/// The token that begins every text, if `tokenizer_config.json` asks for one.
fn begins(config: &Map<String, Value>, default: bool) -> Option<String> {
    let asked = config.get("add_bos_token").and_then(Value::as_bool).unwrap_or(default);
    Some(named(config, "bos_token").unwrap_or_else(|| "<s>".to_string())).filter(|_| asked)
}

/// A token that `tokenizer_config.json` names: a text, or an object with one.
fn named(config: &Map<String, Value>, name: &str) -> Option<String> {
    let value = config.get(name)?;
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
}

/// What puts a token before every text.
fn beginning(token: Option<(&str, u64)>) -> Value {
    let Some((token, id)) = token else { return Value::Null };
    json!({
        "type": "TemplateProcessing",
        "single": [{ "SpecialToken": { "id": token, "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
        "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    })
}
