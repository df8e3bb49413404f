//! One architecture a file or folder, whichever app uses it.

mod checks;
pub mod classifier;
pub mod clip;
pub mod hifi_gan;
pub mod llama;
pub mod mult_vae;
pub mod sasrec;
pub mod seq2seq;
pub mod t5;
pub mod unet;
pub mod vae;
pub mod whisper;
