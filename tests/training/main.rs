//! Trains small nets from outside, as an app does.
