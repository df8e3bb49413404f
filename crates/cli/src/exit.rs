//! How a process ends: exit codes, usage errors, and the one line that reports an error.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;

use clap::Parser;
use clap::error::{Error, ErrorKind};

use crate::print::one_line;

/// How an app ended; the number is its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The flags or words were wrong.
    Usage = 2,
    /// Some items of a batch failed, the rest is done.
    SomeFailed = 3,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl From<&batch::Summary> for Exit {
    fn from(summary: &batch::Summary) -> Self {
        if summary.failed.is_empty() { Self::Done } else { Self::SomeFailed }
    }
}

/// Flags or words that cannot be right, found after parsing: exit 2 instead of 1.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A [`Usage`] error, ready to be returned.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Whoever read our stdout has gone (`| head`): no error, the app just stops.
#[derive(Debug)]
pub struct StdoutClosed;

impl fmt::Display for StdoutClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout was closed")
    }
}

impl std::error::Error for StdoutClosed {}

/// Ends `main`: an error becomes one line on stderr, and everything its exit code.
pub fn report<T: Into<Exit>>(result: anyhow::Result<T>) -> std::process::ExitCode {
    let exit = match result {
        Ok(done) => done.into(),
        Err(error) => {
            let exit = exit_of(&error);
            if exit != Exit::Done {
                // Nothing is left to tell anybody if stderr is closed too.
                let _ = writeln!(std::io::stderr(), "{}", report_line(&error));
            }
            exit
        }
    };
    batch::remove_temporary_files();
    exit.into()
}

/// The exit code that an error means.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.is::<StdoutClosed>()) {
        Exit::Done
    } else if error.chain().any(|cause| cause.is::<Usage>()) {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// The line that [`report`] prints: the causes joined by colons, nothing in it that moves a cursor.
pub fn report_line(error: &anyhow::Error) -> String {
    let mut line = String::from("error: ");
    for (index, cause) in error.chain().enumerate() {
        let text = cause.to_string();
        // Many errors already end with the text of what caused them.
        if index > 0 {
            if text.is_empty() || line.ends_with(&text) {
                continue;
            }
            line.push_str(": ");
        }
        line.push_str(text.trim_end());
    }
    one_line(&line)
}

/// Reads the command line; wrong usage is one line on stderr and exit 2, `--help` and `--version` exit 0.
pub fn parse<A: Parser>() -> A {
    parse_from(std::env::args_os()).unwrap_or_else(|(text, exit)| {
        let written = match exit {
            Exit::Done => write!(std::io::stdout(), "{text}"),
            _ => write!(std::io::stderr(), "{text}"),
        };
        // A reader that has gone (`--help | head -1`) has what it wanted.
        let _ = written;
        std::process::exit(exit as i32)
    })
}

/// [`parse`] over given words; an error is what to print and the exit code.
pub fn parse_from<A: Parser>(words: impl IntoIterator<Item = OsString>) -> Result<A, (String, Exit)> {
    A::try_parse_from(words).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => (error.render().to_string(), Exit::Done),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => (error.render().to_string(), Exit::Usage),
        _ => (usage_line(&error), Exit::Usage),
    })
}

/// clap's message without its usage block, in one line.
fn usage_line(error: &Error) -> String {
    let text = error.render().to_string();
    let parts: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut line = String::new();
    for part in parts {
        if !line.is_empty() {
            let listed = line.ends_with(':') || line.ends_with(',');
            line.push_str(if part.starts_with("tip:") || !listed { "; " } else { " " });
        }
        line.push_str(part);
    }
    format!("{}; see --help\n", one_line(&line))
}
