//! How likely a text is under a model: strided windows, so that every token is foretold from a good part of the context.

use anyhow::{Result, bail};
use candle_core::Tensor;
use models::decoding::log_probability;
use models::nets::llama::Cache;

use crate::Model;

/// What a text comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Tokens that were foretold.
    pub tokens: usize,
    /// Bytes of the text.
    pub bytes: usize,
    /// The sum of the tokens' log-probabilities, natural.
    pub log_likelihood: f64,
}

impl Score {
    /// `exp` of the mean negative log-likelihood of a token.
    pub fn perplexity(&self) -> f64 {
        (-self.log_likelihood / self.tokens.max(1) as f64).exp()
    }

    /// What an arithmetic coder would need for a byte.
    pub fn bits_per_byte(&self) -> f64 {
        -self.log_likelihood / std::f64::consts::LN_2 / self.bytes.max(1) as f64
    }
}

/// Rows whose logits are held at a time.
const ROWS: usize = 256;

impl Model {
    /// Scores a text. A window shows the net as many tokens as it sees at once, and begins `stride` tokens after the one
    /// before it; of what they share, the earlier one's figures count. `on_tokens` is told how many are done, of how many.
    ///
    /// # Errors
    /// A text of a single token, a stride of more than the context.
    pub fn score(
        &self,
        text: &str,
        stride: Option<usize>,
        on_tokens: &mut dyn FnMut(usize, usize),
    ) -> Result<Score> {
        let ids = self.encode(text, true)?;
        let window = self.context().min(ids.len().max(2));
        let stride = stride.unwrap_or((window / 2).max(1));
        if ids.len() < 2 {
            bail!("a text of {} token has nothing to foretell", ids.len());
        }
        if stride >= window {
            bail!("--stride {stride}: the model sees {window} tokens at once, and windows must share some");
        }
        let (mut log_likelihood, mut done, mut start) = (0., 1, 0);
        while done < ids.len() {
            let end = (start + window).min(ids.len());
            let part = Tensor::new(&ids[start..end - 1], &self.device)?.unsqueeze(0)?;
            let states = self.net.states(&self.net.embed(&part)?, &mut Cache::new(&self.config))?;
            // the state at a place foretells the token after it
            for first in (done..end).step_by(ROWS) {
                let count = ROWS.min(end - first);
                let logits = self.net.logits(&states.narrow(1, first - 1 - start, count)?)?.squeeze(0)?;
                for (row, id) in logits.to_vec2::<f32>()?.iter().zip(&ids[first..end]) {
                    log_likelihood += log_probability(row, *id)? as f64;
                }
            }
            done = end;
            start += stride;
            on_tokens(done, ids.len());
        }
        Ok(Score { tokens: ids.len() - 1, bytes: text.len(), log_likelihood })
    }
}
