//! SentencePiece's vocabularies (Kudo and Richardson, 2018), whichever file they come from, as a `tokenizer.json`.

use super::{Added, beginning};
use candle_core::Result;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// A vocabulary and how a text is prepared for it.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    /// In the order of their ids.
    pub pieces: Vec<Piece>,
    /// Whether the most probable pieces are chosen, and not pairs merged.
    pub unigram: bool,
    /// Whether characters without a piece become their bytes.
    pub byte_fallback: bool,
    /// Whether a space is put before every text.
    pub space_before: bool,
    /// Whether spaces at the ends are dropped, and of several in a row all but one.
    pub trims: bool,
    /// SentencePiece's table of characters that become others.
    pub characters: Vec<u8>,
}

/// An entry of a vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its text, with `▁` for a space.
    pub text: String,
    /// Higher comes first.
    pub score: f32,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is; the numbers are SentencePiece's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A piece of text.
    Normal,
    /// Stands for what has no piece.
    Unknown,
    /// Never comes from a text.
    Control,
    /// Found in a text before anything else is done.
    User,
    /// Never used.
    Unused,
    /// A byte, as `<0x0A>`.
    Byte,
}

impl Kind {
    /// By its number.
    pub fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::User,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }
}

/// Stands for a space in pieces.
const SPACE: &str = "▁";

impl Pieces {
    /// As `tokenizer.json`; texts begin with the token `first`.
    ///
    /// # Errors
    /// A vocabulary that no text can be written with.
    pub fn tokenizer(&self, more: &[Added], first: Option<String>) -> Result<Value> {
        let unknown = self.pieces.iter().position(|piece| piece.kind == Kind::Unknown);
        let mut added: Vec<Added> = Vec::new();
        for (id, piece) in self.pieces.iter().enumerate() {
            let special = matches!(piece.kind, Kind::Control | Kind::Unknown);
            if special || piece.kind == Kind::User {
                added.push(Added::new(id as u64, &piece.text.replace(SPACE, " "), special));
            }
        }
        added.retain(|one| !more.iter().any(|other| other.id == one.id));
        added.extend(more.iter().cloned());
        added.sort_by_key(|one| one.id);
        let first = first.and_then(|first| {
            let id = added.iter().find(|one| one.content == first).map(|one| one.id);
            id.or_else(|| self.pieces.iter().position(|piece| piece.text == first).map(|id| id as u64))
                .map(|id| (first, id))
        });
        let mut decoders = vec![
            json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ];
        if self.space_before {
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        Ok(json!({
            "version": "1.0",
            "added_tokens": added.iter().map(Added::json).collect::<Vec<_>>(),
            "normalizer": { "type": "Sequence", "normalizers": self.normalizers() },
            "pre_tokenizer": null,
            "post_processor": beginning(first.as_ref().map(|(first, id)| (first.as_str(), *id))),
            "decoder": { "type": "Sequence", "decoders": decoders },
            "model": if self.unigram { self.unigram(unknown)? } else { self.merging(unknown)? },
        }))
    }

    /// As `tokenizer.json` that takes a text as prepared already, and has names for pieces of text alone: controls and
    /// pieces that are not used are never found.
    ///
    /// # Errors
    /// As [`Pieces::tokenizer`].
    pub fn plain(mut self) -> Result<Value> {
        let unknown = self.pieces.iter().position(|piece| piece.kind == Kind::Unknown);
        let kept = self.pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::User);
        let added: Vec<Value> =
            kept.map(|(id, piece)| Added::new(id as u64, &piece.text, false).json()).collect();
        // the lowest score of a piece that is found says what an unknown one costs
        let normal = self.pieces.iter().filter(|piece| piece.kind == Kind::Normal);
        let lowest = normal.map(|piece| piece.score).fold(0f32, f32::min);
        for (id, piece) in self.pieces.iter_mut().enumerate() {
            match piece.kind {
                Kind::Normal => {}
                Kind::Byte | Kind::User => piece.score = lowest,
                // of a plane that has no characters
                Kind::Unknown | Kind::Control | Kind::Unused => {
                    (piece.text, piece.score) = (format!("\u{10fffd}{id}"), lowest);
                }
            }
            if matches!(piece.kind, Kind::Control | Kind::Unused | Kind::Unknown) {
                piece.kind = Kind::Byte;
            }
        }
        Ok(json!({
            "version": "1.0", "added_tokens": added, "normalizer": null, "pre_tokenizer": null, "post_processor": null,
            "decoder": null, "model": if self.unigram { self.unigram(unknown)? } else { self.merging(unknown)? },
        }))
    }

