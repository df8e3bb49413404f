//! Text as ids come.

use super::Tokens;
use candle_core::Result;

/// Turns ids into text one by one. A character whose bytes are spread over several ids comes with the last of them.
pub struct Stream<'a> {
    tokens: &'a Tokens,
    ids: Vec<u32>,
    /// Ids before this one are told and not needed any more.
    from: usize,
    /// Ids before this one are told.
    told: usize,
}

/// Stands in a text for bytes that are no character.
const BROKEN: char = '\u{fffd}';

impl<'a> Stream<'a> {
    /// At the start of a text, or behind ids whose text is known.
    pub fn new(tokens: &'a Tokens, before: &[u32]) -> Self {
        // a few ids are enough to know whether a space belongs before the next word
        let from = before.len().saturating_sub(8);
        let ids = before[from..].to_vec();
        Self { tokens, from: 0, told: ids.len(), ids }
    }

    /// The text that an id adds; nothing while a character is not whole.
    ///
    /// # Errors
    /// If the tokenizer cannot put the ids together.
    pub fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let whole = self.tokens.decode(&self.ids[self.from..])?;
        if whole.ends_with(BROKEN) {
            return Ok(String::new());
        }
        self.advance(whole)
    }

    /// What is left: bytes that never became a character.
    ///
    /// # Errors
    /// As [`Stream::push`].
    pub fn finish(&mut self) -> Result<String> {
        let whole = self.tokens.decode(&self.ids[self.from..])?;
        self.advance(whole)
    }

    fn advance(&mut self, whole: String) -> Result<String> {
        let before = self.tokens.decode(&self.ids[self.from..self.told])?;
        let new = whole.get(before.len()..).unwrap_or_default().to_string();
        if !new.is_empty() {
            (self.from, self.told) = (self.told, self.ids.len());
        }
        Ok(new)
    }
}
