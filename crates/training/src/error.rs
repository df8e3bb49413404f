//! What can go wrong in a training, one line each.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option outside its range.
    #[error("{name} must be {wanted}, not {given}")]
    Option {
        /// The field of [`crate::Options`].
        name: &'static str,
        /// What it may be.
        wanted: &'static str,
        /// What it is.
        given: String,
    },
    /// A variable that cannot be trained.
    #[error("variable {name}: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The loss does not depend on any variable.
    #[error(
        "the loss gives no variable a gradient: it does not depend on them, or an operator on the way has none"
    )]
    NoGradient,
    /// A checkpoint that cannot be read.
    #[error("{}: {reason}; remove it to start anew", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint of another run.
    #[error(
        "{}: made with {what} {then}, this run has {now}; give another folder or remove it to start anew",
        path.display()
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
        /// Its value in the checkpoint.
        then: String,
        /// Its value now.
        now: String,
    },
    /// Another process trains in the same folder.
    #[error("{}: another training is running in this folder; wait for it or give another folder", path.display())]
    Busy {
        /// The file that the other one holds.
        path: PathBuf,
    },
    /// Too many steps in a row without a finite loss and gradient.
    #[error(
        "loss or gradient not finite {times} times in a row up to step {step}; lower the learning rate ({learning_rate}) or look for broken examples"
    )]
    Diverged {
        /// The last of them, counted from 1.
        step: u64,
        /// How many they were.
        times: u64,
        /// The learning rate of the options.
        learning_rate: f64,
    },
    /// A file or folder that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No threads to be had.
    #[error("threads for micro-batches side by side: {0}")]
    Threads(String),
    /// An error of a tensor operation.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { path, source }
}
