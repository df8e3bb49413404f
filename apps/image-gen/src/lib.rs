//! Pictures from words, as a library: [`Model::load`] a model, [`Model::generate`] a picture.
//!
//! - `model`: a folder in diffusers' layout -> what a picture is made with
//! - `prompt`: words -> states, with weights, in windows
//! - `generate`: a request -> a picture: from noise, from a picture, inside a mask
//! - `denoise`: the net asked once, guided
//! - `autoencoder`: pictures <-> latents, in tiles where they are large
//! - `pixels`: pictures <-> tensors
//! - `recipe`: how a picture was made, inside of it
//! - `corpus`: a folder of pictures -> what there is to learn
//! - `evaluate`: a judge of pictures, copies, distances of sets
//! - `train`: pictures with captions -> a model in diffusers' layout

pub mod autoencoder;
pub mod corpus;
pub mod denoise;
pub mod evaluate;
pub mod generate;
pub mod model;
pub mod pixels;
pub mod prompt;
pub mod recipe;
pub mod train;

pub use autoencoder::Autoencoder;
pub use generate::{Progress, Request};
pub use model::Model;
