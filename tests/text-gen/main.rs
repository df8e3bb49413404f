//! The app's binary, run as a user runs it.
