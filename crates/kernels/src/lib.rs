//! CPU operators near the machine's limit, with candle's meaning: forward, and backward where nets are trained.
//!
//! - [`activations`]: gelu, silu, relu, tanh, their products with a gate, snake
//! - [`adamw`]: the optimiser's update, and gradients between micro-batches
//! - [`attention`](mod@attention): softmax of queries times keys, times values, without the matrix of scores
//! - [`conv`]: convolutions over time and images, and transposed ones
//! - [`ctc`](mod@ctc): the loss of labels without their times
//! - [`depthwise`](mod@depthwise): a convolution of each channel for itself, over sequences of any lengths
//! - [`dropout`]: masks that are a function of their place
//! - [`elementary`]: exponential, tangent, distribution and sine for loops over f32
//! - [`embedding`]: rows of a table, and sums of them
//! - [`fresh`]: new buffers, filled in tasks without being set to zero first
//! - [`gemm`]: products of matrices
//! - [`gradients`]: a backward pass over what these operators computed
//! - [`level`]: which instructions there are, and loops compiled for each set of them
//! - [`linear`](mod@linear): linear maps in f32, and weights packed in f32, bf16 or bytes
//! - [`loss`]: cross-entropy, fused with its softmax
//! - [`lstm`](mod@lstm): a layer of long short-term memory
//! - [`norm`]: layer, root-mean-square and group normalisation
//! - [`pad`](mod@pad): what stands before and after rows: zeros, the row in a mirror
//! - [`quantised`]: linear maps whose weights are GGUF's blocks of two to eight bits
//! - [`ranking`]: losses of rankings: chosen rows against drawn ones, several classes of one softmax
//! - [`reorder`]: values in another order: rows for columns, pictures of twice the size
//! - [`rope`]: rotary position embedding
//! - [`rows`]: loops over rows of f32, spread over the cores
//! - [`side_by_side`]: several passes of a small net at a time, each on cores of its own
//! - [`softmax`]: softmax, with a mask, and its logarithm
//! - [`sum`](mod@sum): sums and means of tensors of one shape
//! - [`top_k`](mod@top_k): the largest of many values, and the set of tokens that has so much of the probability
//!
//! An operator takes contiguous or strided f32 tensors on the processor; on other devices, for other number formats,
//! and where the environment variable `ATELIER_KERNELS` is `candle`, it is a composition of candle's operators that
//! carries gradients.

/// Returns an error about an input: one line, and no backtrace whatever the environment says.
#[macro_export]
macro_rules! refuse {
    ($($words:tt)*) => { return Err(candle_core::Error::Msg(format!($($words)*))) };
}

pub mod activations;
pub mod adamw;
pub mod attention;
pub mod conv;
pub mod ctc;
pub mod depthwise;
pub mod dropout;
pub mod elementary;
pub mod embedding;
pub mod fresh;
pub mod gemm;
pub mod gradients;
pub mod level;
pub mod linear;
pub mod loss;
pub mod lstm;
pub mod norm;
pub mod pad;
pub mod quantised;
pub mod ranking;
pub mod reorder;
pub mod rope;
pub mod rows;
pub mod side_by_side;
pub mod softmax;
pub mod sum;
pub mod top_k;

#[cfg(test)]
mod testing;
