//! Why a file gives no samples.

use std::path::PathBuf;

/// Why sound cannot be read from a file; each is one line that names it.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A folder.
    #[error("{} is a folder; name an audio file in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// No bytes, or a header and nothing after it.
    #[error("{}: there is no sound in it, not one sample", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are no container of sound.
    #[error(
        "{}: not an audio file; WAV, FLAC, MP3, Ogg, Opus, MP4, Matroska, WebM, AAC, AIFF and CAF are read",
        path.display()
    )]
    NotAudio {
        /// The file.
        path: PathBuf,
    },
    /// A container of known kind whose frame does not hold together.
    #[error("{}: cannot be read as audio ({reason}); is the file whole?", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        reason: String,
    },
    /// A film without sound, for example.
    #[error("{}: no audio track in it", path.display())]
    NoTrack {
        /// The file.
        path: PathBuf,
    },
    /// A container or codec that is not read here.
    #[error("{}: {codec} is not supported; convert it first: ffmpeg -i INPUT OUTPUT.wav", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// Its name, or what of it is missing.
        codec: String,
    },
    /// A rate or a number of channels that no recording has.
    #[error(
        "{}: {channels} channels at {rate} Hz, expected 1 to 255 channels at 1000 to 768000 Hz",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// Frames a second.
        rate: u32,
        /// Samples a frame.
        channels: usize,
    },
    /// A rate that nobody resamples to.
    #[error("cannot resample to {rate} Hz, expected 1000 to 768000")]
    Rate {
        /// The rate asked for.
        rate: u32,
    },
    /// Streams of different rates, one after the other.
    #[error(
        "{}: its rate changes from {from} to {to} Hz after {seconds:.3} s; \
         convert it first: ffmpeg -i INPUT OUTPUT.wav",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Where.
        seconds: f64,
        /// Frames a second before.
        from: u32,
        /// Frames a second after.
        to: u32,
    },
    /// A sample that is no number, or none that a recording has.
    #[error("{}: the sample at {seconds:.3} s is {value}, expected numbers of full scale 1", path.display())]
    Sample {
        /// The file.
        path: PathBuf,
        /// Where.
        seconds: f64,
        /// Its value.
        value: f32,
    },
    /// It ends before what it says it holds, or in the middle of a packet.
    #[error("{}: cut off after {seconds:.3} s{}", path.display(), of(*promised))]
    Cut {
        /// The file.
        path: PathBuf,
        /// Sound before the end, in seconds.
        seconds: f64,
        /// Its length as the header tells it, where that is to be believed.
        promised: Option<f64>,
    },
    /// The container cannot be followed any further.
    #[error("{}: damaged after {seconds:.3} s ({reason}); what stands before it was read", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Sound before the damage.
        seconds: f64,
        /// What the reader says.
        reason: String,
    },
}

impl AudioError {
    /// Whether sound came before it, and only what follows is missing.
    pub fn is_partial(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Damaged { .. })
    }
}

fn of(promised: Option<f64>) -> String {
    promised.map_or_else(|| ", its end is missing".into(), |seconds| format!(" of {seconds:.3} s"))
}
