//! The hub crate against a loopback server.
