//! One language's texts to ids and back: by SentencePiece's pieces and a table of ids, or by a `tokenizer.json`.

use crate::tokens::Tokens;
use crate::tokens::pieces::Kind;
use crate::tokens::spm::Spm;
use candle_core::Result;
use std::collections::HashMap;

/// What cuts texts, and the ids of what it cuts.
pub enum Side {
    /// SentencePiece's pieces under ids of the model's own.
    Pieces(Box<Vocabulary>),
    /// A tokenizer that knows everything.
    Whole(Box<Tokens>),
}

/// Pieces and their ids in a model.
pub struct Vocabulary {
    pub spm: Spm,
    /// Of each of the pieces, the id.
    pub ids: Vec<u32>,
    /// Ids of spellings that may be no pieces; empty where all are.
    pub spelt: HashMap<String, u32>,
    /// What stands for text that has no id.
    pub unknown: u32,
    /// Of each id, its spelling and what it is.
    pub spellings: Vec<Option<(String, Kind)>>,
    /// Tokens that are found in a text before it is cut, with their ids, longest first.
    pub marks: Vec<(String, u32)>,
    /// Ids that are left out of a text.
    pub special: Vec<u32>,
    /// Whether a text may begin with `>>`, a language, and `<<`.
    pub named: bool,
}

impl Side {
    /// The ids of a text, nothing around them.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self {
            Self::Whole(tokens) => tokens.encode(text, false),
            Self::Pieces(vocabulary) => vocabulary.encode(text),
        }
    }

    /// The text of ids. `source` is the side whose pieces say how, as transformers has it for Marian.
    pub fn decode(&self, ids: &[u32], source: &Side) -> Result<String> {
        let vocabulary = match self {
            Self::Whole(tokens) => return tokens.decode(ids),
            Self::Pieces(vocabulary) => vocabulary,
        };
        let spm = match source {
            Self::Pieces(source) => &source.spm,
            Self::Whole(_) => &vocabulary.spm,
        };
        let said = ids.iter().filter(|id| !vocabulary.special.contains(id));
        let spelling = |id: &u32| vocabulary.spellings.get(*id as usize)?.as_ref();
        let pieces = said.filter_map(spelling).map(|(piece, kind)| (piece.as_str(), *kind));
        Ok(spm.decode(pieces))
    }
}

impl Vocabulary {
    fn encode(&self, mut text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        while !text.is_empty() {
            let found = self.first_mark(text);
            let (before, rest) = text.split_at(found.map_or(text.len(), |(at, ..)| at));
            self.cut(before, &mut ids)?;
            text = rest;
            if let Some((_, mark, id)) = found {
                ids.push(id);
                text = &rest[mark..];
            }
        }
        Ok(ids)
    }

    // where the first is, its length and id; of those at one place the longest
    fn first_mark(&self, text: &str) -> Option<(usize, usize, u32)> {
        let places =
            self.marks.iter().filter_map(|(mark, id)| Some((text.find(mark.as_str())?, mark.len(), *id)));
        places.min_by_key(|(at, length, _)| (*at, usize::MAX - length))
    }

    fn cut(&self, mut text: &str, ids: &mut Vec<u32>) -> Result<()> {
        if self.named
            && text.starts_with(">>")
            && let Some(end) = text.find("<<")
        {
            ids.push(self.spelt.get(&text[..end + 2]).copied().unwrap_or(self.unknown));
            text = &text[end + 2..];
        }
        for part in self.spm.encode(text)? {
            let spelt = if self.spelt.is_empty() { None } else { self.spelt.get(&part.text).copied() };
            ids.push(spelt.or_else(|| self.ids.get(part.id as usize).copied()).unwrap_or(self.unknown));
        }
        Ok(())
    }
}
