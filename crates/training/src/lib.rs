//! Fits a net to data: [`fit`] is the loop, [`Task`] is what it is given, [`Options`] is how it goes.
//!
//! Knows nothing of a domain, prints nothing and draws nothing: the curve is returned. What a run writes
//! is one file, [`checkpoint::path`], from which a killed run goes on and ends with the same numbers.
//!
//! - `fit`: the loop, what it tells on the way and what it returns
//! - `options`, `schedule`: steps or minutes, learning rate, decay of the average
//! - `adamw`: the optimiser, with gradient accumulation and the moving average of the weights
//! - `checkpoint`: a whole run in one safetensors file, written so that it is never half there
//! - `curve`: loss and held-out loss over the steps, as CSV
//! - `random`: what a step draws is a function of (seed, step, micro-batch) alone
//! - `epochs`: batches that hold each example once an epoch
//! - `ngram`: what a net that foretells tokens has to beat
//! - `gradients`: the check that each variable of a net gets one
//! - `hash`: what data are told apart by

pub mod adamw;
pub mod checkpoint;
mod curve;
mod epochs;
mod error;
mod fit;
mod gradients;
mod hash;
mod ngram;
mod options;
mod random;
mod run;
mod schedule;
mod values;

pub use curve::{Curve, Point};
pub use epochs::Epochs;
pub use error::{Error, Result};
pub use fit::{Ending, Fitted, Loss, Progress, Task, fit};
pub use gradients::assert_gradients;
pub use hash::hash;
pub use ngram::{NGram, NGramError};
pub use options::Options;
pub use random::Rng;
pub use schedule::{average_decay, learning_rate};
