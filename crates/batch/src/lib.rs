//! Many inputs, one model load.
