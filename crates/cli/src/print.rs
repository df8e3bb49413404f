//! Results on stdout, and what comes from stdin.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::exit::{StdoutClosed, usage};

/// Prints one line of the result.
pub fn print_line(line: impl AsRef<str>) -> Result<()> {
    send(format!("{}\n", line.as_ref()).as_bytes())
}

/// Prints text as it is, at once: for a result that comes in pieces.
pub fn print_text(text: &str) -> Result<()> {
    send(text.as_bytes())
}

/// Prints the path of a file that was written, byte for byte, with a line end.
pub fn print_path(path: impl AsRef<Path>) -> Result<()> {
    let mut bytes = path.as_ref().as_os_str().as_encoded_bytes().to_vec();
    bytes.push(b'\n');
    send(&bytes)
}

/// Prints one object on one line.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value).context("a result that JSON cannot hold")?;
    line.push(b'\n');
    send(&line)
}

/// `-o -` for sound and pictures; refused where stdout is a terminal.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    if io::stdout().is_terminal() {
        return Err(usage("-o - would write binary data to the terminal: send it to a file or a pipe"));
    }
    send(bytes)
}

fn send(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => StdoutClosed.into(),
        _ => anyhow::Error::new(error).context("cannot write to stdout"),
    })
}

/// Whether something is sent into stdin: a pipe, a file or a socket; not a terminal, not `/dev/null`.
pub fn stdin_is_piped() -> bool {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileTypeExt;
        let Ok(fd) = io::stdin().as_fd().try_clone_to_owned() else { return false };
        std::fs::File::from(fd).metadata().is_ok_and(|data| {
            let kind = data.file_type();
            kind.is_fifo() || kind.is_file() || kind.is_socket()
        })
    }
    #[cfg(not(unix))]
    {
        !io::stdin().is_terminal()
    }
}

/// Reads stdin to its end, and gives the same bytes whenever it is asked again; at a terminal it is an error, never a silent
/// wait.
pub fn read_stdin() -> Result<Vec<u8>> {
    static READ: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bytes) = &*read {
        return Ok(bytes.clone());
    }
    if io::stdin().is_terminal() {
        return Err(usage("stdin is a terminal: pipe the input in, or name a file"));
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).context("cannot read stdin")?;
    *read = Some(bytes.clone());
    Ok(bytes)
}

/// The `timings` of a JSON result, in seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timings {
    /// From the start of loading to a model ready to run.
    pub load_s: f64,
    /// Making the result, without loading and writing.
    pub generate_s: f64,
    /// What the domain adds, such as `first_note_s` or a rate.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, f64>,
}

impl Timings {
    /// Adds a figure of the domain.
    pub fn with(mut self, name: &'static str, value: f64) -> Self {
        self.more.insert(name, value);
        self
    }
}

/// The text with everything escaped that would break a line, move the cursor or hide text.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if c.is_control() || turns {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
