//! The operators against references in f64, at every level that this machine has.
