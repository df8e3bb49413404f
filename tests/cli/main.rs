//! The terminal face that all apps share: words in, exit codes and lines out.
#![cfg(unix)]

mod dummy;
mod parse;
mod process;
mod text;
