//! A model's name to a folder on disk: embedded bytes, a folder, a file, or a repository of the hub, from the
//! cache that Python's huggingface_hub keeps or by download into it.
//!
//! The map: [`resolve`] is the whole road from a name to a place; [`list`], [`show`], [`pull`] and [`remove`] stand
//! behind `models list|show|pull|remove`; [`Env`] is everything read from the environment; [`catalogue`] is
//! shared/models.toml; [`Want`] says which files of a repository an app needs.
//!
//! The wall of this crate is the network, and `ureq` with rustls (28 packages, blocking, no OpenSSL, no runtime) is
//! all that stands at it. hf-hub 1.0.0 was weighed for metadata and layout and left out: it brings 297 packages
//! (reqwest, tokio, hyper, a chunk-store client) for one JSON request and five path rules, restarts whole files,
//! and checks neither size nor sum. The rules of the layout are in `cache`, those of the transfer in `transfer`:
//!
//! ```text
//! CACHE/models--OWNER--NAME/refs/REVISION            the commit that a branch or tag stood at
//!                          /snapshots/COMMIT/FILE    relative link into blobs
//!                          /blobs/ETAG               the bytes; ETAG.incomplete while they come
//! CACHE/.locks/models--OWNER--NAME/ETAG.lock         one writer a blob, shared with Python
//! ```
//!
//! Invariants: nothing that the server names becomes a path unchecked (`names`); the token goes to the endpoint's
//! origin alone (`net`); a blob is renamed into place only after its size and sum were right (`transfer`).

mod cache;
mod catalogue;
mod env;
mod error;
#[cfg(test)]
mod fuzz;
mod listing;
mod names;
mod net;
mod resolve;
mod shelf;
mod transfer;
mod wants;

pub use catalogue::{Entry, catalogue};
pub use env::{Env, Patience};
pub use error::{Error, Result};
pub use resolve::{Embedded, Location, Options, Resolved, resolve};
pub use shelf::{Listed, Removed, Shown, list, pull, remove, show};
pub use wants::Want;
