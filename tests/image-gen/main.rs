//! What image-gen promises, from outside.

#![allow(clippy::unwrap_used)]

mod parity;
