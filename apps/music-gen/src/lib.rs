//! Symbolic music generation, as a library.
