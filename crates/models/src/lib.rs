//! Nets and the mathematics around them: tensors in, tensors out.
//!
//! - [`checkpoint`]: a model's files, and the tensors in them
//! - [`decoding`]: from logits to tokens: filters, greedy choice, sampling
//! - [`device`]: from the word after `--device` to a device
//! - [`features`]: what nets see of a signal: log-mel frames of speech
//! - [`layers`]: the parts that nets are made of: weights and what configures them
//! - [`nets`]: one architecture a file, whichever app uses it
//! - [`random`]: PyTorch's CPU generator, number for number
//! - [`tokens`]: text to ids and back, conversations to text
//! - [`vars`]: where a net's tensors come from, by name
//! - `adamw`, `gradients`, `with_precision`: what `training` needs of `kernels`

/// Returns an error about an input: one line, and no backtrace whatever the environment says.
macro_rules! refuse {
    ($($words:tt)*) => { return Err(candle_core::Error::Msg(format!($($words)*))) };
}

pub mod checkpoint;
pub mod decoding;
pub mod device;
pub mod diffusion;
pub mod features;
pub mod layers;
pub mod nets;
pub mod random;
pub mod tokens;
pub mod vars;

pub use kernels::gemm::Precision;
pub use kernels::linear::with_precision;
pub use kernels::{adamw, gradients, side_by_side};
