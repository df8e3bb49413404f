//! What the apps do alike where tensors meet files and the terminal: free functions that an app calls or leaves.
//!
//! - `model`: a place that `hub` found -> files that `models` reads; loading behind a spinner; what a model hashes to
//! - `learning`: what goes before, during and after every `train`

pub mod learning;
pub mod model;
