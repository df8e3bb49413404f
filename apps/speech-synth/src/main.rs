//! Text read aloud: parse, find the voice, speak, write.

mod cli;
mod commands;

use ::cli::Exit;

use crate::cli::{Cli, Verb};

/// The built-in voice: the files of its folder, with licence and card.
const EMBEDDED: Option<hub::Embedded> = hub::embedded!(
    "../../../shared/models/speech-synth/":
    "config.json",
    "model.safetensors",
    "README.md",
    "LICENSE",
    "g2p/words.bin",
    "g2p/config.json",
    "g2p/model.safetensors",
    "g2p/README.md",
    "g2p/LICENSE",
);

fn main() -> std::process::ExitCode {
    ::cli::start();
    ::cli::report(run(::cli::parse()))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.verb {
        None => commands::speak::run(&cli.speak),
        Some(Verb::Train(train)) => commands::train::run(&train),
        Some(Verb::Evaluate(evaluate)) => commands::evaluate::run(&evaluate),
        Some(Verb::Status(status)) => status.run(),
        Some(Verb::Models(models)) => models.run("speech-synth", EMBEDDED, commands::WANTS).map(Exit::from),
        Some(Verb::Completions(completions)) => completions.run::<Cli>().map(Exit::from),
        Some(Verb::Man(man)) => man.run::<Cli>().map(Exit::from),
    }
}
