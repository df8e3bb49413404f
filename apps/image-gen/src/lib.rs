//! Pictures from words.
//!
//! - `corpus`: a folder of pictures -> what there is to learn
//! - `train`: pictures with captions -> a model in diffusers' layout
//! - `denoise`: the net asked once, guided
//! - `pixels`: pictures <-> tensors

pub mod corpus;
pub mod denoise;
pub mod pixels;
pub mod train;
