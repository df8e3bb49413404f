//! The files of the families that translate.

use super::side::{Side, Vocabulary};
use super::{Family, TranslationTokens, codes};
use crate::checkpoint::Files;
use crate::checkpoint::gguf::Gguf;
use crate::tokens::pieces::{Kind, Pieces};
use crate::tokens::spm::Spm;
use crate::tokens::{ADDED, CONFIG, JSON, LIMIT, PIECES, Tokens, VOCABULARY, added, gguf, sentencepiece};
use candle_core::Result;
use serde_json::{Map, Value};
use std::collections::HashMap;

const SOURCE: &str = "source.spm";
const TARGET: &str = "target.spm";
const TARGET_VOCABULARY: &str = "target_vocab.json";
const SPECIAL: &str = "special_tokens_map.json";
const UNKNOWN: &str = "<unk>";
const PADDING: &str = "<pad>";
const END: &str = "</s>";
/// Ids that `extra_ids` says nothing of: T5's masks.
const MASKS: u64 = 100;
/// The largest id: a table has a place for each.
const MOST: usize = 1 << 22;

impl TranslationTokens {
    /// Reads the tokenizer of a model of `model_type`, as its `config.json` says: marian, m2m_100 (which NLLB-200 says as
    /// well), mbart or t5.
    ///
    /// # Errors
    /// One line on a file that is missing, damaged, or has no id for what it needs, and on another type.
    pub fn open(files: &Files, model_type: &str) -> Result<Self> {
        let config = match files.has(CONFIG) {
            true => files.json(CONFIG)?,
            false => Map::new(),
        };
        let mut tokens = match model_type {
            // those that are learned here have one tokenizer of both languages
            "marian" if !files.has(SOURCE) && files.has(JSON) => {
                let file = files.describe(JSON);
                whole(Tokens::from_json(&files.read(JSON, LIMIT)?, &file)?, &file, Family::Named)?
            }
            "marian" => marian(files, &config)?,
            // Facebook's M2M100 has a vocabulary of its own beside the pieces, NLLB has none
            "m2m_100" if files.has(VOCABULARY) => m2m100(files, &config)?,
            "m2m_100" => listed(files, codes::NLLB)?,
            "mbart" => listed(files, codes::MBART50)?,
            "t5" => t5(files, &config)?,
            _ => refuse!(
                "config.json: no tokens of translators of the model_type `{model_type}`, only of marian, m2m_100, mbart \
                 and t5"
            ),
        };
        let truth = |name: &str| config.get(name).and_then(Value::as_bool).unwrap_or(false);
        tokens.tidies = truth("clean_up_tokenization_spaces");
        if tokens.family == Family::Own && truth("legacy_behaviour") {
            tokens.family = Family::OwnLast;
        }
        Ok(tokens)
    }

    /// Reads the vocabulary of a T5 in a GGUF file.
    ///
    /// # Errors
    /// One line on what is missing or not supported.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        t5_of(gguf::pieces(gguf)?, gguf.file(), 0, Vec::new())
    }

    fn new(source: Side, family: Family, end: u32, mut languages: Vec<(String, u32)>) -> Self {
        languages.sort();
        Self { source, target: None, family, end, languages, tidies: false }
    }
}

type Ids = HashMap<String, u32>;

fn marian(files: &Files, config: &Map<String, Value>) -> Result<TranslationTokens> {
    let ids: Ids = files.json(VOCABULARY)?;
    let theirs: Option<Ids> = match files.has(TARGET_VOCABULARY) {
        true => Some(files.json(TARGET_VOCABULARY)?),
        false => None,
    };
    let language =
        |(piece, id): (&String, &u32)| Some((piece.strip_prefix(">>")?.strip_suffix("<<")?.to_string(), *id));
    let languages: Vec<_> = ids.iter().filter_map(language).collect();
    let end = id_of(&ids, END, files)?;
    let side = |name: &str, ids: Ids| -> Result<Side> {
        let special = [END, UNKNOWN, PADDING].map(|mark| mark.to_string());
        let vocabulary = spelt(files, name, ids, special.into_iter().chain(found_first(config)))?;
        Ok(Side::Pieces(Box::new(Vocabulary { named: true, ..vocabulary })))
    };
    let target = if files.has(TARGET) { TARGET } else { SOURCE };
    let target = side(target, theirs.unwrap_or_else(|| ids.clone()))?;
    let tokens = TranslationTokens::new(side(SOURCE, ids)?, Family::Named, end, languages);
    Ok(TranslationTokens { target: Some(target), ..tokens })
}

