//! What every terminal face shares, so that an app's `main.rs` is one screen.
//!
//! ```no_run
//! use clap::Parser;
//!
//! /// What the app does.
//! #[derive(Parser)]
//! struct Args {
//!     #[command(flatten)]
//!     compute: cli::ComputeArgs,
//!     #[command(flatten)]
//!     output: cli::OutputArgs,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cli::start();
//!     cli::report(run(cli::parse()))
//! }
//!
//! fn run(args: Args) -> anyhow::Result<cli::Exit> {
//!     args.compute.apply()?;
//!     let progress = cli::Progress::new(&args.output.talk);
//!     let bar = progress.bar(10, "drawing");
//!     for _ in 0..10 {
//!         bar.tick();
//!     }
//!     bar.finish();
//!     cli::print_line("result")?;
//!     Ok(cli::Exit::Done)
//! }
//! ```
//!
//! - `args` the argument groups that an app flattens into its own `Args`
//! - `batches` many inputs into a folder, and how far that has come
//! - `values` readers of the numbers behind flags
//! - `compute` device, number format, threads and seed
//! - `start` what is set up before anything else: clock, panic line, Ctrl-C
//! - `exit` exit codes and the one line that reports an error
//! - `progress` bars and status lines on stderr
//! - `print` results on stdout, JSON, standard input
//! - `source` words, files and standard input; `list` those that a file lists
//! - `models`, `completions` verbs that all apps have

mod args;
mod batches;
mod completions;
mod compute;
mod exit;
mod list;
mod models;
mod print;
mod progress;
mod source;
mod start;
pub mod values;

pub use args::{ModelArgs, OutputArgs, SamplingArgs, TalkArgs, Target, TrainArgs};
pub use batches::{BatchArgs, Outcome, StatusCommand, each_in};
pub use completions::{CompletionsCommand, ManCommand};
pub use compute::{ComputeArgs, Device, Dtype};
pub use exit::{Exit, StdoutClosed, Usage, exit_of, parse, parse_from, report, report_line, usage};
pub use models::{ModelsCommand, ModelsVerb};
pub use print::{
    Timings, one_line, print_bytes, print_json, print_line, print_path, print_text, read_stdin,
    stdin_is_piped,
};
pub use progress::{Bar, Progress};
pub use source::{Prompt, Source, Typed, What, prompts};
pub use start::{go_on, interrupted, seconds_since_start, start, stop_gently};

// The allocator of every app: tensors come and go on many threads, and mimalloc keeps that cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