    fn normalizers(&self) -> Vec<Value> {
        let mut steps = Vec::new();
        if !self.characters.is_empty() {
            steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": base64(&self.characters) }));
        }
        if self.trims {
            steps.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
            steps.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
        }
        if self.space_before {
            steps.push(json!({ "type": "Prepend", "prepend": SPACE }));
        }
        steps.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
        steps
    }

    fn unigram(&self, unknown: Option<usize>) -> Result<Value> {
        // never chosen: control tokens are found before, and unused pieces not at all
        let score = |piece: &Piece| match piece.kind {
            Kind::Normal | Kind::User | Kind::Byte | Kind::Unknown => piece.score as f64,
            Kind::Control | Kind::Unused => -1e9,
        };
        let vocabulary: Vec<_> = self.pieces.iter().map(|piece| json!([piece.text, score(piece)])).collect();
        Ok(json!({
            "type": "Unigram", "unk_id": unknown, "vocab": vocabulary, "byte_fallback": self.byte_fallback,
        }))
    }

    fn merging(&self, unknown: Option<usize>) -> Result<Value> {
        let mut ids: HashMap<&str, usize> = HashMap::new();
        let mut vocabulary = Map::new();
        for (id, piece) in self.pieces.iter().enumerate() {
            // of a piece that stands there twice the first counts
            ids.entry(&piece.text).or_insert(id);
            vocabulary.entry(piece.text.clone()).or_insert(json!(id));
        }
        let joins = |piece: &Piece| matches!(piece.kind, Kind::Normal | Kind::User | Kind::Unused);
        let mut merges: Vec<(f32, usize, usize, &str, &str)> = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.kind == Kind::Normal) {
            for (at, _) in piece.text.char_indices().skip(1) {
                let (left, right) = piece.text.split_at(at);
                if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right))
                    && joins(&self.pieces[l])
                    && joins(&self.pieces[r])
                {
                    merges.push((piece.score, l, r, left, right));
                }
            }
        }
        merges.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let merges: Vec<_> = merges.iter().map(|(.., left, right)| json!([left, right])).collect();
        Ok(json!({
            "type": "BPE", "dropout": null, "unk_token": unknown.map(|id| &self.pieces[id].text),
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": self.byte_fallback, "ignore_merges": false, "vocab": vocabulary, "merges": merges,
        }))
    }
}

/// Bytes as letters (RFC 4648), as `tokenizer.json` has them.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |sum, byte| sum << 8 | *byte as u32) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            match i <= chunk.len() {
                true => text.push(LETTERS[(group >> (18 - 6 * i) & 63) as usize] as char),
                false => text.push('='),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_letters() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_table_of_characters_that_points_outside_is_refused_when_it_is_met() -> Result<()> {
        let piece = |text: &str, kind| Piece { text: text.to_string(), score: -1., kind };
        let pieces = Pieces {
            pieces: vec![piece("<unk>", Kind::Unknown), piece("▁a", Kind::Normal)],
            unigram: true,
            // four bytes of table: one entry, whose next is 16383 further
            characters: [4u32, 0x00ff_fc00].map(u32::to_le_bytes).concat(),
            ..Pieces::default()
        };
        let tokens = crate::tokens::Tokens::from_value(&pieces.tokenizer(&[], None)?, "tokenizer.model")?;
        let error = tokens.encode("a", false).unwrap_err().to_string();
        assert!(error.contains("damaged") && error.lines().count() == 1, "{error}");
        Ok(())
    }
}