fn m2m100(files: &Files, config: &Map<String, Value>) -> Result<TranslationTokens> {
    let mut ids: Ids = files.json(VOCABULARY)?;
    let codes = match config.get("language_codes").and_then(Value::as_str) {
        None | Some("m2m100") => codes::M2M100,
        Some("wmt21") => codes::WMT21,
        Some(other) => refuse!("{}: language_codes `{other}` is not supported", files.describe(CONFIG)),
    };
    let first = ids.len() as u32;
    let languages: Vec<_> = codes.split(' ').map(str::to_string).zip(first..).collect();
    let marks: Vec<(String, u32)> = languages.iter().map(|(code, id)| (format!("__{code}__"), *id)).collect();
    ids.extend(marks.iter().cloned());
    let end = id_of(&ids, END, files)?;
    let mut special = vec!["<s>".to_string(), END.to_string(), UNKNOWN.to_string(), PADDING.to_string()];
    special.extend(found_first(config));
    if files.has(SPECIAL) {
        special.extend(more(&files.json(SPECIAL)?));
    }
    let vocabulary = spelt(files, PIECES[2], ids, special.into_iter())?;
    Ok(TranslationTokens::new(Side::Pieces(Box::new(vocabulary)), Family::Own, end, languages))
}

/// Tokens that `tokenizer_config.json` says are found in a text first.
fn found_first(config: &Map<String, Value>) -> Vec<String> {
    let mut found: Vec<String> = added(config).into_iter().map(|one| one.content).collect();
    found.extend(more(config));
    found
}

fn more(config: &Map<String, Value>) -> Vec<String> {
    let lists = ["additional_special_tokens", "extra_special_tokens"].map(|name| config.get(name));
    let entries = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
    let text = |entry: &Value| Some(entry.as_str().or_else(|| entry.get("content")?.as_str())?.to_string());
    entries.filter_map(text).collect()
}

fn id_of(ids: &Ids, piece: &str, files: &Files) -> Result<u32> {
    match ids.get(piece) {
        Some(id) => Ok(*id),
        None => refuse!("{}: there is no {piece} in it", files.describe(VOCABULARY)),
    }
}

/// Pieces of a file under the ids of a vocabulary by spelling.
fn spelt(files: &Files, name: &str, ids: Ids, special: impl Iterator<Item = String>) -> Result<Vocabulary> {
    let file = files.describe(name);
    let spm = Spm::new(sentencepiece::read(&files.read(name, LIMIT)?, &file)?, &file)?;
    let unknown = id_of(&ids, UNKNOWN, files)?;
    let most = ids.values().max().map_or(0, |most| *most as usize);
    if most >= MOST {
        refuse!("{}: the id {most} is larger than any vocabulary", files.describe(VOCABULARY));
    }
    let kinds: HashMap<&str, Kind> = spm.pieces().iter().map(|(text, kind)| (text.as_str(), *kind)).collect();
    let mut spellings = vec![None; most + 1];
    for (piece, id) in &ids {
        let kind = kinds.get(piece.as_str()).copied().unwrap_or(Kind::Normal);
        spellings[*id as usize] = Some((piece.clone(), kind));
    }
    let mut marks: Vec<(String, u32)> = special
        .filter(|mark| !mark.is_empty())
        .filter_map(|mark| Some((mark.clone(), *ids.get(&mark)?)))
        .collect();
    marks.sort();
    marks.dedup();
    let special = marks.iter().map(|(_, id)| *id).collect();
    let of_piece = |(text, _): &(String, Kind)| ids.get(text).copied().unwrap_or(unknown);
    let of_pieces = spm.pieces().iter().map(of_piece).collect();
    Ok(Vocabulary { spm, ids: of_pieces, spelt: ids, unknown, spellings, marks, special, named: false })
}

/// NLLB-200 and mBART-50: `tokenizer.json`, or pieces with fairseq's ids and the languages after them.
fn listed(files: &Files, codes: &str) -> Result<TranslationTokens> {
    if files.has(JSON) {
        let file = files.describe(JSON);
        let tokens = Tokens::from_json(&files.read(JSON, LIMIT)?, &file)?;
        let language = |code: &str| Some((code.to_string(), tokens.id(code)?));
        let mut languages: Vec<_> = codes.split(' ').filter_map(language).collect();
        let Some(end) = tokens.id(END) else { refuse!("{file}: there is no {END} in it") };
        if languages.is_empty() {
            refuse!(
                "{file}: there is no language in it, such as {}",
                codes.split(' ').next().unwrap_or_default()
            );
        }
        languages.sort();
        return Ok(TranslationTokens::new(Side::Whole(Box::new(tokens)), Family::Own, end, languages));
    }
    let (pieces, name) = model(files)?;
    // <s>, <pad>, </s> and <unk> come first, where the file has <unk>, <s> and </s>
    let first: Vec<(String, Kind)> = ["<s>", PADDING, END, UNKNOWN]
        .map(|mark| (mark.to_string(), if mark == UNKNOWN { Kind::Unknown } else { Kind::Control }))
        .into();
    let own = pieces.pieces.iter().skip(3).map(|piece| (piece.text.clone(), piece.kind));
    let after = codes.split(' ').chain(["<mask>"]).map(|code| (code.to_string(), Kind::Control));
    let spellings: Vec<_> = first.into_iter().chain(own).chain(after).map(Some).collect();
    let count = pieces.pieces.len();
    let languages: Vec<(String, u32)> =
        codes.split(' ').map(str::to_string).zip(count as u32 + 1..).collect();
    let mask = ("<mask>".to_string(), (count + 1 + languages.len()) as u32);
    let marks = [("<s>", 0), (PADDING, 1), (END, 2), (UNKNOWN, 3)].map(|(mark, id)| (mark.to_string(), id));
    let marks: Vec<_> = marks.into_iter().chain(languages.iter().cloned()).chain([mask]).collect();
    let vocabulary = Vocabulary {
        spm: Spm::new(pieces, &name)?,
        ids: [3, 0, 2].into_iter().chain(4..count as u32 + 1).take(count).collect(),
        spelt: HashMap::new(),
        unknown: 3,
        spellings,
        special: marks.iter().map(|(_, id)| *id).collect(),
        marks,
        named: false,
    };
    Ok(TranslationTokens::new(Side::Pieces(Box::new(vocabulary)), Family::Own, 2, languages))
}

