//! What the apps do alike where tensors meet files and the terminal: free functions that an app calls or leaves.
//!
//! - `model`: a place that `hub` found -> files that `models` reads; loading behind a spinner; what a model hashes to
//! - `learning`: what goes before, during and after every `train`
//! - `sentences`: where sentences of a text end, and where a long one may be cut

pub mod learning;
pub mod model;
pub mod sentences;
