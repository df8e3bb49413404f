//! The parts that nets are made of: weights, read from a checkpoint or drawn, and what configures them.
//!
//! The mathematics is that of `kernels`, whose operators all carry gradients.

pub mod attention;
pub mod cache;
pub mod conv;
pub mod convnext;
pub mod embedding;
pub mod init;
pub mod linear;
pub mod mlp;
pub mod norm;
pub mod rope;
pub mod transformer;

pub use kernels::{ctc, dropout, loss, ranking, sum};