fn t5(files: &Files, config: &Map<String, Value>) -> Result<TranslationTokens> {
    if files.has(JSON) {
        let file = files.describe(JSON);
        return whole(Tokens::from_json(&files.read(JSON, LIMIT)?, &file)?, &file, Family::Named);
    }
    let (pieces, name) = model(files)?;
    let masks = config.get("extra_ids").and_then(Value::as_u64).unwrap_or(MASKS).min(MASKS * 10);
    let mut first = found_first(config);
    if files.has(ADDED) {
        first.extend(files.json::<Ids>(ADDED)?.into_keys());
    }
    t5_of(pieces, &name, masks as usize, first)
}

/// Of pieces, after which so many masks come; some are found in a text first.
fn t5_of(pieces: Pieces, name: &str, masks: usize, first: Vec<String>) -> Result<TranslationTokens> {
    let count = pieces.pieces.len();
    let mut spellings: Vec<_> =
        pieces.pieces.iter().map(|piece| Some((piece.text.clone(), piece.kind))).collect();
    let has = |mark: &str| pieces.pieces.iter().any(|piece| piece.text == mark);
    if !has("<extra_id_0>") {
        spellings.extend((0..masks).rev().map(|mask| Some((format!("<extra_id_{mask}>"), Kind::Control))));
    }
    let known: HashMap<&str, u32> =
        spellings.iter().zip(0..).filter_map(|(one, id)| Some((one.as_ref()?.0.as_str(), id))).collect();
    let mut marks: Vec<(String, u32)> = Vec::new();
    for (mark, kind) in spellings.iter().flatten() {
        // what the file says is found first, and what transformers says
        if matches!(kind, Kind::Control | Kind::Unknown | Kind::User) || code(mark).is_some() {
            marks.push((mark.clone(), known[mark.as_str()]));
        }
    }
    marks.extend(first.into_iter().filter_map(|mark| Some((mark.clone(), *known.get(mark.as_str())?))));
    marks.sort();
    marks.dedup();
    let end = match known.get(END) {
        Some(end) => *end,
        None => refuse!("{name}: there is no {END} in it"),
    };
    let unknown = pieces.pieces.iter().position(|piece| piece.kind == Kind::Unknown).unwrap_or(2) as u32;
    let languages = marks.iter().filter_map(|(mark, id)| Some((code(mark)?.to_string(), *id))).collect();
    let is_special = |(mark, id): &(String, u32)| {
        let kind = spellings.get(*id as usize)?.as_ref()?.1;
        (kind != Kind::User && kind != Kind::Normal || mark.starts_with("<extra_id_")).then_some(*id)
    };
    let special = marks.iter().filter_map(is_special).collect();
    let vocabulary = Vocabulary {
        spm: Spm::new(pieces, name)?,
        ids: (0..count as u32).collect(),
        spelt: HashMap::new(),
        unknown,
        spellings,
        marks,
        special,
        named: false,
    };
    Ok(TranslationTokens::new(Side::Pieces(Box::new(vocabulary)), Family::Named, end, languages))
}

/// A tokenizer of which the tokens `<2xx>` or `>>xxx<<` name languages.
fn whole(tokens: Tokens, file: &str, family: Family) -> Result<TranslationTokens> {
    let Some(end) = tokens.id(END) else { refuse!("{file}: there is no {END} in it") };
    let all = tokens.inner().get_vocab(true);
    let languages = all.iter().filter_map(|(mark, id)| Some((code(mark)?.to_string(), *id))).collect();
    Ok(TranslationTokens::new(Side::Whole(Box::new(tokens)), family, end, languages))
}

/// The code within `<2xx>` or `>>xxx<<`.
fn code(mark: &str) -> Option<&str> {
    let named = mark.strip_prefix(">>").and_then(|code| code.strip_suffix("<<"));
    let code = named.or_else(|| mark.strip_prefix("<2")?.strip_suffix('>'))?;
    let plain = code.len() >= 2 && code.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    Some(code).filter(|_| plain)
}

/// SentencePiece's file, under one of its names.
fn model(files: &Files) -> Result<(Pieces, String)> {
    let Some(name) = PIECES.into_iter().find(|name| files.has(name)) else {
        refuse!("{}: there is no such file, and no {} either", files.describe(JSON), PIECES.join(" or "))
    };
    let file = files.describe(name);
    Ok((sentencepiece::read(&files.read(name, LIMIT)?, &file)?, file))
}
