//! One architecture a file or folder, whichever app uses it.

mod checks;
pub mod classifier;
pub mod clip;
pub mod encodec;
pub mod hifi_gan;
pub mod llama;
pub mod mult_vae;
pub mod musicgen;
pub mod sasrec;
pub mod seq2seq;
pub mod t5;
pub mod unet;
pub mod vae;
pub mod vits;
pub mod voice;
pub mod whisper;
