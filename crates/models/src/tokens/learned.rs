//! A byte-level tokenizer learned from texts.

use super::Tokens;
use super::byte_level::{Cut, Words};
use super::{Added, CONFIG, JSON, line};
use candle_core::Result;
use serde_json::{Map, Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// A tokenizer whose pairs are the most frequent of some texts (Sennrich et al., 2016), of bytes, so that it can write
/// every text.
pub struct LearnedTokens {
    /// The tokenizer.
    pub tokens: Tokens,
    /// The token that begins a text.
    pub first: u32,
    /// The token that ends one.
    pub last: u32,
    json: Vec<u8>,
}

/// The `tokenizer.json` of `count` tokens of bytes, or fewer, learned as [`LearnedTokens`] are, with `marks` after them:
/// tokens that are no text, such as Whisper's languages and times.
///
/// # Errors
/// A count that has no room for every byte.
pub fn learn_with_marks(texts: &[&str], count: usize, marks: &[String]) -> Result<Vec<u8>> {
    let words = learn(texts, count, &[])?;
    let ids = words.vocabulary.len() as u64..;
    let added = ids.zip(marks).map(|(id, mark)| Added::new(id, mark, true)).collect();
    Ok(format!("{:#}\n", Words { added, ..words }.tokenizer()).into_bytes())
}

/// Pairs of bytes, the most frequent first; `special` tokens have the first ids.
fn learn(texts: &[&str], count: usize, special: &[&str]) -> Result<Words> {
    let fewest = BYTES + special.len();
    if count < fewest {
        refuse!("{count} tokens have no room for every byte: it takes at least {fewest}");
    }
    let trainer = BpeTrainer::builder()
        .vocab_size(count)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special.iter().map(|token| AddedToken::from(*token, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut trainer = TrainerWrapper::from(trainer);
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    let paragraphs = texts.iter().flat_map(|text| text.split_inclusive('\n'));
    let learned = tokenizer.train(&mut trainer, paragraphs).and_then(|learned| learned.to_string(false));
    let learned = match learned {
        Ok(learned) => learned,
        Err(error) => refuse!("no tokenizer could be learned: {}", line(&error.to_string())),
    };
    let Ok(learned) = serde_json::from_str::<Value>(&learned) else { refuse!("a tokenizer that is no JSON") };
    let vocabulary: Map<String, Value> = learned["model"]["vocab"].as_object().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let pairs = learned["model"]["merges"].as_array().cloned().unwrap_or_default();
    let merges = pairs.iter().map(|pair| (word(&pair[0]), word(&pair[1]))).collect();
    Ok(Words { vocabulary, merges, cut: Cut::Gpt2, added: Vec::new(), first: None })
}

const FIRST: &str = "<|begin|>";
const LAST: &str = "<|end|>";
/// One token a byte.
const BYTES: usize = 256;

impl LearnedTokens {
    /// Learns `count` tokens, or fewer where the texts have no more pairs that come twice.
    ///
    /// # Errors
    /// A count that has no room for every byte.
    pub fn new(texts: &[&str], count: usize) -> Result<Self> {
        let added = vec![Added::new(0, FIRST, true), Added::new(1, LAST, true)];
        let words =
            Words { added, first: Some((FIRST.to_string(), 0)), ..learn(texts, count, &[FIRST, LAST])? };
        Self::read(format!("{:#}\n", words.tokenizer()).into_bytes())
    }

    /// One that was learned before, by its `tokenizer.json`.
    ///
    /// # Errors
    /// A file that is another's.
    pub fn read(json: Vec<u8>) -> Result<Self> {
        let tokens = Tokens::from_json(&json, JSON)?;
        match (tokens.id(FIRST), tokens.id(LAST)) {
            (Some(first), Some(last)) => Ok(Self { tokens, first, last, json }),
            _ => refuse!("{JSON}: it has no {FIRST} and {LAST}, so it was not learned here"),
        }
    }

    /// The files of a model's folder that say all this.
    pub fn files(&self, context: usize) -> Vec<(String, Vec<u8>)> {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": FIRST, "eos_token": LAST,
            "model_max_length": context, "clean_up_tokenization_spaces": false,
        });
        vec![
            (JSON.to_string(), self.json.clone()),
            (CONFIG.to_string(), format!("{config:#}\n").into_bytes()),
        ]
    }
}
