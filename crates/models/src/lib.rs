//! Nets and the mathematics around them: tensors in, tensors out.
//!
//! - [`device`]: from the word after `--device` to a device
//! - [`layers`]: the parts that nets are made of, with the gradients that candle's fused forms lack
//! - [`nets`]: one architecture a file, whichever app uses it

pub mod device;
pub mod layers;
pub mod nets;
