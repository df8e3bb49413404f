//! The terminal face that all apps share: words in, exit codes and lines out.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![cfg(unix)]

mod dummy;
mod parse;
mod process;
mod text;
