//! The parts that nets are made of, each short.
//!
//! On the processor in f32 they run on operators of this crate, which carry their own gradients. Elsewhere
//! they use candle's: its fused form where no gradient is asked, since those forms drop it without an error,
//! and a composition of plain operators where one is.

pub mod attention;
pub mod cache;
pub mod conv;
pub mod dropout;
pub mod embedding;
pub mod init;
pub mod linear;
pub mod loss;
pub mod mlp;
pub mod norm;
pub mod rope;
mod rows;
#[cfg(test)]
mod testing;
