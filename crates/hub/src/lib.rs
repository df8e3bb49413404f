//! A model's name to a folder on disk.
