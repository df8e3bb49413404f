//! Text read aloud: parse, find the voice, speak, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in voice: the files of its folder.
const EMBEDDED: Option<hub::Embedded> = None;

fn main() -> std::process::ExitCode {
    ::cli::start();
    ::cli::report(run(::cli::parse()))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.verb {
        None => commands::speak::run(&cli.speak),
        Some(Verb::Models(models)) => models.run("speech-synth", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
    }
}
