//! Fits a net to data.
