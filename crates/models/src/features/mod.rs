//! What nets see of a signal, computed from its samples.

pub mod chroma;
pub mod log_mel;
pub mod pitch;
pub mod stft;
