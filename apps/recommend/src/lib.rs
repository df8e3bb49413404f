//! Recommendation, as a library: [`Model::load`] a model, [`recommend`] by it.
//!
//! - `data`: tables of who had what -> histories; what is kept aside
//! - `methods`: what scores items after a history; `plan`: how it learns; `learn`: learning by steps
//! - `model`: a folder -> a method and the items that it knows
//! - `titles`: what somebody typed -> an item
//! - `recommend`: a history -> a list, with filters, variety, chance and reasons; `top`: the best of many scores
//! - `evaluate`: a method on people that were kept aside; `metrics`: how good lists are, and how sure

pub mod data;
pub mod evaluate;
pub mod learn;
pub mod methods;
pub mod metrics;
mod model;
pub mod plan;
mod recommend;
mod titles;
mod top;

pub use model::{Model, write};
pub use recommend::{Listed, Reason, Request, like, recommend};
pub use titles::{Found, Titles};
pub use top::top;
