//! CPU operators near the machine's limit, with candle's meaning: forward, and backward where nets are trained.
//!
//! - [`attention`](mod@attention): softmax of queries times keys, times values, without the matrix of scores
//! - [`conv`]: convolutions over time and images, and transposed ones
//! - [`level`]: which instructions there are, and loops compiled for each set of them
//! - [`linear`](mod@linear): linear maps in f32, and weights packed in f32, bf16 or bytes
//! - [`lstm`](mod@lstm): a layer of long short-term memory
//! - [`rows`]: loops over rows of f32, spread over the cores
//! - [`gemm`]: products of matrices
//!
//! An operator takes contiguous or strided f32 tensors on the processor; on other devices, for other number formats,
//! and where the environment variable `ATELIER_KERNELS` is `candle`, it is a composition of candle's operators that
//! carries gradients.

/// Returns an error about an input: one line, and no backtrace whatever the environment says.
#[macro_export]
macro_rules! refuse {
    ($($words:tt)*) => { return Err(candle_core::Error::Msg(format!($($words)*))) };
}

pub mod attention;
pub mod conv;
pub mod gemm;
pub mod level;
pub mod linear;
pub mod lstm;
pub mod rows;

#[cfg(test)]
mod testing;
