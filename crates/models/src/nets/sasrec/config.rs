//! What a SASRec's `config.json` says.

use crate::nets::checks::sizes;
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// Where the layer norms of a block stand. The reference has had all three, under the same names of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Only queries are normalised, and added to what comes of them: as the paper's own code has it.
    Query,
    /// Before attention and feed-forward, beside the residuals.
    Pre,
    /// Behind the sums of both with their residuals.
    Post,
}

/// Whether what fills a history up to `maxlen` items is attended to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Padding {
    /// It is, as by the reference on PyTorch.
    #[default]
    Attended,
    /// It is not, as by the paper's own code: a short history is not thinned out.
    Masked,
}

/// The fields of `config.json`, named as the reference names its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Items; the table has a row more, of padding.
    pub item_num: usize,
    /// Width of the residual stream.
    pub hidden_units: usize,
    /// Blocks.
    pub num_blocks: usize,
    /// Heads of a block's attention.
    pub num_heads: usize,
    /// Items of a history that the net sees: the last ones.
    pub maxlen: usize,
    /// Where the layer norms stand: weights do not tell, so it must be said.
    pub norm: Option<Norm>,
    /// Whether padding is attended to; the reference has no such field.
    #[serde(default)]
    pub padding: Padding,
}

impl Config {
    /// Where the layer norms stand.
    ///
    /// # Errors
    /// A configuration that does not say.
    pub fn norm(&self) -> Result<Norm> {
        match self.norm {
            Some(norm) => Ok(norm),
            None => refuse!(
                "config.json: no norm, and the weights do not tell: `query` (only queries are normalised, as published until 2025), `pre` or `post`"
            ),
        }
    }

    /// Refuses sizes that no such net has.
    ///
    /// # Errors
    /// One line that names the field.
    pub fn validate(&self) -> Result<()> {
        self.norm()?;
        sizes(&[
            ("item_num", self.item_num, 1 << 28),
            ("hidden_units", self.hidden_units, 1 << 14),
            ("num_blocks", self.num_blocks, 256),
            ("num_heads", self.num_heads, 1 << 14),
            ("maxlen", self.maxlen, 1 << 16),
        ])?;
        if !self.hidden_units.is_multiple_of(self.num_heads) {
            refuse!(
                "config.json: hidden_units {} is no multiple of num_heads {}",
                self.hidden_units,
                self.num_heads
            );
        }
        Ok(())
    }
}
