//! Text generation, as a library: [`Model::load`] a model, [`Model::generate`] a continuation.
//!
//! - `model`: a model's files -> net, tokenizer, chat template and what they ask for
//! - `prompt`: words or a conversation -> ids
//! - `generate`: ids -> more of them, as text while they come
//! - `stop`: text that ends an answer
//! - `score`: how likely a text is
//! - `measure`: the table of a model card
//! - `corpus`: files -> text to learn from
//! - `train`: text -> tokenizer and net

pub mod corpus;
mod defaults;
pub mod generate;
pub mod measure;
pub mod model;
mod prompt;
pub mod score;
mod stop;
pub mod train;

pub use defaults::Defaults;
pub use generate::{Answer, Finish, Request, Session};
pub use model::Model;
pub use prompt::Prompt;
pub use score::Score;
