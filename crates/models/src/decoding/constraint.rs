//! Text that must be JSON of a schema, or match an expression: tokens that lead astray are excluded, by llguidance.

use super::{DecodeError, LogitFilter};
use crate::tokens::Tokens;
use candle_core::Result;
use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;
use std::sync::Arc;
use toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

/// A grammar, ready for any number of texts.
pub struct Constraint {
    matcher: Matcher,
    /// The token that ends a text.
    end: u32,
}

impl Constraint {
    /// JSON that a schema describes, without spaces unless the schema asks for them (`x-guidance`). `vocabulary` is how
    /// many logits there are, and `end` the token that ends a text.
    ///
    /// # Errors
    /// One line on what of a schema is wrong or not supported.
    pub fn json_schema(mut schema: Value, tokens: &Tokens, vocabulary: usize, end: u32) -> Result<Self> {
        if let Value::Object(fields) = &mut schema {
            fields.entry("x-guidance").or_insert_with(|| serde_json::json!({ "whitespace_flexible": false }));
        }
        Self::new(TopLevelGrammar::from_json_schema(schema), "the JSON schema", tokens, vocabulary, end)
    }

    /// Text that a regular expression matches from its beginning to its end.
    ///
    /// # Errors
    /// One line on what of an expression is wrong or not supported.
    pub fn regex(expression: &str, tokens: &Tokens, vocabulary: usize, end: u32) -> Result<Self> {
        // a grammar compiles its expressions late, so that this one is looked at first
        Self::new(TopLevelGrammar::from_regex(expression), "the expression", tokens, vocabulary, end)
    }

    fn new(
        grammar: TopLevelGrammar,
        what: &str,
        tokens: &Tokens,
        vocabulary: usize,
        end: u32,
    ) -> Result<Self> {
        let failed = |error: String| {
            let line = error.split_whitespace().collect::<Vec<_>>().join(" ");
            candle_core::Error::Msg(format!("{what}: {line}"))
        };
        if end as usize >= vocabulary {
            refuse!("the token {end}, which ends a text, is not in a vocabulary of {vocabulary}");
        }
        let mut words: Vec<Vec<u8>> = tokens.bytes().into_iter().map(Option::unwrap_or_default).collect();
        words.resize(vocabulary, Vec::new());
        words[end as usize] = vec![TokTrie::SPECIAL_TOKEN_MARKER, b'<', b'e', b'n', b'd', b'>'];
        let trie = TokTrie::from(&TokRxInfo::new(vocabulary as u32, end), &words);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory =
            ParserFactory::new_simple(&environment).map_err(|error| failed(error.to_string()))?;
        factory.quiet();
        let mut matcher = Matcher::new(factory.create_parser(grammar));
        // an error of the grammar shows with the first question
        if let Err(error) = matcher.compute_mask() {
            return Err(failed(error.to_string()));
        }
        Ok(Self { matcher, end })
    }

    /// A filter for one text that begins after `prompt` tokens.
    pub fn filter(&self, prompt: usize) -> impl LogitFilter + Send + use<> {
        let (fresh, matcher) = (self.matcher.deep_clone(), self.matcher.deep_clone());
        Follow { fresh, matcher, consumed: Vec::new(), prompt }
    }

    /// Whether ids are a whole text of the grammar, with or without the end.
    pub fn accepts(&self, ids: &[u32]) -> bool {
        let ids = ids.strip_suffix(&[self.end]).unwrap_or(ids);
        let mut matcher = self.matcher.deep_clone();
        matcher.consume_tokens(ids).is_ok() && matcher.is_accepting().unwrap_or(false)
    }
}

struct Follow {
    fresh: Matcher,
    matcher: Matcher,
    consumed: Vec<u32>,
    prompt: usize,
}

impl LogitFilter for Follow {
    fn apply(&mut self, tokens: &[u32], logits: &mut [f32]) -> std::result::Result<(), DecodeError> {
        let failed =
            |error: String| DecodeError::Filter(error.split_whitespace().collect::<Vec<_>>().join(" "));
        let added = &tokens[self.prompt.min(tokens.len())..];
        // a beam search asks for one history after another
        if !added.starts_with(&self.consumed) {
            self.matcher = self.fresh.deep_clone();
            self.consumed.clear();
        }
        self.matcher
            .consume_tokens(&added[self.consumed.len()..])
            .map_err(|error| failed(error.to_string()))?;
        self.consumed = added.to_vec();
        let mask = self.matcher.compute_mask_or_eos().map_err(|error| failed(error.to_string()))?;
        for (id, logit) in logits.iter_mut().enumerate() {
            if !mask.is_allowed(id as u32) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }
}
