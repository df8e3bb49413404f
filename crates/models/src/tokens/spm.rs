//! SentencePiece's own road from a text to pieces: its normalisation here, to the letter, its choice of pieces by the
//! library, which has no name for controls, so that `</s>` in a text is text.

use super::Tokens;
use super::pieces::{Kind, Pieces};
use candle_core::Result;
use std::ops::Range;

/// A `.model` or `.spm`, ready to cut texts.
pub struct Spm {
    tokens: Tokens,
    characters: Characters,
    /// Pieces that are found in a text before anything else is done.
    kept: Vec<String>,
    space_before: bool,
    trims: bool,
    /// Of each id, its text and what it is.
    pieces: Vec<(String, Kind)>,
}

/// A part of a normalised text, and the piece that it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The piece's id.
    pub id: u32,
    /// The text, which an unknown piece alone does not tell.
    pub text: String,
}

impl Spm {
    /// Of what was read; `file` is for messages.
    ///
    /// # Errors
    /// A table of characters that is damaged, a vocabulary that the library does not take.
    pub fn new(pieces: Pieces, file: &str) -> Result<Self> {
        let characters = match Characters::new(&pieces.characters) {
            Some(characters) => characters,
            None => refuse!("{file}: the table of characters is damaged"),
        };
        let kept = pieces.pieces.iter().filter(|piece| piece.kind == Kind::User);
        let kept = kept.map(|piece| piece.text.clone()).filter(|text| !text.is_empty()).collect();
        let (space_before, trims) = (pieces.space_before, pieces.trims);
        let texts = pieces.pieces.iter().map(|piece| (piece.text.clone(), piece.kind)).collect();
        let tokens = Tokens::from_value(&pieces.plain()?, file)?;
        Ok(Self { tokens, characters, kept, space_before, trims, pieces: texts })
    }

    /// Of each id, its text and what it is.
    pub fn pieces(&self) -> &[(String, Kind)] {
        &self.pieces
    }

    /// The parts of a text.
    ///
    /// # Errors
    /// If there is no piece for a part, not even an unknown one.
    pub fn encode(&self, text: &str) -> Result<Vec<Part>> {
        let text = self.normalised(text);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let part = |(id, range): (u32, Range<usize>)| {
            let text = text.get(range).unwrap_or_default().to_string();
            Part { id, text }
        };
        Ok(self.tokens.pieces(&text)?.into_iter().map(part).collect())
    }

    /// The text of pieces, each given by its spelling; unknown spellings stand for themselves.
    pub fn decode<'a>(&self, pieces: impl Iterator<Item = (&'a str, Kind)>) -> String {
        let mut bytes = Vec::new();
        for (piece, kind) in pieces {
            let byte = piece.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            match (kind, byte.and_then(|byte| u8::from_str_radix(byte, 16).ok())) {
                (Kind::Control, _) => {}
                (Kind::Byte, Some(byte)) => bytes.push(byte),
                _ => bytes.extend(piece.replace('▁', " ").bytes()),
            }
        }
        String::from_utf8_lossy(&bytes).trim().to_string()
    }

    /// A text as the pieces are of: characters that others stand for, `▁` for spaces.
    fn normalised(&self, mut text: &str) -> String {
        if self.trims {
            while let (" ", count) = self.next(text) {
                if count == 0 {
                    break;
                }
                text = &text[count..];
            }
        }
        let mut out = String::with_capacity(text.len() + 8);
        if text.is_empty() {
            return out;
        }
        if self.space_before {
            out.push('▁');
        }
        let mut after_space = self.trims;
        while !text.is_empty() {
            let (mut found, count) = self.next(text);
            while after_space && let Some(rest) = found.strip_prefix(' ') {
                found = rest;
            }
            if !found.is_empty() {
                out.extend(found.chars().map(|c| if c == ' ' { '▁' } else { c }));
                after_space = self.trims && found.ends_with(' ');
            }
            text = &text[count..];
        }
        if self.trims {
            out.truncate(out.trim_end_matches('▁').len());
        }
        out
    }

    // what a text's beginning becomes, and how much of it
    fn next<'a>(&'a self, text: &'a str) -> (&'a str, usize) {
        let kept = self.kept.iter().filter(|kept| text.starts_with(kept.as_str())).map(String::len).max();
        if let Some(count) = kept {
            return (&text[..count], count);
        }
        self.characters.longest(text).unwrap_or_else(|| {
            let count = text.chars().next().map_or(0, char::len_utf8);
            (&text[..count], count)
        })
    }
}

/// The table of characters: a trie in a double array (Aoe, 1989; darts-clone's layout), and the texts that it leads to,
/// each ended by a zero.
#[derive(Default)]
struct Characters {
    units: Vec<u32>,
    texts: Vec<u8>,
}

impl Characters {
    fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (size, rest) = bytes.split_first_chunk::<4>()?;
        let (units, texts) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        let (units, left) = units.as_chunks::<4>();
        let whole = left.is_empty() && std::str::from_utf8(texts).is_ok();
        whole.then(|| Self {
            units: units.iter().map(|unit| u32::from_le_bytes(*unit)).collect(),
            texts: texts.to_vec(),
        })
    }

    /// What the longest beginning of a text that is in the table becomes, and its length.
    fn longest(&self, text: &str) -> Option<(&str, usize)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize;
        let (mut place, mut found) = (offset(*self.units.first()?), None);
        for (i, byte) in text.bytes().enumerate() {
            place ^= byte as usize;
            let Some(&unit) = self.units.get(place) else { break };
            if unit & (1 << 31 | 0xff) != byte as u32 {
                break;
            }
            place ^= offset(unit);
            if unit & 1 << 8 != 0 {
                found = self.units.get(place).map(|value| ((value & !(1 << 31)) as usize, i + 1));
            }
        }
        let (start, count) = found.filter(|(_, count)| text.is_char_boundary(*count))?;
        let rest = self.texts.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some((std::str::from_utf8(&rest[..end]).ok()?, count))
    }
}
